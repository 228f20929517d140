"""Commodity channel index."""

from __future__ import annotations

from strategies.indicators.base import Indicator, length_of, typical_price
from strategies.indicators.sums import WindowSum
from strategies.indicators.window import Window


class Cci(Indicator):
    """How many mean deviations the typical price is away from its mean, divided by 0.015 (Lambert 1980).

    The deviations are taken from a mean that moves, so every update looks at the whole window: its cost grows with
    `length`. Exactly 0 where all typical prices of the window are equal; TA-Lib may say +-66.67 there, its rounding.

    >>> cci = Cci(2)
    >>> cci.update(3.0, 1.0, 2.0), cci.update(6.0, 4.0, 5.0)
    (None, 66.66666666666667)
    """

    def __init__(self, length: int = 14) -> None:
        self.length = length_of(length, least=2)
        self.settings = ("cci", length)
        self.value: float | None = None
        self._window, self._sum = Window(length), WindowSum(length)

    def update(self, high: float, low: float, close: float) -> float | None:
        """Take the next bar; the index, None before `length` bars."""
        price = typical_price(high, low, close)
        self._window.push(price)
        total = self._sum.update(price)
        if total is not None:
            self.value = self._index(price, total / self.length)
        return self.value

    def _index(self, price: float, mean: float) -> float:
        values = self._window.values
        if values.count(price) == self.length:
            return 0.0
        deviation = sum([abs(x - mean) for x in values]) / self.length
        return (price - mean) / (0.015 * deviation)
