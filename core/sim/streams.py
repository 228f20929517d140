"""What one market tells its listeners, stream by stream; nothing is written that nobody listens to."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from typing import Any

from core.market.records import DepthRecord, Record, TradeRecord
from core.sim import wire
from core.sim.book import DepthDigest
from core.sim.klines import INTERVALS, NS_PER_MINUTE, Kline
from core.sim.market import Day, Market
from core.sim.trades import Aggregate

Message = tuple[str, bytes]
"""Name of a stream, and what is sent on it."""

AGGREGATE_NS = 100_000_000
"""An aggregate that nothing was added to for so long is complete."""
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class Publisher:
    """Turns what happens in a market into messages.

    Trades, depth and best prices go out as they happen, the slower streams once per second of the venue and only when
    something has changed.
    """

    def __init__(self, market: Market, wanted: Container[str]) -> None:
        """
        Args:
            market: whose.
            wanted: names of the streams that somebody listens to; asked anew for every message.
        """
        self._market = market
        self._wanted = wanted
        stream = market.name.lower() + "@"
        self._trade, self._aggregate = stream + "trade", stream + "aggTrade"
        self._quote, self._depth, self._depth_fast = stream + "bookTicker", stream + "depth", stream + "depth@100ms"
        self._mini, self._ticker = stream + "miniTicker", stream + "ticker"
        self._klines = [(stream + "kline_" + name, name, length) for name, length in INTERVALS.items()]
        self._pending: Aggregate | None = None
        self._pending_ns = 0
        self._digest = DepthDigest()
        self._traded = False
        self._minute_ns = -1

    def on_record(self, record: Record) -> Iterator[Message]:
        """What goes out right behind a record that the market has taken."""
        if isinstance(record, TradeRecord):
            yield from self._on_trade(record)
        elif isinstance(record, DepthRecord):
            if record.kind == "delta":
                yield from self._on_delta(record)
        elif self._quote in self._wanted:
            yield self._quote, wire.encode(wire.quote_event(self._market.name, record))
        if self._pending is not None and record.recv_ns - self._pending_ns >= AGGREGATE_NS:
            yield from self._flush()

    def _on_trade(self, trade: TradeRecord) -> Iterator[Message]:
        minute_ns = trade.ts_ns - trade.ts_ns % NS_PER_MINUTE
        if minute_ns > self._minute_ns:
            yield from self._close(minute_ns, trade.ts_ns)
        self._traded = True
        if self._trade in self._wanted:
            yield self._trade, wire.encode(wire.trade_event(self._market.name, trade))
        if self._pending is None or not self._pending.take(trade):
            yield from self._flush()
            self._pending = Aggregate(trade)
        self._pending_ns = trade.recv_ns

    def _flush(self) -> Iterator[Message]:
        pending, self._pending = self._pending, None
        if pending is not None and self._aggregate in self._wanted:
            event = wire.aggregate_event(self._market.name, pending, pending.first.ts_ns)
            yield self._aggregate, wire.encode(event)

    def _on_delta(self, delta: DepthRecord) -> Iterator[Message]:
        self._digest.add(delta)
        if self._depth_fast in self._wanted:
            yield self._depth_fast, wire.encode(wire.depth_event(self._market.name, delta))

    def on_second(self, venue_ns: int) -> Iterator[Message]:
        """What goes out once per second; `venue_ns` is a whole one.

        A minute without a trade behind it is closed a second after its end, because some trades come that late.
        """
        name, wanted = self._market.name, self._wanted
        late_ns = venue_ns - NS_PER_S
        minute_ns = late_ns - late_ns % NS_PER_MINUTE
        if minute_ns > self._minute_ns:
            yield from self._close(minute_ns, venue_ns)
        digest = self._digest.flush()
        if digest is not None and self._depth in wanted:
            yield self._depth, wire.encode(wire.depth_event(name, digest))
        if self._traded:
            self._traded = False
            yield from self._tell_klines(venue_ns)
            yield from self._tell_day(venue_ns)

    def _close(self, minute_ns: int, venue_ns: int) -> Iterator[Message]:
        """The last word on every candle that ends where a minute begins."""
        before_ns, self._minute_ns = self._minute_ns, minute_ns
        if before_ns < 0:
            return
        self._market.klines.roll(minute_ns)
        for stream, interval, length in self._klines:
            if stream not in self._wanted:
                continue
            first = before_ns - before_ns % length
            for start_ns in range(first, minute_ns - length + 1, length):
                kline = self._market.klines.at(length, start_ns)
                if kline is not None:
                    yield stream, self._kline(interval, length, kline, venue_ns=venue_ns, closed=True)

    def _tell_klines(self, venue_ns: int) -> Iterator[Message]:
        for stream, interval, length in self._klines:
            if stream in self._wanted and (kline := self._market.klines.newest(length)) is not None:
                yield stream, self._kline(interval, length, kline, venue_ns=venue_ns, closed=False)

    def _kline(self, interval: str, length: int, kline: Kline, *, venue_ns: int, closed: bool) -> bytes:
        end_ms = (kline.open_ns + length) // NS_PER_MS - 1
        return wire.encode(
            wire.kline_event(self._market.name, interval, kline, end_ms=end_ms, venue_ns=venue_ns, closed=closed)
        )

    def _tell_day(self, venue_ns: int) -> Iterator[Message]:
        writers: dict[str, Callable[[Day], dict[str, Any]]] = {
            self._mini: lambda day: wire.mini_ticker_event(self._market.name, day),
            self._ticker: lambda day: wire.ticker_event(self._market, day),
        }
        chosen = [stream for stream in writers if stream in self._wanted]
        day = self._market.day(venue_ns) if chosen else None
        if day is not None:
            for stream in chosen:
                yield stream, wire.encode(writers[stream](day))
