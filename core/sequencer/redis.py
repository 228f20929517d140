"""A cell on Redis (6.2 or newer) or Valkey: the scripts beside this file, over two connections."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha1
from importlib.resources import files
from typing import Any

import hiredis

from core.codec import seq_of
from core.errors import BusUnavailable, CommitRefused, ConfigError, InstanceBusy, LeaseLost
from core.runner import Message
from core.sequencer.port import Inbox
from core.sequencer.records import CellContent, Commit, Committed, Lease, Meta, SavedState, refusal
from core.sequencer.wire import Address, Wire, dial, parse_url

_SOURCES = files("core.sequencer")
_SCRIPTS = {
    name: _SOURCES.joinpath(name + ".lua").read_bytes() for name in ("commit", "lease", "attest", "create", "trim")
}
_SHA = {name: sha1(source, usedforsecurity=False).hexdigest() for name, source in _SCRIPTS.items()}


LOAD_BATCH = 500
NAMES_KEPT = 4096


def prefixes(cell: str) -> tuple[str, str]:
    """The prefixes of a cell's keys and of its channels.

    >>> prefixes(""), prefixes("replay")
    (('njord:', ''), ('njord@replay:', 'replay@'))
    """
    return (f"njord@{cell}:", f"{cell}@") if cell else ("njord:", "")


class RedisCell:
    """One connection to a cell on a server."""

    def __init__(self, url: str, cell: str = "") -> None:
        """
        Args:
            url: redis://, rediss:// or unix://.
            cell: name of the cell; empty for the one whose channels have no prefix.

        Raises:
            ConfigError: the URL is none.
        """
        self._address: Address = parse_url(url)
        self._keys, self._channels = prefixes(cell)
        self._wire: Wire | None = None
        self._sub: Wire | None = None
        self._run_id = ""

    # -- connection

    async def connect(self) -> None:
        """Open the command connection and load the scripts.

        Raises:
            ConfigError: the server refuses the credentials, or wants some.
        """
        await self.close()
        self._wire = await dial(self._address)
        try:
            info = await self._call("INFO", "server")
        except hiredis.ReplyError as error:
            raise ConfigError(f"redis.url: the server refuses INFO: {error}") from None
        self._run_id = next(line[7:].decode() for line in info.splitlines() if line.startswith(b"run_id:"))
        for source in _SCRIPTS.values():
            await self._call("SCRIPT", "LOAD", source)

    async def close(self) -> None:
        """Drop both connections."""
        for wire in (self._sub, self._wire):
            if wire is not None:
                wire.close()
        self._sub = self._wire = None

    async def ping(self) -> None:
        """A round trip on both connections; slow answers are the caller's to time out."""
        wires = [wire for wire in (self._wire, self._sub) if wire is not None]
        for reply in await asyncio.gather(*(wire.send("PING") for wire in wires)):
            self._command.checked(reply)

    @property
    def _command(self) -> Wire:
        if self._wire is None:
            raise BusUnavailable("not connected to Redis")
        return self._wire

    async def _call(self, *args: str | bytes | int) -> Any:
        return await self._command.call(*args)

    async def _script(self, name: str, *args: str | bytes | int) -> Any:
        try:
            return await self._call("EVALSHA", _SHA[name], 0, *args)
        except hiredis.ReplyError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise CommitRefused(f"the server refuses the script {name}: {error}") from None
        return await self._call("EVAL", _SCRIPTS[name], 0, *args)

    # -- the cell

    async def meta(self) -> Meta:
        """The cell now."""
        fields = ("epoch", "seq", "open", "forked", "id")
        epoch, seq, opened, forked, identity = await self._call("HMGET", self._keys + "meta", *fields)
        return Meta(
            run_id=self._run_id,
            epoch=int(epoch or 0),
            seq=int(seq or 0),
            open=(opened or b"").decode() == self._run_id,
            forked=(forked or b"").decode(),
            cell_id=(identity or b"").decode(),
        )

    async def create(self) -> bool:
        """Make a cell where there is none."""
        return bool(await self._script("create", self._keys, self._run_id, secrets.token_hex(8)))

    async def attest(self, instance: str, run_id: str) -> bool:
        """Say that this history agrees; True once all have said so."""
        return bool(await self._script("attest", self._keys, instance, run_id))

    async def mark_forked(self, by: str) -> None:
        """Close the cell to everybody."""
        await self._call("HSET", self._keys + "meta", "forked", by)

    # -- leases and commits

    async def acquire(self, instance: str, *, token: str, host: str, ttl_ms: int, register: bool) -> Lease:
        """Take the lease."""
        return await self._lease(instance, token, host, ttl_ms, "acquire", register)

    async def renew(self, instance: str, *, token: str, ttl_ms: int) -> Lease:
        """Prolong the lease."""
        return await self._lease(instance, token, "", ttl_ms, "renew", False)

    async def release(self, instance: str, *, token: str) -> None:
        """Let another host take the lease at once."""
        await self._lease(instance, token, "", 0, "release", False)

    async def _lease(self, instance: str, token: str, host: str, ttl_ms: int, mode: str, register: bool) -> Lease:
        reply = await self._script("lease", self._keys, instance, token, host, ttl_ms, mode, int(register))
        if reply[0] == b"busy":
            raise InstanceBusy(f"{instance} is running on {reply[1].decode()}")
        if reply[0] == b"lost":
            raise LeaseLost(f"{instance} has been taken over by a process on {reply[1].decode() or 'another host'}")
        return Lease(int(reply[1]), int(reply[2]), int(reply[3]))

    async def commit(self, commit: Commit) -> Committed:
        """Publish, remember and move on, all or nothing."""
        args: list[str | bytes | int] = [
            self._keys, self._channels, commit.instance, commit.token, commit.epoch, commit.run_id, commit.seen,
            commit.n, commit.in_seq, commit.obs_seq, commit.digest, commit.ttl_ms,
            0 if commit.state is None else 1, commit.state or b"",
        ]  # fmt: skip
        for item in commit.items:
            args.extend(item)
        reply = await self._script("commit", *args)
        status = reply[0]
        if status in (b"ok", b"again"):
            return Committed(int(reply[1]), int(reply[2]), int(reply[3]), status == b"again")
        raise refusal(status.decode(), [part.decode() for part in reply[1:]], commit)

    # -- subscriptions

    async def subscribe(self, patterns: Sequence[str]) -> Inbox:
        """Receive everything published from now on."""
        inbox = Inbox()
        skip = len(self._channels)

        @lru_cache(maxsize=NAMES_KEPT)
        def name_of(channel: bytes) -> str:
            return channel.decode("utf-8", "backslashreplace")[skip:]

        def push(channel: bytes, line: bytes) -> None:
            inbox.put(name_of(channel), line)

        if self._sub is not None:
            self._sub.close()
        self._sub = await dial(self._address, push, inbox.fail)
        commands: list[tuple[str | bytes | int, ...]] = [
            ("PSUBSCRIBE" if "*" in pattern else "SUBSCRIBE", self._channels + pattern) for pattern in patterns
        ]
        for reply in await asyncio.gather(*self._sub.send_all(commands)):
            self._sub.checked(reply)
        return inbox

    # -- reading

    async def last_seqs(self) -> dict[str, int]:
        """Every topic with its last number."""
        flat = await self._call("HGETALL", self._keys + "last")
        return {flat[i].decode(): int(flat[i + 1]) for i in range(0, len(flat), 2)}

    async def read(self, topics: Sequence[str], after: int, upto: int, count: int = 0) -> list[Message]:
        """Lines of several topics by number."""
        limit: tuple[str | bytes | int, ...] = ("COUNT", count) if count else ()
        futures = self._command.send_all(
            [("XRANGE", f"{self._keys}stream:{topic}", f"({after}", upto, *limit) for topic in topics]
        )
        messages: list[Message] = []
        for topic, future in zip(topics, futures, strict=True):
            messages += [(topic, fields[1]) for _, fields in self._command.checked(await future)]
        messages.sort(key=lambda message: seq_of(message[1]))
        return messages

    async def tail(self, topic: str, count: int) -> list[bytes]:
        """A topic's last lines, oldest first."""
        entries = await self._call("XREVRANGE", f"{self._keys}stream:{topic}", "+", "-", "COUNT", count)
        return [fields[1] for _, fields in reversed(entries)]

    async def entry(self, topic: str, seq: int) -> bytes | None:
        """The line of this number."""
        entries = await self._call("XRANGE", f"{self._keys}stream:{topic}", seq, seq)
        return entries[0][1][1] if entries else None

    async def first_seq(self, topic: str) -> int:
        """The oldest number still held."""
        entries = await self._call("XRANGE", f"{self._keys}stream:{topic}", "-", "+", "COUNT", 1)
        return int(entries[0][0].split(b"-")[0]) if entries else 0

    async def saved_state(self, instance: str) -> SavedState | None:
        """The last committed state."""
        state, in_seq, n = await self._call("HMGET", f"{self._keys}state:{instance}", "state", "in", "n")
        return None if state is None else SavedState(state, int(in_seq), int(n))

    # -- housekeeping

    async def positions(self) -> dict[str, int]:
        """Registered instances with their last committed input."""
        return {name: int(value or 0) for name, value in (await self._of_owners("in")).items()}

    async def homes(self) -> dict[str, str]:
        """Registered instances with their last host."""
        return {name: (value or b"").decode() for name, value in (await self._of_owners("host")).items()}

    async def _of_owners(self, field: str) -> dict[str, bytes | None]:
        names = [name.decode() for name in await self._call("SMEMBERS", self._keys + "owners")]
        futures = self._command.send_all([("HGET", f"{self._keys}i:{name}", field) for name in names])
        return {name: self._command.checked(await future) for name, future in zip(names, futures, strict=True)}

    async def held_positions(self) -> dict[str, int]:
        """Those whose lease is good."""
        positions = await self.positions()
        seconds, micros = await self._call("TIME")
        now = int(seconds) * 1000 + int(micros) // 1000
        until = await self._of_owners("until")
        return {name: seq for name, seq in positions.items() if int(until.get(name) or 0) > now}

    async def journalled(self, seqs: dict[str, int]) -> None:
        """Say how far topics are safe on disk."""
        if seqs:
            flat = [part for pair in seqs.items() for part in pair]
            await self._call("HSET", self._keys + "journalled", *flat)

    async def trim(self, topics: Sequence[str], keep: int) -> int:
        """Drop entries that nobody can need any more."""
        return int(await self._script("trim", self._keys, keep, *topics))

    async def attested(self) -> set[str]:
        """Who has attested this server start."""
        return {name.decode() for name in await self._call("SMEMBERS", f"{self._keys}attested:{self._run_id}")}

    async def deregister(self, instance: str) -> bool:
        """Stop waiting for an instance at server starts; False if it was not registered."""
        return bool(await self._call("SREM", self._keys + "owners", instance))

    async def load(self, content: CellContent, cell_id: str) -> None:
        """Replace everything that the cell holds, raise its epoch and close it until all instances have attested.

        Broken off half way, it leaves a closed cell that can be loaded again.

        Args:
            content: what it holds from now on.
            cell_id: whose history that is.
        """
        await self.mark_forked("scripts/njord_restore.py has begun to load it and has not finished")
        await self._load_places(content)
        before = await self.last_seqs()
        for name, seq in content.last.items():  # first, because another attempt finds the streams by these names
            await self._call("HSET", self._keys + "last", name, seq)
        for name in before.keys() | content.last.keys():
            await self._call("DEL", f"{self._keys}stream:{name}")
        for name, lines in content.streams.items():
            stream = f"{self._keys}stream:{name}"
            for start in range(0, len(lines), LOAD_BATCH):
                batch = lines[start : start + LOAD_BATCH]
                for future in self._command.send_all([("XADD", stream, seq_of(line), "l", line) for line in batch]):
                    self._command.checked(await future)
        for name in before.keys() - content.last.keys():
            await self._call("HDEL", self._keys + "last", name)
        await self._call("DEL", self._keys + "journalled", f"{self._keys}attested:{self._run_id}")
        meta = self._keys + "meta"
        await self._call("HINCRBY", meta, "epoch", 1)
        await self._call(
            "HSET", meta, "id", cell_id, "seq", content.seq, "ts", content.ts_ns // 1000, "forked", "", "open", ""
        )

    async def _load_places(self, content: CellContent) -> None:
        """Positions and memories; whoever has none in the new history starts anew and keeps nothing of the old one."""
        nowhere = dict.fromkeys(await self.positions(), Lease(0, 0, 0))
        for name, place in {**nowhere, **content.instances}.items():
            fields = ("n", place.n, "in", place.in_seq, "obs", place.obs_seq, "token", "", "digest", "", "until", 0)
            await self._call("HSET", f"{self._keys}i:{name}", *fields)
            await self._call("DEL", f"{self._keys}state:{name}")
        for name, state in content.states.items():
            fields = ("state", state.state, "in", state.in_seq, "n", state.n)  # type: ignore[assignment]
            await self._call("HSET", f"{self._keys}state:{name}", *fields)

    async def get(self, key: str) -> bytes | None:
        """A plain key."""
        value: bytes | None = await self._call("GET", key)
        return value

    async def set(self, key: str, value: str) -> None:
        """Set a plain key."""
        await self._call("SET", key, value)
