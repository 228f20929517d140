"""The length of bars, by how far apart they are."""

from __future__ import annotations

import numpy as np

from backtest.data.columns import Ints
from backtest.data.importing.rows import Rows
from core.contracts import timeframe_ns
from core.contracts.moments import iso
from core.errors import ContractError, DataError

_UNITS = (("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000))
_RUN = 20
"""So many bars one behind the other, all the same multiple of the length apart, are bars of another length."""


def timeframe_of(rows: Rows, ts_ns: Ints, times: str) -> tuple[str, str]:
    """The time frame of bars, and why.

    Args:
        rows: for errors and the option; rising by time.
        ts_ns: opening times, strictly rising, ns UTC.
        times: how they were read, for errors.

    Raises:
        DataError: there is none, it is not the one that was asked for, or there are several.
    """
    asked = rows.options.timeframe
    source = rows.table.head.source
    if not asked and (named := _named(rows)):
        _require_grid(rows, ts_ns, named)
        return named, f"as {rows.label('timeframe')} says"
    if len(ts_ns) < 2:
        if not asked:
            raise DataError(f"{source} has one bar, whose length cannot be told; --timeframe 1m|1h|1d ... decides")
        _require_grid(rows, ts_ns, asked)
        return asked, "as --timeframe says"
    steps, counts = np.unique(np.diff(ts_ns), return_counts=True)
    usual = int(steps[np.argmax(counts)])
    share = counts.max() / counts.sum()
    found = _name(usual)
    if asked and int(np.gcd.reduce(steps)) == timeframe_ns(asked):  # rare trades leave holes everywhere
        found, usual = asked, timeframe_ns(asked)
        share = counts[steps == usual].sum() / counts.sum()
    if not found:
        raise DataError(
            f"{source}: bars are {_spelled(usual)} apart, most often, their times read as {times}; "
            "allowed: 1s to 1d, dividing the day; --time-unit decides where the unit is wrong"
        )
    if asked and found != asked:
        raise DataError(f"{source}: bars are {found} apart, most often; --timeframe is {asked}")
    _require_grid(rows, ts_ns, found)
    _require_one(rows, ts_ns, usual)
    return found, f"{share:.1%} of the bars are {found} apart"


def _named(rows: Rows) -> str:
    """The time frame that a column names for all rows; empty where it is none, or there is no such column."""
    names = set(rows.texts("timeframe")) if rows.has("timeframe") else set()
    return _valid(names.pop()) if len(names) == 1 else ""


def _require_grid(rows: Rows, ts_ns: Ints, timeframe: str) -> None:
    length = timeframe_ns(timeframe)
    off = ts_ns % length != 0
    if off.any():
        row = int(np.argmax(off))
        raise DataError(
            f"{rows.place(row)}: no bar of {timeframe} begins at {iso(int(ts_ns[row]))}, counted from midnight UTC, as "
            f"{int(off.sum())} of {len(off)} rows say. The file mixes time frames, or --timeframe or --timezone decides"
        )


def _require_one(rows: Rows, ts_ns: Ints, length: int) -> None:
    """Raises DataError: somewhere many bars in a row are the same multiple of the length apart."""
    steps = np.diff(ts_ns)
    wide = steps > length
    same = np.concatenate(([False], (steps[1:] == steps[:-1]) & wide[1:]))
    ends = np.flatnonzero(~same)
    runs = np.diff(np.append(ends, len(same)))
    if runs.max(initial=0) >= _RUN:
        start = int(ends[int(np.argmax(runs))])
        other = _spelled(int(steps[start]))
        raise DataError(
            f"{rows.place(start)}: from {iso(int(ts_ns[start]))} on, {int(runs.max())} bars are {other} apart, the "
            f"rest mostly {_spelled(length)}: the file mixes time frames; split it"
        )


def _name(step: int) -> str:
    """The time frame of a length; empty if it is none.

    >>> _name(3_600_000_000_000), _name(7 * 86_400_000_000_000)
    ('1h', '')
    """
    return _valid(_spelled(step))


def _valid(text: str) -> str:
    try:
        timeframe_ns(text)
    except ContractError:
        return ""
    return text


def _spelled(step: int) -> str:
    for unit, length in _UNITS:
        if step % length == 0:
            return f"{step // length}{unit}"
    return f"{step / 1_000_000_000:g} s"
