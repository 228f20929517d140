"""Nothing is published twice: trade ids, book updates, tickers and dead letters."""

import pytest

from core.capture import CaptureSource
from core.contracts import BookEvent, DeadLetter, TickerEvent, TradeEvent, Watermark
from core.errors import ContractError
from core.market.feed import ID_WINDOW, Feed, IdWindow
from core.market.records import DepthRecord, QuoteRecord, TradeRecord
from core.market.source import Tails

S = 1_000_000_000
T0 = 1_723_161_255 * S


def trade(trade_id, price=100.0):
    """A trade with this id."""
    return TradeRecord(trade_id, price, 1.0, "buy", T0, T0 + trade_id)


def book(kind, last_id, recv):
    """A book record up to this update id."""
    return DepthRecord(kind, last_id, last_id, ((99.0, 1.0),), (), 0, recv)


def quote(update_id):
    """The best prices at this update id."""
    return QuoteRecord(update_id, 99.0, 1.0, 101.0, 1.0, 0, 5)


@pytest.mark.parametrize(
    ("ids", "accepted"),
    [
        ([5, 5, 6, 5, 6], [5, 6]),
        ([0, 0], [0]),
        # out of order inside the window: published once each
        ([10, 8, 9, 8, 10, 9], [10, 8, 9]),
        # the window is 512 ids: 89 = 600 - 511 is in it, 88 is taken for old
        ([600, 89, 88, 89], [600, 89]),
        # a jump empties the window
        ([1, 2000, 1, 2000, 1489, 1488], [1, 2000, 1489]),
        ([3_735_683_259, 1, 3_735_683_258], [3_735_683_259, 3_735_683_258]),
    ],
)
def test_window(ids, accepted):
    """An id is new once, and never again when it has fallen out of the window of 512."""
    window = IdWindow()
    assert [each for each in ids if window.accept(each)] == accepted


def test_the_window_holds_512_ids():
    """The window of remembered ids holds 512."""
    assert ID_WINDOW == 512


def test_trades_are_published_once():
    """Of a tape sent twice each trade comes out once, with the id as text."""
    feed = Feed("BTC/USDT")
    tape = [trade(each) for each in range(1, 2001)]
    events = [event for each in tape + tape for event in feed.on_record(each) if isinstance(event, TradeEvent)]
    assert [event.trade_id for event in events] == [str(each) for each in range(1, 2001)]
    assert (feed.counts.published, feed.counts.duplicates) == (2000, 2000)


def test_window_survives_a_restart():
    """A restarted feed knows the ids that were published, and the gaps between them."""
    before = [TradeEvent("BTC/USDT", 100.0, 1.0, "buy", T0, str(each)) for each in (100, 102, 103)]
    feed = Feed("BTC/USDT")
    feed.restore(Tails.of([Watermark("BTC/USDT", T0), *before]))
    events = [event for each in range(99, 106) for event in feed.on_record(trade(each))]
    fresh = [event.trade_id for event in events if isinstance(event, TradeEvent)]
    assert fresh == ["99", "101", "104", "105"]


@pytest.mark.parametrize(
    ("tape", "published"),
    [
        # deltas: not newer than the last, not published
        ([("delta", 5, 1), ("delta", 5, 2), ("delta", 4, 3), ("delta", 6, 4)], [5, 6]),
        # a snapshot asked for after the first deltas is older than they are: published once, behind its delta
        ([("delta", 9, 1), ("snapshot", 5, 2), ("snapshot", 5, 3), ("delta", 10, 4)], [9, 5, 10]),
        # read again: the snapshot was received before the last delta
        ([("delta", 9, 1), ("snapshot", 5, 2), ("delta", 10, 3), ("snapshot", 5, 2), ("delta", 10, 3)], [9, 5, 10]),
        # a stale snapshot does not let old deltas in
        ([("delta", 9, 1), ("snapshot", 5, 2), ("delta", 8, 3), ("delta", 9, 4)], [9, 5]),
        ([("snapshot", 5, 1), ("snapshot", 5, 1), ("delta", 5, 2), ("delta", 6, 3)], [5, 6]),
    ],
)
def test_books(tape, published):
    """Book updates go out once; a late snapshot is let through once."""
    feed = Feed("BTC/USDT")
    events = [event for each in tape for event in feed.on_record(book(*each))]
    assert [event.last_update_id for event in events if isinstance(event, BookEvent)] == published


def test_tickers():
    """A ticker goes out when its update id is newer, with the price of the last published trade."""
    feed = Feed("BTC/USDT")
    tape = [quote(1), quote(1), trade(7, 250.0), quote(3), trade(7, 999.0), quote(2), quote(4)]
    tickers = [event for each in tape for event in feed.on_record(each) if isinstance(event, TickerEvent)]
    assert [(event.update_id, event.last) for event in tickers] == [(1, None), (3, 250.0), (4, 250.0)]


def test_foreign_trades_are_refused():
    """Published trades without a number for an id cannot be continued, and the error says so."""
    stranger = TradeEvent("BTC/USDT", 100.0, 1.0, "buy", T0, "a1-b2")
    with pytest.raises(ContractError, match="'a1-b2'; allowed: a number"):
        Feed("BTC/USDT").restore(Tails(trades=(stranger,)))


def lines(*trade_ids):
    """A capture's text; None is a line that cannot be read."""
    message = b'%d {"stream":"btcusdt@trade","data":{"t":%d,"p":"1","q":"1","T":1723161255342,"m":true}}\n'
    return b"".join(
        message % (T0 + i, t) if t is not None else b"%d {oops\n" % (T0 + i) for i, t in enumerate(trade_ids)
    )


def run(path, published):
    """What a source adds to what was published."""
    source = CaptureSource(path, "BTC/USDT")
    added = []
    for due in source.records(Tails.of(published)):
        added += [*due.events, *([due.dead_letter] if due.dead_letter else [])]
    return added, source.counts


def test_every_kill_point_of_a_capture(tmp_path):
    """Killed anywhere and started again, broken lines included: each event and each dead letter exactly once."""
    path = tmp_path / "btc.log"
    path.write_bytes(lines(1, None, 2, 2, None, 3))
    whole, counts = run(path, [])
    assert [getattr(event, "trade_id", None) or getattr(event, "topic", "clock") for event in whole] == [
        "clock",
        "1",
        "btc.log:2",
        "2",
        "btc.log:5",
        "3",
    ]
    assert (counts.published, counts.duplicates, counts.broken) == (3, 1, 2)
    for kill in range(len(whole) + 1):
        assert run(path, whole[:kill])[0] == whole[kill:]


def test_dead_letter(tmp_path):
    """A dead letter names the instance, the file and the line, what is wrong, and what was written there."""
    path = tmp_path / "btc.log"
    path.write_bytes(lines(1, None))
    letter = run(path, [])[0][-1]
    assert isinstance(letter, DeadLetter)
    assert (letter.instance, letter.topic) == ("md_ingest.BTCUSDT", "btc.log:2")
    assert letter.error.startswith("no Binance message: ")
    assert letter.raw == f"{T0 + 1} {{oops\n"


def test_next_capture_goes_on(tmp_path):
    """A capture that overlaps the one before adds what is new in it, and its own broken lines."""
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    first.write_bytes(lines(1, 2, None))
    second.write_bytes(lines(2, None, 3))
    published = run(first, [])[0]
    added, counts = run(second, published)
    assert [getattr(event, "trade_id", None) or event.topic for event in added] == ["b.log:2", "3"]
    assert counts.duplicates == 1
