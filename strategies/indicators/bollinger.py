"""Bollinger bands: the mean of a window, and some standard deviations to either side."""

from __future__ import annotations

from typing import NamedTuple

from strategies.indicators.base import Indicator
from strategies.indicators.stddev import StdDev


class Bands(NamedTuple):
    """Three prices.

    Attributes:
        lower: the mean less `width` deviations.
        middle: the mean.
        upper: the mean plus `width` deviations.
    """

    lower: float
    middle: float
    upper: float


class Bollinger(Indicator):
    """Bands over the last `length` values.

    >>> bands = Bollinger(2, 2.0)
    >>> bands.update(1.0), bands.update(3.0)
    (None, Bands(lower=0.0, middle=2.0, upper=4.0))
    """

    def __init__(self, length: int = 20, width: float = 2.0) -> None:
        """
        Args:
            length: how many values.
            width: standard deviations (of a population) from the middle to either band.
        """
        self.width = width
        self.settings = ("bollinger", length, width)
        self._deviation = StdDev(length)

    @property
    def value(self) -> Bands | None:
        """The bands now; None before `length` values."""
        middle, deviation = self._deviation.mean, self._deviation.value
        if middle is None or deviation is None:
            return None
        reach = self.width * deviation
        return Bands(middle - reach, middle, middle + reach)

    def update(self, x: float) -> Bands | None:
        """Take the next value; the bands, None before `length` values."""
        self._deviation.update(x)
        return self.value
