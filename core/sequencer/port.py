"""What a process needs of the sequencer; `RedisCell` and `MemoryCell` both provide it.

A *cell* is one total order: its counter, topics, streams, states and leases. Cells on one server differ by a prefix.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from core.errors import BusUnavailable
from core.runner import Message
from core.sequencer.records import Commit, Committed, Lease, Meta, SavedState

INBOX_MAX = 100_000


class Inbox:
    """What a subscription has received and nobody has taken yet.

    A reader that lets too much wait loses its subscription, not its memory: the streams hold the rest.
    """

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._waiter: asyncio.Future[None] | None = None
        self._rung = False
        self._failure: BusUnavailable | None = None

    def put(self, topic: str, line: bytes) -> None:
        """Add a message and wake the reader; nothing is added behind a failure, which would hide what is missing."""
        if self._failure is not None:
            return
        if len(self._messages) >= INBOX_MAX:
            self.fail(BusUnavailable(f"{INBOX_MAX} messages wait for their reader"))
            return
        self._messages.append((topic, line))
        if self._waiter is not None:
            self.wake()

    def wake(self) -> None:
        """Let the reader look around although nothing has come."""
        self._rung = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def fail(self, failure: BusUnavailable) -> None:
        """Make the next `take` raise."""
        self._failure = failure
        self.wake()

    async def take(self) -> list[Message]:
        """Everything received since the last call; waits until there is something or somebody calls `wake`.

        Raises:
            BusUnavailable: the connection is gone; what had been received is given out first.
        """
        if not self._messages and not self._rung and self._failure is None:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._rung = False
        messages, self._messages = self._messages, []
        if not messages and self._failure is not None:
            raise self._failure
        return messages


class Cell(Protocol):
    """One connection to a cell. Every method raises BusUnavailable when the server is away."""

    async def connect(self) -> None:
        """Open the connection; an earlier one is closed first."""

    async def close(self) -> None:
        """Close it, with its subscription."""

    async def ping(self) -> None:
        """Prove that both directions live; the subscription's connection too."""

    async def meta(self) -> Meta:
        """The cell now."""
        ...

    async def create(self) -> bool:
        """Make a cell where the server has none of this name; False if there is one."""
        ...

    async def attest(self, instance: str, run_id: str) -> bool:
        """Say that this instance's history agrees with this server start; True once the cell is open."""
        ...

    async def mark_forked(self, by: str) -> None:
        """Close the cell to everybody until it is restored."""

    async def acquire(self, instance: str, *, token: str, host: str, ttl_ms: int, register: bool) -> Lease:
        """Take the lease; `register` makes every later server start wait for this instance.

        Raises:
            InstanceBusy: another host holds it and it has not expired.
        """
        ...

    async def renew(self, instance: str, *, token: str, ttl_ms: int) -> Lease:
        """Prolong the lease.

        Raises:
            LeaseLost: it has been taken over.
        """
        ...

    async def release(self, instance: str, *, token: str) -> None:
        """Let another host take the lease at once."""

    async def commit(self, commit: Commit) -> Committed:
        """Publish, remember and move on, all or nothing.

        Raises:
            CommitRefused: for good; its subclass says why.
            CellClosed: wait, then try again.
        """
        ...

    async def subscribe(self, patterns: Sequence[str]) -> Inbox:
        """Receive everything published from now on; all subscriptions are confirmed when this returns."""
        ...

    async def last_seqs(self) -> dict[str, int]:
        """Every topic with the `_seq` of its last line."""
        ...

    async def read(self, topics: Sequence[str], after: int, upto: int, count: int = 0) -> list[Message]:
        """The lines with `after < _seq <= upto` of several topics, by `_seq`; `count` limits each topic, 0 does not."""
        ...

    async def tail(self, topic: str, count: int) -> list[bytes]:
        """A topic's last lines, oldest first."""
        ...

    async def entry(self, topic: str, seq: int) -> bytes | None:
        """The line of this number, None if the topic holds none."""
        ...

    async def first_seq(self, topic: str) -> int:
        """The oldest number that the topic's stream still holds, 0 if it holds nothing."""
        ...

    async def saved_state(self, instance: str) -> SavedState | None:
        """The last state that the instance committed."""
        ...

    async def positions(self) -> dict[str, int]:
        """Every registered instance with its last committed input."""
        ...

    async def homes(self) -> dict[str, str]:
        """Every registered instance with the host that had its lease last."""
        ...

    async def held_positions(self) -> dict[str, int]:
        """Those of them whose lease is good: who is running, and how far it is."""
        ...

    async def journalled(self, seqs: dict[str, int]) -> None:
        """Say how far topics are safe on disk."""

    async def trim(self, topics: Sequence[str], keep: int) -> int:
        """Drop stream entries that are on disk and behind every stored state, but never a topic's last `keep`.

        Streams of up to twice as many are left alone.

        Returns the number of entries dropped.
        """
        ...

    async def get(self, key: str) -> bytes | None:
        """A plain key of the server."""
        ...

    async def set(self, key: str, value: str) -> None:
        """Set a plain key of the server."""
