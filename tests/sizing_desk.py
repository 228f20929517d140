"""A desk in front of a portfolio manager: a market, signals, a gate and a venue that a test plays itself."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from core import codec
from core.contracts import (
    CancelIntent,
    Event,
    FillEvent,
    OrderIntent,
    OrderStatus,
    OrderUpdate,
    ProtectionFailed,
    RiskDecision,
    Signal,
    SizingDecision,
    TradeEvent,
    Watermark,
    order_id,
)
from core.handler import At
from portfolio.manager import SERVICE, PortfolioManager

S = 1_000_000_000
NOON_NS = 1_723_118_400 * S  # 2024-08-08T12:00:00Z
BTC, ETH = "BTC/USDT", "ETH/USDT"
WIDE = {
    "sizing": {"method": "fixed_fraction", "fraction": 1},
    "cash_management": {"buffer": 0},
    "limits": {"concentration": {"max_share": 100}, "leverage": {"gross": 100, "net": 100}},
    "strategy_limits": {"leverage": 100},
    "execution_controls": {"price_reserve": 0},
}
"""A policy that limits nothing but by cash, so that a test can name the one limit that it is about."""


def grid(symbol: str, lot: str = "0.00001") -> dict[str, str]:
    """Ticks of 0.01, lots of 0.00001, orders from 5 quote units."""
    return {"symbol": symbol, "tick_size": "0.01", "lot_size": lot, "min_notional": "5"}


def policy_of(*changes: dict[str, Any]) -> dict[str, Any]:
    """Policies laid over each other, the later ones win."""
    merged: dict[str, Any] = {}
    for change in changes:
        for key, value in change.items():
            nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
            merged[key] = policy_of(merged[key], value) if nested else value
    return merged


def content(capital: float = 10_000.0, policy: dict[str, Any] | None = None, **portfolio: Any) -> dict[str, Any]:
    """The portfolio manager's part of a configuration."""
    return {
        "portfolio": {"portfolio_id": "main", "total_capital": capital, **portfolio},
        "quote": "USDT",
        "policy": policy_of(WIDE, policy or {}),
        "instruments": [grid(BTC), grid(ETH), *(grid(f"C{n}/USDT") for n in range(5))],
    }


class Desk:
    """One manager, what it said, and a way to answer it."""

    def __init__(self, **settings: Any) -> None:
        self.content = content(**settings)
        self.manager = self.build()
        self.seq = 0
        self.market_ns = NOON_NS
        self.said: list[Any] = []

    def build(self) -> PortfolioManager:
        """A new manager of this configuration."""
        manager = SERVICE.build(self.content)
        assert isinstance(manager, PortfolioManager)
        return manager

    def restart(self) -> None:
        """Go on with another manager and the memory of the first one."""
        saved = codec.encode_state(self.manager.snapshot())
        self.manager = self.build()
        self.manager.restore(json.loads(saved))
        assert codec.encode_state(self.manager.snapshot()) == saved

    def say(self, event: Event) -> list[Any]:
        """Let an event happen; what the sizer answers."""
        self.seq += 1
        at = At(self.seq, self.seq, self.market_ns, self.seq, self.seq)
        kinds = (SizingDecision, OrderIntent, CancelIntent, ProtectionFailed)
        said = [each for each in self.manager.on_event(event, at) if isinstance(each, kinds)]
        self.said += said
        return said

    def trade(self, price: float, symbol: str = BTC) -> list[Any]:
        """A public trade now."""
        return self.say(TradeEvent(symbol, price, 1.0, "buy", self.market_ns))

    def clock(self, seconds: float = 1.0, symbol: str = BTC) -> list[Any]:
        """Let the market's time pass."""
        self.market_ns += round(seconds * S)
        return self.say(Watermark(symbol, self.market_ns))

    def signal(self, intention: str, symbol: str = BTC, strategy_id: str = "a", **more: Any) -> list[Any]:
        """A strategy's opinion."""
        name = more.pop("signal_id", f"s-{self.seq}")
        return self.say(Signal(strategy_id, symbol, intention, signal_id=name, **more))  # type: ignore[arg-type]

    def decide(self, intent: Any, reason: str = "") -> list[Any]:
        """The gate's answer; a denial if a reason is given."""
        denied: Any = reason or None
        return self.say(
            RiskDecision(intent.intent_id, not reason, denied, strategy_id=intent.strategy_id, symbol=intent.symbol)
        )

    def fill(self, intent: Any, price: float | str, qty: Decimal | str | None = None) -> list[Any]:
        """The venue's fill of an order, all of it unless a quantity is given; without a fee."""
        amount = intent.qty if qty is None else Decimal(qty)
        order = order_id(intent.intent_id)
        return self.say(
            FillEvent(
                order,
                intent.symbol,
                intent.side,
                amount,
                Decimal(str(price)),
                Decimal(0),
                self.market_ns,
                strategy_id=intent.strategy_id,
            )
        )

    def end(self, intent: Any, status: str, filled: Decimal | str = "0", reason: str = "") -> list[Any]:
        """The last update of an order."""
        return self.say(
            OrderUpdate(
                order_id=order_id(intent.intent_id),
                status=OrderStatus(status),
                symbol=intent.symbol,
                side=intent.side,
                order_qty=intent.qty,
                cum_qty=Decimal(filled),
                leaves_qty=intent.qty - Decimal(filled),
                reason=reason,
                strategy_id=intent.strategy_id,
            )
        )

    def execute(self, intent: Any, price: float | str) -> list[Any]:
        """Allow an order and fill it whole."""
        said = self.decide(intent)
        said += self.fill(intent, price)
        return said + self.end(intent, "FILLED", intent.qty)

    def opened(self, intention: str = "OPEN_LONG", price: float = 100.0, **more: Any) -> list[Any]:
        """Open a position and have it filled at the last trade; what the fill led to."""
        decision, intent = self.signal(intention, **more)
        assert isinstance(decision, SizingDecision)
        assert decision.accepted
        assert isinstance(intent, OrderIntent)
        return self.execute(intent, price)


def intents(said: list[Event]) -> list[Any]:
    """The intents among some outputs."""
    return [each for each in said if isinstance(each, OrderIntent)]


def cancels(said: list[Event]) -> list[str]:
    """The orders that some outputs cancel."""
    return [each.order_id for each in said if isinstance(each, CancelIntent)]


def decision_in(said: list[Event]) -> Any:
    """The one decision among some outputs."""
    (decision,) = [each for each in said if isinstance(each, SizingDecision)]
    return decision
