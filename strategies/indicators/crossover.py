"""When one line crosses another."""

from __future__ import annotations

from strategies.indicators.base import Indicator

TIE = 1e-12
"""Relative distance below which two lines count as equal: the last bits of a mean are rounding, not opinion."""


class Crossover(Indicator):
    """Follows on which side of `b` the line `a` is; a touch that turns back is no cross.

    Attributes:
        side: 1 where `a` was last above `b`, -1 where below, 0 before they first differed.

    >>> cross = Crossover()
    >>> [cross.update(a, 10.0) for a in (9.0, 10.0, 9.0, 11.0, 12.0, 10.0, 9.0)]
    [0, 0, 0, 1, 0, 0, -1]
    """

    def __init__(self) -> None:
        self.settings = ("crossover",)
        self.side = 0

    def update(self, a: float, b: float) -> int:
        """Take both lines; 1 where `a` has just crossed above, -1 where below, else 0."""
        distance = a - b
        if abs(distance) <= TIE * max(abs(a), abs(b)):
            return 0
        before, self.side = self.side, 1 if distance > 0.0 else -1
        return self.side if before == -self.side else 0
