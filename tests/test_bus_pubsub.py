"""The public bus: the same promises in memory and on a real server."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import uuid
from decimal import Decimal
from pathlib import Path

import pytest

from core.bus import BATCH_MAX, Bus, BusProto, InMemoryBus, SequencedBus
from core.contracts import KillSwitchSet, Malformed, OrderIntent, TradeEvent, Watermark
from core.embedded import EmbeddedServer
from core.errors import BusUnavailable, CodecError, CommitRefused, ConfigError, ContractError
from core.sequencer.memory import MemoryCell, MemoryServer
from core.sequencer.port import Inbox

ROOT = Path(__file__).resolve().parents[1]
TRADE = {
    "symbol": "ATOM/USDT", "price": 7.25, "qty": 3.0, "side": "sell", "ts": 1_723_118_400_000_000_000,
    "trade_id": "17", "ts_recv_ns": 0, "late": False,
}  # fmt: skip


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
async def bus(request):
    """A bus on a cell of its own."""
    if request.param == "memory":
        made: SequencedBus = InMemoryBus()
    else:
        made = Bus(request.getfixturevalue("redis_url"), uuid.uuid4().hex[:12])
    yield made
    await made.close()


@pytest.fixture
def topic():
    """A name that nobody else uses."""
    return f"test.{uuid.uuid4().hex}"


class Reader:
    """Collects what a subscription gives."""

    def __init__(self, bus, topic):
        self.got = []
        self.task = asyncio.create_task(self.read(bus, topic))

    async def read(self, bus, topic):
        async for message in bus.subscribe(topic):
            self.got.append(message)

    async def first(self, count):
        """So many messages, and no more."""
        async with asyncio.timeout(10):
            while len(self.got) < count and not self.task.done():  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        return self.got

    async def close(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def listen(bus):
    """Subscribe, and wait until the subscription is there: a message of its own has come through."""
    readers = []

    async def subscribe(topic, probe=None):
        reader = Reader(bus, topic)
        readers.append(reader)
        async with asyncio.timeout(10):
            while not reader.got:
                await bus.publish_json(probe or topic, {"probe": True})
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.01)
        reader.got.clear()
        return reader

    yield subscribe
    for reader in readers:
        await reader.close()


async def test_what_is_published_is_received(bus, topic, listen):
    """A round trip: the payload arrives as it was sent, without the sequencer's header."""
    reader = await listen(topic)
    payload = {"text": 'zażółć \u2028 \\ "', "number": 1.5, "whole": 10**18, "none": None, "list": [1, {"a": True}]}
    await bus.publish_json(topic, payload)
    assert await reader.first(1) == [payload]


async def test_messages_of_a_topic_come_in_order(bus, topic, listen):
    """A thousand messages, one after another."""
    reader = await listen(topic)
    for number in range(1000):
        await bus.publish_json(topic, {"n": number})
    assert [message["n"] for message in await reader.first(1000)] == list(range(1000))


async def test_many_publishers_at_once_lose_nothing(bus, topic, listen):
    """A hundred calls in parallel, the first of which has yet to connect."""
    other = Bus(bus_url(bus), bus_cell(bus)) if isinstance(bus, Bus) else InMemoryBus(bus.server)
    reader = await listen(topic)
    await asyncio.gather(*(other.publish_json(topic, {"n": number}) for number in range(100)))
    assert sorted(message["n"] for message in await reader.first(100)) == list(range(100))
    history = await other.history(topic)
    assert len({line["_src"] for line in history if "n" in line}) == 1
    await other.close()


def bus_url(bus):
    address = bus._new_cell()._address
    return f"redis://{address.host}:{address.port}/{address.database}"


def bus_cell(bus):
    return bus._new_cell()._keys.removeprefix("njord@").removesuffix(":")


async def test_a_pattern_hears_every_topic_that_it_covers_and_no_other(bus, listen):
    """`*` stands for any text, as in md.trades.*."""
    family = uuid.uuid4().hex
    reader = await listen(f"{family}.a.*", probe=f"{family}.a.probe")
    await bus.publish_json(f"{family}.a.ONE/USDT", {"n": 1})
    await bus.publish_json(f"{family}.b.ONE/USDT", {"n": 2})
    await bus.publish_json(f"{family}.a", {"n": 3})
    await bus.publish_json(f"{family}.a.TWO.x", {"n": 4})
    assert [message["n"] for message in await reader.first(2)] == [1, 4]


async def test_two_subscribers_hear_the_same(bus, topic, listen):
    """Nobody takes a message away from anybody."""
    one, two = await listen(topic), await listen(topic)
    one.got.clear()
    await bus.publish_json(topic, {"n": 1})
    assert await one.first(1) == await two.first(1) == [{"n": 1}]


async def test_who_comes_late_hears_what_comes_later(bus, topic, listen):
    """A subscription begins when it begins; the history is there for the rest."""
    await bus.publish_json(topic, {"n": 1})
    reader = await listen(topic)
    await bus.publish_json(topic, {"n": 2})
    assert await reader.first(1) == [{"n": 2}]
    assert [line["n"] for line in await bus.history(topic) if "n" in line] == [1, 2]


async def test_the_history_holds_everything_in_order(bus):
    """Of a topic or a pattern, headers included, also behind a number."""
    family = uuid.uuid4().hex
    for number in range(4):
        await bus.publish_json(f"{family}.{number % 2}", {"n": number})
    lines = await bus.history(f"{family}.*")
    assert [line["n"] for line in lines] == [0, 1, 2, 3]
    numbers = [line["_seq"] for line in lines]
    assert numbers == sorted(set(numbers))
    assert [line["n"] for line in await bus.history(f"{family}.1")] == [1, 3]
    assert [line["n"] for line in await bus.history(f"{family}.*", after=numbers[1])] == [2, 3]
    assert lines[2]["_prev"] == numbers[0]


# -- many at once


def trades(count, first=0, symbol="ATOM/USDT"):
    return [TradeEvent(symbol, 7.25, 1.0, "buy", 1_723_118_400_000_000_000, str(first + n)) for n in range(count)]


async def test_a_batch_is_one_commit_in_its_order(bus):
    """Events of several topics: numbers that follow each other, one commit, each line saying how many come."""
    await bus.publish_batch([*trades(2), Watermark("ATOM/USDT", 10**9), *trades(1, first=2)])
    lines = await bus.history("*")
    assert [line["_type"] for line in lines] == ["TradeEvent", "TradeEvent", "Watermark", "TradeEvent"]
    assert [line["_seq"] - lines[0]["_seq"] for line in lines] == [0, 1, 2, 3]
    assert [line["_more"] for line in lines] == [3, 2, 1, 0]
    assert len({(line["_n"], line["_ts"], line["_src"]) for line in lines}) == 1
    assert [line["trade_id"] for line in lines if "trade_id" in line] == ["0", "1", "2"]


async def test_a_batch_is_received_like_its_events_one_by_one(bus, listen):
    """A reader hears each of them, in order."""
    reader = await listen("md.*", probe="md.probe")
    await bus.publish_batch(trades(500))
    assert [message["trade_id"] for message in await reader.first(500)] == [str(n) for n in range(500)]


async def test_nothing_comes_between_the_events_of_a_batch(bus):
    """Twenty batches at once, with single events among them: each batch is a row of numbers of its own."""
    other = Bus(bus_url(bus), bus_cell(bus)) if isinstance(bus, Bus) else InMemoryBus(bus.server)
    batches = [bus.publish_batch(trades(10, first=10 * number)) for number in range(20)]
    singles = [other.publish(trades(1, first=1000 + number)[0]) for number in range(50)]
    await asyncio.gather(*batches, *singles)
    ids = [int(line["trade_id"]) for line in await bus.history("md.trades.*")]
    assert sorted(ids) == [*range(200), *range(1000, 1050)]
    for number in range(20):
        start = ids.index(10 * number)
        assert ids[start : start + 10] == list(range(10 * number, 10 * number + 10))
    await other.close()


@pytest.mark.parametrize(
    ("events", "error"),
    [
        ([*trades(2), Malformed("x", "y")], ContractError),  # an event without a topic
        ([*trades(2), *trades(1, symbol="two words")], CommitRefused),  # a topic that no file could have
        (trades(BATCH_MAX + 1), ContractError),
    ],
    ids=["no topic", "no name", "too many"],
)
async def test_of_a_batch_that_is_refused_nothing_is_published(bus, events, error):
    """Not even the good ones before the bad one; and the next call publishes."""
    with pytest.raises(error):
        await bus.publish_batch(events)
    assert await bus.history("md.trades.*") == []
    await bus.publish_batch(trades(1))
    assert len(await bus.history("md.trades.*")) == 1


async def test_an_empty_batch_is_no_commit(bus):
    """It does not even connect."""
    await bus.publish_batch([])
    assert bus._committer is None
    await bus.publish_batch(iter(trades(BATCH_MAX)))  # as many as are allowed, from anything that can be iterated
    assert len(await bus.history("md.trades.*")) == BATCH_MAX


# -- who does not read


async def test_a_reader_that_does_not_read_loses_its_subscription_not_memory(bus, topic, monkeypatch):
    """Three may wait: of ten it gets the first three and is told; publishers never waited, the history has all."""
    full = asyncio.Event()
    fail = Inbox.fail

    def failed(inbox, failure):
        fail(inbox, failure)
        full.set()

    monkeypatch.setattr(Inbox, "fail", failed)
    messages = bus.subscribe(topic)
    first = asyncio.create_task(anext(messages))
    async with asyncio.timeout(10):
        while not first.done():
            await bus.publish_json(topic, {"probe": True})
            await asyncio.sleep(0.005)
        await bus.publish_json(topic, {"start": True})
        while "start" not in await anext(messages):
            continue
    monkeypatch.setattr("core.sequencer.port.INBOX_MAX", 3)
    for number in range(10):
        await bus.publish_json(topic, {"n": number})
    await asyncio.wait_for(full.wait(), 10)
    assert [(await anext(messages))["n"] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(BusUnavailable, match="3 messages wait"):
        await anext(messages)
    assert [line["n"] for line in await bus.history(topic) if "n" in line] == list(range(10))
    again = bus.subscribe(topic)
    task = asyncio.create_task(anext(again))
    async with asyncio.timeout(10):
        while not task.done():
            await bus.publish_json(topic, {"n": 10})
            await asyncio.sleep(0.005)
    assert task.result() == {"n": 10}
    await again.aclose()


# -- what a topic takes


async def test_an_event_is_published_on_its_own_topic(bus):
    """A typed event needs no topic: its class and its fields name it."""
    trade = TradeEvent("ATOM/USDT", 7.25, 3.0, "sell", 1_723_118_400_000_000_000, "17")
    await bus.publish(trade)
    await bus.publish_json("md.trades.ATOM/USDT", TRADE)
    one, two = await bus.history("md.trades.ATOM/USDT")
    own = {key: value for key, value in one.items() if not key.startswith("_")}
    assert own == {key: value for key, value in two.items() if not key.startswith("_")} == TRADE
    with pytest.raises(ContractError, match="no topic"):
        await bus.publish(Malformed("x", "y"))


@pytest.mark.parametrize(
    ("where", "payload", "said"),
    [
        ("md.trades.ATOM/USDT", {**TRADE, "price": -1.0}, "above 0"),
        ("md.trades.ATOM/USDT", {**TRADE, "qty": 0}, "above 0"),
        ("md.trades.ATOM/USDT", {**TRADE, "side": "hold"}, "side"),
        ("md.trades.ATOM/USDT", {**TRADE, "price": "many"}, "price"),
        ("md.trades.ATOM/USDT", {**TRADE, "volume": 3}, "no field 'volume'"),
        ("md.trades.ATOM/USDT", {"symbol": "ATOM/USDT"}, "price"),
        ("md.trades.BTC/USDT", TRADE, "md.trades.ATOM/USDT"),
        ("strat.intent", TRADE, "OrderIntent"),
        ("strat.intent", {"strategy_id": "s", "symbol": "B/U", "side": "buy", "type": "market", "qty": "NaN"}, "qty"),
        ("risk.decisions", {"intent_id": "i"}, "allowed"),
    ],
)  # fmt: skip
async def test_a_topic_refuses_what_is_not_its_event(bus, where, payload, said):
    """The error names the field and what is allowed; nothing is published."""
    with pytest.raises(CodecError, match=said):
        await bus.publish_json(where, payload)
    with pytest.raises(ContractError):
        await bus.publish_json(where, payload)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [1, v], lambda v: {"deep": [{"er": v}]}, lambda v: (v,)])
async def test_no_topic_takes_what_is_no_finite_number(bus, topic, value, wrap):
    """NaN and infinities never travel, however deep they sit."""
    with pytest.raises(CodecError, match="finite"):
        await bus.publish_json(topic, {"x": wrap(value)})


@pytest.mark.parametrize("payload", [{}, [], None, "text", {"_seq": 1}, {"x": object()}, {"x": {1: object()}}])
async def test_what_is_no_json_object_is_refused(bus, topic, payload):
    """A payload is an object with fields, none of which looks like the header."""
    with pytest.raises(CodecError):
        await bus.publish_json(topic, payload)


@pytest.mark.parametrize("name", ["", "two words", "line\nbreak", "ümlaut", "a\x00b", "x" * 300])
async def test_a_topic_name_that_no_file_could_have_is_refused(bus, name):
    """Names are ASCII without spaces, at most 200 characters long."""
    with pytest.raises((CommitRefused, CodecError)):
        await bus.publish_json(name, {"x": 1})
    await bus.publish_json("test.still.works", {"x": 1})


async def test_decimals_and_large_numbers_survive(bus):
    """Money travels as text, times as whole numbers."""
    intent = OrderIntent("s", "BTC/USDT", "buy", "limit", Decimal("0.10000000000000000001"), Decimal("1E+2"))
    await bus.publish(intent)
    (line,) = await bus.history("strat.intent")
    assert (line["qty"], Decimal(line["limit_price"])) == ("0.10000000000000000001", Decimal(100))
    await bus.publish(KillSwitchSet("trip-file", "r", "me", 2**62))
    assert (await bus.history("control.kill_switch"))[0]["at_ns"] == 2**62


# -- the connection


async def test_closing_ends_every_subscription(bus, topic, listen):
    """Whoever listens is told that there will be nothing more."""
    reader = await listen(topic)
    await bus.close()
    with pytest.raises(BusUnavailable):
        await asyncio.wait_for(reader.task, 10)


async def test_a_bus_in_memory_goes_on_after_a_restart_of_its_server():
    """The first call after the restart says that the connection is lost, the next one publishes."""
    server = MemoryServer()
    await goes_on(InMemoryBus(server), server.restart)


@pytest.mark.parametrize("gone", [0, 1], ids=["on its way", "in the queue"])
async def test_a_caller_that_stops_waiting_spoils_no_other_call(gone):
    """Everything is published once and in order, whether or not its caller still waits for the answer."""
    server, reached, answered = MemoryServer(), asyncio.Event(), asyncio.Event()

    class Slow(MemoryCell):
        async def commit(self, commit):
            reply = await super().commit(commit)
            reached.set()
            await answered.wait()
            return reply

    bus = SequencedBus(lambda: Slow(server))
    calls = [asyncio.create_task(bus.publish_json("x", {"n": number})) for number in range(3)]
    await reached.wait()
    calls[gone].cancel()
    await asyncio.sleep(0)
    answered.set()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    await bus.publish_json("x", {"n": 3})
    assert [isinstance(end, asyncio.CancelledError) for end in ends] == [number == gone for number in range(3)]
    assert [line["n"] for line in await bus.history("x")] == [0, 1, 2, 3]
    await bus.close()


async def test_a_publisher_that_cannot_join_keeps_no_connection():
    """Every failed call lets go of what it has opened: a server that is not ready collects nothing."""
    closed = []

    class Unready(MemoryCell):
        async def meta(self):
            raise BusUnavailable("not ready")

        async def close(self):
            closed.append(self._run_id)
            await super().close()

    server = MemoryServer()
    bus = SequencedBus(lambda: Unready(server))
    with pytest.raises(BusUnavailable):
        await bus.publish_json("x", {"n": 1})
    assert closed == ["", server.run_id]  # once before it connects, once behind the failure


@pytest.mark.redis
async def test_a_bus_goes_on_after_a_restart_of_its_server(tmp_path, redis_server):
    """The same on a real server, killed and started again."""
    server = EmbeddedServer(tmp_path)
    server.start()

    def restart():
        server.stop()
        server.start()

    try:
        await goes_on(Bus(server.url), restart)
    finally:
        server.stop()


async def goes_on(bus, restart):
    await bus.publish_json("test.restart", {"n": 1})
    reader = Reader(bus, "test.restart")
    while not reader.got:
        await bus.publish_json("test.restart", {"n": 1})
        await asyncio.sleep(0.001)
    restart()
    with pytest.raises(BusUnavailable):
        await asyncio.wait_for(reader.task, 10)
    with pytest.raises(BusUnavailable):
        await bus.publish_json("test.restart", {"n": 2})
    await asyncio.wait_for(bus.publish_json("test.restart", {"n": 3}), 10)
    assert [line["n"] for line in await bus.history("test.restart")][-1] == 3
    await bus.close()


async def test_without_a_server_the_call_fails_and_says_where(topic):
    """Nobody listens on that port."""
    bus = Bus("redis://127.0.0.1:1/0")
    with pytest.raises(BusUnavailable, match=r"127\.0\.0\.1:1 "):
        await bus.publish_json(topic, {"x": 1})


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://x", "redis://x:port", "redis://x/db"])
async def test_a_url_that_is_none_is_refused(url):
    """The message says what is allowed and does not repeat the URL, which may hold a password."""
    bus = Bus(url)
    with pytest.raises(ConfigError, match=r"redis\.url"):
        await bus.publish_json("t", {"x": 1})


def test_the_protocol_needs_no_client():
    """Importing the protocol imports neither redis nor hiredis."""
    code = (
        "import sys; from core.bus import BusProto, InMemoryBus; "
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'redis', 'hiredis', 'pandas', 'ccxt'}))"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


async def test_a_component_takes_either():
    """A component that asks for a BusProto is given the bus in memory or the one on Redis."""

    async def component(bus: BusProto) -> None:
        await bus.publish_json("test.component", {"x": 1})
        await bus.publish_batch(trades(2))

    memory = InMemoryBus()
    await component(memory)
    assert [line["x"] for line in await memory.history("test.component")] == [1]
    assert len(await memory.history("md.trades.*")) == 2
    with pytest.raises(BusUnavailable):
        await component(Bus("redis://127.0.0.1:1/0"))
