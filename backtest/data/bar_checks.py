"""Checks of bars as columns, each over the whole series at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from backtest.data.columns import PRICES, BarColumns, Flags, Floats, Ints
from backtest.data.coverage import Coverage
from backtest.data.findings import Found, runs
from backtest.data.table import counted
from core.contracts import timeframe_ns
from core.errors import ContractError

_ROUNDING = 1e-9
"""So much, relative to the price, a vwap may be outside its bar: it is a quotient of rounded sums."""
_MAD = 1.4826
"""Median absolute deviation times this is the standard deviation where values are normally distributed."""
_LEAST_SPREAD = 0.25
"""Logarithmic volumes that differ by less are taken as if they differed by so much."""
_LEAST = 4
"""A window of which less than this part is there says nothing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on something is worth looking at.

    Attributes:
        window: bars before a bar that tell what is usual, 8 or more.
        spike_z: standard deviations of the returns in the window, above 0.
        spike_move: a price that is nearer to the close before, as a share of it, is no spike.
        volume_z: deviations of the logarithm of the volume from its median in the window, above 0.
        flat_bars: equal closes, or bars without volume, one behind another, 2 or more.
    """

    window: int = 240
    spike_z: float = 15.0
    spike_move: float = 0.01
    volume_z: float = 7.0
    flat_bars: int = 15

    def __post_init__(self) -> None:
        least = {"window": 8, "spike_z": 1e-9, "spike_move": 0, "volume_z": 1e-9, "flat_bars": 2}
        for name, low in least.items():
            if not low <= getattr(self, name) < float("inf"):
                raise ContractError(f"Limits.{name} is {getattr(self, name)}; allowed: {low} or more")


def bar_findings(bars: BarColumns, limits: Limits, cover: Coverage) -> list[Found]:
    """Everything that can be seen in the bars of one series, the worst first."""
    if not len(bars):
        return [_gaps(cover)]
    step = timeframe_ns(bars.timeframe)
    neighbors = np.concatenate([[False], np.diff(bars.ts_open) == step])  # nothing is missing before this bar
    return [
        _impossible_prices(bars),
        _impossible_values(bars),
        _of(bars, "grid", bars.ts_open % step != 0, lambda at: f"{bars.ts_open[at] % step / 1e9:g} s behind its place"),
        _gaps(cover),
        _of(bars, "incomplete", ~bars.complete, lambda at: f"{bars.trade_count[at]} trades were heard"),
        _spikes(bars, limits, neighbors),
        _volumes(bars, limits),
        _flat(bars, limits, neighbors),
        _quiet(bars, limits, neighbors),
    ]


def _of(bars: BarColumns, kind: str, wrong: Flags, describe: Callable[[int], str]) -> Found:
    """A finding per bar; `describe` is told its place in the series."""
    places = np.flatnonzero(wrong)
    starts = bars.ts_open[places]
    step = timeframe_ns(bars.timeframe)
    return Found(kind, starts, starts + step, np.ones_like(places), lambda at: describe(int(places[at])))


def _stretches(bars: BarColumns, kind: str, of: tuple[Ints, Ints], describe: Callable[[int], str]) -> Found:
    """A finding per stretch of bars, given by the places of its first and behind its last."""
    firsts, ends = of
    step = timeframe_ns(bars.timeframe)
    return Found(
        kind,
        bars.ts_open[firsts],
        bars.ts_open[ends - 1] + step,
        ends - firsts,
        lambda at: describe(int(firsts[at])),
    )


def _impossible_prices(bars: BarColumns) -> Found:
    slack = bars.close * _ROUNDING
    wrong = bars.high < np.maximum(np.maximum(bars.open, bars.close), bars.low)
    wrong |= bars.low > np.minimum(bars.open, bars.close)
    wrong |= (bars.vwap > bars.high + slack) | (bars.vwap < bars.low - slack)  # false where it is NaN

    def describe(at: int) -> str:
        prices = ", ".join(f"{name} {float(getattr(bars, name)[at])!r}" for name in PRICES)
        return prices if np.isnan(bars.vwap[at]) else f"{prices}, vwap {float(bars.vwap[at])!r}"

    return _of(bars, "ohlc", wrong, describe)


def _impossible_values(bars: BarColumns) -> Found:
    above = {name: getattr(bars, name) for name in (*PRICES, "split_factor", "return_factor")}
    above["vwap"] = np.where(np.isnan(bars.vwap), 1.0, bars.vwap)
    bad = {name: ~((values > 0) & np.isfinite(values)) for name, values in above.items()}
    for name in ("volume", "turnover", "trade_count"):
        values = getattr(bars, name)
        bad[name] = ~((values >= 0) & np.isfinite(values))
    wrong = np.logical_or.reduce(list(bad.values()))

    def describe(at: int) -> str:
        return ", ".join(f"{name} {getattr(bars, name)[at].item()!r}" for name, where in bad.items() if where[at])

    return _of(bars, "value", wrong, describe)


def _gaps(cover: Coverage) -> Found:
    starts, ends, missing = (
        np.array([getattr(hole, name) for hole in cover.holes], np.int64) for name in ("start_ns", "end_ns", "missing")
    )
    return Found("gap", starts, ends, missing, lambda at: f"{counted(int(missing[at]), 'bar')} missing")


def _spikes(bars: BarColumns, limits: Limits, neighbors: Flags) -> Found:
    """Prices that are too far from the close before.

    With r[i] = ln(close[i] / close[i-1]), m and s the mean and the standard deviation (n in the denominator) of the w
    returns before bar i, and x[i] that of ln(high[i] / close[i-1]) and ln(low[i] / close[i-1]) which is farther from 0:
    z[i] = |x[i] - m| / s. The window ends before the bar, so a spike does not widen what it is measured by. Returns
    over a gap are left out, on both sides. Prices are taken with `split_factor`, so a known split is none. A spike
    right behind one in the other direction is its way back, and none of its own.
    """
    with np.errstate(all="ignore"):  # what is no price is found by another check
        before = np.concatenate([[np.nan], (bars.close * bars.split_factor)[:-1]])
        moves = np.log(bars.close * bars.split_factor / before)
        high, low = (np.log(price * bars.split_factor / before) for price in (bars.high, bars.low))
        farthest = np.where(np.abs(high) >= np.abs(low), high, low)
        usable = neighbors & np.isfinite(moves) & np.isfinite(farthest)
        count, total, squares = (
            _before(values, limits.window)
            for values in (usable.astype(float), np.where(usable, moves, 0.0), np.where(usable, moves, 0.0) ** 2)
        )
        mean = total / count
        z = np.abs(farthest - mean) / np.sqrt(np.maximum(squares / count - mean**2, 0.0))
        far = usable & (np.abs(np.expm1(farthest)) > limits.spike_move) & (count >= limits.window // _LEAST)
        wrong = far & (z > limits.spike_z)
    wrong[1:] &= ~(wrong[:-1] & ((farthest[1:] > 0) != (farthest[:-1] > 0)))

    def describe(at: int) -> str:
        price = bars.high[at] if farthest[at] > 0 else bars.low[at]
        return f"{price:g} is {np.expm1(farthest[at]):+.2%} from the close before, {z[at]:.0f} deviations"

    return _of(bars, "spike", wrong, describe)


def _before(values: Floats, window: int) -> Floats:
    """For each place, the sum over the `window` values before it, or as many as there are."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    return np.asarray(sums[places] - sums[np.maximum(places - window, 0)], np.float64)


def _volumes(bars: BarColumns, limits: Limits) -> Found:
    """Volumes that are too large.

    With v[i] = ln(volume[i]) of bars with volume, and med[i] the median of v over the w bars before i:
    z[i] = (v[i] - med[i]) / (1.4826 mad[i]), mad[i] being the median of |v[j] - med[j]| over those bars, at least 0.25.
    """
    import pandas as pd

    with np.errstate(all="ignore"):
        logs = pd.Series(np.where((bars.volume > 0) & np.isfinite(bars.volume), np.log(bars.volume), np.nan))
    least = limits.window // _LEAST
    usual = logs.rolling(limits.window, min_periods=least).median().shift(1)
    spread = (logs - usual).abs().rolling(limits.window, min_periods=least).median().shift(1)
    z = ((logs - usual) / (_MAD * spread.clip(lower=_LEAST_SPREAD))).to_numpy()
    usually = np.exp(usual.to_numpy())

    def describe(at: int) -> str:
        return f"{bars.volume[at]:g}, usual are {usually[at]:g}: {z[at]:.1f} deviations"

    return _of(bars, "volume", z > limits.volume_z, describe)


def _flat(bars: BarColumns, limits: Limits, neighbors: Flags) -> Found:
    same = neighbors & (bars.close == np.concatenate([[np.nan], bars.close[:-1]]))
    traded = bars.volume > 0
    firsts, ends = runs(same & traded & np.concatenate([[False], traded[:-1]]))
    firsts = firsts - 1  # the bar that the first one repeats
    long = ends - firsts >= limits.flat_bars
    return _stretches(bars, "flat", (firsts[long], ends[long]), lambda at: f"every close is {bars.close[at]:g}")


def _quiet(bars: BarColumns, limits: Limits, neighbors: Flags) -> Found:
    silent = bars.volume == 0
    firsts, ends = runs(silent)
    breaks = np.flatnonzero(silent & ~neighbors)  # behind a gap a new stretch begins
    firsts, ends = np.union1d(firsts, breaks), np.union1d(ends, breaks[~np.isin(breaks, firsts)])
    long = ends - firsts >= limits.flat_bars
    return _stretches(bars, "quiet", (firsts[long], ends[long]), lambda at: f"no volume, close {bars.close[at]:g}")
