"""Bars from before the session for whoever wants them: when to hand them over, live and offline alike.

A handler that has `warm_ups` says what it still wants. Right before the first event that proves the time of a symbol's
market, whoever runs it looks into history once and hands over what had ended by then, as a `WarmUp` event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, cast, runtime_checkable

from core import codec, topics
from core.contracts import BookEvent, OHLCVBar, TickerEvent, TradeEvent, WarmUp, Watermark
from core.errors import CodecError
from core.runner import Message, market_time

LastBars = Callable[[str, str, int, int], Sequence[OHLCVBar]]
"""Of a symbol, a timeframe: the newest bars that had ended at a time (ns UTC), oldest first, and at most how many."""

_MarketEvent = TradeEvent | BookEvent | TickerEvent | OHLCVBar | Watermark

_MARKET = (topics.MD_TRADES, topics.MD_BOOK, topics.MD_TICKER, topics.MD_OHLCV, topics.CLOCK_MARKET)
PATTERNS = tuple(topic.pattern for topic in _MARKET)
"""The topics whose events tell the time of a market."""


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


@runtime_checkable
class Warmed(Protocol):
    """A handler that takes warm-ups."""

    def warm_ups(self) -> Sequence[Need]:
        """What it still wants; nothing more of a series once it has heard a WarmUp or a bar of it."""
        ...


def due(handler: object, coming: Iterable[Message]) -> Iterator[tuple[Need, int]]:
    """What a handler must be given before these messages, with the time (ns UTC) up to which it is past."""
    needs = handler.warm_ups() if isinstance(handler, Warmed) else ()
    if not needs:
        return
    now_ns: dict[str, int] = {}
    for topic, line in coming:
        event = _market_event(topic, line)
        if event is not None:
            now_ns.setdefault(event.symbol, _past(event))
    for need in needs:
        if now_ns.get(need.symbol, 0) > 0:
            yield need, now_ns[need.symbol]


def answer(instance: str, need: Need, history: LastBars, now_ns: int, before_seq: int) -> WarmUp:
    """The event that gives a handler what it wants, as far as history has it."""
    bars = tuple(history(need.symbol, need.timeframe, now_ns, need.bars))
    return WarmUp(instance, need.symbol, need.timeframe, bars, need.bars, before_seq)


def _past(event: _MarketEvent) -> int:
    """Up to when bars are past for whoever hears this first, ns UTC."""
    if isinstance(event, OHLCVBar):
        return event.ts_open
    if isinstance(event, Watermark):
        return event.market_ns - 1  # the bar that ends with this second follows right behind it
    return market_time(event)


def _market_event(topic: str, line: bytes) -> _MarketEvent | None:
    found = topics.find(topic)
    if found not in _MARKET:
        return None
    try:
        return cast("_MarketEvent", codec.decode(line, found.event))
    except CodecError:  # the handler is told so when its turn comes
        return None
