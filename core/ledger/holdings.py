"""How much each strategy holds of each symbol: enough to say what an order may close, without lots or prices."""

from __future__ import annotations

from decimal import Decimal

from core.contracts import Side
from core.ledger.exact import ZERO, exact


class Holdings:
    """Net quantities by strategy and symbol, exact; what is flat takes no room.

    >>> held = Holdings()
    >>> held.apply("sma_cross_v1", "BTC/USDT", "buy", Decimal(3))
    >>> held.reducible("sma_cross_v1", "BTC/USDT", "sell"), held.reducible("sma_cross_v1", "BTC/USDT", "buy")
    (Decimal('3'), Decimal('0'))
    """

    def __init__(self) -> None:
        self._qty: dict[tuple[str, str], Decimal] = {}

    def __len__(self) -> int:
        return len(self._qty)

    def qty(self, strategy_id: str, symbol: str) -> Decimal:
        """Base units held; negative is short, 0 is flat."""
        return self._qty.get((strategy_id, symbol), ZERO)

    def reducible(self, strategy_id: str, symbol: str, side: Side) -> Decimal:
        """The most that an order of this side can close, base units; 0 where it would open or add."""
        qty = self.qty(strategy_id, symbol)
        return abs(qty) if qty and (qty > 0) is (side == "sell") else ZERO

    @exact()
    def apply(self, strategy_id: str, symbol: str, side: Side, qty: Decimal) -> None:
        """Count one fill.

        Args:
            strategy_id: whose fill.
            symbol: ccxt unified symbol.
            side: "buy" or "sell".
            qty: base units, above 0.

        Raises:
            LedgerError: the sum is not exact; nothing is counted.
        """
        key = (strategy_id, symbol)
        total = self.qty(*key) + (qty if side == "buy" else -qty)
        if total:
            self._qty[key] = total
        else:
            self._qty.pop(key, None)

    def snapshot(self) -> list[list[str]]:
        """Rows of strategy, symbol and quantity as JSON values."""
        return [[strategy_id, symbol, str(qty)] for (strategy_id, symbol), qty in self._qty.items()]

    def restore(self, rows: list[list[str]]) -> None:
        """Become what `snapshot` described."""
        self._qty = {(strategy_id, symbol): Decimal(qty) for strategy_id, symbol, qty in rows}
