"""SmaCross against prices whose averages are worked out by hand in golden/sma_cross.jsonl, and on recorded trades."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from core.contracts import OHLCVBar, OrderIntent, OrderStatus, TradeEvent, intent_id
from core.errors import ConfigError
from strategies.samples.sma_cross import SmaCross
from tests.strategy_desk import BTC, START_NS, Desk, content, entry, fill, intents, trade, update

HEAD, *STEPS = [
    json.loads(line) for line in (Path(__file__).parent / "golden" / "sma_cross.jsonl").read_text().splitlines()
]
DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def desk(**params):
    """A host with one crossing strategy."""
    return Desk(content(entry("sma_v1", SmaCross, params=HEAD["params"] | params)))


def answer(host, intent, then, price):
    """What the gate and the venue do about an intent."""
    if then == "deny":
        assert host.deny(intent) == []
    elif then in ("fill", "late fill"):
        host.allow(intent)
        assert host.execute(intent, price) == []


def test_crosses_of_the_golden_prices():
    """Each price draws exactly the intents written beside it: never two on their way, never stuck after a denial."""
    host, waiting = desk(), []
    for step in STEPS:
        said = host.see(trade(step["price"], at_s=step["at_s"]))
        assert [[side, qty] for _, side, qty in intents(said)] == step["expect"], step["why"]
        waiting += [wish for wish in said if isinstance(wish, OrderIntent)]
        if step.get("then", "wait") != "wait":
            answer(host, waiting.pop(), step["then"], step["price"])
    assert waiting == []


def test_the_golden_prices_over_a_restart_at_every_step():
    """Restarted after every single event it says the same."""
    host, waiting = desk(), []
    for step in STEPS:
        host = host.restarted()
        said = host.see(trade(step["price"], at_s=step["at_s"]))
        assert [side for _, side, _ in intents(said)] == [side for side, _ in step["expect"]], step["why"]
        waiting += [wish for wish in said if isinstance(wish, OrderIntent)]
        if step.get("then", "wait") != "wait":
            host = host.restarted()
            answer(host, waiting.pop(), step["then"], step["price"])


def bought():
    """A desk right after its first entry of 0.5 went out, and that intent."""
    host = desk()
    said = [wish for step in STEPS[:6] for wish in host.see(trade(step["price"], at_s=step["at_s"]))]
    assert said == [OrderIntent("sma_v1", BTC, "buy", "market", Decimal("0.5"), None, intent_id("sma_v1", 6, 0))]
    return host, said[0]


def test_a_partly_filled_order_that_expires_leaves_what_it_got():
    """Of 0.5 ordered 0.2 are filled before the order expires: the next cross down sells 0.2."""
    host, intent = bought()
    host.allow(intent)
    host.see(fill("sma_v1", "buy", "0.2", "12"))
    host.see(update(intent, OrderStatus.EXPIRED, Decimal("0.2")))
    said = [list(intents(host.see(trade(price, at_s=7 + n)))) for n, price in enumerate((12, 11))]
    assert said == [[], [("sma_v1", "sell", "0.2")]]


def test_an_end_that_overtakes_its_fill_is_waited_for():
    """The order is reported as filled before the fill itself: until that is seen no cross up buys a second time."""
    host, intent = bought()
    host.allow(intent)
    host.see(update(intent, OrderStatus.ACK, Decimal(0)))
    host.see(update(intent, OrderStatus.FILLED, Decimal("0.5")))
    # 12 11 9: 10 below 10.667, a cross down; 11 9 14: 11.5 above 11.333, a cross up
    assert [list(intents(host.see(trade(price, at_s=70)))) for price in (11, 9, 14)] == [[], [], []]
    host.see(fill("sma_v1", "buy", "0.5", "12"))
    # 9 14 8: 11 above 10.333; 14 8 8: 8 below 10
    assert [list(intents(host.see(trade(8, at_s=71)))) for _ in range(2)] == [[], [("sma_v1", "sell", "0.5")]]


def test_a_rejected_close_is_tried_again_a_minute_later():
    """The venue rejects the close at second 8: silence until second 68, then the same close again."""
    host, intent = bought()
    host.allow(intent)
    host.execute(intent, 12)
    host.see(trade(12, at_s=7))
    [close] = host.see(trade(11, at_s=8))
    assert isinstance(close, OrderIntent)
    host.allow(close)
    host.see(update(close, OrderStatus.REJECTED, Decimal(0)))
    said = [list(intents(host.see(trade(11, at_s=second)))) for second in (9, 67, 68)]
    assert said == [[], [], [("sma_v1", "sell", "0.5")]]


def test_its_exit_only_reduces():
    """An entry may be capped; what closes says so, and no cap on opening orders can stop it."""
    host, intent = bought()
    assert not intent.reduce_only
    host.allow(intent)
    host.execute(intent, 12)
    host.see(trade(12, at_s=7))
    [close] = host.see(trade(11, at_s=8))
    assert (close.side, close.qty, close.reduce_only) == ("sell", Decimal("0.5"), True)


def test_news_of_another_order_does_not_end_the_waiting():
    """A repeated intent is denied again, and an old order's end told again, while the new one is at the venue."""
    host, intent = bought()
    host.allow(intent)
    old = replace(intent, intent_id="i-old")
    host.deny(old)
    host.see(update(old, OrderStatus.REJECTED, Decimal(0)))
    # 12 11 9: 10 below 10.667, a cross down; 11 9 14: 11.5 above 11.333, a cross up
    assert [list(intents(host.see(trade(price, at_s=70)))) for price in (11, 9, 14)] == [[], [], []]


def test_fills_of_another_strategy_are_not_its_position():
    """It sells what it bought itself, whatever others hold of the same symbol."""
    host, intent = bought()
    host.allow(intent)
    host.execute(intent, 12)
    host.see(fill("somebody_else", "buy", "9", "12"))
    said = [wish for price in (12, 11) for wish in intents(host.see(trade(price, at_s=70)))]
    assert said == [("sma_v1", "sell", "0.5")]


def test_bars_count_as_prices():
    """Fed with bars it takes their closes; the sixth golden price is a cross up."""
    host = Desk(content(entry("sma_v1", SmaCross, events=["md.ohlcv.1m.*"], params=HEAD["params"])))
    said: list[tuple[str, str, str]] = []
    for index, step in enumerate(STEPS[:6]):
        opened, close = START_NS + index * 60 * 10**9, float(step["price"])
        said += intents(host.see(OHLCVBar(BTC, "1m", opened, opened + 60 * 10**9, close, close, close, close, 1.0)))
    assert said == [("sma_v1", "buy", "0.5")]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"fast": 3}, "fast is 3; allowed: 1 to 2, below slow"),
        ({"fast": 0}, "fast is 0; allowed: 1 to 2, below slow"),
        ({"qty": "-1"}, "qty is Decimal('-1'); allowed: above 0"),
        ({"retry_s": -1.0}, "retry_s is -1.0; allowed: 0 or more"),
        ({"slow": "many"}, "params.slow is 'many'; Expected `int`, got `str`"),
        ({"fsat": 3}, "params.fsat: unknown key; did you mean 'fast'? allowed: fast, slow, qty, retry_s"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(params, message):
    """A wrong parameter stops the start; the message names file, strategy, key, value and what is allowed."""
    with pytest.raises(ConfigError) as error:
        desk(**params)
    assert str(error.value).startswith("strategies.yaml: strategy 'sma_v1': params")
    assert message in str(error.value)


@pytest.mark.parametrize(("first", "last", "trips"), [(0, 9757, 10), (9757, 19904, 13)])
def test_it_trades_on_recorded_prices(first, last, trips):
    """With lengths of 100 and 400 trades it makes some round trips on each recording, never above 250 USD."""
    path = DATA / "trades" / "md.trades.BTCUSDT.ndjson.gz"
    if not path.exists():
        pytest.skip("recorded market data (../shared/data) is not on this machine")
    host, sides = desk(fast=100, slow=400, qty="0.004"), []
    with gzip.open(path, "rt") as lines:
        events = [TradeEvent(**json.loads(line)) for line in lines][first:last]
    for event in events:
        for intent in host.see(event):
            assert isinstance(intent, OrderIntent)
            assert intent.qty * Decimal(repr(event.price)) < 250
            sides.append(intent.side)
            host.allow(intent)
            host.execute(intent, event.price)
    assert sides == ["buy", "sell"] * trips
