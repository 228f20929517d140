"""A venue's grid: quantities and prices are put on it exactly, and never to the worse side."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext

import pytest

from core.contracts import Instrument

BTC = Instrument("BTC/USDT", tick_size=Decimal("0.01"), lot_size=Decimal("0.001"))


@pytest.mark.parametrize(
    ("qty", "lots"),
    [
        ("0.0129", "0.012"),
        ("0.001", "0.001"),
        ("0.0009", "0"),
        ("-0.0129", "-0.012"),  # the gate denies it
        ("0.1" + "9" * 40, "0.199"),  # one digit of the process's 28 more would have bought 0.2
        ("123456789012345678901234567890.0019", "123456789012345678901234567890.001"),
    ],
)
def test_a_quantity_is_never_more_than_was_asked_for(qty, lots):
    """Rounded down to the lot, however many digits there are."""
    assert BTC.quantize_qty(Decimal(qty)) == Decimal(lots)


@pytest.mark.parametrize(
    ("side", "price", "ticks"),
    [
        ("buy", "100.019", "100.01"),
        ("sell", "100.011", "100.02"),
        ("buy", "100.01", "100.01"),
        ("sell", "100.01", "100.01"),
        ("buy", "100." + "9" * 40, "100.99"),
        ("sell", "100." + "0" * 40 + "1", "100.01"),
    ],
)
def test_a_price_is_never_worse_than_was_asked_for(side, price, ticks):
    """A buy is rounded down to the tick, a sell up, however many digits there are."""
    assert BTC.quantize_price(Decimal(price), side) == Decimal(ticks)


def test_the_grid_does_not_depend_on_the_decimals_of_the_process():
    """A strategy that computes with four digits changes no other strategy's orders."""
    with localcontext(Context(prec=4)):
        assert str(BTC.quantize_qty(Decimal("123.4567"))) == "123.456"
        assert str(BTC.quantize_price(Decimal("61837.634"), "buy")) == "61837.63"
