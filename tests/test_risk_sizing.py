"""How large a position is meant to be, before any limit."""

from __future__ import annotations

from decimal import Decimal
from math import sqrt
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest
import yaml

from core.codec import convert
from core.contracts import Instrument, Signal
from core.errors import ContractError
from core.risk.opening import AccountView, Opening
from core.risk.policy import RiskPolicy
from core.risk.sizing import daily_volatility, size

BTC = Instrument("BTC/USDT", Decimal("0.01"), Decimal("0.00001"))
ACCOUNT = AccountView(Decimal(10_000), Decimal(10_000), Decimal(10_000))


def opening(
    price: str = "60000", *, confidence: float = 1.0, multiplier: str = "1", volatility: str = "", **sizing: Any
) -> Opening:
    """A signal to be long in BTC/USDT, of a strategy with 10,000 of capital."""
    return Opening(
        signal=Signal("a", "BTC/USDT", "OPEN_LONG", confidence=confidence),  # type: ignore[arg-type]
        policy=convert({"sizing": sizing}, RiskPolicy),
        price=Decimal(price),
        account=ACCOUNT,
        capital=Decimal(10_000),
        risk_multiplier=Decimal(multiplier),
        daily_volatility=Decimal(volatility) if volatility else None,
    )


# Capital 10,000. The amount that each method means, divided by the price.
SIZES = """
method            | settings                | price | confidence | multiplier | volatility | base units
fixed_fraction    | fraction=1              | 60000 | 1          | 1          |            | 0.16666
fixed_fraction    | fraction=0.1            | 100   | 1          | 1          |            | 10
fixed_fraction    | fraction=0.1            | 100   | 0.25       | 1          |            | 2.5
fixed_fraction    | fraction=0.1            | 100   | 0.5        | 1.2        |            | 6
fixed_equity      | equity=300              | 100   | 1          | 1          |            | 3
fixed_equity      | equity=300              | 40000 | 1          | 1          |            | 0.0075
equal_weight      | positions=4             | 100   | 1          | 1          |            | 25
equal_weight      | positions=3             | 100   | 1          | 1          |            | 33.33333
volatility_target | daily_volatility=0.01   | 100   | 1          | 1          | 0.02       | 50
volatility_target | daily_volatility=0.01   | 100   | 1          | 1          | 0.04       | 25
volatility_target | daily_volatility=0.001  | 50000 | 0.5        | 2          | 0.05       | 0.004
"""


@pytest.mark.parametrize("line", SIZES.strip().splitlines()[1:])
def test_each_method_by_hand(line: str) -> None:
    """Amount by the method, over the price, times confidence and multiplier, down to the lot of 0.00001."""
    method, settings, price, confidence, multiplier, volatility, expected = (cell.strip() for cell in line.split("|"))
    name, value = settings.split("=")
    case = opening(
        price,
        confidence=float(confidence),
        multiplier=multiplier,
        volatility=volatility,
        method=method,
        **{name: int(value) if name == "positions" else value},
    )
    asked = size(case)
    assert asked is not None
    assert BTC.quantize_qty(asked) == Decimal(expected)


def test_ten_thousand_buys_a_fraction_of_a_bitcoin() -> None:
    """10,000 USD at 60,000 is a sixth of a bitcoin, not none: quantities are no whole numbers."""
    asked = size(opening(method="fixed_fraction", fraction=1))
    assert asked is not None
    assert BTC.quantize_qty(asked) == Decimal("0.16666")


def test_without_a_volatility_there_is_no_size() -> None:
    """A position that should move by so much cannot be sized while nobody knows how much the market moves."""
    assert size(opening(method="volatility_target")) is None


def test_volatility_of_a_day_from_minutes() -> None:
    """The sample deviation of the minutes' returns, as the standard library has it, times the root of 1,440."""
    closes = [100.0, 101.0, 100.5, 102.0, 101.0]
    returns = [0.01, 100.5 / 101 - 1, 102 / 100.5 - 1, 101 / 102 - 1]
    found = daily_volatility(closes)
    assert found is not None
    assert float(found) == pytest.approx(stdev(returns) * sqrt(1440), rel=1e-12)


@pytest.mark.parametrize("closes", [[], [100.0], [100.0, 101.0], [100.0] * 50, [1e-320, 1.0, 1e308, 1e-320]])
def test_volatility_that_cannot_be_known(closes: list[float]) -> None:
    """Fewer than two returns, a market that stands still and numbers beyond measure have none."""
    assert daily_volatility(closes) is None


def test_the_shipped_policy_states_the_defaults() -> None:
    """Each line of the file may be left out: what stands there is what counts without it."""
    text = (Path(__file__).resolve().parents[1] / "config" / "risk_policies" / "naive.yaml").read_text()
    assert convert(yaml.safe_load(text), RiskPolicy) == RiskPolicy()


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("budgets", "capital_share", 0),
        ("budgets", "capital_share", "1.1"),
        ("sizing", "method", "kelly"),
        ("sizing", "fraction", 0),
        ("sizing", "fraction", "NaN"),
        ("sizing", "equity", -1),
        ("sizing", "positions", 0),
        ("sizing", "daily_volatility", 2),
        ("sizing", "volatility_bars", 1),
        ("sizing", "volatility_bars", 1441),
        ("cash_management", "buffer", 1),
        ("cash_management", "buffer", "-0.1"),
        ("limits", "concentration", {"max_share": 0}),
        ("limits", "leverage", {"gross": 0}),
        ("limits", "leverage", {"net": "inf"}),
        ("drawdown_controls", "throttle_from", "0.2"),
        ("drawdown_controls", "throttle_from", "-0.1"),
        ("drawdown_controls", "stop_at", "1.5"),
        ("strategy_limits", "leverage", 0),
        ("execution_controls", "max_price_age_s", 0),
        ("execution_controls", "price_reserve", 1),
        ("execution_controls", "price_reserve", "-0.1"),
        ("execution_controls", "protection_retries", 21),
        ("execution_controls", "protection_retry_s", -1),
    ],
)
def test_policies_that_make_no_sense_are_refused(section: str, key: str, value: Any) -> None:
    """The error names the setting."""
    name = next(iter(value)) if isinstance(value, dict) else key
    with pytest.raises(ContractError, match=name):
        convert({section: {key: value}}, RiskPolicy)
