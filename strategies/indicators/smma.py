"""Smoothed moving average, also called Wilder's or RMA."""

from __future__ import annotations

from math import fsum

from strategies.indicators.base import Indicator, length_of


class Smma(Indicator):
    """A mean that weighs the latest value with 1 / length and the past with the rest; starts as a simple mean.

    J. Welles Wilder, New Concepts in Technical Trading Systems, 1978; TA-Lib's RMA.

    >>> smma = Smma(2)
    >>> [smma.update(x) for x in (1.0, 3.0, 6.0)]
    [None, 2.0, 4.0]
    """

    def __init__(self, length: int) -> None:
        self.length = length_of(length)
        self.settings = ("smma", length)
        self.value: float | None = None
        self._first: list[float] = []

    def update(self, x: float) -> float | None:
        """Take the next value; the average, None before `length` values."""
        if self.value is not None:
            self.value = (self.value * (self.length - 1) + x) / self.length
            return self.value
        self._first.append(x)
        if len(self._first) == self.length:
            self.value = fsum(self._first) / self.length
            self._first = []
        return self.value
