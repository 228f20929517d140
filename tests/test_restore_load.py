"""Loading a restored history into a server: nothing of the old one stays, and a load that broke off can be repeated."""

from __future__ import annotations

import uuid

import pytest

from core.errors import BusUnavailable
from core.sequencer.records import CellContent, Lease, SavedState
from core.sequencer.redis import RedisCell
from tests.contract.test_cell import Instance, line_of

pytestmark = pytest.mark.redis

EMPTY = CellContent(seq=0, ts_ns=0, streams={}, last={}, instances={}, states={})


class Breaking(RedisCell):
    """A connection that is lost behind so many calls."""

    left = 1 << 30

    async def _call(self, *args):
        self.left -= 1
        if self.left < 0:
            raise BusUnavailable("lost by the test")
        return await super()._call(*args)


async def forked(redis_url):
    """A cell with four lines on two topics, a position and a memory."""
    instance = await Instance(Breaking(redis_url, uuid.uuid4().hex[:12])).start()
    for number in range(1, 5):
        await instance.commit(line_of("t.a" if number % 2 else "t.b"), in_seq=number, state=b'{"old":1}')
    return instance.cell


async def restored(cell):
    """Two of its lines, on one topic."""
    return CellContent(
        seq=3, ts_ns=9_000, streams={"t.a": await cell.tail("t.a", 9)}, last={"t.a": 3},
        instances={"svc.b": Lease(2, 3, 0)}, states={"svc.b": SavedState(b'{"new":1}', 3, 2)},
    )  # fmt: skip


async def test_who_is_not_in_the_new_history_starts_anew(redis_url):
    """Its lines were cut: with the old position it would pass over inputs of the new history unread."""
    cell = await forked(redis_url)
    await cell.load(EMPTY, "restored")
    assert await cell.saved_state("svc.a") is None
    assert await cell.attested() == set()
    assert not (await cell.meta()).open
    lease = await cell.acquire("svc.a", token="new", host="h1", ttl_ms=1000, register=True)
    assert lease == Lease(0, 0, 0)
    await cell.close()


async def test_a_load_that_broke_off_leaves_the_cell_closed_and_can_be_repeated(redis_url):
    """Whichever call fails, nobody may publish, no old memory is believed, and the next attempt succeeds."""
    at, broken = 0, True
    while broken:
        at += 1
        cell = await forked(redis_url)
        content, epoch = await restored(cell), (await cell.meta()).epoch
        cell.left, broken = at, False
        try:
            await cell.load(content, "restored")
        except BusUnavailable:
            broken = True
        cell.left = 1 << 30
        if broken:
            assert (await cell.meta()).forked
            await cell.load(content, "restored")
        meta = await cell.meta()
        assert (meta.seq, meta.forked, meta.open, meta.epoch > epoch) == (3, "", False, True)
        assert await cell.last_seqs() == {"t.a": 3}
        assert [await cell.tail("t.a", 9), await cell.tail("t.b", 9)] == [content.streams["t.a"], []]
        assert await cell.saved_state("svc.a") is None
        assert await cell.saved_state("svc.b") == content.states["svc.b"]
        await cell.close()
    assert at > 10
