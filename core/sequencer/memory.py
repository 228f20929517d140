"""A cell in memory with the semantics of the one on Redis; tests and offline runs need no server.

`MemoryServer` is the server: it outlives its connections, can be restarted, and can be set back to an
older copy of itself.
"""

from __future__ import annotations

import copy
import itertools
import re
import secrets
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.codec import Header, line_of, seq_of
from core.errors import BusUnavailable, InstanceBusy, LeaseLost
from core.runner import Message
from core.sequencer.port import Inbox
from core.sequencer.records import Commit, Committed, Lease, Meta, SavedState, refusal
from core.topics import covered

_TOPIC = re.compile(r"[A-Za-z0-9._/:@-]{1,200}")

_NOTHING = Committed(0, 0, 0, True)


@dataclass
class _Instance:
    token: str = ""
    host: str = ""
    until_ms: int = 0
    n: int = 0
    in_seq: int = 0
    obs_seq: int = 0
    digest: str = ""
    reply: Committed = _NOTHING


@dataclass
class _Data:
    """What a server would have on disk."""

    epoch: int = 0
    seq: int = 0
    ts_us: int = 0
    open_run: str = ""
    forked: str = ""
    cell_id: str = ""
    streams: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    instances: dict[str, _Instance] = field(default_factory=dict)
    states: dict[str, SavedState] = field(default_factory=dict)
    owners: set[str] = field(default_factory=set)
    journalled: dict[str, int] = field(default_factory=dict)
    keys: dict[str, bytes] = field(default_factory=dict)


class MemoryServer:
    """The server's side of a cell in memory."""

    def __init__(self, clock_ns: Callable[[], int] | None = None) -> None:
        """
        Args:
            clock_ns: gives the sequencer's time, ns UTC; the default counts microseconds, which is deterministic.
        """
        ticks = itertools.count(1_000_000_000_000_000)
        self.clock_ns = clock_ns or (lambda: next(ticks) * 1000)
        self.data = _Data()
        self.attested: set[str] = set()
        self.inboxes: list[tuple[tuple[str, ...], Inbox]] = []
        self.up = True
        self._starts = itertools.count(1)
        self.run_id = f"memory-{next(self._starts)}"

    def copy_of_disk(self) -> _Data:
        """What a copy of its files would hold."""
        return copy.deepcopy(self.data)

    def restart(self, disk: _Data | None = None) -> None:
        """Start again, with an older copy if given; every connection is lost."""
        self.stop()
        if disk is not None:
            self.data = copy.deepcopy(disk)
        self.run_id = f"memory-{next(self._starts)}"
        self.attested.clear()
        self.up = True

    def stop(self) -> None:
        """Go away; every connection is lost."""
        self.up = False
        for _, inbox in self.inboxes:
            inbox.fail(BusUnavailable("the server has stopped"))
        self.inboxes.clear()

    def publish(self, topic: str, line: bytes) -> None:
        """Deliver to whoever subscribes, without sequencing: what a bare PUBLISH does."""
        for patterns, inbox in self.inboxes:
            if covered(patterns, topic):
                inbox.put(topic, line)


class MemoryCell:
    """One connection to a cell in memory."""

    def __init__(self, server: MemoryServer) -> None:
        """
        Args:
            server: what it is connected to.
        """
        self._server = server
        self._run_id = ""
        self._inbox: Inbox | None = None

    @property
    def _data(self) -> _Data:
        if not self._server.up or self._run_id != self._server.run_id:
            raise BusUnavailable("connection to the server in memory lost")
        return self._server.data

    async def connect(self) -> None:
        """Open the connection."""
        await self.close()
        if not self._server.up:
            raise BusUnavailable("the server in memory is down")
        self._run_id = self._server.run_id

    async def close(self) -> None:
        """Drop it, with its subscription."""
        self._server.inboxes = [pair for pair in self._server.inboxes if pair[1] is not self._inbox]
        if self._inbox is not None:
            self._inbox.fail(BusUnavailable("connection to the server in memory closed"))
        self._run_id, self._inbox = "", None

    async def ping(self) -> None:
        """Prove that the server is there."""
        _ = self._data

    async def meta(self) -> Meta:
        """The cell now."""
        data = self._data
        return Meta(self._run_id, data.epoch, data.seq, data.open_run == self._run_id, data.forked, data.cell_id)

    async def create(self) -> bool:
        """Make a cell where there is none."""
        if self._data.epoch:
            return False
        self._data.epoch, self._data.open_run, self._data.cell_id = 1, self._run_id, secrets.token_hex(8)
        return True

    async def attest(self, instance: str, run_id: str) -> bool:
        """Say that this history agrees."""
        self._server.attested.add(instance)
        if self._data.open_run != run_id and self._data.owners <= self._server.attested:
            self._data.open_run = run_id
        return self._data.open_run == run_id

    async def mark_forked(self, by: str) -> None:
        """Close the cell to everybody."""
        self._data.forked = by

    async def acquire(self, instance: str, *, token: str, host: str, ttl_ms: int, register: bool) -> Lease:
        """Take the lease."""
        held = self._data.instances.setdefault(instance, _Instance())
        if held.token not in ("", token) and held.host != host and held.until_ms > self._now_ms():
            raise InstanceBusy(f"{instance} is running on {held.host}")
        if register:
            self._data.owners.add(instance)
        held.token, held.host, held.until_ms = token, host, self._now_ms() + ttl_ms
        return Lease(held.n, held.in_seq, held.obs_seq)

    async def renew(self, instance: str, *, token: str, ttl_ms: int) -> Lease:
        """Prolong the lease."""
        held = self._data.instances.setdefault(instance, _Instance())
        if held.token != token:
            raise LeaseLost(f"{instance} has been taken over by a process on {held.host or 'another host'}")
        held.until_ms = self._now_ms() + ttl_ms
        return Lease(held.n, held.in_seq, held.obs_seq)

    async def release(self, instance: str, *, token: str) -> None:
        """Let another host take the lease at once."""
        await self.renew(instance, token=token, ttl_ms=0)
        self._data.instances[instance].until_ms = 0

    def _now_ms(self) -> int:
        return self._server.clock_ns() // 1_000_000

    async def commit(self, commit: Commit) -> Committed:
        """Publish, remember and move on, all or nothing."""
        data = self._data
        held = data.instances.setdefault(commit.instance, _Instance())
        refused = self._refused(data, held, commit)
        if refused is not None:
            raise refusal(refused[0], list(refused[1:]), commit)
        if commit.n == held.n:
            return held.reply._replace(again=True)
        data.ts_us = max(data.ts_us, self._server.clock_ns() // 1000)
        reply = Committed(data.seq + 1, len(commit.items), data.ts_us * 1000, False)
        published = [self._write(data, commit, index, reply.ts_ns) for index in range(len(commit.items))]
        held.n, held.in_seq, held.obs_seq = commit.n, commit.in_seq, commit.obs_seq
        held.digest, held.reply, held.until_ms = commit.digest, reply, self._now_ms() + commit.ttl_ms
        if commit.state is not None:
            data.states[commit.instance] = SavedState(commit.state, commit.in_seq, commit.n)
        for topic, line in published:
            self._server.publish(topic, line)
        return reply

    def _refused(self, data: _Data, held: _Instance, commit: Commit) -> tuple[str, ...] | None:
        if data.forked:
            return ("forked", data.forked)
        if data.epoch != commit.epoch or data.epoch == 0:
            return ("epoch", str(data.epoch))
        if data.open_run != commit.run_id:
            return ("closed",)
        if commit.seen > data.seq:
            data.forked = f"{commit.instance} has seen {commit.seen}, the server only has {data.seq}"
            return ("forked", data.forked)
        if held.token != commit.token:
            return ("lease", held.token)
        if commit.n == held.n:
            return None if held.digest == commit.digest else ("conflict", str(held.n))
        if commit.n != held.n + 1:
            return ("number", str(held.n))
        return next((bad for item in commit.items if (bad := _bad(item.topic, item.body))), None)

    def _write(self, data: _Data, commit: Commit, index: int, ts_ns: int) -> Message:
        item = commit.items[index]
        data.seq += 1
        root, root_ts = (item.root, item.root_ts) if item.root else (data.seq, ts_ns)
        header = Header(
            seq=data.seq,
            ts=ts_ns,
            prev=data.last.get(item.topic, 0),
            src=commit.instance,
            cause=item.cause,
            root=root,
            root_ts=root_ts,
            type=item.type,
            v=1,
            n=commit.n,
            more=len(commit.items) - index - 1,
        )
        line = line_of(header, item.body)
        data.streams.setdefault(item.topic, []).append((data.seq, line))
        data.last[item.topic] = data.seq
        return item.topic, line

    async def subscribe(self, patterns: Sequence[str]) -> Inbox:
        """Receive everything published from now on."""
        _ = self._data
        self._server.inboxes = [pair for pair in self._server.inboxes if pair[1] is not self._inbox]
        self._inbox = Inbox()
        self._server.inboxes.append((tuple(patterns), self._inbox))
        return self._inbox

    async def last_seqs(self) -> dict[str, int]:
        """Every topic with its last number."""
        return dict(self._data.last)

    async def read(self, topics: Sequence[str], after: int, upto: int, count: int = 0) -> list[Message]:
        """Lines of several topics by number."""
        messages: list[Message] = []
        for topic in topics:
            stream = self._data.streams.get(topic, [])
            start = bisect_right(stream, after, key=_number)
            end = bisect_right(stream, upto, key=_number)
            messages += [(topic, line) for _, line in stream[start : min(end, start + count) if count else end]]
        messages.sort(key=lambda message: seq_of(message[1]))
        return messages

    async def tail(self, topic: str, count: int) -> list[bytes]:
        """A topic's last lines, oldest first."""
        return [line for _, line in self._data.streams.get(topic, [])[-count:]]

    async def entry(self, topic: str, seq: int) -> bytes | None:
        """The line of this number."""
        stream = self._data.streams.get(topic, [])
        at = bisect_left(stream, seq, key=_number)
        return stream[at][1] if at < len(stream) and stream[at][0] == seq else None

    async def first_seq(self, topic: str) -> int:
        """The oldest number still held."""
        stream = self._data.streams.get(topic, [])
        return stream[0][0] if stream else 0

    async def saved_state(self, instance: str) -> SavedState | None:
        """The last committed state."""
        return self._data.states.get(instance)

    async def positions(self) -> dict[str, int]:
        """Registered instances with their last committed input."""
        return {name: self._data.instances[name].in_seq for name in self._data.owners}

    async def homes(self) -> dict[str, str]:
        """Registered instances with their last host."""
        return {name: self._data.instances[name].host for name in self._data.owners}

    async def held_positions(self) -> dict[str, int]:
        """Those whose lease is good."""
        now, instances = self._now_ms(), self._data.instances
        return {name: seq for name, seq in (await self.positions()).items() if instances[name].until_ms > now}

    async def journalled(self, seqs: dict[str, int]) -> None:
        """Say how far topics are safe on disk."""
        self._data.journalled.update(seqs)

    async def trim(self, topics: Sequence[str], keep: int) -> int:
        """Drop entries that nobody can need any more."""
        data = self._data
        saved = [data.states.get(name) for name in data.owners]
        lowest = min(
            (state.in_seq if state else 0 for state in saved if state is None or state.state != b"{}"), default=0
        )
        dropped = 0
        for topic in topics:
            stream = data.streams.get(topic, [])
            if len(stream) > 2 * keep:
                bound = min(data.journalled.get(topic, 0), lowest, stream[-keep][0])
                data.streams[topic] = stream[bisect_left(stream, bound, key=_number) :]
                dropped += len(stream) - len(data.streams[topic])
        return dropped

    async def get(self, key: str) -> bytes | None:
        """A plain key."""
        return self._data.keys.get(key)

    async def set(self, key: str, value: str) -> None:
        """Set a plain key."""
        self._data.keys[key] = value.encode()


def _number(entry: tuple[int, Any]) -> int:
    return entry[0]


def _bad(topic: str, body: bytes) -> tuple[str, ...] | None:
    """Why this item may not be published, None if it may."""
    if not (body.startswith(b"{") and body.endswith(b"}") and len(body) > 2) or body[1:3] == b'"_' or b"\n" in body:
        return ("bad", topic, "body")
    if not _TOPIC.fullmatch(topic):
        return ("bad", topic, "topic")
    return None
