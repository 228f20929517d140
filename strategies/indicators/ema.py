"""Exponential moving average, started from the mean of the first `length` values as TA-Lib starts it."""

from __future__ import annotations

from math import fsum

from strategies.indicators.base import Indicator, length_of


class Ema(Indicator):
    """A mean that weighs the latest value with 2 / (length + 1) and the past with the rest.

    >>> ema = Ema(3)
    >>> [ema.update(x) for x in (1.0, 2.0, 3.0, 6.0)]
    [None, None, 2.0, 4.0]
    """

    def __init__(self, length: int) -> None:
        self.length = length_of(length)
        self.settings = ("ema", length)
        self.value: float | None = None
        self._first: list[float] = []

    def update(self, x: float) -> float | None:
        """Take the next value; the average, None before `length` values."""
        if self.value is not None:
            self.value = (x - self.value) * (2.0 / (self.length + 1)) + self.value
            return self.value
        self._first.append(x)
        if len(self._first) == self.length:
            self.value = fsum(self._first) / self.length
            self._first = []
        return self.value
