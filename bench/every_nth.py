"""A strategy that trades on every n-th trade it sees: buys and sells by turns."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.contracts import TradeEvent
from core.contracts.base import refuse, set_decimal
from strategies.context import StrategyContext
from strategies.strategy import Said, Strategy

STRATEGIES = """\
strategies:
  - id: every_nth_v1
    class: bench.every_nth.EveryNth
    enabled: true
    symbols: ["BTC/USDT"]
    events: ["md.trades.*"]
    params: {{n: {n}, qty: 0.001}}
"""
"""The strategies.yaml that runs it; to be formatted with `n`."""


@dataclass(frozen=True)
class EveryNthParams:
    """What can be set.

    Attributes:
        n: trades from one order to the next, 1 or more.
        qty: base units of an order.
    """

    n: int = 10
    qty: Decimal = Decimal("0.001")

    def __post_init__(self) -> None:
        set_decimal(self, "qty")
        if self.n < 1:
            raise refuse(self, "n", self.n, "1 or more")


class EveryNth(Strategy):
    """Sends a market order on every n-th trade."""

    strategy_id = "every_nth"
    Params = EveryNthParams
    params: EveryNthParams

    def __init__(self, context: StrategyContext) -> None:
        super().__init__(context)
        self.seen = 0

    def on_trade(self, trade: TradeEvent) -> Said:
        """Count, and order when it is time."""
        self.seen += 1
        if self.seen % self.params.n:
            return ()
        sends = self.buy if self.seen // self.params.n % 2 else self.sell
        return (sends(trade.symbol, self.params.qty),)
