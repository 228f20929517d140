"""The journals of an instance: every line of the order is in one of them, whatever it is called."""

from __future__ import annotations

import pytest

from backtest.journals import read_record
from core import codec, topics
from core.contracts import Event
from core.errors import HistoryForked, JournalError, SequenceGap
from core.runtime.archive import Archive
from core.sequencer.memory import MemoryCell
from tests.runtime_lab import Lab, tally

TRADE = {"symbol": "ATOM/USDT", "price": 7.0, "qty": 1.0, "side": "buy", "ts": 1}
FILL = {"order_id": "o-1", "symbol": "ATOM/USDT", "side": "buy", "qty": "1", "price": "7", "fee": "0", "ts_fill_ns": 1}


@pytest.fixture
async def lab(tmp_path):
    made = Lab(tmp_path)
    yield made
    await made.close()


async def complete(lab):
    """Whether the journals hold every line of the order, once, under its topic."""
    for process in lab.running():
        if not process.task.done():
            await process.archive.tail()
    record = read_record([lab.journals])
    held = {codec.seq_of(line): (topic, line) for topic, lines in lab.server.data.streams.items() for _, line in lines}
    assert {line.header.seq: (line.topic, line.raw) for line in record.lines} == held
    return record.findings


NAMES = [
    "portfolio", "app", "fills.BTCUSDT", "positions.x", "risk.decisions.x", "ohlcv.1m.BTCUSDT", "a/b", "ab", "a.b",
    "x:y@z-1", "stray.app", "x" * 200, "x/" * 100,
]  # fmt: skip


async def test_what_anybody_publishes_under_any_name_is_archived(lab):
    """Names that look like journals of others, names that differ only in a slash, the longest name."""
    await lab.process().start()
    for number, name in enumerate(NAMES * 2):
        await lab.bus.publish_json(name, {"n": number})
    assert await complete(lab) == []
    names = {path.name for path in lab.journals.iterdir()}
    assert {topics.stray_journal(name) for name in NAMES} <= names
    assert all(topics.stray_topic(topics.stray_journal(name)) == name for name in NAMES)
    assert not {"app.ndjson", "portfolio.ndjson", "fills.BTCUSDT.ndjson"} & names


async def test_events_whose_owner_has_never_run_are_archived(lab):
    """Trades of a symbol without an ingest, bars without an aggregator, somebody else's control messages."""
    await lab.process().start()
    await lab.bus.publish_json("md.trades.ATOM/USDT", TRADE)
    bar = {"symbol": "ATOM/USDT", "timeframe": "1m", "ts_open": 0, "ts_close": 60_000_000_000, "volume": 0.0}
    await lab.bus.publish_json("md.ohlcv.1m.ATOM/USDT", {**bar, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0})
    await lab.bus.publish_json("control.halt.nobody.x", {"instance": "nobody.x", "reason": "", "before_seq": 1})
    await lab.bus.publish_json("fills.new", FILL)
    assert await complete(lab) == []


async def test_an_owner_that_comes_later_has_the_whole_journal(lab):
    """The fills from before the venue first ran are in its own journal too."""
    await lab.process().start()
    await lab.bus.publish_json("fills.new", FILL)
    assert await complete(lab) == []
    venue = await lab.process(tally(name="paper_trader")).start()
    await lab.bus.publish_json("fills.new", {**FILL, "order_id": "o-2"})
    await venue.archive.tail()
    assert await complete(lab) == []
    orders = [codec.payload_of(line)["order_id"] for line in (lab.journals / "fills.ATOMUSDT.ndjson").open("rb")]
    assert orders == ["o-1", "o-2"]
    stray = lab.journals / topics.stray_journal("fills.new")
    assert len(stray.read_bytes().splitlines()) == 1


async def test_what_an_owner_leaves_behind_that_is_taken_off_the_list_is_archived(lab):
    """Intents published behind the deregistration of the strategies are in a journal too, without a restart."""
    await lab.process().start()
    strategies = await lab.process(tally(name="strategy_runner")).start()
    await lab.send(2)
    await lab.decided(2)
    await strategies.stop()
    lab.server.data.owners.discard("strategy_runner.main")
    await lab.send(2)
    assert await complete(lab) == []


@pytest.mark.parametrize("symbol", ["x" * 300, "../../evil", "a\nb", "a\0b", "*", "ä/ö", "[a]"])
async def test_a_symbol_that_no_file_could_have_harms_no_journal(lab, symbol):
    """A fill of such a symbol is kept in a file of a harmless name."""
    await lab.process(tally(name="paper_trader")).start()
    await lab.bus.publish_json("fills.new", {**FILL, "symbol": symbol})
    await lab.bus.publish_json("fills.new", FILL)
    await lab.processes[0].archive.tail()
    held = [path for path in lab.journals.glob("fills.*.ndjson")]
    assert len(held) == 2
    assert all(path.parent == lab.journals and len(path.name) <= 80 for path in held)


async def test_a_restart_goes_on_behind_what_is_there(lab):
    """Lines published while nobody was there are in the journals afterwards, once."""
    first = await lab.process().start()
    await lab.send(3)
    await lab.decided(3)
    await first.stop()
    await lab.bus.publish_json("alerts", {"n": 1})
    second = await lab.process().start()
    await second.archive.tail()
    lines = (lab.journals / "risk.decisions.ndjson").read_bytes().splitlines()
    assert len(lines) == len(set(lines)) == 3
    assert (lab.journals / "stray.alerts.ndjson").exists()


async def test_a_torn_line_is_cut_and_written_again(lab):
    """A process killed in the middle of a write: the stream still holds the line."""
    first = await lab.process().start()
    await lab.send(3)
    await lab.decided(3)
    await first.stop()
    path = lab.journals / "risk.decisions.ndjson"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    await lab.process().start()
    await lab.processes[-1].archive.tail()
    assert path.read_bytes() == whole


@pytest.mark.parametrize("junk", [b"hello\n", b'{"_seq":12}\n', b'{"_seq":12,"x":1}\n'])
@pytest.mark.parametrize("name", ["risk.decisions", "fills.ATOMUSDT"])
async def test_a_journal_that_ends_with_junk_is_named(lab, junk, name):
    """Own or not: the process does not guess where to go on; the file is named."""
    first = await lab.process(tally(name="paper_trader")).start()
    second = await lab.process().start()
    await lab.send()
    await lab.decided(1)
    await lab.bus.publish_json("fills.new", FILL)
    await first.stop()
    await second.stop()
    with (lab.journals / f"{name}.ndjson").open("ab") as file:
        file.write(junk)
    process = lab.process(tally(name="paper_trader") if name.startswith("fills") else tally())
    process.run()
    ended = await process.ended()
    assert isinstance(ended, JournalError)
    assert name in str(ended)


async def test_another_line_at_the_end_of_a_journal_is_a_fork(lab):
    """The journal remembers what the server does not: the cell is closed."""
    first = await lab.process().start()
    await lab.send()
    await lab.decided(1)
    await first.stop()
    path = lab.journals / "risk.decisions.ndjson"
    path.write_bytes(path.read_bytes().replace(b'"count":"1"', b'"count":"9"'))
    with pytest.raises(HistoryForked, match=r"risk\.decisions\.ndjson"):
        await lab.process().start()
    assert lab.server.data.forked


@pytest.mark.parametrize(("forked", "error"), [("being loaded", HistoryForked), ("", SequenceGap)])
async def test_a_stream_that_is_gone_stops_its_journal_and_says_whether_it_is_being_replaced(lab, forked, error):
    """A restore under a running service takes the streams away first: that is a fork, and no broken server."""
    first = await lab.process().start()
    await lab.send(3)
    await lab.decided(3)
    await first.stop()
    (lab.journals / "risk.decisions.ndjson").unlink()
    del lab.server.data.streams["risk.decisions"]
    lab.server.data.forked = forked
    cell = MemoryCell(lab.server)
    await cell.connect()
    archive = Archive(cell, "risk_engine.main", lab.journals)
    with pytest.raises(error):
        await archive.tail()


async def test_a_hole_in_a_stream_stops_its_journal(lab):
    """A line that is gone from the middle of a stream cannot be journalled, and must not be passed over."""
    first = await lab.process().start()
    await lab.send(3)
    await lab.decided(3)
    await first.stop()
    path = lab.journals / "risk.decisions.ndjson"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    del lab.server.data.streams["risk.decisions"][1]
    cell = MemoryCell(lab.server)
    await cell.connect()
    with pytest.raises(SequenceGap, match=r"risk\.decisions"):
        await Archive(cell, "risk_engine.main", lab.journals).tail()


def test_every_event_type_is_journalled_somewhere():
    """No topic without an owner and a file."""
    for topic in topics.TOPICS:
        assert topic.owner
        assert issubclass(topic.event, Event)
        assert topic.journal_name(topic.name.replace("{", "").replace("}", ""), "symbol").endswith(".ndjson")
