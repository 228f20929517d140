"""Bars while they are made: a minute out of trades, longer ones out of minutes.

Amounts are summed exactly, so a volume is what the venue's own decimal strings add up to, in whatever order the trades
came; see `core.market.amounts`. The published bar holds the float nearest to that sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core import codec
from core.contracts import OHLCVBar, TradeEvent, quote_of, timeframe_ns
from core.handler import State
from core.market.amounts import decimal_of, mean_price, nearest, plus, times

BASE = "1m"
BASE_NS = timeframe_ns(BASE)

_ID_DIGITS = 18


@dataclass(slots=True)
class _Sums:
    """What minutes and longer bars have in common."""

    open: float
    high: float
    low: float
    close: float
    volume: Decimal
    turnover: Decimal
    trade_count: int

    def count(self, volume: Decimal, turnover: Decimal, trades: int) -> None:
        """Take in amounts."""
        self.volume = plus(self.volume, volume)
        self.turnover = plus(self.turnover, turnover)
        self.trade_count += trades

    def vwap(self) -> float | None:
        """Mean price by quantity, within the range of prices; None where nothing traded."""
        if not self.volume:
            return None
        return mean_price(self.turnover, self.volume, self.low, self.high)

    def bar(self, symbol: str, timeframe: str, ts_open: int, *, complete: bool, vwap: float | None) -> OHLCVBar:
        """The bar as it is published."""
        return OHLCVBar(
            symbol,
            timeframe,
            ts_open,
            ts_open + timeframe_ns(timeframe),
            self.open,
            self.high,
            self.low,
            self.close,
            nearest(self.volume),
            vwap,
            nearest(self.turnover),
            self.trade_count,
            complete,
            currency=quote_of(symbol),
        )


@dataclass(slots=True)
class MinuteBuilding(_Sums):
    """A minute out of its trades.

    Attributes:
        first: venue time and id of the trade that opened it, whenever that one came.
        last: the same of the trade that closes it.
    """

    first: tuple[int, int]
    last: tuple[int, int]

    @classmethod
    def of(cls, trade: TradeEvent) -> MinuteBuilding:
        """Begin with a trade."""
        price, place = trade.price, _place(trade)
        qty = decimal_of(trade.qty)
        return cls(price, price, price, price, qty, times(decimal_of(price), qty), 1, place, place)

    def add(self, trade: TradeEvent) -> None:
        """Take in one more trade; trades without ids count in the order in which they come."""
        price, qty, place = trade.price, decimal_of(trade.qty), _place(trade)
        if place < self.first:
            self.first, self.open = place, price
        if place >= self.last:
            self.last, self.close = place, price
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.count(qty, times(decimal_of(price), qty), 1)


@dataclass(slots=True)
class _DerivedBuilding(_Sums):
    """A longer bar out of its minutes so far.

    Attributes:
        ts_open: its start, ns UTC.
        minutes: how many it has.
        complete: whether each of them was.
        priced: whether the mean price of each that has a volume is known.
    """

    ts_open: int
    minutes: int = 0
    complete: bool = True
    priced: bool = True

    @classmethod
    def at(cls, ts_open: int, minute: OHLCVBar) -> _DerivedBuilding:
        """Begin with the prices of a minute, for if nothing trades."""
        return cls(minute.open, minute.high, minute.low, minute.close, Decimal(0), Decimal(0), 0, ts_open)

    def price(self, minute: OHLCVBar) -> None:
        """Take in the prices of a minute, unless nothing traded in it while something has in this bar.

        Those of a quiet one are left out: they repeat what was paid before, perhaps before this bar. Where nothing has
        a volume all count, so that a series whose volumes are not known keeps its prices.
        """
        if self.volume and not minute.volume:
            return
        if minute.volume and not self.volume:
            self.open, self.high, self.low = minute.open, minute.high, minute.low
        self.high, self.low = max(self.high, minute.high), min(self.low, minute.low)
        self.close = minute.close


class DerivedBars:
    """Bars of one length out of one symbol's minutes, aligned to the UTC day."""

    def __init__(self, timeframe: str, source: str = BASE) -> None:
        """
        Args:
            timeframe: their length, whole bars of the source.
            source: length of the bars that they are made of.
        """
        self.timeframe = timeframe
        self._length_ns, self._source_ns = timeframe_ns(timeframe), timeframe_ns(source)
        self._building: _DerivedBuilding | None = None

    def add(self, minute: OHLCVBar) -> OHLCVBar | None:
        """Take in the next minute; the bar that ends with it, if one does.

        Its prices are those of the trades in it: what one pass over the trades would give. A bar that lacks minutes,
        because they came before the first trade or before this began to listen, is not complete.
        """
        start_ns = minute.ts_open - minute.ts_open % self._length_ns
        building = self._building
        if building is None or building.ts_open != start_ns:
            building = self._building = _DerivedBuilding.at(start_ns, minute)
        building.price(minute)
        building.count(decimal_of(minute.volume), decimal_of(minute.turnover), minute.trade_count)
        building.minutes += 1
        building.complete &= minute.complete
        building.priced &= minute.vwap is not None or not minute.volume
        if minute.ts_close < start_ns + self._length_ns:
            return None
        return self.end(minute.symbol)

    def end(self, symbol: str) -> OHLCVBar | None:
        """What is being built, as far as it has come, complete only if nothing is missing; None if there is nothing."""
        building, self._building = self._building, None
        if building is None:
            return None
        whole = building.complete and building.minutes * self._source_ns == self._length_ns
        vwap = building.vwap() if building.priced else None
        return building.bar(symbol, self.timeframe, building.ts_open, complete=whole, vwap=vwap)

    def miss(self, after_ns: int, before_ns: int) -> None:
        """Trades between these times are missing; what is being built over them is not complete."""
        building = self._building
        if building is not None and after_ns < building.ts_open + self._length_ns and before_ns >= building.ts_open:
            building.complete = False

    def snapshot(self) -> State | None:
        """The bar that is being built."""
        state: State | None = codec.to_builtins(self._building)
        return state

    def restore(self, state: State | None) -> None:
        """Become what `snapshot` described."""
        self._building = codec.convert(state, _DerivedBuilding) if state else None


def _place(trade: TradeEvent) -> tuple[int, int]:
    """Where a trade stands in the venue's own order."""
    number = trade.trade_id
    return trade.ts, int(number) if number.isdecimal() and len(number) <= _ID_DIGITS else 0
