"""A table as bars: in order, each once, every price possible, all of one length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from backtest.data.bar_merge import same_bars
from backtest.data.columns import ARRAYS, DEFAULTS, PRICES, BarColumns, Flags
from backtest.data.importing.options import Problem
from backtest.data.importing.rows import Rows
from backtest.data.importing.spacing import timeframe_of
from backtest.data.parsing import Arrays, bad_bars, shown
from core.contracts import quote_of, timeframe_ns
from core.contracts.moments import iso
from core.errors import DataError

_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


@dataclass(frozen=True, slots=True)
class ReadBars:
    """Bars, and how they were found.

    Attributes:
        columns: the bars.
        times: how their times were read.
        length: how their time frame was found.
    """

    columns: BarColumns
    times: str
    length: str


def read_bars(rows: Rows) -> ReadBars:
    """The bars of a table.

    Raises:
        DataError: rows are wrong, times cannot be read, or lengths are mixed; names file, line, column and value.
    """
    times = rows.times()
    arrays: Arrays = {"ts_open": times.ns, **{name: _column(rows, name) for name in ARRAYS if name != "ts_open"}}
    wrong = _note_wrong(rows, arrays)
    good = rows.without_problems(wrong)
    arrays = {name: array[good] for name, array in arrays.items()}
    rows.keep(good)
    if not len(rows):
        raise DataError(f"{rows.table.head.source}: no row is left: {'; '.join(rows.skipped()[:3])}")
    arrays = _without_doubles(rows, _sorted(rows, arrays))
    timeframe, why = timeframe_of(rows, arrays["ts_open"], times.said)
    _require_timeframe(rows, timeframe)
    arrays = _finished(rows, arrays, timeframe)
    asset_class = _word(rows, "asset_class") or rows.options.asset_class
    currency = _word(rows, "currency") or quote_of(rows.options.symbol)
    columns = BarColumns.of(rows.options.symbol, timeframe, arrays, asset_class=asset_class, currency=currency)
    return ReadBars(columns, times.said, why)


def _column(rows: Rows, name: str) -> Any:
    size = len(rows)
    if name == "complete":
        return np.array(_flags(rows), np.bool_) if rows.has(name) else np.ones(size, np.bool_)
    if not rows.has(name):
        if name == "volume":
            rows.notes.append("there is no column of volumes: they are 0")
        return np.full(size, DEFAULTS.get(name, 1.0))
    if name == "vwap":  # may be empty: it is not known where nothing traded
        before = len(rows.problems)
        values = rows.numbers(name)
        del rows.problems[before:]
        return values
    values = rows.numbers(name)
    return np.where(np.isfinite(values), values, 0).astype(np.int64) if name == "trade_count" else values


def _flags(rows: Rows) -> list[bool]:
    flags = []
    for row, text in enumerate(rows.texts("complete")):
        if text.lower() not in (*_TRUE, *_FALSE):
            rows.problems.append(
                Problem(int(rows.sheet.lines[row]), f"{rows.label('complete')} is {text!r}; allowed: true or false")
            )
        flags.append(text.lower() in _TRUE)
    return flags


def _note_wrong(rows: Rows, arrays: Arrays) -> Flags:
    """Rows that no bar can be; those that are known to be wrong already are not told again."""
    wrong = bad_bars(arrays)
    known = {problem.line for problem in rows.problems}
    for row in np.flatnonzero(wrong).tolist():
        line = int(rows.sheet.lines[row])
        if line not in known:
            rows.problems.append(Problem(line, f"{shown(arrays, row)}; allowed: {_broken_rule(arrays, row)}"))
    return wrong


def _broken_rule(arrays: Arrays, row: int) -> str:
    low, high = arrays["low"][row], arrays["high"][row]
    if min(arrays[name][row] for name in PRICES) <= 0:
        return "prices above 0"
    for name in ("open", "close"):
        if not low <= arrays[name][row] <= high:
            return f"{name} from low to high"
    return "a volume and a turnover of 0 or more, a vwap and factors above 0"


def _sorted(rows: Rows, arrays: Arrays) -> Arrays:
    steps = np.diff(arrays["ts_open"])
    if (steps >= 0).all():
        return arrays
    newest_first = bool((steps <= 0).all())
    rows.notes.append("newest first in the file: turned round" if newest_first else "not in order of time: sorted")
    order = np.argsort(arrays["ts_open"], kind="stable")
    rows.reorder(order)
    return {name: array[order] for name, array in arrays.items()}


def _without_doubles(rows: Rows, arrays: Arrays) -> Arrays:
    """Each moment once.

    Raises:
        DataError: two rows say different things of one moment.
    """
    again = np.flatnonzero(np.diff(arrays["ts_open"]) == 0) + 1
    if not len(again):
        return arrays
    equal = same_bars(arrays, again - 1, again)
    if not equal.all():
        row = int(again[int(np.argmin(equal))])
        lines = " and ".join(str(rows.sheet.lines[each]) for each in (row - 1, row))
        raise DataError(
            f"{rows.table.head.source}, {rows.sheet.word}s {lines} are both {iso(int(arrays['ts_open'][row]))}: "
            f"{shown(arrays, row - 1)}, and {shown(arrays, row)}; {int((~equal).sum())} such pairs"
        )
    rows.notes.append(f"{len(again)} rows are there twice, the same: taken once")
    keep = np.ones(len(arrays["ts_open"]), np.bool_)
    keep[again] = False
    rows.keep(keep)
    return {name: array[keep] for name, array in arrays.items()}


def _finished(rows: Rows, arrays: Arrays, timeframe: str) -> Arrays:
    """Without the bars that are not over yet: what they say will change."""
    over = arrays["ts_open"] + timeframe_ns(timeframe) <= rows.options.now_ns
    if over.all():
        return arrays
    rows.notes.append(f"{int((~over).sum())} bars are not over yet: left out")
    return {name: array[over] for name, array in arrays.items()}


def _require_timeframe(rows: Rows, timeframe: str) -> None:
    if rows.has("timeframe") and (others := set(rows.texts("timeframe")) - {timeframe}):
        raise DataError(f"{rows.table.head.source}: {rows.label('timeframe')} says {sorted(others)}, not {timeframe}")


def _word(rows: Rows, role: str) -> str:
    words = set(rows.texts(role)) if rows.has(role) else set()
    if len(words) > 1:
        raise DataError(f"{rows.table.head.source}: {rows.label(role)} has {sorted(words)}; allowed: one for all rows")
    return next(iter(words), "")
