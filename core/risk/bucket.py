"""A token bucket in whole numbers: however finely its refills are cut, it holds exactly the same."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE_NS = 60_000_000_000
TOKEN = MINUTE_NS
"""Level of one token: a bucket of `cap_per_min` gains `cap_per_min` of level in every nanosecond."""


@dataclass(slots=True)
class Bucket:
    """So many orders at once, and so many more per minute.

    Attributes:
        cap_per_min: capacity in tokens, and the tokens gained in a minute; 1 or more.
        level: what it holds, in units of 1/`TOKEN` of a token; from 0 to full.
        at_ns: until when it has been refilled, ns; None before the first refill, which sets only this.
    """

    cap_per_min: int
    level: int
    at_ns: int | None = None

    @classmethod
    def full(cls, cap_per_min: int) -> Bucket:
        """A bucket that has seen no order."""
        return cls(cap_per_min, cap_per_min * TOKEN)

    @property
    def tokens(self) -> int:
        """How many orders may pass now."""
        return self.level // TOKEN

    def refill(self, now_ns: int) -> None:
        """Add what has dripped in until `now_ns`; a time before the last one adds nothing.

        >>> bucket = Bucket(cap_per_min=2, level=0, at_ns=0)
        >>> bucket.refill(30_000_000_000)
        >>> bucket.tokens
        1
        """
        if self.at_ns is None:
            self.at_ns = now_ns
        elif now_ns > self.at_ns:
            gained = (now_ns - self.at_ns) * self.cap_per_min
            self.level = min(self.cap_per_min * TOKEN, self.level + gained)
            self.at_ns = now_ns

    def take(self) -> bool:
        """Take one token; False, and nothing taken, where there is none."""
        if self.level < TOKEN:
            return False
        self.level -= TOKEN
        return True
