"""How much a client may ask: request weights per minute, and what becomes of one that asks on."""

from __future__ import annotations

from typing import NamedTuple

NS_PER_S = 1_000_000_000
NS_PER_MINUTE = 60_000_000_000
BAN_AFTER = 10
"""Requests beyond the limit within a minute that make it a ban."""
BAN_S = 120


class Verdict(NamedTuple):
    """What the limit says to a request.

    Attributes:
        used: weight of this minute, this request included.
        status: 200, 429 or 418.
        retry_after_s: how long to stay away; 0 where it is allowed.
    """

    used: int
    status: int
    retry_after_s: int


class Weights:
    """The used weight of the current minute of the wall clock."""

    def __init__(self, limit: int) -> None:
        """
        Args:
            limit: weight per minute, above 0.
        """
        self.limit = limit
        self._minute = -1
        self._used = self._refused = 0
        self._banned_until_ns = 0

    def charge(self, weight: int, wall_ns: int) -> Verdict:
        """Count a request; who goes on asking when the minute's weight is used up is banned for two minutes."""
        minute = wall_ns // NS_PER_MINUTE
        if minute != self._minute:
            self._minute, self._used, self._refused = minute, 0, 0
        if wall_ns < self._banned_until_ns:
            return Verdict(self._used, 418, _seconds(self._banned_until_ns - wall_ns))
        if self._used + weight <= self.limit:
            self._used += weight
            return Verdict(self._used, 200, 0)
        self._refused += 1
        if self._refused > BAN_AFTER:
            self._banned_until_ns = wall_ns + BAN_S * NS_PER_S
            return Verdict(self._used, 418, BAN_S)
        return Verdict(self._used, 429, _seconds((minute + 1) * NS_PER_MINUTE - wall_ns))


def _seconds(ns: int) -> int:
    return -(-ns // NS_PER_S)
