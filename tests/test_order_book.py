"""Order books out of their changes, against what the exchange itself said of its best prices."""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.data.main import main
from backtest.order_book import book_at, missing_changes, recorded_book
from core import codec
from core.capture import CaptureSource
from core.contracts import BookEvent, Event, TickerEvent
from core.errors import DataError
from core.market.order_book import BookView, Hole, OrderBook
from core.market.source import Tails

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
BTC = "BTC/USDT"
S = 1_000_000_000


def change(first: int, last: int, bids=(), asks=(), *, kind="delta", at=0) -> BookEvent:
    """A change of the book, or with `kind` a snapshot; `at` in seconds."""
    return BookEvent(BTC, bids, asks, None, kind, first, last, at * S)


def snapshot(last: int, bids=(), asks=(), at=0) -> BookEvent:
    """A whole book."""
    return change(0, last, bids, asks, kind="snapshot", at=at)


WHOLE = snapshot(10, ((100.0, 1.0), (99.0, 2.0), (90.0, 4.0)), ((101.0, 3.0), (102.0, 1.0)), at=1)
MOVED = change(11, 13, ((100.0, 0.0), (99.5, 5.0)), ((101.0, 1.0),), at=2)
LATER = change(14, 14, (), ((100.5, 2.0),), at=3)


def test_a_book_is_its_snapshot_and_every_change_since():
    """At each second: the level at 100 goes, 99.5 comes, then somebody asks for 100.5."""
    events = [WHOLE, MOVED, LATER]
    assert book_at(events, 1 * S).bids == ((100.0, 1.0), (99.0, 2.0), (90.0, 4.0))
    assert book_at(events, 3 * S - 1) == BookView(
        ((99.5, 5.0), (99.0, 2.0), (90.0, 4.0)), ((101.0, 1.0), (102.0, 1.0)), 13, lowest=90.0, highest=102.0
    )
    assert book_at(events, 3 * S).asks == ((100.5, 2.0), (101.0, 1.0), (102.0, 1.0))


def test_the_figures_of_a_book():
    """Bids 99.5 x 5, 99 x 2, 90 x 4; asks 101 x 1, 102 x 1: the mid is 100.25, half a percent of it 0.50."""
    view = book_at([WHOLE, MOVED], 2 * S)
    assert (view.best_bid, view.best_ask, view.spread, view.mid) == (99.5, 101.0, 1.5, 100.25)
    assert view.depth(0.0075) == (5.0, 1.0)  # 99.498 to 101.002
    assert view.depth(0.02) == (7.0, 2.0)  # 98.245 to 102.255
    assert view.imbalance(1) == (5.0 - 1.0) / (5.0 + 1.0)
    assert view.imbalance(10) == (11.0 - 2.0) / 13.0


def test_an_empty_side_has_no_price():
    """Nothing is made up where nobody bids."""
    view = book_at([snapshot(1, (), ((101.0, 1.0),))], S)
    assert (view.best_bid, view.spread, view.mid, view.depth(0.1)) == (None, None, None, (0.0, 0.0))
    assert view.imbalance(5) == -1.0
    assert BookView((), (), 1, None, None).imbalance(5) is None


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([], "nothing is recorded before"),
        ([change(20, 20, at=9)], "nothing is recorded before"),
        ([snapshot(19), change(20, 20, at=9 * S)], "nothing is recorded before"),
        ([MOVED], "recorded since 1970-01-01T00:00:02Z, without a snapshot yet"),
        ([WHOLE, LATER], "changes 11 to 13 are missing, and no snapshot has come since"),
    ],
)
def test_a_book_that_is_not_whole_is_not_shown(events, says):
    """What is missing is named."""
    with pytest.raises(DataError, match=says):
        book_at(events, 5 * S)


def test_a_snapshot_behind_a_hole_makes_the_book_whole_again():
    """And the hole stays on record."""
    events = [WHOLE, LATER, snapshot(20, ((98.0, 1.0),), ((99.0, 1.0),), at=4), change(21, 21, ((98.0, 2.0),), at=5)]
    assert book_at(events, 5 * S) == BookView(((98.0, 2.0),), ((99.0, 1.0),), 21, 98.0, 99.0)
    assert missing_changes(events) == [(3 * S, Hole(10, 14))]


def test_a_snapshot_that_is_older_than_the_changes_before_it_gets_them_put_behind_it():
    """A REST answer takes its time: the changes 11 to 14 had come already and count all the same."""
    late = [MOVED, LATER, snapshot(10, WHOLE.bids, WHOLE.asks, at=3)]
    assert book_at(late, 3 * S) == book_at([WHOLE, MOVED, LATER], 3 * S)
    too_late = [LATER, snapshot(10, WHOLE.bids, WHOLE.asks, at=3)]
    with pytest.raises(DataError, match="changes 11 to 13 are missing"):
        book_at(too_late, 3 * S)


HOUR = 3600


@pytest.mark.parametrize("whole_at", [20, 98, 200])
def test_a_long_record_is_read_back_to_its_newest_snapshot_only(whole_at):
    """A change an hour for 100 hours; one is missing, and a snapshot follows the next one, which it is older than."""
    events = [snapshot(10, ((99.0, 1.0),), ((101.0, 1.0),), at=HOUR)]
    for hour in range(100):
        if hour != whole_at - 1:
            events.append(change(11 + hour, 11 + hour, ((90.0, 1.0 + hour),), at=hour * HOUR + HOUR + 1))
        if hour == whole_at:
            events.append(snapshot(10 + hour, ((99.0, 2.0),), ((101.0, 2.0),), at=hour * HOUR + HOUR + 2))
    asked: list[int] = []

    def books(start_ns, end_ns):
        asked.append(start_ns)
        return [event for event in events if start_ns <= event.ts_exchange_ns < end_ns]

    assert recorded_book(books, 101 * HOUR * S) == book_at(events, 101 * HOUR * S)
    assert (min(asked) > 0) == (whole_at == 98)
    with pytest.raises(DataError, match="nothing is recorded before"):
        recorded_book(books, HOUR * S - 1)


def test_a_book_without_the_venues_time_goes_by_that_of_receiving_it():
    """What was received behind the moment is not in its book."""
    bare = [replace(event, ts_exchange_ns=0, ts_recv_ns=event.ts_exchange_ns) for event in (WHOLE, MOVED, LATER)]
    assert book_at(bare, 2 * S) == book_at([WHOLE, MOVED], 2 * S)


def test_a_snapshot_without_a_time_is_no_older_than_the_change_behind_it():
    """During the outage from second 2 to 9 the book is the one from before it, not the one that came afterwards."""
    after = [snapshot(50, ((70.0, 1.0),), ((71.0, 1.0),)), change(51, 51, ((70.0, 2.0),), at=9)]
    events = [WHOLE, MOVED, *after]
    assert book_at(events, 5 * S) == book_at([WHOLE, MOVED], 5 * S)
    assert book_at(events, 9 * S).bids == ((70.0, 2.0),)


def test_what_is_in_the_book_already_changes_nothing():
    """Neither a doubled change nor an old snapshot."""
    once, twice = OrderBook(), OrderBook()
    for event in (WHOLE, MOVED, LATER):
        once.apply(event)
    for event in (WHOLE, MOVED, MOVED, WHOLE, LATER, MOVED):
        assert twice.apply(event) is None
    assert twice.view() == once.view()


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(90, 110), st.integers(0, 3)), min_size=1, max_size=40
    ),
    st.data(),
)  # fmt: skip
def test_where_the_snapshot_comes_from_does_not_matter(changes, data):
    """A snapshot taken anywhere, delivered anywhere later, gives the book of all changes."""
    deltas = []
    for number, (is_bid, price, qty) in enumerate(changes, 1):
        level = ((float(price), float(qty)),)
        deltas.append(change(number, number, level if is_bid else (), () if is_bid else level))
    truth = OrderBook()
    truth.apply(snapshot(0))
    taken_at = data.draw(st.integers(0, len(deltas)))
    taken = truth.view()
    for delta in deltas[:taken_at]:
        truth.apply(delta)
    taken = truth.view()
    for delta in deltas[taken_at:]:
        truth.apply(delta)
    given_at = data.draw(st.integers(taken_at, len(deltas)))
    book = OrderBook()
    for delta in deltas[:given_at]:
        book.apply(delta)
    book.apply(snapshot(taken_at, taken.bids, taken.asks))
    for delta in deltas[given_at:]:
        book.apply(delta)
    assert book.whole
    assert (book.view().bids, book.view().asks) == (truth.view().bids, truth.view().asks)


@pytest.fixture
def recorded(tmp_path):
    """A folder with the journal of the hand-made book."""
    lines = b"".join(codec.encode(event) + b"\n" for event in (WHOLE, MOVED, change(15, 15, at=4)))
    (tmp_path / "md.book.BTCUSDT.ndjson").write_bytes(lines)
    return tmp_path


def test_the_command_shows_the_book(recorded, capsys):
    """Best prices, spread, depth and the levels; for programs the same as JSON."""
    asked = ["book", "--symbol", BTC, "--at", "1970-01-01T00:00:02Z", "--folder", str(recorded)]
    assert main(asked) == 0
    shown = capsys.readouterr().out
    assert "best 99.5 / 101, spread 1.5" in shown
    assert "imbalance of 10 levels: 0.6923076923" in shown  # 9 / 13
    assert main([*asked, "--json", "--levels", "1"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["bids"], figures["asks"], figures["mid"]) == ([[99.5, 5.0]], [[101.0, 1.0]], 100.25)


def test_the_command_says_what_is_missing(recorded, capsys):
    """Change 14 is; a book behind it is not shown, and the exit code says so."""
    assert main(["book", "--symbol", BTC, "--holes", "--folder", str(recorded)]) == 0
    assert "1970-01-01T00:00:04Z  after 13, before 15" in capsys.readouterr().out
    assert main(["book", "--symbol", BTC, "--at", "1970-01-02", "--folder", str(recorded)]) == 1
    assert "changes 14 to 14 are missing" in capsys.readouterr().err
    assert main(["book", "--symbol", BTC, "--at", "noon", "--folder", str(recorded)]) == 2
    assert "--at is 'noon'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="recorded market data (../shared/data) is not on this machine")
@pytest.mark.parametrize(
    ("files", "symbol", "deltas"),
    [
        (["binance_spot/btcusdt_20240808.gz", "binance_spot/btcusdt_20240809.gz"], "BTC/USDT", 6_400),
        (["binance_spot/ethusdt_20240808.gz"], "ETH/USDT", 3_400),
        (["binance_usdm/btcusdt_20240808.gz"], "BTC/USDT:USDT", 6_500),
    ],
)
def test_the_rebuilt_book_has_the_best_prices_that_the_exchange_says(files, symbol, deltas):
    """After each change of the book the exchange's own best price of that state, price and quantity, every time.

    But where the market has left what the snapshot of 1,000 levels had told: twice the best bid was one that had
    rested below it all the time.
    """
    published: list[Event] = []
    for name in files:
        source = CaptureSource(DATA / "captures" / name, symbol)
        published += [event for due in source.records(Tails.of(published)) for event in due.events]
    tickers = [event for event in published if isinstance(event, TickerEvent)]
    ids = [ticker.update_id for ticker in tickers]
    assert all(earlier <= later for earlier, later in pairwise(ids))
    book, compared, wrong = OrderBook(), 0, []
    for event in published:
        if not isinstance(event, BookEvent):
            continue
        assert book.apply(event) is None
        place = bisect_right(ids, book.last_id) - 1
        if book.whole and place >= 0 and place + 1 < len(ids):
            told = tickers[place]
            best = (*book.bids(1)[0], *book.asks(1)[0])
            compared += 1
            if best != (told.bid, told.bid_qty, told.ask, told.ask_qty):
                wrong.append((book.lowest, told.bid, told.ask, book.highest))
    assert compared > deltas
    assert len(wrong) <= 2
    assert not any(lowest and highest and lowest <= bid and ask <= highest for lowest, bid, ask, highest in wrong)
