"""Whether an order or a signal is still on its way, for strategies that want one at a time per symbol."""

from __future__ import annotations

from decimal import Decimal

from core.contracts import FillEvent, OrderStatus, OrderUpdate, RiskDecision, SizingDecision, order_id
from core.execution.order_state import TERMINAL
from strategies.state import Stateful


class InFlight(Stateful):
    """Follows one order from the wish to its end: denied, or ended with all of its fills seen.

    Every intent gets exactly one decision and every order one last update, so this never has to guess by the clock and
    can neither send twice nor wait for ever.

    Attributes:
        busy: True while an order may still come, rest or fill.
    """

    def __init__(self) -> None:
        self.busy = False
        self._order = ""  # known with the decision that allowed it; what is said of others does not count from then on
        self._filled = Decimal(0)
        self._due: Decimal | None = None

    def sent(self) -> None:
        """An intent goes out with this answer."""
        self.busy, self._order, self._filled, self._due = True, "", Decimal(0), None

    def on_decision(self, decision: RiskDecision) -> bool:
        """Hear the gate; True if it said no to what was on its way."""
        if not self.busy or self._order:
            return False
        if decision.allowed:
            self._order = order_id(decision.intent_id)
        self.busy = decision.allowed
        return not decision.allowed

    def on_fill(self, fill: FillEvent) -> None:
        """Count a fill."""
        self._filled += fill.qty
        self._settle()

    def on_order_update(self, update: OrderUpdate) -> bool:
        """Hear of a step; True if the order has ended without being filled completely."""
        if not self.busy or update.status not in TERMINAL or (self._order and update.order_id != self._order):
            return False
        self._due = update.cum_qty
        self._settle()
        return update.status is not OrderStatus.FILLED

    def _settle(self) -> None:
        if self._due is not None and self._filled >= self._due:
            self.busy = False


class SignalInFlight(Stateful):
    """Follows one signal from the strategy to its end: refused by the sizer, or all orders made of it at once ended.

    Orders that protect the position come later, with its fills. They are not waited for: the position says whether they
    have done their work.

    Attributes:
        asked: True until the sizer has answered.
    """

    def __init__(self) -> None:
        self.asked = False
        self._filled: dict[str, Decimal] = {}  # by order, for those that have not ended with all of their fills seen
        self._due: dict[str, Decimal] = {}  # what those have filled that have ended

    @property
    def busy(self) -> bool:
        """True while an order may still come, rest or fill."""
        return self.asked or bool(self._filled)

    def sent(self) -> None:
        """A signal goes out with this answer."""
        self.asked, self._filled, self._due = True, {}, {}

    def on_sizing(self, decision: SizingDecision) -> bool:
        """Hear the sizer; True if it said no."""
        if not self.asked:
            return False
        self.asked = False
        self._filled = {order_id(intent): Decimal(0) for intent in decision.intent_ids}
        return not decision.accepted

    def on_decision(self, decision: RiskDecision) -> bool:
        """Hear the gate; True if it said no to what was on its way."""
        return not decision.allowed and self._filled.pop(order_id(decision.intent_id), None) is not None

    def on_fill(self, fill: FillEvent) -> None:
        """Count a fill."""
        if fill.order_id in self._filled:
            self._filled[fill.order_id] += fill.qty
            self._settle(fill.order_id)

    def on_order_update(self, update: OrderUpdate) -> bool:
        """Hear of a step; True if an order has ended without being filled completely."""
        if update.status not in TERMINAL or update.order_id not in self._filled:
            return False
        self._due[update.order_id] = update.cum_qty
        self._settle(update.order_id)
        return update.status is not OrderStatus.FILLED

    def _settle(self, order: str) -> None:
        if order in self._due and self._filled[order] >= self._due[order]:
            del self._filled[order], self._due[order]
