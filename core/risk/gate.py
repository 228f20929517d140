"""The gate: every intent gets one decision, and becomes an order only if every check passed.

It starts halted: until its shell has observed the kill switch, nothing is allowed. An intent that was denied because
trading was halted has not been judged, so sending it again after the halt is no duplicate; every other decision
is final, and the same intent id, or the same idempotency key of the same strategy, gets it again without a second
order.

It knows from the fills what every strategy holds, because closing must stay possible where opening has ended: see
`core.risk.rules.closes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

from core import codec, topics
from core.contracts import (
    DenialReason,
    Event,
    FillEvent,
    Halt,
    Malformed,
    OrderEvent,
    OrderIntent,
    PnlDay,
    Resume,
    RiskCheck,
    RiskDecision,
    TradeEvent,
    intent_id,
    order_id,
)
from core.errors import LedgerError
from core.handler import At, Content, Service, State
from core.ledger.holdings import Holdings
from core.risk.bucket import Bucket
from core.risk.memory import DecisionMemory
from core.risk.rules import RULES, Case, LastTrade, PnlNow, brief, closes
from core.risk.settings import GateSettings

HOLDINGS_MAX = 2_000
"""So many positions of strategies are known, twice as many as the paper venue lets be opened; of one beyond them the
gate knows nothing, and denies to reduce it."""

NOT_OBSERVED = "the kill switch has not been observed yet"


class RiskGate:
    """Decides on intents; a handler."""

    def __init__(self, settings: GateSettings) -> None:
        """
        Args:
            settings: caps, instruments and the venue of the orders.
        """
        self._settings = settings
        self._instruments = {instrument.symbol: instrument for instrument in settings.instruments}
        risk = settings.risk
        self._caps = {
            "per_order_usd_cap": str(risk.per_order_usd_cap),
            "daily_loss_usd_cap": str(risk.daily_loss_usd_cap),
            "orders_per_min_cap": str(risk.orders_per_min_cap),
        }
        self._halted = NOT_OBSERVED
        self._trades: dict[str, LastTrade] = {}
        self._pnl: PnlNow | None = None
        self._buckets: dict[str, Bucket] = {}
        self._closing_buckets: dict[str, Bucket] = {}
        self._held = Holdings()
        self._decisions = DecisionMemory()

    def on_event(self, event: Event, at: At) -> Sequence[Event]:
        """Answer an intent with its decision, followed by the order if allowed; remember everything else."""
        if isinstance(event, TradeEvent):
            if event.symbol in self._instruments:
                self._trades[event.symbol] = LastTrade(event.price, event.ts, 0 if event.late else at.ts_ns)
        elif isinstance(event, OrderIntent):
            return self._decide(event, at)
        elif isinstance(event, FillEvent):
            self._hold(event)
        elif isinstance(event, Malformed):
            return self._refuse(event)
        elif isinstance(event, PnlDay):
            self._pnl = PnlNow(event.pnl, event.market_ns)
        elif isinstance(event, Halt):
            self._halted = event.reason or "tripped"
        elif isinstance(event, Resume):
            self._halted = ""
        return ()

    def _hold(self, fill: FillEvent) -> None:
        """Count a fill, of a symbol that is not configured now as well: it may be again, and the position remains."""
        if len(self._held) >= HOLDINGS_MAX and not self._held.qty(fill.strategy_id, fill.symbol):
            return
        with suppress(LedgerError):  # a number out of all proportion is nobody's position
            self._held.apply(fill.strategy_id, fill.symbol, fill.side, fill.qty)

    def _decide(self, intent: OrderIntent, at: At) -> Sequence[Event]:
        if not intent.intent_id:
            intent = replace(intent, intent_id=intent_id(intent.strategy_id, at.seq, 0))
        key = intent.idempotency_key
        stored = self._decisions.get(intent.intent_id) or self._decisions.get_by_key(intent.strategy_id, key)
        if stored is not None:
            return (stored,)
        reducible = self._held.reducible(intent.strategy_id, intent.symbol, intent.side)
        bucket = self._bucket(intent.symbol, at, closing=closes(intent, reducible))
        case = self._case(intent, at, bucket, reducible)
        decision = self._decision(intent, tuple(rule(case) for rule in RULES))
        if decision.reason is not DenialReason.HALTED:
            self._decisions.put(decision, key)
        if not decision.allowed:
            return (decision,)
        bucket.take()
        return (decision, self._order(intent, at))

    def _bucket(self, symbol: str, at: At, *, closing: bool) -> Bucket:
        """The rate cap of a symbol on market time; before any is known, nothing drips in.

        Orders that close draw from one of their own, which those that open cannot use up. Sequencer time is no
        stand-in: a replayed market may be years behind it.
        """
        cap = self._settings.risk.orders_per_min_cap
        if symbol not in self._instruments:
            return Bucket.full(cap)  # denied in any case; what anybody may name must not fill the memory
        buckets = self._closing_buckets if closing else self._buckets
        bucket = buckets.setdefault(symbol, Bucket.full(cap))
        if at.market_ns > 0:
            bucket.refill(at.market_ns)
        return bucket

    def _case(self, intent: OrderIntent, at: At, bucket: Bucket, reducible: Decimal) -> Case:
        return Case(
            intent=intent,
            at=at,
            settings=self._settings,
            halted=self._halted,
            instrument=self._instruments.get(intent.symbol),
            trade=self._trades.get(intent.symbol),
            pnl=self._pnl,
            tokens=bucket.tokens,
            reducible=reducible,
        )

    def _decision(self, intent: OrderIntent, checks: tuple[RiskCheck, ...]) -> RiskDecision:
        failed = next((check.name for check in checks if not check.passed), None)
        return RiskDecision(
            intent_id=intent.intent_id,
            allowed=failed is None,
            reason=None if failed is None else DenialReason(failed),
            caps=self._caps,
            checks=checks,
            strategy_id=intent.strategy_id,
            symbol=intent.symbol,
        )

    def _order(self, intent: OrderIntent, at: At) -> OrderEvent:
        return OrderEvent(
            intent_id=intent.intent_id,
            venue=self._settings.venue,
            symbol=intent.symbol,
            side=intent.side,
            type=intent.type,
            qty=intent.qty,
            ts_accepted_ns=at.ts_ns,
            order_id=order_id(intent.intent_id),
            strategy_id=intent.strategy_id,
            limit_price=intent.limit_price if intent.type == "limit" else None,
            stop_price=intent.stop_price,
            reduce_only=intent.reduce_only,
            idempotency_key=intent.idempotency_key or intent.intent_id,
        )

    def _refuse(self, event: Malformed) -> Sequence[Event]:
        """Answer what was no intent, if it says which one it wanted to be; this does not use up the id."""
        if event.topic != topics.STRAT_INTENT.name or not event.intent_id:
            return ()
        stored = self._decisions.get(event.intent_id)
        if stored is not None:
            return (stored,)
        reason = DenialReason.MALFORMED
        check = RiskCheck(reason.value, False, brief(event.error), "a readable intent")
        return (RiskDecision(event.intent_id, False, reason, self._caps, (check,)),)

    def snapshot(self) -> State:
        """Everything that a later decision depends on."""
        return {
            "halted": self._halted,
            "trades": {symbol: list(trade) for symbol, trade in self._trades.items()},
            "pnl": None if self._pnl is None else [str(self._pnl.pnl), self._pnl.market_ns],
            "buckets": _levels(self._buckets),
            "closing_buckets": _levels(self._closing_buckets),
            "held": self._held.snapshot(),
            "decisions": self._decisions.snapshot(),
        }

    def restore(self, state: State) -> None:
        """Become what `snapshot` described; symbols that are not configured any more are forgotten.

        Orders already counted stay counted under another rate cap: a bucket keeps its level, up to the new capacity.
        """
        self._halted = state["halted"]
        known = self._instruments
        self._trades = {symbol: LastTrade(*trade) for symbol, trade in state["trades"].items() if symbol in known}
        self._pnl = None if state["pnl"] is None else PnlNow(Decimal(state["pnl"][0]), state["pnl"][1])
        self._buckets = self._restored_buckets(state["buckets"])
        self._closing_buckets = self._restored_buckets(state.get("closing_buckets", {}))
        self._held.restore(state.get("held", []))
        self._decisions.restore(state["decisions"])

    def _restored_buckets(self, levels: dict[str, list[Any]]) -> dict[str, Bucket]:
        full = Bucket.full(self._settings.risk.orders_per_min_cap)
        return {
            symbol: Bucket(full.cap_per_min, min(level, full.level), at_ns)
            for symbol, (level, at_ns) in levels.items()
            if symbol in self._instruments
        }


def _levels(buckets: dict[str, Bucket]) -> dict[str, list[Any]]:
    return {symbol: [bucket.level, bucket.at_ns] for symbol, bucket in buckets.items()}


def _inputs(content: Content) -> Sequence[str]:
    read = (topics.STRAT_INTENT, topics.MD_TRADES, topics.CLOCK_MARKET, topics.PNL_DAY, topics.FILLS_NEW)
    return tuple(topic.pattern for topic in read)


def _build(content: Content) -> RiskGate:
    return RiskGate(codec.convert(content, GateSettings))


SERVICE = Service(name="risk_engine", inputs=_inputs, build=_build)
"""The risk engine: live, in the kernel and in a replay."""
