"""Trades added to trades, as columns: by the venue's id where there is one, else by what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from backtest.data.merging import Conflict, Decided, Matched, decide, spelled
from backtest.data.trades import TRADE_ARRAYS, TradeColumns
from core.errors import DataError

_Said = tuple[int, float, float, bool]


def merge_trades(old: TradeColumns, new: TradeColumns, conflict: Conflict) -> tuple[TradeColumns, Decided]:
    """Both together, and what was decided.

    Trades without an id are told apart by their count: of three alike where two are there, one is new.

    Raises:
        DataError: trades of one id differ and `conflict` is "refuse", or the added ones have an id twice.
        ConfigError: `conflict` is none.
    """
    before, after = list(_said(old)), list(_said(new))
    matched = _match(old, new, before, after)

    def named(row: int) -> str:
        was, now = before[int(matched.old[row])], after[row]
        return f"id {new.trade_id[row]}, " + spelled(now[0], was, now)

    decided = decide(matched, conflict, named)
    stays = np.ones(len(old), np.bool_)
    stays[decided.drop] = False
    taken, kept = new[decided.take], old[stays]
    arrays = {name: np.concatenate((getattr(kept, name), getattr(taken, name))) for name in TRADE_ARRAYS}
    order = np.lexsort((_ranks(arrays["trade_id"]), arrays["ts"]))
    return TradeColumns.of(new.symbol, {name: arrays[name][order] for name in TRADE_ARRAYS}), decided


def _said(columns: TradeColumns) -> Iterator[_Said]:
    return zip(
        columns.ts.tolist(), columns.price.tolist(), columns.qty.tolist(), columns.buy.tolist(), strict=True
    )  # fmt: skip


def _match(old: TradeColumns, new: TradeColumns, before: list[_Said], after: list[_Said]) -> Matched:
    by_id = {trade_id: row for row, trade_id in enumerate(old.trade_id.tolist()) if trade_id}
    unnamed: dict[_Said, list[int]] = {}
    for row in np.flatnonzero(old.trade_id == "").tolist()[::-1]:
        unnamed.setdefault(before[row], []).append(row)
    at = np.full(len(new), -1, np.int64)
    for row, trade_id in enumerate(new.trade_id.tolist()):
        if trade_id:
            at[row] = by_id.get(trade_id, -1)
        elif rows := unnamed.get(after[row]):
            at[row] = rows.pop()
    twice = [trade_id for trade_id, count in Counter(new.trade_id.tolist()).items() if trade_id and count > 1]
    if twice:
        raise DataError(f"trades of {new.symbol}: id {twice[0]} is there twice")
    equal = np.array([row < 0 or before[row] == said for row, said in zip(at.tolist(), after, strict=True)], np.bool_)
    return Matched(at, equal, equal)


def _ranks(ids: np.ndarray[tuple[int], np.dtype[np.object_]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The order of trades of one moment: by their ids where these are numbers, else as they came."""
    if all(type(each) is str and each.isdecimal() and len(each) < 19 for each in ids.tolist()):
        return np.array([int(each) for each in ids.tolist()], np.int64)
    return np.arange(len(ids))
