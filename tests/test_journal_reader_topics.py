"""Reading journals of any topic: events, recorded bytes, and what is there."""

from __future__ import annotations

import gzip
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core import codec, topics
from core.contracts import (
    BookEvent,
    CorporateAction,
    Event,
    FillEvent,
    Halt,
    OHLCVBar,
    PositionSnapshot,
    TickerEvent,
    TradeEvent,
)
from core.contracts.times import time_fields
from core.data_source import Series
from core.errors import ContractError, JournalError
from core.journal_query import Record
from core.journal_reader import JournalReader
from core.topics import TOPICS, Topic
from tests.event_samples import any_of

BTC, ETH = "BTC/USDT", "ETH/USDT"
START = 1_759_104_000_000_000_000
HOUR = 3_600_000_000_000


def headed(event: Event, seq: int, ts: int) -> bytes:
    """The event's line as the sequencer writes it."""
    header = codec.Header(seq, ts, 0, "test.main", 0, seq, ts, type(event).__name__, 1, seq, 0)
    return codec.line_of(header, codec.encode(event))


def put(path: Path, lines: list[bytes]) -> None:
    content = b"".join(line + b"\n" for line in lines)
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)


TRADES = [TradeEvent(BTC, 100.5, 0.25, "buy", START + number, str(number)) for number in range(3)]
BOOKS = [
    BookEvent(BTC, ((1.0, 2.0),), ((3.0, 4.0),), ts_exchange_ns=START, ts_recv_ns=START + 5),
    BookEvent(BTC, ((1.0, 2.0),), (), kind="delta", ts_recv_ns=START + 1),
]
TICKERS = [TickerEvent(BTC, 1.0, 1.0, 2.0, ts_recv_ns=START + number) for number in range(3)]
ACTIONS = [CorporateAction(BTC, "symbol_change", START, new_symbol="XBT/USDT")]


def test_trades_books_tickers_and_actions(tmp_path):
    """Trades by the venue's time; books and tickers too, or by that of receipt where the venue gives none."""
    put(tmp_path / "md.trades.BTCUSDT.ndjson", [headed(each, 1, START + HOUR) for each in TRADES])
    put(tmp_path / "md.book.BTCUSDT.ndjson", [codec.encode(each) for each in BOOKS])
    put(tmp_path / "md.ticker.BTCUSDT.ndjson", [headed(each, 1, START + HOUR) for each in TICKERS])
    put(tmp_path / "md.actions.BTCUSDT.ndjson", [codec.encode(each) for each in ACTIONS])
    reader = JournalReader(tmp_path)
    assert list(reader.read_trades(BTC, START + 1, START + 2)) == TRADES[1:2]
    assert list(reader.read_books(BTC)) == BOOKS
    assert list(reader.read_books(BTC, START + 1, START + 2)) == BOOKS[1:]
    assert list(reader.read_books(BTC, START, START + 1)) == BOOKS[:1]
    assert list(reader.read_tickers(BTC, START + 1)) == TICKERS[1:]
    assert list(reader.read_actions(BTC)) == ACTIONS
    assert reader.series() == [
        Series("actions", BTC, "", START, START),
        Series("books", BTC, "", START, START + 1),
        Series("tickers", BTC, "", START, START + 2),
        Series("trades", BTC, "", START, START + 2),
    ]


def fill(symbol: str, hours: int) -> FillEvent:
    return FillEvent("order", symbol, "buy", Decimal(1), Decimal(100), Decimal("0.1"), START + hours * HOUR)


def position(symbol: str, hours: int) -> PositionSnapshot:
    return PositionSnapshot(symbol, 1.0, 100.0, 0.0, START + hours * HOUR)


def test_fills_and_positions_of_one_symbol_or_of_all(tmp_path):
    """Each symbol has a journal of its own; of all symbols they come merged by time."""
    for symbol, hours in ((BTC, (0, 4, 8)), (ETH, (2, 6))):
        name = symbol.replace("/", "")
        put(tmp_path / f"fills.{name}.ndjson", [headed(fill(symbol, each), 1, 1) for each in hours])
        put(tmp_path / f"positions.{name}.ndjson.gz", [headed(position(symbol, each), 1, 1) for each in hours])
    reader = JournalReader(tmp_path)
    assert list(reader.read_fills(ETH)) == [fill(ETH, 2), fill(ETH, 6)]
    assert list(reader.read_fills(BTC, START + 1, START + 8 * HOUR)) == [fill(BTC, 4)]
    assert list(reader.read_positions(BTC, START + 4 * HOUR)) == [position(BTC, 4), position(BTC, 8)]
    both = [fill(BTC, 0), fill(ETH, 2), fill(BTC, 4), fill(ETH, 6), fill(BTC, 8)]
    assert list(reader.read(topics.FILLS_NEW)) == both
    assert list(reader.read(topics.FILLS_NEW, START + 1, START + 7 * HOUR)) == both[1:4]
    assert [each.channel for each in reader.records(topics.FILLS_NEW)] == ["fills.new"] * 5


def test_an_event_without_a_time_of_its_own_has_the_sequencers(tmp_path):
    """A halt says not when; its header does. Without a header it can only be read with all others."""
    path = tmp_path / "control.halt.risk_engine.main.ndjson"
    halts = [Halt("risk_engine.main", f"reason {number}", 1) for number in range(3)]
    put(path, [headed(each, number, START + number) for number, each in enumerate(halts, 1)])
    reader = JournalReader(tmp_path)
    assert list(reader.read(topics.HALT, START + 2, START + 3)) == halts[1:2]
    put(path, [codec.encode(each) for each in halts])
    assert list(reader.read(topics.HALT)) == halts
    with pytest.raises(JournalError, match=f"{path}, line 1: no Halt with a time: it has neither its own"):
        list(reader.read(topics.HALT, START))


def test_what_an_event_has_not_cannot_be_asked_for(tmp_path):
    """Halts have no symbol and trades no time frame: asking for one is a mistake, not an empty answer."""
    reader = JournalReader(tmp_path)
    with pytest.raises(ContractError, match="Halt has no symbol"):
        reader.read(topics.HALT, symbol=BTC)
    with pytest.raises(ContractError, match="TradeEvent has no timeframe"):
        reader.records(topics.MD_TRADES, timeframe="1m")


def test_journals_of_other_topics_are_left_alone(tmp_path):
    """`portfolio` is not `portfolio.pnl_day`, and bars of all time frames are those of `ohlcv` only."""
    bars = [
        OHLCVBar(BTC, frame, START, START + length * HOUR, 1.0, 1.0, 1.0, 1.0, 1.0)
        for frame, length in (("1h", 1), ("4h", 4))
    ]
    for each in bars:
        put(tmp_path / f"ohlcv.{each.timeframe}.BTCUSDT.ndjson", [codec.encode(each)])
    put(tmp_path / "portfolio.pnl_day.ndjson", [b"no snapshot"])
    put(tmp_path / "stray.ohlcv.1h.BTCUSDT.ndjson", [b"no bar"])
    put(tmp_path / "app.ndjson", [b"a log"])
    (tmp_path / "notes.txt").write_text("no journal")
    reader = JournalReader(tmp_path)
    assert list(reader.read(topics.PORTFOLIO_SNAPSHOT)) == []
    assert list(reader.read(topics.MD_OHLCV)) == bars
    assert list(reader.read(topics.MD_OHLCV, timeframe="4h")) == bars[1:]
    assert [(each.symbol, each.timeframe) for each in reader.series()] == [(BTC, "1h"), (BTC, "4h")]


def test_records_are_the_recorded_bytes(tmp_path):
    """A replay gets the body byte for byte, also one that no code of today would write, and the channel it was on."""
    body = b'{"symbol":"BTC/USDT","price":1e2,"qty":1.50,"side":"buy","ts":%d,"more":[1, 2]}' % START
    header = codec.Header(7, START + 9, 0, "md_ingest.BTCUSDT", 0, 7, START + 9, "TradeEvent", 1, 7, 0)
    put(tmp_path / "md.trades.BTCUSDT.ndjson", [body, codec.line_of(header, body), body + b"\r"])
    expected = Record(START, "md.trades.BTC/USDT", "TradeEvent", body)
    found = list(JournalReader(tmp_path).records(topics.MD_TRADES, symbol=BTC))
    assert found == [expected, expected, expected._replace(body=body + b"\r")]


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.event.__name__)
@settings(max_examples=25)  # of each of thirty types
@given(data=st.data())
def test_any_event_of_any_topic_comes_back(tmp_path_factory, topic, data):
    """Whatever a topic carries is read as it was, as event and as record, by its own time or else the header's."""
    event = data.draw(any_of(topic.event))
    given_names = {"symbol": BTC, "instance": "risk_engine.main"}
    named = {name: text for name, text in given_names.items() if f"{{{name}}}" in topic.name + topic.journal}
    event = replace(event, **named)  # of those that files can be named after
    own = next((time for name in time_fields(topic.event) if (time := getattr(event, name))), 0)
    assume(own >= 0)
    check(tmp_path_factory.mktemp("any"), topic, event, own or START)


def check(folder: Path, topic: Topic[Any], event: Event, time: int) -> None:
    put(folder / topic.journal_name(topic.of(event), getattr(event, "symbol", "")), [headed(event, 1, START)])
    reader = JournalReader(folder)
    record = Record(time, topic.of(event), type(event).__name__, codec.encode(event))
    assert list(reader.read(topic)) == [event]
    assert list(reader.records(topic)) == [record]
    assert list(reader.records(topic, time, time + 1)) == [record]
    assert list(reader.records(topic, time + 1)) == list(reader.read(topic, time + 1)) == []


def bars(symbol: str, *hours: int) -> list[bytes]:
    times = [START + each * HOUR for each in hours]
    return [codec.encode(OHLCVBar(symbol, "1h", each, each + HOUR, 1.0, 1.0, 1.0, 1.0, 0.0)) for each in times]


def test_first_and_last_times_of_series_over_many_files(tmp_path):
    """From the oldest file's first line to the newest one's last, compressed or not, shared or not."""
    put(tmp_path / "ohlcv.1h.BTCUSDT.20250929.ndjson.gz", bars(BTC, *range(24)))
    put(tmp_path / "ohlcv.1h.BTCUSDT.20250930.ndjson.gz", bars(BTC, *range(24, 30)))
    put(tmp_path / "ohlcv.1h.BTCUSDT.ndjson", [])
    put(tmp_path / "ohlcv.1h.ETHUSDT.20250101.ndjson.gz", bars(ETH, 50, 60))
    put(tmp_path / "ohlcv.1h.ETHUSDT.20250102.ndjson.gz", bars(ETH, 10, 20))
    put(tmp_path / "ohlcv.1h.ABUSD.20250929.ndjson", bars("A/BUSD", 1, 2) + bars("AB/USD", 3))
    put(tmp_path / "ohlcv.1h.ABUSD.ndjson", bars("AB/USD", 4) + bars("A/BUSD", 5))
    found = JournalReader(tmp_path).series()
    assert [(each.symbol, (each.first_ns - START) // HOUR, (each.last_ns - START) // HOUR) for each in found] == [
        ("A/BUSD", 1, 5), ("AB/USD", 3, 4), (BTC, 0, 29), (ETH, 10, 60),
    ]  # fmt: skip
    put(tmp_path / "ohlcv.1h.XUSDT.ndjson", [b"{}"])
    with pytest.raises(JournalError, match=r"XUSDT\.ndjson, line 1: no OHLCVBar: Object missing required field"):
        JournalReader(tmp_path).series()


def test_a_file_given_by_itself_says_what_it_holds(tmp_path):
    """Its first line tells bars from trades, whatever its name is."""
    put(tmp_path / "trades", [codec.encode(each) for each in TRADES])
    assert JournalReader(tmp_path / "trades").series() == [Series("trades", BTC, "", START, START + 2)]
    put(tmp_path / "bars", [codec.encode(OHLCVBar(BTC, "1h", START, START + HOUR, 1.0, 1.0, 1.0, 1.0, 1.0))])
    assert JournalReader(tmp_path / "bars").series() == [Series("bars", BTC, "1h", START, START)]
