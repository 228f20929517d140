"""Aroon."""

from __future__ import annotations

from typing import NamedTuple

from strategies.indicators.base import Indicator, length_of
from strategies.indicators.extremes import Highest, Lowest


class AroonLines(NamedTuple):
    """Both 0 to 100.

    Attributes:
        down: 100 where the lowest low is the last one, 0 where it was `length` bars ago.
        up: the same of the highest high.
    """

    down: float
    up: float


class Aroon(Indicator):
    """How long ago the last extremes of `length` + 1 bars were (Chande 1995); of equal ones the latest counts.

    >>> aroon = Aroon(2)
    >>> [aroon.update(high, low) for high, low in ((3.0, 1.0), (5.0, 2.0), (4.0, 3.0))][-1]
    AroonLines(down=0.0, up=50.0)
    """

    def __init__(self, length: int = 14) -> None:
        self.length = length_of(length, least=2)
        self.settings = ("aroon", length)
        self._highest, self._lowest = Highest(length + 1), Lowest(length + 1)

    @property
    def value(self) -> AroonLines | None:
        """The lines now; None before `length` + 1 bars."""
        if self._highest.value is None:
            return None
        each = 100.0 / self.length
        return AroonLines(each * (self.length - self._lowest.age), each * (self.length - self._highest.age))

    def update(self, high: float, low: float) -> AroonLines | None:
        """Take the next bar; the lines, None before `length` + 1 bars."""
        self._highest.update(high)
        self._lowest.update(low)
        return self.value
