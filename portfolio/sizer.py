"""Signals to orders: how much, and whether at all.

Every signal gets one decision. A signal to open leads to a market order as large as the policy and every limit allow,
with everything counted that is on its way already. A signal to close leads to one for the whole position of that
strategy in that symbol; no limit stands in its way, and a second one is refused while the first may still fill. The
same signal id of the same strategy gets the stored decision again and no second order, as long as it is remembered.

A close takes the stop and the target away when the gate has let it pass, not before: one that is denied, in a halt
say, must not leave the position without them. Meanwhile nothing can be sold twice, because all of them may only reduce.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core import topics
from core.contracts import (
    Event,
    FillEvent,
    Malformed,
    OHLCVBar,
    OrderUpdate,
    RiskCheck,
    RiskDecision,
    Signal,
    SignalIntention,
    SizingDecision,
    SizingReason,
    TradeEvent,
    Watermark,
    signal_id,
)
from core.handler import At, State
from core.ledger.exact import ZERO
from core.risk.rules import brief
from portfolio.account import Account
from portfolio.answer import Answer, cancel_of
from portfolio.memory import SizingMemory
from portfolio.openings import Openings, acceptance, refusal
from portfolio.protection import Protections
from portfolio.settings import ManagerSettings
from portfolio.volatility import MinuteCloses
from portfolio.working import PROTECTIVE, Role, WorkingOrder, WorkingOrders

_OPENINGS = frozenset({SignalIntention.OPEN_LONG, SignalIntention.OPEN_SHORT})


class Sizer:
    """Handler: signals in, sizing decisions and intents out; follows its orders to their end.

    The account's books must already hold an event when this hears of it.
    """

    def __init__(self, settings: ManagerSettings, account: Account) -> None:
        """
        Args:
            settings: policy, shares and instruments.
            account: the books, which somebody else keeps.
        """
        self._account = account
        self._instruments = {instrument.symbol: instrument for instrument in settings.instruments}
        self._working = WorkingOrders()
        self._decisions = SizingMemory()
        self._closes = MinuteCloses(settings.policy.sizing.volatility_bars, self._instruments)
        self._openings = Openings(settings, account, self._working, self._closes)
        self._protections = Protections(account, self._working, self._instruments, settings.policy.execution_controls)

    def on_event(self, event: Event, at: At) -> Sequence[Event]:
        """Answer a signal; follow fills, decisions, updates, bars and the clock."""
        if isinstance(event, TradeEvent):  # most events are; the account has heard it
            return ()
        answer = Answer(at)
        if isinstance(event, Signal):
            self._on_signal(event, answer)
        elif isinstance(event, Watermark):
            self._protections.on_clock(event.symbol, answer)
        elif isinstance(event, FillEvent):
            self._on_fill(event, answer)
        elif isinstance(event, RiskDecision):
            self._on_decision(event, answer)
        elif isinstance(event, OrderUpdate):
            self._on_update(event, answer)
        elif isinstance(event, OHLCVBar):
            self._closes.hear(event)
        elif isinstance(event, Malformed):
            self._on_malformed(event, answer)
        return answer.said

    def _on_signal(self, signal: Signal, answer: Answer) -> None:
        if not signal.signal_id:
            signal = replace(signal, signal_id=signal_id(signal.strategy_id, answer.at.seq, 0))
        stored = self._decisions.get(signal.strategy_id, signal.signal_id)
        if stored is not None:
            answer.said.append(stored)
            return
        decide = self._openings.decide if signal.intention in _OPENINGS else self._close
        decision, order = decide(signal, answer)
        self._decisions.put(decision)
        answer.said.append(decision)
        if order is not None:
            if order.role == "close":
                self._cancel(order.key, ("open",), answer)
            answer.order(order, self._working)

    def _cancel(self, key: tuple[str, str], roles: tuple[Role, ...], answer: Answer) -> None:
        for order in self._working.of(key):
            if order.role in roles:
                answer.cancel(order)

    def _close(self, signal: Signal, answer: Answer) -> tuple[SizingDecision, WorkingOrder | None]:
        """The decision on a signal to close, and the order that it leads to if it is accepted."""
        held = self._account.held(signal.strategy_id, signal.symbol)
        long = signal.intention is SignalIntention.CLOSE_LONG
        if not held or (held > 0) is not long:
            return _nothing(signal, SizingReason.NOTHING_TO_CLOSE, f"{held:f}", "a position of this direction")
        if any(order.role == "close" for order in self._working.of((signal.strategy_id, signal.symbol))):
            return _nothing(signal, SizingReason.ALREADY_CLOSING, f"{held:f}", "no close on its way")
        instrument = self._instruments.get(signal.symbol)  # without one the gate says no, and says why
        qty = abs(held) if instrument is None else instrument.quantize_qty(abs(held))
        if not qty:
            return _nothing(signal, SizingReason.BELOW_MINIMUM, f"{held:f}", "a lot")
        order = WorkingOrder(
            intent_id=answer.next_id(signal.strategy_id),
            strategy_id=signal.strategy_id,
            symbol=signal.symbol,
            side="sell" if long else "buy",
            qty=qty,
            role="close",
            price=ZERO,
            signal_id=signal.signal_id,
        )
        return acceptance(signal, order), order

    def _on_fill(self, fill: FillEvent, answer: Answer) -> None:
        order = self._working.filled(fill)
        if order is not None and order.role == "open":
            self._protections.opened(order)
        self._protections.follow((fill.strategy_id, fill.symbol), answer)

    def _on_decision(self, decision: RiskDecision, answer: Answer) -> None:
        order = self._working.decided(decision)
        if order is None:
            return
        if not order.accepted:
            self._protections.failed(order, str(decision.reason or ""), answer)
        elif order.unwanted:
            answer.said.append(cancel_of(order))
        elif order.role == "close":
            self._cancel(order.key, PROTECTIVE, answer)
        self._protections.follow(order.key, answer)

    def _on_update(self, update: OrderUpdate, answer: Answer) -> None:
        order = self._working.updated(update)
        if order is None:
            return
        if update.cum_qty < update.order_qty:
            self._protections.failed(order, update.reason or update.status.value, answer)
        self._protections.follow(order.key, answer)

    def _on_malformed(self, event: Malformed, answer: Answer) -> None:
        """Answer what was no signal, if it says which one it wanted to be; this does not use up the id."""
        if event.topic != topics.STRAT_SIGNAL.name or not event.intent_id:
            return
        reason = SizingReason.MALFORMED
        check = RiskCheck(reason.value, False, brief(event.error), "a readable signal")
        stored = self._decisions.find(event.intent_id)
        answer.said.append(stored or SizingDecision(event.intent_id, False, reason, checks=(check,)))

    def snapshot(self) -> State:
        """Everything that a later answer depends on, but the account."""
        return {
            "working": self._working.snapshot(),
            "protections": self._protections.snapshot(),
            "decisions": self._decisions.snapshot(),
            "closes": self._closes.snapshot(),
        }

    def restore(self, state: State) -> None:
        """Become what `snapshot` described."""
        self._working.restore(state["working"])
        self._protections.restore(state["protections"])
        self._decisions.restore(state["decisions"])
        self._closes.restore(state["closes"])


def _nothing(signal: Signal, reason: SizingReason, value: str, allowed: str) -> tuple[SizingDecision, None]:
    return refusal(signal, reason, (RiskCheck(reason.value, False, value, allowed),)), None
