"""The recorded market against what others made of it."""

import csv
import gzip
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from core.capture import CaptureSource
from core.contracts import BookEvent, TickerEvent, TradeEvent, Watermark
from core.market.source import Tails

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
SPOT = DATA / "captures" / "binance_spot"
S = 1_000_000_000
MINUTE = 60 * S

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.exists(), reason="recorded market data (../shared/data) is not on this machine"),
]


def play(path, symbol, published=()):
    """All events of a capture behind what was published, and what was counted."""
    source = CaptureSource(path, symbol)
    return [event for due in source.records(Tails.of(published)) for event in due.events], source.counts


@pytest.fixture(scope="module")
def bitcoin():
    """Both BTC spot captures, one after the other as one published stream."""
    first, _ = play(SPOT / "btcusdt_20240808.gz", "BTC/USDT")
    second, _ = play(SPOT / "btcusdt_20240809.gz", "BTC/USDT", first)
    return first + second


@pytest.mark.parametrize(
    ("path", "symbol", "trades", "tickers", "deltas", "snapshots"),
    [
        ("binance_spot/btcusdt_20240808.gz", "BTC/USDT", 9_757, 28_040, 3_451, 1),
        ("binance_spot/btcusdt_20240809.gz", "BTC/USDT", 10_147, 45_134, 3_044, 0),
        ("binance_spot/ethusdt_20240808.gz", "ETH/USDT", 6_106, 24_077, 3_434, 1),
        ("binance_usdm/btcusdt_20240808.gz", "BTC/USDT:USDT", 21_313, 66_089, 6_551, 1),
    ],
)
def test_counts(path, symbol, trades, tickers, deltas, snapshots):
    """Every line leads to its event, none is broken or ignored, no trade comes behind its second's watermark."""
    events, counts = play(DATA / "captures" / path, symbol)
    found = Counter(event.kind if isinstance(event, BookEvent) else type(event) for event in events)
    assert (found[TradeEvent], found[TickerEvent], found["delta"], found["snapshot"]) == (
        trades,
        tickers,
        deltas,
        snapshots,
    )
    assert counts.published == trades + tickers + deltas + snapshots
    assert (counts.duplicates, counts.ignored, counts.broken, counts.late_trades) == (0, 0, 0, 0)


def test_trades_equal_the_reference(bitcoin):
    """The two captures give the 19,904 trades that another decoder found, none missing."""
    with gzip.open(DATA / "trades" / "md.trades.BTCUSDT.ndjson.gz") as lines:
        expected = [json.loads(line) for line in lines]
    trades = [event for event in bitcoin if isinstance(event, TradeEvent)]
    assert len(expected) == 19_904
    assert [{name: getattr(trade, name) for name in expected[0]} for trade in trades] == expected
    assert [int(trade.trade_id) for trade in trades] == list(range(3_735_683_259, 3_735_703_163))


def test_bars_equal_the_exchanges(bitcoin):
    """Whole minutes built from the trades equal the exchange's own klines."""
    with (DATA / "reference" / "trades_to_klines_BTC" / "klines_1m.csv").open() as rows:
        klines = {int(row["ts_open"]): row for row in csv.DictReader(rows)}
    minutes: dict[int, list[TradeEvent]] = {ts_open: [] for ts_open in klines}
    for event in bitcoin:
        if isinstance(event, TradeEvent) and event.ts - event.ts % MINUTE in minutes:
            minutes[event.ts - event.ts % MINUTE].append(event)
    assert len(minutes) == 10
    for ts_open, trades in minutes.items():
        prices = [trade.price for trade in trades]
        bar = {"open": prices[0], "high": max(prices), "low": min(prices), "close": prices[-1]}
        assert bar == {name: float(klines[ts_open][name]) for name in bar}
        assert sum(trade.qty for trade in trades) == pytest.approx(float(klines[ts_open]["volume"]), abs=1e-6)


def test_watermarks(bitcoin):
    """One watermark per venue second over both files, and every trade behind it is of that second or later."""
    seconds = [event.market_ns for event in bitcoin if isinstance(event, Watermark)]
    assert all(later - earlier == S for earlier, later in pairwise(seconds))
    reached = 0
    for event in bitcoin:
        if isinstance(event, Watermark):
            reached = event.market_ns
        elif isinstance(event, TradeEvent):
            assert event.ts >= reached
    # From the second before the first book update to that of the last trade, 00:05:05.8 of the venue's clock.
    assert (seconds[0], seconds[-1]) == (1_723_161_254 * S, 1_723_161_905 * S)


def test_book_updates_are_contiguous(bitcoin):
    """Each book delta starts behind the one before it, over the end of the first file too."""
    deltas = [event for event in bitcoin if isinstance(event, BookEvent) and event.kind == "delta"]
    assert all(later.first_update_id == earlier.last_update_id + 1 for earlier, later in pairwise(deltas))


@pytest.mark.parametrize("kill", [9, 10, 20_000])
def test_restart(bitcoin, kill):
    """A capture killed anywhere and read again from its beginning adds exactly the rest, also around the snapshot."""
    rest, _ = play(SPOT / "btcusdt_20240808.gz", "BTC/USDT", bitcoin[:kill])
    assert bitcoin[kill : kill + len(rest)] == rest
    assert kill + len(rest) == 41_597  # 41,249 lines and 348 watermarks


def test_another_symbols_capture():
    """An ETH capture under the name of BTC gives nothing but a count."""
    events, counts = play(SPOT / "ethusdt_20240808.gz", "BTC/USDT")
    assert not any(isinstance(event, (TradeEvent, TickerEvent)) for event in events)
    assert counts.ignored == 6_106 + 24_077 + 3_434
