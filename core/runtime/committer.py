"""The numbered commits of one instance: one in flight, kept until the sequencer has answered it."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence

from core.errors import CellClosed, HistoryForked
from core.runner import Item
from core.sequencer.port import Cell
from core.sequencer.records import Commit, Committed, Lease, Meta

CLOSED_WAIT_S = 0.02


class Committer:
    """Counts, sends and, after a lost connection, sends again.

    Attributes:
        n: number of the last answered commit.
        in_seq: last input handled.
        obs_seq: last own observation handled.
        seen: highest `_seq` read or written.
        commits: how many were answered in this process.
    """

    def __init__(
        self,
        cell: Cell,
        instance: str,
        ttl_ms: int,
        *,
        host: str = "",
        register: bool = True,
        admit: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """
        Args:
            cell: the connection.
            instance: who commits.
            ttl_ms: how long a lease is good without renewal.
            host: where; this machine's name by default.
            register: whether every later server start waits for this instance.
            admit: asked before the lease is taken; raises where this process may not take part.
        """
        self.cell = cell
        self.instance = instance
        self.host = host or socket.gethostname()
        self.token = secrets.token_hex(8)
        self.n = self.in_seq = self.obs_seq = self.seen = self.commits = 0
        self._ttl_ms = ttl_ms
        self._register, self._admit = register, admit
        self._meta: Meta | None = None
        self._pending: Commit | None = None
        self._known = False
        self._sending = asyncio.Lock()

    async def join(self, meta: Meta) -> Lease:
        """Take the lease at the first connection, prolong it at every other.

        Raises:
            InstanceBusy: another host holds it.
            LeaseLost: it was taken over while the connection was away.
            HistoryForked: the sequencer has another number than this process.
        """
        self._meta = meta
        if not self._known:
            if self._admit is not None:
                await self._admit()
            lease = await self.cell.acquire(
                self.instance, token=self.token, host=self.host, ttl_ms=self._ttl_ms, register=self._register
            )
            self.n, self.in_seq, self.obs_seq = lease
            self._known = True
            return lease
        lease = await self.renew()
        if lease.n != self.n and not (self._pending and lease.n == self._pending.n):
            found = f"{self.instance} is at commit {self.n}, the server at {lease.n}"
            await self.cell.mark_forked(found)
            raise HistoryForked(found)
        return lease

    async def renew(self) -> Lease:
        """Prolong the lease."""
        return await self.cell.renew(self.instance, token=self.token, ttl_ms=self._ttl_ms)

    async def commit(self, items: Sequence[Item], state: bytes | None = None) -> Committed:
        """Publish, with the position reached.

        Raises:
            CommitRefused: for good.
            BusUnavailable: the answer is not known; `settle` asks again on the next connection.
        """
        async with self._sending:
            if self._meta is None:
                raise HistoryForked(f"{self.instance} commits before it has joined")
            self._pending = Commit(
                self.instance, self.token, self._meta.epoch, self._meta.run_id, self.seen, self.n + 1,
                self.in_seq, self.obs_seq, items, state, self._ttl_ms,
            )  # fmt: skip
            return await self._send()

    async def settle(self) -> Committed | None:
        """Ask again for the answer to a commit whose reply was lost; None if there is none."""
        async with self._sending:
            if self._pending is None or self._meta is None:
                return None
            self._pending = self._pending._replace(run_id=self._meta.run_id)
            return await self._send()

    async def _send(self) -> Committed:
        commit = self._pending
        if commit is None:
            raise HistoryForked(f"{self.instance} has nothing to send")
        reply = await self._answer(commit)
        self._pending = None
        self.n = commit.n
        self.commits += 1
        if reply.lines:
            self.seen = max(self.seen, reply.first + reply.lines - 1)
        return reply

    async def _answer(self, commit: Commit) -> Committed:
        while True:
            try:
                return await self.cell.commit(commit)
            except CellClosed:
                await asyncio.sleep(CLOSED_WAIT_S)

    async def release(self) -> None:
        """Give the lease up."""
        await self.cell.release(self.instance, token=self.token)
