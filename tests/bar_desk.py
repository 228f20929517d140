"""A bar aggregator with a market that a test speaks for, in seconds after noon of 2024-08-08."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from core.contracts import Event, OHLCVBar, TradeEvent, TradeGap, Watermark
from core.handler import At, Handler
from core.market.bars import SERVICE

S = 1_000_000_000
MINUTE = 60 * S
NOON = 1_723_118_400 * S  # 2024-08-08T12:00:00Z
BTC, ETH = "BTC/USDT", "ETH/USDT"
HERE = At(1, 1, 1, 1, 1)


def content(*timeframes: str, symbols: Sequence[str] = (BTC, ETH)) -> dict[str, Any]:
    """The aggregator's part of a configuration; only minutes unless said otherwise."""
    instruments = [{"symbol": symbol, "tick_size": "0.01", "lot_size": "0.001"} for symbol in symbols]
    return {"aggregator": {"timeframes": list(timeframes)}, "instruments": instruments}


def new_bars(*timeframes: str) -> Handler:
    """An aggregator as its service builds it."""
    return SERVICE.build(content(*timeframes))


def trade(at_s: float, price: float, qty: float = 1.0, number: int | str = "", symbol: str = BTC) -> TradeEvent:
    """A trade so many seconds after noon."""
    return TradeEvent(symbol, price, qty, "buy", NOON + round(at_s * 1000) * 1_000_000, str(number))


def clock(at_s: float, symbol: str = BTC) -> Watermark:
    """The market clock so many seconds after noon."""
    return Watermark(symbol, NOON + round(at_s * S))


def gap(after_s: float, before_s: float, symbol: str = BTC) -> TradeGap:
    """Trades are missing between these seconds after noon."""
    return TradeGap(symbol, NOON + round(after_s * S), NOON + round(before_s * S), 3, "too old to fetch")


def play(handler: Handler, events: Iterable[Event]) -> list[Any]:
    """Everything that it answers."""
    return [answer for event in events for answer in handler.on_event(event, HERE)]


def restarted(handler: Handler, *timeframes: str) -> Handler:
    """Another aggregator with the memory of this one, as it comes back from the store."""
    saved = json.loads(json.dumps(handler.snapshot()))
    other = new_bars(*timeframes)
    other.restore(saved)
    return other


def brief(bar: OHLCVBar) -> tuple[Any, ...]:
    """Length, start in seconds after noon, prices, volume, number of trades, completeness."""
    start_s = (bar.ts_open - NOON) / S
    return bar.timeframe, start_s, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trade_count, bar.complete
