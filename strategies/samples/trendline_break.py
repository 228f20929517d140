"""Breaks out of a straight line: buys when the price leaves the trend upwards, sells when it leaves it downwards."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from statistics import linear_regression

from core.contracts import OHLCVBar, TradeEvent
from core.contracts.base import refuse, set_decimal
from strategies.context import StrategyContext
from strategies.indicators import Window
from strategies.state import PerSymbol, Stateful
from strategies.strategy import Said, Strategy


@dataclass(frozen=True)
class TrendlineBreakParams:
    """What can be set.

    Attributes:
        lookback_periods: how many prices the line is fitted to, 2 or more.
        breakout_threshold: relative distance from the line that counts as a break; 0.02 is 2 %.
        qty: base units of every intent.
    """

    lookback_periods: int = 20
    breakout_threshold: float = 0.02
    qty: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        set_decimal(self, "qty")
        if self.lookback_periods < 2:
            raise refuse(self, "lookback_periods", self.lookback_periods, "2 or more")
        if self.breakout_threshold < 0:
            raise refuse(self, "breakout_threshold", self.breakout_threshold, "0 or more")
        if self.qty <= 0:
            raise refuse(self, "qty", self.qty, "above 0")


class _Lane(Stateful):
    """What it knows of one symbol."""

    def __init__(self, params: TrendlineBreakParams) -> None:
        self.window = Window(params.lookback_periods)
        self.side = 0


class TrendlineBreak(Strategy):
    """Compares each price with the line through the prices before it, continued by one step.

    It speaks at the break and is silent while the price stays beyond the line. It only signals: it
    neither looks at its position nor closes it.
    """

    strategy_id = "trendline_break"
    Params = TrendlineBreakParams
    params: TrendlineBreakParams

    def __init__(self, context: StrategyContext) -> None:
        super().__init__(context)
        self.lanes = PerSymbol(lambda: _Lane(self.params))

    def warmup(self) -> int:
        """As many bars as the line is fitted to, and one to be compared with it."""
        return self.params.lookback_periods + 1

    def on_warmup(self, bar: OHLCVBar) -> None:
        """Learn a close; a break of the past is no reason to trade."""
        self._learn(self.lanes[bar.symbol], bar.close)

    def on_trade(self, trade: TradeEvent) -> Said:
        """See a price."""
        return self._see(trade.symbol, trade.price)

    def on_bar(self, bar: OHLCVBar) -> Said:
        """See a close."""
        return self._see(bar.symbol, bar.close)

    def _see(self, symbol: str, price: float) -> Said:
        lane = self.lanes[symbol]
        before, side = lane.side, self._learn(lane, price)
        if side == before or side == 0:
            return ()
        trade = self.buy if side > 0 else self.sell
        return (trade(symbol, self.params.qty),)

    def _learn(self, lane: _Lane, price: float) -> int:
        """Take in a price; the side of the line before it that it is on."""
        lane.side = self._side(lane.window, price)
        lane.window.push(price)
        return lane.side

    def _side(self, window: Window, price: float) -> int:
        """1 above the band around the line, -1 below it, 0 inside or before the window is full."""
        if not window.full:
            return 0
        slope, intercept = linear_regression(range(window.length), window.values)
        line = intercept + slope * window.length
        reach = abs(line) * self.params.breakout_threshold
        return (price > line + reach) - (price < line - reach)
