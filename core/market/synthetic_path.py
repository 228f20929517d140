"""Where a synthetic market goes, minute by minute: cheap enough to walk from its beginning to any minute.

Trends of some twenty minutes, a pull back to the starting price, and shocks of volatility that fade over ten minutes
and bring trades with them. Randomness is SHAKE-128 over seed and minute, and the arithmetic is plus, minus,
times and divide alone: the same numbers on every machine and every version of Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import shake_128
from itertools import count
from struct import unpack
from typing import NamedTuple

TRADES_MAX = 1200
"""Trades per minute, at most."""

_CALM = 0.0006  # relative standard deviation of a minute in which nothing happens
_RETURN_MAX = 0.02
_PULL = 0.004
_SHOCK = 0.03
_COOLING = 0.9
_WORDS = 1024


class Minute(NamedTuple):
    """One minute of a market.

    Attributes:
        number: from 0.
        open: price at its start, quote units.
        close: price at its end, the next one's open.
        volatility: relative standard deviation of its returns.
        trades: how many there are.
        first_trade_id: id of the first.
    """

    number: int
    open: float
    close: float
    volatility: float
    trades: int
    first_trade_id: int


def uniforms(key: str) -> Iterator[float]:
    """Endless numbers in [0, 1), in steps of 2 to the -32."""
    for block in count():
        words = unpack(f"<{_WORDS}I", shake_128(f"{key}:{block}".encode()).digest(4 * _WORDS))
        for word in words:
            yield word / 4294967296


def minutes(seed: int, start_price: float) -> Iterator[Minute]:
    """The market's minutes from its beginning, without an end."""
    price, drift, heat, trade_id = start_price, 0.0, 1.0, 1
    for number in count():
        shock, regime, direction, roughness, bustle, *noise = unpack(
            "<9I", shake_128(f"{seed}:path:{number}".encode()).digest(36)
        )
        heat = 4.0 if shock / 4294967296 < _SHOCK else 1.0 + (heat - 1.0) * _COOLING
        if regime % 20 == 0:
            drift = (direction / 2147483648 - 1.0) * _CALM
        volatility = _CALM * heat * (0.6 + 0.8 * roughness / 4294967296)
        # Four uniform numbers add up to a variance of 1/3.
        normal = (sum(noise) / 4294967296 - 2.0) * 1.7320508075688772
        move = drift + _PULL * (start_price / price - 1.0) + volatility * normal
        close = price * (1.0 + max(-_RETURN_MAX, min(_RETURN_MAX, move)))
        trades = min(TRADES_MAX, int(300 + 300 * heat * bustle / 4294967296))
        yield Minute(number, price, close, volatility, trades, trade_id)
        price, trade_id = close, trade_id + trades
