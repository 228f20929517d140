"""How capital is turned into positions: the sections of a policy file, `config/risk_policies/*.yaml`.

A share is a fraction of 1: 0.05 is five percent. Shares and amounts are Decimal, because quantities are made of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, get_args

from core.contracts.base import refuse, require_in, require_positive, set_decimal

SizingMethod = Literal["fixed_fraction", "fixed_equity", "equal_weight", "volatility_target"]

_METHODS: frozenset[str] = frozenset(get_args(SizingMethod))
_NS_PER_S = 1_000_000_000


def _require_above_zero(record: object, name: str) -> None:
    set_decimal(record, name)
    if getattr(record, name) <= 0:
        raise refuse(record, name, getattr(record, name), "above 0")


def _require_share(record: object, name: str) -> None:
    set_decimal(record, name)
    if not 0 < getattr(record, name) <= 1:
        raise refuse(record, name, getattr(record, name), "above 0, at most 1")


@dataclass(frozen=True, slots=True)
class Budgets:
    """What there is to divide.

    Attributes:
        capital_share: share of the portfolio's equity that strategies may use, above 0, at most 1.
    """

    capital_share: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        _require_share(self, "capital_share")


@dataclass(frozen=True, slots=True)
class Sizing:
    """How large a position is before any limit; only the settings of the chosen method count.

    Attributes:
        method: "fixed_fraction", "fixed_equity", "equal_weight" or "volatility_target".
        fraction: fixed_fraction: share of the strategy's capital, above 0, at most 1.
        equity: fixed_equity: quote units, above 0.
        positions: equal_weight: into how many equal positions the capital is divided, 1 or more.
        daily_volatility: volatility_target: share of the capital that one position should move a day (one standard
            deviation), above 0, at most 1.
        volatility_bars: volatility_target: over how many one-minute returns it is measured, 2 to 1,440.
    """

    method: SizingMethod = "fixed_equity"
    fraction: Decimal = Decimal("0.02")
    equity: Decimal = Decimal(200)
    positions: int = 10
    daily_volatility: Decimal = Decimal("0.001")
    volatility_bars: int = 60

    def __post_init__(self) -> None:
        require_in(self, "method", self.method, _METHODS)
        _require_share(self, "fraction")
        _require_above_zero(self, "equity")
        _require_share(self, "daily_volatility")
        if self.positions < 1:
            raise refuse(self, "positions", self.positions, "1 or more")
        if not 2 <= self.volatility_bars <= 1_440:
            raise refuse(self, "volatility_bars", self.volatility_bars, "2 to 1,440")


@dataclass(frozen=True, slots=True)
class CashManagement:
    """What is never spent.

    Attributes:
        buffer: share of the equity that stays cash, from 0, below 1.
    """

    buffer: Decimal = Decimal("0.05")

    def __post_init__(self) -> None:
        set_decimal(self, "buffer")
        if not 0 <= self.buffer < 1:
            raise refuse(self, "buffer", self.buffer, "0 or more, below 1")


@dataclass(frozen=True, slots=True)
class Concentration:
    """How much of one thing.

    Attributes:
        max_share: most that all positions in one symbol may be worth, share of the equity, above 0.
    """

    max_share: Decimal = Decimal("0.25")

    def __post_init__(self) -> None:
        _require_above_zero(self, "max_share")


@dataclass(frozen=True, slots=True)
class Leverage:
    """How much of everything.

    Attributes:
        gross: most that all positions may be worth, long and short added up, multiple of the equity, above 0.
        net: most that long less short, or short less long, may be worth, multiple of the equity, above 0.
    """

    gross: Decimal = Decimal(1)
    net: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        _require_above_zero(self, "gross")
        _require_above_zero(self, "net")


@dataclass(frozen=True, slots=True)
class Shorting:
    """Whether what is not held may be sold.

    Attributes:
        allowed: True if signals may open short positions.
    """

    allowed: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What no opening order may exceed, whatever its size was meant to be.

    Attributes:
        concentration: per symbol.
        leverage: over all symbols.
        shorting: whether there are short positions at all.
    """

    concentration: Concentration = Concentration()
    leverage: Leverage = Leverage()
    shorting: Shorting = Shorting()


@dataclass(frozen=True, slots=True)
class DrawdownControls:
    """Smaller positions after losses, none after large ones.

    The size falls in a straight line from full at `throttle_from` to nothing at `stop_at`. Both are shares of the
    highest equity so far that have been lost since.

    Attributes:
        throttle_from: 0 or more, below `stop_at`.
        stop_at: at most 1.
    """

    throttle_from: Decimal = Decimal("0.10")
    stop_at: Decimal = Decimal("0.20")

    def __post_init__(self) -> None:
        set_decimal(self, "throttle_from")
        _require_share(self, "stop_at")
        if not 0 <= self.throttle_from < self.stop_at:
            raise refuse(self, "throttle_from", self.throttle_from, f"0 or more, below stop_at ({self.stop_at})")


@dataclass(frozen=True, slots=True)
class StrategyLimits:
    """What one strategy may do.

    Attributes:
        leverage: most that all of its positions may be worth, multiple of its capital, above 0.
    """

    leverage: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        _require_above_zero(self, "leverage")


@dataclass(frozen=True, slots=True)
class ExecutionControls:
    """How orders are made of signals.

    Attributes:
        pyramiding: True if a strategy may add to a position that it has.
        max_price_age_s: how old the last trade may be, seconds of market time, above 0.
        price_reserve: by how much worse than the last trade an opening order is counted until it is filled, share of
            the price, 0 or more: room for slippage and fees.
        protection_retries: how often an order that protects a position is sent again after a refusal, 0 or more.
        protection_retry_s: seconds of market time before the first of these; it doubles each time; above 0.
    """

    pyramiding: bool = False
    max_price_age_s: float = 5.0
    price_reserve: Decimal = Decimal("0.002")
    protection_retries: int = 10
    protection_retry_s: float = 1.0

    def __post_init__(self) -> None:
        for name in ("max_price_age_s", "protection_retry_s"):
            require_positive(self, name, getattr(self, name))
        set_decimal(self, "price_reserve")
        if not 0 <= self.price_reserve < 1:
            raise refuse(self, "price_reserve", self.price_reserve, "0 or more, below 1")
        if not 0 <= self.protection_retries <= 20:
            raise refuse(self, "protection_retries", self.protection_retries, "0 to 20")

    @property
    def max_price_age_ns(self) -> int:
        """`max_price_age_s` in nanoseconds."""
        return round(self.max_price_age_s * _NS_PER_S)

    @property
    def protection_retry_ns(self) -> int:
        """`protection_retry_s` in nanoseconds."""
        return round(self.protection_retry_s * _NS_PER_S)


@dataclass(frozen=True, slots=True)
class Rebalancing:
    """What calls for a rebalance of the strategies' capital.

    Attributes:
        on_drift: a strategy has drifted from its target weight by more than the portfolio's `rebalance_threshold`.
        on_schedule: there is a drift, and the portfolio's `rebalance_frequency_hours` have passed since it began.
    """

    on_drift: bool = True
    on_schedule: bool = False


@dataclass(frozen=True, slots=True)
class RiskPolicy:
    """A policy file; each section and each key may be left out.

    Attributes:
        budgets: what there is to divide.
        sizing: how large a position is before any limit.
        cash_management: what is never spent.
        limits: what no opening order may exceed.
        drawdown_controls: smaller positions after losses.
        strategy_limits: what one strategy may do.
        execution_controls: how orders are made of signals.
        rebalancing: what calls for a rebalance.
    """

    budgets: Budgets = Budgets()
    sizing: Sizing = Sizing()
    cash_management: CashManagement = CashManagement()
    limits: Limits = Limits()
    drawdown_controls: DrawdownControls = DrawdownControls()
    strategy_limits: StrategyLimits = StrategyLimits()
    execution_controls: ExecutionControls = ExecutionControls()
    rebalancing: Rebalancing = Rebalancing()
