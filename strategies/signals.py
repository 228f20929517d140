"""Building a signal from what strategies calculate with: floats, Decimals or texts."""

from __future__ import annotations

from decimal import Decimal
from typing import TypedDict, Unpack

from core.contracts import Signal, SignalIntention

Number = Decimal | float | str
"""Becomes a Decimal; a float counts by its shortest repr."""


class Terms(TypedDict, total=False):
    """What a signal may say besides symbol and intention.

    Attributes:
        price: at which it was formed, quote units per base unit; without one the market's last.
        confidence: share of the full size, above 0 and at most 1; without one 1.
        stop_loss: price at which the position is to be closed at a loss.
        take_profit: price at which it is to be closed at a profit.
    """

    price: Number | None
    confidence: float
    stop_loss: Number | None
    take_profit: Number | None


def signal_of(strategy_id: str, symbol: str, intention: SignalIntention | str, **terms: Unpack[Terms]) -> Signal:
    """A signal; its prices as Decimals.

    Raises:
        ContractError: a price that is no number above 0, a confidence outside 0 to 1, an intention that there is not.
    """
    return Signal(strategy_id, symbol, intention, **terms)  # type: ignore[arg-type]  # the event's own checks convert
