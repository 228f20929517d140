"""The one matching engine: orders against the public trades of a market.

A market order fills at once at the last trade's price; without one at its own limit price, and with neither it is
rejected. A limit order fills only when the last price has reached its limit: at once, at the last price, where it had
done so before the order came; else it rests and fills at its limit, never better, with the first later trade that
reaches it. A stop order rests until a trade is as high as its stop price for a buy, as low for a sale, and then fills
as a market order does: at that trade's price, however far it has jumped over the stop. One whose stop the last price
had reached before it came fills at once, because what it was to protect from has happened. A trade is evidence of a
price, not a quantity to share. Orders that one trade reaches fill in the order of price, then time: limit orders before
stops, and among each buys before sells. Our own fills move no market: only public trades set the last price.

Orders fill whole, but for those that only reduce: these never fill more than their strategy holds against them, and
are canceled as soon as it holds nothing against them. That makes a stop and a target a pair, and a second close
harmless.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from core import codec
from core.contracts import Liquidity, OrderStatus, OrderType, Side
from core.errors import IllegalTransition
from core.execution.order_state import Order, advance, apply_fill
from core.ledger.exact import decimal_price
from core.ledger.holdings import Holdings

SLOTS = 1000
"""So many resting orders and positions of strategies together; orders that only reduce may take as many again."""


class RejectReason(StrEnum):
    """Why a venue refused an order or ended it; closed, so that every refusal can be counted and searched."""

    NO_ID = "no_id"
    UNKNOWN_SYMBOL = "unknown_symbol"
    INVALID_QTY = "invalid_qty"
    INVALID_PRICE = "invalid_price"
    NO_PRICE = "no_price"
    REDUCE_ONLY = "reduce_only"
    TOO_MANY = "too_many"


class Execution(NamedTuple):
    """One fill.

    Attributes:
        order: the order after it.
        qty: base units.
        price: quote units per base unit.
        liquidity: "maker" if the order was a resting limit order.
        canceled: the orders that it leaves nothing to reduce, its own rest before the others.
    """

    order: Order
    qty: Decimal
    price: Decimal
    liquidity: Liquidity
    canceled: tuple[Order, ...] = ()


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
    """Open orders and last prices of all symbols, and what its own fills have made each strategy hold."""

    def __init__(self) -> None:
        self.open: dict[str, Order] = {}
        """Resting orders by id, the oldest first."""
        self._last: dict[str, float] = {}
        self._books: dict[str, _RestingBook] = {}
        self._held = Holdings()
        self._arrivals = 0

    def last_price(self, symbol: str) -> Decimal | None:
        """Price of the last public trade, quote units per base unit; None before the first."""
        last = self._last.get(symbol)
        return None if last is None else decimal_price(last)

    def rests(self, symbol: str) -> bool:
        """Whether an order of this symbol rests."""
        return bool(self._books.get(symbol))

    def submit(self, order: Order) -> Arrival:
        """Take a new order: fill it, let it rest, or reject it.

        Raises:
            IllegalTransition: it is not new, or an order with this id is resting.
        """
        if order.order_id in self.open:
            raise IllegalTransition(f"order {order.order_id} is submitted twice; allowed: once")
        order = advance(order, OrderStatus.SUBMITTED)
        price = _price_at_arrival(order, self.last_price(order.symbol))
        reason = self._refusal(order, price)
        if reason is not None:
            return Arrival(advance(order, OrderStatus.REJECTED), reason=reason)
        order = advance(order, OrderStatus.ACK)
        if price is not None:
            return Arrival(order, self._execute(order, price, "taker"))
        self._rest(order)
        return Arrival(order)

    def on_trade(self, symbol: str, price: float) -> Sequence[Execution]:
        """Hear of a public trade and fill the resting orders that it reaches; one comparison per queue if none."""
        self._last[symbol] = price
        book = self._books.get(symbol)
        if not book:
            return ()
        last = decimal_price(price)
        executions = []
        while (order_id := book.pop_reached(last)) is not None:  # a fill may cancel what the trade reaches next
            executions.append(self._execute_resting(order_id, last))
        return executions

    def cancel(self, order_id: str, strategy_id: str) -> Order | None:
        """Take a resting order back; None if no such order of this strategy rests."""
        order = self.open.get(order_id)
        if order is None or order.strategy_id != strategy_id:
            return None
        del self.open[order_id]
        self._books[order.symbol].remove(order_id)
        return advance(order, OrderStatus.CANCELED)

    def _refusal(self, order: Order, price: Decimal | None) -> RejectReason | None:
        if order.reduce_only and not self._reducible(order):
            return RejectReason.REDUCE_ONLY
        if order.type == "market" and price is None:
            return RejectReason.NO_PRICE
        return RejectReason.TOO_MANY if self._is_full_for(order, price) else None

    def _is_full_for(self, order: Order, price: Decimal | None) -> bool:
        """Whether there is no room for what an order would leave behind: itself while it rests, or a new position."""
        opens = not order.reduce_only and not self._held.qty(order.strategy_id, order.symbol)
        room = 2 * SLOTS if order.reduce_only else SLOTS
        return (opens or price is None) and len(self.open) + len(self._held) >= room

    def _rest(self, order: Order) -> None:
        self._arrivals += 1
        self.open[order.order_id] = order
        self._books.setdefault(order.symbol, _RestingBook()).add(order, self._arrivals)

    def _execute_resting(self, order_id: str, last: Decimal) -> Execution:
        order = self.open.pop(order_id)
        if order.limit_price is not None and order.type == "limit":
            return self._execute(order, order.limit_price, "maker")
        return self._execute(order, last, "taker")

    def _execute(self, order: Order, price: Decimal, liquidity: Liquidity) -> Execution:
        qty = min(order.leaves_qty, self._reducible(order)) if order.reduce_only else order.leaves_qty
        filled = apply_fill(order, qty)
        self._held.apply(order.strategy_id, order.symbol, order.side, qty)
        rest = () if filled.status is OrderStatus.FILLED else (advance(filled, OrderStatus.CANCELED),)
        return Execution(filled, qty, price, liquidity, (*rest, *self._cancel_idle(filled)))

    def _reducible(self, order: Order) -> Decimal:
        return self._held.reducible(order.strategy_id, order.symbol, order.side)

    def _cancel_idle(self, filled: Order) -> list[Order]:
        """Cancel the resting orders which, after a fill of their side, have nothing left to reduce."""
        if self._reducible(filled):
            return []
        whose = (filled.strategy_id, filled.symbol, filled.side)
        idle = [o for o in self.open.values() if o.reduce_only and (o.strategy_id, o.symbol, o.side) == whose]
        for order in idle:
            del self.open[order.order_id]
            self._books[order.symbol].remove(order.order_id)
        return [advance(order, OrderStatus.CANCELED) for order in idle]

    def snapshot(self) -> dict[str, Any]:
        """Last prices, resting orders in the order in which they came, and positions, as JSON values."""
        return {
            "last": dict(self._last),
            "open": [codec.to_builtins(order) for order in self.open.values()],
            "held": self._held.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `snapshot` described; one without positions knows none that could be reduced."""
        self.open, self._books, self._arrivals = {}, {}, 0
        self._last = dict(state["last"])
        self._held.restore(state.get("held", []))
        for row in state["open"]:
            self._rest(codec.convert(row, Order))


_Entry = tuple[Decimal, int, str]
_Place = tuple[OrderType, Side]

_QUEUES: tuple[_Place, ...] = (("limit", "buy"), ("limit", "sell"), ("stop", "buy"), ("stop", "sell"))
"""In the order in which one trade fills them."""


class _RestingBook:
    """The resting orders of one symbol: queues sorted so that the next to fill is the last.

    An entry is (rank, -arrival, order id). The rank of a price grows with its eagerness in its queue, so that in all of
    them a trade reaches every entry whose rank is not below the rank of the trade's price.
    """

    def __init__(self) -> None:
        self._queues: dict[_Place, list[_Entry]] = {place: [] for place in _QUEUES}
        self._entries: dict[str, tuple[_Place, _Entry]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, order: Order, arrival: int) -> None:
        place = (order.type, order.side)
        entry = (_rank(place, _trigger(order)), -arrival, order.order_id)
        self._entries[order.order_id] = (place, entry)
        insort(self._queues[place], entry)

    def remove(self, order_id: str) -> None:
        place, entry = self._entries.pop(order_id)
        queue = self._queues[place]
        del queue[bisect_left(queue, entry)]

    def pop_reached(self, last: Decimal) -> str | None:
        """Remove the next order that a trade at this price reaches and return its id; None if there is none."""
        for place, queue in self._queues.items():
            if queue and _rank(place, last) <= queue[-1][0]:
                order_id = queue.pop()[2]
                del self._entries[order_id]
                return order_id
        return None


def _rank(place: _Place, price: Decimal) -> Decimal:
    """Limit buys and stop sales wait for a falling market, the other two for a rising one."""
    kind, side = place
    falls = (side == "buy") is (kind == "limit")
    return price if falls else price.copy_negate()  # a unary minus would round to 28 digits


def _trigger(order: Order) -> Decimal:
    """The price that a trade must reach for a limit or a stop order."""
    price = order.stop_price if order.type == "stop" else order.limit_price
    assert price is not None, "an order that can rest has its price"
    return price


def _price_at_arrival(order: Order, last: Decimal | None) -> Decimal | None:
    """The price at which a new order fills at once; None if it does not."""
    if order.type == "market":
        return order.limit_price if last is None else last
    place = (order.type, order.side)
    return last if last is not None and _rank(place, last) <= _rank(place, _trigger(order)) else None
