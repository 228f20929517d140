"""What trading has led to: fills, positions, equity and the profit of the day."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from core.contracts.base import Event, refuse, require_finite, require_in, require_text, set_decimal
from core.contracts.enums import LIQUIDITIES, SIDES, Liquidity, Side


@dataclass(frozen=True, slots=True)
class FillEvent(Event):
    """One execution of one of our orders.

    Attributes:
        order_id: which order.
        symbol: ccxt unified symbol.
        side: "buy" or "sell".
        qty: base units, above 0.
        price: quote units per base unit, above 0.
        fee: units of `fee_asset`; positive is paid, negative is a rebate.
        ts_fill_ns: market time, ns UTC.
        fill_id: unique; derived from the order and its count of fills.
        strategy_id: whose order.
        fee_asset: in which asset the fee is paid; empty means the quote asset.
        liquidity: "taker" took a resting price, "maker" was resting.
        venue: where it was executed.
    """

    order_id: str
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    ts_fill_ns: int
    fill_id: str = ""
    strategy_id: str = ""
    fee_asset: str = ""
    liquidity: Liquidity = "taker"
    venue: str = ""

    def __post_init__(self) -> None:
        require_text(self, "order_id", self.order_id)
        require_text(self, "symbol", self.symbol)
        require_in(self, "side", self.side, SIDES)
        require_in(self, "liquidity", self.liquidity, LIQUIDITIES)
        for name in ("qty", "price", "fee"):
            set_decimal(self, name)
        if self.qty <= 0:
            raise refuse(self, "qty", self.qty, "above 0")
        if self.price <= 0:
            raise refuse(self, "price", self.price, "above 0")


@dataclass(frozen=True, slots=True)
class PositionSnapshot(Event):
    """What is held of one symbol; a view for people and strategies, the ledger holds the exact figures.

    Attributes:
        symbol: ccxt unified symbol.
        qty: base units; negative is short.
        avg_price: average entry price of the open lots, quote units; 0 when flat.
        realized_pnl: quote units, before fees; a profit is positive.
        ts_ns: market time, ns UTC.
        strategy_id: whose position; empty for the whole account.
        fees: quote units paid so far.
    """

    symbol: str
    qty: float
    avg_price: float
    realized_pnl: float
    ts_ns: int
    strategy_id: str = ""
    fees: float = 0.0

    def __post_init__(self) -> None:
        for name in ("qty", "avg_price", "realized_pnl", "fees"):
            require_finite(self, name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class PortfolioSnapshot(Event):
    """The account at one market time; a view, in floats.

    Attributes:
        portfolio_id: which portfolio.
        timestamp_ns: market time, ns UTC.
        total_equity: cash plus marked positions, quote units.
        strategy_allocations: quote units of equity per strategy id.
        drift_from_target: relative distance from the target weight, per strategy id; 0.05 is 5 % too much.
        needs_rebalance: whether the policy calls for a rebalance: by a drift, or by the time since there was none.
        cash: quote units.
        realized_pnl: quote units, before fees.
        unrealized_pnl: quote units, at the last trade prices.
        fees: quote units paid so far.
        positions: base units per symbol, negative is short.
    """

    portfolio_id: str
    timestamp_ns: int
    total_equity: float
    strategy_allocations: dict[str, float] = field(default_factory=dict)
    drift_from_target: dict[str, float] = field(default_factory=dict)
    needs_rebalance: bool = False
    cash: float = 0.0
    realized_pnl: float = 0.0
    unrealized_pnl: float = 0.0
    fees: float = 0.0
    positions: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("total_equity", "cash", "realized_pnl", "unrealized_pnl", "fees"):
            require_finite(self, name, getattr(self, name))
        for name in ("strategy_allocations", "drift_from_target", "positions"):
            for value in getattr(self, name).values():
                require_finite(self, name, value)


@dataclass(frozen=True, slots=True)
class PnlDay(Event):
    """Profit since the start of the UTC day of the market clock.

    Attributes:
        day: "2024-08-08", UTC.
        pnl: quote units after fees, realised and unrealised; a loss is negative.
        equity: quote units now.
        equity_open: quote units at the start of the day.
        market_ns: market time, ns UTC.
    """

    day: str
    pnl: Decimal
    equity: Decimal
    equity_open: Decimal
    market_ns: int

    def __post_init__(self) -> None:
        for name in ("pnl", "equity", "equity_open"):
            set_decimal(self, name)
