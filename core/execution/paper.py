"""The paper venue: accepted orders become simulated fills and positions.

It answers like a venue: the same order id always gets the same stored answer and never a second order. A changed
configuration (fees, instruments) counts for what comes later; orders that rest and positions that are held stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from core import codec, topics
from core.contracts import (
    CancelIntent,
    Event,
    FillEvent,
    Instrument,
    OrderEvent,
    OrderStatus,
    OrderUpdate,
    TradeEvent,
    fill_id,
    order_id,
    quote_of,
)
from core.contracts.base import require_text, set_decimal
from core.errors import LedgerError
from core.execution.fees import FeeSchedule
from core.execution.matching import Execution, MatchingEngine, RejectReason
from core.execution.order_state import Order
from core.handler import At, Content, Service, State
from core.ledger import Ledger, check_invariants, exact
from core.ledger.exact import ZERO

VENUE = "paper"
ANSWERS_KEPT = 512
"""So many ended orders are remembered, to answer a repeated order as before."""

NUMBER_MAX = Decimal("1e18")
"""No quantity or price that anybody means is larger, and positions must fit the floats that they are shown in."""

NOT_OWNER = "not_owner"


@dataclass(frozen=True, slots=True)
class PaperSettings:
    """How paper trading is done.

    Attributes:
        account: only one executor works on an account at a time, paper or live.
        maker_fee_bps: basis points of the notional for a resting order; negative is a rebate.
        taker_fee_bps: basis points of the notional for an order filled on arrival; negative is a rebate.
    """

    account: str = "main"
    maker_fee_bps: Decimal = Decimal(10)
    taker_fee_bps: Decimal = Decimal(10)

    def __post_init__(self) -> None:
        require_text(self, "account", self.account)
        set_decimal(self, "maker_fee_bps")
        set_decimal(self, "taker_fee_bps")
        self.schedule()

    def schedule(self) -> FeeSchedule:
        """The fees as the venue charges them."""
        return FeeSchedule(maker_bps=self.maker_fee_bps, taker_bps=self.taker_fee_bps)


class PaperVenue:
    """Handler: `orders.accepted`, `orders.cancel` and trades in; order updates, fills and positions out."""

    def __init__(self, settings: PaperSettings, instruments: Sequence[Instrument]) -> None:
        self._fees = settings.schedule()
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._engine = MatchingEngine()
        self._ledger = Ledger({})
        self._resting: dict[str, OrderUpdate] = {}
        self._ended: dict[str, list[Any]] = {}  # as rows, because hundreds of them are saved once a second

    def on_event(self, event: Event, at: At) -> Sequence[Event]:
        """Answer an order, a cancel or a public trade; anything else says nothing to a venue."""
        if isinstance(event, TradeEvent):
            return self._hear(event, at)
        if isinstance(event, OrderEvent):
            return self._submit(event, at) if event.venue == VENUE else ()
        if isinstance(event, CancelIntent):
            return self._cancel(event, at)
        return ()

    def _hear(self, trade: TradeEvent, at: At) -> Sequence[Event]:
        """Fill what a public trade reaches; the market of a symbol that concerns nobody takes no room."""
        outputs: list[Event] = []
        if trade.symbol in self._instruments or self._engine.rests(trade.symbol):
            for execution in self._engine.on_trade(trade.symbol, trade.price):
                outputs += self._book(execution, at)
        return outputs

    def _submit(self, event: OrderEvent, at: At) -> Sequence[Event]:
        name = event.order_id or (order_id(event.intent_id) if event.intent_id else "")
        known = self._answer(name)
        if known is not None:
            return (known,)
        reason = self._refusal(event, name)
        if reason is not None:
            rejected = _rejected(event, name, at.market_ns, reason)
            return (self._keep(rejected) if name else rejected,)  # without a name it answers no other order
        arrival = self._engine.submit(_order(event, name))
        answer = arrival.order.update(at.market_ns, arrival.reason or "")
        if arrival.execution is None:
            return (self._keep(answer),)
        return (answer, *self._book(arrival.execution, at))

    def _refusal(self, event: OrderEvent, name: str) -> RejectReason | None:
        instrument = self._instruments.get(event.symbol)
        if not name:
            return RejectReason.NO_ID
        if instrument is None:
            return RejectReason.UNKNOWN_SYMBOL
        if not _on_grid(event.qty, instrument.lot_size):
            return RejectReason.INVALID_QTY
        return None if _prices_fit(event, instrument.tick_size) else RejectReason.INVALID_PRICE

    def _cancel(self, event: CancelIntent, at: At) -> Sequence[Event]:
        """Cancel an own resting order; otherwise say what the order is. An order never heard of has no answer."""
        canceled = self._engine.cancel(event.order_id, event.strategy_id)
        if canceled is not None:
            return (self._keep(canceled.update(at.market_ns)),)
        resting = self._engine.open.get(event.order_id)
        if resting is not None:
            return (resting.update(at.market_ns, NOT_OWNER),)
        known = self._answer(event.order_id)
        return () if known is None else (known,)

    def _book(self, execution: Execution, at: At) -> tuple[Event, ...]:
        order = execution.order
        fill = FillEvent(
            order_id=order.order_id,
            symbol=order.symbol,
            side=order.side,
            qty=execution.qty,
            price=execution.price,
            fee=self._fees.fee(execution.qty, execution.price, execution.liquidity),
            ts_fill_ns=at.market_ns,
            fill_id=fill_id(order.order_id, order.fills),
            strategy_id=order.strategy_id,
            fee_asset=quote_of(order.symbol),
            liquidity=execution.liquidity,
            venue=VENUE,
        )
        self._ledger.apply_fill(fill)
        position = self._ledger.positions[order.symbol].view(order.symbol, at.market_ns)
        filled = self._keep(order.update(at.market_ns))
        canceled = [self._keep(gone.update(at.market_ns, RejectReason.REDUCE_ONLY)) for gone in execution.canceled]
        return fill, filled, position, *canceled

    def _answer(self, name: str) -> OrderUpdate | None:
        row = self._ended.get(name)
        return self._resting.get(name) if row is None else _update(row)

    def _keep(self, update: OrderUpdate) -> OrderUpdate:
        """Store the current answer for an order and return it."""
        if update.order_id in self._engine.open:
            self._resting[update.order_id] = update
            return update
        self._resting.pop(update.order_id, None)
        self._ended[update.order_id] = _row(update)
        if len(self._ended) > ANSWERS_KEPT:
            del self._ended[next(iter(self._ended))]
        return update

    def snapshot(self) -> State:
        """Prices, orders, positions and stored answers."""
        return {
            "engine": self._engine.snapshot(),
            "ledger": self._ledger.get_snapshot(),
            "resting": [_row(update) for update in self._resting.values()],
            "ended": list(self._ended.values()),
        }

    def restore(self, state: State) -> None:
        """Become what `snapshot` described.

        Raises:
            LedgerError: the books do not add up.
        """
        self._engine.restore(state["engine"])
        self._ledger.restore_from_snapshot(state["ledger"])
        check_invariants(self._ledger)
        self._resting = {row[0]: _update(row) for row in state["resting"]}
        self._ended = {row[0]: row for row in state["ended"]}


_UPDATE_FIELDS = tuple(field.name for field in fields(OrderUpdate))


def _row(update: OrderUpdate) -> list[Any]:
    """An update's JSON values in the order of its fields, the order id first."""
    return list(codec.to_dict(update).values())


def _update(row: list[Any]) -> OrderUpdate:
    return codec.from_dict(OrderUpdate, dict(zip(_UPDATE_FIELDS, row, strict=True)))


def _order(event: OrderEvent, name: str) -> Order:
    return Order(
        order_id=name,
        strategy_id=event.strategy_id,
        symbol=event.symbol,
        side=event.side,
        type=event.type,
        order_qty=event.qty,
        limit_price=event.limit_price,
        stop_price=event.stop_price,
        reduce_only=event.reduce_only,
    )


def _rejected(event: OrderEvent, name: str, ts_ns: int, reason: RejectReason) -> OrderUpdate:
    return OrderUpdate(
        order_id=name,
        status=OrderStatus.REJECTED,
        symbol=event.symbol,
        side=event.side,
        order_qty=event.qty,
        cum_qty=ZERO,
        leaves_qty=event.qty,
        reason=reason,
        strategy_id=event.strategy_id,
        ts_ns=ts_ns,
    )


_PRICES = {
    "market": ((False, False), (True, False)),  # the limit stands in for a market that has not traded yet
    "limit": ((True, False),),
    "stop": ((False, True),),
}
"""By type, which of limit price and stop price an order may have: a price that it would not keep protects nobody."""


def _prices_fit(event: OrderEvent, tick_size: Decimal) -> bool:
    """Whether an order has the prices of its type, on the grid."""
    prices = (event.limit_price, event.stop_price)
    if tuple(price is not None for price in prices) not in _PRICES[event.type]:
        return False
    return all(price is None or _on_grid(price, tick_size) for price in prices)


def _on_grid(value: Decimal, step: Decimal) -> bool:
    try:
        with exact():
            return 0 < value <= NUMBER_MAX and value % step == 0
    except LedgerError:  # too far from the step to be divided by it: on no grid, and no reason to stop
        return False


@dataclass(frozen=True, slots=True)
class _PaperContent:
    paper: PaperSettings
    instruments: tuple[Instrument, ...]


def _build(content: Content) -> PaperVenue:
    parts = codec.convert(content, _PaperContent)
    return PaperVenue(parts.paper, parts.instruments)


SERVICE = Service(
    name="paper_trader",
    inputs=lambda content: (
        topics.ORDERS_ACCEPTED.pattern,
        topics.ORDERS_CANCEL.pattern,
        topics.MD_TRADES.pattern,
        topics.CLOCK_MARKET.pattern,  # moves the market time that fills are stamped with
    ),
    build=_build,
    exclusive=lambda content: (f"executor:{codec.convert(content, _PaperContent).paper.account}",),
)
