"""Buys once and keeps it: what every other strategy has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from core.contracts import FillEvent, OHLCVBar, OrderUpdate, RiskDecision, SizingDecision, TradeEvent
from core.contracts.base import refuse, set_decimal
from strategies.attempts import Attempts
from strategies.context import StrategyContext
from strategies.inflight import InFlight, SignalInFlight
from strategies.state import PerSymbol, Stateful
from strategies.strategy import Said, Strategy


@dataclass(frozen=True)
class BuyAndHoldParams:
    """What can be set.

    Attributes:
        by: "intent" buys `qty`; "signal" leaves the quantity to the sizer.
        qty: base units, where it buys by intent.
        retry_s: seconds of market time between two attempts, where one was refused.
    """

    by: Literal["intent", "signal"] = "intent"
    qty: Decimal = Decimal("0.001")
    retry_s: float = 60.0

    def __post_init__(self) -> None:
        set_decimal(self, "qty")
        if self.qty <= 0:
            raise refuse(self, "qty", self.qty, "above 0")
        if self.retry_s < 0:
            raise refuse(self, "retry_s", self.retry_s, "0 or more")


class _Lane(Stateful):
    """What it knows of one symbol."""

    def __init__(self) -> None:
        self.order, self.signal, self.attempts = InFlight(), SignalInFlight(), Attempts()
        self.bought = False
        self.now_ns = 0


class BuyAndHold(Strategy):
    """Buys at the first price of each symbol; tries again where that was refused, never after a first fill."""

    strategy_id = "buy_and_hold"
    Params = BuyAndHoldParams
    params: BuyAndHoldParams

    def __init__(self, context: StrategyContext) -> None:
        super().__init__(context)
        self.lanes = PerSymbol(_Lane)

    def on_trade(self, trade: TradeEvent) -> Said:
        """See a price."""
        return self._see(trade.symbol, trade.price, trade.ts)

    def on_bar(self, bar: OHLCVBar) -> Said:
        """See a close."""
        return self._see(bar.symbol, bar.close, bar.ts_close)

    def _see(self, symbol: str, price: float, now_ns: int) -> Said:
        lane = self.lanes[symbol]
        lane.now_ns = now_ns
        lane.bought = lane.bought or self.held(symbol) > 0
        if lane.bought or lane.order.busy or lane.signal.busy or not lane.attempts.may(now_ns):
            return ()
        if self.params.by == "signal":
            lane.signal.sent()
            return (self.open_long(symbol, price=price),)
        lane.order.sent()
        return (self.buy(symbol, self.params.qty),)

    def on_sizing(self, decision: SizingDecision) -> Said:
        """Hear the sizer."""
        lane = self.lanes[decision.symbol]
        return self._heard(lane, refused=lane.signal.on_sizing(decision))

    def on_decision(self, decision: RiskDecision) -> Said:
        """Hear the gate."""
        lane = self.lanes[decision.symbol]
        return self._heard(lane, refused=any((lane.order.on_decision(decision), lane.signal.on_decision(decision))))

    def on_order_update(self, update: OrderUpdate) -> Said:
        """Follow the order."""
        lane = self.lanes[update.symbol]
        return self._heard(lane, refused=any((lane.order.on_order_update(update), lane.signal.on_order_update(update))))

    def on_fill(self, fill: FillEvent) -> Said:
        """Remember that it has bought."""
        lane = self.lanes[fill.symbol]
        lane.bought = True
        lane.order.on_fill(fill)
        lane.signal.on_fill(fill)
        return ()

    def _heard(self, lane: _Lane, *, refused: bool) -> Said:
        if refused:
            lane.attempts.failed(lane.now_ns, self.params.retry_s)
        return ()
