"""What holds for every order on the matching engine and on the paper venue, whatever happens."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from core import codec
from core.contracts import CancelIntent, FillEvent, OrderEvent, OrderType, OrderUpdate, TradeEvent
from core.execution.order_state import TERMINAL, TRANSITIONS
from core.execution.paper import SERVICE
from core.handler import At

CONTENT = {
    "paper": {"account": "main", "maker_fee_bps": "-1", "taker_fee_bps": "7.5"},
    "instruments": [{"symbol": symbol, "tick_size": "0.1", "lot_size": "0.1"} for symbol in ("A/USDT", "B/USDT")],
}

SYMBOLS, STRATEGIES = ("A/USDT", "A/USDT", "A/USDT", "B/USDT"), ("s", "s", "s", "t")
KINDS: tuple[OrderType, ...] = ("market", "market", "limit", "limit", "limit", "stop", "stop")


def any_event(chance: Random):
    """A trade near 10, a cancel, or an order that may only reduce in half of the cases; names are repeated often."""
    symbol, strategy = chance.choice(SYMBOLS), chance.choice(STRATEGIES)
    name, price = f"o-{chance.randint(1, 30)}", Decimal(chance.randint(90, 110)).scaleb(-1)
    what = chance.randrange(8)
    if what < 3:
        return TradeEvent(symbol, float(price), 1.0, "buy", 1)
    if what == 3:
        return CancelIntent(strategy, name, symbol)
    kind = chance.choice(KINDS)
    return OrderEvent(
        intent_id="i-1",
        venue="paper",
        symbol=symbol,
        side=chance.choice(("buy", "sell")),
        type=kind,
        qty=Decimal(chance.randint(0, 30)).scaleb(-1),
        ts_accepted_ns=1,
        order_id=name,
        strategy_id=strategy,
        limit_price=price if kind == "limit" or (kind == "market" and chance.random() < 0.5) else None,
        stop_price=price if kind == "stop" else None,
        reduce_only=chance.random() < 0.5,
    )


def any_history(seed: int, length: int):
    """A day at the venue; drawn by hand, because hypothesis would take most of a minute to draw a hundred of them."""
    chance = Random(seed)
    return [any_event(chance) for _ in range(length)]


HISTORIES = st.builds(any_history, st.integers(0, 2**32), st.integers(0, 80))


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


def steps(story):
    """The updates that answer no repeated order or cancel: each is a step that an order has taken."""
    seen: set[tuple[str, str]] = set()
    for update in of_kind(story, OrderUpdate):
        if (update.order_id, update.status) not in seen:
            seen.add((update.order_id, update.status))
            yield update


def sign_of(side):
    """The sign of what a side adds to a position."""
    return 1 if side == "buy" else -1


@given(HISTORIES)
def test_every_order_ends_once(history):
    """Every order is rejected, filled, canceled, or resting at the end; only one that may only reduce fills in part."""
    venue = new_venue()
    story = play(history, venue)
    fills = Counter(fill.order_id for fill in of_kind(story, FillEvent))
    resting = {row["order_id"] for row in venue.snapshot()["engine"]["open"]}
    last = {update.order_id: update for update in of_kind(story, OrderUpdate)}
    assert set(last) == set(first_orders(story))
    ends = Counter(update.order_id for update in steps(story) if update.status in TERMINAL)
    assert set(ends.values()) <= {1}
    for name, update in last.items():
        assert (update.status in TERMINAL) is (name not in resting)
        assert fills[name] == (update.cum_qty > 0)
        assert (update.leaves_qty == 0 < update.cum_qty) is (update.status == "FILLED")
        assert update.cum_qty in (0, update.order_qty) or first_orders(story)[name].reduce_only


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
    """A limit order fills at its limit while resting, a stop at the trade that has reached it, others at the last."""
    last: dict[str, Decimal] = {}
    for event, outputs in (story := play(history)):
        if isinstance(event, TradeEvent):
            last[event.symbol] = Decimal(repr(event.price))
        for fill in (output for output in outputs if isinstance(output, FillEvent)):
            order = first_orders(story)[fill.order_id]
            assert (fill.side, fill.strategy_id) == (order.side, order.strategy_id)
            assert fill.qty <= order.qty if order.reduce_only else fill.qty == order.qty
            sign = sign_of(fill.side)
            if order.type == "limit":
                assert sign * fill.price <= sign * order.limit_price
                assert sign * last[fill.symbol] <= sign * order.limit_price
            if order.type == "stop":
                assert sign * last[fill.symbol] >= sign * order.stop_price
                assert fill.liquidity == "taker"
            resting_price = order.limit_price if fill.liquidity == "maker" else None
            assert fill.price == (resting_price or last.get(fill.symbol) or order.limit_price)


@given(HISTORIES)
def test_no_resting_order_is_passed_over(history):
    """After every trade, no order rests whose limit or stop the trade has reached."""
    venue = new_venue()
    last: dict[str, Decimal] = {}
    for event in history:
        venue.on_event(event, At(1, 1, 1, 1, 1))
        if isinstance(event, TradeEvent):
            last[event.symbol] = Decimal(repr(event.price))
        for row in venue.snapshot()["engine"]["open"]:
            sign = sign_of(row["side"]) * (1 if row["type"] == "limit" else -1)
            if row["symbol"] in last:
                assert sign * last[row["symbol"]] > sign * Decimal(row["limit_price"] or row["stop_price"])


@given(HISTORIES)
def test_what_may_only_reduce_never_opens_grows_or_turns_a_position(history):
    """Every fill of such an order brings its strategy's position nearer to nothing, and none rests without one."""
    venue = new_venue()
    held: dict[tuple[str, str], Decimal] = {}
    sent: dict[str, OrderEvent] = {}
    for event in history:
        if isinstance(event, OrderEvent):
            sent.setdefault(event.order_id, event)
        for fill in venue.on_event(event, At(1, 1, 1, 1, 1)):
            if isinstance(fill, FillEvent):
                key = (fill.strategy_id, fill.symbol)
                before = held.get(key, Decimal(0))
                after = held[key] = before + sign_of(fill.side) * fill.qty
                assert not sent[fill.order_id].reduce_only or (abs(after) < abs(before) and after * before >= 0)
        for row in venue.snapshot()["engine"]["open"]:
            against = -sign_of(row["side"]) * held.get((row["strategy_id"], row["symbol"]), Decimal(0))
            assert not row["reduce_only"] or against > 0
    assert {key: qty for key, qty in held.items() if qty} == {
        (strategy, symbol): Decimal(qty) for strategy, symbol, qty in venue.snapshot()["engine"]["held"]
    }


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
    """A cancel ends an order only if it comes from the strategy that sent it; nothing to reduce ends one by itself."""
    story = play(history)
    ended: set[str] = set()
    for event, outputs in story:
        for update in (output for output in outputs if isinstance(output, OrderUpdate)):
            if update.reason == "reduce_only":
                assert first_orders(story)[update.order_id].reduce_only
            elif update.status == "CANCELED" and update.order_id not in ended:
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
