"""Candles as the exchange keeps them: one per minute, longer ones from those, by the venue's time of each trade."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Protocol

from core.contracts.timeframe import timeframe_ns
from core.market.records import TradeRecord

NS_PER_MINUTE = 60_000_000_000
MINUTES_PER_DAY = 1440
MINUTES_KEPT = 50_000
UNIT = 10**8
"""Amounts are added up in whole units of 1e-8, as the exchange does; floats would leave a rest."""

_NAMES = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
INTERVALS = {name: timeframe_ns(name) for name in _NAMES}
"""Lengths by name, ns. Binance's other ones (1s, 3d, 1w, 1M) are no multiple of a minute that divides the day."""


def units(value: float) -> int:
    """An amount in units of 1e-8.

    >>> units(0.29)
    29000000
    """
    return round(value * UNIT)


@dataclass(slots=True)
class Kline:
    """A candle; one without a trade has the last price before it and no ids.

    Attributes:
        open_ns: where it begins, ns UTC.
        open: first price, quote units.
        high: highest price.
        low: lowest price.
        close: last price.
        volume: base units times 1e8.
        quote: quote units times 1e16.
        trades: how many.
        buy_volume: volume whose taker bought.
        buy_quote: the same in quote units times 1e16.
        first_id: id of its first trade, -1 for none.
        last_id: id of its last trade, -1 for none.
    """

    open_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: int = 0
    quote: int = 0
    trades: int = 0
    buy_volume: int = 0
    buy_quote: int = 0
    first_id: int = -1
    last_id: int = -1

    @property
    def quiet(self) -> bool:
        """Whether nothing traded; a recorded past may know neither trades nor amounts, but that the price moved."""
        return not (self.trades or self.volume) and self.high == self.low

    def add(self, trade: TradeRecord) -> None:
        """Take a trade of this span."""
        price, qty = trade.price, units(trade.qty)
        quote = units(price) * qty
        if not self.trades:
            self.open = self.high = self.low = price
            self.first_id = int(trade.trade_id)
        self.high, self.low, self.close = max(self.high, price), min(self.low, price), price
        self.trades += 1
        self.volume += qty
        self.quote += quote
        self.last_id = int(trade.trade_id)
        if trade.side == "buy":
            self.buy_volume += qty
            self.buy_quote += quote

    def join(self, other: Kline) -> None:
        """Take the candle that follows."""
        if not other.quiet:
            if self.quiet:
                self.open = self.high = self.low = other.open
                self.first_id = other.first_id
            self.high, self.low, self.close = max(self.high, other.high), min(self.low, other.low), other.close
            self.last_id = other.last_id
        self.trades += other.trades
        self.volume += other.volume
        self.quote += other.quote
        self.buy_volume += other.buy_volume
        self.buy_quote += other.buy_quote


class PastMinutes(Protocol):
    """Minutes from before the first trade, with the holes that they have."""

    def minutes(self, start_ns: int, end_ns: int) -> Iterator[Kline]:
        """Those that begin in `[start_ns, end_ns)`, oldest first."""
        ...

    def back(self, end_ns: int, count: int) -> int:
        """Where the newest `count` minutes before a moment begin; the moment itself where there are none."""
        ...


class NoMinutes:
    """A market that nothing is known of before its first trade."""

    def minutes(self, start_ns: int, end_ns: int) -> Iterator[Kline]:
        """None at all."""
        return iter(())

    def back(self, end_ns: int, count: int) -> int:
        """The moment itself."""
        return end_ns


class Klines:
    """The minutes of one market: without a hole from its first trade on, and those of its past."""

    def __init__(self, past: PastMinutes | None = None) -> None:
        """
        Args:
            past: minutes from before the first trade; None for none.
        """
        self._minutes: list[Kline] = []
        self._past = past or NoMinutes()

    @property
    def last_ns(self) -> int:
        """Where the newest minute begins, ns UTC; -1 before the first trade."""
        return self._minutes[-1].open_ns if self._minutes else -1

    def add(self, trade: TradeRecord) -> None:
        """Take a trade; one of a minute that has been left already counts there."""
        open_ns = trade.ts_ns - trade.ts_ns % NS_PER_MINUTE
        if not self._minutes:
            self._minutes.append(Kline(open_ns, trade.price, trade.price, trade.price, trade.price))
        self.roll(open_ns)
        index = (open_ns - self._minutes[0].open_ns) // NS_PER_MINUTE
        if index >= 0:
            self._minutes[index].add(trade)

    def roll(self, venue_ns: int) -> None:
        """Open every minute that has begun by a venue time; a hole of weeks starts the history over."""
        if not self._minutes:
            return
        last = self._minutes[-1]
        missing = (venue_ns - last.open_ns) // NS_PER_MINUTE
        if missing > MINUTES_KEPT:
            last, missing = _empty(venue_ns - venue_ns % NS_PER_MINUTE, last.close), 0
            self._minutes = [last]
        for number in range(1, missing + 1):
            self._minutes.append(_empty(last.open_ns + number * NS_PER_MINUTE, last.close))
        if len(self._minutes) > MINUTES_KEPT:
            del self._minutes[:MINUTES_PER_DAY]

    def newest(self, interval_ns: int) -> Kline | None:
        """The candle that is being made; None before the first trade."""
        return self.at(interval_ns, self.last_ns)

    def at(self, interval_ns: int, ns: int) -> Kline | None:
        """The candle of a length that a moment lies in; None where there is none."""
        start = ns - ns % interval_ns
        return next(_joined(self._from(start, start + interval_ns - 1), interval_ns), None)

    def select(self, interval_ns: int, start_ns: int | None, end_ns: int | None, limit: int) -> list[Kline]:
        """Candles that begin within a span, both ends included, oldest first.

        Args:
            interval_ns: their length.
            start_ns: the first `limit` from there on; None takes the last ones.
            end_ns: up to there; None up to the newest.
            limit: at most so many.
        """
        if not self._minutes:
            return []
        end = self.last_ns if end_ns is None else min(end_ns, self.last_ns)
        stop = end - end % interval_ns + interval_ns
        if start_ns is None:
            first = self._first_of(limit, interval_ns, stop)
            return list(_joined(self._from(first, stop - 1), interval_ns))[-limit:]
        first = -(-start_ns // interval_ns) * interval_ns
        return list(islice(_joined(self._from(first, stop - 1), interval_ns), limit))

    def _first_of(self, limit: int, interval_ns: int, stop_ns: int) -> int:
        """Where the newest `limit` candles before a moment begin, or earlier."""
        zero = self._minutes[0].open_ns
        first = stop_ns - limit * interval_ns
        if first >= zero:
            return first
        oldest = self._past.back(min(zero, stop_ns), limit * interval_ns // NS_PER_MINUTE)
        return min(first, oldest - oldest % interval_ns)

    def day(self, venue_ns: int) -> list[Kline]:
        """The minutes of the 24 hours up to now, and the one before them if there is one."""
        start = venue_ns - venue_ns % NS_PER_MINUTE - MINUTES_PER_DAY * NS_PER_MINUTE
        return list(self._from(start, venue_ns))

    def _from(self, start_ns: int, end_ns: int) -> Iterable[Kline]:
        """The minutes that begin within a span, both ends included."""
        if not self._minutes:
            return ()
        zero = self._minutes[0].open_ns
        first = max(0, -(-(start_ns - zero) // NS_PER_MINUTE))
        known = self._minutes[first : max(0, (end_ns - zero) // NS_PER_MINUTE + 1)]
        return known if start_ns >= zero else chain(self._past.minutes(start_ns, min(end_ns + 1, zero)), known)


def _empty(open_ns: int, price: float) -> Kline:
    return Kline(open_ns, price, price, price, price)


def _joined(minutes: Iterable[Kline], interval_ns: int) -> Iterator[Kline]:
    if interval_ns == NS_PER_MINUTE:
        yield from minutes
        return
    made: Kline | None = None
    for minute in minutes:
        open_ns = minute.open_ns - minute.open_ns % interval_ns
        if made is None or made.open_ns != open_ns:
            if made is not None:
                yield made
            made = _empty(open_ns, minute.open)
        made.join(minute)
    if made is not None:
        yield made
