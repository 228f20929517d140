"""Rate of change."""

from __future__ import annotations

from strategies.indicators.base import Indicator, length_of


class Roc(Indicator):
    """The change over `length` steps, percent; 0 where the old value is 0, as TA-Lib has it.

    >>> roc = Roc(2)
    >>> [roc.update(x) for x in (100.0, 90.0, 150.0)]
    [None, None, 50.0]
    """

    def __init__(self, length: int) -> None:
        self.length = length_of(length)
        self.settings = ("roc", length)
        self.value: float | None = None
        self._ring: list[float] = []
        self._next = 0

    def update(self, x: float) -> float | None:
        """Take the next value; the change, None before `length` + 1 values."""
        ring = self._ring
        if len(ring) < self.length:
            ring.append(x)
            return None
        old, ring[self._next] = ring[self._next], x
        self._next = (self._next + 1) % self.length
        self.value = (x / old - 1.0) * 100.0 if old != 0.0 else 0.0
        return self.value
