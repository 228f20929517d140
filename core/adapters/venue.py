"""What a live source needs of a venue, whatever client speaks to it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from core.errors import ConfigError, NjordError
from core.market.live_trades import Missing
from core.market.records import DepthRecord, Newest, Record, TradeRecord

BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.2, 30.0
REASON_MAX = 200
"""Letters of a reason; it is part of the health of a process."""


class VenueTrouble(NjordError):
    """The venue did not answer, or not with what was asked for: worth trying again."""


class VenueRefused(NjordError):
    """The venue does not do this, and will not when it is asked again."""


def backoff_s(failures: int) -> float:
    """How long to wait after so many failures in a row; the first retry is at once.

    >>> [backoff_s(failures) for failures in (0, 1, 2, 3, 9, 1000)]
    [0.0, 0.0, 0.2, 0.4, 25.6, 30.0]
    """
    if failures < 2:
        return 0.0
    return min(BACKOFF_FIRST_S * 2.0 ** min(failures - 2, 16), BACKOFF_MAX_S)


def one_line(reason: str) -> str:
    """The beginning of a reason, fit to be shown on a terminal: a venue may answer with pages, and with anything.

    >>> one_line("502 <html>\\n  bad\\x1b[2J gateway")
    '502 <html> bad [2J gateway'
    """
    shown = "".join(letter if letter.isprintable() else " " for letter in reason[:1000])
    return " ".join(shown.split())[:REASON_MAX]


def server_of(endpoint: str) -> SplitResult:
    """The parts of an address that names a server and nothing else.

    Raises:
        ConfigError: it is none.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
        raise ConfigError(f"--endpoint is {endpoint!r}; allowed: such as http://127.0.0.1:8090")
    return parts


class Ban:
    """Until when a venue wants to hear nothing; every request of the process waits for it."""

    def __init__(self) -> None:
        self._until = 0.0

    def impose(self, seconds: float) -> None:
        """No request for so long from now; a longer ban that is in force stays."""
        self._until = max(self._until, time.monotonic() + seconds)

    @property
    def left_s(self) -> float:
        """How long it still lasts."""
        return max(0.0, self._until - time.monotonic())


def retry_after_s(status: int, header: str | None) -> float:
    """How long a 429 or a 418 asks to be left alone; where it does not say, as long as such bans usually last.

    >>> retry_after_s(429, "7"), retry_after_s(429, None), retry_after_s(418, "soon")
    (7.0, 10.0, 120.0)
    """
    if header is not None and header.isdecimal():
        return float(header)
    return 120.0 if status == 418 else 10.0


class Ear(Protocol):
    """Who hears what a stream says."""

    @property
    def full(self) -> bool:
        """Whether to wait for `room` before reading on."""
        ...

    def hear(self, record: Record | None) -> None:
        """A message: a record, or None for one that says nothing here."""

    def broken(self, place: str, error: str, raw: bytes) -> None:
        """A message that could not be read."""

    async def room(self) -> None:
        """Wait until there is room for more."""


class Venue(Protocol):
    """A client of one venue, shared by all symbols of a process.

    Every request raises VenueTrouble or VenueRefused; ConfigError where the venue has no such market.
    """

    @property
    def contiguous(self) -> bool:
        """Whether trades are numbered 1, 2, 3 without leaving any out."""
        ...

    @property
    def keeps_book(self) -> bool:
        """Whether its stream gives whole books; otherwise deltas, which need a snapshot to join."""
        ...

    @property
    def ban(self) -> Ban:
        """Its word that it wants to hear nothing."""
        ...

    async def open(self) -> None:
        """One more user; the first one makes the client."""

    async def close(self) -> None:
        """One user less; the last one lets go of the client."""

    async def listen(self, symbol: str, ear: Ear) -> None:
        """Dial, and hand over what comes until the connection ends, which raises VenueTrouble."""

    async def trades(self, symbol: str, missing: Missing) -> Sequence[TradeRecord]:
        """Past trades, from the first missing one on, as many as one request gives."""
        ...

    async def newest(self, symbol: str) -> Newest | None:
        """The newest trade; None if there is none."""
        ...

    async def book(self, symbol: str, levels: int) -> DepthRecord | None:
        """The book now; None where the client keeps it by itself and its ids cannot be compared."""
        ...

    async def time_ns(self) -> int | None:
        """The venue's time, ns UTC; None where it does not tell."""
        ...
