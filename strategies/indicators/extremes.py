"""The highest and the lowest of the last values, and how long ago they were."""

from __future__ import annotations

from typing import ClassVar

from strategies.indicators.base import Indicator, length_of


class _Extreme(Indicator):
    """Keeps only the values that can still become the extreme: each one comes in once and goes out once."""

    _name: ClassVar[str]
    _sign: ClassVar[float]

    def __init__(self, length: int) -> None:
        self.length = length_of(length)
        self.settings = (self._name, length)
        self._keys: list[float] = []
        self._times: list[int] = []
        self._now = 0

    @property
    def value(self) -> float | None:
        """The extreme; None before `length` values."""
        return self._sign * self._keys[0] if self._now >= self.length else None

    @property
    def age(self) -> int:
        """How many updates ago it was, 0 for the last one; of equal values the latest."""
        return self._now - self._times[0] if self._times else 0

    def update(self, x: float) -> float | None:
        """Take the next value; the extreme, None before `length` values."""
        key, keys, times = self._sign * x, self._keys, self._times
        while keys and keys[-1] <= key:
            keys.pop()
            times.pop()
        self._now += 1
        keys.append(key)
        times.append(self._now)
        if times[0] <= self._now - self.length:
            del keys[0], times[0]
        return self.value


class Highest(_Extreme):
    """The highest of the last `length` values.

    >>> highest = Highest(2)
    >>> [highest.update(x) for x in (3.0, 1.0, 2.0)], highest.age
    ([None, 3.0, 2.0], 0)
    """

    _name = "highest"
    _sign = 1.0


class Lowest(_Extreme):
    """The lowest of the last `length` values.

    >>> lowest = Lowest(2)
    >>> [lowest.update(x) for x in (1.0, 2.0, 3.0)], lowest.age
    ([None, 1.0, 2.0], 1)
    """

    _name = "lowest"
    _sign = -1.0
