"""The vocabulary: every event, every id, every closed list of words."""

from core.contracts.account import FillEvent, PnlDay, PortfolioSnapshot, PositionSnapshot
from core.contracts.base import Event
from core.contracts.control import (
    ConfigChanged,
    DeadLetter,
    Halt,
    KillSwitchSet,
    Malformed,
    Resume,
    SessionStarted,
    StateObserved,
    StrategyFailed,
)
from core.contracts.enums import BookKind, DenialReason, Liquidity, OrderStatus, OrderType, Side
from core.contracts.ids import fill_id, intent_id, order_id
from core.contracts.instrument import Instrument, file_symbol, quote_of
from core.contracts.market import BookEvent, OHLCVBar, TickerEvent, TradeEvent, Watermark
from core.contracts.orders import (
    CancelIntent,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    RiskCheck,
    RiskDecision,
)

__all__ = [
    "BookEvent",
    "BookKind",
    "CancelIntent",
    "ConfigChanged",
    "DeadLetter",
    "DenialReason",
    "Event",
    "FillEvent",
    "Halt",
    "Instrument",
    "KillSwitchSet",
    "Liquidity",
    "Malformed",
    "OHLCVBar",
    "OrderEvent",
    "OrderIntent",
    "OrderStatus",
    "OrderType",
    "OrderUpdate",
    "PnlDay",
    "PortfolioSnapshot",
    "PositionSnapshot",
    "Resume",
    "RiskCheck",
    "RiskDecision",
    "SessionStarted",
    "Side",
    "StateObserved",
    "StrategyFailed",
    "TickerEvent",
    "TradeEvent",
    "Watermark",
    "file_symbol",
    "fill_id",
    "intent_id",
    "order_id",
    "quote_of",
]
