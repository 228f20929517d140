"""The life of an order: which steps are legal, and quantities that always add up.

One table for every venue. An adapter translates what its venue says into these states; a step that is not in the table
raises, because it means that a message was misread, lost or doubled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType

from core.contracts import OrderStatus, OrderType, OrderUpdate, Side
from core.contracts.base import refuse, set_decimal
from core.errors import IllegalTransition
from core.ledger.exact import ZERO, exact

_S = OrderStatus

TERMINAL = frozenset({_S.FILLED, _S.CANCELED, _S.REJECTED, _S.EXPIRED})
"""States that nothing follows."""

FILLABLE = frozenset({_S.SUBMITTED, _S.ACK, _S.PARTIAL, _S.PENDING_CANCEL, _S.UNKNOWN})
"""States in which a fill may arrive: from the moment a venue may have the order until it has ended."""

_LIVE = FILLABLE - {_S.SUBMITTED} | TERMINAL

TRANSITIONS: Mapping[OrderStatus, frozenset[OrderStatus]] = MappingProxyType(
    {
        # Not sent yet: it can be withdrawn, refused or too old.
        _S.NEW: frozenset({_S.SUBMITTED, _S.CANCELED, _S.REJECTED, _S.EXPIRED}),
        # A fill may overtake the acknowledgement.
        _S.SUBMITTED: _LIVE,
        # A stop order can still be refused when it is triggered.
        _S.ACK: _LIVE - {_S.ACK},
        _S.PARTIAL: _LIVE - {_S.ACK, _S.REJECTED},
        # Back to ACK or PARTIAL where the venue refused the cancel; fills go on meanwhile.
        _S.PENDING_CANCEL: _LIVE,
        # The venue did not answer: anything may turn out, or the same order is sent again.
        _S.UNKNOWN: _LIVE - {_S.UNKNOWN} | {_S.SUBMITTED},
        **dict.fromkeys(TERMINAL, frozenset()),
    }
)
"""For each state the states that may follow it."""

_UNFILLED = frozenset({_S.NEW, _S.SUBMITTED, _S.ACK, _S.REJECTED})


@dataclass(frozen=True, slots=True)
class Order:
    """An order at one moment; `order_qty == cum_qty + leaves_qty` by construction.

    Attributes:
        order_id: ours, unique.
        strategy_id: whose order.
        symbol: ccxt unified symbol.
        side: "buy" or "sell".
        type: "market", "limit", or "stop", which becomes a market order at its stop price.
        order_qty: base units ordered, above 0.
        limit_price: quote units per base unit, above 0; a limit order has one.
        cum_qty: base units filled so far.
        status: where it is in its life.
        fills: how often it was filled.
        stop_price: quote units per base unit, above 0; a stop order has one.
        reduce_only: True for an order that may only make its strategy's own position smaller.
    """

    order_id: str
    strategy_id: str
    symbol: str
    side: Side
    type: OrderType
    order_qty: Decimal
    limit_price: Decimal | None = None
    cum_qty: Decimal = ZERO
    status: OrderStatus = OrderStatus.NEW
    fills: int = 0
    stop_price: Decimal | None = None
    reduce_only: bool = False

    def __post_init__(self) -> None:
        set_decimal(self, "order_qty")
        set_decimal(self, "cum_qty")
        if self.order_qty <= 0:
            raise refuse(self, "order_qty", self.order_qty, "above 0")
        if not 0 <= self.cum_qty <= self.order_qty:
            raise refuse(self, "cum_qty", self.cum_qty, f"0 to {self.order_qty}")
        for name, kind in (("limit_price", "limit"), ("stop_price", "stop")):
            if getattr(self, name) is not None:
                set_decimal(self, name)
                if getattr(self, name) <= 0:
                    raise refuse(self, name, getattr(self, name), "above 0")
            elif self.type == kind:
                raise refuse(self, name, None, f"a price, because it is a {kind} order")

    @property
    def leaves_qty(self) -> Decimal:
        """Base units not filled; they stay when the order ends without them."""
        with exact():
            return self.order_qty - self.cum_qty

    def update(self, ts_ns: int, reason: str = "") -> OrderUpdate:
        """The order's state as an event.

        Args:
            ts_ns: market time of the step, ns UTC.
            reason: why, where the step is no fill.
        """
        return OrderUpdate(
            order_id=self.order_id,
            status=self.status,
            symbol=self.symbol,
            side=self.side,
            order_qty=self.order_qty,
            cum_qty=self.cum_qty,
            leaves_qty=self.leaves_qty,
            reason=reason,
            strategy_id=self.strategy_id,
            ts_ns=ts_ns,
        )


def advance(order: Order, to: OrderStatus) -> Order:
    """Take a step that fills nothing.

    Raises:
        IllegalTransition: the table has no such step, it leads nowhere else, or the state does not fit what was
            filled so far.
    """
    if to not in TRANSITIONS[order.status] or to is order.status or not _fits(order, to):
        raise _illegal(order, to)
    return replace(order, status=to)


def apply_fill(order: Order, qty: Decimal) -> Order:
    """Fill a part or the rest of an order.

    A partly filled order whose cancel is on its way stays PENDING_CANCEL.

    Raises:
        IllegalTransition: nothing can be filled in this state, or not this much.
    """
    if order.status not in FILLABLE:
        raise _illegal(order, OrderStatus.FILLED)
    if not 0 < qty <= order.leaves_qty:
        raise IllegalTransition(f"order {order.order_id}: a fill of {qty}; allowed: above 0, up to {order.leaves_qty}")
    with exact():
        cum_qty = order.cum_qty + qty
    if cum_qty == order.order_qty:
        status = OrderStatus.FILLED
    elif order.status is OrderStatus.PENDING_CANCEL:
        status = OrderStatus.PENDING_CANCEL
    else:
        status = OrderStatus.PARTIAL
    return replace(order, cum_qty=cum_qty, status=status, fills=order.fills + 1)


def _fits(order: Order, status: OrderStatus) -> bool:
    """Whether a state can be true of the quantities filled and left."""
    if status in _UNFILLED:
        return order.cum_qty == 0
    if status is OrderStatus.PARTIAL:
        return order.cum_qty > 0
    return status is not OrderStatus.FILLED


def _illegal(order: Order, to: OrderStatus) -> IllegalTransition:
    allowed = ", ".join(sorted(TRANSITIONS[order.status])) or "nothing, it has ended"
    filled = f"{order.cum_qty} of {order.order_qty} filled"
    return IllegalTransition(f"order {order.order_id}: from {order.status} to {to} with {filled}; allowed: {allowed}")
