"""What is true of every ledger after every fill; used by tests and by the handlers that keep one."""

from __future__ import annotations

from decimal import Decimal

from core.errors import LedgerError
from core.ledger.account import Ledger
from core.ledger.exact import ZERO, exact
from core.ledger.lots import LotBook


@exact()
def check_invariants(ledger: Ledger) -> None:
    """Prove that no unit of any asset appeared or vanished and that the lots are sound.

    Raises:
        LedgerError: names the asset or symbol, what was found and what must be.
    """
    for symbol, position in ledger.positions.items():
        _check_lots(symbol, position.book)
    for asset in sorted({*ledger.starting, *ledger.cash, *ledger.fees}):
        _check_cash(ledger, asset)


def _check_cash(ledger: Ledger, asset: str) -> None:
    cost = sum((position.book.cost for _, position in ledger.priced_in(asset)), ZERO)
    fees = ledger.fees.get(asset, ZERO)
    came_from = ledger.cash.get(asset, ZERO) + cost - ledger.realized_pnl(asset) + fees
    _require_equal(f"cash + cost - realized + fees of {asset}", came_from, ledger.starting.get(asset, ZERO))


def _check_lots(symbol: str, book: LotBook) -> None:
    long = sum(lot.qty > 0 for lot in book.lots)
    if any(lot.qty == 0 or lot.price <= 0 for lot in book.lots):
        raise LedgerError(f"{symbol} holds a lot without quantity or price: {list(book.lots)}")
    if long not in (0, len(book.lots)):
        raise LedgerError(f"{symbol} holds lots bought and lots sold short at once: {list(book.lots)}")
    _require_equal(f"quantity of {symbol}", book.qty, sum((lot.qty for lot in book.lots), ZERO))
    _require_equal(f"cost of {symbol}", book.cost, sum((lot.qty * lot.price for lot in book.lots), ZERO))


def _require_equal(what: str, found: Decimal, due: Decimal) -> None:
    if found != due:
        raise LedgerError(f"{what} is {found}; must be {due}")
