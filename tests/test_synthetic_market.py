"""The synthetic market: a consistent venue that is the same for ever."""

import dataclasses
from decimal import Decimal
from hashlib import sha256
from itertools import islice, pairwise

import pytest

from core.contracts import BookEvent, Instrument, TickerEvent, TradeEvent, Watermark
from core.errors import ConfigError
from core.market.records import DepthRecord, QuoteRecord, TradeRecord
from core.market.source import Tails
from core.market.synthetic import SyntheticSource
from core.market.synthetic_market import NS_PER_MINUTE, START_NS, SyntheticMarket
from core.market.synthetic_path import TRADES_MAX, minutes

pytestmark = pytest.mark.slow

BTC = Instrument("BTC/USDT", Decimal("0.01"), Decimal("0.00001"))
ATOM = Instrument("ATOM/USDT", Decimal("0.001"), Decimal("0.01"))
S = 1_000_000_000


def take(count, seed=7, published=(), market=None):
    """The first so many events behind what was published."""
    source = SyntheticSource(market or SyntheticMarket(BTC, seed))
    events = (event for due in source.records(Tails.of(published)) for event in due.events)
    return list(islice(events, count))


@pytest.fixture(scope="module")
def tape():
    """The records of the first minutes."""
    return list(islice(SyntheticMarket(BTC, 7).records(), 12_000))


@pytest.fixture(scope="module")
def published():
    """The events of the first minutes."""
    return take(10_000)


def digest(values):
    """SHA-256 of how the values are written."""
    return sha256(repr(values).encode()).hexdigest()


def test_same_seed_same_market(published, tape):
    """Equal seeds give equal markets, and on every machine: the digest of the first records is written here."""
    assert take(10_000) == published
    assert digest(tape[:5000]) == "4a5c462ef9b93d6f9cd7ad2cd0cc1021bc293a4bd791324aaa14ceacfafaf734"


def test_other_seed_other_market(published):
    """Another seed gives other trades."""
    assert take(100, seed=8) != published[:100]


def test_book_is_consistent(tape):
    """The snapshot with its deltas is the book that every quote shows: the same best prices and sizes."""
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    pending: list[QuoteRecord] = []
    checked = 0
    for record in tape:
        if isinstance(record, QuoteRecord):
            pending.append(record)
        if not isinstance(record, DepthRecord):
            continue
        for levels, side in ((record.bids, bids), (record.asks, asks)):
            side.update(levels)
            for price in [price for price, qty in side.items() if qty == 0]:
                del side[price]
        assert max(bids) < min(asks)
        assert len(bids) == len(asks) == 20
        for quote in pending:
            if quote.update_id == record.last_update_id:
                assert (quote.bid, quote.bid_qty) == (max(bids), bids[max(bids)])
                assert (quote.ask, quote.ask_qty) == (min(asks), asks[min(asks)])
                checked += 1
        pending.clear()
    assert checked > 1000


def test_ids(tape):
    """Trade ids count up by one; each delta starts behind the last; quotes have ids of their own inside the deltas."""
    trades = [record.trade_id for record in tape if isinstance(record, TradeRecord)]
    assert trades == list(range(1, len(trades) + 1))
    depth = [record for record in tape if isinstance(record, DepthRecord)]
    assert [record.kind for record in depth[:2]] == ["snapshot", "delta"]
    assert all(record.kind == "delta" for record in depth[1:])
    assert all(later.first_update_id == earlier.last_update_id + 1 for earlier, later in pairwise(depth))
    quotes = [record.update_id for record in tape if isinstance(record, QuoteRecord)]
    assert all(later > earlier for earlier, later in pairwise(quotes))


def test_trades_print_at_the_quote(tape):
    """A buyer pays the ask and a seller gets the bid of the quote before, and no more than was there."""
    quote = tape[1]
    for record in tape[2:]:
        if isinstance(record, QuoteRecord):
            quote = record
        elif isinstance(record, TradeRecord):
            price, there = (quote.ask, quote.ask_qty) if record.side == "buy" else (quote.bid, quote.bid_qty)
            assert record.price == price
            assert 0 < record.qty <= there


@pytest.mark.parametrize(("instrument", "start_price"), [(BTC, 60_000.0), (ATOM, 8.0), (ATOM, 1.0)])
def test_tick_and_lot(instrument, start_price):
    """Every price is a whole number of ticks and every size of lots, exactly as their decimals are written."""
    market = SyntheticMarket(instrument, 7, start_price=start_price)
    for event in take(4000, market=market):
        if isinstance(event, TradeEvent):
            levels = [(event.price, event.qty)]
        elif isinstance(event, BookEvent):
            levels = [*event.bids, *event.asks]
        else:
            continue
        assert all(Decimal(repr(price)) % instrument.tick_size == 0 < price for price, _ in levels)
        assert all(Decimal(repr(qty)) % instrument.lot_size == 0 for _, qty in levels)


def test_time(published):
    """The market begins where it should, its times never fall, and each second is announced."""
    times = [event.ts for event in published if isinstance(event, TradeEvent)]
    assert START_NS <= times[0] < START_NS + 10 * S
    assert times == sorted(times)
    seconds = [event.market_ns for event in published if isinstance(event, Watermark)]
    assert seconds == list(range(START_NS - S, seconds[-1] + 1, S))
    reached = 0
    for event in published:
        reached = event.market_ns if isinstance(event, Watermark) else reached
        assert not isinstance(event, TradeEvent) or event.ts >= reached


def test_a_week_of_prices():
    """A week stays near its start, trends and turns, has calm and wild hours, and 5 to 20 trades a second."""
    week = list(islice(minutes(7, 60_000.0), 7 * 24 * 60))
    closes = [minute.close for minute in week]
    assert 45_000 < min(closes) < 59_000
    assert 61_000 < max(closes) < 75_000
    assert all(5 <= minute.trades / 60 <= TRADES_MAX / 60 for minute in week)
    assert max(minute.volatility for minute in week) > 5 * min(minute.volatility for minute in week)
    assert all(later.open == earlier.close for earlier, later in pairwise(week))
    above = [sum(closes[at - 20 : at]) / 20 > sum(closes[at - 100 : at]) / 100 for at in range(100, len(closes))]
    crosses = sum(now != before for before, now in pairwise(above))
    assert 50 < crosses < 500  # averages of 20 and 100 minutes over 7 days


@pytest.mark.parametrize("kill", [0, 1, 2, 3, 50, 1999, 4107, 9_000])
def test_restart(published, kill):
    """Killed anywhere and started again from its seed, the market goes on where it was."""
    assert take(10_000 - kill, published=published[:kill]) == published[kill:]


def test_every_kill_point_around_a_minute(published):
    """A restart around the delta that opens a minute neither loses nor repeats anything."""
    border = next(
        place for place, event in enumerate(published) if isinstance(event, TickerEvent) and event.update_id == 100_001
    )
    for kill in range(border - 4, border + 4):
        assert take(60, published=published[:kill]) == published[kill : kill + 60]


def test_entering_a_later_minute():
    """A minute that is entered directly has the records of the same minute in one run, its opening delta left out."""
    whole = list(islice(SyntheticMarket(BTC, 7).records(), 12_000))
    entered = list(islice(SyntheticMarket(BTC, 7).records(3), 500))
    at = whole.index(entered[0])
    assert whole[at : at + 500] == entered
    opening = whole[at - 2]
    assert isinstance(opening, DepthRecord)
    assert (opening.kind, opening.last_update_id, opening.ts_ns) == ("delta", 300_001, START_NS + 3 * NS_PER_MINUTE)


def test_another_market_is_not_continued(published):
    """Behind the trades of another seed, of another start or of a recorded market it refuses to go on."""
    newest = published[:8000]
    for other in (SyntheticMarket(BTC, 8), SyntheticMarket(BTC, 7, start_ns=START_NS + 60 * NS_PER_MINUTE)):
        with pytest.raises(ConfigError, match="another source than the synthetic market of seed"):
            take(1, published=newest, market=other)
    recorded = [Watermark("BTC/USDT", START_NS + S), TradeEvent("BTC/USDT", 1.0, 1.0, "buy", START_NS, "3735683259")]
    with pytest.raises(ConfigError, match="trade 3735683259 of BTC/USDT"):
        take(1, published=recorded)


@pytest.mark.parametrize(
    "change", [{"start_price": 9.99}, {"start_price": float("nan")}, {"start_ns": 61 * S}, {"start_ns": 0}]
)
def test_impossible_markets(change):
    """A price below 1,000 ticks or a start that is no whole minute is refused, with what is allowed."""
    with pytest.raises(ConfigError, match="allowed: "):
        dataclasses.replace(SyntheticMarket(BTC, 7), **change)
