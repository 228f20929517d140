"""What every source does with its lines: commit them, and wait for services that cannot follow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

from core import topics
from core.contracts import Watermark
from core.runner import Item, Message
from core.runtime.committer import Committer
from core.runtime.status import Status
from core.sequencer.port import Cell

BATCH = 100
SLEEP_MAX_S = 0.2
LAG_EVERY = 1000
STATE_EVERY_S = 1.0


class Publishing:
    """The part of a driver that feeders and replays share: it publishes and reads nothing."""

    def __init__(self, cell: Cell, committer: Committer, *, status: Status, lag_max: int) -> None:
        """
        Args:
            cell: the connection.
            committer: its commits.
            status: what it says of itself.
            lag_max: an unpaced source waits while any service is more events behind the last watermark than this.
        """
        self._cell, self._committer, self._status = cell, committer, status
        self._lag_max = lag_max
        self._stopping = False
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

    async def _publish(self, items: Sequence[Item]) -> None:
        """Commit, in one commit."""
        now = time.monotonic()
        state = b"{}" if now >= self._state_due or not items else None
        if state is not None:
            # The position of a source is its own last line, and its empty memory says that it needs no older one.
            self._committer.in_seq, self._state_due = self._committer.seen, now + STATE_EVERY_S
        await self._committer.commit(items, state)
        for before_last, item in enumerate(reversed(items)):
            if item.type == Watermark.__name__:
                self._marked = self._committer.seen - before_last
                break
        self._status.seq, self._status.commits = self._committer.seen, self._committer.commits

    async def _let_them_catch_up(self, published: int) -> None:
        """At full speed, go no faster than the slowest service.

        Measured from the last watermark, which every service hears: by what it does not hear nobody moves on.
        """
        self._since_look += published
        if self._since_look < LAG_EVERY:
            return
        self._since_look = 0
        await self._until_behind_by(self._lag_max)

    async def _until_heard(self) -> None:
        """Wait until every service that runs has handled the last watermark, or `stop` was called."""
        await self._until_behind_by(0)

    async def _until_behind_by(self, most: int) -> None:
        while not self._stopping:
            positions = await self._cell.held_positions()
            services = [seq for name, seq in positions.items() if not topics.feeds(name)]
            if self._marked - min(services, default=self._marked) <= most:
                return
            await self._sleep(0.002)

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not past a `stop`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, SLEEP_MAX_S)):
                await self._wake.wait()
