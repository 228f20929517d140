"""Bars added to bars, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.data.columns import ARRAYS, DEFAULTS, PRICES, BarColumns
from backtest.data.merging import Conflict, Decided, Matched, decide, same_values, spelled
from backtest.data.parsing import Arrays, shown
from backtest.data.series import SeriesName
from core.contracts.moments import iso
from core.errors import JournalError

_SHOWN = (*PRICES, "volume")
_MAY_BE_UNKNOWN = ("vwap", "turnover", "trade_count")


def merge_bars(old: BarColumns, new: BarColumns, conflict: Conflict) -> tuple[BarColumns, Decided]:
    """Both together, and what was decided.

    Raises:
        DataError: bars of one time differ and `conflict` is "refuse".
        ConfigError: `conflict` is none.
    """
    matched = _match(old, new)

    def named(row: int) -> str:
        was, now = (
            [getattr(columns, name)[at].item() for name in _SHOWN]
            for columns, at in ((old, matched.old[row]), (new, row))
        )
        return spelled(int(new.ts_open[row]), was, now)

    decided = decide(matched, conflict, named)
    stays = np.ones(len(old), np.bool_)
    stays[decided.drop] = False
    taken, kept = new[decided.take], old[stays]
    order = np.argsort(np.concatenate((kept.ts_open, taken.ts_open)), kind="stable")
    arrays = {name: np.concatenate((getattr(kept, name), getattr(taken, name)))[order] for name in ARRAYS}
    merged = BarColumns.of(
        new.symbol, new.timeframe, arrays, asset_class=new.asset_class, currency=new.currency
    )  # fmt: skip
    return merged, decided


def joined(parts: Sequence[Arrays]) -> Arrays:
    """The columns of several files, one file's behind the other's."""
    if not parts:
        empty = BarColumns.empty("-", "1m")
        return {name: getattr(empty, name) for name in ARRAYS}
    return {name: np.concatenate([part[name] for part in parts]) for name in ARRAYS}


def in_order(series: SeriesName, arrays: Arrays) -> Arrays:
    """Rising by time; what several files say alike is there once.

    Raises:
        JournalError: they say different things of one moment.
    """
    opens = arrays["ts_open"]
    if (np.diff(opens) > 0).all():
        return arrays
    order = np.argsort(opens, kind="stable")
    ordered = {name: array[order] for name, array in arrays.items()}
    again = np.flatnonzero(np.diff(ordered["ts_open"]) == 0) + 1
    equal = same_bars(ordered, again - 1, again)
    if not equal.all():
        row = int(again[int(np.argmin(equal))])
        raise JournalError(
            f"{series.journal}: two files hold different {series} of {iso(int(ordered['ts_open'][row]))}: "
            f"{shown(ordered, row - 1)}, and {shown(ordered, row)}"
        )
    keep = np.ones(len(opens), np.bool_)
    keep[again] = False
    return {name: array[keep] for name, array in ordered.items()}


def same_bars(arrays: dict[str, Any], first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which pairs of rows are equal in every column.

    Args:
        arrays: columns by name.
        first: rows.
        second: as many rows, each compared with the one of `first`.
    """
    equal = np.ones(len(first), np.bool_)
    for array in arrays.values():
        equal &= same_values(array[first], array[second])
    return equal


def _match(old: BarColumns, new: BarColumns) -> Matched:
    if not len(old):
        nothing = np.zeros(len(new), np.bool_)
        return Matched(np.full(len(new), -1, np.int64), nothing, nothing)
    at = np.searchsorted(old.ts_open, new.ts_open)
    at[at == len(old)] = 0
    agrees = np.ones(len(new), np.bool_)
    equal = np.ones(len(new), np.bool_)
    for name in ARRAYS:
        was, now = getattr(old, name)[at], getattr(new, name)
        same = same_values(was, now)
        equal &= same
        if name in _MAY_BE_UNKNOWN:
            unknown = np.full(len(new), DEFAULTS[name], now.dtype)
            same = same | same_values(was, unknown) | same_values(now, unknown)
        agrees &= same
    there = old.ts_open[at] == new.ts_open
    return Matched(np.where(there, at, -1), agrees, equal)
