"""The last few values of a series, in order."""

from __future__ import annotations

from strategies.indicators.base import Indicator, length_of


class Window(Indicator):
    """Keeps the last `length` values; for figures that need all of them at once.

    >>> window = Window(2)
    >>> for x in (1.0, 2.0, 3.0):
    ...     window.push(x)
    >>> window.full, window.values
    (True, [2.0, 3.0])
    """

    def __init__(self, length: int) -> None:
        self.length = length_of(length)
        self.settings = ("window", length)
        self.values: list[float] = []
        """Oldest first."""

    @property
    def full(self) -> bool:
        """Whether there are `length` of them."""
        return len(self.values) == self.length

    def push(self, x: float) -> None:
        """Take the next value and forget the oldest beyond `length`."""
        self.values.append(x)
        if len(self.values) > self.length:
            del self.values[0]
