"""What the sizer says to one event: collected in order, with an id for every order."""

from __future__ import annotations

from collections import Counter

from core.contracts import CancelIntent, Event, intent_id
from core.handler import At
from portfolio.working import WorkingOrder, WorkingOrders

MARK = "\0sizer"
"""Behind a strategy's id, so that no intent of its own to the same event can have the same id."""


class Answer:
    """The outputs of one event.

    Attributes:
        at: place and times of the event.
        said: the outputs so far.
    """

    def __init__(self, at: At) -> None:
        self.at = at
        self.said: list[Event] = []
        self._counts: Counter[str] = Counter()

    def next_id(self, strategy_id: str) -> str:
        """The id of a new intent for a strategy."""
        ordinal = self._counts[strategy_id]
        self._counts[strategy_id] += 1
        return intent_id(strategy_id + MARK, self.at.seq, ordinal)

    def order(self, order: WorkingOrder, working: WorkingOrders) -> None:
        """Ask for an order and follow it."""
        working.add(order)
        self.said.append(order.intent())

    def cancel(self, order: WorkingOrder) -> None:
        """Take an order back, once; one that is filled whole is left alone.

        The venue hears of an order with the gate's decision. Before that a cancel would overtake it and be lost, so it
        is said with the decision.
        """
        if order.unwanted or not order.leaves:
            return
        order.unwanted = True
        if order.accepted:
            self.said.append(cancel_of(order))


def cancel_of(order: WorkingOrder) -> CancelIntent:
    """The wish to take an order back."""
    return CancelIntent(order.strategy_id, order.order_id, order.symbol)
