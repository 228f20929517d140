"""The closed vocabularies of the events; each is a `Literal`, so the wire carries plain words."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, get_args

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit"]
Liquidity = Literal["maker", "taker"]
BookKind = Literal["snapshot", "delta"]

SIDES: frozenset[str] = frozenset(get_args(Side))
ORDER_TYPES: frozenset[str] = frozenset(get_args(OrderType))
LIQUIDITIES: frozenset[str] = frozenset(get_args(Liquidity))
BOOK_KINDS: frozenset[str] = frozenset(get_args(BookKind))


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


class DenialReason(StrEnum):
    """Why the gate said no; closed, so that every refusal can be counted and searched."""

    HALTED = "halted"
    MALFORMED = "malformed"
    UNKNOWN_SYMBOL = "unknown_symbol"
    INVALID_QTY = "invalid_qty"
    INVALID_PRICE = "invalid_price"
    STALE_INTENT = "stale_intent"
    NO_PRICE = "no_price"
    STALE_PRICE = "stale_price"
    MIN_NOTIONAL = "min_notional"
    PER_ORDER_CAP = "per_order_cap"
    NO_PNL = "no_pnl"
    DAILY_LOSS_CAP = "daily_loss_cap"
    RATE_LIMIT = "rate_limit"
