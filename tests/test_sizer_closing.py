"""Closing and protecting a position: nothing blocks it, nothing does it twice, and it does not go unnoticed."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from core.contracts import OrderIntent, ProtectionFailed, SizingReason, order_id
from tests.sizing_desk import BTC, Desk, cancels, decision_in, intents

D = Decimal
TENTH = {"sizing": {"fraction": "0.1"}, "limits": {"shorting": {"allowed": True}}}


def holding(intention: str = "OPEN_LONG", policy: dict[str, Any] | None = None, **prices: Any) -> Desk:
    """A desk with a position of 10 (or -10) from 100, its protections asked for and not yet answered."""
    desk = Desk(policy=policy or TENTH)
    desk.trade(100.0)
    desk.opened(intention, **prices)
    return desk


def protected(intention: str = "OPEN_LONG", **prices: Any) -> tuple[Desk, Any, Any]:
    """The same with both protections resting at the venue: stop and target 10 away."""
    far = {"stop_loss": 90, "take_profit": 110} if intention == "OPEN_LONG" else {"stop_loss": 110, "take_profit": 90}
    desk = holding(intention, **{**far, **prices})
    stop, take = intents(desk.said)[1:]
    desk.decide(stop)
    desk.decide(take)
    return desk, stop, take


@pytest.mark.parametrize(
    ("opening", "closing", "side"), [("OPEN_LONG", "CLOSE_LONG", "sell"), ("OPEN_SHORT", "CLOSE_SHORT", "buy")]
)
def test_a_close_is_for_the_whole_position(opening: str, closing: str, side: str) -> None:
    """10 held: a market order for 10 that may only reduce, whatever its confidence says."""
    desk = holding(opening)
    decision, intent = desk.signal(closing, confidence=0.1)
    assert (decision.accepted, decision.qty, decision.intent_ids) == (True, 10, (intent.intent_id,))
    assert (intent.side, intent.type, intent.qty, intent.reduce_only) == (side, "market", 10, True)
    assert (intent.signal_id, intent.idempotency_key) == (decision.signal_id, "")


def test_the_other_direction_and_other_strategies_close_nothing() -> None:
    """A long is no short, and one strategy's position is not another's."""
    desk = holding()
    assert decision_in(desk.signal("CLOSE_SHORT")).reason == SizingReason.NOTHING_TO_CLOSE
    assert decision_in(desk.signal("CLOSE_LONG", strategy_id="b")).reason == SizingReason.NOTHING_TO_CLOSE
    assert decision_in(desk.signal("CLOSE_LONG", "ETH/USDT")).reason == SizingReason.NOTHING_TO_CLOSE


def test_no_limit_stands_in_the_way_of_a_close() -> None:
    """With every limit exceeded, a price of yesterday, no capital and no instrument, the position can be closed."""
    desk = holding()
    desk.content["policy"] = {
        "limits": {"leverage": {"gross": "0.0001", "net": "0.0001"}, "concentration": {"max_share": "0.0001"}},
        "cash_management": {"buffer": "0.99"},
        "drawdown_controls": {"throttle_from": 0, "stop_at": "0.0001"},
    }
    share = {"target_weight": 1.0, "min_capital": 1e8, "max_capital": 1e9}
    desk.content["portfolio"]["allocations"] = [{"strategy_id": "b", **share}]
    desk.content["instruments"] = []
    desk.restart()
    desk.trade(10.0)
    desk.clock(86_400)
    assert decision_in(desk.signal("CLOSE_LONG")).qty == 10


def test_duplicate_closes_are_harmless() -> None:
    """While one close is on its way a second one is refused; when it has filled there is nothing left to close."""
    desk = holding()
    (close,) = intents(desk.signal("CLOSE_LONG"))
    desk.restart()
    assert decision_in(desk.signal("CLOSE_LONG")).reason == SizingReason.ALREADY_CLOSING
    desk.decide(close)
    assert decision_in(desk.signal("CLOSE_LONG")).reason == SizingReason.ALREADY_CLOSING
    desk.end(close, "FILLED", "10")
    assert decision_in(desk.signal("CLOSE_LONG")).reason == SizingReason.ALREADY_CLOSING
    desk.fill(close, 100)
    assert decision_in(desk.signal("CLOSE_LONG")).reason == SizingReason.NOTHING_TO_CLOSE
    assert len(intents(desk.said)) == 2


@pytest.mark.parametrize("how", ["denied", "REJECTED", "CANCELED", "EXPIRED"])
def test_a_close_that_failed_can_be_repeated(how: str) -> None:
    """An order to close that came to nothing does not lock the position in: the next signal closes it."""
    desk = holding()
    (close,) = intents(desk.signal("CLOSE_LONG"))
    if how == "denied":
        desk.decide(close, "halted")
    else:
        desk.decide(close)
        desk.end(close, how)
    desk.restart()
    assert decision_in(desk.signal("CLOSE_LONG")).qty == 10


def test_a_close_that_was_filled_in_part_is_repeated_for_the_rest() -> None:
    """Of 10, 4 were sold before the order expired: the next close is for 6."""
    desk = holding()
    (close,) = intents(desk.signal("CLOSE_LONG"))
    desk.decide(close)
    desk.fill(close, 100, "4")
    desk.end(close, "EXPIRED", "4")
    assert decision_in(desk.signal("CLOSE_LONG")).qty == 6


def test_less_than_a_lot_cannot_be_closed() -> None:
    """What a coarser lot has left over is refused with its reason, and no order of nothing is sent."""
    desk = holding()
    desk.content["instruments"][0]["lot_size"] = "100"
    desk.restart()
    said = desk.signal("CLOSE_LONG")
    assert decision_in(said).reason == SizingReason.BELOW_MINIMUM
    assert intents(said) == []


@pytest.mark.parametrize(
    ("intention", "side", "stop_at", "take_at"), [("OPEN_LONG", "sell", 90, 110), ("OPEN_SHORT", "buy", 110, 90)]
)
def test_stop_and_target_follow_the_first_fill(intention: str, side: str, stop_at: int, take_at: int) -> None:
    """Both for the whole position, on the other side, and only to reduce it."""
    _, stop, take = protected(intention)
    assert (stop.type, stop.stop_price, stop.limit_price) == ("stop", stop_at, None)
    assert (take.type, take.limit_price, take.stop_price) == ("limit", take_at, None)
    for protection in (stop, take):
        assert (protection.side, protection.qty, protection.reduce_only) == (side, 10, True)
        assert protection.idempotency_key == ""


def test_prices_are_brought_to_the_tick() -> None:
    """A stop of 90.001 is reached at 90.01, early rather than late; a target of 109.991 is asked for at 110.00."""
    _, stop, take = protected(stop_loss=D("90.001"), take_profit=D("109.991"))
    assert (stop.stop_price, take.limit_price) == (D("90.01"), D("110.00"))


def test_protections_grow_with_the_fills() -> None:
    """Filled in two parts: the new stop is asked for first, and the old one canceled once the new one is allowed."""
    desk = Desk(policy=TENTH)
    desk.trade(100.0)
    (opening,) = intents(desk.signal("OPEN_LONG", stop_loss=90))
    desk.decide(opening)
    (small,) = intents(desk.fill(opening, 100, "4"))
    assert (small.qty, small.type) == (4, "stop")
    assert desk.decide(small) == []
    said = desk.fill(opening, 100, "6")
    (whole,) = intents(said)
    assert (whole.qty, cancels(said)) == (10, [])
    desk.restart()
    assert desk.clock() == []
    assert cancels(desk.decide(whole)) == [order_id(small.intent_id)]
    assert desk.end(small, "CANCELED") == []
    assert desk.clock() == []


def test_a_protection_that_is_not_decided_yet_is_canceled_when_it_is() -> None:
    """A cancel that overtakes its order at the venue would be lost, so it waits for the gate's answer."""
    desk = holding(stop_loss=90)
    stop = intents(desk.said)[1]
    said = desk.fill(OrderIntent("a", BTC, "sell", "market", D(10), intent_id="i-own"), 100)
    assert cancels(said) == []
    desk.restart()
    assert cancels(desk.decide(stop)) == [order_id(stop.intent_id)]


def test_when_the_stop_fills_the_target_is_canceled() -> None:
    """And the other way round: a flat position has no orders, and nothing is sent again."""
    for winner in (0, 1):
        desk, *both = protected()
        hit, other = both[winner], both[1 - winner]
        said = desk.fill(hit, 90)
        assert cancels(said) == [order_id(other.intent_id)]
        said = desk.end(hit, "FILLED", "10") + desk.end(other, "CANCELED", reason="reduce_only") + desk.clock(60)
        assert said == []
        assert desk.manager.snapshot()["sizer"]["working"] == []
        assert desk.manager.snapshot()["sizer"]["protections"] == []


def test_a_partly_filled_target_makes_the_stop_smaller() -> None:
    """4 of 10 sold at the target: the stop is replaced by one for 6, the rest of the target fits."""
    desk, stop, take = protected()
    said = desk.fill(take, 110, "4")
    (smaller,) = intents(said)
    assert (smaller.type, smaller.qty) == ("stop", 6)
    assert cancels(desk.decide(smaller)) == [order_id(stop.intent_id)]


def test_a_close_takes_the_protections_away_when_it_is_allowed() -> None:
    """Both stay until the gate has let the close pass; nothing new is asked for while that is on its way."""
    desk, stop, take = protected()
    said = desk.signal("CLOSE_LONG")
    assert [type(each).__name__ for each in said] == ["SizingDecision", "OrderIntent"]
    desk.restart()
    assert cancels(desk.decide(intents(said)[0])) == [order_id(stop.intent_id), order_id(take.intent_id)]
    assert desk.end(stop, "CANCELED") + desk.end(take, "CANCELED") + desk.clock() == []


def test_a_close_takes_an_opening_back_at_once() -> None:
    """What still buys is canceled with the signal to close: 4 of 10 were bought, and no more are wanted."""
    desk = Desk(policy=TENTH)
    desk.trade(100.0)
    (opening,) = intents(desk.signal("OPEN_LONG"))
    desk.decide(opening)
    desk.fill(opening, 100, "4")
    assert cancels(desk.signal("CLOSE_LONG")) == [order_id(opening.intent_id)]


def test_a_denied_close_takes_nothing_away() -> None:
    """In a halt no new stop could be placed, so the signal to close must not have taken the old one back."""
    desk, _, _ = protected()
    (close,) = intents(desk.signal("CLOSE_LONG"))
    assert desk.decide(close, "halted") + desk.clock() == []


def test_a_close_that_the_venue_refuses_leaves_the_position_protected() -> None:
    """The close had been allowed, so the stop was taken away; it comes back with the refusal."""
    desk, stop, take = protected()
    (close,) = intents(desk.signal("CLOSE_LONG"))
    desk.decide(close)
    desk.end(stop, "CANCELED")
    desk.end(take, "CANCELED")
    again = intents(desk.end(close, "REJECTED"))
    assert [(each.type, each.qty, each.stop_price or each.limit_price) for each in again] == [
        ("stop", 10, 90),
        ("limit", 10, 110),
    ]


def failures(desk: Desk) -> list[tuple[str, int, bool]]:
    """What an operator was told: reason, attempts, and whether it was the last."""
    return [(each.reason, each.attempts, each.final) for each in desk.said if isinstance(each, ProtectionFailed)]


def test_a_denied_stop_is_tried_again_and_then_given_up() -> None:
    """With two retries: after 1 second and after 2 more, each failure told, the last one as the last."""
    retries = {"execution_controls": {"protection_retries": 2, "protection_retry_s": 1, "price_reserve": 0}}
    desk = holding(policy={**TENTH, **retries}, stop_loss=90)
    desk.decide(intents(desk.said)[1], "rate_limit")
    asked = []
    for second in range(1, 20):
        desk.restart()
        for intent in intents(desk.clock()):
            asked.append(second)
            desk.decide(intent, "rate_limit")
    assert asked == [1, 3]
    assert failures(desk) == [("rate_limit", 1, False), ("rate_limit", 2, False), ("rate_limit", 3, True)]
    told: Any = next(each for each in desk.said if isinstance(each, ProtectionFailed))
    assert (told.strategy_id, told.symbol, told.qty, told.protection, told.price) == ("a", BTC, 10, "stop", 90)


def test_a_halt_gives_no_stop_up() -> None:
    """Denied since trading is halted, for two hours: asked for again every 64 seconds at most, and had after it."""
    patient = {"execution_controls": {"protection_retries": 0, "protection_retry_s": 1, "price_reserve": 0}}
    desk = holding(policy={**TENTH, **patient}, stop_loss=90)
    said = desk.decide(intents(desk.said)[1], "halted")
    asked = [0]
    for second in range(1, 7_200):
        for intent in intents(desk.clock()):
            asked.append(second)
            desk.restart()
            said = desk.decide(intent, "halted")
    assert [later - earlier for earlier, later in pairwise(asked)][:8] == [1, 2, 4, 8, 16, 32, 64, 64]
    assert max(later - earlier for earlier, later in pairwise(asked)) == 64
    assert not any(final for _, _, final in failures(desk))
    (stop,) = next(filter(None, (intents(desk.clock()) for _ in range(64))))
    assert (stop.type, stop.qty, desk.decide(stop)) == ("stop", 10, [])
    assert said


def test_failures_of_long_ago_do_not_use_up_the_count() -> None:
    """One retry: a stop that was refused, then rested for a minute, then was taken away is placed again."""
    one = {"execution_controls": {"protection_retries": 1, "protection_retry_s": 1, "price_reserve": 0}}
    desk = holding(policy={**TENTH, **one}, stop_loss=90)
    desk.decide(intents(desk.said)[1], "rate_limit")
    for _ in range(3):
        (stop,) = intents(desk.clock())
        desk.decide(stop)
        assert desk.clock(60) == []
        desk.restart()
        desk.end(stop, "CANCELED", reason="venue")
    assert failures(desk) == [("rate_limit", 1, False)] + [("venue", 1, False)] * 3


def test_a_policy_with_fewer_retries_gives_up_aloud() -> None:
    """Two failures of ten; with one retry from now on, the third is told as the last."""
    desk = holding(stop_loss=90)
    desk.decide(intents(desk.said)[1], "rate_limit")
    desk.decide(intents(desk.clock(1))[0], "rate_limit")
    desk.content["policy"]["execution_controls"]["protection_retries"] = 1
    desk.restart()
    desk.decide(intents(desk.clock(2))[0], "rate_limit")
    assert failures(desk) == [("rate_limit", 1, False), ("rate_limit", 2, False), ("rate_limit", 3, True)]
    assert desk.clock(3_600) == []


@pytest.mark.parametrize("how", ["REJECTED", "CANCELED", "EXPIRED"])
def test_a_stop_that_the_venue_takes_away_is_placed_again(how: str) -> None:
    """A position that has lost its stop is told and gets a new one a second later."""
    desk, stop, _ = protected()
    desk.end(stop, how, reason="too_many")
    assert failures(desk) == [("too_many", 1, False)]
    (again,) = intents(desk.clock())
    assert (again.type, again.qty, again.stop_price) == ("stop", 10, 90)


def test_other_symbols_clocks_retry_nothing() -> None:
    """The market's clock of a symbol is that of its own trades."""
    desk = holding(stop_loss=90)
    desk.decide(intents(desk.said)[1], "halted")
    assert desk.clock(5, "ETH/USDT") == []
    assert len(intents(desk.clock(0))) == 1


def test_a_position_that_a_strategy_closes_itself_needs_no_stop() -> None:
    """A strategy may mix signals with intents of its own: its fills count, and its protections follow."""
    desk, stop, take = protected()
    own = OrderIntent("a", BTC, "sell", "market", D(10), intent_id="i-own")
    assert cancels(desk.fill(own, 100)) == [order_id(stop.intent_id), order_id(take.intent_id)]


def test_pyramiding_keeps_what_a_second_signal_does_not_name() -> None:
    """10 more with a new stop and no target: both protections are for 20, the target where it was."""
    desk = Desk(policy={**TENTH, "execution_controls": {"pyramiding": True, "price_reserve": 0}})
    desk.trade(100.0)
    for protection in intents(desk.opened(stop_loss=90, take_profit=110)):
        desk.decide(protection)
    asked = intents(desk.opened(stop_loss=95))
    assert [(each.type, each.qty, each.stop_price or each.limit_price) for each in asked] == [
        ("stop", 20, 95),
        ("limit", 20, 110),
    ]
