"""Runs a source: publishes what it gives, when that is due, in batches that are one commit each."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import structlog

from core import codec
from core.contracts import DeadLetter, Event, SessionStarted, Watermark
from core.market.source import TAIL_LENGTHS, Tails
from core.runner import Message, item_of
from core.runtime.committer import Committer
from core.runtime.intake import Intake
from core.runtime.status import Status
from core.sequencer.port import Cell
from core.sequencer.records import Lease
from core.topics import INGEST, TOPIC_OF_EVENT

BATCH = 100
SLEEP_MAX_S = 0.2
LAG_EVERY = 1000
STATE_EVERY_S = 1.0

log = structlog.get_logger()


class Feeder:
    """The driver of a source."""

    def __init__(
        self,
        cell: Cell,
        intake: Intake,
        committer: Committer,
        *,
        symbol: str,
        status: Status,
        lag_max: int,
    ) -> None:
        """
        Args:
            cell: the connection.
            intake: what is published.
            committer: its commits.
            symbol: of which market.
            status: what it says of itself.
            lag_max: an unpaced source waits while any service is more events behind the last watermark than this.
        """
        self._cell, self._intake, self._committer, self._status = cell, intake, committer, status
        self._symbol, self._lag_max = symbol, lag_max
        self._batch: list[Event] = []
        self._stopping = self._current = False
        self._since_look = self._marked = 0
        self._state_due = 0.0
        self._wake = asyncio.Event()

    @property
    def last_seen(self) -> Message | None:
        """A source reads nothing."""
        return None

    def stop(self) -> None:
        """Commit what is at hand and leave."""
        self._stopping = True
        self._wake.set()

    def reload(self) -> None:
        """A source has no configuration that could change."""

    def nudge(self) -> None:
        """Nothing waits for the clock but the pace, which wakes by itself."""

    async def recover(self, lease: Lease, seq: int) -> None:
        """Go on behind what was published: fold the newest events of the own topics."""
        replayed = await self._fold()
        started = SessionStarted(self._committer.instance, self._committer.host, replayed, False)
        await self._commit([started])
        log.info("recovered", trades=replayed, seq=seq)

    async def _fold(self) -> int:
        """Hand the newest published events to the intake; how many trades there were."""
        tails = await self._tails()
        self._intake.resume(tails)
        self._status.counts = self._intake.counts
        self._batch, self._current = [], True
        return len(tails.trades)

    async def _tails(self) -> Tails:
        events: list[Event] = []
        for kind, length in TAIL_LENGTHS.items():
            topic = TOPIC_OF_EVENT[kind]
            name = topic.name.format(symbol=self._symbol, instance=self._committer.instance)
            for line in await self._cell.tail(name, length):
                if codec.header_of(line).src == self._committer.instance:
                    events.append(codec.decode(line, topic.event))
        return Tails.of(events)

    async def live(self) -> None:
        """Publish until the source ends or `stop` was called."""
        if self._intake.folds_again and not self._current:
            await self._fold()
        self._status.enter("live")
        self._current = False
        async with self._intake.running(self._wake):
            while not self._stopping and not self._intake.finished:
                self._wake.clear()
                delay_s = self._intake.gather(self._batch, BATCH)
                if self._batch:
                    batch, self._batch = self._batch, []
                    self._report(batch)
                    await self._commit(batch)
                    await self._let_them_catch_up(len(batch))
                elif not self._intake.finished:
                    await self._sleep(delay_s)
        await self._commit([])

    def _report(self, batch: list[Event]) -> None:
        for event in batch:
            if isinstance(event, DeadLetter):
                self._status.dead_letters += 1
                log.warning("dead_letter", topic=event.topic, error=event.error)

    async def _commit(self, events: list[Event]) -> None:
        now = time.monotonic()
        state = b"{}" if now >= self._state_due or not events else None
        if state is not None:
            # The position of a source is its own last line, and its empty memory says that it needs no older one.
            self._committer.in_seq, self._state_due = self._committer.seen, now + STATE_EVERY_S
        await self._committer.commit([item_of(event) for event in events], state)
        for before_last, event in enumerate(reversed(events)):
            if isinstance(event, Watermark):
                self._marked = self._committer.seen - before_last
                break
        self._status.seq, self._status.commits = self._committer.seen, self._committer.commits

    async def _let_them_catch_up(self, published: int) -> None:
        """At full speed, go no faster than the slowest service.

        Measured from the last watermark, which every service hears: by what it does not hear nobody moves on.
        """
        self._since_look += published
        if self._intake.paced or self._since_look < LAG_EVERY:
            return
        self._since_look = 0
        while not self._stopping:
            positions = await self._cell.held_positions()
            services = [seq for name, seq in positions.items() if not name.startswith(INGEST + ".")]
            behind = self._marked - min(services, default=self._marked)
            if behind <= self._lag_max:
                return
            await self._sleep(0.002)

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not past a `stop`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, SLEEP_MAX_S)):
                await self._wake.wait()
