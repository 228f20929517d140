"""Opening has limits; closing must stay possible when they are reached, and nothing may pass for it that is not."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from core import codec
from core.errors import ContractError
from core.risk.gate import HOLDINGS_MAX
from core.risk.rules import CLOSES
from tests.risk_desk import SYMBOL, Desk


def holder(qty="10", side="buy", **settings):
    """A desk whose strategy holds a position at a market of 100."""
    desk = Desk(**settings)
    desk.trade(100.0)
    desk.fill(side, qty)
    return desk


@pytest.mark.parametrize(
    ("expected", "held", "order"),
    [
        ("allowed", ("buy", "10"), {"qty": "10"}),  # worth 1,000 where one order may be worth 250
        ("allowed", ("buy", "10"), {"qty": "4"}),
        ("allowed", ("sell", "10"), {"qty": "10", "side": "buy"}),
        ("allowed", ("buy", "10"), {"qty": "10", "price": "120"}),
        ("allowed", ("buy", "10"), {"qty": "10", "kind": "stop", "stop_price": Decimal(90)}),
        ("per_order_cap", ("buy", "10"), {"qty": "10.001"}),  # more than it holds is no close in its whole quantity
        ("allowed", ("buy", "1"), {"qty": "2"}),  # so it is measured as any other order: 200
        ("reduce_only", ("buy", "10"), {"qty": "1", "side": "buy"}),
        ("reduce_only", ("sell", "10"), {"qty": "1"}),
        ("reduce_only", ("buy", "10"), {"qty": "1", "symbol": "ETH/USDT"}),
        ("reduce_only", ("buy", "10"), {"qty": "1", "strategy_id": "other"}),
        ("invalid_qty", ("buy", "10"), {"qty": "-1"}),
        ("invalid_qty", ("buy", "10"), {"qty": "9.9995"}),  # half a lot
        ("min_notional", ("buy", "10"), {"qty": "0.049"}),  # 4.9: a venue takes no such order, whatever it is for
        ("stale_intent", ("buy", "10"), {"qty": "10", "root_age_s": 6}),
    ],
)
def test_what_passes_as_a_close(expected, held, order):
    """Only what takes away from the strategy's own position, in its whole quantity, is free of the cap per order."""
    desk = holder(side=held[0], qty=held[1])
    desk.trade(100.0, symbol="ETH/USDT")
    assert desk.fate_of_close(**order) == expected


@pytest.mark.parametrize(
    ("expected", "env", "pnl"),
    [("allowed", "paper", "-300"), ("allowed", "live", "-300"), ("allowed", "live", None)],
)
def test_a_lost_day_can_be_ended(expected, env, pnl):
    """After the loss cap, and while the profit of the day is not known, one may close but not open."""
    desk = holder(env=env)
    if pnl is not None:
        desk.pnl(pnl)
    assert desk.ask("1") == ("no_pnl" if pnl is None else "daily_loss_cap")
    assert desk.fate_of_close("10") == expected


def test_a_plain_sale_is_measured_as_an_opening_one():
    """A sale that does not say that it may only reduce could open, so it is bound by every cap."""
    desk = holder()
    assert desk.ask("10", side="sell") == "per_order_cap"
    desk.pnl("-300")
    assert desk.ask("1", side="sell") == "daily_loss_cap"


def test_a_halt_stops_closes_too():
    """The kill switch stops everything."""
    desk = holder()
    desk.halt()
    assert desk.fate_of_close("10") == "halted"


def test_what_cannot_be_known_stops_closes_too():
    """Without a fresh price nothing is sent to a market that may not be there."""
    desk = holder()
    desk.passes(6)
    assert desk.fate_of_close("10") == "stale_price"


def test_the_decision_says_why_the_caps_did_not_bind():
    """Every check is listed for a close too; those that do not bind say so as their limit."""
    desk = holder(env="live")
    desk.pnl("-500")
    decision, order = desk.close("10")
    checks = {check.name: (check.passed, check.value, check.limit) for check in decision.checks}
    assert checks["reduce_only"] == (True, "10", "above 0")
    assert checks["per_order_cap"] == (True, "1000.0", CLOSES)  # 10 x 100
    assert checks["no_pnl"] == (True, "0.000000000", CLOSES)
    assert checks["daily_loss_cap"] == (True, "-500", CLOSES)
    assert (order.reduce_only, order.qty) == (True, 10)


def test_opening_orders_cannot_use_up_the_closing_ones():
    """Closes have as many tokens again as openings, of their own, and they come back with market time."""
    desk = holder(orders_per_min_cap=2)
    assert [desk.ask() for _ in range(3)] == ["allowed", "allowed", "rate_limit"]
    assert [desk.fate_of_close() for _ in range(3)] == ["allowed", "allowed", "rate_limit"]
    desk.passes(30)
    desk.trade(100.0)
    assert [desk.fate_of_close(), desk.fate_of_close(), desk.ask()] == ["allowed", "rate_limit", "allowed"]


def test_positions_follow_the_fills():
    """What may be closed is what the fills have left, to the last digit, through zero and back."""
    desk = holder("0.3")
    desk.fill("sell", "0.1")
    assert desk.fate_of_close("0.2") == "allowed"
    desk.fill("sell", "0.2")
    assert desk.fate_of_close("0.2") == "reduce_only"
    desk.fill("sell", "5")
    assert desk.fate_of_close("5", side="buy") == "allowed"


@pytest.mark.parametrize(
    ("expected", "order"),
    [
        ("allowed", {"kind": "stop", "stop_price": "110"}),
        ("allowed", {"kind": "stop", "stop_price": "90", "side": "sell"}),
        ("invalid_price", {"kind": "stop"}),
        ("invalid_price", {"kind": "stop", "stop_price": "0"}),
        ("invalid_price", {"kind": "stop", "stop_price": "-90"}),
        ("invalid_price", {"kind": "stop", "stop_price": "90.005"}),  # half a tick
        ("invalid_price", {"kind": "stop", "stop_price": "90", "price": "89"}),  # a stop with a limit is another type
        ("invalid_price", {"kind": "market", "stop_price": "90"}),  # would be filled now, and protect nobody
        ("invalid_price", {"kind": "limit", "price": "90", "stop_price": "90"}),
        ("allowed", {"kind": "stop", "stop_price": "125", "qty": "2"}),  # 2 x 125
        ("per_order_cap", {"kind": "stop", "stop_price": "125.01", "qty": "2"}),  # can pay 250.02
        ("allowed", {"kind": "stop", "stop_price": "50", "qty": "2.5", "side": "sell"}),  # worth 250 now
        ("per_order_cap", {"kind": "stop", "stop_price": "50", "qty": "2.501", "side": "sell"}),
        ("min_notional", {"kind": "stop", "stop_price": "49.99", "qty": "0.1", "side": "sell"}),  # 4.999 when it sells
    ],
)
def test_stop_orders(expected, order):
    """A stop order has one price, on the grid; a buy is worth what it may pay when the market has risen to it."""
    desk = Desk()
    desk.trade(100.0)
    stop_price = order.pop("stop_price", None)
    assert desk.ask(**order, stop_price=None if stop_price is None else Decimal(stop_price)) == expected


def test_a_stop_is_no_price_to_value_an_order_by():
    """Before the first trade nobody knows what a stop order may cost."""
    assert Desk().ask(kind="stop", stop_price=Decimal(100)) == "no_price"


def test_the_order_carries_what_the_intent_asked_for():
    """Stop price, reduce-only and key reach the venue; without a key it is the intent's id."""
    desk = holder()
    wish = {"kind": "stop", "stop_price": Decimal(90), "intent_id": "i-1"}
    _, order = desk.close("10", **wish, idempotency_key="protect-1")
    assert (order.type, order.stop_price, order.limit_price) == ("stop", Decimal(90), None)
    assert (order.reduce_only, order.idempotency_key, order.intent_id) == (True, "protect-1", "i-1")
    _, order = desk.send("1", intent_id="i-2")
    assert (order.stop_price, order.reduce_only, order.idempotency_key) == (None, False, "i-2")


def test_the_same_key_is_one_wish():
    """A second intent with the key of the first gets its decision again, byte for byte, and becomes no order."""
    desk = Desk()
    desk.trade(100.0)
    first, _ = desk.send("1", intent_id="i-1", idempotency_key="enter-7")
    (again,) = desk.send("2", intent_id="i-2", idempotency_key="enter-7")
    assert codec.encode(again) == codec.encode(first)
    assert desk.send("1", intent_id="i-1", idempotency_key="enter-8") == [first]
    assert desk.ask("1", intent_id="i-3", idempotency_key="enter-9") == "allowed"


def test_a_denied_wish_stays_denied_under_its_key():
    """Whoever wants another answer asks with another key."""
    desk = Desk()
    desk.trade(100.0)
    (denied,) = desk.send("3", idempotency_key="k")
    assert desk.send("1", idempotency_key="k") == [denied]


def test_a_key_is_the_word_of_one_strategy():
    """Two strategies that count their entries alike are not each other's duplicates."""
    desk = Desk()
    desk.trade(100.0)
    assert desk.ask(idempotency_key="entry-1") == "allowed"
    assert desk.ask(idempotency_key="entry-1", strategy_id="other") == "allowed"


def test_keys_are_forgotten_with_their_decisions():
    """A key is remembered exactly as long as its decision, over a restart too."""
    desk = Desk(orders_per_min_cap=1000)
    desk.trade(100.0)
    desk.send(intent_id="i-first", idempotency_key="first")
    desk.gate.restore(json.loads(json.dumps(desk.gate.snapshot())))
    assert len(desk.send(idempotency_key="first")) == 1
    for number in range(256):
        desk.send(idempotency_key=f"k-{number}")
    assert len(desk.send(idempotency_key="k-255")) == 1
    assert len(desk.send(idempotency_key="first")) == 2


def test_a_memory_of_before_there_were_closes_is_taken_over():
    """An older snapshot has no positions, no closing tokens and no keys: its answers stand, and closes count afresh."""
    desk = holder(orders_per_min_cap=2)
    stored, _ = desk.send(intent_id="i-1")
    old = json.loads(json.dumps(desk.gate.snapshot()))
    for name in ("held", "closing_buckets"):
        del old[name]
    for row in old["decisions"]["rows"]:
        del row[7:]
    after = Desk(orders_per_min_cap=2, resumed=False)
    after.gate.restore(old)
    assert after.send(intent_id="i-1") == [stored]
    assert after.fate_of_close() == "reduce_only"
    after.fill()
    assert after.fate_of_close() == "allowed"


def test_positions_outlive_a_symbol_that_is_not_configured_for_a_while():
    """Fills of a symbol that was taken out are counted on, so that it can be closed when it is back."""
    desk = holder()
    other = [{"symbol": "ETH/USDT", "tick_size": "0.01", "lot_size": "0.001", "min_notional": "5"}]
    without = Desk(instruments=other)
    without.gate.restore(desk.gate.snapshot())
    without.fill("sell", "4")
    back = Desk()
    back.gate.restore(without.gate.snapshot())
    back.trade(100.0)
    assert back.fate_of_close("6.001") == "per_order_cap"
    assert back.fate_of_close("6") == "allowed"


def test_nobody_fills_the_memory_with_positions_nor_breaks_it_with_numbers():
    """Positions beyond the most are not known; a quantity that no sum can hold is nobody's."""
    desk = holder()
    for number in range(HOLDINGS_MAX + 10):
        desk.fill(strategy=f"s-{number}")
    assert len(desk.gate.snapshot()["held"]) == HOLDINGS_MAX
    desk.fill("sell", "9")
    desk.fill("buy", "1e2000")
    assert desk.fate_of_close("1") == "allowed"
    with pytest.raises(ContractError):
        desk.fill(qty="NaN")


def test_symbols_and_strategies_close_only_their_own():
    """One strategy's long is nothing that another one could close, and neither is the same in another symbol."""
    desk = holder()
    desk.trade(100.0, symbol="ETH/USDT")
    desk.fill("sell", "10", strategy="bear")
    assert desk.fate_of_close("10", strategy_id="bear") == "reduce_only"
    assert desk.fate_of_close("10", side="buy", strategy_id="bear") == "allowed"
    assert desk.fate_of_close("10", symbol="ETH/USDT") == "reduce_only"
    assert desk.fate_of_close("10", symbol=SYMBOL) == "allowed"
