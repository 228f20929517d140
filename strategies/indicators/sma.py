"""Simple moving average.

A running sum that is only added to and subtracted from drifts for ever. This one is summed anew, exactly rounded, each
time the ring of values has come round: once per `length` updates, so the cost stays constant on average and
the error stays that of `length` additions. It is `fsum`, because the built-in `sum` rounds differently from one Python
version to the next.
"""

from __future__ import annotations

from math import fsum

from strategies.indicators.base import Indicator, length_of


class Sma(Indicator):
    """The mean of the last `length` values.

    >>> sma = Sma(2)
    >>> [sma.update(x) for x in (1.0, 2.0, 4.0)]
    [None, 1.5, 3.0]
    """

    def __init__(self, length: int) -> None:
        self.length = length_of(length)
        self.settings = ("sma", length)
        self.value: float | None = None
        self._ring: list[float] = []
        self._next = 0
        self._sum = 0.0

    def update(self, x: float) -> float | None:
        """Take the next value; the mean, None before `length` values."""
        ring = self._ring
        if len(ring) < self.length:
            ring.append(x)
            if len(ring) < self.length:
                return None
            self._sum = fsum(ring)
        else:
            place = self._next
            self._sum += x - ring[place]
            ring[place] = x
            self._next = place + 1
            if self._next == self.length:
                self._next = 0
                self._sum = fsum(ring)
        self.value = self._sum / self.length
        return self.value
