"""From a strategy's wish to an order's fate."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from core.contracts.base import Event, refuse, require_in, require_short, require_text, set_decimal
from core.contracts.enums import (
    ORDER_TYPES,
    SIDES,
    DenialReason,
    OrderStatus,
    OrderType,
    Side,
    SignalIntention,
    SizingReason,
)


@dataclass(frozen=True, slots=True)
class Signal(Event):
    """A strategy's opinion, without a quantity; the sizer makes intents of it, or says why not.

    Attributes:
        strategy_id: whose opinion.
        symbol: ccxt unified symbol.
        intention: what is wanted.
        price: the price at which it was formed, quote units per base unit; None for the market's last.
        confidence: share of the full size, above 0 and at most 1.
        stop_loss: price at which the position is to be closed at a loss; None for none.
        take_profit: price at which it is to be closed at a profit; None for none.
        signal_id: derived from strategy, cause and ordinal; empty until the host assigns it.
    """

    strategy_id: str
    symbol: str
    intention: SignalIntention
    price: Decimal | None = None
    confidence: float = 1.0
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    signal_id: str = ""

    def __post_init__(self) -> None:
        require_text(self, "strategy_id", self.strategy_id)
        require_text(self, "symbol", self.symbol)
        for name in ("strategy_id", "symbol", "signal_id"):
            require_short(self, name, getattr(self, name))
        require_in(self, "intention", self.intention, frozenset(SignalIntention))
        object.__setattr__(self, "intention", SignalIntention(self.intention))
        for name in ("price", "stop_loss", "take_profit"):
            if getattr(self, name) is not None:
                set_decimal(self, name)
                if getattr(self, name) <= 0:
                    raise refuse(self, name, getattr(self, name), "above 0")
        if not 0.0 < self.confidence <= 1.0:
            raise refuse(self, "confidence", self.confidence, "above 0, at most 1")


@dataclass(frozen=True, slots=True)
class OrderIntent(Event):
    """A strategy's wish to trade; not an order until the gate has allowed it.

    Attributes:
        strategy_id: who wishes.
        symbol: ccxt unified symbol.
        side: "buy" or "sell".
        type: "market", "limit", or "stop", which becomes a market order when the last trade reaches `stop_price`.
        qty: base units; must be above 0 to be allowed.
        limit_price: quote units per base unit; None but for a limit order.
        intent_id: derived from strategy, cause and ordinal; empty until the host assigns it.
        stop_price: quote units per base unit; None but for a stop order.
        reduce_only: True for an order that may only make the strategy's own position smaller, never turn it.
        idempotency_key: wishes of the same key are one wish, answered once; empty stands for the intent id.
        signal_id: the signal that the sizer made it of; empty for a strategy's own intent.
    """

    strategy_id: str
    symbol: str
    side: Side
    type: OrderType
    qty: Decimal
    limit_price: Decimal | None = None
    intent_id: str = ""
    stop_price: Decimal | None = None
    reduce_only: bool = False
    idempotency_key: str = ""
    signal_id: str = ""

    def __post_init__(self) -> None:
        require_text(self, "strategy_id", self.strategy_id)
        require_text(self, "symbol", self.symbol)
        require_in(self, "side", self.side, SIDES)
        require_in(self, "type", self.type, ORDER_TYPES)
        for name in ("strategy_id", "symbol", "intent_id", "idempotency_key", "signal_id"):
            require_short(self, name, getattr(self, name))
        set_decimal(self, "qty")
        for name in ("limit_price", "stop_price"):
            if getattr(self, name) is not None:
                set_decimal(self, name)


@dataclass(frozen=True, slots=True)
class CancelIntent(Event):
    """A wish to take a resting order back; never blocked by a limit.

    Attributes:
        strategy_id: who wishes; only its own orders can be cancelled.
        order_id: which order.
        symbol: ccxt unified symbol of the order.
    """

    strategy_id: str
    order_id: str
    symbol: str

    def __post_init__(self) -> None:
        require_text(self, "strategy_id", self.strategy_id)
        require_text(self, "order_id", self.order_id)
        require_text(self, "symbol", self.symbol)


@dataclass(frozen=True, slots=True)
class RiskCheck(Event):
    """One check of one decision.

    Attributes:
        name: which check.
        passed: whether it held.
        value: what was observed; empty where it could not be known.
        limit: what was allowed.
    """

    name: str
    passed: bool
    value: str
    limit: str


@dataclass(frozen=True, slots=True)
class SizingDecision(Event):
    """The sizer's answer to one signal.

    Attributes:
        signal_id: which signal.
        accepted: True if intents follow.
        reason: why not; None when accepted.
        qty: base units of the order that opens or closes; 0 when refused.
        intent_ids: the intents made of it now; those that protect the position come with its fills.
        checks: every limit that was looked at, with the quantity that it left, base units.
        strategy_id: whose signal.
        symbol: ccxt unified symbol.
    """

    signal_id: str
    accepted: bool
    reason: SizingReason | None = None
    qty: Decimal = Decimal(0)
    intent_ids: tuple[str, ...] = ()
    checks: tuple[RiskCheck, ...] = ()
    strategy_id: str = ""
    symbol: str = ""

    def __post_init__(self) -> None:
        set_decimal(self, "qty")


@dataclass(frozen=True, slots=True)
class RiskDecision(Event):
    """The gate's answer to one intent.

    Attributes:
        intent_id: which intent.
        allowed: True if an order was forwarded.
        reason: why not; None when allowed.
        caps: the caps in force, by name.
        checks: every check made, in order; all of them, also behind the first that failed.
        strategy_id: whose intent.
        symbol: ccxt unified symbol.
    """

    intent_id: str
    allowed: bool
    reason: DenialReason | None = None
    caps: dict[str, str] = field(default_factory=dict)
    checks: tuple[RiskCheck, ...] = ()
    strategy_id: str = ""
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class OrderEvent(Event):
    """An order that the gate has allowed.

    Attributes:
        intent_id: the intent it stems from.
        venue: where it goes; "paper" for simulated fills.
        symbol: ccxt unified symbol.
        side: "buy" or "sell".
        type: "market", "limit" or "stop".
        qty: base units, above 0.
        ts_accepted_ns: sequencer time of the intent, ns UTC.
        order_id: ours, derived from the intent id, at most 32 characters; also the client order id.
        strategy_id: whose order.
        limit_price: quote units per base unit; None but for a limit order.
        stop_price: quote units per base unit; None but for a stop order.
        reduce_only: True for an order that may only make the strategy's own position smaller.
        idempotency_key: the intent's.
    """

    intent_id: str
    venue: str
    symbol: str
    side: Side
    type: OrderType
    qty: Decimal
    ts_accepted_ns: int
    order_id: str = ""
    strategy_id: str = ""
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    reduce_only: bool = False
    idempotency_key: str = ""

    def __post_init__(self) -> None:
        require_text(self, "symbol", self.symbol)
        require_in(self, "side", self.side, SIDES)
        require_in(self, "type", self.type, ORDER_TYPES)
        set_decimal(self, "qty")
        for name in ("limit_price", "stop_price"):
            if getattr(self, name) is not None:
                set_decimal(self, name)


@dataclass(frozen=True, slots=True)
class OrderUpdate(Event):
    """A step in an order's life; `order_qty == cum_qty + leaves_qty` always.

    Attributes:
        order_id: which order.
        status: the state reached.
        symbol: ccxt unified symbol.
        side: "buy" or "sell".
        order_qty: base units ordered.
        cum_qty: base units filled so far.
        leaves_qty: base units not filled.
        reason: why, where the step is no fill; empty otherwise.
        strategy_id: whose order.
        ts_ns: market time of the step, ns UTC.
    """

    order_id: str
    status: OrderStatus
    symbol: str
    side: Side
    order_qty: Decimal
    cum_qty: Decimal
    leaves_qty: Decimal
    reason: str = ""
    strategy_id: str = ""
    ts_ns: int = 0

    def __post_init__(self) -> None:
        for name in ("order_qty", "cum_qty", "leaves_qty"):
            set_decimal(self, name)
