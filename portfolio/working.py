"""The orders that the sizer has asked for and that have not ended, from the intent to the last fill."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import takewhile
from typing import Any, Literal

from core import codec
from core.contracts import FillEvent, OrderIntent, OrderType, OrderUpdate, Protection, RiskDecision, Side, order_id
from core.execution.order_state import TERMINAL
from core.ledger.exact import ZERO, exact
from core.risk.opening import Exposure

Role = Literal["open", "close"] | Protection

PROTECTIVE: tuple[Protection, Protection] = ("stop", "take")
"""Roles of the orders that close a position at a price."""

ORDER_TYPES: dict[Role, OrderType] = {"open": "market", "close": "market", "stop": "stop", "take": "limit"}


@dataclass(slots=True)
class WorkingOrder:
    """One order on its way.

    Attributes:
        intent_id: the intent it was asked for with.
        strategy_id: whose.
        symbol: ccxt unified symbol.
        side: "buy" or "sell".
        qty: base units asked for.
        role: what it is for.
        price: quote units per base unit: of an opening the worst it counts at, of a protection where it triggers; 0 for
            a close.
        signal_id: the signal that it stems from.
        stop_loss: of an opening: where the position is to be closed at a loss.
        take_profit: of an opening: where it is to be closed at a profit.
        accepted: True once the gate has let it pass.
        unwanted: True once it is to be canceled; that is said as soon as the venue can know the order.
        filled: base units filled so far, by the fills that were seen.
        due: base units that it ended with; None while it has not ended.
    """

    intent_id: str
    strategy_id: str
    symbol: str
    side: Side
    qty: Decimal
    role: Role
    price: Decimal
    signal_id: str
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    accepted: bool = False
    unwanted: bool = False
    filled: Decimal = ZERO
    due: Decimal | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Strategy and symbol, which is what a position belongs to."""
        return self.strategy_id, self.symbol

    @property
    def order_id(self) -> str:
        """The id of the order that the intent becomes."""
        return order_id(self.intent_id)

    @property
    def leaves(self) -> Decimal:
        """Base units that may still be filled."""
        with exact():
            return max((self.qty if self.due is None else self.due) - self.filled, ZERO)

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it: it has ended, and all of its fills were seen."""
        return self.due is not None and not self.leaves

    def intent(self) -> OrderIntent:
        """The wish for it; all but an opening may only make the position smaller.

        It is a wish of its own, without a key: the sizer forgets sooner than the gate, and an order that the gate
        answered as another, older one would be waited for without end.
        """
        return OrderIntent(
            strategy_id=self.strategy_id,
            symbol=self.symbol,
            side=self.side,
            type=ORDER_TYPES[self.role],
            qty=self.qty,
            limit_price=self.price if self.role == "take" else None,
            intent_id=self.intent_id,
            stop_price=self.price if self.role == "stop" else None,
            reduce_only=self.role != "open",
            signal_id=self.signal_id,
        )

    def exposure(self, mark: Decimal) -> Exposure:
        """What the rest of an opening may still add, or of a close take away, at its worst price or the market's.

        Args:
            mark: quote units per base unit.
        """
        with exact():
            notional = self.leaves * max(self.price, mark)
        signed = notional if self.side == "buy" else notional.copy_negate()
        return Exposure(self.strategy_id, self.symbol, signed, pending=True, closing=self.role != "open")


class WorkingOrders:
    """Follows orders by the gate's decisions, the venue's updates and the fills.

    Every intent gets one decision and every order one last update, so nothing is guessed by the clock. An order counts
    until it was denied, or has ended and all of its fills were seen.
    """

    def __init__(self) -> None:
        self._orders: dict[str, WorkingOrder] = {}
        self._intents: dict[str, str] = {}

    def __iter__(self) -> Iterator[WorkingOrder]:
        return iter(self._orders.values())

    def of(self, key: tuple[str, str]) -> list[WorkingOrder]:
        """Those of one strategy in one symbol, the oldest first."""
        return [order for order in self if order.key == key]

    def add(self, order: WorkingOrder) -> None:
        """Follow a new one."""
        self._orders[order.order_id] = order
        self._intents[order.intent_id] = order.order_id

    def decided(self, decision: RiskDecision) -> WorkingOrder | None:
        """Hear the gate; the order that this is about, if it is one of these and was not decided before.

        The gate answers in the order of the intents. An earlier one that has no answer by now, of a memory from when
        they had keys, was answered as another, and will not become an order.
        """
        order = self._orders.get(self._intents.get(decision.intent_id, ""))
        if order is None or order.accepted:
            return None
        for earlier in [*takewhile(lambda each: each is not order, self)]:
            if not earlier.accepted:
                self._forget(earlier)
        order.accepted = decision.allowed
        if not decision.allowed:
            self._forget(order)
        return order

    @exact()
    def filled(self, fill: FillEvent) -> WorkingOrder | None:
        """Count a fill; the order that it belongs to, if it is one of these."""
        order = self._orders.get(fill.order_id)
        if order is not None:
            order.filled += fill.qty
            self._settle(order)
        return order

    def updated(self, update: OrderUpdate) -> WorkingOrder | None:
        """Hear of a step; the order, if it is one of these and has ended with it."""
        order = self._orders.get(update.order_id)
        if order is None or update.status not in TERMINAL:
            return None
        order.due = update.cum_qty
        self._settle(order)
        return order

    def _settle(self, order: WorkingOrder) -> None:
        if order.ended:
            self._forget(order)

    def _forget(self, order: WorkingOrder) -> None:
        del self._orders[order.order_id], self._intents[order.intent_id]

    def snapshot(self) -> list[Any]:
        """All of them as JSON values, the oldest first."""
        return [codec.to_builtins(order) for order in self]

    def restore(self, state: list[Any]) -> None:
        """Become what `snapshot` described."""
        self._orders.clear()
        self._intents.clear()
        for row in state:
            self.add(codec.convert(row, WorkingOrder))
