"""Stops and targets: the orders that close a position at a price, for as much as is held.

The plan of a position comes with the first fill of its opening order. Whatever changes what is held, the orders follow:
a new one is asked for first, and the old one is canceled when the gate has let the new one pass, so that the position
is never without. All of them may only reduce, so too many of them cannot turn it. When the position is flat, what is
left of them is canceled.

A protection that is denied, rejected or taken away is asked for again on the market's clock, each time after twice as
long, so often as the policy says; each failure is an event, and the last one says that it is the last. Failures count
from zero when the position grows, and when the order has rested for one more pause. A denial because trading is halted
does not use up the count, since nothing was judged: as long as the halt lasts it is asked for again, after pauses that
stop growing, so that a position is not left alone by a halt that was longer than all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from core import codec
from core.contracts import DenialReason, Instrument, Protection, ProtectionFailed, Side
from core.risk.policy import ExecutionControls
from portfolio.account import Account
from portfolio.answer import Answer
from portfolio.working import PROTECTIVE, WorkingOrder, WorkingOrders

Key = tuple[str, str]
"""Strategy and symbol, which is what a position belongs to."""

HALT_DOUBLINGS = 6
"""So often the pause doubles in a halt: after it, a stop that is missing must not be missing for long."""


@dataclass(slots=True)
class _Leg:
    """One price of a plan.

    Attributes:
        price: quote units per base unit, on the tick.
        failures: how often its order has failed, denials in a halt not counted.
        retry_ns: market time from which it may be asked for again, ns UTC; 0 where nothing has failed.
        attempts: how often its order has failed in all.
        told: whether somebody was told that it is given up.
    """

    price: Decimal
    failures: int = 0
    retry_ns: int = 0
    attempts: int = 0
    told: bool = False


@dataclass(slots=True)
class _Plan:
    """How a position is protected.

    Attributes:
        side: of the orders that close it.
        signal_id: the signal that said so.
        legs: "stop" and "take", as far as the signal named them.
    """

    side: Side
    signal_id: str
    legs: dict[Protection, _Leg] = field(default_factory=dict)


class Protections:
    """The plans of all positions, and the orders that carry them out."""

    def __init__(
        self,
        account: Account,
        working: WorkingOrders,
        instruments: dict[str, Instrument],
        controls: ExecutionControls,
    ) -> None:
        self._account = account
        self._working = working
        self._instruments = instruments
        self._controls = controls
        self._plans: dict[Key, _Plan] = {}

    def opened(self, order: WorkingOrder) -> None:
        """An opening order has been filled, in part or whole: its prices count for all that is held.

        A price that it does not name stays what it was; failures count from zero.
        """
        side: Side = "sell" if order.side == "buy" else "buy"
        plan = self._plans.get(order.key)
        if plan is None or plan.side != side:
            plan = _Plan(side, order.signal_id)
        plan.signal_id = order.signal_id
        named: dict[Protection, Decimal | None] = {"stop": order.stop_loss, "take": order.take_profit}
        for protection in PROTECTIVE:
            price = named[protection]
            if price is None and protection in plan.legs:
                price = plan.legs[protection].price
            if price is not None:
                plan.legs[protection] = _Leg(price)
        if plan.legs:
            self._plans[order.key] = plan

    def failed(self, order: WorkingOrder, reason: str, answer: Answer) -> None:
        """A protecting order has not come to be, or is gone, and nobody had asked for that."""
        plan, qty = self._plans.get(order.key), self._account.held(*order.key)
        if plan is None or order.role == "open" or order.role == "close" or not qty or order.unwanted:
            return
        leg = plan.legs.get(order.role)
        if leg is None:
            return
        halted = reason == DenialReason.HALTED
        leg.attempts += 1
        leg.failures += not halted
        leg.told = not halted and leg.failures > self._controls.protection_retries
        leg.retry_ns = answer.at.market_ns + self._pause_ns(leg, halted=halted)
        answer.said.append(
            ProtectionFailed(
                strategy_id=order.strategy_id,
                symbol=order.symbol,
                qty=qty,
                protection=order.role,
                price=leg.price,
                reason=reason,
                attempts=leg.attempts,
                final=leg.told,
            )
        )

    def _pause_ns(self, leg: _Leg, *, halted: bool = False) -> int:
        """How long after a failure it is asked for again."""
        count, most = (leg.attempts, HALT_DOUBLINGS) if halted else (leg.failures, self._controls.protection_retries)
        return self._controls.protection_retry_ns << min(max(count - 1, 0), most)

    def on_clock(self, symbol: str, answer: Answer) -> None:
        """Ask again for what is due; nothing else waits for the clock."""
        failed = [key for key, plan in self._plans.items() if any(leg.retry_ns for leg in plan.legs.values())]
        for key in failed:
            if key[1] == symbol:
                self.follow(key, answer)

    def follow(self, key: Key, answer: Answer) -> None:
        """Bring the orders of a position in line with what is held."""
        plan, qty = self._plans.get(key), self._account.held(*key)
        orders = self._working.of(key)
        if plan is None or not qty or (qty > 0) is not (plan.side == "sell"):
            self._plans.pop(key, None)
            for order in orders:
                if order.role in PROTECTIVE:
                    answer.cancel(order)
            return
        if any(order.role == "close" for order in orders):
            return
        instrument = self._instruments.get(key[1])
        qty = abs(qty) if instrument is None else instrument.quantize_qty(abs(qty))
        for protection in PROTECTIVE:
            if protection in plan.legs:
                same = [order for order in orders if order.role == protection and not order.unwanted]
                self._follow_leg(plan, key, protection, qty=qty, orders=same, answer=answer)

    def _follow_leg(
        self, plan: _Plan, key: Key, protection: Protection, *, qty: Decimal, orders: list[WorkingOrder], answer: Answer
    ) -> None:
        leg = plan.legs[protection]
        fitting = [order for order in orders if order.leaves == qty and order.price == leg.price]
        if any(order.accepted for order in fitting):
            for order in orders:
                if order not in fitting:
                    answer.cancel(order)
            if leg.retry_ns and answer.at.market_ns >= leg.retry_ns + self._pause_ns(leg):
                plan.legs[protection] = _Leg(leg.price)
        elif not fitting and qty and not self._given_up(leg) and answer.at.market_ns >= leg.retry_ns:
            order = WorkingOrder(
                intent_id=answer.next_id(key[0]),
                strategy_id=key[0],
                symbol=key[1],
                side=plan.side,
                qty=qty,
                role=protection,
                price=leg.price,
                signal_id=plan.signal_id,
            )
            answer.order(order, self._working)

    def _given_up(self, leg: _Leg) -> bool:
        """Whether the count is used up; a lower count of a new policy counts with the next failure, which tells it."""
        return leg.told and leg.failures > self._controls.protection_retries

    def snapshot(self) -> list[Any]:
        """All plans as JSON values."""
        return [[*key, codec.to_builtins(plan)] for key, plan in self._plans.items()]

    def restore(self, state: list[Any]) -> None:
        """Become what `snapshot` described."""
        self._plans = {(strategy_id, symbol): codec.convert(row, _Plan) for strategy_id, symbol, row in state}
