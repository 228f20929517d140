"""Where a feeder gets its events from: a source that is paced here, or a live one that has its own pace."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from core.contracts import Event
from core.market.source import PAUSE, Counts, Due, LiveSource, Pace, Source, Tails

FULL = 5000
"""Events of a live source that wait for their commit; then the socket waits. A few hundred bytes each."""


class Intake(Protocol):
    """What a feeder draws from."""

    @property
    def counts(self) -> Counts:
        """What the source has met."""
        ...

    @property
    def paced(self) -> bool:
        """Whether it comes at a speed of its own; otherwise services must be waited for."""
        ...

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""
        ...

    @property
    def folds_again(self) -> bool:
        """Whether every connection to the cell needs the tails anew."""
        ...

    def resume(self, tails: Tails) -> None:
        """Go on behind what was published; called before the first `running`."""

    def running(self, wake: asyncio.Event) -> AbstractAsyncContextManager[None]:
        """While a connection to the cell lasts; sets `wake` when something has come."""
        ...

    def gather(self, batch: list[Event], most: int) -> float:
        """Fill the batch with what is due; how long to wait for more, in seconds."""
        ...


class PacedIntake:
    """A source that gives everything at once, published when it is due."""

    folds_again = False

    def __init__(self, source: Callable[[], Source], speed: float | None) -> None:
        """
        Args:
            source: opens it; called at every recovery.
            speed: recorded seconds per second; None is as fast as the services take it.
        """
        self._open = source
        self._pace = Pace(speed)
        self._records: Iterator[Due] = iter(())
        self._waiting: Due | None = None
        self.paced = speed is not None
        self.finished = False
        self.counts = Counts()

    def resume(self, tails: Tails) -> None:
        """Open it behind what was published."""
        source = self._open()
        self.counts = source.counts
        self._records, self._waiting = iter(source.records(tails)), None

    @asynccontextmanager
    async def running(self, wake: asyncio.Event) -> AsyncIterator[None]:
        """It needs nobody to run it."""
        yield

    def gather(self, batch: list[Event], most: int) -> float:
        """Fill the batch with what is due."""
        while len(batch) < most:
            due = self._waiting or next(self._records, None)
            self._waiting = None
            if due is None:
                self.finished = True
                return 0.0
            if due is PAUSE:
                return 0.0
            delay_ns = self._pace.delay_ns(due.due_ns, time.monotonic_ns())
            if delay_ns > 0:
                self._waiting = due
                return delay_ns / 1e9
            batch += due.events
            if due.dead_letter is not None:
                batch.append(due.dead_letter)
        return 0.0


class LiveIntake:
    """A live source, run while there is a connection to the cell.

    What has not been committed when that connection is lost is forgotten: the next one goes on behind the tails, and
    the venue is asked for what came meanwhile. So no outage of the cell fills the memory.
    """

    folds_again = True
    paced = True
    finished = False

    def __init__(self, source: LiveSource) -> None:
        """
        Args:
            source: what runs.
        """
        self._source = source
        self._tails = Tails()
        self._outbox = Outbox(asyncio.Event())

    @property
    def counts(self) -> Counts:
        """What the source has met."""
        return self._source.counts

    def resume(self, tails: Tails) -> None:
        """Remember where to go on."""
        self._tails = tails

    @asynccontextmanager
    async def running(self, wake: asyncio.Event) -> AsyncIterator[None]:
        """Run the source; its failure shows in `gather`."""
        self._outbox = Outbox(wake)
        self._task = asyncio.create_task(self._source.run(self._tails, self._outbox))
        self._task.add_done_callback(lambda _: wake.set())
        try:
            yield
        finally:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)  # a cancel meanwhile goes on once that has ended
            if not self._task.cancelled():
                self._task.result()

    def gather(self, batch: list[Event], most: int) -> float:
        """Take what has come."""
        self._outbox.take(batch, most)
        if not batch and self._task.done():
            self._task.result()
        return 1.0


class Outbox:
    """Events on their way from a live source to a commit; see `core.market.source.Outlet`."""

    def __init__(self, wake: asyncio.Event) -> None:
        """
        Args:
            wake: is set when something has come.
        """
        self._events: deque[Event] = deque()
        self._wake = wake
        self._room = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether whoever fills it should wait."""
        return len(self._events) >= FULL

    def push(self, events: Iterable[Event]) -> None:
        """Add behind the others."""
        self._events.extend(events)
        self._wake.set()

    async def room(self) -> None:
        """Wait while it is full."""
        while self.full:
            self._room.clear()
            await self._room.wait()

    def take(self, batch: list[Event], most: int) -> None:
        """Move the oldest into a batch, until that holds `most`."""
        while self._events and len(batch) < most:
            batch.append(self._events.popleft())
        if not self.full:
            self._room.set()
