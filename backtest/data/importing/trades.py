"""A table as trades: in order of time, each id once, every price and quantity above 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from backtest.data.columns import Flags
from backtest.data.importing.options import Problem
from backtest.data.importing.rows import Rows
from backtest.data.trades import TRADE_ARRAYS, TradeColumns
from core.contracts.moments import iso
from core.errors import DataError

_BUY = ("buy", "b", "bid", "true")
_SELL = ("sell", "s", "ask", "false")


def read_trades(rows: Rows) -> tuple[TradeColumns, str]:
    """The trades of a table, and how their times were read.

    Raises:
        DataError: rows are wrong or times cannot be read; names file, line, column and value.
    """
    times = rows.times()
    price, qty = rows.numbers("price"), rows.numbers("qty")
    buy, known = _sides(rows)
    wrong = ~known | ~((price > 0) & (price < np.inf) & (qty > 0) & (qty < np.inf))
    told = {problem.line for problem in rows.problems}
    for row in np.flatnonzero(wrong).tolist():
        line = int(rows.sheet.lines[row])
        if line not in told:
            rows.problems.append(
                Problem(line, f"price {price[row].item()!r}, qty {qty[row].item()!r}; allowed: above 0")
            )
    ids = rows.texts("trade_id") if rows.has("trade_id") else [""] * len(rows)
    arrays: dict[str, Any] = {
        "ts": times.ns, "price": price, "qty": qty, "buy": buy, "trade_id": np.array(ids, np.object_),
    }  # fmt: skip
    good = rows.without_problems(wrong)
    order = np.argsort(times.ns[good], kind="stable")
    if (np.diff(times.ns[good]) < 0).any():
        rows.notes.append("not in order of time: sorted")
    arrays = {name: array[good][order] for name, array in arrays.items()}
    return _without_doubles(rows, TradeColumns.of(rows.options.symbol, arrays)), times.said


def _sides(rows: Rows) -> tuple[Flags, Flags]:
    """Whether the taker bought, and where that is known; other words become problems."""
    role = "side" if rows.has("side") else "maker"
    words = [word.lower() for word in rows.texts(role)]
    buys, sells = (_BUY, _SELL) if role == "side" else (_SELL[3:], _BUY[3:])  # a buyer who is the maker did not take
    if role == "side" and {"ask", "bid"} & set(words):
        rows.notes.append('side: "bid" is a trade that a buyer took, "ask" one that a seller took')
    if role == "maker":
        rows.notes.append(f"side: a sale where {rows.label(role)} is true, as the buyer did not take")
    buy = np.array([word in buys for word in words], np.bool_)
    known = buy | np.array([word in sells for word in words], np.bool_)
    for row in np.flatnonzero(~known).tolist():
        allowed = ", ".join((*buys, *sells))
        text = f"{rows.label(role)} is {words[row]!r}; allowed: {allowed}"
        rows.problems.append(Problem(int(rows.sheet.lines[row]), text))
    return buy, known


def _without_doubles(rows: Rows, columns: TradeColumns) -> TradeColumns:
    """Each id once.

    Raises:
        DataError: two trades of one id differ.
    """
    seen: dict[str, int] = {}
    keep = np.ones(len(columns), np.bool_)
    said = list(zip(*(getattr(columns, name).tolist() for name in TRADE_ARRAYS), strict=True))
    for row, each in enumerate(said):
        trade_id = each[-1]
        if not trade_id:
            continue
        first = seen.setdefault(trade_id, row)
        if first != row:
            if said[first] != each:
                raise DataError(
                    f"{rows.table.head.source}: trade {trade_id} is there twice and differs: "
                    f"{iso(said[first][0])} {said[first][1:4]}, and {iso(each[0])} {each[1:4]}"
                )
            keep[row] = False
    if not keep.all():
        rows.notes.append(f"{int((~keep).sum())} trades are there twice, the same: taken once")
    return columns[keep]
