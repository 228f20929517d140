"""Lots of one symbol, first in, first out, on both sides.

A fill against the open side closes the oldest lots first; what is left of it opens lots of its own side, so a reversal
through zero is a close and an open. A short sale books no profit: its proceeds are cash, and its profit is
realized when it is bought back.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any, NamedTuple

from core.contracts import Side
from core.errors import LedgerError
from core.ledger.exact import ZERO, exact, ratio


class Lot(NamedTuple):
    """What is left of one opening.

    Attributes:
        qty: base units, never zero; negative was sold short.
        price: quote units per base unit at which it was opened.
    """

    qty: Decimal
    price: Decimal


class LotBook:
    """The open lots of one symbol and the profit of the closed ones; exact.

    Neighbouring lots of one price are kept as one: the oldest still go first, and the result does not depend on how
    an execution was split.

    Attributes:
        lots: open lots, the oldest first, all of one sign.
        qty: base units held, the sum over the lots; negative is short.
        cost: quote units, the sum of quantity times price over the lots; negative when short.
        realized_pnl: quote units before fees; a profit is positive.

    Buy 2 at 100 and 1 at 110, then sell 4 at 120. The sale closes 2 lots with (120 - 100) * 2 + (120 - 110) * 1 = 50
    and opens a short of 1; bought back at 115 it gains 5 more.

    >>> book = LotBook()
    >>> for side, qty, price in (("buy", 2, 100), ("buy", 1, 110), ("sell", 4, 120)):
    ...     gained = book.apply(side, Decimal(qty), Decimal(price))
    >>> gained, book.qty, book.avg_price
    (Decimal('50'), Decimal('-1'), Decimal('120'))
    >>> book.apply("buy", Decimal(1), Decimal(115)), book.realized_pnl, book.qty
    (Decimal('5'), Decimal('55'), Decimal('0'))
    """

    __slots__ = ("cost", "lots", "qty", "realized_pnl")

    def __init__(self) -> None:
        self.lots: deque[Lot] = deque()
        self.qty = ZERO
        self.cost = ZERO
        self.realized_pnl = ZERO

    @property
    def avg_price(self) -> Decimal:
        """Average entry price of the open lots, quote units to 28 digits; 0 when flat."""
        return ratio(self.cost, self.qty) if self.lots else ZERO

    @exact()
    def unrealized_pnl(self, mark: Decimal) -> Decimal:
        """Quote units that the open lots have gained at a price, before fees; a loss is negative."""
        return self.qty * mark - self.cost

    @exact()
    def apply(self, side: Side, qty: Decimal, price: Decimal) -> Decimal:
        """Book one execution and return what it realized, quote units before fees.

        Raises:
            LedgerError: quantity or price is not above 0, or the arithmetic is not exact.
        """
        if qty <= 0 or price <= 0:
            raise LedgerError(f"cannot book {side} {qty} at {price}; allowed: quantity and price above 0")
        incoming = qty if side == "buy" else -qty
        realized = ZERO
        while incoming and self.lots and (self.lots[0].qty > 0) is not (incoming > 0):
            closed = self._close_oldest(-incoming)
            incoming += closed.qty
            realized += closed.qty * (price - closed.price)
        if incoming:
            self._open(incoming, price)
        self.realized_pnl += realized
        return realized

    def _close_oldest(self, most: Decimal) -> Lot:
        """Take up to `most` (of the lots' sign) out of the oldest lot and return what was taken."""
        lot = self.lots.popleft()
        if abs(most) < abs(lot.qty):
            self.lots.appendleft(Lot(lot.qty - most, lot.price))
            lot = Lot(most, lot.price)
        self.qty -= lot.qty
        self.cost -= lot.qty * lot.price
        return lot

    def _open(self, qty: Decimal, price: Decimal) -> None:
        newest = self.lots.pop() if self.lots and self.lots[-1].price == price else Lot(ZERO, price)
        self.lots.append(Lot(newest.qty + qty, newest.price))
        self.qty += qty
        self.cost += qty * price

    def snapshot(self) -> dict[str, Any]:
        """The book as JSON values; the sums too, because their trailing zeros reach the wire."""
        return {
            "lots": [[str(lot.qty), str(lot.price)] for lot in self.lots],
            "qty": str(self.qty),
            "cost": str(self.cost),
            "realized_pnl": str(self.realized_pnl),
        }

    @classmethod
    def restored(cls, state: dict[str, Any]) -> LotBook:
        """The book that `snapshot` described."""
        book = cls()
        book.lots.extend(Lot(Decimal(qty), Decimal(price)) for qty, price in state["lots"])
        book.qty = Decimal(state["qty"])
        book.cost = Decimal(state["cost"])
        book.realized_pnl = Decimal(state["realized_pnl"])
        return book
