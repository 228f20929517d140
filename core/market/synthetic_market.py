"""A seeded market without an end: trades, a consistent order book and best prices, as a venue would send them.

Every minute begins with a book that only seed and minute decide, so the market can be entered at any minute without
making the days before it. Ids are contiguous: trades by counting, book updates by giving each minute a range
of its own, which the first delta of the minute opens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

from core.contracts import Instrument
from core.contracts.enums import Side
from core.contracts.market import PriceLevel
from core.errors import ConfigError
from core.market.records import DepthRecord, QuoteRecord, Record, TradeRecord
from core.market.synthetic_book import BookSide
from core.market.synthetic_path import TRADES_MAX, Minute, minutes, uniforms

START_NS = 1_704_067_200_000_000_000  # 2024-01-01T00:00:00Z
START_PRICE = 60_000.0
START_PRICE_MAX = 1e12
START_TICKS_MIN = 1000
NS_PER_MS = 1_000_000
NS_PER_MINUTE = 60_000_000_000
MS_PER_MINUTE = 60_000
STEP_MS = 100
STEPS = MS_PER_MINUTE // STEP_MS
STEPS_ROOT = 24.494897427831781
LATENCY_NS = 2 * NS_PER_MS
IDS_PER_MINUTE = 100_000  # a minute uses at most one per trade and one per step
RECORDS_PER_MINUTE_MAX = 2 * TRADES_MAX + 2 * STEPS + 2

USUAL_PRICES = {"BTC/USDT": 60_000.0, "ETH/USDT": 2_500.0, "ATOM/USDT": 8.0}
OTHER_PRICE = 100.0

LEVEL_SPACING = 0.00005  # of the price: half a basis point
LEVEL_NOTIONAL = 20_000.0  # quote units on an average level
TRADE_NOTIONAL = 300.0  # quote units of a small trade; the largest are fifty times as large
LEAN_MAX = 0.4  # by how much a coming move tilts the odds between buyers and sellers


def usual_price(symbol: str) -> float:
    """Where a symbol's market starts unless told otherwise, quote units."""
    return USUAL_PRICES.get(symbol, OTHER_PRICE)


class _Grid:
    """Whole steps inside, the nearest floats outside: 6183763 ticks of 0.01 are 61837.63."""

    def __init__(self, step: Decimal) -> None:
        self.step = float(step)
        self._numerator, self._denominator = step.as_integer_ratio()

    def value(self, steps: int) -> float:
        return steps * self._numerator / self._denominator


@dataclass(frozen=True, slots=True)
class SyntheticMarket:
    """Which market; equal ones give equal records for ever.

    Attributes:
        instrument: symbol, tick and lot.
        seed: any whole number.
        start_price: quote units per base unit, at least 1,000 ticks; the price keeps coming back to it.
        start_ns: market time of the beginning, ns UTC, a whole minute.
    """

    instrument: Instrument
    seed: int
    start_price: float = START_PRICE
    start_ns: int = START_NS

    def __post_init__(self) -> None:
        lowest = START_TICKS_MIN * float(self.instrument.tick_size)
        if not lowest <= self.start_price < START_PRICE_MAX:
            raise ConfigError(
                f"synthetic start price is {self.start_price!r}; allowed: {lowest:g} (1,000 ticks) or more"
            )
        if self.start_ns <= 0 or self.start_ns % NS_PER_MINUTE:
            raise ConfigError(f"synthetic start time is {self.start_ns!r} ns; allowed: a whole minute after 1970")

    def minutes(self) -> Iterator[Minute]:
        """The path alone."""
        return minutes(self.seed, self.start_price)

    def records(self, first: int = 0) -> Iterator[Record]:
        """Everything from a minute on, counted from 0, without an end.

        Only minute 0 begins with a snapshot; another one that is entered begins behind the delta that opens it.
        """
        writer = _Writer(self)
        for minute in islice(self.minutes(), first, None):
            yield from writer.minute(minute)


class _Writer:
    """Writes one minute after the other; what it carries between them goes into the next one's first delta."""

    def __init__(self, market: SyntheticMarket) -> None:
        instrument = market.instrument
        self._seed, self._start_ns = market.seed, market.start_ns
        self._ticks, self._lots = _Grid(instrument.tick_size), _Grid(instrument.lot_size)
        lot_notional = market.start_price * self._lots.step
        self._level_lots, self._trade_lots = LEVEL_NOTIONAL / lot_notional, TRADE_NOTIONAL / lot_notional
        self._spacing = max(1, int(market.start_price * LEVEL_SPACING / self._ticks.step))
        self._bids, self._asks = BookSide(-1, self._spacing), BookSide(1, self._spacing)
        self._noise: Iterator[float] = iter(())
        self._sizes: Iterator[int] = iter(())
        self._mid = 0.0
        self._update_id = 0
        self._told_id = 0

    def minute(self, minute: Minute) -> Iterator[Record]:
        """The records of a minute in the order of their times."""
        self._noise = uniforms(f"{self._seed}:book:{minute.number}")
        self._sizes = self._draw_sizes()
        start_ns = self._start_ns + minute.number * NS_PER_MINUTE
        yield from self._open(minute, start_ns)
        mids = self._mids(minute)
        times_ms = sorted(int(next(self._noise) * MS_PER_MINUTE) for _ in range(minute.trades))
        done = 0
        for step, mid in enumerate(mids, start=1):
            while done < minute.trades and times_ms[done] < step * STEP_MS:
                ts_ns = start_ns + times_ms[done] * NS_PER_MS
                yield self._trade(minute.first_trade_id + done, mid, ts_ns)
                self._update_id += 1
                yield self._quote(ts_ns)
                done += 1
            yield from self._step(mid, start_ns + step * STEP_MS * NS_PER_MS)

    def _draw_sizes(self) -> Iterator[int]:
        for number in self._noise:
            yield 1 + int(2.0 * number * self._level_lots)

    def _mids(self, minute: Minute) -> list[float]:
        """A rough way from open to close in ticks, one price per step."""
        roughness = minute.open * minute.volatility / STEPS_ROOT * 2.449489742783178  # two uniforms vary by 1/6
        walk, here = [], 0.0
        for _ in range(STEPS):
            here += roughness * (next(self._noise) + next(self._noise) - 1.0)
            walk.append(here)
        slope = (minute.close - minute.open - here) / STEPS
        return [(minute.open + slope * step + away) / self._ticks.step for step, away in enumerate(walk, start=1)]

    def _open(self, minute: Minute, ts_ns: int) -> Iterator[Record]:
        """Replace the book by the one that this minute begins with."""
        self._bids.clear()
        self._asks.clear()
        self._reprice(minute.open / self._ticks.step)
        followed = self._update_id > 0
        self._update_id = minute.number * IDS_PER_MINUTE + 1
        if followed:
            yield self._delta(ts_ns)
            yield self._quote(ts_ns)
            return
        bids, asks = self._levels(self._bids.whole()), self._levels(self._asks.whole())
        self._told_id = self._update_id
        if minute.number == 0:
            yield DepthRecord("snapshot", 0, self._update_id, bids, asks, 0, ts_ns + LATENCY_NS)
            yield self._quote(ts_ns)

    def _trade(self, trade_id: int, target: float, ts_ns: int) -> TradeRecord:
        """A market order against the best level, more likely in the direction that the price will take."""
        lean = max(-LEAN_MAX, min(LEAN_MAX, (target - self._mid) / self._spacing))
        side: Side = "buy" if next(self._noise) < 0.5 + lean else "sell"
        book = self._asks if side == "buy" else self._bids
        number = next(self._noise)
        lots = book.take(max(1, int(self._trade_lots * (0.1 + number * number / (1.02 - number)))))
        price, qty = self._ticks.value(book.best), self._lots.value(lots)
        return TradeRecord(trade_id, price, qty, side, ts_ns, ts_ns + LATENCY_NS)

    def _step(self, mid: float, ts_ns: int) -> Iterator[Record]:
        """Move the book to a price, and tell what has changed since the last step."""
        before = self._top()
        self._reprice(mid)
        self._bids.resize(next(self._noise), self._sizes)
        self._asks.resize(next(self._noise), self._sizes)
        self._update_id += 1
        if self._top() != before:
            yield self._quote(ts_ns)
        yield self._delta(ts_ns)

    def _reprice(self, mid: float) -> None:
        self._mid = mid
        bid = int(mid)
        self._bids.reprice(bid, self._sizes)
        self._asks.reprice(bid + 1, self._sizes)

    def _top(self) -> tuple[int, int, int, int]:
        bids, asks = self._bids, self._asks
        return bids.best, bids.levels[bids.best], asks.best, asks.levels[asks.best]

    def _quote(self, ts_ns: int) -> QuoteRecord:
        bid, bid_lots, ask, ask_lots = self._top()
        price, qty = self._ticks.value, self._lots.value
        return QuoteRecord(
            self._update_id, price(bid), qty(bid_lots), price(ask), qty(ask_lots), ts_ns, ts_ns + LATENCY_NS
        )

    def _delta(self, ts_ns: int) -> DepthRecord:
        first, self._told_id = self._told_id + 1, self._update_id
        bids, asks = self._levels(self._bids.changes()), self._levels(self._asks.changes())
        return DepthRecord("delta", first, self._update_id, bids, asks, ts_ns, ts_ns + LATENCY_NS)

    def _levels(self, levels: list[tuple[int, int]]) -> tuple[PriceLevel, ...]:
        price, qty = self._ticks.value, self._lots.value
        return tuple([(price(ticks), qty(lots)) for ticks, lots in levels])
