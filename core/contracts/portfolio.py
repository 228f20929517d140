"""How the capital of an account is divided among strategies; settings, no events."""

from __future__ import annotations

from dataclasses import dataclass

from core.contracts.base import refuse, require_finite, require_positive, require_text

WEIGHT_TOLERANCE = 1e-9
"""By how much the weights may miss 1 in all: 0.1 + 0.2 + 0.7 does."""


@dataclass(frozen=True, slots=True)
class StrategyAllocation:
    """The capital of one strategy.

    Attributes:
        strategy_id: whose.
        target_weight: share of the portfolio's capital, 0 to 1.
        min_capital: quote units that it needs at least, 0 or more.
        max_capital: quote units that it may use at most, above `min_capital`.
        risk_multiplier: factor on the size of its positions, above 0; 1 is normal.
    """

    strategy_id: str
    target_weight: float
    min_capital: float
    max_capital: float
    risk_multiplier: float = 1.0

    def __post_init__(self) -> None:
        require_text(self, "strategy_id", self.strategy_id)
        for name in ("target_weight", "min_capital", "max_capital"):
            require_finite(self, name, getattr(self, name))
        require_positive(self, "risk_multiplier", self.risk_multiplier)
        if not 0.0 <= self.target_weight <= 1.0:
            raise refuse(self, "target_weight", self.target_weight, "0 to 1")
        if not 0.0 <= self.min_capital < self.max_capital:
            raise refuse(self, "min_capital", self.min_capital, f"0 or more, below max_capital ({self.max_capital})")


@dataclass(frozen=True, slots=True)
class PortfolioConfig:
    """The capital of a portfolio and who may use how much of it.

    Attributes:
        portfolio_id: its name in snapshots.
        total_capital: quote units that it begins with, above 0.
        allocations: one per strategy; the weights add up to 1. None means that the whole capital is everybody's.
        rebalance_threshold: relative drift from a target weight at which a rebalance is due, above 0.
        rebalance_frequency_hours: longest time between two rebalances, hours, above 0.
    """

    portfolio_id: str
    total_capital: float
    allocations: tuple[StrategyAllocation, ...] = ()
    rebalance_threshold: float = 0.05
    rebalance_frequency_hours: int = 24

    def __post_init__(self) -> None:
        require_text(self, "portfolio_id", self.portfolio_id)
        for name in ("total_capital", "rebalance_threshold", "rebalance_frequency_hours"):
            require_positive(self, name, getattr(self, name))
        object.__setattr__(self, "allocations", tuple(self.allocations))
        names = [allocation.strategy_id for allocation in self.allocations]
        for name in names:
            if names.count(name) > 1:
                raise refuse(self, "allocations", name, "each strategy once")
        total = sum(allocation.target_weight for allocation in self.allocations)
        if self.allocations and abs(total - 1.0) > WEIGHT_TOLERANCE:
            raise refuse(self, "allocations", total, "target weights that add up to 1")
