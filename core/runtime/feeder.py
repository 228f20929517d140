"""Runs a source: publishes what it gives, when that is due, in batches that are one commit each."""

from __future__ import annotations

import structlog

from core import codec
from core.contracts import DeadLetter, Event, SessionStarted
from core.market.source import TAIL_LENGTHS, Tails
from core.runner import item_of
from core.runtime.committer import Committer
from core.runtime.intake import Intake
from core.runtime.publishing import BATCH, Publishing
from core.runtime.status import Status
from core.sequencer.port import Cell
from core.sequencer.records import Lease
from core.topics import TOPIC_OF_EVENT

log = structlog.get_logger()


class Feeder(Publishing):
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
        super().__init__(cell, committer, status=status, lag_max=lag_max)
        self._intake = intake
        self._symbol = symbol
        self._batch: list[Event] = []
        self._current = False

    async def recover(self, lease: Lease, seq: int) -> None:
        """Go on behind what was published: fold the newest events of the own topics."""
        replayed = await self._fold()
        started = SessionStarted(self._committer.instance, self._committer.host, replayed, False)
        await self._publish([item_of(started)])
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
                    await self._publish([item_of(event) for event in batch])
                    if not self._intake.paced:
                        await self._let_them_catch_up(len(batch))
                elif not self._intake.finished:
                    await self._sleep(delay_s)
        await self._publish([])

    def _report(self, batch: list[Event]) -> None:
        for event in batch:
            if isinstance(event, DeadLetter):
                self._status.dead_letters += 1
                log.warning("dead_letter", topic=event.topic, error=event.error)
