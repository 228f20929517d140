"""Williams's %R."""

from __future__ import annotations

from strategies.indicators.base import Indicator, length_of
from strategies.indicators.extremes import Highest, Lowest


class WilliamsR(Indicator):
    """How far the close is below the highest high, in percent of the range, -100 to 0; 0 where there is no range.

    Larry Williams, How I made one million dollars, 1973; TA-Lib's WILLR.

    >>> williams = WilliamsR(2)
    >>> williams.update(3.0, 1.0, 2.0), williams.update(5.0, 2.0, 4.0)
    (None, -25.0)
    """

    def __init__(self, length: int = 14) -> None:
        self.settings = ("williams_r", length)
        self.value: float | None = None
        self._highest, self._lowest = Highest(length_of(length, least=2)), Lowest(length)

    def update(self, high: float, low: float, close: float) -> float | None:
        """Take the next bar; the figure, None before `length` bars."""
        highest, lowest = self._highest.update(high), self._lowest.update(low)
        if highest is not None and lowest is not None:
            share = (highest - lowest) / -100.0
            self.value = (highest - close) / share if share < 0.0 else 0.0
        return self.value
