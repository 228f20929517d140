"""What a process needs of the sequencer; `RedisCell` and `MemoryCell` both provide it.

A *cell* is one total order: its counter, topics, streams, states and leases. Cells on one server differ by a prefix.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha1
from typing import NamedTuple, Protocol

from core.errors import (
    BusUnavailable,
    CellClosed,
    CellMissing,
    CommitConflict,
    CommitRefused,
    EpochChanged,
    HistoryForked,
    LeaseLost,
    NjordError,
)
from core.runner import Item, Message


class Meta(NamedTuple):
    """A cell at one moment.

    Attributes:
        run_id: identity of this start of the server.
        epoch: raised by every restore; 0 where there is no cell.
        seq: last number given.
        open: whether every registered instance has attested this start.
        forked: who found another history, and how; empty while nobody has.
    """

    run_id: str
    epoch: int
    seq: int
    open: bool
    forked: str


class Lease(NamedTuple):
    """Where an instance stood when its lease was taken: last commit, last input and last observation."""

    n: int
    in_seq: int
    obs_seq: int


class SavedState(NamedTuple):
    """An instance's memory with the number of the commit that stored it."""

    state: bytes
    in_seq: int
    n: int


class Commit(NamedTuple):
    """One atomic step of an instance.

    Attributes:
        instance: who commits.
        token: proof of its lease.
        epoch: the epoch it knows.
        run_id: the server start it has attested.
        seen: highest `_seq` it has read; more than the server has means another history.
        n: number of this commit, one more than the last.
        in_seq: last input handled.
        obs_seq: last own observation handled.
        items: lines to publish, in order.
        state: its memory behind these items; None to keep the stored one.
        ttl_ms: for how long the lease is good from now.
    """

    instance: str
    token: str
    epoch: int
    run_id: str
    seen: int
    n: int
    in_seq: int
    obs_seq: int
    items: Sequence[Item]
    state: bytes | None
    ttl_ms: int

    @property
    def digest(self) -> str:
        """Tells a retry of the same content from another content under the same number."""
        digest = sha1(usedforsecurity=False)
        for item in self.items:
            digest.update(b"%b\0%d\0%b\0" % (item.topic.encode(), item.cause, item.body))
        return digest.hexdigest()


class Committed(NamedTuple):
    """The sequencer's answer.

    Attributes:
        first: `_seq` of the first line; of the next one where there was none.
        lines: how many were published.
        ts_ns: their time.
        again: True if this number had been committed before and this is the stored answer.
    """

    first: int
    lines: int
    ts_ns: int
    again: bool


class Inbox:
    """What a subscription has received and nobody has taken yet."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._waiter: asyncio.Future[None] | None = None
        self._rung = False
        self._failure: BusUnavailable | None = None

    def put(self, topic: str, line: bytes) -> None:
        """Add a message and wake the reader."""
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

    async def journalled(self, seqs: dict[str, int]) -> None:
        """Say how far topics are safe on disk."""

    async def trim(self, keep: int) -> int:
        """Drop stream entries that are on disk and behind every stored state, but never a topic's last `keep`.

        Returns the number of entries dropped.
        """
        ...

    async def get(self, key: str) -> bytes | None:
        """A plain key of the server."""
        ...

    async def set(self, key: str, value: str) -> None:
        """Set a plain key of the server."""


def refusal(status: str, detail: list[str], commit: Commit) -> NjordError:
    """The error for a commit that the sequencer has refused."""
    said = detail[0] if detail else ""
    match status:
        case "forked":
            return HistoryForked(f"the cell is closed by a fork: {said}; run scripts/njord_restore.py")
        case "epoch" if said in ("", "0"):
            return CellMissing("the server holds no cell")
        case "epoch":
            return EpochChanged(f"the cell is in epoch {said}, this process started in {commit.epoch}; start it again")
        case "closed":
            return CellClosed("not every registered instance has attested this server start")
        case "lease":
            return LeaseLost(f"another process has taken over {commit.instance}")
        case "conflict" | "number":
            return CommitConflict(f"{commit.instance} commits number {commit.n}, the sequencer has {said}: {status}")
        case _:
            return CommitRefused(f"{commit.instance} may not publish on {' '.join(detail)!r}: {status}")
