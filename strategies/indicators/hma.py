"""Hull's moving average."""

from __future__ import annotations

from math import isqrt

from strategies.indicators.base import Indicator, length_of
from strategies.indicators.wma import Wma


class Hma(Indicator):
    """WMA(2 WMA(length / 2) - WMA(length)) over the square root of the length, both rounded down.

    Alan Hull, How to reduce lag in a moving average, 2005 (alanhull.com/hull-moving-average).

    >>> hma = Hma(4)
    >>> [hma.update(x) for x in (1.0, 2.0, 3.0, 4.0, 5.0)][-1]
    5.0
    """

    def __init__(self, length: int) -> None:
        self.settings = ("hma", length)
        self.value: float | None = None
        self._whole = Wma(length_of(length, least=2))
        self._half, self._root = Wma(length // 2), Wma(isqrt(length))

    def update(self, x: float) -> float | None:
        """Take the next value; the average, None before `length` + isqrt(`length`) - 1 values."""
        half, whole = self._half.update(x), self._whole.update(x)
        if half is not None and whole is not None:
            self.value = self._root.update(2.0 * half - whole)
        return self.value
