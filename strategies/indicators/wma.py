"""Linearly weighted moving average."""

from __future__ import annotations

from math import fsum

from strategies.indicators.base import Indicator, length_of


class Wma(Indicator):
    """A mean of the last `length` values that weighs the oldest with 1, the next with 2, the latest with `length`.

    Both running sums are made anew, exactly rounded, each time the ring of values has come round, as those of `Sma`.

    >>> wma = Wma(2)
    >>> [wma.update(x) for x in (3.0, 6.0, 0.0)]
    [None, 5.0, 2.0]
    """

    def __init__(self, length: int) -> None:
        self.length = length_of(length)
        self.settings = ("wma", length)
        self.value: float | None = None
        self._ring: list[float] = []
        self._next = 0
        self._sum = 0.0
        self._weighted = 0.0

    def update(self, x: float) -> float | None:
        """Take the next value; the average, None before `length` values."""
        ring = self._ring
        if len(ring) < self.length:
            ring.append(x)
            if len(ring) < self.length:
                return None
            self._sum_up()
        else:
            self._weighted += self.length * x - self._sum  # every weight falls by one, the newcomer has the largest
            self._sum += x - ring[self._next]
            ring[self._next] = x
            self._next += 1
            if self._next == self.length:
                self._next = 0
                self._sum_up()
        self.value = self._weighted / (self.length * (self.length + 1) / 2)
        return self.value

    def _sum_up(self) -> None:
        self._sum = fsum(self._ring)
        self._weighted = fsum(weight * x for weight, x in enumerate(self._ring, 1))
