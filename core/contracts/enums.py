"""The closed vocabularies of the events; each is a `Literal`, so the wire carries plain words."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, get_args

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "stop"]
Liquidity = Literal["maker", "taker"]
BookKind = Literal["snapshot", "delta"]
Protection = Literal["stop", "take"]
ActionKind = Literal["split", "dividend", "symbol_change"]

SIDES: frozenset[str] = frozenset(get_args(Side))
ORDER_TYPES: frozenset[str] = frozenset(get_args(OrderType))
LIQUIDITIES: frozenset[str] = frozenset(get_args(Liquidity))
BOOK_KINDS: frozenset[str] = frozenset(get_args(BookKind))
PROTECTIONS: frozenset[str] = frozenset(get_args(Protection))
ACTION_KINDS: frozenset[str] = frozenset(get_args(ActionKind))


class OrderStatus(StrEnum):
    """Where an order is in its life; `core.execution.order_state` holds the legal steps."""

    NEW = "NEW"
    SUBMITTED = "SUBMITTED"
    ACK = "ACK"
    PARTIAL = "PARTIAL"
    PENDING_CANCEL = "PENDING_CANCEL"
    UNKNOWN = "UNKNOWN"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class SignalIntention(StrEnum):
    """What a signal wants: to be long, to be short, or to be neither any more."""

    OPEN_LONG = "OPEN_LONG"
    CLOSE_LONG = "CLOSE_LONG"
    OPEN_SHORT = "OPEN_SHORT"
    CLOSE_SHORT = "CLOSE_SHORT"


class SizingReason(StrEnum):
    """Why the sizer made no order of a signal; closed, so that every refusal can be counted and searched."""

    MALFORMED = "malformed"
    UNKNOWN_SYMBOL = "unknown_symbol"
    NO_ALLOCATION = "no_allocation"
    NO_PRICE = "no_price"
    STALE_PRICE = "stale_price"
    INVALID_STOP = "invalid_stop"
    NOTHING_TO_CLOSE = "nothing_to_close"
    ALREADY_CLOSING = "already_closing"
    ALREADY_OPEN = "already_open"
    SHORTING = "shorting"
    DRAWDOWN = "drawdown"
    NO_VOLATILITY = "no_volatility"
    CAPITAL = "capital"
    CONCENTRATION = "concentration"
    GROSS_LEVERAGE = "gross_leverage"
    NET_LEVERAGE = "net_leverage"
    CASH_BUFFER = "cash_buffer"
    BELOW_MINIMUM = "below_minimum"


class DenialReason(StrEnum):
    """Why the gate said no; closed, so that every refusal can be counted and searched."""

    HALTED = "halted"
    MALFORMED = "malformed"
    UNKNOWN_SYMBOL = "unknown_symbol"
    INVALID_QTY = "invalid_qty"
    INVALID_PRICE = "invalid_price"
    STALE_INTENT = "stale_intent"
    REDUCE_ONLY = "reduce_only"
    NO_PRICE = "no_price"
    STALE_PRICE = "stale_price"
    MIN_NOTIONAL = "min_notional"
    PER_ORDER_CAP = "per_order_cap"
    NO_PNL = "no_pnl"
    DAILY_LOSS_CAP = "daily_loss_cap"
    RATE_LIMIT = "rate_limit"
