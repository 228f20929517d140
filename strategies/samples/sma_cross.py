"""Two moving averages: long while the fast one is above the slow one, otherwise flat."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.contracts import FillEvent, OHLCVBar, OrderUpdate, RiskDecision, TradeEvent
from core.contracts.base import refuse, set_decimal
from strategies.context import StrategyContext
from strategies.indicators import Crossover, Sma
from strategies.inflight import InFlight
from strategies.state import PerSymbol, Stateful
from strategies.strategy import Said, Strategy


@dataclass(frozen=True)
class SmaCrossParams:
    """What can be set.

    Attributes:
        fast: length of the fast average, in trades or bars, whichever `events` lists.
        slow: length of the slow average, above `fast`.
        qty: base units bought at a cross.
        retry_s: seconds of market time between two attempts to close.
    """

    fast: int = 10
    slow: int = 30
    qty: Decimal = Decimal("0.001")
    retry_s: float = 60.0

    def __post_init__(self) -> None:
        set_decimal(self, "qty")
        if not 1 <= self.fast < self.slow:
            raise refuse(self, "fast", self.fast, f"1 to {self.slow - 1}, below slow")
        if self.qty <= 0:
            raise refuse(self, "qty", self.qty, "above 0")
        if self.retry_s < 0:
            raise refuse(self, "retry_s", self.retry_s, "0 or more")


class _Lane(Stateful):
    """What it knows of one symbol."""

    def __init__(self, params: SmaCrossParams) -> None:
        self.fast, self.slow, self.cross = Sma(params.fast), Sma(params.slow), Crossover()
        self.order = InFlight()
        self.wants_in = self.closing = False
        self.now_ns = 0
        self.close_after_ns = 0


class SmaCross(Strategy):
    """Buys once at a cross up; closes its whole position while the fast average is below, until that has worked.

    A denied entry waits for the next cross, because a late one is another trade. A denied close is tried again.
    """

    strategy_id = "sma_cross"
    Params = SmaCrossParams
    params: SmaCrossParams

    def __init__(self, context: StrategyContext) -> None:
        super().__init__(context)
        self.lanes = PerSymbol(lambda: _Lane(self.params))

    def warmup(self) -> int:
        """As many bars as the slow average takes."""
        return self.params.slow

    def on_warmup(self, bar: OHLCVBar) -> None:
        """Learn a close; a cross of the past is no reason to buy."""
        self._learn(self.lanes[bar.symbol], bar.close)

    def on_trade(self, trade: TradeEvent) -> Said:
        """See a price."""
        return self._see(trade.symbol, trade.price, trade.ts)

    def on_bar(self, bar: OHLCVBar) -> Said:
        """See a close."""
        return self._see(bar.symbol, bar.close, bar.ts_close)

    def _see(self, symbol: str, price: float, now_ns: int) -> Said:
        lane = self.lanes[symbol]
        lane.now_ns = now_ns
        crossed = self._learn(lane, price)
        if crossed:
            lane.wants_in = crossed > 0
        return () if crossed is None or lane.order.busy else self._act(symbol, lane)

    @staticmethod
    def _learn(lane: _Lane, price: float) -> int | None:
        """Update the averages: 1 for a cross up, -1 for one down, 0 for none, None before they are ready."""
        fast, slow = lane.fast.update(price), lane.slow.update(price)
        return None if fast is None or slow is None else lane.cross.update(fast, slow)

    def _act(self, symbol: str, lane: _Lane) -> Said:
        held = self.held(symbol)
        if lane.wants_in and held <= 0:
            lane.wants_in = lane.closing = False
            lane.order.sent()
            return (self.buy(symbol, self.params.qty),)
        if lane.cross.side < 0 < held and lane.now_ns >= lane.close_after_ns:
            lane.closing = True
            lane.order.sent()
            return (self.sell(symbol, held, reduce_only=True),)
        return ()

    def on_decision(self, decision: RiskDecision) -> Said:
        """Hear the gate."""
        lane = self.lanes[decision.symbol]
        if lane.order.on_decision(decision):
            self._pause(lane)
        return ()

    def on_order_update(self, update: OrderUpdate) -> Said:
        """Follow the order."""
        lane = self.lanes[update.symbol]
        if lane.order.on_order_update(update):
            self._pause(lane)
        return ()

    def on_fill(self, fill: FillEvent) -> Said:
        """Count the fill; the position is already that after it."""
        self.lanes[fill.symbol].order.on_fill(fill)
        return ()

    def _pause(self, lane: _Lane) -> None:
        if lane.closing:
            lane.close_after_ns = lane.now_ns + int(self.params.retry_s * 1e9)
