"""What venues answer with, read into columns: each number is checked to be one, nothing is filled or put in order.

A row that cannot be a bar or a trade raises one of `UNREADABLE`: the whole answer is unreadable then, and worth asking
for once more.

klines of Binance: [[1591478520000,"0.02501300","0.02501800","0.02500000","0.02500000","22.19000000",1591478579999,
    "0.55490906",40,"10.92900000","0.27336462","0"], ...]
historicalTrades of Binance: [{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012",
    "time":1499865549590,"isBuyerMaker":true,"isBestMatch":true}, ...]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.data.columns import PRICES, Floats, Ints

Arrays = dict[str, NDArray[Any]]
"""Columns of bars or trades by name, as the venue sent them."""

NS_PER_MS = 1_000_000
UNREADABLE = (TypeError, ValueError, KeyError, IndexError, AttributeError)
"""What reading a broken answer raises."""

_KLINE = 12
_TURNOVER, _COUNT = 7, 8


def klines(answer: Any) -> Arrays:
    """Bars of Binance's protocol; turnover and number of trades are known, so the mean price is too."""
    rows = _rows(answer, _KLINE)
    made = _bars([row[:6] for row in rows])
    volume, turnover = made["volume"], _amounts("quote volume", [row[_TURNOVER] for row in rows])
    made["turnover"] = turnover
    made["trade_count"] = _whole("number of trades", [row[_COUNT] for row in rows])
    traded = (volume > 0) & (turnover > 0)
    made["vwap"] = np.divide(turnover, volume, out=np.full(len(volume), np.nan), where=traded)
    return made


def candles(answer: Any) -> Arrays:
    """Bars as ccxt hands them on: time, open, high, low, close, volume; a volume that is not known is 0."""
    rows = _rows(answer, 6)
    return _bars([[*row[:5], 0.0 if row[5] is None else row[5]] for row in rows])


def numbered_trades(answer: Any) -> Arrays:
    """Trades of Binance's protocol, by whole numbers."""
    rows = _mappings(answer)
    ids = _whole("id", [row["id"] for row in rows])
    buys = [not _flag(row["isBuyerMaker"]) for row in rows]
    return {**_trades(rows, ("time", "price", "qty"), buys), "number": ids, "trade_id": _texts(ids.tolist())}


def trades(answer: Any) -> Arrays:
    """Trades as ccxt hands them on; one without an id is told from others by what can be seen of it."""
    rows = _mappings(answer)
    ids = [row.get("id") or "-".join(str(row[key]) for key in ("timestamp", "side", "price", "amount")) for row in rows]
    buys = [_side(row["side"]) for row in rows]
    return {**_trades(rows, ("timestamp", "price", "amount"), buys), "trade_id": _texts(ids)}


def _rows(answer: Any, width: int) -> list[Sequence[Any]]:
    if not isinstance(answer, list) or any(not isinstance(row, list | tuple) or len(row) < width for row in answer):
        raise ValueError(f"no list of rows of {width}: {str(answer)[:80]!r}")
    return answer


def _mappings(answer: Any) -> list[Mapping[str, Any]]:
    if not isinstance(answer, list) or any(not isinstance(row, dict) for row in answer):
        raise ValueError(f"no list of trades: {str(answer)[:80]!r}")
    return answer


def _bars(rows: Sequence[Sequence[Any]]) -> Arrays:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    made: Arrays = {"ts_open": _whole("time", columns[0]) * NS_PER_MS}
    for name, values in zip(PRICES, columns[1:5], strict=True):
        made[name] = _above_zero(name, values)
    made["volume"] = _amounts("volume", columns[5])
    top, bottom = np.maximum(made["open"], made["close"]), np.minimum(made["open"], made["close"])
    _refuse("high and low", (made["high"] < top) | (made["low"] > bottom), list(rows))
    return made


def _trades(rows: Sequence[Mapping[str, Any]], keys: tuple[str, str, str], buys: Sequence[bool]) -> Arrays:
    time, price, qty = keys
    return {
        "ts": _whole("time", [row[time] for row in rows]) * NS_PER_MS,
        "price": _above_zero("price", [row[price] for row in rows]),
        "qty": _above_zero("quantity", [row[qty] for row in rows]),
        "buy": np.array(buys, np.bool_),
    }


def _whole(name: str, values: Sequence[Any]) -> Ints:
    made = np.array([int(value) for value in values], np.int64)
    _refuse(name, made < 0, values)
    return made


def _above_zero(name: str, values: Sequence[Any]) -> Floats:
    made = np.array([float(value) for value in values], np.float64)
    _refuse(name, ~((made > 0) & np.isfinite(made)), values)
    return made


def _amounts(name: str, values: Sequence[Any]) -> Floats:
    made = np.array([float(value) for value in values], np.float64)
    _refuse(name, ~((made >= 0) & np.isfinite(made)), values)
    return made


def _refuse(name: str, wrong: NDArray[np.bool_], values: Sequence[Any]) -> None:
    if wrong.any():
        raise ValueError(f"{name} that cannot be: {str(values[int(np.argmax(wrong))])[:80]}")


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"isBuyerMaker is {value!r}")
    return value


def _side(value: Any) -> bool:
    if value not in ("buy", "sell"):
        raise ValueError(f"side is {value!r}")
    return bool(value == "buy")


def _texts(values: Sequence[Any]) -> NDArray[np.object_]:
    return np.array([str(value) for value in values], np.object_)
