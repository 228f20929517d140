"""The one matching engine: orders against the public trades of a market.

A market order fills at once at the last trade's price; without one at its own limit price, and with neither it is
rejected. A limit order fills only when the last price has reached its limit: at once, at the last price, where it had
done so before the order came; else it rests and fills at its limit, never better, with the first later trade that
reaches it. A trade is evidence of a price, not a quantity to share: orders fill whole. Orders that one trade reaches
fill in the order of price, then time; buys before sells. Our own fills move no market: only public trades set the
last price.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from core import codec
from core.contracts import Liquidity, OrderStatus, Side
from core.errors import IllegalTransition
from core.execution.order_state import Order, advance, apply_fill
from core.ledger.exact import decimal_price


class RejectReason(StrEnum):
    """Why a venue refused an order; closed, so that every refusal can be counted and searched."""

    NO_ID = "no_id"
    UNKNOWN_SYMBOL = "unknown_symbol"
    INVALID_QTY = "invalid_qty"
    INVALID_PRICE = "invalid_price"
    NO_PRICE = "no_price"


class Execution(NamedTuple):
    """One fill.

    Attributes:
        order: the order after it.
        qty: base units.
        price: quote units per base unit.
        liquidity: "maker" if the order was resting.
    """

    order: Order
    qty: Decimal
    price: Decimal
    liquidity: Liquidity


class Arrival(NamedTuple):
    """What became of an order when it came.

    Attributes:
        order: acknowledged, or rejected.
        execution: its fill, None if it rests or was rejected.
        reason: why it was rejected.
    """

    order: Order
    execution: Execution | None = None
    reason: RejectReason | None = None


class MatchingEngine:
    """Open orders and last prices of all symbols."""

    def __init__(self) -> None:
        self.open: dict[str, Order] = {}
        """Resting orders by id, the oldest first."""
        self._last: dict[str, float] = {}
        self._books: dict[str, _RestingBook] = {}
        self._arrivals = 0

    def last_price(self, symbol: str) -> Decimal | None:
        """Price of the last public trade, quote units per base unit; None before the first."""
        last = self._last.get(symbol)
        return None if last is None else decimal_price(last)

    def submit(self, order: Order) -> Arrival:
        """Take a new order: fill it, let it rest, or reject it.

        Raises:
            IllegalTransition: it is not new, or an order with this id is resting.
        """
        if order.order_id in self.open:
            raise IllegalTransition(f"order {order.order_id} is submitted twice; allowed: once")
        order = advance(order, OrderStatus.SUBMITTED)
        last = self.last_price(order.symbol)
        price = _price_at_arrival(order, last)
        if price is not None:
            order = advance(order, OrderStatus.ACK)
            return Arrival(order, _execute(order, price, "taker"))
        if order.type == "market":
            return Arrival(advance(order, OrderStatus.REJECTED), reason=RejectReason.NO_PRICE)
        order = advance(order, OrderStatus.ACK)
        self._rest(order)
        return Arrival(order)

    def on_trade(self, symbol: str, price: float) -> Sequence[Execution]:
        """Hear of a public trade and fill the resting orders that it reaches; one comparison per side if none."""
        self._last[symbol] = price
        book = self._books.get(symbol)
        if not book:
            return ()
        return [self._execute_resting(order_id) for order_id in book.take_reached(decimal_price(price))]

    def cancel(self, order_id: str, strategy_id: str) -> Order | None:
        """Take a resting order back; None if no such order of this strategy rests."""
        order = self.open.get(order_id)
        if order is None or order.strategy_id != strategy_id:
            return None
        del self.open[order_id]
        self._books[order.symbol].remove(order_id)
        return advance(order, OrderStatus.CANCELED)

    def _rest(self, order: Order) -> None:
        self._arrivals += 1
        self.open[order.order_id] = order
        self._books.setdefault(order.symbol, _RestingBook()).add(order, self._arrivals)

    def _execute_resting(self, order_id: str) -> Execution:
        order = self.open.pop(order_id)
        assert order.limit_price is not None, "only limit orders rest"
        return _execute(order, order.limit_price, "maker")

    def snapshot(self) -> dict[str, Any]:
        """Last prices and resting orders as JSON values, in the order in which they came."""
        return {"last": dict(self._last), "open": [codec.to_builtins(order) for order in self.open.values()]}

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `snapshot` described."""
        self.open, self._books, self._arrivals = {}, {}, 0
        self._last = dict(state["last"])
        for row in state["open"]:
            self._rest(codec.convert(row, Order))


class _RestingBook:
    """The resting orders of one symbol: per side a list sorted so that the next to fill is the last.

    An entry is (rank, -arrival, order id). The rank of a price grows with its eagerness on its side, so that on both
    sides a trade reaches every entry whose rank is not below the rank of the trade's price.
    """

    def __init__(self) -> None:
        self._sides: dict[Side, list[tuple[Decimal, int, str]]] = {"buy": [], "sell": []}
        self._entries: dict[str, tuple[Side, tuple[Decimal, int, str]]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, order: Order, arrival: int) -> None:
        assert order.limit_price is not None, "only limit orders rest"
        entry = (_rank(order.side, order.limit_price), -arrival, order.order_id)
        self._entries[order.order_id] = (order.side, entry)
        insort(self._sides[order.side], entry)

    def remove(self, order_id: str) -> None:
        side, entry = self._entries.pop(order_id)
        queue = self._sides[side]
        del queue[bisect_left(queue, entry)]

    def take_reached(self, last: Decimal) -> list[str]:
        """Remove the orders that a trade at this price reaches and return their ids in the order of filling."""
        reached = []
        for side, queue in self._sides.items():
            rank = _rank(side, last)
            while queue and rank <= queue[-1][0]:
                reached.append(queue.pop()[2])
        for order_id in reached:
            del self._entries[order_id]
        return reached


def _rank(side: Side, price: Decimal) -> Decimal:
    return price if side == "buy" else price.copy_negate()  # a unary minus would round to 28 digits


def _price_at_arrival(order: Order, last: Decimal | None) -> Decimal | None:
    """The price at which a new order fills at once; None if it does not."""
    if order.type == "market":
        return order.limit_price if last is None else last
    if last is None or order.limit_price is None:
        return None
    return last if _rank(order.side, last) <= _rank(order.side, order.limit_price) else None


def _execute(order: Order, price: Decimal, liquidity: Liquidity) -> Execution:
    qty = order.leaves_qty
    return Execution(apply_fill(order, qty), qty, price, liquidity)
