"""Positions: lots with the fees paid for them, of an account or of each strategy."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from core.contracts import FillEvent, PositionSnapshot, quote_of
from core.ledger.exact import ZERO, exact
from core.ledger.lots import LotBook


class Position:
    """What is held of one symbol.

    Attributes:
        book: its lots.
        fees: quote units paid, rebates deducted. A fee in another asset is no cost of the quote asset; it is only in
            the ledger's cash and fees of its own asset.
    """

    __slots__ = ("book", "fees")

    def __init__(self) -> None:
        self.book = LotBook()
        self.fees = ZERO

    @exact()
    def apply(self, fill: FillEvent) -> Decimal:
        """Book one fill and return what it realized, quote units before fees.

        Raises:
            LedgerError: the arithmetic is not exact.
        """
        realized = self.book.apply(fill.side, fill.qty, fill.price)
        if fee_asset_of(fill) == quote_of(fill.symbol):
            self.fees += fill.fee
        return realized

    def view(self, symbol: str, ts_ns: int, *, strategy_id: str = "") -> PositionSnapshot:
        """The position as an event, in floats."""
        return PositionSnapshot(
            symbol=symbol,
            qty=float(self.book.qty),
            avg_price=float(self.book.avg_price),
            realized_pnl=float(self.book.realized_pnl),
            ts_ns=ts_ns,
            strategy_id=strategy_id,
            fees=float(self.fees),
        )

    def snapshot(self) -> dict[str, Any]:
        """The position as JSON values, exact."""
        return {**self.book.snapshot(), "fees": str(self.fees)}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Position:
        """The position that `snapshot` described."""
        position = cls()
        position.book = LotBook.restored(state)
        position.fees = Decimal(state["fees"])
        return position


POSITIONS_MAX = 2_000
"""So many positions, flat ones included, are remembered: anybody may trade under new names without end."""


class PositionBook:
    """Positions per strategy and symbol; each strategy has lots of its own.

    The lots of two strategies are never netted, so the realized part may differ from the account's; realized plus
    unrealized adds up to the account's exactly. Beyond `POSITIONS_MAX`, one that becomes flat is forgotten with what it
    has realized; an open one never is.
    """

    def __init__(self) -> None:
        self.positions: dict[tuple[str, str], Position] = {}

    def apply(self, fill: FillEvent) -> Decimal:
        """Book a fill for its strategy and return what it realized, quote units before fees.

        Raises:
            LedgerError: the arithmetic is not exact.
        """
        key = (fill.strategy_id, fill.symbol)
        position = self.positions.get(key)
        if position is None:
            position = self.positions[key] = Position()
        realized = position.apply(fill)
        if not position.book.lots and len(self.positions) > POSITIONS_MAX:
            del self.positions[key]
        return realized

    def snapshot_of(self, strategy_id: str, symbol: str, ts_ns: int) -> PositionSnapshot:
        """What a strategy holds of a symbol; flat if it never traded it."""
        position = self.positions.get((strategy_id, symbol), _FLAT)
        return position.view(symbol, ts_ns, strategy_id=strategy_id)

    def snapshot(self) -> dict[str, Any]:
        """All positions as JSON values, exact."""
        rows = [[strategy, symbol, position.snapshot()] for (strategy, symbol), position in self.positions.items()]
        return {"positions": rows}

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `snapshot` described."""
        self.positions = {(strategy, symbol): Position.restored(row) for strategy, symbol, row in state["positions"]}


_FLAT = Position()


def fee_asset_of(fill: FillEvent) -> str:
    """The asset that a fill's fee is paid in: the quote asset unless it names another."""
    return fill.fee_asset or quote_of(fill.symbol)
