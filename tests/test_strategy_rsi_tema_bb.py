"""RsiTemaBb against prices whose dips and peaks TA-Lib has found: golden/rsi_tema_bb.jsonl."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from core.contracts import OHLCVBar, OrderIntent, OrderStatus
from core.errors import ConfigError
from strategies.samples.rsi_tema_bb import RsiTemaBb
from tests.golden_rsi_tema_bb import FILE, lines
from tests.strategy_desk import BTC, START_NS, Desk, content, entry, intents, trade, update

HEAD, *STEPS = [json.loads(line) for line in FILE.read_text().splitlines()]
FIRST = next(index for index, step in enumerate(STEPS) if step["expect"])


def desk(**changes):
    """A host with one strategy of dips and peaks."""
    params = HEAD["params"] | changes.pop("params", {})
    return Desk(content(entry("rsi_v1", RsiTemaBb, params=params, **changes)))


def play(host, column, *, restarts=False):
    """The golden prices, some wishes denied and all others filled; everything said, with its second."""
    count, said = 0, []
    for second, step in enumerate(STEPS):
        host = host.restarted() if restarts else host
        wishes = host.see(trade(step["price"], at_s=second))
        assert [[side, qty] for _, side, qty in intents(wishes)] == step[column], (second, step["why"])
        for wish in wishes:
            assert isinstance(wish, OrderIntent)
            said.append((second, wish.side))
            if count in HEAD["denied"]:
                host.deny(wish)
            else:
                host.allow(wish)
                host.execute(wish, step["price"])
            count += 1
    return said


def test_the_golden_file_is_what_talib_says():
    """The file is what its derivation writes: nobody has bent it to the code."""
    derived = [json.loads(line) for line in lines()]
    assert derived[0] == HEAD
    assert [row | {"why": ""} for row in derived[1:]] == [step | {"why": ""} for step in STEPS]


@pytest.mark.parametrize("restarts", [False, True], ids=["", "restarted at every step"])
@pytest.mark.parametrize("column", ["expect", "long_only"])
def test_dips_and_peaks_of_the_golden_prices(column, restarts):
    """Each price draws exactly the wish beside it: a dip buys, a peak sells, a denied close comes back 5 s later."""
    said = play(desk(params={"long_only": column == "long_only"}), column, restarts=restarts)
    assert len(said) == sum(len(step[column]) for step in STEPS) >= 10
    assert {side for _, side in said} == {"buy", "sell"}


def test_prices_in_the_mirror_give_the_opposite():
    """Prices reflected at 100 turn every dip into a peak: each buy becomes a sale and each sale a buy."""
    plain, mirrored = desk(), desk()
    for second, step in enumerate(STEPS):
        [ours, theirs] = [
            host.see(trade(price, at_s=second))
            for host, price in ((plain, step["price"]), (mirrored, round(200 - step["price"], 2)))
        ]
        opposite = {"buy": "sell", "sell": "buy"}
        assert [opposite[side] for _, side, _ in intents(ours)] == [side for _, side, _ in intents(theirs)]
        for host, wishes in ((plain, ours), (mirrored, theirs)):
            for wish in wishes:
                assert isinstance(wish, OrderIntent)
                host.allow(wish)
                host.execute(wish, step["price"])


def test_one_order_at_a_time():
    """While the first order has no answer nothing else is said, whatever the prices do."""
    host = desk()
    said = [wish for second, step in enumerate(STEPS) for wish in host.see(trade(step["price"], at_s=second))]
    assert list(intents(said)) == [("rsi_v1", "buy", "0.5")]


def test_an_order_that_expires_half_filled_is_closed_for_what_it_got():
    """Of 0.5 bought 0.2 are filled: the next peak sells 0.2."""
    host, said = desk(), []
    for second, step in enumerate(STEPS):
        for wish in host.see(trade(step["price"], at_s=second)):
            assert isinstance(wish, OrderIntent)
            said.append((wish.side, f"{wish.qty.normalize():f}"))
            host.allow(wish)
            if len(said) == 1:
                host.expire(wish, "0.2")
            else:
                host.execute(wish, step["price"])
        if len(said) == 2:
            break
    assert said == [("buy", "0.5"), ("sell", "0.2")]


def test_a_canceled_order_does_not_end_it():
    """The venue takes the first order back: the next dip, at the earliest five seconds later, buys again."""
    host, said = desk(), []
    for second, step in enumerate(STEPS):
        for wish in host.see(trade(step["price"], at_s=second)):
            assert isinstance(wish, OrderIntent)
            said.append(second)
            host.allow(wish)
            host.see(update(wish, OrderStatus.CANCELED, Decimal(0)))
        if len(said) == 2:
            break
    later = [second for second, step in enumerate(STEPS) if step["setup"] and second >= FIRST + 5]
    assert said == [FIRST, later[0]]


def test_bars_count_as_prices():
    """Fed with one-minute bars it takes their closes and buys the same first dip."""
    host, minute = desk(events=["md.ohlcv.1m.*"]), 60 * 10**9
    said = []
    for index, step in enumerate(STEPS[: FIRST + 1]):
        opened, close = START_NS + index * minute, step["price"]
        said.append(len(host.see(OHLCVBar(BTC, "1m", opened, opened + minute, close, close, close, close, 1.0))))
    assert said == [0] * FIRST + [1]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"rsi_period": 0}, "rsi_period is 0; allowed: above 0"),
        ({"qty": "-1"}, "qty is Decimal('-1'); allowed: above 0"),
        ({"bb_std": -1.0}, "bb_std is -1.0; allowed: 0 or more"),
        ({"oversold": 70.0, "overbought": 30.0}, "oversold is 70.0; allowed: 0 to 100, below overbought"),
        ({"rsi_peroid": 3}, "did you mean 'rsi_period'?"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(params, message):
    """A wrong parameter stops the start and says what is allowed."""
    with pytest.raises(ConfigError) as error:
        desk(params=params)
    assert message in str(error.value)
