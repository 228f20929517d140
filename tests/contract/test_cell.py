"""The sequencer's promises, kept by the cell in memory and the one on a real server alike."""

from __future__ import annotations

import pytest

from core import codec
from core.errors import (
    BusUnavailable,
    CellMissing,
    CommitConflict,
    CommitRefused,
    EpochChanged,
    HistoryForked,
    InstanceBusy,
    LeaseLost,
)
from core.runner import Item
from core.sequencer.records import Commit


def line_of(topic: str = "t.a", body: bytes = b'{"x":1}', cause: int = 0, root: int = 0, root_ts: int = 0) -> Item:
    return Item(topic, "Thing", cause, root, root_ts, body)


class Instance:
    """A process reduced to its commits."""

    def __init__(self, cell, name="svc.a", host="h1", token=None):
        self.cell, self.name, self.host, self.token = cell, name, host, token or f"token-{name}-{host}"
        self.n = self.seen = 0

    async def start(self, register=True):
        await self.cell.connect()
        await self.cell.create()
        self.meta = await self.cell.meta()
        await self.cell.attest(self.name, self.meta.run_id)
        self.lease = await self.cell.acquire(
            self.name, token=self.token, host=self.host, ttl_ms=60_000, register=register
        )
        self.n = self.lease.n
        return self

    def commit_of(self, *items, n=None, in_seq=0, state=None, seen=None, epoch=None):
        return Commit(
            self.name, self.token, epoch or self.meta.epoch, self.meta.run_id, self.seen if seen is None else seen,
            self.n + 1 if n is None else n, in_seq, 0, items, state, 60_000,
        )  # fmt: skip

    async def commit(self, *items, **options):
        reply = await self.cell.commit(self.commit_of(*items, **options))
        self.n += 1
        return reply


@pytest.fixture
async def a(new_cell):
    instance = await Instance(new_cell()).start()
    yield instance
    await instance.cell.close()


async def test_a_commit_numbers_stores_and_publishes_its_lines(a, new_cell):
    """Two lines of one commit get the next two numbers, one time, a chain per topic, and arrive as stored."""
    other = new_cell()
    await other.connect()
    inbox = await other.subscribe(["t.*"])
    first = await a.commit(line_of("t.a"))
    second = await a.commit(line_of("t.a", b'{"x":2}'), line_of("t.b", b'{"y":3}', 1, 1, first.ts_ns))
    assert (first.first, first.lines, second.first, second.lines) == (1, 1, 2, 2)

    got: list[tuple[str, bytes]] = []
    while len(got) < 3:
        got += await inbox.take()
    assert got == await a.cell.read(["t.a", "t.b"], 0, 9)
    headers = [codec.header_of(line) for _, line in got]
    assert [(h.seq, h.prev, h.cause, h.root, h.n, h.more) for h in headers] == [
        (1, 0, 0, 1, 1, 0),
        (2, 1, 0, 2, 2, 1),
        (3, 0, 1, 1, 2, 0),
    ]
    assert headers[1].ts == headers[2].ts == second.ts_ns
    assert headers[2].root_ts == first.ts_ns
    assert [codec.body_of(line) for _, line in got] == [b'{"x":1}', b'{"x":2}', b'{"y":3}']
    assert await a.cell.last_seqs() == {"t.a": 2, "t.b": 3}
    await other.close()


async def test_a_retried_commit_gets_the_stored_answer_and_publishes_nothing(a):
    """A reply that got lost on its way is asked for again; the order exists once."""
    first = await a.commit(line_of())
    again = await a.cell.commit(a.commit_of(line_of(), n=1))
    assert again == first._replace(again=True)
    assert await a.cell.last_seqs() == {"t.a": 1}


async def test_another_content_under_a_used_number_is_refused(a):
    """A number stands for one content for ever."""
    await a.commit(line_of())
    with pytest.raises(CommitConflict):
        await a.cell.commit(a.commit_of(line_of(body=b'{"x":9}'), n=1))


@pytest.mark.parametrize("n", [0, 3, 7])
async def test_a_commit_out_of_order_is_refused(a, n):
    """One commit in flight per instance: neither an older nor a later number passes."""
    await a.commit(line_of())
    with pytest.raises(CommitConflict):
        await a.cell.commit(a.commit_of(line_of(), n=n))
    assert await a.cell.last_seqs() == {"t.a": 1}


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("t.a", b"{}"),
        ("t.a", b"[1]"),
        ("t.a", b'{"x":1}\n'),
        ("t.a", b'{"x":\n1}'),
        ("t.a", b'{"_seq":1}'),
        ("t a", b'{"x":1}'),
        ("", b'{"x":1}'),
        ("t.\xe4", b'{"x":1}'),
    ],
)
async def test_one_bad_line_refuses_the_whole_commit(a, topic, body):
    """A commit with a good and a bad line leaves no trace."""
    with pytest.raises(CommitRefused):
        await a.cell.commit(a.commit_of(line_of("t.good"), line_of(topic, body)))
    assert await a.cell.last_seqs() == {}
    assert (await a.cell.meta()).seq == 0


async def test_state_and_position_are_stored_with_the_lines(a, new_cell):
    """After a crash the next process finds memory, input and number of one and the same moment."""
    await a.commit(line_of(), in_seq=41, state=b'{"k":1}')
    await a.commit(line_of(), in_seq=42)
    successor = await Instance(new_cell(), token="next").start()
    assert successor.lease == (2, 42, 0)
    assert await successor.cell.saved_state("svc.a") == (b'{"k":1}', 41, 1)
    await successor.cell.close()


async def test_a_process_that_was_taken_over_cannot_publish(a, new_cell):
    """The old holder of a lease is refused from the moment that another one has it."""
    await a.commit(line_of())
    successor = await Instance(new_cell(), token="next").start()
    with pytest.raises(LeaseLost):
        await a.cell.commit(a.commit_of(line_of()))
    with pytest.raises(LeaseLost):
        await a.cell.renew("svc.a", token=a.token, ttl_ms=1000)
    assert (await successor.commit(line_of())).first == 2
    await successor.cell.close()


async def test_another_host_waits_for_the_lease_to_expire(a, new_cell):
    """Two hosts never run one instance; a released lease is free at once."""
    with pytest.raises(InstanceBusy, match="h1"):
        await Instance(new_cell(), host="h2", token="other").start()
    await a.cell.release("svc.a", token=a.token)
    other = await Instance(new_cell(), host="h2", token="other").start()
    assert (await other.commit(line_of())).first == 1
    await other.cell.close()


async def test_a_reader_of_a_lost_future_closes_the_cell(a, new_cell):
    """Who has seen more than the server holds marks the fork; from then on nobody publishes."""
    b = await Instance(new_cell(), "svc.b").start()
    await b.commit(line_of("t.b"))
    with pytest.raises(HistoryForked):
        await a.cell.commit(a.commit_of(line_of(), seen=99))
    with pytest.raises(HistoryForked, match="has seen 99"):
        await b.cell.commit(b.commit_of(line_of("t.b")))
    assert "99" in (await b.cell.meta()).forked
    await b.cell.close()


async def test_a_process_of_another_epoch_is_refused_and_forks_nothing(a):
    """After a restore an old process must start again; its memory of more lines does not close the new history."""
    with pytest.raises(EpochChanged):
        await a.cell.commit(a.commit_of(line_of(), epoch=7, seen=99))
    assert (await a.cell.meta()).forked == ""
    assert (await a.commit(line_of())).first == 1


async def test_a_server_without_a_cell_takes_nothing(new_cell):
    """An empty server is not a fresh cell: somebody must have said so."""
    cell = new_cell()
    await cell.connect()
    meta = await cell.meta()
    assert (meta.epoch, meta.seq) == (0, 0)
    with pytest.raises(CellMissing):
        await cell.commit(Commit("svc.a", "t", 1, meta.run_id, 0, 1, 0, 0, [line_of()], None, 1000))
    assert await cell.create() is True
    assert await cell.create() is False
    await cell.close()


async def test_a_subscription_has_every_line_behind_the_fence(a, new_cell):
    """Lines up to the number read after subscribing are in the streams, later ones arrive: none is missing."""
    await a.commit(line_of())
    reader = new_cell()
    await reader.connect()
    inbox = await reader.subscribe(["t.*"])
    await a.commit(line_of("t.b"))
    fence = (await reader.meta()).seq
    await a.commit(line_of())
    old = [codec.seq_of(line) for _, line in await reader.read(["t.a", "t.b"], 0, fence)]
    new: list[int] = []
    while not new or new[-1] < 3:
        new += [seq for _, line in await inbox.take() if (seq := codec.seq_of(line)) > fence]
    assert old + new == [1, 2, 3]
    await reader.close()


async def test_streams_are_trimmed_only_behind_journals_and_states(a):
    """Entries go when they are on disk and behind every stored state, and a topic's newest always stay."""
    for value in range(10):
        await a.commit(line_of(body=b'{"x":%d}' % value))
    assert await a.cell.trim(["t.a"], keep=3) == 0
    await a.cell.journalled({"t.a": 9})
    assert await a.cell.trim(["t.a"], keep=3) == 0
    await a.commit(line_of(), in_seq=5, state=b'{"k":1}')
    assert await a.cell.trim(["t.a"], keep=3) == 4
    assert await a.cell.first_seq("t.a") == 5
    await a.commit(line_of(), in_seq=12, state=b'{"k":2}')
    assert await a.cell.trim(["t.a"], keep=3) == 4
    assert [codec.seq_of(line) for line in await a.cell.tail("t.a", 9)] == [9, 10, 11, 12]


async def test_reading_is_limited_per_topic_and_ordered_over_all(a):
    """A range is exclusive at its start, inclusive at its end."""
    for index in range(6):
        await a.commit(line_of(f"t.{'ab'[index % 2]}"))
    read = await a.cell.read(["t.a", "t.b"], 1, 5)
    assert [codec.seq_of(line) for _, line in read] == [2, 3, 4, 5]
    assert [codec.seq_of(line) for _, line in await a.cell.read(["t.a", "t.b"], 0, 9, 1)] == [1, 2]
    assert await a.cell.entry("t.a", 2) is None
    assert codec.seq_of(await a.cell.entry("t.a", 3)) == 3


async def test_plain_keys_can_be_read_and_written(a):
    """The kill switch and the mirror of the day's profit are plain keys."""
    assert await a.cell.get("njord:test:key") is None
    await a.cell.set("njord:test:key", "1")
    assert await a.cell.get("njord:test:key") == b"1"
    await a.cell.set("njord:test:key", "")


async def test_only_who_runs_holds_a_fast_source_back(a, new_cell):
    """An instance that has let go of its lease keeps its position, but nobody waits for it."""
    await a.commit(line_of(), in_seq=7)
    assert await a.cell.positions() == {"svc.a": 7}
    assert await a.cell.held_positions() == {"svc.a": 7}
    await a.cell.release("svc.a", token=a.token)
    assert await a.cell.homes() == {"svc.a": "h1"}
    assert await a.cell.positions() == {"svc.a": 7}
    assert await a.cell.held_positions() == {}


async def test_a_reader_that_falls_too_far_behind_loses_its_subscription_not_its_place(a, new_cell, monkeypatch):
    """What had been received is given out whole and in order, then the reader is told to read the streams."""
    monkeypatch.setattr("core.sequencer.port.INBOX_MAX", 3)
    reader = new_cell()
    await reader.connect()
    inbox = await reader.subscribe(["t.a"])
    await a.commit(*[line_of() for _ in range(5)])
    await reader.ping()  # whatever was published before has arrived
    assert [codec.seq_of(line) for _, line in await inbox.take()] == [1, 2, 3]
    with pytest.raises(BusUnavailable):
        await inbox.take()
    await reader.close()


async def test_a_source_that_has_ended_holds_no_stream_back(a, new_cell):
    """It remembers nothing but the ends of its own topics: what the services need decides what may go."""
    source = await Instance(new_cell(), "md.b").start()
    await source.commit(line_of("t.b"), in_seq=1, state=b"{}")
    for value in range(9):
        await a.commit(line_of(body=b'{"x":%d}' % value), in_seq=9, state=b'{"k":1}')
    await a.cell.journalled({"t.a": 10})
    assert await a.cell.trim(["t.a"], keep=2) == 7
    await source.cell.close()
