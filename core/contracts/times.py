"""When an event happened: which of its fields say so."""

from __future__ import annotations

from core.contracts.account import FillEvent, PnlDay, PortfolioSnapshot, PositionSnapshot
from core.contracts.base import Event
from core.contracts.control import KillSwitchSet
from core.contracts.market import (
    BarCorrection,
    BookEvent,
    CorporateAction,
    OHLCVBar,
    TickerEvent,
    TradeEvent,
    TradeGap,
    Watermark,
)
from core.contracts.orders import OrderEvent, OrderUpdate

_FIELDS: dict[type[Event], tuple[str, ...]] = {
    TradeEvent: ("ts",),
    BookEvent: ("ts_exchange_ns", "ts_recv_ns"),
    TickerEvent: ("ts_exchange_ns", "ts_recv_ns"),
    OHLCVBar: ("ts_open",),
    CorporateAction: ("ts_effective_ns",),
    Watermark: ("market_ns",),
    BarCorrection: ("ts",),
    TradeGap: ("after_ns", "before_ns"),
    OrderEvent: ("ts_accepted_ns",),
    OrderUpdate: ("ts_ns",),
    FillEvent: ("ts_fill_ns",),
    PositionSnapshot: ("ts_ns",),
    PortfolioSnapshot: ("timestamp_ns",),
    PnlDay: ("market_ns",),
    KillSwitchSet: ("at_ns",),
}


def time_fields(event: type[Event]) -> tuple[str, ...]:
    """The fields with an event's own time, ns UTC, of which the first one that is not 0 counts; none where it has none.

    >>> time_fields(OHLCVBar), time_fields(BookEvent)
    (('ts_open',), ('ts_exchange_ns', 'ts_recv_ns'))
    """
    return _FIELDS.get(event, ())
