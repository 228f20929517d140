"""Goes with the market: long while it has risen enough over the last prices, out when that has faded."""

from __future__ import annotations

from dataclasses import dataclass

from core.contracts import FillEvent, OHLCVBar, OrderUpdate, RiskDecision, SizingDecision, TradeEvent
from core.contracts.base import refuse
from strategies.attempts import Attempts
from strategies.context import StrategyContext
from strategies.indicators import Roc
from strategies.inflight import SignalInFlight
from strategies.state import PerSymbol, Stateful
from strategies.strategy import Said, Strategy


@dataclass(frozen=True)
class MomentumParams:
    """What can be set; all but the first and the last are fractions, 0.01 is 1 %.

    Attributes:
        lookback_periods: over how many trades or bars, whichever `events` lists, the return is taken.
        entry_return: a return above this opens.
        exit_return: a return at or below this closes, and allows the next entry.
        stop_distance: how far below the price the stop is, below 1.
        target_distance: how far above the price the target is.
        confidence: share of the full size that a signal asks for, above 0.
        retry_s: seconds of market time between two attempts, where one was refused.
    """

    lookback_periods: int = 20
    entry_return: float = 0.005
    exit_return: float = 0.0
    stop_distance: float = 0.01
    target_distance: float = 0.02
    confidence: float = 1.0
    retry_s: float = 60.0

    def __post_init__(self) -> None:
        if self.lookback_periods < 1:
            raise refuse(self, "lookback_periods", self.lookback_periods, "1 or more")
        if not self.exit_return < self.entry_return:
            raise refuse(self, "exit_return", self.exit_return, f"below entry_return ({self.entry_return})")
        for name in ("stop_distance", "target_distance"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise refuse(self, name, getattr(self, name), "above 0, below 1")
        if not 0.0 < self.confidence <= 1.0:
            raise refuse(self, "confidence", self.confidence, "above 0, at most 1")
        if self.retry_s < 0:
            raise refuse(self, "retry_s", self.retry_s, "0 or more")


class _Lane(Stateful):
    """What it knows of one symbol."""

    def __init__(self, params: MomentumParams) -> None:
        self.roc = Roc(params.lookback_periods)
        self.signal, self.attempts = SignalInFlight(), Attempts()
        self.armed = True  # a rise is entered once: after a stop or a refusal it waits until the rise has faded
        self.now_ns = 0


class Momentum(Strategy):
    """Signals, with stop and target; how much to buy is the sizer's business.

    What protects the position is the sizer's as well. Whether a stop has been filled, refused or taken back does not
    matter here: what it holds says it all.
    """

    strategy_id = "momentum"
    Params = MomentumParams
    params: MomentumParams

    def __init__(self, context: StrategyContext) -> None:
        super().__init__(context)
        self.lanes = PerSymbol(lambda: _Lane(self.params))

    def warmup(self) -> int:
        """As many bars as the return looks back."""
        return self.params.lookback_periods

    def on_warmup(self, bar: OHLCVBar) -> None:
        """Learn a close."""
        self.lanes[bar.symbol].roc.update(bar.close)

    def on_trade(self, trade: TradeEvent) -> Said:
        """See a price."""
        return self._see(trade.symbol, trade.price, trade.ts)

    def on_bar(self, bar: OHLCVBar) -> Said:
        """See a close."""
        return self._see(bar.symbol, bar.close, bar.ts_close)

    def _see(self, symbol: str, price: float, now_ns: int) -> Said:
        lane = self.lanes[symbol]
        lane.now_ns = now_ns
        percent = lane.roc.update(price)
        if percent is None:
            return ()
        rise, faded = percent / 100.0, percent / 100.0 <= self.params.exit_return
        lane.armed = lane.armed or faded
        if lane.signal.busy or not lane.attempts.may(now_ns):
            return ()
        held = self.held(symbol)
        if faded and held > 0:
            lane.signal.sent()
            return (self.close_long(symbol, price=price),)
        if lane.armed and held <= 0 and rise > self.params.entry_return:
            return self._enter(symbol, lane, price)
        return ()

    def _enter(self, symbol: str, lane: _Lane, price: float) -> Said:
        lane.armed = False
        lane.signal.sent()
        stop, target = 1.0 - self.params.stop_distance, 1.0 + self.params.target_distance
        confidence = self.params.confidence
        return (
            self.open_long(
                symbol, price=price, confidence=confidence, stop_loss=price * stop, take_profit=price * target
            ),
        )

    def on_sizing(self, decision: SizingDecision) -> Said:
        """Hear the sizer."""
        lane = self.lanes[decision.symbol]
        return self._heard(lane, refused=lane.signal.on_sizing(decision))

    def on_decision(self, decision: RiskDecision) -> Said:
        """Hear the gate."""
        lane = self.lanes[decision.symbol]
        return self._heard(lane, refused=lane.signal.on_decision(decision))

    def on_order_update(self, update: OrderUpdate) -> Said:
        """Follow the order."""
        lane = self.lanes[update.symbol]
        return self._heard(lane, refused=lane.signal.on_order_update(update))

    def on_fill(self, fill: FillEvent) -> Said:
        """Count the fill; the position is already that after it."""
        self.lanes[fill.symbol].signal.on_fill(fill)
        return ()

    def _heard(self, lane: _Lane, *, refused: bool) -> Said:
        if refused:
            lane.attempts.failed(lane.now_ns, self.params.retry_s)
        return ()
