"""The order book that the exchange shows: what its depth messages add up to."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nlargest, nsmallest

from core.contracts.market import PriceLevel
from core.market.records import DepthRecord


class Book:
    """Levels by price on both sides.

    Attributes:
        last_id: id of the newest change in it, 0 for an empty one.
    """

    def __init__(self) -> None:
        self.last_id = 0
        self._bids: dict[float, float] = {}
        self._asks: dict[float, float] = {}

    def apply(self, record: DepthRecord) -> None:
        """Take a depth message; one that is older than the book changes nothing."""
        if record.last_update_id <= self.last_id:
            return
        if record.kind == "snapshot":
            self._bids.clear()
            self._asks.clear()
        _change(self._bids, record.bids)
        _change(self._asks, record.asks)
        self.last_id = record.last_update_id

    def bids(self, limit: int) -> list[PriceLevel]:
        """The best `limit` bids, best first."""
        return nlargest(limit, self._bids.items())

    def asks(self, limit: int) -> list[PriceLevel]:
        """The best `limit` asks, best first."""
        return nsmallest(limit, self._asks.items())


def _change(side: dict[float, float], levels: Iterable[PriceLevel]) -> None:
    for price, qty in levels:
        if qty:
            side[price] = qty
        else:
            side.pop(price, None)


class DepthDigest:
    """Several changes of a book as one: the slower of the two depth streams."""

    def __init__(self) -> None:
        self._first_id = 0
        self._newest: DepthRecord | None = None
        self._bids: dict[float, float] = {}
        self._asks: dict[float, float] = {}

    def add(self, delta: DepthRecord) -> None:
        """Take the next change."""
        if self._newest is None:
            self._first_id = delta.first_update_id
        self._newest = delta
        self._bids.update(delta.bids)
        self._asks.update(delta.asks)

    def flush(self) -> DepthRecord | None:
        """Everything since the last call as one change; None if nothing has changed."""
        newest = self._newest
        if newest is None:
            return None
        bids, asks = tuple(sorted(self._bids.items(), reverse=True)), tuple(sorted(self._asks.items()))
        whole = newest._replace(first_update_id=self._first_id, bids=bids, asks=asks)
        self._newest = None
        self._bids.clear()
        self._asks.clear()
        return whole
