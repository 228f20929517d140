"""The market clock that goes out between the trades, as tables."""

import pytest

from core.contracts import BookEvent, TickerEvent, TradeEvent, Watermark
from core.market.feed import Feed
from core.market.records import DepthRecord, QuoteRecord, TradeRecord

S = 1_000_000_000
BASE = 1_723_161_255 * S

NAMES = {TradeEvent: "trade", BookEvent: "book", TickerEvent: "quote"}


def record(kind, at_s, number):
    """A record at so many seconds after BASE; None is a record without a venue time."""
    ts_ns = 0 if at_s is None else BASE + round(at_s * 1000) * 1_000_000
    if kind == "trade":
        return TradeRecord(number, 100.0, 1.0, "buy", ts_ns, number)
    if kind == "quote":
        return QuoteRecord(number, 99.0, 1.0, 101.0, 1.0, ts_ns, number)
    return DepthRecord("delta", number, number, ((99.0, 1.0),), (), ts_ns, number)


def said(event):
    """A watermark as its second after BASE, anything else by name."""
    return (event.market_ns - BASE) / S if isinstance(event, Watermark) else NAMES[type(event)]


@pytest.mark.parametrize(
    ("tape", "expected"),
    [
        # the first trade says which second it is in
        ([("trade", 0.4)], [0, "trade"]),
        # another stream must be a whole second past one
        ([("book", 0.4)], [-1, "book"]),
        ([("quote", 0.999), ("quote", 1.0)], [-1, "quote", 0, "quote"]),
        # one per second, right before the first trade at or past it
        ([("trade", 0.4), ("trade", 0.9), ("trade", 1.0)], [0, "trade", "trade", 1, "trade"]),
        ([("trade", 0.4), ("trade", 3.2)], [0, "trade", 1, 2, 3, "trade"]),
        # nothing trades: the book's time moves the clock, one second behind
        ([("trade", 0.4), ("book", 1.9), ("book", 2.0), ("book", 3.999)], [0, "trade", "book", 1, "book", 2, "book"]),
        # a trade of the second that the book has left is still in time
        ([("trade", 0.4), ("book", 1.3), ("trade", 0.99), ("trade", 1.2)], [0, "trade", "book", "trade", 1, "trade"]),
        # a trade behind the clock is late, and published all the same; the clock does not go back
        ([("trade", 2.0), ("trade", 0.5), ("book", 1.0)], [2, "trade", "trade", "book"]),
        # without a venue time there is nothing to tell
        ([("quote", None), ("book", None)], ["quote", "book"]),
        ([("trade", 0.4), ("quote", None), ("trade", 1.0)], [0, "trade", "quote", 1, "trade"]),
        # 300 s are told second by second, a longer hole was not watched
        ([("trade", 0), ("trade", 300)], [0, "trade", *range(1, 301), "trade"]),
        ([("trade", 0), ("trade", 301)], [0, "trade", 301, "trade"]),
    ],
)
def test_clock(tape, expected):
    """Each venue second is announced once, in order, when everything before it has gone out."""
    feed = Feed("BTC/USDT")
    records = [record(kind, at_s, number) for number, (kind, at_s) in enumerate(tape, start=1)]
    assert [said(event) for each in records for event in feed.on_record(each)] == expected


def test_late_trades_are_counted():
    """A trade older than a watermark before it is counted: the one-second rule did not hold there."""
    feed = Feed("BTC/USDT")
    for number, at_s in enumerate((0.0, 2.0, 1.999, 2.0), start=1):
        feed.on_record(record("trade", at_s, number))
    assert feed.counts.late_trades == 1


def test_repeated_records_move_nothing():
    """A trade, a book and a quote seen before do not move the clock, whatever time they claim."""
    feed = Feed("BTC/USDT")
    for kind in ("trade", "book", "quote"):
        feed.on_record(record(kind, 0.5, 7))
        assert feed.on_record(record(kind, 9.5, 7)) == ()
    assert [said(event) for event in feed.on_record(record("trade", 1.0, 8))] == [1, "trade"]
