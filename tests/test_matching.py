"""The matching engine, as stories: what comes in, what is filled."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from core.errors import IllegalTransition
from core.execution.matching import SLOTS, Execution, MatchingEngine
from core.execution.order_state import Order


def order(text: str) -> Order:
    """An order of strategy "s" from "name side type qty [its price] [only]"; "only" may only reduce."""
    name, side, kind, qty, *more = text.split()
    only = "only" in more
    price = (
        {"stop_price" if kind == "stop" else "limit_price": Decimal(more[0])} if more[:1] not in ([], ["only"]) else {}
    )
    return Order(name, "s", "BTC/USDT", side, kind, Decimal(qty), reduce_only=only, **price)  # type: ignore[arg-type]


def told(executions: list[Execution]) -> str:
    """Fills as "name qty @ price liquidity" and "name gone leaves qty" for what they canceled, or "-"."""
    words = []
    for done in executions:
        words.append(f"{done.order.order_id} {done.qty} @ {str(done.price).removesuffix('.0')} {done.liquidity}")
        words += [f"{gone.order_id} gone {gone.leaves_qty}" for gone in done.canceled]
        assert all(gone.status == "CANCELED" for gone in done.canceled)
    return ", ".join(words) or "-"


def play(engine: MatchingEngine, line: str) -> str:
    """Let one line of a story happen and tell its outcome."""
    word, _, rest = line.partition(" ")
    if word == "trade":
        return told(list(engine.on_trade("BTC/USDT", float(rest))))
    if word == "cancel":
        canceled = engine.cancel(*rest.split())
        return "nothing" if canceled is None else f"{canceled.order_id} {canceled.status}"
    arrival = engine.submit(order(line))
    if arrival.execution:
        return told([arrival.execution])
    return f"{arrival.order.status} {arrival.reason or ''}".strip()


STORIES = {
    "a market order fills at the last trade": """
        trade 100               | -
        trade 101.5             | -
        m buy market 2          | m 2 @ 101.5 taker
        n sell market 3         | n 3 @ 101.5 taker
        """,
    "a market order without a trade falls back on its limit price": """
        m buy market 2 99       | m 2 @ 99 taker
        n buy market 2          | REJECTED no_price
        """,
    "a market order with a trade ignores its limit price": """
        trade 100               | -
        m buy market 2 99       | m 2 @ 100 taker
        """,
    "a limit order waits until the price has reached it": """
        trade 100               | -
        b buy limit 1 99        | ACK
        s sell limit 1 101      | ACK
        trade 99.01             | -
        trade 100.99            | -
        trade 99                | b 1 @ 99 maker
        trade 101               | s 1 @ 101 maker
        trade 99                | -
        trade 101               | -
        """,
    "a resting order never fills better than its limit": """
        trade 100               | -
        b buy limit 1 99        | ACK
        trade 92                | b 1 @ 99 maker
        s sell limit 1 95       | ACK
        trade 120               | s 1 @ 95 maker
        """,
    "an order that comes too late for its limit fills at the market like a bar that opened through it": """
        trade 92                | -
        b buy limit 1 99        | b 1 @ 92 taker
        s sell limit 1 80       | s 1 @ 92 taker
        c buy limit 1 92        | c 1 @ 92 taker
        d sell limit 1 92       | d 1 @ 92 taker
        """,
    "a limit order rests where no trade is known": """
        b buy limit 1 99        | ACK
        s sell limit 1 98       | ACK
        trade 98.5              | b 1 @ 99 maker, s 1 @ 98 maker
        """,
    "one trade fills the better price first and the older of one price first; buys before sells": """
        a buy limit 1 99        | ACK
        b buy limit 2 100       | ACK
        c buy limit 3 99        | ACK
        d buy limit 4 98        | ACK
        e sell limit 5 90       | ACK
        f sell limit 6 89       | ACK
        trade 98.5              | b 2 @ 100 maker, a 1 @ 99 maker, c 3 @ 99 maker, f 6 @ 89 maker, e 5 @ 90 maker
        trade 98                | d 4 @ 98 maker
        """,
    "our own fill does not move the market": """
        trade 100               | -
        b buy limit 1 99        | ACK
        trade 95                | b 1 @ 99 maker
        m buy market 1          | m 1 @ 95 taker
        n buy market 1 120      | n 1 @ 95 taker
        p sell market 1         | p 1 @ 95 taker
        """,
    "a canceled order is gone, once, and only its owner can cancel it": """
        trade 100               | -
        b buy limit 1 99        | ACK
        c buy limit 1 99        | ACK
        cancel b other          | nothing
        cancel b s              | b CANCELED
        cancel b s              | nothing
        cancel x s              | nothing
        trade 90                | c 1 @ 99 maker
        cancel c s              | nothing
        """,
    "a stop waits until the price has reached it and then fills at the market": """
        trade 100               | -
        b buy stop 1 105        | ACK
        s sell stop 2 95        | ACK
        trade 104.99            | -
        trade 95.01             | -
        trade 105               | b 1 @ 105 taker
        trade 95                | s 2 @ 95 taker
        trade 105               | -
        """,
    "a stop that the market jumps over fills where the market is, never at its stop price": """
        trade 100               | -
        b buy stop 1 105        | ACK
        s sell stop 2 95        | ACK
        trade 115               | b 1 @ 115 taker
        trade 60                | s 2 @ 60 taker
        """,
    "a stop that comes too late fills at once at the last price": """
        trade 94                | -
        s sell stop 1 95        | s 1 @ 94 taker
        t sell stop 1 94        | t 1 @ 94 taker
        b buy stop 1 93.5       | b 1 @ 94 taker
        c buy stop 1 94         | c 1 @ 94 taker
        """,
    "a stop rests where no trade is known, and the first trade can reach it": """
        s sell stop 1 95        | ACK
        b buy stop 1 95         | ACK
        trade 95                | b 1 @ 95 taker, s 1 @ 95 taker
        """,
    "one trade fills limits before stops, buys before sells, the stop that is reached first first, the older first": """
        trade 100               | -
        a buy stop 1 103        | ACK
        b buy stop 2 102        | ACK
        c buy stop 3 103        | ACK
        d sell limit 4 103      | ACK
        e buy stop 5 104        | ACK
        trade 103               | d 4 @ 103 maker, b 2 @ 103 taker, a 1 @ 103 taker, c 3 @ 103 taker
        f sell stop 1 98        | ACK
        g sell stop 2 99        | ACK
        h buy limit 3 97        | ACK
        i sell stop 4 98        | ACK
        trade 97                | h 3 @ 97 maker, g 2 @ 97 taker, f 1 @ 97 taker, i 4 @ 97 taker
        """,
    "a stop can be taken back": """
        trade 100               | -
        s sell stop 1 95        | ACK
        t sell stop 1 95        | ACK
        cancel s s              | s CANCELED
        trade 90                | t 1 @ 90 taker
        """,
    "an order that may only reduce needs something to reduce": """
        trade 100               | -
        a sell market 1 only    | REJECTED reduce_only
        b sell stop 1 95 only   | REJECTED reduce_only
        m buy market 1          | m 1 @ 100 taker
        c buy limit 1 90 only   | REJECTED reduce_only
        d sell market 1 only    | d 1 @ 100 taker
        e sell market 1 only    | REJECTED reduce_only
        """,
    "it never fills more than what is held, and its rest is gone": """
        trade 100               | -
        m buy market 2          | m 2 @ 100 taker
        c sell market 3 only    | c 2 @ 100 taker, c gone 1
        n sell market 2         | n 2 @ 100 taker
        d buy limit 5 90 only   | ACK
        o buy market 1          | o 1 @ 100 taker
        trade 90                | d 1 @ 90 maker, d gone 4
        """,
    "a stop and a target are a pair: the one that fills takes the other with it": """
        trade 100               | -
        m buy market 2          | m 2 @ 100 taker
        s sell stop 2 95 only   | ACK
        t sell limit 2 110 only | ACK
        trade 111               | t 2 @ 110 maker, s gone 2
        trade 80                | -
        """,
    "the other one goes too if it is the stop that fills, and while one trade reaches both": """
        trade 100               | -
        m buy market 2          | m 2 @ 100 taker
        s sell stop 2 95 only   | ACK
        t sell limit 2 110 only | ACK
        u sell stop 1 96 only   | ACK
        v sell stop 1 94 only   | ACK
        trade 94                | u 1 @ 94 taker, s 1 @ 94 taker, s gone 1, t gone 2, v gone 1
        """,
    "what closes the position by hand takes its protection with it, a part of it does not": """
        trade 100               | -
        m buy market 2          | m 2 @ 100 taker
        s sell stop 2 95 only   | ACK
        n sell market 1         | n 1 @ 100 taker
        o sell market 1         | o 1 @ 100 taker, s gone 2
        """,
    "so does what turns it": """
        trade 100               | -
        m buy market 2          | m 2 @ 100 taker
        s sell stop 2 95 only   | ACK
        n sell market 5         | n 5 @ 100 taker, s gone 2
        b buy stop 9 105 only   | ACK
        trade 105               | b 3 @ 105 taker, b gone 6
        """,
    "orders that may do more than reduce stay": """
        trade 100               | -
        m buy market 2          | m 2 @ 100 taker
        s sell stop 2 95        | ACK
        n sell market 2         | n 2 @ 100 taker
        trade 95                | s 2 @ 95 taker
        """,
    "prices are what was printed, not their binary neighbours": """
        trade 0.3               | -
        b buy limit 1 0.1       | ACK
        s sell limit 1 0.7      | ACK
        trade 0.10000000000000002 | -
        trade 0.1               | b 1 @ 0.1 maker
        trade 0.7               | s 1 @ 0.7 maker
        """,
}


def lines_of(story: str) -> list[tuple[str, str]]:
    """Pairs of what happens and what it leads to."""
    pairs = [line.split("|") for line in story.strip().splitlines()]
    return [(happens.strip(), due.strip()) for happens, due in pairs]


@pytest.mark.parametrize("name", STORIES)
def test_story(name):
    """Each story ends as it is told."""
    engine = MatchingEngine()
    for happens, due in lines_of(STORIES[name]):
        assert play(engine, happens) == due, happens


@pytest.mark.parametrize("name", STORIES)
def test_story_with_a_restart_before_every_line(name):
    """An engine that is saved and restored before every line tells the same story."""
    engine = MatchingEngine()
    for happens, due in lines_of(STORIES[name]):
        saved = json.loads(json.dumps(engine.snapshot()))
        engine = MatchingEngine()
        engine.restore(saved)
        assert engine.snapshot() == saved
        assert play(engine, happens) == due, happens


def test_only_what_a_strategy_holds_itself_of_the_symbol_counts():
    """Another strategy's position, or one in another symbol, is nothing to reduce."""
    engine = MatchingEngine()
    for symbol in ("BTC/USDT", "ETH/USDT"):
        engine.on_trade(symbol, 100.0)
    engine.submit(order("m buy market 2"))
    others = (
        replace(order("a sell market 1 only"), strategy_id="t"),
        replace(order("b sell market 1 only"), symbol="ETH/USDT"),
    )
    assert [engine.submit(other).reason for other in others] == ["reduce_only"] * 2
    assert play(engine, "c sell market 3 only") == "c 2 @ 100 taker, c gone 1"


def test_room_is_bounded_and_closing_always_has_some():
    """A thousand resting orders and positions are enough; what needs room is refused then, what only reduces is not."""
    engine = MatchingEngine()
    play(engine, "trade 100")
    play(engine, "m buy market 5")
    for number in range(SLOTS - 1):
        assert play(engine, f"b{number} buy limit 1 90") == "ACK"
    assert play(engine, "x buy limit 1 90") == "REJECTED too_many"
    assert engine.submit(replace(order("y buy market 1"), strategy_id="t")).reason == "too_many"
    assert play(engine, "n buy market 1") == "n 1 @ 100 taker"  # of a position that is there already
    for number in range(SLOTS):
        assert play(engine, f"s{number} sell stop 1 95 only") == "ACK"
    assert play(engine, "z sell stop 1 95 only") == "REJECTED too_many"
    gone = ", ".join(f"s{number} gone 1" for number in range(SLOTS))
    assert play(engine, "o sell market 9 only") == f"o 6 @ 100 taker, o gone 3, {gone}"


def test_a_memory_of_before_there_were_stops_is_taken_over():
    """Resting limit orders go on; of positions it says nothing, so there is none that could be reduced."""
    engine = MatchingEngine()
    row: dict[str, object] = {"order_id": "b", "strategy_id": "s", "symbol": "BTC/USDT", "side": "buy", "type": "limit"}
    row |= {"order_qty": "1", "limit_price": "99", "cum_qty": "0", "status": "ACK", "fills": 0}
    engine.restore({"last": {"BTC/USDT": 100.0}, "open": [row]})
    assert play(engine, "a sell market 1 only") == "REJECTED reduce_only"
    assert play(engine, "trade 99") == "b 1 @ 99 maker"
    assert play(engine, "c sell market 1 only") == "c 1 @ 99 taker"


def test_symbols_do_not_touch_each_other():
    """A trade fills only orders of its own symbol."""
    engine = MatchingEngine()
    engine.submit(order("b buy limit 1 99"))
    assert engine.on_trade("ETH/USDT", 50.0) == ()
    assert engine.last_price("BTC/USDT") is None
    assert told(list(engine.on_trade("BTC/USDT", 50.0))) == "b 1 @ 99 maker"


def test_resting_prices_beyond_28_digits_keep_their_order():
    """Limits that differ in the thirtieth digit are not taken for equal."""
    engine = MatchingEngine()
    low, high = "100.0000000000000000000000000001", "100.0000000000000000000000000002"
    play(engine, f"a sell limit 1 {high}")
    play(engine, f"b sell limit 1 {low}")
    assert told(list(engine.on_trade("BTC/USDT", 101.0))) == f"b 1 @ {low} maker, a 1 @ {high} maker"


def test_the_same_order_cannot_be_submitted_twice():
    """An id that rests already raises: a doubled order is a defect of whoever sent it."""
    engine = MatchingEngine()
    engine.submit(order("b buy limit 1 99"))
    with pytest.raises(IllegalTransition, match="order b is submitted twice"):
        engine.submit(order("b buy limit 1 98"))


def test_an_order_that_is_not_new_is_refused():
    """The engine takes only orders that it has not answered yet."""
    engine = MatchingEngine()
    acknowledged = engine.submit(order("b buy limit 1 99")).order
    engine.cancel("b", "s")
    with pytest.raises(IllegalTransition, match="from ACK to SUBMITTED"):
        engine.submit(acknowledged)
