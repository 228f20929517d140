"""The trades of one market so far, compact: about 41 bytes each."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from core.contracts.enums import Side
from core.market.records import TradeRecord

TRADES_KEPT = 1_000_000


class Trades:
    """Trades in the order of their ids; the oldest go when there are too many."""

    def __init__(self, kept: int = TRADES_KEPT) -> None:
        """
        Args:
            kept: how many there may be, 2 or more; the older half goes when they are more.
        """
        self._kept = kept
        self._ids, self._times, self._received = array("q"), array("q"), array("q")
        self._prices, self._quantities = array("d"), array("d")
        self._buys = bytearray()

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> TradeRecord:
        side: Side = "buy" if self._buys[index] else "sell"
        return TradeRecord(
            self._ids[index], self._prices[index], self._quantities[index], side, self._times[index],
            self._received[index],
        )  # fmt: skip

    @property
    def first_id(self) -> int:
        """The oldest one's id, -1 if there is none."""
        return self._ids[0] if self._ids else -1

    @property
    def last_id(self) -> int:
        """The newest one's id, -1 if there is none."""
        return self._ids[-1] if self._ids else -1

    def add(self, trade: TradeRecord) -> bool:
        """Take a trade; False for one whose id is no number above all others."""
        trade_id = trade.trade_id
        if not isinstance(trade_id, int) or trade_id <= self.last_id:
            return False
        self._ids.append(trade_id)
        self._prices.append(trade.price)
        self._quantities.append(trade.qty)
        self._buys.append(trade.side == "buy")
        self._times.append(trade.ts_ns)
        self._received.append(trade.recv_ns)
        if len(self._ids) > self._kept:
            self._forget(len(self._ids) // 2)
        return True

    def _forget(self, count: int) -> None:
        del self._ids[:count], self._prices[:count], self._quantities[:count]
        del self._buys[:count], self._times[:count], self._received[:count]

    def page(self, from_id: int, limit: int) -> list[TradeRecord]:
        """At most `limit` trades, oldest first, from an id on."""
        start = bisect_left(self._ids, from_id)
        return self._slice(range(start, min(start + limit, len(self))))

    def latest(self, limit: int) -> list[TradeRecord]:
        """The newest `limit` trades, oldest first."""
        return self._slice(range(max(0, len(self) - limit), len(self)))

    def between(self, start_ns: int, end_ns: int, limit: int) -> list[TradeRecord]:
        """At most `limit` trades, oldest first, of a span of venue time, both ends included."""
        start, end = bisect_left(self._times, start_ns), bisect_right(self._times, end_ns)
        return self._slice(range(start, min(end, start + limit)))

    def _slice(self, indices: Sequence[int]) -> list[TradeRecord]:
        return [self[index] for index in indices]


class Aggregate:
    """Trades of one order: consecutive, of one price, one side and one millisecond.

    Attributes:
        first: its first trade; its id is the aggregate's too, so those rise but are not contiguous. That way they are
            the same after a restart in the middle, whatever came before.
        last_id: id of its last trade.
        qty: base units of all of them.
    """

    __slots__ = ("first", "last_id", "qty")

    def __init__(self, first: TradeRecord) -> None:
        self.first = first
        self.last_id = first.trade_id
        self.qty = first.qty

    def take(self, trade: TradeRecord) -> bool:
        """Add the next trade; False if it belongs to another aggregate."""
        first = self.first
        if (trade.price, trade.side, trade.ts_ns) != (first.price, first.side, first.ts_ns):
            return False
        self.last_id = trade.trade_id
        self.qty += trade.qty
        return True


def aggregates(trades: Sequence[TradeRecord]) -> Iterator[Aggregate]:
    """Trades grouped by the orders that made them."""
    current: Aggregate | None = None
    for trade in trades:
        if current is not None and current.take(trade):
            continue
        if current is not None:
            yield current
        current = Aggregate(trade)
    if current is not None:
        yield current
