"""TrendlineBreak against prices whose lines are worked out by hand in golden/trendline_break.jsonl."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from core.contracts import OHLCVBar, OrderIntent, intent_id
from core.errors import ConfigError
from strategies.samples.trendline_break import TrendlineBreak
from tests.strategy_desk import ATOM, BTC, START_NS, Desk, content, entry, intents, trade

HEAD, *STEPS = [
    json.loads(line) for line in (Path(__file__).parent / "golden" / "trendline_break.jsonl").read_text().splitlines()
]


def desk(**params):
    """A host with one trendline strategy on BTC and ATOM."""
    return Desk(content(entry("line_v1", TrendlineBreak, symbols=[BTC, ATOM], params=HEAD["params"] | params)))


def test_breaks_of_the_golden_line():
    """Each price of the golden file draws exactly the intents written beside it."""
    host = desk()
    for step in STEPS:
        said = host.see(trade(step["price"]))
        assert [[side, qty] for _, side, qty in intents(said)] == step["expect"], step["why"]


def test_an_intent_is_a_market_order_with_an_id_of_its_cause():
    """A break asks for a market order in the symbol that broke, under an id that a replay gives again."""
    host = desk()
    said = [wish for step in STEPS[:5] for wish in host.see(trade(step["price"]))]
    assert said == [OrderIntent("line_v1", BTC, "buy", "market", Decimal(2), None, intent_id("line_v1", 5, 0))]


def test_bars_count_as_prices():
    """Fed with bars it takes their closes and says the same as on trades."""
    host = Desk(content(entry("line_v1", TrendlineBreak, events=["md.ohlcv.1m.*"], params=HEAD["params"])))
    for index, step in enumerate(STEPS):
        opened, close = START_NS + index * 60 * 10**9, float(step["price"])
        bar = OHLCVBar(BTC, "1m", opened, opened + 60 * 10**9, close, close, close, close, 1.0)
        assert [[side, qty] for _, side, qty in intents(host.see(bar))] == step["expect"], step["why"]


def test_symbols_have_lines_of_their_own():
    """Prices of another symbol between those of the first change nothing for it."""
    host = desk()
    for step in STEPS:
        assert list(intents(host.see(trade(77.0, ATOM)))) == []
        said = host.see(trade(step["price"]))
        assert [[side, qty] for _, side, qty in intents(said)] == step["expect"], step["why"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"lookback_periods": 1}, "lookback_periods is 1; allowed: 2 or more"),
        ({"breakout_threshold": -0.1}, "breakout_threshold is -0.1; allowed: 0 or more"),
        ({"qty": 0}, "qty is Decimal('0'); allowed: above 0"),
        ({"lookback_period": 3}, "did you mean 'lookback_periods'?"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(params, message):
    """A parameter outside its range stops the start and says what is allowed."""
    with pytest.raises(ConfigError) as error:
        desk(**params)
    assert message in str(error.value)
