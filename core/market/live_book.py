"""A live order book kept whole: a delta is published only where it joins what was published before.

The venue numbers the changes of a book; a delta says which of them it holds, `first_update_id` to `last_update_id`.
After a hole, and at the start, the book is unsynchronised: deltas wait, a snapshot is asked for, and it goes out
before those deltas that continue it.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.market.records import DepthRecord

HELD_MAX = 1000
"""Deltas that wait for a snapshot, a hundred seconds of them; of more the older half is dropped."""


class BookSequence:
    """Puts the deltas of one symbol's book in order."""

    def __init__(self) -> None:
        self._last = -1  # last change published; below 0 while unsynchronised
        self._floor = -1  # the same, also while unsynchronised
        self._held: list[DepthRecord] = []

    @property
    def joined(self) -> bool:
        """Whether a snapshot has been published since the stream began."""
        return self._last >= 0

    def wants(self) -> bool:
        """Whether a snapshot is needed: there was none yet, or there is a hole."""
        return self._last < 0 or bool(self._held)

    def on_delta(self, record: DepthRecord) -> Sequence[DepthRecord]:
        """What may be published now that this one has come."""
        if record.first_update_id <= self._last + 1 and self._last >= 0 and not self._held:
            return self._join([record])
        self._held.append(record)
        if len(self._held) > HELD_MAX:
            del self._held[: HELD_MAX // 2]
        return self._join([])

    def on_snapshot(self, record: DepthRecord) -> Sequence[DepthRecord]:
        """What may be published; nothing if the snapshot is too old to be continued, and another one is wanted."""
        if not self.wants():
            return ()
        newer = [held for held in self._held if held.last_update_id > record.last_update_id]
        first = min((held.first_update_id for held in newer), default=0)
        if record.last_update_id < self._floor or first > record.last_update_id + 1:
            return ()
        self._held = newer
        self._last = self._floor = record.last_update_id
        return (record, *self._join([]))

    def on_disconnected(self) -> None:
        """The next stream needs a snapshot of its own."""
        self._last = -1
        self._held = []

    def _join(self, waiting: list[DepthRecord]) -> Sequence[DepthRecord]:
        """What continues the book, of what waits; what is older than the book is forgotten."""
        if self._last < 0:
            return ()
        waiting += sorted(self._held, key=lambda held: held.first_update_id)
        self._held = []
        joined: list[DepthRecord] = []
        for record in waiting:
            if record.first_update_id > self._last + 1:
                self._held.append(record)
            elif record.last_update_id > self._last:
                self._last = self._floor = record.last_update_id
                joined.append(record)
        return joined
