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
    ValuationTrigger,
)
from core.contracts.enums import (
    BookKind,
    DenialReason,
    Liquidity,
    OrderStatus,
    OrderType,
    Side,
    SignalIntention,
    SizingReason,
)
from core.contracts.ids import fill_id, intent_id, order_id, signal_id
from core.contracts.instrument import Instrument, file_symbol, quote_of
from core.contracts.market import BarCorrection, BookEvent, OHLCVBar, TickerEvent, TradeEvent, TradeGap, Watermark
from core.contracts.orders import (
    CancelIntent,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    RiskCheck,
    RiskDecision,
    Signal,
    SizingDecision,
)
from core.contracts.portfolio import PortfolioConfig, StrategyAllocation
from core.contracts.timeframe import timeframe_ns

__all__ = [
    "BarCorrection",
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
    "PortfolioConfig",
    "PortfolioSnapshot",
    "PositionSnapshot",
    "Resume",
    "RiskCheck",
    "RiskDecision",
    "SessionStarted",
    "Side",
    "Signal",
    "SignalIntention",
    "SizingDecision",
    "SizingReason",
    "StateObserved",
    "StrategyAllocation",
    "StrategyFailed",
    "TickerEvent",
    "TradeEvent",
    "TradeGap",
    "ValuationTrigger",
    "Watermark",
    "file_symbol",
    "fill_id",
    "intent_id",
    "order_id",
    "quote_of",
    "signal_id",
    "timeframe_ns",
]
