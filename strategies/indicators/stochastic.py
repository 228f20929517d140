"""Stochastic oscillator, fast and slow."""

from __future__ import annotations

from typing import NamedTuple

from strategies.indicators.base import Indicator
from strategies.indicators.extremes import Highest, Lowest
from strategies.indicators.sma import Sma


class StochasticLines(NamedTuple):
    """Both 0 to 100.

    Attributes:
        k: where the close lies between lowest and highest, smoothed by `smooth`.
        d: the mean of `k` over `signal` bars.
    """

    k: float
    d: float


class Stochastic(Indicator):
    """Where the close lies in the range of the last `length` bars (Lane 1984); 0 where there is no range, as TA-Lib.

    `smooth` of 1 is the fast one (TA-Lib's STOCHF), of 3 the usual slow one (STOCH).

    >>> fast = Stochastic(2, 1, 1)
    >>> fast.update(3.0, 1.0, 2.0), fast.update(5.0, 2.0, 4.0)
    (None, StochasticLines(k=75.0, d=75.0))
    """

    def __init__(self, length: int = 14, smooth: int = 3, signal: int = 3) -> None:
        self.settings = ("stochastic", length, smooth, signal)
        self._highest, self._lowest = Highest(length), Lowest(length)
        self._k, self._d = Sma(smooth), Sma(signal)

    @property
    def value(self) -> StochasticLines | None:
        """The lines now; None before `length` + `smooth` + `signal` - 2 bars."""
        k, d = self._k.value, self._d.value
        return StochasticLines(k, d) if k is not None and d is not None else None

    def update(self, high: float, low: float, close: float) -> StochasticLines | None:
        """Take the next bar; the lines, None before `length` + `smooth` + `signal` - 2 bars."""
        highest, lowest = self._highest.update(high), self._lowest.update(low)
        if highest is None or lowest is None:
            return None
        share = (highest - lowest) / 100.0
        k = self._k.update((close - lowest) / share if share > 0.0 else 0.0)
        if k is not None:
            self._d.update(k)
        return self.value
