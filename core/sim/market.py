"""One market of the simulated exchange: everything that can be asked about it at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from core.contracts import Instrument
from core.contracts.instrument import file_symbol
from core.market.order_book import OrderBook
from core.market.records import DepthRecord, QuoteRecord, Record, TradeRecord
from core.sim.klines import NS_PER_MINUTE, Kline, Klines, PastMinutes
from core.sim.trades import Trades

NS_PER_DAY = 86_400_000_000_000


class Past(Protocol):
    """Trades that are not in memory any more, or never were."""

    def trades(self, from_id: int, limit: int) -> list[TradeRecord]:
        """At most `limit` trades, oldest first, from an id on; none where nothing is known."""
        ...


class NoPast:
    """A market whose older trades cannot be made again."""

    def trades(self, from_id: int, limit: int) -> list[TradeRecord]:
        """None at all."""
        return []


@dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours in one record.

    Attributes:
        sums: first to last price and all amounts; `open_ns` is where the 24 hours begin.
        previous_close: the last price before them.
        close_ns: the venue's time, ns UTC.
    """

    sums: Kline
    previous_close: float
    close_ns: int


class Market:
    """One symbol, from its first record up to now.

    Attributes:
        instrument: symbol and grid.
        name: the venue's name of the symbol, "BTCUSDT".
        trades: those in memory.
        klines: minutes since the first record, and those of the past.
        book: the sum of the depth messages.
        quote: the newest best prices; None before the first.
        depth_id: id of the newest change that a depth message told.
        doubled: trades of the source that were left out, because their id was not above all others.
    """

    def __init__(self, instrument: Instrument, past: Past, minutes: PastMinutes | None = None) -> None:
        """
        Args:
            instrument: what is traded.
            past: trades older than those in memory.
            minutes: candles from before the first record; None for none.
        """
        self.instrument = instrument
        self.name = file_symbol(instrument.symbol)
        self.trades = Trades()
        self.klines = Klines(minutes)
        self.book = OrderBook()
        self.quote: QuoteRecord | None = None
        self.depth_id = 0
        self.doubled = 0
        self._past = past

    def apply(self, record: Record) -> bool:
        """Take what happens next; False if it changes nothing."""
        if isinstance(record, TradeRecord):
            if not self.trades.add(record):
                self.doubled += 1
                return False
            self.klines.add(record)
        elif isinstance(record, DepthRecord):
            self.book.apply(record)
            self.depth_id = max(self.depth_id, record.last_update_id)
        else:
            self.quote = record
        return True

    def trades_from(self, from_id: int, limit: int) -> list[TradeRecord]:
        """At most `limit` trades, oldest first, from an id on; older ones than those in memory where they are known."""
        if not len(self.trades):
            return []
        if from_id >= self.trades.first_id:
            return self.trades.page(from_id, limit)
        first_id = self.trades.first_id
        older = [trade for trade in self._past.trades(from_id, limit) if int(trade.trade_id) < first_id]
        return older + self.trades.page(self.trades.first_id, limit - len(older))

    def day(self, venue_ns: int) -> Day | None:
        """The last 24 hours, to the minute; None before the first trade."""
        minutes = self.klines.day(venue_ns)
        if not minutes:
            return None
        before = minutes[0]
        start_ns = venue_ns - NS_PER_DAY
        if before.open_ns <= start_ns - NS_PER_MINUTE and len(minutes) > 1:
            minutes = minutes[1:]
        price = minutes[0].open
        sums = Kline(start_ns, price, price, price, price)
        for minute in minutes:
            sums.join(minute)
        previous = before.close if before is not minutes[0] else before.open
        return Day(sums, previous, venue_ns)
