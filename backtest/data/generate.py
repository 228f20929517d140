"""Bars of a market that never was, with the habits of real ones: for tests, demonstrations and stress.

Shocks of volatility that fade (GARCH(1,1), Bollerslev 1986), trends that come and go, volume that stays high where it
was high and follows volatility, prices on the venue's grid, a path inside each bar. Every number is invented: no result
over them says anything about a market.

The same settings give the same bytes on every machine. So randomness is SHAKE-128 over the seed: numpy promises only
the raw words of its generators, and its normal numbers may change with a version (NEP 19). And arithmetic is plus,
minus, times, divide and square root alone, which IEEE 754 rounds one way; logarithms, exponentials and sums over whole
arrays depend on the processor. Normal numbers are sums of uniform ones, as in `core.market.synthetic_path`; the tails
come from GARCH.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from hashlib import shake_128
from itertools import accumulate
from math import isfinite, sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backtest.data.columns import BarColumns, Floats, Ints
from core.contracts import timeframe_ns
from core.contracts.moments import DAY_NS
from core.errors import ContractError

Model = Literal["gbm", "ou"]
MODELS: tuple[Model, ...] = ("gbm", "ou")
BARS_MAX = 5_000_000
"""Of one call: nine years of minutes."""

_YEAR_NS = 365 * 86_400_000_000_000
_LN_2 = 0.6931471805599453
_SQRT_3 = 1.7320508075688772

_SHOCK, _MEMORY = 0.08, 0.90  # GARCH: weight of the last squared return and of the last variance
_HEAT_MAX = 50.0  # most that the variance may be of its mean
_MOVE_MAX = 0.5  # of one bar
_REGIME_BARS = 240  # mean length of a trend
_BUSTLE = 0.97  # autocorrelation of the part of volume that has nothing to do with prices
_STEPS = 6  # of the path inside a bar
_WORD = 65_536  # randomness comes in words of two bytes


@dataclass(frozen=True, kw_only=True)
class Market:
    """What is invented.

    Attributes:
        symbol: ccxt unified symbol; the same seed gives each symbol a market of its own.
        timeframe: of the bars.
        seed: another one gives another market.
        model: "gbm" is a geometric Brownian motion, dS = S (drift dt + volatility dW). "ou" is one that is pulled back
            to its first price as in an Ornstein-Uhlenbeck process, dS = pull (first - S) dt + volatility S dW.
        volatility: standard deviation of the returns of bars, per square root of a year, 0 or more; 0.8 is 80 %.
        drift: mean return per year.
        trend: drift of a trend per bar, as a share of a bar's standard deviation. Trends go up, down or nowhere, for
            some 240 bars; they make returns of longer spans wider than those of bars.
        half_life_days: of "ou": after so long half of the distance to the first price is gone.
        price: the first one, quote units.
        volume: mean per bar, base units.
        tick: smallest step of a price, quote units.
        lot: smallest step of a volume, base units.
    """

    symbol: str
    timeframe: str
    seed: int
    model: Model = "gbm"
    volatility: float = 0.8
    drift: float = 0.0
    trend: float = 0.03
    half_life_days: float = 1.0
    price: float = 100.0
    volume: float = 1000.0
    tick: Decimal = Decimal("0.01")
    lot: Decimal = Decimal("0.001")

    def __post_init__(self) -> None:
        timeframe_ns(self.timeframe)
        if self.model not in MODELS:
            raise ContractError(f"model is {self.model!r}; allowed: {', '.join(MODELS)}")
        for name in ("volatility", "drift", "trend", "half_life_days", "price", "volume", "tick", "lot"):
            value = float(getattr(self, name))
            low = {"drift": -float("inf"), "volatility": 0.0, "trend": 0.0}.get(name, 5e-324)
            if not isfinite(value) or value < low:
                allowed = "above 0" if low > 0 else "0 or more" if low == 0 else "a finite number"
                raise ContractError(f"{name} is {getattr(self, name)}; allowed: {allowed}")
        if self.price < self.tick:
            raise ContractError(f"price is {self.price}; allowed: the tick, {self.tick}, or more")


def generate(market: Market, start_ns: int, end_ns: int) -> BarColumns:
    """The bars that open in `[start_ns, end_ns)`, on the wall clock, without a gap; each opens at the close before it.

    A later end adds bars and changes none. Vwap, turnover and trade counts are not known.

    Raises:
        ContractError: there would be more than `BARS_MAX`.
    """
    length = timeframe_ns(market.timeframe)
    first = -(-start_ns // length)
    number = max(0, -(-end_ns // length) - first)
    if number > BARS_MAX:
        raise ContractError(f"{number} bars of {market.timeframe} are asked for; allowed: {BARS_MAX} at once")
    sigma = market.volatility * sqrt(length / _YEAR_NS)
    shocks = _normals(market, "returns", number)
    heat = _heat(shocks)
    free = _path(market, sigma, shocks * np.sqrt(heat))
    ends = np.maximum(_grid(free, market.tick), 1.0)
    opens, closes = ends[:-1], ends[1:]
    inside = _inside(market, free[:-1] * sigma * np.sqrt(heat), (free[:-1], free[1:]))
    highs = np.maximum(np.maximum(opens, closes), inside.max(axis=1, initial=1.0))
    lows = np.minimum(np.minimum(opens, closes), inside.min(axis=1, initial=float("inf")))
    prices = {"open": opens, "high": highs, "low": lows, "close": closes}
    arrays: dict[str, Any] = {name: _values(steps, market.tick) for name, steps in prices.items()}
    arrays["ts_open"] = (first + np.arange(number, dtype=np.int64)) * length
    arrays["volume"] = _volume(market, heat)
    return BarColumns.of(market.symbol, market.timeframe, arrays)


def _words(market: Market, purpose: str, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Random words of 16 bits; a stream of its own for each purpose, of which more is a continuation."""
    key = f"{market.seed}:{market.symbol}:{market.timeframe}:{purpose}"
    number = int(np.prod(shape))
    return np.frombuffer(shake_128(key.encode()).digest(2 * number), "<u2").astype(np.uint16).reshape(shape)


def _normals(market: Market, purpose: str, number: int) -> Floats:
    """Of mean 0 and deviation 1: twelve uniform numbers, whose variance together is 1; whole numbers until the end."""
    sums = _words(market, purpose, (number, 12)).sum(axis=1, dtype=np.int64)
    made: Floats = (sums - 6 * (_WORD - 1)) / _WORD
    return made


def _heat(shocks: Floats) -> Floats:
    """Variance of each bar over its mean: high where the return before was large, and for a while."""
    factors = (_SHOCK * np.square(shocks) + _MEMORY).tolist()
    rest = 1.0 - _SHOCK - _MEMORY
    heats = accumulate(factors, lambda heat, factor: min(_HEAT_MAX, rest + heat * factor), initial=1.0)
    return np.fromiter(heats, np.float64)[: len(shocks)]


def _path(market: Market, sigma: float, shocks: Floats) -> Floats:
    """Prices at the start and at the end of each bar, not yet on the grid."""
    number, length = len(shocks), timeframe_ns(market.timeframe)
    moves = sigma * shocks + market.drift * (length / _YEAR_NS) + market.trend * sigma * _directions(market, number)
    pull = min(1.0, _LN_2 * length / (market.half_life_days * DAY_NS)) if market.model == "ou" else 0.0
    goal, least = market.price, float(market.tick)

    def step(price: float, move: float) -> float:
        change = move + pull * (goal / price - 1.0)
        return max(least, price * (1.0 + max(-_MOVE_MAX, min(_MOVE_MAX, change))))

    return np.fromiter(accumulate(moves.tolist(), step, initial=goal), np.float64, count=number + 1)


def _directions(market: Market, number: int) -> Ints:
    """Of the trend in each bar: 1, 0 or -1; it changes at random."""
    words = _words(market, "trends", (number, 2))
    changes = words[:, 0] < _WORD // _REGIME_BARS
    since = np.maximum.accumulate(np.where(changes, np.arange(number), 0))
    directions: Ints = words[since, 1].astype(np.int64) % 3 - 1
    return directions


def _inside(market: Market, deviations: Floats, ends: tuple[Floats, Floats]) -> Floats:
    """Prices on the way from open to close, in ticks: a bridge, a random path that is led back to where it must end."""
    number = len(deviations)
    words = _words(market, "inside", (number, _STEPS, 4)).sum(axis=2, dtype=np.int64)
    walk = np.add.accumulate((words - 2 * (_WORD - 1)) * (_SQRT_3 / _WORD), axis=1)
    share = np.arange(1, _STEPS) / _STEPS
    bridge = (walk[:, :-1] - share * walk[:, -1:]) * (1.0 / sqrt(_STEPS))
    start, end = ends[0][:, None], ends[1][:, None]
    return np.maximum(_grid(start + (end - start) * share + deviations[:, None] * bridge, market.tick), 1.0)


def _volume(market: Market, heat: Floats) -> Floats:
    """Half of it follows volatility, half a crowd that comes and goes slowly; all of it is rough."""
    words = _words(market, "volume", (len(heat), 2)) / _WORD
    crowd = 3.0 * np.square(words[:, 0])  # of mean 1
    fresh = ((1.0 - _BUSTLE) * crowd).tolist()
    bustle = np.fromiter(accumulate(fresh, lambda last, new: _BUSTLE * last + new, initial=1.0), np.float64)[1:]
    wanted = market.volume * (0.5 * bustle + 0.5 * heat) * (0.5 + words[:, 1])
    return _values(np.maximum(_grid(wanted, market.lot), 1.0), market.lot)


def _grid(numbers: Floats, step: Decimal) -> Floats:
    """The nearest whole number of steps."""
    return np.rint(numbers / float(step))


def _values(steps: Floats, step: Decimal) -> Floats:
    """The floats nearest to so many steps: whole numbers over a power of ten are rounded once."""
    _, digits, exponent = step.as_tuple()
    whole = int("".join(map(str, digits)))
    places = int(exponent)
    return steps * whole / 10.0**-places if places < 0 else steps * whole * 10.0**places
