"""Longer bars out of columns of shorter ones: the arithmetic of the live ones, for a year at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.data.columns import BarColumns, Flags, Floats, Ints
from backtest.data.sums import RunSums, run_sums
from core.contracts import iso, timeframe_ns
from core.errors import ContractError
from core.market.amounts import mean_price
from core.market.resample import Incomplete, bars_per

Places = NDArray[np.intp]


def resample(columns: BarColumns, timeframe: str, *, incomplete: Incomplete = "keep") -> BarColumns:
    """Bars of a longer timeframe, aligned to the UTC day: to the last bit what `core.market.resample.resampled` gives.

    A bar is complete only if all of its source bars are there and complete; so a market that closes at night has no
    complete days. Bars that have the timeframe already are given as they are.

    Args:
        columns: of the shorter timeframe.
        timeframe: of the result.
        incomplete: "keep" or "drop" the bars that are not complete.

    Raises:
        ContractError: the timeframe is shorter or no whole number of source bars; one of them reaches over the end of a
            bar, or has other factors than those before it in one.
    """
    number = bars_per(columns.timeframe, timeframe)
    if number > 1:
        columns = _longer(columns, timeframe, number)
    return columns if incomplete == "keep" else columns[columns.complete]


def _longer(columns: BarColumns, timeframe: str, number: int) -> BarColumns:
    length = timeframe_ns(timeframe)
    opens = columns.ts_open - columns.ts_open % length
    fresh = np.ones(len(opens), np.bool_)
    fresh[1:] = opens[1:] != opens[:-1]
    starts = np.flatnonzero(fresh)
    _check(columns, fresh, opens + length)
    prices = _Prices.of(columns, fresh, starts)
    volume, turnover = run_sums(columns.volume, starts), run_sums(columns.turnover, starts)
    counts = np.diff(np.append(starts, len(opens)))
    arrays: dict[str, Any] = {
        "ts_open": opens[starts],
        "open": prices.open,
        "high": prices.high,
        "low": prices.low,
        "close": prices.close,
        "volume": volume.values,
        "vwap": _vwap(columns, starts, prices, (volume, turnover)),
        "turnover": turnover.values,
        "trade_count": _runs(np.add, columns.trade_count, starts),
        "complete": _runs(np.logical_and, columns.complete, starts) & (counts == number),
        "split_factor": columns.split_factor[starts],
        "return_factor": columns.return_factor[starts],
    }
    return BarColumns.of(columns.symbol, timeframe, arrays, asset_class=columns.asset_class, currency=columns.currency)


def _check(columns: BarColumns, fresh: Flags, ends: Ints) -> None:
    """Refuse source bars that cannot become parts of longer ones."""
    if (over := np.flatnonzero(columns.ts_close > ends)).size:
        raise _refused(columns, int(over[0]), "reaches over the end of a longer bar")
    for factors in (columns.split_factor, columns.return_factor):
        changes = np.flatnonzero((factors[1:] != factors[:-1]) & ~fresh[1:])
        if changes.size:
            place = int(changes[0]) + 1
            raise _refused(columns, place, "has other factors than those before it in one bar; adjust the prices first")


def _refused(columns: BarColumns, place: int, what: str) -> ContractError:
    when = iso(int(columns.ts_open[place]))
    return ContractError(f"bar of {columns.symbol} {columns.timeframe} at {when} {what}")


def _runs(how: np.ufunc, values: NDArray[Any], starts: Places) -> NDArray[Any]:
    """Each run taken together; `reduceat` alone refuses to take none."""
    return how.reduceat(values, starts) if len(starts) else values


@dataclass(frozen=True, eq=False)
class _Prices:
    """Of each longer bar."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats

    @classmethod
    def of(cls, columns: BarColumns, fresh: Flags, starts: Places) -> _Prices:
        """Those of the source bars with a volume; of all where none in the longer bar has one."""
        traded = columns.volume > 0
        runs = np.cumsum(fresh) - 1
        counted = np.flatnonzero(traded | ~_runs(np.logical_or, traded, starts)[runs])
        firsts = np.searchsorted(runs[counted], np.arange(len(starts)))
        lasts = np.append(firsts[1:], len(counted))[: len(starts)] - 1
        return cls(
            columns.open[counted][firsts],
            _runs(np.maximum, columns.high[counted], firsts),
            _runs(np.minimum, columns.low[counted], firsts),
            columns.close[counted][lasts],
        )


def _vwap(columns: BarColumns, starts: Places, prices: _Prices, sums: tuple[RunSums, RunSums]) -> Floats:
    """Where the mean price of each source bar with a volume is known; NaN elsewhere."""
    volume, turnover = sums
    known = _runs(np.logical_and, ~np.isnan(columns.vwap) | (columns.volume == 0), starts)
    made = np.full(len(starts), np.nan)
    for run in np.flatnonzero(known & (volume.values > 0)).tolist():
        low, high = float(prices.low[run]), float(prices.high[run])
        made[run] = mean_price(turnover.exact(run), volume.exact(run), low, high)
    return made
