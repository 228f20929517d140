"""Sums that stay exact: over a window by additions alone, and over everything with the lost digits kept.

A running sum that values are subtracted from keeps the rounding of what has left it; where all that is left is zero, it
would divide by dust. A running sum without an end loses the small values behind the large total.
"""

from __future__ import annotations

from itertools import accumulate

from strategies.indicators.base import Indicator, length_of


class WindowSum(Indicator):
    """The sum of the last `length` values; exactly 0 where all of them are.

    The values come in blocks of `length`. When a block is full, the sums of its last one, two, three ... values are
    made at once; the window is then always one of these and what has come of the next block.

    >>> total = WindowSum(2)
    >>> [total.update(x) for x in (1.0, 2.0, 4.0)]
    [None, 3.0, 6.0]
    """

    def __init__(self, length: int) -> None:
        self.length = length_of(length)
        self.settings = ("windowsum", length)
        self.value: float | None = None
        self._block: list[float] = []
        self._sum = 0.0
        self._ends: list[float] = []
        """Sums of the last values of the block before, the shortest first."""

    def update(self, x: float) -> float | None:
        """Take the next value; the sum, None before `length` values."""
        self._block.append(x)
        self._sum += x
        if len(self._block) == self.length:
            self.value = self._sum
            self._ends = list(accumulate(reversed(self._block[1:])))
            self._block, self._sum = [], 0.0
        elif self._ends:
            self.value = self._ends.pop() + self._sum
        return self.value


class Total(Indicator):
    """The sum of all values so far, with what each addition loses kept beside it (Neumaier 1974).

    >>> total = Total()
    >>> [total.update(x) for x in (1.0, 1e100, 1.0, -1e100)][-1]
    2.0
    """

    def __init__(self) -> None:
        self.settings = ("total",)
        self._sum = 0.0
        self._lost = 0.0

    @property
    def value(self) -> float:
        """The sum now; 0 before the first value."""
        return self._sum + self._lost

    def update(self, x: float) -> float:
        """Take the next value; the sum."""
        before = self._sum
        self._sum = before + x
        large, small = (before, x) if abs(before) >= abs(x) else (x, before)
        self._lost += (large - self._sum) + small
        return self.value
