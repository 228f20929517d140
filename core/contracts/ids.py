"""Ids derived from their causes, so that a replay gives the same ones."""

from __future__ import annotations

from base64 import b32encode
from hashlib import blake2b


def _digest(text: str) -> str:
    return b32encode(blake2b(text.encode(), digest_size=15).digest()).decode().lower()


def intent_id(strategy_id: str, seq: int, ordinal: int) -> str:
    """Id of the `ordinal`-th intent that a strategy answers the input `seq` with.

    >>> intent_id("sma_cross_v1", 42, 0) == intent_id("sma_cross_v1", 42, 0)
    True
    """
    return "i-" + _digest(f"{strategy_id}|{seq}|{ordinal}")


def signal_id(strategy_id: str, seq: int, ordinal: int) -> str:
    """Id of the `ordinal`-th signal that a strategy answers the input `seq` with."""
    return "s-" + _digest(f"{strategy_id}|{seq}|{ordinal}")


def order_id(intent: str) -> str:
    """Id of the order that an intent becomes; 26 characters, letters, digits and a dash: venues take up to 32.

    >>> len(order_id("i-abc"))
    26
    """
    return "o-" + _digest(intent)


def fill_id(order: str, count: int) -> str:
    """Id of the `count`-th fill of an order, counted from 1."""
    return f"f-{order[2:]}-{count}"
