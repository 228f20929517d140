"""Who may use how much of the capital, and how far the strategies have drifted from their shares."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from core.contracts import PortfolioConfig, StrategyAllocation
from core.ledger.exact import ZERO, decimal_price, exact, ratio


def allocation_of(config: PortfolioConfig, strategy_id: str) -> StrategyAllocation | None:
    """A strategy's part of the portfolio; None if it has none of its own."""
    return next((each for each in config.allocations if each.strategy_id == strategy_id), None)


@exact()
def strategy_capital(allocation: StrategyAllocation | None, equity: Decimal) -> Decimal:
    """Quote units that a strategy may use of an equity.

    Its target weight of it, at least its minimum, at most its maximum; nothing while the whole equity is below the
    minimum. Without an allocation all of it. Never below 0.

    >>> half = StrategyAllocation("a", target_weight=0.5, min_capital=1_000, max_capital=4_000)
    >>> [str(strategy_capital(half, Decimal(equity))) for equity in (900, 1_500, 5_000, 10_000)]
    ['0', '1000.0', '2500.0', '4000.0']
    """
    if allocation is None:
        return max(equity, ZERO)
    least, most = decimal_price(allocation.min_capital), decimal_price(allocation.max_capital)
    if equity < least or equity <= 0:
        return ZERO
    return min(max(equity * decimal_price(allocation.target_weight), least), most)


def drift(config: PortfolioConfig, equities: Mapping[str, Decimal], total: Decimal) -> dict[str, float]:
    """How far each strategy's share of the equity is from its target weight, relative to the weight.

    0.05 is five percent more than due. For a target weight of 0, of which nothing can be a fraction, it is the share
    itself; where there is no equity left, each is at -1.

    Args:
        config: the target weights.
        equities: quote units by strategy id.
        total: quote units of the whole portfolio.
    """
    return {each.strategy_id: _drift(each, equities[each.strategy_id], total) for each in config.allocations}


@exact()
def _drift(allocation: StrategyAllocation, equity: Decimal, total: Decimal) -> float:
    if total <= 0:
        return -1.0
    due = total * decimal_price(allocation.target_weight)
    return float(ratio(equity - due, due if due else total))
