"""Standard deviation over a window, of a population (divided by the count, as TA-Lib does).

The textbook's mean of squares less square of the mean loses all digits where prices are large and moves are small. So
deviations are taken from a centre near the values, and centre and sums are made anew, exactly rounded, each time the
ring of values has come round: constant time on average, and no drift.
"""

from __future__ import annotations

from math import fsum, sqrt

from strategies.indicators.base import Indicator, length_of


class StdDev(Indicator):
    """The population standard deviation of the last `length` values; exactly 0 where all of them are equal.

    Attributes:
        mean: of the same values; None before there are enough.

    >>> deviation = StdDev(2)
    >>> [deviation.update(x) for x in (1.0, 3.0, 3.0)], deviation.mean
    ([None, 1.0, 0.0], 3.0)
    """

    def __init__(self, length: int) -> None:
        self.length = length_of(length)
        self.settings = ("stddev", length)
        self.value: float | None = None
        self.mean: float | None = None
        self._ring: list[float] = []
        self._next = 0
        self._centre = 0.0
        self._sum = 0.0
        self._squares = 0.0
        self._last = 0.0
        self._equal = 0
        """How many of the latest values are equal: rounding must not give a flat market a width."""

    def update(self, x: float) -> float | None:
        """Take the next value; the deviation in the values' unit, None before `length` values."""
        self._equal = self._equal + 1 if x == self._last else 1
        self._last = x
        if not self._take(x):
            return None
        if self._equal >= self.length:
            self.mean, self.value = x, 0.0
        else:
            self.mean = self._centre + self._sum / self.length
            variance = (self._squares - self._sum * self._sum / self.length) / self.length
            self.value = sqrt(variance) if variance > 0.0 else 0.0
        return self.value

    def _take(self, x: float) -> bool:
        ring = self._ring
        if len(ring) < self.length:
            ring.append(x)
            if len(ring) < self.length:
                return False
            self._recentre()
            return True
        old, new = ring[self._next] - self._centre, x - self._centre
        self._sum += new - old
        self._squares += (new - old) * (new + old)
        ring[self._next] = x
        self._next += 1
        if self._next == self.length:
            self._next = 0
            self._recentre()
        return True

    def _recentre(self) -> None:
        self._centre = fsum(self._ring) / self.length
        deviations = [x - self._centre for x in self._ring]
        self._sum = fsum(deviations)
        self._squares = fsum(d * d for d in deviations)
