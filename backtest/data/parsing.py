"""Lines of one journal file as columns, checked as columns: what reading a year of bars costs is decided here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.data.columns import ARRAYS, DTYPES, PRICES
from backtest.data.trades import TRADE_ARRAYS, TradeColumns
from core.codec import decode_rows
from core.contracts import Event, OHLCVBar, TradeEvent, timeframe_ns
from core.contracts.moments import iso
from core.errors import CodecError, JournalError
from core.journal_lines import LineReader

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class FileBars:
    """What one file holds of one series.

    Attributes:
        arrays: by column name, of one length, `ts_open` strictly rising.
        others: how many lines are of another series.
        asset_class: of the last bar; empty where there is none.
        currency: of the last bar; empty where it names none.
    """

    arrays: Arrays
    others: int
    asset_class: str
    currency: str


def file_bars(path: Path, symbol: str, timeframe: str) -> FileBars:
    """The bars of one series in one file, plain or gzip; a torn last line is left out.

    Raises:
        FileNotFoundError: it is not there.
        JournalError: a line is no bar, or bars do not rise by time; names file, line and value.
    """
    every = file_rows(path, OHLCVBar)
    rows = [row for row in every if row.symbol == symbol and row.timeframe == timeframe]
    arrays = {name: _array(name, [getattr(row, name) for row in rows]) for name in (*ARRAYS, "ts_close")}
    if rows:
        _require_bars(arrays, timeframe, path, every, rows)
    del arrays["ts_close"]
    last = rows[-1] if rows else None
    return FileBars(arrays, len(every) - len(rows), last.asset_class if last else "", last.currency if last else "")


def file_trades(path: Path, symbol: str) -> tuple[TradeColumns, int]:
    """The trades of a symbol in one file, oldest first, and how many lines are of others.

    Raises:
        FileNotFoundError: it is not there.
        JournalError: a line is no trade; names file, line and value.
    """
    with LineReader(path) as reader:
        return trades_of(reader, symbol)


def trades_of(reader: LineReader, symbol: str) -> tuple[TradeColumns, int]:
    """As `file_trades`, of a file that is open.

    Raises:
        JournalError: a line is no trade; names file, line and value.
    """
    every = _rows_of(reader, TradeEvent)
    rows = [row for row in every if row.symbol == symbol]
    arrays: Arrays = {
        "ts": np.array([row.ts for row in rows], np.int64),
        "price": np.array([row.price for row in rows], np.float64),
        "qty": np.array([row.qty for row in rows], np.float64),
        "buy": np.array([row.side == "buy" for row in rows], np.bool_),
        "trade_id": np.array([row.trade_id for row in rows], np.object_),
    }
    bad = ~((arrays["price"] > 0) & (arrays["qty"] > 0))
    if bad.any():
        wrong = rows[int(np.argmax(bad))]
        where = f"{reader.path}, line {_line_of(wrong, every)}"
        raise JournalError(f"{where}: price {wrong.price!r}, qty {wrong.qty!r}; allowed: above 0")
    order = np.argsort(arrays["ts"], kind="stable")
    return TradeColumns.of(symbol, {name: arrays[name][order] for name in TRADE_ARRAYS}), len(every) - len(rows)


def file_rows(path: Path, event: type[Event]) -> list[Any]:
    """Every whole line of a file as a record that has the fields of an event and none of its checks.

    Raises:
        FileNotFoundError: it is not there.
        JournalError: it cannot be read, or a line is none; names file and line.
    """
    with LineReader(path) as reader:
        return _rows_of(reader, event)


def _rows_of(reader: LineReader, event: type[Event]) -> list[Any]:
    rows: list[Any] = []
    for block in reader.blocks():
        try:
            rows += decode_rows(block, event)
        except CodecError:
            raise _broken(reader.path, block, len(rows), event) from None
    return rows


def bad_bars(arrays: Arrays) -> NDArray[np.bool_]:
    """Which bars no event may hold: prices above 0, low <= open, close <= high, amounts 0 or more, all finite."""
    low, high = arrays["low"], arrays["high"]
    good = (low > 0) & (high < np.inf)
    for name in ("open", "close"):
        good &= (low <= arrays[name]) & (arrays[name] <= high)
    for name in ("volume", "turnover"):
        good &= (arrays[name] >= 0) & (arrays[name] < np.inf)
    for name in ("split_factor", "return_factor"):
        good &= (arrays[name] > 0) & (arrays[name] < np.inf)
    vwap = arrays["vwap"]
    return ~(good & (np.isnan(vwap) | ((vwap > 0) & (vwap < np.inf))))


def shown(arrays: Arrays, row: int) -> str:
    """A bar in an error: its prices and volume.

    >>> shown({name: np.array([1.5]) for name in (*PRICES, "volume")}, 0)
    'open 1.5, high 1.5, low 1.5, close 1.5, volume 1.5'
    """
    return ", ".join(f"{name} {arrays[name][row].item()!r}" for name in (*PRICES, "volume"))


def _array(name: str, values: list[Any]) -> NDArray[Any]:
    if name == "vwap":
        return np.array([np.nan if value is None else value for value in values], np.float64)
    return np.array(values, np.int64 if name == "ts_close" else DTYPES.get(name, np.float64))


def _require_bars(arrays: Arrays, timeframe: str, path: Path, every: list[Any], rows: list[Any]) -> None:
    """Raises JournalError: what is wrong first, with its line."""
    opens = arrays["ts_open"]
    problems = (
        (bad_bars(arrays), "allowed: finite, above 0, low <= open, close <= high, volume 0 or more"),
        (arrays["ts_close"] - opens != timeframe_ns(timeframe), f"its ts_close is not {timeframe} behind its ts_open"),
        (np.diff(opens, prepend=opens[0] - 1) <= 0, "its time is not behind that of the bar before"),
    )
    for wrong, allowed in problems:
        if wrong.any():
            row = int(np.argmax(wrong))
            where = f"{path}, line {_line_of(rows[row], every)}: bar of {iso(int(opens[row]))}"
            raise JournalError(f"{where}: {shown(arrays, row)}; {allowed}")


def _line_of(row: Any, every: list[Any]) -> int:
    return next(number for number, each in enumerate(every, 1) if each is row)


def _broken(path: Path, block: bytes, before: int, event: type[Event]) -> JournalError:
    """Which line of a block is no such record, and why."""
    for number, line in enumerate(block.splitlines(keepends=True), before + 1):
        try:
            if not decode_rows(line, event):
                raise CodecError(f"no {event.__name__}: the line is empty")
        except CodecError as error:
            return JournalError(f"{path}, line {number}: {error}")
    return JournalError(f"{path}: line {before + 1} or one of those behind it is no {event.__name__}")
