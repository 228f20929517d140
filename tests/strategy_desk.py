"""What tests of strategies share: a host under test, market events, a gate and a venue that answer as told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

from core.contracts import (
    Event,
    FillEvent,
    OrderIntent,
    OrderStatus,
    OrderUpdate,
    RiskDecision,
    Signal,
    SizingDecision,
    SizingReason,
    TradeEvent,
    Watermark,
    fill_id,
    intent_id,
    order_id,
)
from core.contracts.enums import Side, SignalIntention
from core.handler import At
from strategies.base import StrategyBase
from strategies.host import SERVICE, StrategyHost

BTC, ATOM = "BTC/USDT", "ATOM/USDT"
START_NS = 1_723_161_255_000_000_000
SECOND = 1_000_000_000
INSTRUMENTS = [
    {"symbol": BTC, "tick_size": "0.01", "lot_size": "0.001", "min_notional": "5"},
    {"symbol": ATOM, "tick_size": "0.001", "lot_size": "0.1", "min_notional": "1"},
]


def entry(name: str, strategy: type[StrategyBase] | str, **changes: Any) -> dict[str, Any]:
    """An entry of strategies.yaml."""
    path = strategy if isinstance(strategy, str) else f"{strategy.__module__}.{strategy.__qualname__}"
    values: dict[str, Any] = {"id": name, "class": path, "symbols": [BTC], "events": ["md.trades.*"]}
    return {**values, **changes}


def content(*entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The strategy runner's part of the configuration."""
    return {"strategies": list(entries), "max_errors": 3, "instruments": INSTRUMENTS, **changes}


def trade(price: float, symbol: str = BTC, at_s: int = 0) -> TradeEvent:
    """A public trade."""
    return TradeEvent(symbol, price, 1.0, "buy", START_NS + at_s * SECOND)


def second(at_s: int, symbol: str = BTC) -> Watermark:
    """A second of the market."""
    return Watermark(symbol, START_NS + at_s * SECOND)


def fill(strategy: str, side: str, qty: str, price: str, symbol: str = BTC) -> FillEvent:
    """A fill of one of a strategy's orders, outside of any conversation."""
    return FillEvent("o-x", symbol, side, qty, price, 0, START_NS, "f-x", strategy)  # type: ignore[arg-type]


class Desk:
    """A host with the rest of the world around it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.content = settings
        self.host: StrategyHost = SERVICE.build(settings)  # type: ignore[assignment]
        self.seq = 0

    def see(self, event: Event) -> list[Event]:
        """Show the host one event; its answers."""
        self.seq += 1
        return list(self.host.on_event(event, At(self.seq, self.seq, 0, self.seq, self.seq)))

    def see_all(self, events: list[Event]) -> list[list[Event]]:
        """Show it many; the answers to each."""
        return [self.see(event) for event in events]

    def deny(self, intent: OrderIntent) -> list[Event]:
        """The gate says no."""
        return self.see(
            RiskDecision(intent.intent_id, False, None, strategy_id=intent.strategy_id, symbol=intent.symbol)
        )

    def allow(self, intent: OrderIntent) -> list[Event]:
        """The gate says yes."""
        return self._decide(intent, allowed=True)

    def _decide(self, intent: OrderIntent, *, allowed: bool) -> list[Event]:
        return self.see(RiskDecision(intent.intent_id, allowed, strategy_id=intent.strategy_id, symbol=intent.symbol))

    def execute(self, intent: OrderIntent, price: float) -> list[Event]:
        """The venue fills all of it."""
        order = order_id(intent.intent_id)
        done = FillEvent(
            order, intent.symbol, intent.side, intent.qty, Decimal(repr(price)), Decimal(0), START_NS,
            fill_id(order, 1), intent.strategy_id,
        )  # fmt: skip
        return self.see(done) + self.see(update(intent, OrderStatus.FILLED, intent.qty))

    def refuse(self, signal: Signal) -> list[Event]:
        """The sizer says no."""
        refusal = SizingDecision(
            signal.signal_id, False, SizingReason.CAPITAL, strategy_id=signal.strategy_id, symbol=signal.symbol
        )
        return self.see(refusal)

    def size(self, signal: Signal, qty: str) -> OrderIntent:
        """The sizer says yes; the intent that it makes of a signal."""
        side: Side = "buy" if signal.intention in (SignalIntention.OPEN_LONG, SignalIntention.CLOSE_SHORT) else "sell"
        made = intent_id(signal.strategy_id, self.seq, 99)
        yes = SizingDecision(
            signal.signal_id, True, None, Decimal(qty), (made,), strategy_id=signal.strategy_id, symbol=signal.symbol
        )
        assert self.see(yes) == []
        intent = OrderIntent(signal.strategy_id, signal.symbol, side, "market", Decimal(qty), intent_id=made)
        return replace(intent, signal_id=signal.signal_id)

    def expire(self, intent: OrderIntent, filled: str = "0") -> list[Event]:
        """The venue ends an order after some of it was filled."""
        said = []
        if Decimal(filled) > 0:
            order = order_id(intent.intent_id)
            said = self.see(replace(
                fill(intent.strategy_id, intent.side, filled, "1", intent.symbol), order_id=order,
            ))  # fmt: skip
        return said + self.see(update(intent, OrderStatus.EXPIRED, Decimal(filled)))

    def restarted(self, settings: dict[str, Any] | None = None) -> Desk:
        """A new process with the memory of this one, which has travelled as JSON; under other content a reload."""
        desk = Desk(settings or self.content)
        desk.host.restore(json.loads(json.dumps(self.host.snapshot())))
        desk.seq = self.seq
        return desk


def update(intent: OrderIntent, status: OrderStatus, cum_qty: Decimal) -> OrderUpdate:
    """A step in the life of the order that an intent became."""
    left = intent.qty - cum_qty
    order = order_id(intent.intent_id)
    return OrderUpdate(
        order, status, intent.symbol, intent.side, intent.qty, cum_qty, left, strategy_id=intent.strategy_id
    )


def intents(said: list[Event]) -> Iterator[tuple[str, str, str]]:
    """Who wishes what: strategy, side and quantity."""
    return (
        (wish.strategy_id, wish.side, f"{wish.qty.normalize():f}") for wish in said if isinstance(wish, OrderIntent)
    )
