"""What each limit leaves of an order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core.codec import convert
from core.contracts import PortfolioConfig, Signal, SizingReason, StrategyAllocation
from core.risk.capital import allocation_of, drift, strategy_capital
from core.risk.limits import LIMITS, allowances
from core.risk.opening import AccountView, Exposure, Opening
from core.risk.policy import RiskPolicy
from tests.sizing_desk import WIDE, policy_of

LONG, SHORT = "OPEN_LONG", "OPEN_SHORT"


def case(
    intention: str = LONG,
    *,
    exposures: tuple[Exposure, ...] = (),
    equity: int = 10_000,
    peak: int = 10_000,
    cash: int = 10_000,
    capital: int = 10_000,
    **policy: Any,
) -> Opening:
    """A signal of strategy "a" in BTC/USDT at 100, under a policy that limits nothing but what is said."""
    return Opening(
        signal=Signal("a", "BTC/USDT", intention),  # type: ignore[arg-type]
        policy=convert(policy_of(WIDE, {"limits": {"shorting": {"allowed": True}}}, policy), RiskPolicy),
        price=Decimal(100),
        account=AccountView(Decimal(equity), Decimal(peak), Decimal(cash), exposures),
        capital=Decimal(capital),
    )


def held(notional: int, symbol: str = "BTC/USDT", strategy_id: str = "a", *, pending: bool = False) -> Exposure:
    """A position or an order on its way."""
    return Exposure(strategy_id, symbol, Decimal(notional), pending)


def left_of(opening: Opening, reason: str, qty: str = "1000") -> Decimal:
    """What the limit of this name leaves of a quantity."""
    (found,) = [each for each in allowances(opening, Decimal(qty)) if each.reason == SizingReason(reason)]
    assert found.check.passed is (found.qty > 0)
    assert Decimal(found.check.value) == found.qty
    return found.qty


GROSS: dict[str, Any]
NET: dict[str, Any]
QUARTER: dict[str, Any]
GROSS, NET = {"limits": {"leverage": {"gross": 1}}}, {"limits": {"leverage": {"net": 1}}}
QUARTER = {"limits": {"concentration": {"max_share": "0.25"}}}
OTHERS = (held(6_000), held(-3_000, "ETH/USDT", "b"))
LEAVING = (held(-4_000), Exposure("a", "BTC/USDT", Decimal(4_000), pending=True, closing=True))

# At a price of 100, what a limit leaves is its room over 100.
CASES = [
    ("all of the room", "gross_leverage", case(**GROSS), 100),
    ("longs and shorts add up: 10,000 - 6,000 - 3,000", "gross_leverage", case(exposures=OTHERS, **GROSS), 10),
    ("orders on their way count", "gross_leverage", case(exposures=(held(9_000, pending=True),), **GROSS), 10),
    ("nothing above the limit", "gross_leverage", case(exposures=(held(11_000),), **GROSS), 0),
    ("the limit follows the equity", "gross_leverage", case(equity=5_000, **GROSS), 50),
    ("long less short: 10,000 - 6,000 + 3,000", "net_leverage", case(exposures=OTHERS, **NET), 70),
    ("short less long: 10,000 + 6,000 - 3,000", "net_leverage", case(SHORT, exposures=OTHERS, **NET), 130),
    ("a sale on its way makes no room", "net_leverage", case(exposures=(held(-4_000, pending=True),), **NET), 100),
    ("a purchase on its way takes it", "net_leverage", case(exposures=(held(4_000, pending=True),), **NET), 60),
    ("a short that is being closed makes no room", "net_leverage", case(exposures=LEAVING, **NET), 100),
    ("nor is it counted twice", "gross_leverage", case(exposures=LEAVING, **GROSS), 60),
    ("nor paid for twice", "cash_buffer", case(cash=14_000, exposures=LEAVING), 100),
    ("a quarter of 10,000 per symbol", "concentration", case(**QUARTER), 25),
    ("of all strategies", "concentration", case(exposures=(held(1_500, strategy_id="b"),), **QUARTER), 10),
    ("long and short do not cancel out", "concentration", case(exposures=(held(1_000), held(-500)), **QUARTER), 10),
    ("other symbols do not count", "concentration", case(exposures=(held(9_000, "ETH/USDT"),), **QUARTER), 25),
    ("the strategy's own capital", "capital", case(capital=4_000, strategy_limits={"leverage": 1}), 40),
    ("twice", "capital", case(capital=4_000, exposures=(held(3_000),), strategy_limits={"leverage": 2}), 50),
    (
        "not that of others",
        "capital",
        case(exposures=(held(3_000, strategy_id="b"),), strategy_limits={"leverage": 1}),
        100,
    ),
    ("all of the cash", "cash_buffer", case(), 100),
    ("less the buffer of the equity", "cash_buffer", case(cash=3_000, cash_management={"buffer": "0.1"}), 20),
    ("less purchases on their way", "cash_buffer", case(exposures=(held(9_500, pending=True),)), 5),
    ("what is held is paid", "cash_buffer", case(cash=500, exposures=(held(9_500),)), 5),
    ("a short must be bought back: 15,000 - 5,000", "cash_buffer", case(cash=15_000, exposures=(held(-5_000),)), 100),
    ("overdrawn", "cash_buffer", case(cash=-1), 0),
    ("a sale needs no cash", "cash_buffer", case(SHORT, cash=0), 1000),
    ("shorts where they are allowed", "shorting", case(SHORT), 1000),
    ("else none", "shorting", case(SHORT, limits={"shorting": {"allowed": False}}), 0),
    ("longs always", "shorting", case(limits={"shorting": {"allowed": False}}), 1000),
    ("no drawdown", "drawdown", case(), 1000),
    ("10 % lost is where it begins", "drawdown", case(equity=9_000), 1000),
    ("half way to 20 %", "drawdown", case(equity=8_500), 500),
    ("one tenth of the way left", "drawdown", case(equity=8_100), 100),
    ("20 % lost", "drawdown", case(equity=8_000), 0),
    ("of the peak, not of the start", "drawdown", case(equity=10_000, peak=12_500), 0),
]


@pytest.mark.parametrize(("reason", "opening", "left"), [pytest.param(*each[1:], id=each[0]) for each in CASES])
def test_what_is_left_of_a_thousand(reason: str, opening: Opening, left: int) -> None:
    """Each limit on its own: never more than was asked for, never less than nothing.

    A room holds a small order whole; a drawdown makes every order smaller, in proportion.
    """
    assert left_of(opening, reason) == left
    small = Decimal(left) / 2000 if reason == "drawdown" else min(Decimal("0.5"), Decimal(left))
    assert left_of(opening, reason, "0.5") == small


def test_an_order_counts_at_a_worse_price() -> None:
    """With a reserve of 25 % a unit at 100 counts 125: 10,000 of room holds 80 of them."""
    assert left_of(case(execution_controls={"price_reserve": "0.25"}, **GROSS), "gross_leverage") == 80


def test_no_rounding_lets_too_much_through() -> None:
    """A third of a unit is rounded down: three of them are worth less than the room, if by a hair."""
    opening = case(equity=1, limits={"leverage": {"gross": 1}}, execution_controls={"price_reserve": "0.5"})
    left = left_of(opening, "gross_leverage")
    assert left == Decimal("0.006666666666666666666666666666")
    assert left * 150 < 1


def test_the_limits_are_the_reasons() -> None:
    """Each limit has a reason of its own; the order is that in which they are listed in every decision."""
    names = [each.reason.value for each in allowances(case(), Decimal(1))]
    assert len(LIMITS) == len(set(names))
    assert names == [
        "shorting",
        "drawdown",
        "capital",
        "concentration",
        "gross_leverage",
        "net_leverage",
        "cash_buffer",
    ]


HALF = StrategyAllocation("a", target_weight=0.5, min_capital=1_000, max_capital=4_000)
REST = StrategyAllocation("b", target_weight=0.5, min_capital=0, max_capital=100_000)
SPLIT = PortfolioConfig("main", 10_000, (HALF, REST))


@pytest.mark.parametrize(
    ("equity", "capital"),
    [(10_000, 4_000), (6_000, 3_000), (1_800, 1_000), (1_000, 1_000), (999, 0), (0, 0), (-5, 0)],
)
def test_capital_of_a_strategy(equity: int, capital: int) -> None:
    """Half of the equity, at most 4,000, at least 1,000; nothing while all there is is less than that."""
    assert strategy_capital(HALF, Decimal(equity)) == capital


def test_capital_without_shares() -> None:
    """Where nobody has a share, everybody has all of it, but never less than nothing."""
    assert strategy_capital(None, Decimal(500)) == 500
    assert strategy_capital(None, Decimal(-500)) == 0
    assert allocation_of(SPLIT, "a") is HALF
    assert allocation_of(SPLIT, "c") is None


def test_drift_is_relative_to_the_target() -> None:
    """60 % where 50 % was due is a fifth too much, 40 % a fifth too little."""
    equities = {"a": Decimal(6_000), "b": Decimal(4_000)}
    assert drift(SPLIT, equities, Decimal(10_000)) == pytest.approx({"a": 0.2, "b": -0.2})
    assert drift(SPLIT, equities, Decimal(0)) == {"a": -1.0, "b": -1.0}


def test_drift_from_a_target_of_nothing() -> None:
    """A strategy that should have nothing and has a tenth of the equity has drifted by that tenth."""
    config = PortfolioConfig("main", 1, (StrategyAllocation("a", 1.0, 0, 1), StrategyAllocation("b", 0.0, 0, 1)))
    assert drift(config, {"a": Decimal(90), "b": Decimal(10)}, Decimal(100)) == pytest.approx({"a": -0.1, "b": 0.1})
