"""Bars: minutes out of trades, closed by the market clock, and longer bars out of minutes.

- A bar `[ts_open, ts_close)` closes at the first watermark at or past its end, so a minute's last bar does not wait for
  the next trade. A trade that comes later changes no closed bar; it is told as a correction.
- A minute without a trade repeats the close before it; there is no bar before the first trade.
- Longer bars are made of the published minutes, aligned to midnight UTC, and follow right behind the minute that ends
  them, from short to long. Their prices are those of the minutes in which something traded.
- A bar is not complete if not all of its time was heard: the minute in which this began to listen, minutes over a
  `TradeGap`, minutes over which the clock has jumped further than anybody watches, and longer bars over those.
- A clock that moves on by more than a day gets the bars of one day, and behind them bars begin anew with the next
  trade. So one input never leads to more than a day's bars.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core import codec, topics
from core.contracts import (
    BarCorrection,
    Event,
    Instrument,
    OHLCVBar,
    TradeEvent,
    TradeGap,
    Watermark,
    quote_of,
    timeframe_ns,
)
from core.contracts.base import refuse
from core.handler import At, Content, Service, State
from core.market.bars_building import BASE, BASE_NS, DerivedBars, MinuteBuilding
from core.market.feed import JUMP_NS

HORIZON_NS = timeframe_ns("1d")
"""So far ahead of the clock trades are taken, and so much of a jump is filled with bars. No bar is longer, so whatever
was being built before a jump is published."""


@dataclass(frozen=True, slots=True)
class AggregatorSettings:
    """Which bars are built.

    Attributes:
        timeframes: lengths of bars, whole minutes that divide the UTC day, each length once; kept from short to
            long, and "1m" is always among them, because the others are made of it.
    """

    timeframes: tuple[str, ...] = (BASE, "5m", "15m", "1h")

    def __post_init__(self) -> None:
        lengths = {timeframe_ns(timeframe): timeframe for timeframe in (BASE, *self.timeframes)}
        for length_ns, timeframe in lengths.items():
            if length_ns % BASE_NS:
                raise refuse(self, "timeframes", timeframe, "whole minutes: 1m, 5m, 15m, 1h, 4h, 1d")
        if len(lengths) < len({BASE, *self.timeframes}):
            raise refuse(self, "timeframes", self.timeframes, "each length once")
        object.__setattr__(self, "timeframes", tuple(lengths[length_ns] for length_ns in sorted(lengths)))


class BarAggregator:
    """Handler: trades, the market clock and gaps in; bars and corrections out.

    Symbols without an instrument are left alone, so what is remembered has a bound: per symbol one bar of each length,
    and never more than a day's minutes that are ahead of the clock.
    """

    def __init__(self, settings: AggregatorSettings, instruments: Iterable[Instrument]) -> None:
        derived = [timeframe for timeframe in settings.timeframes if timeframe != BASE]
        self._symbols = {instrument.symbol: _SymbolBars(instrument.symbol, derived) for instrument in instruments}

    def on_event(self, event: Event, at: At) -> Sequence[Event]:
        """Follow a trade, the clock or a gap of a configured symbol."""
        if not isinstance(event, (TradeEvent, Watermark, TradeGap)):
            return ()
        bars = self._symbols.get(event.symbol)
        if bars is None:
            return ()
        if isinstance(event, TradeEvent):
            return bars.on_trade(event)
        if isinstance(event, Watermark):
            return bars.on_watermark(event.market_ns)
        bars.on_gap(event)
        return ()

    def snapshot(self) -> State:
        """The bars that are being built, and how far the clock has come, by symbol."""
        return {"symbols": {symbol: bars.snapshot() for symbol, bars in self._symbols.items()}}

    def restore(self, state: State) -> None:
        """Become what `snapshot` described.

        Symbols and lengths that it does not know begin as they would at a start: what was not heard is not complete.
        """
        for symbol, bars in self._symbols.items():
            if symbol in state["symbols"]:
                bars.restore(state["symbols"][symbol])


class _SymbolBars:
    """The bars of one symbol.

    It begins to listen with the first trade or watermark. Minutes before `_next_ns` are closed; `_since_ns` is when it
    began to listen, or to listen again after a jump, and a minute must begin later to be wholly heard.
    """

    def __init__(self, symbol: str, derived: Sequence[str]) -> None:
        self._symbol = symbol
        self._currency = quote_of(symbol)
        self._clock_ns = 0
        self._since_ns = 0
        self._next_ns = 0
        self._close: float | None = None
        self._open: dict[int, MinuteBuilding] = {}
        self._missing: set[int] = set()
        self._derived = [DerivedBars(timeframe) for timeframe in derived]

    def on_trade(self, trade: TradeEvent) -> Sequence[Event]:
        """Count a trade; a correction if its minute is closed.

        One without a venue time belongs to no bar. Neither does one a day or more ahead of the clock: if that is where
        the market has gone, the clock follows, and what begins there is not complete.
        """
        if trade.ts <= 0:
            return ()
        if not self._clock_ns:
            self._begin(trade.ts)
        minute = _minute_of(trade.ts)
        if minute < self._next_ns:
            number, price, qty = trade.trade_id, trade.price, trade.qty
            return (BarCorrection(self._symbol, BASE, minute, number, price, qty, trade.ts),)
        if minute in self._open:
            self._open[minute].add(trade)
        elif minute < self._next_ns + HORIZON_NS:
            self._open[minute] = MinuteBuilding.of(trade)
        return ()

    def on_watermark(self, market_ns: int) -> Sequence[Event]:
        """Close the minutes that have ended; a clock that does not move on closes none."""
        if market_ns <= self._clock_ns:
            return ()
        if not self._clock_ns:
            self._begin(market_ns)
            return ()
        if market_ns - self._clock_ns > JUMP_NS:
            self._since_ns = market_ns
        self._clock_ns = market_ns
        end_ns = _minute_of(market_ns)
        bars = self._close_until(min(end_ns, self._next_ns + HORIZON_NS))
        if self._next_ns < end_ns:
            self._begin(market_ns)
        return bars

    def on_gap(self, gap: TradeGap) -> None:
        """Remember which open minutes lack trades; those that are closed stay as they were published."""
        for derived in self._derived:
            derived.miss(gap.after_ns, gap.before_ns)
        first_ns = max(_minute_of(gap.after_ns), self._next_ns)
        end_ns = min(gap.before_ns + 1, self._next_ns + HORIZON_NS)
        self._missing.update(range(first_ns, end_ns, BASE_NS))

    def _begin(self, now_ns: int) -> None:
        """Begin to listen; nothing from before counts any more."""
        self._clock_ns = self._since_ns = now_ns
        self._next_ns = _minute_of(now_ns)
        self._close = None
        self._missing.clear()
        self._derived = [DerivedBars(derived.timeframe) for derived in self._derived]

    def _close_until(self, end_ns: int) -> list[Event]:
        bars: list[Event] = []
        for minute_ns in range(self._next_ns, end_ns, BASE_NS):
            bar = self._minute(minute_ns)
            if bar is not None:
                longer = [derived.add(bar) for derived in self._derived]
                bars += [bar, *(each for each in longer if each is not None)]
        self._next_ns = max(self._next_ns, end_ns)
        return bars

    def _minute(self, ts_open: int) -> OHLCVBar | None:
        """The minute as it is published; None before the first trade."""
        complete = ts_open > self._since_ns and ts_open not in self._missing
        self._missing.discard(ts_open)
        built = self._open.pop(ts_open, None)
        if built is not None:
            self._close = built.close
            return built.bar(self._symbol, BASE, ts_open, complete=complete, vwap=built.vwap())
        if self._close is None:
            return None
        prices = (self._close,) * 4
        ts_close = ts_open + BASE_NS
        return OHLCVBar(self._symbol, BASE, ts_open, ts_close, *prices, 0.0, complete=complete, currency=self._currency)

    def snapshot(self) -> State:
        """Everything that later bars depend on."""
        return {
            "clock_ns": self._clock_ns,
            "since_ns": self._since_ns,
            "next_ns": self._next_ns,
            "close": self._close,
            "open": [[minute_ns, codec.to_builtins(built)] for minute_ns, built in self._open.items()],
            "missing": sorted(self._missing),
            "derived": {derived.timeframe: derived.snapshot() for derived in self._derived},
        }

    def restore(self, state: State) -> None:
        """Become what `snapshot` described; a length that it does not hold begins here."""
        self._clock_ns, self._since_ns, self._next_ns = state["clock_ns"], state["since_ns"], state["next_ns"]
        self._close = state["close"]
        self._open = {minute_ns: codec.convert(built, MinuteBuilding) for minute_ns, built in state["open"]}
        self._missing = set(state["missing"])
        for derived in self._derived:
            derived.restore(state["derived"].get(derived.timeframe))


def _minute_of(ts_ns: int) -> int:
    """Start of the minute that a time lies in."""
    return ts_ns - ts_ns % BASE_NS


@dataclass(frozen=True, slots=True)
class _AggregatorContent:
    aggregator: AggregatorSettings
    instruments: tuple[Instrument, ...]


def _build(content: Content) -> BarAggregator:
    taken = codec.convert(content, _AggregatorContent)
    return BarAggregator(taken.aggregator, taken.instruments)


SERVICE = Service(
    name="ohlcv_aggregator",
    inputs=lambda content: (topics.MD_TRADES.pattern, topics.CLOCK_MARKET.pattern, topics.MD_GAPS.pattern),
    build=_build,
)
