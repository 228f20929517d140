"""An order book as the sum of its changes: a snapshot, and every change behind it, without a hole.

The venue numbers the changes of a book; an event says which of them it holds, `first_update_id` to `last_update_id`. A
book is whole from a snapshot on, as long as each change continues the one before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nlargest, nsmallest
from typing import NamedTuple, Protocol

from core.contracts import BookKind
from core.contracts.market import PriceLevel

WAITING_MAX = 1000
"""Changes that wait for a snapshot; of more the oldest are dropped, and an older snapshot does not join."""


class BookChange(Protocol):
    """A whole book or a change of it, published or as the venue sent it; see `core.contracts.BookEvent`."""

    @property
    def kind(self) -> BookKind:
        """Either "snapshot" or "delta"."""

    @property
    def first_update_id(self) -> int:
        """Of the first change in it."""

    @property
    def last_update_id(self) -> int:
        """Of the last change in it."""

    @property
    def bids(self) -> tuple[PriceLevel, ...]:
        """(price, qty); in a delta a qty of 0 removes the level."""

    @property
    def asks(self) -> tuple[PriceLevel, ...]:
        """The same for the other side."""


class Hole(NamedTuple):
    """Changes of a book that are missing.

    Attributes:
        after_id: the last change before them.
        before_id: the first change behind them.
    """

    after_id: int
    before_id: int


@dataclass(frozen=True, slots=True)
class BookView:
    """A book at a moment.

    Attributes:
        bids: (price in quote units, qty in base units), best first.
        asks: the same for the other side.
        last_update_id: the venue's id of the newest change in it.
        lowest: price down to which the snapshot told the bids; further away only what has changed since is known. None
            where it told none.
        highest: price up to which it told the asks.
    """

    bids: tuple[PriceLevel, ...]
    asks: tuple[PriceLevel, ...]
    last_update_id: int
    lowest: float | None
    highest: float | None

    @property
    def best_bid(self) -> float | None:
        """Highest price that somebody pays; None where nobody does."""
        return self.bids[0][0] if self.bids else None

    @property
    def best_ask(self) -> float | None:
        """Lowest price that somebody takes; None where nobody does."""
        return self.asks[0][0] if self.asks else None

    @property
    def spread(self) -> float | None:
        """Best ask less best bid, quote units; None while a side is empty."""
        return self.asks[0][0] - self.bids[0][0] if self.bids and self.asks else None

    @property
    def mid(self) -> float | None:
        """Half way between the best prices, quote units; None while a side is empty."""
        return (self.asks[0][0] + self.bids[0][0]) / 2 if self.bids and self.asks else None

    def depth(self, distance: float) -> tuple[float, float]:
        """Base units bid and asked no further from the mid than a fraction of it, 0.001 is 0.1 %; 0 without a mid."""
        if (mid := self.mid) is None:
            return 0.0, 0.0
        low, high = mid * (1 - distance), mid * (1 + distance)
        return sum(qty for price, qty in self.bids if price >= low), sum(
            qty for price, qty in self.asks if price <= high
        )

    def imbalance(self, levels: int) -> float | None:
        """(bids - asks) / (bids + asks) of the quantities of the best levels of each side: 1 is all bids, -1 all asks.

        None for an empty book.
        """
        bid, ask = (sum(qty for _, qty in side[:levels]) for side in (self.bids, self.asks))
        return (bid - ask) / (bid + ask) if bid + ask else None


class OrderBook:
    """Levels by price on both sides.

    Attributes:
        last_id: id of the newest change in it, 0 for an empty one.
        whole: whether nothing is missing since a snapshot.
        lowest: price down to which that snapshot told the bids. A venue's snapshot ends after so many levels; further
            away only what has changed since is known.
        highest: price up to which it told the asks.
    """

    def __init__(self) -> None:
        self.last_id = 0
        self.whole = False
        self.lowest: float | None = None
        self.highest: float | None = None
        self._bids: dict[float, float] = {}
        self._asks: dict[float, float] = {}
        self._waiting: deque[BookChange] = deque(maxlen=WAITING_MAX)

    def apply(self, change: BookChange) -> Hole | None:
        """Take what comes next; the hole before it, if there is one.

        A change that is in the book already changes nothing. While the book is not whole it shows what is known;
        changes are kept until a snapshot comes, which may be older than some of them.
        """
        if change.kind == "snapshot":
            return self._replace(change)
        if change.last_update_id <= self.last_id:
            return None
        hole = None
        if self.last_id and change.first_update_id > self.last_id + 1:
            hole = Hole(self.last_id, change.first_update_id)
            self.whole = False
            self._waiting.clear()  # what came before the hole can no snapshot join
        if not self.whole:
            self._waiting.append(change)
        self._change(change)
        return hole

    def _replace(self, snapshot: BookChange) -> Hole | None:
        if self.whole and snapshot.last_update_id <= self.last_id:
            return None
        waiting = [change for change in self._waiting if change.last_update_id > snapshot.last_update_id]
        self._waiting.clear()
        self._bids.clear()
        self._asks.clear()
        self._change(snapshot)
        self.whole = True
        self.lowest, self.highest = min(self._bids, default=None), max(self._asks, default=None)
        holes = [self.apply(change) for change in waiting]
        return next((hole for hole in holes if hole), None)

    def _change(self, change: BookChange) -> None:
        _set(self._bids, change.bids)
        _set(self._asks, change.asks)
        self.last_id = change.last_update_id

    def bids(self, limit: int) -> list[PriceLevel]:
        """The best `limit` bids, best first."""
        return nlargest(limit, self._bids.items())

    def asks(self, limit: int) -> list[PriceLevel]:
        """The best `limit` asks, best first."""
        return nsmallest(limit, self._asks.items())

    def view(self) -> BookView:
        """All of it, as it is now."""
        bids, asks = sorted(self._bids.items(), reverse=True), sorted(self._asks.items())
        return BookView(tuple(bids), tuple(asks), self.last_id, self.lowest, self.highest)


def _set(side: dict[float, float], levels: Iterable[PriceLevel]) -> None:
    for price, qty in levels:
        if qty:
            side[price] = qty
        else:
            side.pop(price, None)
