"""The ledger of one account: cash per asset, fees per asset, a position per symbol.

A purchase turns cash into lots, a sale turns lots into cash, a fee leaves. So for every asset, at any time and to
the last digit: cash + cost of the open lots - realized profit + fees = starting cash.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from core.contracts import FillEvent, quote_of
from core.errors import LedgerError
from core.ledger.exact import ZERO, exact
from core.ledger.positions import Position, fee_asset_of


class Ledger:
    """The books of an account; exact.

    Base units held are the positions' lots; `cash` counts only what was paid and received as a price or a fee, so a fee
    taken in the base asset makes that asset's cash negative.

    Attributes:
        starting: units per asset that the account was opened with.
        cash: units per asset now; negative is owed.
        fees: units per asset paid so far, rebates deducted.
        positions: by symbol; a closed one stays for its realized profit.

    Start with 1,000, buy 2 at 100 for a fee of 0.2, sell 1 at 130 for 0.13: cash is 1,000 - 200 - 0.2 + 130 - 0.13.

    >>> ledger = Ledger({"USDT": Decimal(1000)})
    >>> for side, qty, price, fee in (("buy", "2", "100", "0.2"), ("sell", "1", "130", "0.13")):
    ...     realized = ledger.apply_fill(FillEvent("o-1", "BTC/USDT", side, qty, price, fee, ts_fill_ns=0))
    >>> realized, ledger.cash["USDT"], ledger.fees["USDT"]
    (Decimal('30'), Decimal('929.67'), Decimal('0.33'))
    >>> ledger.equity("USDT", {"BTC/USDT": Decimal(140)})  # 1,000 + 30 realized + 40 unrealized - 0.33
    Decimal('1069.67')
    """

    def __init__(self, starting: Mapping[str, Decimal]) -> None:
        self.starting = dict(starting)
        self.cash = dict(starting)
        self.fees: dict[str, Decimal] = {}
        self.positions: dict[str, Position] = {}

    @exact()
    def apply_fill(self, fill: FillEvent) -> Decimal:
        """Book one fill and return what it realized, quote units before fees.

        Raises:
            LedgerError: the arithmetic is not exact.
        """
        position = self.positions.get(fill.symbol)
        if position is None:
            position = self.positions[fill.symbol] = Position()
        realized = position.apply(fill)
        paid = fill.qty * fill.price
        quote, fee_asset = quote_of(fill.symbol), fee_asset_of(fill)
        self.cash[quote] = self.cash.get(quote, ZERO) + (-paid if fill.side == "buy" else paid)
        self.cash[fee_asset] = self.cash.get(fee_asset, ZERO) - fill.fee
        self.fees[fee_asset] = self.fees.get(fee_asset, ZERO) + fill.fee
        return realized

    def priced_in(self, asset: str) -> Iterator[tuple[str, Position]]:
        """The symbols with this quote asset and their positions, closed ones included."""
        return ((symbol, held) for symbol, held in self.positions.items() if quote_of(symbol) == asset)

    @exact()
    def equity(self, asset: str, marks: Mapping[str, Decimal]) -> Decimal:
        """Cash plus marked positions, units of `asset`.

        Args:
            asset: the quote asset; positions priced in another are left out.
            marks: quote units per base unit, by symbol.

        Raises:
            LedgerError: an open position has no mark.
        """
        cost = sum((position.book.cost for _, position in self.priced_in(asset)), ZERO)
        return self.cash.get(asset, ZERO) + cost + self.unrealized_pnl(asset, marks)

    @exact()
    def unrealized_pnl(self, asset: str, marks: Mapping[str, Decimal]) -> Decimal:
        """What the open lots priced in `asset` have gained at the marks, before fees.

        Raises:
            LedgerError: an open position has no mark.
        """
        total = ZERO
        for symbol, position in self.priced_in(asset):
            if position.book.lots:
                if symbol not in marks:
                    raise LedgerError(f"{symbol} is open with {position.book.qty} and has no mark")
                total += position.book.unrealized_pnl(marks[symbol])
        return total

    @exact()
    def realized_pnl(self, asset: str) -> Decimal:
        """What the closed lots priced in `asset` have gained, before fees."""
        return sum((position.book.realized_pnl for _, position in self.priced_in(asset)), ZERO)

    def get_snapshot(self) -> dict[str, Any]:
        """The books as JSON values, exact; the same fills in the same order give the same values."""
        return {
            "starting": _texts(self.starting),
            "cash": _texts(self.cash),
            "fees": _texts(self.fees),
            "positions": {symbol: position.snapshot() for symbol, position in self.positions.items()},
        }

    def restore_from_snapshot(self, state: dict[str, Any]) -> None:
        """Become what `get_snapshot` described, the starting cash included."""
        self.starting = _amounts(state["starting"])
        self.cash = _amounts(state["cash"])
        self.fees = _amounts(state["fees"])
        self.positions = {symbol: Position.restored(row) for symbol, row in state["positions"].items()}


def _texts(amounts: dict[str, Decimal]) -> dict[str, str]:
    return {asset: str(amount) for asset, amount in amounts.items()}


def _amounts(texts: dict[str, str]) -> dict[str, Decimal]:
    return {asset: Decimal(text) for asset, text in texts.items()}
