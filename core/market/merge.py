"""Several rising streams as one, in an order that does not depend on who was read first.

The order is (time, rank of the stream, place in the stream). Streams are read in blocks, and what all blocks together
allow is sorted: Python's sort finds the rising runs by itself. That is faster than `heapq.merge`, which passes every
event through a heap, even though each time is checked here as well. Memory stays that of one block per stream.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import le
from typing import Generic, TypeVar

from core.contracts.moments import iso
from core.errors import DataError

T = TypeVar("T")

BLOCK = 512
"""Events of one stream that are read ahead at most: beyond it nothing gets faster, and each costs memory."""

_FIRST_BLOCK = 8
"""The first block's, which doubles from block to block: who wants only the first event does not read hundreds."""


def merged(streams: Sequence[Iterable[T]], key: Callable[[T], int], names: Sequence[str] = ()) -> Iterator[T]:
    """All events of all streams: by time, then by the streams' order, then as each stream has them.

    Up to `BLOCK` events of each stream are read ahead of what has been given out.

    Args:
        streams: each rising by `key`; equal times are allowed.
        key: an event's time, ns UTC.
        names: what an error calls each stream; its number without.

    Raises:
        DataError: a stream goes back in time; what it had up to there may have been given out.
    """
    waiting = [_Stream(iter(each), key, names[at] if names else f"stream {at}") for at, each in enumerate(streams)]
    waiting = [each for each in waiting if each.fill()]
    while len(waiting) > 1:
        horizon, rank = min((each.keys[-1], rank) for rank, each in enumerate(waiting))
        ready: list[T] = []
        for place, each in enumerate(waiting):
            ready += each.take(horizon, also_equal=place <= rank)
        ready.sort(key=key)  # stable: among equals the streams' order, which is that of `ready`, stays
        yield from ready
        waiting = [each for each in waiting if each.left or each.fill()]
    for each in waiting:
        yield from each.rest()


class _Stream(Generic[T]):
    """A stream and the block of it that has been read."""

    def __init__(self, events: Iterator[T], key: Callable[[T], int], name: str) -> None:
        self.keys: list[int] = []
        self._events = events
        self._key = key
        self._name = name
        self._block: list[T] = []
        self._at = 0
        self._size = min(_FIRST_BLOCK, BLOCK)

    @property
    def left(self) -> bool:
        """Whether something of the block has not been taken."""
        return self._at < len(self._block)

    def fill(self) -> bool:
        """Read the next block; False at the end of the stream."""
        last = self.keys[-1:]
        self._block = list(islice(self._events, self._size))
        self._size = min(2 * self._size, BLOCK)
        self._at, self.keys = 0, [self._key(event) for event in self._block]
        before = last + self.keys if last else self.keys
        if not all(map(le, before, before[1:])):
            at = next(at for at in range(1, len(before)) if before[at] < before[at - 1])
            raise DataError(f"{self._name} goes back in time: {iso(before[at])} comes behind {iso(before[at - 1])}")
        return bool(self._block)

    def take(self, horizon: int, *, also_equal: bool) -> list[T]:
        """What is before a time, or also at it."""
        find = bisect_right if also_equal else bisect_left
        start, self._at = self._at, find(self.keys, horizon, self._at)
        return self._block[start : self._at]

    def rest(self) -> Iterator[T]:
        """Everything that has not been taken."""
        yield from self._block[self._at :]
        while self.fill():
            yield from self._block
