"""BuyAndHold against the story in golden/buy_hold.jsonl, by intent and by signal."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from core.contracts import OHLCVBar, OrderIntent, Signal, SignalIntention
from core.errors import ConfigError
from strategies.samples.buy_and_hold import BuyAndHold
from tests.strategy_desk import ATOM, BTC, START_NS, Desk, content, entry, fill, intents, trade
from tests.strategy_probes import Plain

HEAD, *STEPS = [
    json.loads(line) for line in (Path(__file__).parent / "golden" / "buy_hold.jsonl").read_text().splitlines()
]


def desk(**changes):
    """A host with one holding strategy."""
    params = HEAD["params"] | changes.pop("params", {})
    return Desk(content(entry("hold_v1", BuyAndHold, params=params, **changes)))


def answer(host, wish, then):
    """What happens to the wish; a signal is sized first, and refused instead of denied."""
    if isinstance(wish, Signal):
        if then == "deny":
            return host.refuse(wish)
        wish = host.size(wish, "0.5")
    assert isinstance(wish, OrderIntent)
    if then == "deny":
        return host.deny(wish)
    host.allow(wish)
    return host.expire(wish, "0.2" if then.startswith("fill") else "0")


@pytest.mark.parametrize("restarts", [False, True], ids=["", "restarted at every step"])
@pytest.mark.parametrize("by", ["intent", "signal"])
def test_the_golden_story(by, restarts):
    """It speaks where it is written, once on its way at a time, and never again after the first fill."""
    host, waiting = desk(params={"by": by}), []
    for step in STEPS:
        host = host.restarted() if restarts else host
        said = host.see(trade(step["price"], at_s=step["at_s"]))
        if by == "intent":
            assert [[side, qty] for _, side, qty in intents(said)] == step["expect"], step["why"]
        else:
            assert len(said) == len(step["expect"]), step["why"]
            assert all(isinstance(wish, Signal) and wish.price == step["price"] for wish in said)
        waiting += said
        then = step.get("then", "wait")
        if then != "wait":
            assert answer(host, waiting.pop(), then) == []
        if then.endswith("sold"):
            assert host.see(fill("hold_v1", "sell", "0.2", "95")) == []
    assert waiting == []


def test_by_signal_it_asks_to_be_long():
    """The signal opens long at the price that it saw, and leaves the quantity to the sizer."""
    [signal] = desk(params={"by": "signal"}).see(trade(100.5))
    assert isinstance(signal, Signal)
    assert (signal.intention, signal.price, signal.stop_loss) == (SignalIntention.OPEN_LONG, Decimal("100.5"), None)


def test_each_symbol_is_bought_once():
    """Every symbol of its entry is bought at its own first price."""
    host = desk(symbols=[BTC, ATOM])
    said = [list(intents(host.see(trade(price, symbol)))) for price, symbol in ((9, BTC), (8, ATOM), (9, BTC))]
    assert said == [[("hold_v1", "buy", "0.5")], [("hold_v1", "buy", "0.5")], []]


def test_what_it_holds_already_counts():
    """A position that another class has bought under its name is the one it would buy."""
    before = Desk(content(entry("hold_v1", Plain)))
    before.see(fill("hold_v1", "buy", "0.1", "90"))
    assert before.restarted(desk().content).see(trade(100)) == []


def test_bars_count_as_prices():
    """On bars it buys at the first close."""
    minute = 60 * 10**9
    bar = OHLCVBar(BTC, "1m", START_NS, START_NS + minute, 9.0, 9.0, 9.0, 9.0, 1.0)
    assert list(intents(desk(events=["md.ohlcv.1m.*"]).see(bar))) == [("hold_v1", "buy", "0.5")]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"qty": 0}, "qty is Decimal('0'); allowed: above 0"),
        ({"retry_s": -1.0}, "retry_s is -1.0; allowed: 0 or more"),
        ({"by": "hand"}, "params.by is 'hand'; Invalid enum value"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(params, message):
    """A wrong parameter stops the start and says what is wrong."""
    with pytest.raises(ConfigError) as error:
        desk(params=params)
    assert message in str(error.value)
