"""A replay: one fixed order, the market's clock in it, each line once whatever happens, and never among live data."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import codec, topics
from core.contracts import BookEvent, OHLCVBar, TickerEvent, TradeEvent, TradeGap, Watermark, timeframe_ns
from core.errors import CellInUse, DataError, HistoryForked
from core.market.feed import Feed
from core.market.records import TradeRecord
from core.market.replay import Track, lines
from core.market.source import Pace
from core.runtime.admission import admit_ingest, admit_replay, places_taken
from core.runtime.archive import Archive
from core.runtime.committer import Committer
from core.runtime.replayer import Program, Replayer
from core.runtime.shell import Shell
from core.runtime.status import Status
from core.sequencer.memory import MemoryServer
from tests.runtime_lab import BTC, QUICK, Crash, Faults, FaultyCell, eventually, lost

S = 1_000_000_000
MINUTE = 60 * S
ETH = "ETH/USDT"
T0 = 1_725_000_000 * S - 1_725_000_000 * S % MINUTE
"""A whole minute."""


def bar(symbol, timeframe, opened, close=100.0):
    length = timeframe_ns(timeframe)
    return OHLCVBar(symbol, timeframe, opened, opened + length, close, close, close, close, 1.0)


def bars(symbol, count, timeframe="1m", start=T0):
    """Bars one behind the other, each with its number for a price."""
    length = timeframe_ns(timeframe)
    made = [bar(symbol, timeframe, start + at * length, 1.0 + at) for at in range(count)]
    return track(topics.MD_OHLCV, symbol, [(each.ts_open, each) for each in made], timeframe)


def trade(symbol, ts, number=0):
    return TradeEvent(symbol, 100.0 + number, 1.0, "buy", ts, str(number))


def trades(symbol, *times):
    return track(topics.MD_TRADES, symbol, [(ts, trade(symbol, ts, number)) for number, ts in enumerate(times)])


def track(kind, symbol, events, timeframe=""):
    records = [(ts, codec.encode(event)) for ts, event in events]
    return Track(kind, symbol, timeframe, lambda: records)


def told(*tracks, start=T0, end=T0 + 86_400 * S):
    """The sequence as (seconds behind T0, what): "w" for a watermark, else the kind, with the symbol's first letter."""
    short = {"OHLCVBar": "bar", "TradeEvent": "trade", "TradeGap": "gap", "BookEvent": "book", "TickerEvent": "ticker"}
    said = []
    for due_ns, topic, name, body in lines(tracks, start, end):
        kind = topics.event_type(name)
        assert kind is not None
        event: Any = codec.decode(body, kind)
        assert topics.topic_of(event) == topic
        letter = event.symbol[0]
        length = getattr(event, "timeframe", "")
        place = event.market_ns if isinstance(event, Watermark) else due_ns
        said.append(((place - T0) / S, (short.get(name, "w") + length, letter)))
    return said


# -- the order


def test_a_bar_is_told_when_it_closes_and_the_clock_stands_before_it():
    """Two minutes: their watermarks are at 60 and 120 seconds, each right before its bar, and nothing in between."""
    assert told(bars(BTC, 2)) == [
        (60, ("w", "B")), (60, ("bar1m", "B")), (120, ("w", "B")), (120, ("bar1m", "B")),
    ]  # fmt: skip


def test_several_symbols_and_lengths_are_one_stream():
    """At the same time the symbols come as asked for, and of one symbol short bars before long ones."""
    asked = [bars(ETH, 2), bars(ETH, 1, "2m"), bars(BTC, 1, "2m"), bars(BTC, 2)]
    assert [what for _, what in told(*asked)] == [
        ("w", "E"), ("bar1m", "E"), ("w", "B"), ("bar1m", "B"),
        ("w", "E"), ("bar1m", "E"), ("bar2m", "E"), ("w", "B"), ("bar1m", "B"), ("bar2m", "B"),
    ]  # fmt: skip
    assert [what[1] for _, what in told(*reversed(asked)) if what[0] == "bar1m"] == ["B", "E", "B", "E"]


def test_a_second_is_announced_before_the_first_trade_behind_it_as_it_is_live():
    """Trades at 0.5, 1.0 and 3.7 s: the seconds 0, 1, 2 and 3, each before its trade; the second 4 at the end."""
    replayed = told(trades(BTC, T0 + S // 2, T0 + S, T0 + 37 * S // 10))
    assert replayed == [
        (0, ("w", "B")), (0.5, ("trade", "B")), (1, ("w", "B")), (1, ("trade", "B")),
        (2, ("w", "B")), (3, ("w", "B")), (3.7, ("trade", "B")), (4, ("w", "B")),
    ]  # fmt: skip


def test_books_leave_the_trades_a_second_as_they_do_live():
    """Changes of the book at 1.5 and 3.2 s say that the seconds 0, then 1 and 2 have passed, and no more."""
    books = [BookEvent(BTC, ((99.0, 1.0),), (), ts_exchange_ns=T0 + at) for at in (15 * S // 10, 32 * S // 10)]
    replayed = told(track(topics.MD_BOOK, BTC, [(book.ts_exchange_ns, book) for book in books]), end=T0 + 3 * S)
    assert replayed == [
        (0, ("w", "B")), (1.5, ("book", "B")), (1, ("w", "B")), (2, ("w", "B")), (3.2, ("book", "B")), (3, ("w", "B")),
    ]  # fmt: skip


@given(st.lists(st.integers(0, 400 * S), min_size=1, max_size=30).map(sorted))
def test_watermarks_between_trades_are_those_of_the_live_feed(times):
    """Whatever the trades are: the same seconds at the same places, but for the one at the end."""
    feed, live = Feed(BTC), []
    for number, ts in enumerate(times):
        record = TradeRecord(number, 100.0 + number, 1.0, "buy", T0 + ts, 0, False)
        live += [codec.encode(event) for event in feed.on_record(record)]
    replayed = [line.body for line in lines([trades(BTC, *(T0 + ts for ts in times))], T0, T0 + 500 * S)]
    assert replayed[: len(live)] == live
    assert len(replayed) == len(live) + 1


def test_what_is_at_the_same_time_has_an_order():
    """Bar, gap, trade, book, best prices, whatever was asked for first; a book without a time follows the others."""
    at = T0 + MINUTE
    book = BookEvent(BTC, ((99.0, 1.0),), ((101.0, 1.0),), ts_exchange_ns=at)
    ticker = TickerEvent(BTC, None, 99.0, 101.0, ts_exchange_ns=at)
    timeless = BookEvent(BTC, ((98.0, 1.0),), ((101.0, 1.0),))
    replayed = told(
        track(topics.MD_TICKER, BTC, [(at, ticker)]),
        track(topics.MD_BOOK, BTC, [(at, book), (0, timeless)]),
        trades(BTC, at),
        track(topics.MD_GAPS, BTC, [(at, TradeGap(BTC, at - 1, at, 1, "why"))]),
        bars(BTC, 1),
    )
    kinds = ["w", "bar1m", "gap", "trade", "book", "book", "ticker", "w"]
    assert [what for _, (what, _) in replayed] == kinds


def test_a_late_trade_keeps_its_place_among_the_trades():
    """The trade of second 1 was recorded behind that of second 5; so it is published, and no clock goes back."""
    replayed = list(lines([trades(BTC, T0 + 5 * S, T0 + S, T0 + 6 * S)], T0, T0 + MINUTE))
    decoded = [codec.decode(line.body, TradeEvent).ts for line in replayed if line.type == "TradeEvent"]
    marks = [codec.decode(line.body, Watermark).market_ns for line in replayed if line.type == "Watermark"]
    assert decoded == [T0 + 5 * S, T0 + S, T0 + 6 * S]
    assert marks == sorted(set(marks))


@pytest.mark.parametrize(
    ("end_s", "last"),
    [(86_400, 60), (60, 60), (59.5, 59)],
)
def test_the_last_watermark_says_no_more_than_the_data_do(end_s, last):
    """Behind a trade at 59.2 s the second 60 has passed, unless the range ends before it."""
    replayed = told(trades(BTC, T0 + 592 * S // 10), end=T0 + int(end_s * S))
    assert replayed[-1] == (last, ("w", "B")) or (last, replayed[-1][1][0]) == (59, "trade")
    assert max(place for place, what in replayed if what == ("w", "B")) == last


@settings(max_examples=20)
@given(st.randoms(use_true_random=False), st.integers(1, 2))
def test_the_sequence_is_that_of_a_sort(rng, count):
    """Against Python's sort by time, kind, symbol and place, over tracks of random times: the same lines."""
    tracks, rows = [], []
    symbols = [BTC, ETH][:count]
    for kind in (topics.MD_TRADES, topics.MD_BOOK):
        for rank, symbol in enumerate(symbols):
            times = sorted(T0 + rng.randrange(10) * S // 2 for _ in range(rng.choice((1, 30, 1200))))
            events = [
                trade(symbol, ts, at) if kind is topics.MD_TRADES
                else BookEvent(symbol, ((1.0 + at, 1.0),), (), ts_exchange_ns=ts)
                for at, ts in enumerate(times)
            ]  # fmt: skip
            tracks.append(track(kind, symbol, list(zip(times, events, strict=True))))
            rows += [
                (ts, kind.name, rank, at, codec.encode(event))
                for at, (ts, event) in enumerate(zip(times, events, strict=True))
            ]
    order = {topics.MD_TRADES.name: 0, topics.MD_BOOK.name: 1}
    rows.sort(key=lambda row: (row[0], order[row[1]], row[2], row[3]))
    by_symbol = sorted(tracks, key=lambda each: symbols.index(each.symbol))
    replayed = [line.body for line in lines(by_symbol, T0, T0 + MINUTE) if line.type != "Watermark"]
    assert replayed == [row[4] for row in rows]


# -- the pace


@pytest.mark.parametrize("speed", [1.0, 10.0, 100.0])
def test_delays_do_not_add_up(speed):
    """A thousand bars, each commit up to 5 ms of wall time late: the last one is no later than the first ones."""
    rng, pace = random.Random(7), Pace(speed)
    now = begun = 1_000_000
    late = []
    for line in lines([bars(BTC, 1000)], T0, T0 + 10**9 * S):
        now += pace.delay_ns(line.due_ns, now)
        late.append(now - begun - (line.due_ns - T0 - MINUTE) / speed)
        now += rng.randrange(5_000_000)
    assert max(late) <= 2 * 5_000_000  # its own line and the watermark before it
    assert min(late) >= -1


# -- the driver


def program(*tracks, start=T0, end=T0 + 86_400 * S, name="a"):
    symbols = list(dict.fromkeys(each.symbol for each in tracks))
    return Program(
        {"name": name}, partial(lines, tracks, start, end), [each.channel for each in tracks], symbols, start
    )


class Engine:
    """One replay in its shell."""

    def __init__(self, server, folder, what, *, speed=None, host="h1", instance=topics.REPLAY_BARS, lag_max=1000):
        self.cell = FaultyCell(server)
        self.status = Status(instance)
        committer = Committer(self.cell, instance, 3000, host=host)
        self.replayer = Replayer(self.cell, what, committer, speed=speed, status=self.status, lag_max=lag_max)
        taken = tuple(
            Committer(
                self.cell, name, 3000, host=host, register=False,
                admit=lambda: admit_replay(self.cell, instance, "the cell"),
            )
            for name in places_taken(instance, (BTC, ETH))
        )  # fmt: skip
        archive = Archive(self.cell, instance, folder)
        self.shell = Shell(
            self.cell, self.replayer, committer, archive, status=self.status, exclusive=taken, pulse=QUICK
        )  # fmt: skip

    async def run(self):
        """Until it ends; what ended it."""
        try:
            await asyncio.wait_for(self.shell.run(), 20)
        except (Crash, HistoryForked, CellInUse, DataError) as error:
            return error
        return None


def published(server):
    """What went out, in the order of the cell: channel and body."""
    found = [
        (codec.seq_of(line), topic, codec.body_of(line))
        for topic, stream in server.data.streams.items()
        for _, line in stream
        if not topic.startswith("control.")
    ]
    return [row[1:] for row in sorted(found)]


def expected(what):
    return [(line.topic, line.body) for line in what.lines()]


MIXED = (bars(BTC, 60), bars(ETH, 60), trades(BTC, *(T0 + at * 7 * S for at in range(500))))


@pytest.fixture
def small_batches(monkeypatch):
    """So that a fault may come at many places."""
    monkeypatch.setattr("core.runtime.replayer.BATCH", 7)


async def test_the_same_sequence_on_every_run(tmp_path):
    """Two runs at full speed and a paced one: the same channels and bodies in the same order, all of them."""
    what = program(*MIXED)
    seen: list[list[tuple[str, bytes]]] = []
    for speed in (None, None, 1e9):
        server = MemoryServer()
        assert await Engine(server, tmp_path / str(len(seen)), what, speed=speed).run() is None
        seen.append(published(server))
    assert seen[0] == seen[1] == seen[2] == expected(what)


@pytest.mark.parametrize("kind", ["kill before", "kill after", "lost before", "lost after"])
@pytest.mark.usefixtures("small_batches")
async def test_a_fault_at_any_commit_loses_and_doubles_no_line(tmp_path, kind):
    """Whichever commit fails, in whatever way: stream and journals hold the sequence, each line once."""
    what = program(bars(BTC, 3), trades(BTC, *[T0 + MINUTE] * 9, *(T0 + at * 35 * S for at in range(2, 6))))
    at, reached = 0, True
    while reached:
        at += 1
        server, folder = MemoryServer(), tmp_path / str(at)
        first = Engine(server, folder, what)
        faults = Faults(at, Crash() if kind.startswith("kill") else lost())
        setattr(first.cell, kind.split()[1], faults)
        ended = await first.run()
        reached = faults.left <= 0
        if ended is not None:
            assert isinstance(ended, Crash)
            assert published(server) == expected(what)[: len(published(server))]
            second = Engine(server, folder, what)
            assert await second.run() is None
            assert second.replayer.tally.before + second.replayer.tally.lines.total() == len(expected(what))
        assert published(server) == expected(what)
        for name in ("ohlcv.1m.BTCUSDT", "md.trades.BTCUSDT", "clock.market.BTCUSDT"):
            topic = {"ohlcv": "md.ohlcv.1m.BTC/USDT"}.get(name.partition(".")[0], name.replace("BTCUSDT", BTC))
            journal = (folder / f"{name}.ndjson").read_bytes().splitlines()
            assert journal == [line for _, line in server.data.streams[topic]]
    assert at > 6


@pytest.mark.usefixtures("small_batches")
async def test_lines_that_are_alike_are_told_apart(tmp_path):
    """Forty trades that are the same to the last byte: behind a stop in their middle come those that are left."""
    alike = [(T0 + S, TradeEvent(BTC, 1.0, 1.0, "buy", T0 + S))] * 40
    what = program(track(topics.MD_TRADES, BTC, alike))
    server = MemoryServer()
    first = Engine(server, tmp_path, what)
    first.cell.after = lambda commit: first.shell.stop() if len(published(server)) >= 17 else None
    assert await first.run() is None
    assert 17 <= len(published(server)) < 40
    assert await Engine(server, tmp_path, what).run() is None
    assert published(server) == expected(what)


async def test_a_finished_replay_started_again_publishes_nothing(tmp_path):
    """All of it is there; the summary says how much had been published before."""
    server, what = MemoryServer(), program(*MIXED)
    assert await Engine(server, tmp_path, what).run() is None
    again = Engine(server, tmp_path, what)
    assert await again.run() is None
    assert published(server) == expected(what)
    assert (again.replayer.tally.before, again.replayer.tally.lines.total()) == (len(expected(what)), 0)


async def test_the_next_stretch_begins_at_its_beginning_and_an_earlier_one_is_refused(tmp_path):
    """The time of a cell does not go back: minutes 60 to 90 follow minutes 0 to 60, minutes 30 to 60 do not."""
    server = MemoryServer()
    first = program(bars(BTC, 60), name="a")
    later = program(bars(BTC, 30, start=T0 + 60 * MINUTE), start=T0 + 60 * MINUTE, name="b")
    earlier = program(bars(BTC, 30, start=T0 + 30 * MINUTE), start=T0 + 30 * MINUTE, name="c")
    assert await Engine(server, tmp_path, first).run() is None
    refused = await Engine(server, tmp_path, earlier).run()
    assert isinstance(refused, CellInUse)
    assert "time does not go back" in str(refused)
    assert await Engine(server, tmp_path, later).run() is None
    assert published(server) == expected(first) + expected(later)


async def test_one_that_was_killed_before_its_first_line_begins_at_its_beginning(tmp_path):
    """Behind another stretch: what that has published is nothing of the new one's."""
    server = MemoryServer()
    first = program(bars(BTC, 5), name="a")
    later = program(bars(BTC, 5, start=T0 + 5 * MINUTE), start=T0 + 5 * MINUTE, name="b")
    assert await Engine(server, tmp_path, first).run() is None
    killed = Engine(server, tmp_path, later)
    killed.cell.after = Faults(1, Crash())
    assert isinstance(await killed.run(), Crash)
    assert published(server) == expected(first)
    assert await Engine(server, tmp_path, later).run() is None
    assert published(server) == expected(first) + expected(later)


async def test_other_data_under_the_same_options_are_noticed(tmp_path):
    """The last line published is none of the data any more: nothing is published behind it."""
    server = MemoryServer()
    assert await Engine(server, tmp_path, program(bars(BTC, 10))).run() is None
    changed = await Engine(server, tmp_path, program(bars(BTC, 9))).run()
    assert isinstance(changed, DataError)
    assert "not those that were replayed before" in str(changed)
    assert len(published(server)) == 20


async def test_paced_lines_wait_for_their_time(tmp_path):
    """At a thousandth of a nanosecond per second only the first watermark and its bar are due."""
    server, what = MemoryServer(), program(bars(BTC, 5))
    engine = Engine(server, tmp_path, what, speed=1e-12)
    run = asyncio.create_task(engine.run())
    await eventually(lambda: engine.status.state == "live" and len(published(server)) == 2)
    engine.shell.stop()
    assert await run is None
    assert published(server) == expected(what)[:2]
    assert not engine.replayer.tally.finished


async def idle_service(server):
    """A service that has its lease and handles nothing until its position is moved."""
    cell = FaultyCell(server)
    await cell.connect()
    await cell.create()
    reader = Committer(cell, "risk_engine.main", 3_600_000)
    await reader.join(await cell.meta())
    return reader


async def test_at_full_speed_it_goes_no_faster_than_the_slowest_service(tmp_path, monkeypatch):
    """A service that handles nothing holds it back until it has caught up."""
    monkeypatch.setattr("core.runtime.publishing.LAG_EVERY", 1)
    server, what = MemoryServer(), program(bars(BTC, 200))
    reader = await idle_service(server)
    run = asyncio.create_task(Engine(server, tmp_path, what, lag_max=50).run())
    seen = -1
    while not run.done():
        sent = len(published(server))
        if sent == seen:
            reader.in_seq = server.data.seq
            await reader.commit([])
        assert server.data.seq - reader.in_seq <= 50 + 100 + 4  # the lag, one commit, what it says of itself
        seen = sent
        for _ in range(20):
            await asyncio.sleep(0.0005)
    assert await run is None
    assert published(server) == expected(what)


async def test_it_ends_when_the_services_have_heard_everything(tmp_path):
    """All is published and a service is behind: it waits for that one's position at the last watermark."""
    server, what = MemoryServer(), program(bars(BTC, 20))
    reader = await idle_service(server)
    engine = Engine(server, tmp_path, what)
    run = asyncio.create_task(engine.run())
    await eventually(lambda: engine.replayer.tally.finished)
    last = server.data.seq - 1  # the last bar stands behind its watermark
    for seq in (1, last - 1):
        reader.in_seq = seq
        await reader.commit([])
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert not run.done()
    reader.in_seq = last
    await reader.commit([])
    assert await run is None


# -- who else is there


async def cell_with(*instances, running=True):
    """A cell in which these have registered."""
    server = MemoryServer()
    cell = FaultyCell(server)
    await cell.connect()
    await cell.create()
    for name in instances:
        committer = Committer(cell, name, 3_600_000, host="elsewhere")
        await cell.attest(name, (await cell.meta()).run_id)
        await committer.join(await cell.meta())
        if not running:
            await committer.release()
    return server


BARS, TICKS = topics.REPLAY_BARS, topics.REPLAY_TICKS


@pytest.mark.parametrize(
    ("there", "running", "instance", "said"),
    [
        ("md_ingest.BTCUSDT", True, BARS, "md_ingest.BTCUSDT publishes live data there, from host elsewhere"),
        ("md_ingest.SOLUSDT", False, TICKS, "md_ingest.SOLUSDT has published live data there"),
        ("ohlcv_aggregator.main", True, BARS, "ohlcv_aggregator.main makes the bars there"),
        ("ohlcv_aggregator.main", True, TICKS, ""),
        ("live_broker.main", True, TICKS, "live_broker.main runs there and may trade for real"),
        ("live_broker.main", False, TICKS, ""),
        (TICKS, True, BARS, "is another replay"),
        (TICKS, False, BARS, ""),
        ("paper_trader.main", True, BARS, ""),
    ],
)
async def test_a_replay_does_not_mix_with_what_is_there(tmp_path, there, running, instance, said):
    """Who is in the way is named, with where else to go; nothing was published. What only simulates may hear it."""
    server = await cell_with(there, running=running)
    what = program(trades(BTC, T0 + S)) if instance == TICKS else program(bars(BTC, 1))
    engine = Engine(server, tmp_path, what, instance=instance)
    run = asyncio.create_task(engine.run())
    if not said:
        await eventually(lambda: engine.replayer.tally.finished)
        engine.shell.stop()
        assert await run is None
        return
    refused = await run
    assert isinstance(refused, CellInUse)
    assert said in str(refused)
    assert "--cell NAME" in str(refused)
    assert published(server) == []


async def test_nobody_joins_while_a_replay_runs(tmp_path):
    """The places of the ingests and of the aggregator are taken as long as it runs, and free behind it."""
    server = MemoryServer()
    engine = Engine(server, tmp_path, program(bars(BTC, 5)), speed=1e-12)
    run = asyncio.create_task(engine.run())
    await eventually(lambda: len(published(server)) == 2)
    cell = FaultyCell(server)
    await cell.connect()
    names = ["md_ingest.BTCUSDT", "md_ingest.ETHUSDT", "ohlcv_aggregator.main"]
    for name in names:
        with pytest.raises(Exception, match=f"{name} is running on h1"):
            await Committer(cell, name, 3000, host="h2").join(await cell.meta())
    engine.shell.stop()
    assert await run is None
    for name in names:
        await Committer(cell, name, 3000, host="h2").join(await cell.meta())


@pytest.mark.parametrize(("there", "running"), [(BARS, True), (TICKS, False), ("strategy_runner.main", True)])
async def test_an_ingest_does_not_join_where_a_replay_is_or_was(there, running):
    """The market of 2024 in the journals, then that of today: no. Taken off by a person, it is allowed."""
    server = await cell_with(there, running=running)
    cell = FaultyCell(server)
    await cell.connect()
    ingest = Committer(cell, "md_ingest.BTCUSDT", 3000, host="h2", admit=lambda: admit_ingest(cell, "cell 'x'"))
    if topics.REPLAY in there:
        with pytest.raises(CellInUse, match=f"cell 'x' holds replayed data: {there} .* deregister {there}"):
            await ingest.join(await cell.meta())
        assert "md_ingest.BTCUSDT" not in await cell.homes()
        server.data.owners.remove(there)  # what `njord_cell.py deregister` does
    await ingest.join(await cell.meta())


@pytest.mark.parametrize(
    ("instance", "channel", "owns"),
    [
        (BARS, "md.ohlcv.1m.BTC/USDT", True),
        (TICKS, "md.ohlcv.1m.BTC/USDT", False),
        (TICKS, "md.trades.ETH/USDT", True),
        (TICKS, "clock.market.ETH/USDT", True),
        (BARS, "fills.new", False),
        (BARS, "alerts", False),
        (BARS, f"control.session.{BARS}", True),
    ],
)
def test_a_replay_keeps_the_journals_of_what_it_publishes(instance, channel, owns):
    """Bars belong to the one that publishes bars; where trades are replayed, the aggregator makes and keeps them."""
    assert topics.owns(instance, channel) is owns
