"""What holds for every order on the matching engine and on the paper venue, whatever happens."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core import codec
from core.contracts import CancelIntent, FillEvent, OrderEvent, OrderUpdate, TradeEvent
from core.execution.order_state import TERMINAL, TRANSITIONS
from core.execution.paper import SERVICE
from core.handler import At

CONTENT = {
    "paper": {"account": "main", "maker_fee_bps": "-1", "taker_fee_bps": "7.5"},
    "instruments": [{"symbol": symbol, "tick_size": "0.1", "lot_size": "0.1"} for symbol in ("A/USDT", "B/USDT")],
}

SYMBOL = st.sampled_from(["A/USDT", "B/USDT"])
NAME = st.integers(1, 12).map(lambda number: f"o-{number}")
STRATEGY = st.sampled_from(["s", "t"])
TICKS = st.integers(90, 110)


@st.composite
def orders(draw):
    """A market or limit order near 10; one in twelve names is repeated often."""
    kind = draw(st.sampled_from(["market", "limit", "limit", "limit"]))
    limit = Decimal(draw(TICKS)).scaleb(-1) if kind == "limit" or draw(st.booleans()) else None
    return OrderEvent(
        intent_id="i-1",
        venue="paper",
        symbol=draw(SYMBOL),
        side=draw(st.sampled_from(["buy", "sell"])),
        type=kind,
        qty=Decimal(draw(st.integers(0, 30))).scaleb(-1),
        ts_accepted_ns=1,
        order_id=draw(NAME),
        strategy_id=draw(STRATEGY),
        limit_price=limit,
    )


TRADES = st.builds(lambda symbol, ticks: TradeEvent(symbol, ticks / 10, 1.0, "buy", 1), SYMBOL, TICKS)
CANCELS = st.builds(CancelIntent, STRATEGY, NAME, SYMBOL)
HISTORIES = st.lists(st.one_of(orders(), TRADES, TRADES, CANCELS), max_size=60)


def new_venue():
    """A venue as its service builds it."""
    return SERVICE.build(CONTENT)


def play(history, venue=None):
    """Pairs of every event and what the venue said to it."""
    venue = venue or new_venue()
    return [(event, venue.on_event(event, At(seq, seq, seq, seq, seq))) for seq, event in enumerate(history, start=1)]


def of_kind(story, kind):
    """All outputs of one kind, in their order."""
    return [output for _, outputs in story for output in outputs if isinstance(output, kind)]


def first_orders(story):
    """The order that each id stands for: the first one that was sent under it."""
    sent: dict[str, OrderEvent] = {}
    for event, _ in story:
        if isinstance(event, OrderEvent):
            sent.setdefault(event.order_id, event)
    return sent


@given(HISTORIES)
def test_every_order_ends_once(history):
    """Every order is rejected, filled once in full, canceled, or resting at the end: exactly one of them."""
    venue = new_venue()
    story = play(history, venue)
    fills = Counter(fill.order_id for fill in of_kind(story, FillEvent))
    resting = {row["order_id"] for row in venue.snapshot()["engine"]["open"]}
    last = {update.order_id: update for update in of_kind(story, OrderUpdate)}
    assert set(last) == set(first_orders(story))
    for name, update in last.items():
        assert (update.status in TERMINAL) is (name not in resting)
        assert fills[name] == (update.status == "FILLED")
        assert update.cum_qty == (update.order_qty if update.status == "FILLED" else 0)


@given(HISTORIES)
def test_every_order_walks_the_table(history):
    """Successive updates of an order repeat its state or take a legal step, and the quantities always add up."""
    states: dict[str, OrderUpdate] = {}
    for update in of_kind(play(history), OrderUpdate):
        assert update.order_qty == update.cum_qty + update.leaves_qty
        before = states.get(update.order_id)
        assert before is None or update.status == before.status or update.status in TRANSITIONS[before.status]
        states[update.order_id] = update


@given(HISTORIES)
def test_no_fill_is_worse_than_its_limit_nor_better_than_the_market_gave(history):
    """A limit order fills at its limit while resting, and at the last trade, no worse, on arrival."""
    last: dict[str, Decimal] = {}
    for event, outputs in (story := play(history)):
        if isinstance(event, TradeEvent):
            last[event.symbol] = Decimal(repr(event.price))
        for fill in (output for output in outputs if isinstance(output, FillEvent)):
            order = first_orders(story)[fill.order_id]
            assert (fill.qty, fill.side, fill.strategy_id) == (order.qty, order.side, order.strategy_id)
            sign = 1 if fill.side == "buy" else -1
            if order.type == "limit":
                assert sign * fill.price <= sign * order.limit_price
                assert sign * last[fill.symbol] <= sign * order.limit_price
            resting_price = order.limit_price if fill.liquidity == "maker" else None
            assert fill.price == (resting_price or last.get(fill.symbol) or order.limit_price)


@given(HISTORIES)
def test_no_resting_order_is_passed_over(history):
    """After every trade, no order rests whose limit the trade has reached."""
    venue = new_venue()
    last: dict[str, Decimal] = {}
    for event in history:
        venue.on_event(event, At(1, 1, 1, 1, 1))
        if isinstance(event, TradeEvent):
            last[event.symbol] = Decimal(repr(event.price))
        for row in venue.snapshot()["engine"]["open"]:
            sign = 1 if row["side"] == "buy" else -1
            if row["symbol"] in last:
                assert sign * last[row["symbol"]] > sign * Decimal(row["limit_price"])


@given(HISTORIES)
def test_no_fill_is_doubled(history):
    """Fill ids are unique, and a repeated order is answered with one stored update and nothing else."""
    story = play(history)
    ids = [fill.fill_id for fill in of_kind(story, FillEvent)]
    assert len(ids) == len(set(ids))
    seen: set[str] = set()
    for event, outputs in story:
        if isinstance(event, OrderEvent):
            if event.order_id in seen:
                assert [type(output) for output in outputs] == [OrderUpdate]
            seen.add(event.order_id)


@given(HISTORIES)
def test_only_the_owner_cancels(history):
    """A cancel ends an order only if it comes from the strategy that sent it."""
    story = play(history)
    ended: set[str] = set()
    for event, outputs in story:
        for update in (output for output in outputs if isinstance(output, OrderUpdate)):
            if update.status == "CANCELED" and update.order_id not in ended:
                assert isinstance(event, CancelIntent)
                assert event.strategy_id == first_orders(story)[update.order_id].strategy_id
                ended.add(update.order_id)


@given(HISTORIES, HISTORIES)
def test_a_restored_venue_has_the_same_future(before, after):
    """A venue restored from its saved text says byte for byte what the first one says."""
    first, second = new_venue(), new_venue()
    play(before, first)
    second.restore(json.loads(json.dumps(first.snapshot())))
    spoken = [
        [codec.encode(output) for _, outputs in play(after, venue) for output in outputs] for venue in (first, second)
    ]
    assert spoken[0] == spoken[1]
    assert json.dumps(first.snapshot()) == json.dumps(second.snapshot())
