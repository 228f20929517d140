"""The paper venue with limit orders: they rest, fill at their limit, and can be taken back."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from core import codec
from core.contracts import CancelIntent, Event, FillEvent, OrderEvent, OrderUpdate, PositionSnapshot, TradeEvent
from core.execution.paper import SERVICE
from core.handler import At

CONTENT = {
    "paper": {"account": "main", "maker_fee_bps": "2", "taker_fee_bps": "10"},
    "instruments": [{"symbol": "BTC/USDT", "tick_size": "0.01", "lot_size": "0.001"}],
}
AT = At(seq=7, ts_ns=9_000, market_ns=1_723_075_200_000_000_000, root=7, root_ts_ns=9_000)


def new_venue(content=CONTENT):
    """A venue as its service builds it."""
    return SERVICE.build(content)


def event_of(text: str) -> Event:
    """A trade "trade 100", a cancel "cancel name strategy", or an order "name strategy side qty limit"."""
    words = text.split()
    if words[0] == "trade":
        return TradeEvent("BTC/USDT", float(words[1]), 1.0, "sell", AT.market_ns)
    if words[0] == "cancel":
        return CancelIntent(words[2], words[1], "BTC/USDT")
    name, strategy, side, qty, limit = words
    return OrderEvent(
        "i-" + name,
        "paper",
        "BTC/USDT",
        side,  # type: ignore[arg-type]
        "limit",
        Decimal(qty),
        5,
        order_id=name,
        strategy_id=strategy,
        limit_price=Decimal(limit),
    )


def told(event: Event) -> str:
    """An output in a few words; money without the zeros behind it."""
    if isinstance(event, FillEvent):
        figures = " ".join(f"{float(value):g}" for value in (event.qty, event.price, event.fee))
        return f"{event.order_id} fill {figures} {event.liquidity}"
    if isinstance(event, OrderUpdate):
        return f"{event.order_id} {event.status} {event.leaves_qty} {event.reason}".strip()
    assert isinstance(event, PositionSnapshot)
    return f"position {event.qty:g} {event.realized_pnl:g}"


# A fill is told as quantity, price and fee; a position as quantity and realized profit.
STORIES = {
    # maker: 2 * 99 * 0.0002 = 0.0396; taker: 2 * 99 * 0.001 = 0.198, 2 * 98 * 0.001 = 0.196
    "it rests until a trade reaches its limit": """
        trade 100         | -
        b sma buy 2 99    | b ACK 2
        trade 99.01       | -
        trade 99          | b fill 2 99 0.0396 maker; b FILLED 0; position 2 0
        trade 98          | -
        """,
    "a sale rests until a trade is as high": """
        trade 98          | -
        s sma sell 2 99   | s ACK 2
        trade 98.99       | -
        trade 105         | s fill 2 99 0.0396 maker; s FILLED 0; position -2 0
        """,
    "the market is already better when it comes": """
        trade 98          | -
        b sma buy 2 99    | b ACK 2; b fill 2 98 0.196 taker; b FILLED 0; position 2 0
        """,
    "it comes exactly at the last price": """
        trade 99          | -
        b sma buy 2 99    | b ACK 2; b fill 2 99 0.198 taker; b FILLED 0; position 2 0
        """,
    "no price is known": """
        b sma buy 2 99    | b ACK 2
        trade 99.5        | -
        trade 99          | b fill 2 99 0.0396 maker; b FILLED 0; position 2 0
        """,
    # 1 * (101 - 99) = 2 realized; 1 * 99 * 0.0002 = 0.0198; 1 * 101 * 0.0002 = 0.0202
    "a round trip at the maker's fee": """
        trade 100         | -
        b sma buy 1 99    | b ACK 1
        s sma sell 1 101  | s ACK 1
        trade 98          | b fill 1 99 0.0198 maker; b FILLED 0; position 1 0
        trade 102         | s fill 1 101 0.0202 maker; s FILLED 0; position 0 2
        """,
    # 50 * 0.0002 = 0.01
    "it is taken back, by its owner, and only once": """
        trade 100         | -
        b sma buy 1 99    | b ACK 1
        c sma buy 1 50    | c ACK 1
        cancel b rogue    | b ACK 1 not_owner
        cancel b sma      | b CANCELED 1
        cancel b sma      | b CANCELED 1
        cancel b rogue    | b CANCELED 1
        cancel x sma      | -
        trade 50          | c fill 1 50 0.01 maker; c FILLED 0; position 1 0
        cancel c sma      | c FILLED 0
        """,
    "the same order again has the same answer": """
        trade 100         | -
        b sma buy 1 50    | b ACK 1
        b sma buy 1 50    | b ACK 1
        b sma buy 9 120   | b ACK 1
        trade 50          | b fill 1 50 0.01 maker; b FILLED 0; position 1 0
        b sma buy 1 50    | b FILLED 0
        trade 40          | -
        """,
    "its price is on no grid or none at all": """
        trade 100         | -
        b sma buy 1 0     | b REJECTED 1 invalid_price
        c sma buy 1 -3    | c REJECTED 1 invalid_price
        d sma buy 1 9.999 | d REJECTED 1 invalid_price
        cancel d sma      | d REJECTED 1 invalid_price
        trade 1           | -
        """,
}


def lines_of(story: str) -> list[tuple[Event, str]]:
    """What happens in a story, with what the venue must say to it."""
    pairs = [line.split("|") for line in story.strip().splitlines()]
    return [(event_of(happens.strip()), due.strip()) for happens, due in pairs]


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("restarting", [False, True], ids=["straight", "restarting"])
def test_story(name, restarting):
    """Each story ends as it is told, also with a restart before every line of it."""
    venue = new_venue()
    for event, due in lines_of(STORIES[name]):
        if restarting:
            saved = codec.encode_state(venue.snapshot())
            venue = new_venue()
            venue.restore(codec.decode_json(saved))
            assert codec.encode_state(venue.snapshot()) == saved
        assert "; ".join(told(output) for output in venue.on_event(event, AT)) == due.replace("-", "", due == "-")


def test_a_resting_order_keeps_its_place_in_the_queue_over_a_restart():
    """Of three orders at one price the oldest is filled first, after a restart too."""
    venue = new_venue()
    for name in ("z", "a", "m"):
        venue.on_event(event_of(f"{name} sma buy 1 99"), AT)
    again = new_venue()
    again.restore(json.loads(json.dumps(venue.snapshot())))
    fills = [event.order_id for event in again.on_event(event_of("trade 98"), AT) if isinstance(event, FillEvent)]
    assert fills == ["z", "a", "m"]


def test_resting_orders_outlive_a_change_of_the_configuration():
    """An order rests on when its symbol is no longer offered, fills at the new fees, and can still be taken back."""
    old = new_venue()
    for line in ("trade 100", "b sma buy 1 50", "c sma buy 1 40"):
        old.on_event(event_of(line), AT)
    new = new_venue({"paper": {"account": "main", "maker_fee_bps": "-2", "taker_fee_bps": "0"}, "instruments": []})
    new.restore(old.snapshot())
    assert told(new.on_event(event_of("trade 45"), AT)[0]) == "b fill 1 50 -0.01 maker"
    assert told(new.on_event(event_of("cancel c sma"), AT)[0]) == "c CANCELED 1"


def test_every_step_carries_the_market_time():
    """Order updates, fills and positions bear the market's time of the event that caused them."""
    venue = new_venue()
    (acknowledged,) = venue.on_event(event_of("b sma buy 1 99"), AT)
    later = AT._replace(market_ns=AT.market_ns + 5)
    fill, filled, position = venue.on_event(event_of("trade 98"), later)
    assert acknowledged.ts_ns == AT.market_ns
    assert {fill.ts_fill_ns, filled.ts_ns, position.ts_ns} == {AT.market_ns + 5}
