"""Runs a replay: publishes recorded lines as they stand, when they are due, and goes on behind them after a restart."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import structlog

from core import codec, topics
from core.contracts import ConfigChanged, SessionStarted, Watermark
from core.contracts.moments import iso
from core.errors import CellInUse, DataError
from core.handler import Content
from core.market.replay import Line
from core.market.source import Counts, Pace
from core.runner import Item, item_of
from core.runtime.committer import Committer
from core.runtime.publishing import BATCH, Publishing
from core.runtime.status import Status
from core.sequencer.port import Cell
from core.sequencer.records import Lease
from core.source_code import LoadedCode

TAIL = 1000
"""So many of a channel's newest lines tell apart those that are alike; a stream always keeps more."""
PROGRESS_S = 10.0
"""How often somebody who waits is told how far it is, seconds."""
SKIP = 5000
"""Lines that are passed by in one go when what was published is looked for; some milliseconds."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Program:
    """What is to be replayed.

    Attributes:
        content: says which data that are, as JSON values; the same content always has the same lines.
        lines: gives them from the first one on; called at every recovery.
        channels: where data go.
        symbols: of which markets.
        start_ns: no line is due earlier, ns UTC.
    """

    content: Content
    lines: Callable[[], Iterator[Line]]
    channels: Sequence[str]
    symbols: Sequence[str]
    start_ns: int


@dataclass(slots=True)
class Tally:
    """What has been published.

    Attributes:
        lines: by channel, in this process.
        before: lines that an earlier process had published.
        first_ns: market time of the first one here, ns UTC; 0 before it.
        last_ns: of the last one here.
        wall_s: how long that took, seconds.
        finished: whether all has been published.
    """

    lines: Counter[str] = field(default_factory=Counter)
    before: int = 0
    first_ns: int = 0
    last_ns: int = 0
    wall_s: float = 0.0
    finished: bool = False

    @property
    def rate(self) -> float:
        """Lines per second of the wall clock."""
        return self.lines.total() / self.wall_s if self.wall_s else 0.0


class Replayer(Publishing):
    """The driver of a replay.

    Its own lines are its memory: the last one published, found again among those that are to come, says where it goes
    on. What is replayed is recorded as a configuration, so a later replay of something else begins at its beginning.

    Attributes:
        tally: what it has published.
    """

    def __init__(
        self,
        cell: Cell,
        program: Program,
        committer: Committer,
        *,
        speed: float | None,
        status: Status,
        lag_max: int,
        progress: Callable[[Tally], None] = lambda tally: None,
    ) -> None:
        """
        Args:
            cell: the connection.
            program: what is published.
            committer: its commits.
            speed: market seconds per second of the wall clock; None is as fast as the services take it.
            status: what it says of itself.
            lag_max: an unpaced replay waits while any service is more events behind the last watermark than this.
            progress: told every ten seconds how far it is.
        """
        super().__init__(cell, committer, status=status, lag_max=lag_max)
        self._program = program
        self._paced = speed is not None
        self._pace = Pace(speed)
        self._lines: Iterator[Line] = iter(())
        self._waiting: Line | None = None
        self._begun = 0.0
        self._progress = progress
        self.tally = Tally()
        status.counts = Counts()

    async def recover(self, lease: Lease, seq: int) -> None:
        """Go on behind what was published of this program; begin it where that is nothing.

        Raises:
            CellInUse: it is another program, and the market of the cell is past its beginning.
            DataError: what was published is not in the data any more.
        """
        self._lines, self._waiting = self._program.lines(), None
        begun = await self._begun_at()
        said = []
        if begun is None:
            await self._require_past()
            content = self._program.content
            change = (self._committer.instance, content, codec.content_hash(content), LoadedCode().hash, seq + 1)
            said.append(item_of(ConfigChanged(*change)))
        else:
            await self._skip(begun)
        before = self.tally.before
        said.append(item_of(SessionStarted(self._committer.instance, self._committer.host, before, False)))
        await self._publish(said)
        log.info("recovered", published=before, seq=seq)

    async def _begun_at(self) -> int | None:
        """Where in the order this program began; None if the last one of this instance was another."""
        name = topics.CONFIG.name.format(instance=self._committer.instance)
        for line in await self._cell.tail(name, 1):
            if codec.decode(line, ConfigChanged).config_hash == codec.content_hash(self._program.content):
                return codec.seq_of(line)
        return None

    async def _require_past(self) -> None:
        """The market's time of a cell never goes back.

        Raises:
            CellInUse: it is past the beginning of the program.
        """
        for symbol in self._program.symbols:
            for line in await self._cell.tail(topics.CLOCK_MARKET.name.format(symbol=symbol), 1):
                reached_ns = codec.decode(line, Watermark).market_ns
                if reached_ns > self._program.start_ns:
                    raise CellInUse(
                        f"the cell has heard of {symbol} up to {iso(reached_ns)}, which is past the start, "
                        f"{iso(self._program.start_ns)}, and time does not go back: start there, or publish into "
                        "another cell (--cell NAME)"
                    )

    async def _skip(self, begun: int) -> None:
        """Pass by what was published behind a place in the order.

        Raises:
            DataError: the last line published is none of the program's.
        """
        last, times = await self._last_published(begun)
        self.tally.before = 0
        while times:
            line = next(self._lines, None)
            if line is None:
                raise DataError(
                    f"the data are not those that were replayed before: none of them is the last line published, "
                    f"{last[1].decode()} on {last[0]}; publish into another cell (--cell NAME)"
                )
            times -= (line.topic, line.body) == last
            self.tally.before += 1
            if self.tally.before % SKIP == 0:
                await asyncio.sleep(0)

    async def _last_published(self, begun: int) -> tuple[tuple[str, bytes], int]:
        """Channel and body of the newest own line, and how many times it was published; 0 if there is none."""
        newest, found, times = 0, ("", b""), 0
        clocks = (topics.CLOCK_MARKET.name.format(symbol=symbol) for symbol in self._program.symbols)
        for channel in (*self._program.channels, *clocks):
            own = [line for line in await self._cell.tail(channel, TAIL) if self._is_own(line, begun)]
            if own and codec.seq_of(own[-1]) > newest:
                newest, body = codec.seq_of(own[-1]), codec.body_of(own[-1])
                found, times = (channel, body), sum(codec.body_of(line) == body for line in own)
        return found, times

    def _is_own(self, line: bytes, begun: int) -> bool:
        header = codec.header_of(line)
        return header.src == self._committer.instance and header.seq > begun

    async def live(self) -> None:
        """Publish until everything has been said, or `stop` was called."""
        self._status.enter("live")
        self._begun = self._begun or time.monotonic()
        told = time.monotonic()
        while not self._stopping and not self.tally.finished:
            self._wake.clear()
            batch, delay_s = self._gather()
            if batch:
                await self._publish([Item(topic, name, 0, 0, 0, body) for _, topic, name, body in batch])
                if not self._paced:
                    await self._let_them_catch_up(len(batch))
            elif not self.tally.finished:
                await self._sleep(delay_s)
            if time.monotonic() >= told + PROGRESS_S:
                told = time.monotonic()
                self._progress(self.tally)
        await self._publish([])
        if self.tally.finished:
            await self._until_heard()
        self.tally.wall_s = time.monotonic() - self._begun

    def _gather(self) -> tuple[list[Line], float]:
        """What is due, and where that is nothing how long to wait for more, in seconds."""
        batch: list[Line] = []
        while len(batch) < BATCH:
            line = self._waiting or next(self._lines, None)
            self._waiting = None
            if line is None:
                self.tally.finished = not batch  # what is in hand is committed first
                break
            if self._paced and (delay_ns := self._pace.delay_ns(line.due_ns, time.monotonic_ns())) > 0:
                self._waiting = line
                return self._counted(batch), delay_ns / 1e9
            batch.append(line)
        return self._counted(batch), 0.0

    def _counted(self, batch: list[Line]) -> list[Line]:
        if batch:
            tally, counts = self.tally, self._status.counts
            tally.lines.update(line.topic for line in batch)
            tally.first_ns = tally.first_ns or batch[0].due_ns
            tally.last_ns = batch[-1].due_ns
            if counts is not None:
                counts.published += len(batch)
        return batch
