"""The simulated exchange's time: it runs with the wall clock, at its own speed, from a moment that may lie behind."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class VirtualClock:
    """Market time as a function of the wall clock; the same one before and behind a restart.

    Attributes:
        first_ns: market time at the start, ns UTC.
        started_ns: the wall clock then, ns UTC.
        speed: market seconds per second of the wall clock, above 0.
    """

    first_ns: int
    started_ns: int
    speed: float

    def market_ns(self, wall_ns: int) -> int:
        """The market's time at a moment of the wall clock; before the start it stands at its beginning.

        >>> VirtualClock(first_ns=1_000, started_ns=50, speed=10.0).market_ns(70)
        1200
        """
        elapsed = max(0, wall_ns - self.started_ns)
        return self.first_ns + int(elapsed * Fraction(self.speed))

    def wait_ns(self, market_ns: int, wall_ns: int) -> int:
        """How long the wall clock takes to reach a market time; 0 or less once it has."""
        return self.started_ns + int((market_ns - self.first_ns) / Fraction(self.speed)) - wall_ns
