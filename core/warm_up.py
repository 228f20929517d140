"""Bars from before the session for whoever wants them: when to hand them over, live and offline alike.

A handler that has a method `warm_ups` says what it still wants, as a sequence of `Need`; nothing more of a series once
it has heard a WarmUp or a bar of it. Right before the first event that proves the time of a symbol's market, whoever
runs it looks into history once and hands over what had ended by then, as a `WarmUp` event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, cast

from core import codec, topics
from core.contracts import BookEvent, OHLCVBar, TickerEvent, TradeEvent, WarmUp, Watermark, timeframe_ns
from core.errors import CodecError
from core.runner import Message, market_time

LastBars = Callable[[str, str, int, int], Sequence[OHLCVBar]]
"""Of a symbol, a timeframe: the newest bars that had ended at a time (ns UTC), oldest first, and at most how many."""

_MarketEvent = TradeEvent | BookEvent | TickerEvent | OHLCVBar | Watermark

_MARKET = (topics.MD_TRADES, topics.MD_BOOK, topics.MD_TICKER, topics.MD_OHLCV, topics.CLOCK_MARKET)
PATTERNS = tuple(topic.pattern for topic in _MARKET)
"""The topics whose events tell the time of a market."""

_LEAD_NS = 1_000_000_000


class Need(NamedTuple):
    """What a handler wants to hear before its first event.

    Attributes:
        symbol: ccxt unified symbol.
        timeframe: of the bars.
        bars: how many, above 0.
    """

    symbol: str
    timeframe: str
    bars: int


def wanted(handler: object) -> Sequence[Need]:
    """What a handler still wants; nothing where it is of a kind that never does."""
    asked: Callable[[], Sequence[Need]] | None = getattr(handler, "warm_ups", None)
    return asked() if asked is not None else ()


def due(handler: object, coming: Iterable[Message], from_seq: int) -> Iterator[tuple[Need, int]]:
    """What a handler must be given before these messages, with the time (ns UTC) up to which it is past.

    Args:
        handler: see `wanted`.
        coming: messages in their order, those that it will hear.
        from_seq: number of the first line that it has not handled; lines before it prove nothing.
    """
    needs = wanted(handler)
    if not needs:
        return
    symbols = {need.symbol for need in needs}
    shown: dict[str, _MarketEvent] = {}
    for topic, line in coming:
        event = _market_event(topic, line, from_seq) if topic.endswith(tuple(symbols)) else None
        if event is not None and event.symbol in symbols:
            shown[event.symbol] = event
            symbols.remove(event.symbol)
            if not symbols:
                break
    for need in needs:
        if need.symbol in shown:
            yield need, _past(shown[need.symbol], need.timeframe)


def answer(instance: str, need: Need, history: LastBars, now_ns: int, before_seq: int) -> WarmUp:
    """The event that gives a handler what it wants, as far as history has it."""
    bars = tuple(history(need.symbol, need.timeframe, now_ns, need.bars))
    return WarmUp(instance, need.symbol, need.timeframe, bars, need.bars, before_seq)


def _past(event: _MarketEvent, timeframe: str) -> int:
    """Up to when bars of a length are past for whoever hears this first, ns UTC.

    Bars of one end come from short to long, right behind the watermark of that second. Books and best prices may come
    up to a second before it.
    """
    if isinstance(event, OHLCVBar):
        shorter = timeframe_ns(timeframe) < timeframe_ns(event.timeframe)
        return event.ts_close if shorter else event.ts_close - 1
    if isinstance(event, Watermark):
        return event.market_ns - 1
    return event.ts if isinstance(event, TradeEvent) else event.ts_exchange_ns - _LEAD_NS


def _market_event(topic: str, line: bytes, from_seq: int) -> _MarketEvent | None:
    """What tells the time of a market; None for what does not, was handled, or came late."""
    found = topics.find(topic)
    if found not in _MARKET:
        return None
    try:
        if codec.header_of(line).seq < from_seq:
            return None
        event = cast("_MarketEvent", codec.decode(line, found.event))
    except CodecError:  # the handler is told so when its turn comes
        return None
    if isinstance(event, TradeEvent) and event.late:
        return None
    return event if market_time(event) > 0 else None
