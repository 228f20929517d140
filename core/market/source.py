"""What a shell needs from a source of market data: what to publish, when, and where it goes on after a restart."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from core.contracts import BookEvent, DeadLetter, Event, TickerEvent, TradeEvent, Watermark

TAIL_LENGTHS: dict[type[Event], int] = {TradeEvent: 1024, BookEvent: 2, TickerEvent: 1, Watermark: 1, DeadLetter: 64}
"""How many of the newest published events of each type a source needs to go on exactly; fewer if there are fewer.

In the order of the fields of Tails."""


@dataclass(frozen=True, slots=True)
class Tails:
    """The newest published events of one symbol, oldest first: all that a source remembers.

    Attributes:
        trades: the newest 1,024, twice the window of ids.
        books: the newest 2.
        tickers: the newest.
        watermarks: the newest.
        dead_letters: the newest 64 of this instance.
    """

    trades: tuple[TradeEvent, ...] = ()
    books: tuple[BookEvent, ...] = ()
    tickers: tuple[TickerEvent, ...] = ()
    watermarks: tuple[Watermark, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()

    @classmethod
    def of(cls, events: Iterable[Event]) -> Tails:
        """Keep what matters of published events; each type's must be in the order of publishing."""
        newest = {kind: deque[Any](maxlen=length) for kind, length in TAIL_LENGTHS.items()}
        for event in events:
            if (tail := newest.get(type(event))) is not None:
                tail.append(event)
        return cls(*map(tuple, newest.values()))


class Due(NamedTuple):
    """What one message leads to, to be committed in order.

    Attributes:
        due_ns: when it was received, ns UTC of the recording or of the synthetic market; what pacing goes by.
        events: to be published; may be cut anywhere between two commits.
        dead_letter: a message that could not be read, to be published instead.
    """

    due_ns: int
    events: tuple[Event, ...]
    dead_letter: DeadLetter | None = None


PAUSE = Due(0, ())
"""Nothing to publish and nothing to wait for: a source that is skipping what was published gives way to others."""


@dataclass(slots=True)
class Counts:
    """What a source has met since it was started.

    Attributes:
        published: records that led to events.
        duplicates: records that had been published before, by this process or an earlier one.
        late_trades: trades older than a watermark that had gone before them; published all the same.
        ignored: messages of other symbols or of a kind that is not used.
        broken: messages that could not be read.
        back_filled: trades that were missed on a live stream and asked for afterwards.
        gaps: holes in the trades that nothing could fill.
        reconnects: how often a live stream had to be dialed again.
        troubles: requests to a live venue that failed.
        trouble: why a live venue brings nothing, in one line; empty while data come.
    """

    published: int = 0
    duplicates: int = 0
    late_trades: int = 0
    ignored: int = 0
    broken: int = 0
    back_filled: int = 0
    gaps: int = 0
    reconnects: int = 0
    troubles: int = 0
    trouble: str = ""


class Source(Protocol):
    """Where market data comes from."""

    @property
    def counts(self) -> Counts:
        """What it has met so far."""
        ...

    def records(self, resume: Tails) -> Iterator[Due]:
        """Everything that comes behind what was published, in an order that never changes.

        Whatever the moment of a kill, what was published and what comes out behind its tails are together what an
        undisturbed run publishes. To be called once per source.

        Raises:
            ConfigError: the source cannot be read, or is not the one that the tails come from.
        """
        ...


class Outlet(Protocol):
    """Where a live source puts what is to be published, in order."""

    @property
    def full(self) -> bool:
        """Whether it should wait for `room` before it goes on reading."""
        ...

    def push(self, events: Iterable[Event]) -> None:
        """Hand over what is to be published next; never waits."""

    async def room(self) -> None:
        """Wait while it is full."""


class LiveSource(Protocol):
    """Market data as it happens."""

    @property
    def counts(self) -> Counts:
        """What it has met so far, over all runs."""
        ...

    async def run(self, resume: Tails, outlet: Outlet) -> None:
        """Go on behind what was published, until canceled; may be run again afterwards.

        Raises:
            ConfigError: the venue is not the one that the tails come from.
        """


class Pace:
    """When to publish on the wall clock what was received at a time of the recording.

    Every delay is reckoned from the first call, so that errors do not add up; a process that resumes in
    the middle starts its pace there.

    >>> pace = Pace(10)
    >>> pace.delay_ns(5_000, now_ns=70), pace.delay_ns(7_000, now_ns=90)
    (0, 180)
    """

    def __init__(self, speed: float | None) -> None:
        """
        Args:
            speed: recorded seconds per second of the wall clock, above 0; None is as fast as possible.

        Raises:
            ValueError: not above 0, or not finite.
        """
        if speed is not None and not 0 < speed < float("inf"):
            raise ValueError(f"speed is {speed!r}; allowed: a number above 0, or none for as fast as possible")
        self._speed = speed
        self._origin: tuple[int, int] | None = None

    def delay_ns(self, due_ns: int, now_ns: int) -> int:
        """How long to wait, in ns of the wall clock; 0 if it is due or overdue.

        Args:
            due_ns: when it was received, time of the recording.
            now_ns: the wall clock or, better, a monotonic one; the same one in every call.
        """
        if self._speed is None:
            return 0
        if self._origin is None:
            self._origin = (due_ns, now_ns)
        first_due_ns, first_now_ns = self._origin
        elapsed_ns = int((due_ns - first_due_ns) / self._speed)
        return max(0, first_now_ns + elapsed_ns - now_ns)
