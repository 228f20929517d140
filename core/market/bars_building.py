"""Bars while they are made: a minute out of trades, longer ones out of minutes.

Amounts are summed as decimals of the shortest repr of each number, so a volume is exactly what the venue's own decimal
strings add up to, in whatever order the trades came. The published bar holds the float nearest to that sum.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from decimal import Context, Decimal

from core import codec
from core.contracts import OHLCVBar, TradeEvent, quote_of, timeframe_ns
from core.handler import State

BASE = "1m"
BASE_NS = timeframe_ns(BASE)

_SUM = Context(prec=1000)
"""Holds every sum and product of real amounts; a context of its own, because a process may have set its decimals."""

_VIEW = Context(prec=34)
_FLOAT_MAX = Decimal(sys.float_info.max)
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
        self.volume = _SUM.add(self.volume, volume)
        self.turnover = _SUM.add(self.turnover, turnover)
        self.trade_count += trades

    def vwap(self) -> float | None:
        """Mean price by quantity, within the range of prices; None where nothing traded."""
        if not self.volume:
            return None
        return min(max(float(_VIEW.divide(self.turnover, self.volume)), self.low), self.high)

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
            _amount(self.volume),
            vwap,
            _amount(self.turnover),
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
        qty = _decimal(trade.qty)
        return cls(price, price, price, price, qty, _SUM.multiply(_decimal(price), qty), 1, place, place)

    def add(self, trade: TradeEvent) -> None:
        """Take in one more trade; trades without ids count in the order in which they come."""
        price, qty, place = trade.price, _decimal(trade.qty), _place(trade)
        if place < self.first:
            self.first, self.open = place, price
        if place >= self.last:
            self.last, self.close = place, price
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.count(qty, _SUM.multiply(_decimal(price), qty), 1)


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
        """Take in the prices of a minute in which something traded.

        Those of a quiet one are left out: they repeat what was paid before, perhaps before this bar.
        """
        if not self.volume:
            self.open, self.high, self.low = minute.open, minute.high, minute.low
        self.high, self.low = max(self.high, minute.high), min(self.low, minute.low)
        self.close = minute.close


class DerivedBars:
    """Bars of one length out of one symbol's minutes, aligned to the UTC day."""

    def __init__(self, timeframe: str) -> None:
        """
        Args:
            timeframe: their length, whole minutes.
        """
        self.timeframe = timeframe
        self._length_ns = timeframe_ns(timeframe)
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
        if minute.volume:
            building.price(minute)
        building.count(_decimal(minute.volume), _decimal(minute.turnover), minute.trade_count)
        building.minutes += 1
        building.complete &= minute.complete
        building.priced &= minute.vwap is not None or not minute.volume
        if minute.ts_close < start_ns + self._length_ns:
            return None
        self._building = None
        whole = building.complete and building.minutes * BASE_NS == self._length_ns
        vwap = building.vwap() if building.priced else None
        return building.bar(minute.symbol, self.timeframe, start_ns, complete=whole, vwap=vwap)

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


def _decimal(number: float) -> Decimal:
    return Decimal(repr(float(number)))


def _amount(total: Decimal) -> float:
    """The nearest float; nonsense beyond all floats counts as the largest."""
    return float(min(total, _FLOAT_MAX))
