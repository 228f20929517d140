"""No order is worth more than the cap, at the worst price that it can pay."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.risk_desk import Desk


@pytest.mark.parametrize(
    ("expected", "qty", "last"),
    [
        ("allowed", "2.5", 100.0),  # 250: the cap itself is allowed
        ("per_order_cap", "2.501", 100.0),  # 250.1
        ("allowed", "0.004", 60000.0),  # 240
        ("per_order_cap", "0.005", 60000.0),  # 300
        ("per_order_cap", "100000", 100.0),  # ten million
        ("allowed", "2500", 0.1),  # 250 exactly, which binary floats would miss
        ("per_order_cap", "2500", 0.10000000000000002),  # one float above
    ],
)
def test_market_order_is_valued_at_the_last_trade(expected, qty, last):
    """A market order may be worth 250 USD at the price of the last trade, and not a fraction more."""
    desk = Desk()
    desk.trade(last)
    assert desk.ask(qty) == expected


@pytest.mark.parametrize(
    ("expected", "side", "limit"),
    [
        ("allowed", "buy", "100"),  # 2.5 x 100 = 250
        ("per_order_cap", "buy", "100.01"),  # can pay 2.5 x 100.01
        ("per_order_cap", "buy", "1000"),
        ("allowed", "buy", "50"),
        ("allowed", "sell", "1000"),  # taking a profit risks no more than selling now: 2.5 x 100
        ("allowed", "sell", "50"),
    ],
)
def test_limit_buy_is_valued_at_the_worse_of_market_and_limit(expected, side, limit):
    """A buy far above the market can cost its limit; a sell is worth what the market pays."""
    desk = Desk()
    desk.trade(100.0)
    assert desk.ask("2.5", limit, side=side) == expected


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_low_limit_does_not_hide_a_large_order(side):
    """With the market at 100, three units are above the cap whatever their limit says."""
    desk = Desk()
    desk.trade(100.0)
    assert desk.ask("3", "10", side=side) == "per_order_cap"


@pytest.mark.parametrize(
    ("expected", "qty", "limit", "kind", "side"),
    [
        ("allowed", "2.5", "100", "limit", "buy"),  # 250
        ("per_order_cap", "2.501", "100", "limit", "buy"),  # 250.1
        ("no_price", "1", None, "market", "buy"),
        ("no_price", "1000", "0.01", "market", "buy"),  # binds nobody: it would be bought at the market's price
        ("no_price", "25000", "0.01", "limit", "sell"),  # 250 at its limit, which is the least that it may bring
    ],
)
def test_limit_price_stands_in_for_an_unknown_market(expected, qty, limit, kind, side):
    """Before the first trade a limit buy is valued at its limit, the most it can cost; anything else is denied."""
    assert Desk().ask(qty, limit, kind=kind, side=side) == expected


def test_last_trade_replaces_the_limit_price():
    """Once a trade is known a limit sell is valued at the market, not at its limit."""
    desk = Desk()
    assert desk.ask("3", "80", side="sell") == "no_price"
    desk.trade(100.0)
    assert desk.ask("3", "80", side="sell") == "per_order_cap"  # 300
    assert desk.ask("2.5", "80", side="sell") == "allowed"  # 250


def test_newest_trade_counts():
    """The price of the last trade replaces that of the one before."""
    desk = Desk()
    desk.trade(1000.0)
    desk.trade(100.0)
    assert desk.ask("2") == "allowed"  # 200
    desk.trade(1000.0)
    assert desk.ask("2") == "per_order_cap"  # 2000


def test_denied_order_forwards_nothing():
    """A denial is the only answer: no order follows it."""
    desk = Desk(per_order_usd_cap="10")
    desk.trade(100.0)
    (decision,) = desk.send("1")
    failed = [check for check in decision.checks if not check.passed]
    assert [(check.name, Decimal(check.value), Decimal(check.limit)) for check in failed] == [
        ("per_order_cap", Decimal(100), Decimal(10))
    ]
