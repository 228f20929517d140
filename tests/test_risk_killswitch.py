"""While trading is halted, or nobody knows whether it is, every intent is denied with the word "halted"."""

from __future__ import annotations

import json

from tests.risk_desk import Desk


def test_unknown_switch_is_a_tripped_switch():
    """Until the kill switch has been looked at, nothing is allowed."""
    desk = Desk(resumed=False)
    desk.trade(100.0)
    assert desk.ask() == "halted"
    desk.resume()
    assert desk.ask() == "allowed"


def test_tripped_switch_denies_and_says_why():
    """A tripped switch denies with the reason exactly "halted"; the check repeats what was written there."""
    desk = Desk()
    desk.trade(100.0)
    desk.halt("file: exchange is down")
    (decision,) = desk.send()
    assert (decision.allowed, decision.reason) == (False, "halted")
    check = decision.checks[0]
    assert (check.name, check.passed, check.value) == ("halted", False, "file: exchange is down")


def test_halt_without_a_reason_still_halts():
    """A halt whose reason is empty is no less a halt."""
    desk = Desk()
    desk.trade(100.0)
    desk.halt("")
    assert desk.ask() == "halted"


def test_halt_comes_before_every_other_reason():
    """During a halt every intent is denied as halted, whatever else is wrong with it."""
    desk = Desk()
    desk.halt()
    assert desk.ask("-1", symbol="DOGE/USDT", root_age_s=3600) == "halted"


def test_halt_lasts_until_it_is_cleared():
    """A halt stays in force over trades, profits and a new day, until a look at the switch finds it clear."""
    desk = Desk()
    desk.halt()
    desk.passes(86_400)
    desk.trade(100.0)
    desk.pnl("5")
    assert desk.ask() == "halted"
    desk.resume()
    assert desk.ask() == "allowed"


def test_retry_after_a_halt_is_no_duplicate():
    """An intent denied by a halt was never judged: the same intent sent again afterwards becomes an order, once."""
    desk = Desk()
    desk.trade(100.0)
    desk.halt()
    assert [desk.ask(intent_id="i-1"), desk.ask(intent_id="i-1")] == ["halted", "halted"]
    desk.resume()
    assert len(desk.send(intent_id="i-1")) == 2
    assert len(desk.send(intent_id="i-1")) == 1


def test_halted_intent_takes_no_rate_token():
    """What a halt denies does not count against the rate cap."""
    desk = Desk(orders_per_min_cap=1)
    desk.trade(100.0)
    desk.halt()
    desk.ask()
    desk.resume()
    assert desk.ask() == "allowed"


def test_halt_survives_a_restart():
    """A gate restored from its memory is still halted."""
    desk = Desk()
    desk.halt("key: drill")
    restored = Desk()
    restored.gate.restore(json.loads(json.dumps(desk.gate.snapshot())))
    restored.trade(100.0)
    assert restored.ask() == "halted"
