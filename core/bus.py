"""The public bus: publish a payload, receive payloads; for scripts, tests and other programs.

Everything goes through the sequencer, so what is published here has its place in the total order, in the streams
and in the journals. The services themselves use the sequencer directly.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from core import codec, topics
from core.contracts import Event
from core.errors import BusUnavailable, CellMissing, CodecError, CommitRefused, ContractError
from core.runner import Item, item_of
from core.runtime.committer import Committer
from core.sequencer.memory import MemoryCell, MemoryServer
from core.sequencer.port import Cell

LEASE_MS = 60_000
BATCH_MAX = 5_000
"""The sequencer serves nobody else while it writes a commit: these take it a tenth of a second."""


class BusProto(Protocol):
    """What a component needs of a bus."""

    async def publish_json(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Publish an object on a topic."""

    async def publish_batch(self, events: Iterable[Event]) -> None:
        """Publish events on their topics, all or none, with nothing between them."""

    def subscribe(self, topic: str) -> AsyncIterator[dict[str, Any]]:
        """Receive the objects published on a topic, or on all that match a pattern such as `md.trades.*`."""
        ...


class SequencedBus:
    """A bus over any kind of cell; publishes as an instance of its own that nobody waits for."""

    def __init__(self, new_cell: Callable[[], Cell]) -> None:
        """
        Args:
            new_cell: gives one more connection to the cell.
        """
        self._new_cell = new_cell
        self._committer: Committer | None = None
        self._joining = asyncio.Lock()
        self._readers: list[Cell] = []

    async def publish_json(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Publish an object.

        On a topic of this system the payload must be that topic's event, complete and without unknown fields.
        While the cell is closed, because services have not looked at a restarted server yet, it waits.

        Raises:
            CodecError: the payload is not what the topic carries, or not JSON (NaN and infinities are not).
            BusUnavailable: the server is away; whether it was published is not known.
            CommitRefused: the cell takes nothing now.
        """
        await self._commit([item_for(topic, payload)])

    async def publish(self, event: Event) -> None:
        """Publish an event on its topic; what is none cannot be published here.

        Raises:
            ContractError: its type belongs to no topic.
            BusUnavailable, CommitRefused: as `publish_json`.
        """
        await self._commit([item_of(event)])

    async def publish_batch(self, events: Iterable[Event]) -> None:
        """Publish events on their topics as one commit.

        All of them or none: their numbers follow each other in the given order and nothing comes between them. No
        events at all is no commit.

        Raises:
            ContractError: one of them belongs to no topic, or they are more than 5,000; nothing is published.
            BusUnavailable: the server is away; whether they were published, all of them, is not known.
            CommitRefused: the cell takes nothing now, or not one of these; nothing is published.
        """
        items = [item_of(event) for event in events]
        if len(items) > BATCH_MAX:
            raise ContractError(f"a batch has {len(items)} events; allowed: {BATCH_MAX}")
        if items:
            await self._commit(items)

    async def history(self, topic: str, after: int = 0) -> list[dict[str, Any]]:
        """What was published on a topic or a pattern and the streams still hold, in order, headers included.

        Args:
            topic: a topic, or a pattern such as `md.trades.*`.
            after: only what has a higher `_seq`.
        """
        cell = self._new_cell()
        await cell.connect()
        try:
            names = [name for name in await cell.last_seqs() if topics.matches(topic, name)]
            return [codec.decode_json(line) for _, line in await cell.read(names, after, (await cell.meta()).seq)]
        finally:
            await cell.close()

    async def _commit(self, items: Sequence[Item]) -> None:
        """A caller may stop waiting; what is on its way to the sequencer must have its answer all the same."""
        sending = asyncio.create_task(self._send(items))
        sending.add_done_callback(lambda sent: sent.cancelled() or sent.exception())  # known, whoever has gone
        await asyncio.shield(sending)

    async def _send(self, items: Sequence[Item]) -> None:
        async with self._joining:
            if self._committer is None:
                self._committer = await self._join()
            committer = self._committer
        try:
            await committer.commit(items)
        except (BusUnavailable, CommitRefused):
            if self._committer is committer:
                self._committer = None  # the next call connects again, as another instance
            await committer.cell.close()
            raise

    async def _join(self) -> Committer:
        cell = self._new_cell()
        committer = Committer(cell, f"bus.{secrets.token_hex(6)}", LEASE_MS, register=False)
        try:
            await cell.connect()
            await cell.create()  # does nothing where there is a cell
            meta = await cell.meta()
            if meta.epoch == 0:
                raise CellMissing("the server holds no cell")
            await cell.attest(committer.instance, meta.run_id)  # where no service is registered nobody else would
            await committer.join(meta)
        except BaseException:
            await cell.close()
            raise
        return committer

    async def subscribe(self, topic: str) -> AsyncIterator[dict[str, Any]]:
        """Receive payloads without their headers, from now on; what carries no header is left out.

        Nobody who publishes waits for a reader. What a reader leaves lying is kept for it up to 100,000 messages; then
        its subscription ends instead of growing. It gets what it had been sent, and `history` holds the rest.

        Raises:
            BusUnavailable: the connection is lost, or too much waits for the reader; what is published until the next
                subscription is not received.
        """
        cell = self._new_cell()
        await cell.connect()
        self._readers.append(cell)
        try:
            inbox = await cell.subscribe([topic])
            while True:
                for _, line in await inbox.take():
                    try:
                        codec.header_of(line)
                        payload = codec.payload_of(line)
                    except CodecError:
                        continue
                    yield payload
        finally:
            self._readers.remove(cell)
            await cell.close()

    async def close(self) -> None:
        """Drop all connections; subscriptions end with BusUnavailable."""
        cells = [*self._readers, *([self._committer.cell] if self._committer else [])]
        self._committer = None
        for cell in cells:
            await cell.close()


class Bus(SequencedBus):
    """The bus on Redis."""

    def __init__(self, redis_url: str, cell: str = "") -> None:
        """
        Args:
            redis_url: redis://, rediss:// or unix://.
            cell: name of the cell; empty for the one whose channels have no prefix.

        Raises:
            ConfigError: the URL is none.
        """
        from core.sequencer.redis import RedisCell  # a process that only needs the protocol imports no client

        super().__init__(lambda: RedisCell(redis_url, cell))


class InMemoryBus(SequencedBus):
    """The bus in memory: the same semantics without a server."""

    def __init__(self, server: MemoryServer | None = None) -> None:
        """
        Args:
            server: what it is connected to; one of its own unless given.
        """
        self.server = server or MemoryServer()
        super().__init__(lambda: MemoryCell(self.server))


def item_for(topic: str, payload: Mapping[str, Any]) -> Item:
    """The item that publishes a payload on a topic.

    Raises:
        CodecError: the payload is not what the topic carries.
    """
    declared = topics.find(topic)
    body = codec.encode_payload(payload)
    if declared is None:
        return Item(topic, "Json", 0, 0, 0, body)
    event = codec.from_dict(declared.event, payload)
    if declared.of(event) != topic:
        raise CodecError(
            f"{declared.event.__name__} with these fields belongs on {declared.of(event)!r}, not {topic!r}"
        )
    return Item(topic, declared.event.__name__, 0, 0, 0, codec.encode(event))
