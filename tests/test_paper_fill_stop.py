"""The paper venue with orders that protect and close: stops, targets, and orders that may only reduce."""

from __future__ import annotations

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


def order(name: str, strategy: str, side: str, kind: str, qty: str, *more: str) -> OrderEvent:
    """An order, its price behind the quantity unless it is a market order; "only" at the end may only reduce."""
    price = Decimal(more[0]) if more[:1] not in ((), ("only",)) else None
    return OrderEvent(
        intent_id="i-" + name,
        venue="paper",
        symbol="BTC/USDT",
        side=side,  # type: ignore[arg-type]
        type=kind,  # type: ignore[arg-type]
        qty=Decimal(qty),
        ts_accepted_ns=5,
        order_id=name,
        strategy_id=strategy,
        limit_price=price if kind == "limit" else None,
        stop_price=price if kind == "stop" else None,
        reduce_only="only" in more,
    )


def event_of(text: str) -> Event:
    """A trade "trade 100", a cancel "cancel name strategy", or "name strategy side type qty [price] [only]"."""
    words = text.split()
    if words[0] == "trade":
        return TradeEvent("BTC/USDT", float(words[1]), 1.0, "sell", AT.market_ns)
    if words[0] == "cancel":
        return CancelIntent(words[2], words[1], "BTC/USDT")
    return order(*words)


def told(event: Event) -> str:
    """An output in a few words; money without the zeros behind it."""
    if isinstance(event, FillEvent):
        figures = " ".join(f"{float(value):g}" for value in (event.qty, event.price, event.fee))
        return f"{event.order_id} fill {figures} {event.liquidity}"
    if isinstance(event, OrderUpdate):
        return f"{event.order_id} {event.status} {event.cum_qty:f}/{event.order_qty} {event.reason}".strip()
    assert isinstance(event, PositionSnapshot)
    return f"position {event.qty:g} {event.realized_pnl:g}"


# A fill is told as quantity, price and fee; an update as filled/ordered; a position as quantity and realized profit.
STORIES = {
    # 2 * 100 * 0.001 = 0.2; 2 * 94 * 0.001 = 0.188; 2 * (94 - 100) = -12
    "a stop below the market limits the loss to what the market pays": """
        trade 100               | -
        m sma buy market 2      | m ACK 0/2; m fill 2 100 0.2 taker; m FILLED 2/2; position 2 0
        s sma sell stop 2 95    | s ACK 0/2
        trade 95.01             | -
        trade 94                | s fill 2 94 0.188 taker; s FILLED 2/2; position 0 -12
        trade 90                | -
        """,
    # 2 * 110 * 0.0002 = 0.044; 2 * (110 - 100) = 20
    "the target is reached, and the stop is gone": """
        trade 100               | -
        m sma buy market 2      | m ACK 0/2; m fill 2 100 0.2 taker; m FILLED 2/2; position 2 0
        s sma sell stop 2 95 only   | s ACK 0/2
        t sma sell limit 2 110 only | t ACK 0/2
        trade 112               | t fill 2 110 0.044 maker; t FILLED 2/2; position 0 20; s CANCELED 0/2 reduce_only
        cancel s sma            | s CANCELED 0/2 reduce_only
        s sma sell stop 2 95 only   | s CANCELED 0/2 reduce_only
        trade 90                | -
        """,
    # 1 * 100 * 0.001 = 0.1
    "two closes of one position are one close": """
        trade 100               | -
        m sma buy market 1      | m ACK 0/1; m fill 1 100 0.1 taker; m FILLED 1/1; position 1 0
        c sma sell market 1 only | c ACK 0/1; c fill 1 100 0.1 taker; c FILLED 1/1; position 0 0
        d sma sell market 1 only | d REJECTED 0/1 reduce_only
        d sma sell market 1 only | d REJECTED 0/1 reduce_only
        """,
    "a close of more than is held is cut, and its answer stays that it was cut": """
        trade 100               | -
        m s buy market 1        | m ACK 0/1; m fill 1 100 0.1 taker; m FILLED 1/1; position 1 0
        c s sell limit 3 110 only | c ACK 0/3
        trade 110               | c fill 1 110 0.022 maker; c PARTIAL 1/3; position 0 10; c CANCELED 1/3 reduce_only
        c s sell market 3 only  | c CANCELED 1/3 reduce_only
        cancel c s              | c CANCELED 1/3 reduce_only
        """,
    "the account holds something, but not this strategy": """
        trade 100               | -
        m sma buy market 1      | m ACK 0/1; m fill 1 100 0.1 taker; m FILLED 1/1; position 1 0
        c rogue sell market 1 only | c REJECTED 0/1 reduce_only
        """,
    "a stop needs a stop price on the grid and no limit": """
        trade 100               | -
        a sma sell stop 1       | a REJECTED 0/1 invalid_price
        b sma sell stop 1 0     | b REJECTED 0/1 invalid_price
        c sma sell stop 1 -1    | c REJECTED 0/1 invalid_price
        d sma sell stop 1 9.999 | d REJECTED 0/1 invalid_price
        """,
    "a stop is taken back by its owner alone": """
        trade 100               | -
        s sma sell stop 1 95    | s ACK 0/1
        cancel s rogue          | s ACK 0/1 not_owner
        cancel s sma            | s CANCELED 0/1
        trade 90                | -
        """,
}


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("restarting", [False, True], ids=["straight", "restarting"])
def test_story(name, restarting):
    """Each story ends as it is told, also with a restart before every line of it."""
    venue = SERVICE.build(CONTENT)
    for line in STORIES[name].strip().splitlines():
        happens, due = (part.strip() for part in line.split("|"))
        if restarting:
            saved = codec.encode_state(venue.snapshot())
            venue = SERVICE.build(CONTENT)
            venue.restore(codec.decode_json(saved))
            assert codec.encode_state(venue.snapshot()) == saved
        found = "; ".join(told(output) for output in venue.on_event(event_of(happens), AT))
        assert found == due.replace("-", "", due == "-"), happens


@pytest.mark.parametrize(
    ("kind", "prices"),
    [
        ("market", {"stop_price": Decimal(95)}),
        ("limit", {"limit_price": Decimal(95), "stop_price": Decimal(95)}),
        ("stop", {"limit_price": Decimal(94), "stop_price": Decimal(95)}),
    ],
)
def test_a_price_that_would_not_be_kept_is_refused(kind, prices):
    """A stop price on another order protects nobody, and a stop with a limit is a type that there is not."""
    venue = SERVICE.build(CONTENT)
    venue.on_event(event_of("trade 100"), AT)
    wish = OrderEvent("i", "paper", "BTC/USDT", "sell", kind, Decimal(1), 5, "o", "sma", **prices)
    assert told(venue.on_event(wish, AT)[0]) == "o REJECTED 0/1 invalid_price"


def test_a_memory_of_before_there_were_stops_is_taken_over():
    """An older snapshot has no positions of strategies: its orders and books go on, and reducing starts afresh."""
    venue = SERVICE.build(CONTENT)
    for line in ("trade 100", "m sma buy market 2", "b sma buy limit 1 90"):
        venue.on_event(event_of(line), AT)
    old = codec.decode_json(codec.encode_state(venue.snapshot()))
    del old["engine"]["held"]
    for row in old["engine"]["open"]:
        del row["stop_price"], row["reduce_only"]
    after = SERVICE.build(CONTENT)
    after.restore(old)
    assert told(after.on_event(event_of("c sma sell market 1 only"), AT)[0]) == "c REJECTED 0/1 reduce_only"
    assert told(after.on_event(event_of("trade 90"), AT)[0]) == "b fill 1 90 0.018 maker"
    assert told(after.on_event(event_of("d sma sell market 1 only"), AT)[1]) == "d fill 1 90 0.09 taker"


def test_the_market_of_a_symbol_that_concerns_nobody_takes_no_room():
    """Whatever else is traded, the venue remembers only prices that an order could need."""
    venue = SERVICE.build(CONTENT)
    for number in range(1000):
        venue.on_event(TradeEvent(f"X{number}/USDT", 1.0, 1.0, "buy", AT.market_ns), AT)
    assert venue.snapshot()["engine"]["last"] == {}
