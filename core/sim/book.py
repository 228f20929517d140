"""What the slower of the two depth streams of the exchange tells."""

from __future__ import annotations

from core.market.records import DepthRecord


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
