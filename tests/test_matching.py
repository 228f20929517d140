"""The matching engine, as stories: what comes in, what is filled."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from core.errors import IllegalTransition
from core.execution.matching import Execution, MatchingEngine
from core.execution.order_state import Order


def order(text: str) -> Order:
    """An order of strategy "s" from "name side type qty [limit price]"."""
    name, side, kind, qty, *limit = text.split()
    limit_price = Decimal(limit[0]) if limit else None
    return Order(name, "s", "BTC/USDT", side, kind, Decimal(qty), limit_price=limit_price)  # type: ignore[arg-type]


def told(executions: list[Execution]) -> str:
    """Fills as "name qty @ price liquidity", or "-"."""
    fills = [
        f"{done.order.order_id} {done.qty} @ {str(done.price).removesuffix('.0')} {done.liquidity}"
        for done in executions
    ]
    return ", ".join(fills) or "-"


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
