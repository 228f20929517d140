"""One side of a synthetic order book, in whole ticks and lots."""

from __future__ import annotations

from collections.abc import Iterator

DEPTH = 20
"""Levels on a side."""


class BookSide:
    """Levels from the best price outwards, and what has changed in them since it was last asked.

    Attributes:
        best: the best price, ticks.
        levels: lots by price, 1 or more each.
    """

    def __init__(self, direction: int, spacing: int) -> None:
        """
        Args:
            direction: where prices get worse: 1 for asks, -1 for bids.
            spacing: ticks between the levels behind the best one, 1 or more.
        """
        self._direction = direction
        self._spacing = spacing
        self._prices: list[int] = []
        self._changed: dict[int, int] = {}
        self.best = 0
        self.levels: dict[int, int] = {}

    def clear(self) -> None:
        """Take every level away."""
        self._changed.update(dict.fromkeys(self.levels, 0))
        self.levels.clear()
        self.best, self._prices = 0, []

    def reprice(self, best: int, sizes: Iterator[int]) -> None:
        """Move to another best price; levels that stay keep their size."""
        if best == self.best:
            return
        self.best, self._prices = best, self._grid(best)
        wanted = set(self._prices)
        for price in [price for price in self.levels if price not in wanted]:
            del self.levels[price]
            self._changed[price] = 0
        for price in self._prices:
            if price not in self.levels:
                self._set(price, next(sizes))

    def _grid(self, best: int) -> list[int]:
        behind = best // self._spacing * self._spacing
        if self._direction > 0 or behind == best:
            behind += self._direction * self._spacing
        return [best, *(behind + self._direction * self._spacing * level for level in range(DEPTH - 1))]

    def resize(self, where: float, sizes: Iterator[int]) -> None:
        """Somebody adds or cancels at one of the levels; `where` in [0, 1) says at which."""
        self._set(self._prices[int(where * DEPTH)], next(sizes))

    def take(self, lots: int) -> int:
        """Trade against the best level; returns the lots traded, which its last lot survives."""
        there = self.levels[self.best]
        taken = min(lots, there)
        self._set(self.best, max(1, there - taken))
        return taken

    def _set(self, price: int, lots: int) -> None:
        self.levels[price] = lots
        self._changed[price] = lots

    def changes(self) -> list[tuple[int, int]]:
        """Price and lots of every level that has changed since the last call, best first; 0 lots where it has gone."""
        changed = sorted(self._changed.items(), reverse=self._direction < 0)
        self._changed.clear()
        return changed

    def whole(self) -> list[tuple[int, int]]:
        """Price and lots of every level, best first; later changes start from here."""
        self._changed.clear()
        return sorted(self.levels.items(), reverse=self._direction < 0)
