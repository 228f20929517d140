"""Buys dips and sells peaks: RSI says how far it went, the bands how unusual that is, TEMA that it is turning."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.contracts import FillEvent, OHLCVBar, OrderUpdate, RiskDecision, TradeEvent
from core.contracts.base import refuse, set_decimal
from strategies.attempts import Attempts
from strategies.context import StrategyContext
from strategies.indicators import Bollinger, Rsi, Tema
from strategies.inflight import InFlight
from strategies.state import PerSymbol, Stateful
from strategies.strategy import Said, Strategy


@dataclass(frozen=True)
class RsiTemaBbParams:
    """What can be set; lengths count trades or bars, whichever `events` lists.

    Attributes:
        rsi_period: length of the relative strength index.
        tema_period: length of the triple average.
        bb_period: length of the Bollinger bands.
        bb_std: their width, in standard deviations.
        oversold: a dip has an index below this, 0 to 100.
        overbought: a peak has one above this.
        qty: base units of an order that opens a position.
        long_only: True if a peak only closes what a dip has bought, and never sells short.
        retry_s: seconds of market time between two attempts, where one was refused.
    """

    rsi_period: int = 14
    tema_period: int = 9
    bb_period: int = 20
    bb_std: float = 2.0
    oversold: float = 30.0
    overbought: float = 70.0
    qty: Decimal = Decimal(1)
    long_only: bool = False
    retry_s: float = 60.0

    def __post_init__(self) -> None:
        set_decimal(self, "qty")
        for name in ("rsi_period", "tema_period", "bb_period", "qty"):
            if getattr(self, name) <= 0:
                raise refuse(self, name, getattr(self, name), "above 0")
        for name in ("bb_std", "retry_s"):
            if getattr(self, name) < 0:
                raise refuse(self, name, getattr(self, name), "0 or more")
        if not 0.0 <= self.oversold < self.overbought <= 100.0:
            raise refuse(self, "oversold", self.oversold, "0 to 100, below overbought, which is 100 at most")


class _Lane(Stateful):
    """What it knows of one symbol."""

    def __init__(self, params: RsiTemaBbParams) -> None:
        self.rsi, self.tema = Rsi(params.rsi_period), Tema(params.tema_period)
        self.bands = Bollinger(params.bb_period, params.bb_std)
        self.order, self.attempts = InFlight(), Attempts()
        self.setup = 0  # 1 at a dip, -1 at a peak
        self.leaving = False
        self.now_ns = 0


class RsiTemaBb(Strategy):
    """A dip is oversold, below the lower band, with TEMA rising; a peak is the mirror image.

    Without a position it buys a dip and sells a peak; with one the opposite closes it, and is then tried until it has
    worked.
    """

    strategy_id = "rsi_tema_bb"
    Params = RsiTemaBbParams
    params: RsiTemaBbParams

    def __init__(self, context: StrategyContext) -> None:
        super().__init__(context)
        self.lanes = PerSymbol(lambda: _Lane(self.params))

    def warmup(self) -> int:
        """As many bars as it takes until where they began does not matter.

        RSI is smoothed: its oldest changes still count, by a factor of exp(-10) after ten of its lengths.
        """
        return max(10 * self.params.rsi_period, 10 * self.params.tema_period, self.params.bb_period)

    def on_warmup(self, bar: OHLCVBar) -> None:
        """Learn a close."""
        self._setup(self.lanes[bar.symbol], bar.close)

    def on_trade(self, trade: TradeEvent) -> Said:
        """See a price."""
        return self._see(trade.symbol, trade.price, trade.ts)

    def on_bar(self, bar: OHLCVBar) -> Said:
        """See a close."""
        return self._see(bar.symbol, bar.close, bar.ts_close)

    def _see(self, symbol: str, price: float, now_ns: int) -> Said:
        lane, held = self.lanes[symbol], self.held(symbol)
        lane.now_ns = now_ns
        lane.setup = self._setup(lane, price)
        if held == 0 and lane.leaving:
            lane.leaving = False
            lane.attempts.start_over()
        elif lane.setup * held < 0:
            lane.leaving = True
        return () if lane.order.busy or not lane.attempts.may(now_ns) else self._act(symbol, lane, held)

    def _setup(self, lane: _Lane, price: float) -> int:
        before, tema = lane.tema.value, lane.tema.update(price)
        rsi, bands = lane.rsi.update(price), lane.bands.update(price)
        if rsi is None or before is None or tema is None or bands is None:
            return 0
        dip = rsi < self.params.oversold and price < bands.lower and tema > before
        peak = rsi > self.params.overbought and price > bands.upper and tema < before
        return dip - peak

    def _act(self, symbol: str, lane: _Lane, held: Decimal) -> Said:
        if lane.leaving:
            trade, qty = (self.sell if held > 0 else self.buy), abs(held)
        elif held == 0 and (lane.setup > 0 or (lane.setup < 0 and not self.params.long_only)):
            trade, qty = (self.buy if lane.setup > 0 else self.sell), self.params.qty
        else:
            return ()
        lane.order.sent()
        return (trade(symbol, qty, reduce_only=lane.leaving),)

    def on_decision(self, decision: RiskDecision) -> Said:
        """Hear the gate."""
        lane = self.lanes[decision.symbol]
        if lane.order.on_decision(decision):
            lane.attempts.failed(lane.now_ns, self.params.retry_s)
        return ()

    def on_order_update(self, update: OrderUpdate) -> Said:
        """Follow the order."""
        lane = self.lanes[update.symbol]
        if lane.order.on_order_update(update):
            lane.attempts.failed(lane.now_ns, self.params.retry_s)
        return ()

    def on_fill(self, fill: FillEvent) -> Said:
        """Count the fill; the position is already that after it."""
        self.lanes[fill.symbol].order.on_fill(fill)
        return ()
