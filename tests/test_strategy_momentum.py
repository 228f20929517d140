"""Momentum against prices whose returns are worked out by hand in golden/momentum.jsonl."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from core.contracts import OHLCVBar, OrderIntent, OrderStatus, RiskDecision, Signal
from core.errors import ConfigError
from strategies.samples.momentum import Momentum
from tests.strategy_desk import ATOM, BTC, START_NS, Desk, content, entry, fill, trade, update

HEAD, *STEPS = [
    json.loads(line) for line in (Path(__file__).parent / "golden" / "momentum.jsonl").read_text().splitlines()
]
PROTECTIVE = OrderIntent("m_v1", BTC, "sell", "stop", Decimal(2), None, "i-stop", Decimal(1), reduce_only=True)
QTY = "2"


def desk(**changes):
    """A host with one momentum strategy."""
    params = HEAD["params"] | changes.pop("params", {})
    return Desk(content(entry("m_v1", Momentum, params=params, **changes)))


def plain(said):
    """A signal as the golden file has it: intention, price, stop, target."""
    assert all(isinstance(wish, Signal) and wish.strategy_id == "m_v1" for wish in said)
    rows = [[w.intention.value, *(float(x) for x in (w.price, w.stop_loss, w.take_profit) if x)] for w in said]
    return [pytest.approx(x, rel=1e-12) if isinstance(x, float) else x for row in rows for x in row]


def answer(host, signal, then, price):
    """What sizer, gate and venue do about a signal."""
    if then == "refuse":
        assert host.refuse(signal) == []
        return
    intent = host.size(signal, QTY)
    if then == "deny":
        host.deny(intent)
        return
    host.allow(intent)
    assert (host.expire(intent) if then == "expire" else host.execute(intent, price)) == []


def meddle(host, then):
    """What happens to the orders that protect the position."""
    if then == "stop out":
        host.see(fill("m_v1", "sell", QTY, "140"))
        host.see(update(PROTECTIVE, OrderStatus.FILLED, Decimal(QTY)))
    elif then == "stop canceled":
        host.see(update(PROTECTIVE, OrderStatus.CANCELED, Decimal(0)))
        host.see(RiskDecision("i-next-stop", False, strategy_id="m_v1", symbol=BTC))


@pytest.mark.parametrize("restarts", [False, True], ids=["", "restarted at every step"])
def test_returns_of_the_golden_prices(restarts):
    """Each price draws exactly the signal written beside it, also where the process is restarted all the time."""
    host, waiting = desk(), []
    for step in STEPS:
        host = host.restarted() if restarts else host
        said = host.see(trade(step["price"], at_s=step["at_s"]))
        assert plain(said) == step["expect"], step["why"]
        waiting += said
        then = step.get("then", "wait")
        host = host.restarted() if restarts else host
        if then in ("stop out", "stop canceled"):
            meddle(host, then)
        elif then != "wait":
            answer(host, waiting.pop(), then, step["price"])
    assert waiting == []


def test_bars_count_as_prices():
    """Fed with one-minute bars it takes their closes; the fourth golden price opens, at half confidence."""
    host = desk(events=["md.ohlcv.1m.*"])
    minute = 60 * 10**9
    said = []
    for index, step in enumerate(STEPS[:4]):
        opened, close = START_NS + index * minute, float(step["price"])
        said += host.see(OHLCVBar(BTC, "1m", opened, opened + minute, close, close, close, close, 1.0))
    assert plain(said) == STEPS[3]["expect"]
    assert [wish.confidence for wish in said if isinstance(wish, Signal)] == [0.5]


def test_a_return_at_the_threshold_is_not_above_it():
    """125 after 100 is a return of exactly 0.25, which is not above 0.25; 157 after 125 is 0.256."""
    host = desk(params={"lookback_periods": 1, "entry_return": 0.25})
    assert [len(host.see(trade(price, at_s=1))) for price in (100, 125, 157)] == [0, 0, 1]


def test_symbols_have_returns_of_their_own():
    """Prices of another symbol between those of the first change nothing for it."""
    host = desk(symbols=[BTC, ATOM])
    said = []
    for step in STEPS[:4]:
        assert host.see(trade(5.0, ATOM)) == []
        said += host.see(trade(step["price"]))
    assert plain(said) == STEPS[3]["expect"]


def test_changed_parameters_keep_the_position_in_mind():
    """A reload with another lookback starts the return anew, and still closes what is held when that fades."""
    host = desk()
    [signal] = [wish for step in STEPS[:4] for wish in host.see(trade(step["price"], at_s=step["at_s"]))]
    assert isinstance(signal, Signal)
    answer(host, signal, "fill", 110)
    changed = host.restarted(content(entry("m_v1", Momentum, params=HEAD["params"] | {"lookback_periods": 1})))
    assert [plain(changed.see(trade(price, at_s=9))) for price in (111, 112)] == [[], []]
    assert plain(changed.see(trade(100, at_s=10))) == ["CLOSE_LONG", 100]


def test_a_late_answer_to_another_signal_is_not_taken_for_ours():
    """Between signal and answer a refusal of something else comes: its own order is still followed to the end."""
    host = desk()
    [signal] = [wish for step in STEPS[:4] for wish in host.see(trade(step["price"], at_s=step["at_s"]))]
    assert isinstance(signal, Signal)
    intent = host.size(signal, QTY)
    host.refuse(replace(signal, signal_id="s-old"))
    host.allow(intent)
    assert plain(host.see(trade(100, at_s=5))) == []
    host.execute(intent, 110)
    assert plain(host.see(trade(90, at_s=6))) == ["CLOSE_LONG", 90]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"lookback_periods": 0}, "lookback_periods is 0; allowed: 1 or more"),
        ({"exit_return": 0.05}, "exit_return is 0.05; allowed: below entry_return (0.05)"),
        ({"stop_distance": 1.0}, "stop_distance is 1.0; allowed: above 0, below 1"),
        ({"target_distance": 0.0}, "target_distance is 0.0; allowed: above 0, below 1"),
        ({"confidence": 1.1}, "confidence is 1.1; allowed: above 0, at most 1"),
        ({"retry_s": -1.0}, "retry_s is -1.0; allowed: 0 or more"),
        ({"lookback": 3}, "did you mean 'lookback_periods'?"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(params, message):
    """A wrong parameter stops the start and says what is allowed."""
    with pytest.raises(ConfigError) as error:
        desk(params=params)
    assert message in str(error.value)
