"""Directional movement: which way a market goes, and how decidedly (Wilder 1978)."""

from __future__ import annotations

from typing import NamedTuple

from strategies.indicators.atr import TrueRange
from strategies.indicators.base import Indicator, length_of


class Directions(NamedTuple):
    """Both 0 to 100.

    Attributes:
        plus: the share of the moves up in the true range, +DI.
        minus: that of the moves down, -DI.
    """

    plus: float
    minus: float


class Dmi(Indicator):
    """+DI and -DI; both 0 where nothing has ever moved.

    As in TA-Lib the sums start from the first `length` - 1 moves and not from `length`.

    >>> dmi = Dmi(2)
    >>> [dmi.update(*bar) for bar in ((3.0, 1.0, 2.0), (5.0, 2.0, 4.0), (6.0, 3.0, 5.0))][-1]
    Directions(plus=44.44444444444444, minus=0.0)
    """

    def __init__(self, length: int = 14) -> None:
        self.length = length_of(length)
        self.settings = ("dmi", length)
        self._range = TrueRange()
        self._high = self._low = 0.0
        self._moves = 0
        self._plus = self._minus = self._spread = 0.0

    @property
    def value(self) -> Directions | None:
        """The directions now; None before `length` + 1 bars."""
        if self._moves < self.length:
            return None
        if self._spread <= 0.0:
            return Directions(0.0, 0.0)
        return Directions(100.0 * (self._plus / self._spread), 100.0 * (self._minus / self._spread))

    def update(self, high: float, low: float, close: float) -> Directions | None:
        """Take the next bar; the directions, None before `length` + 1 bars."""
        up, down = high - self._high, self._low - low
        self._high, self._low = high, low
        spread = self._range.update(high, low, close)
        if spread is None:
            return None
        self._moves += 1
        kept = 1.0 if self._moves < self.length else 1.0 - 1.0 / self.length
        self._plus = self._plus * kept + (up if up > max(down, 0.0) else 0.0)
        self._minus = self._minus * kept + (down if down > max(up, 0.0) else 0.0)
        self._spread = self._spread * kept + spread
        return self.value


class AdxLines(NamedTuple):
    """All 0 to 100.

    Attributes:
        adx: how decided the market is, whichever way it goes.
        plus: +DI.
        minus: -DI.
    """

    adx: float
    plus: float
    minus: float


class Adx(Indicator):
    """Wilder's average of |+DI - -DI| / (+DI + -DI); where neither moves, it stays what it was.

    >>> adx = Adx(2)
    >>> bars = ((3.0, 1.0, 2.0), (5.0, 2.0, 4.0), (6.0, 3.0, 5.0), (7.0, 4.0, 6.0))
    >>> [adx.update(*bar) for bar in bars][-1].adx
    100.0
    """

    def __init__(self, length: int = 14) -> None:
        self.length = length_of(length, least=2)
        self.settings = ("adx", length)
        self._directions = Dmi(length)
        self._count = 0
        self._mean = 0.0

    @property
    def value(self) -> AdxLines | None:
        """The lines now; None before 2 * `length` bars."""
        directions = self._directions.value
        if directions is None or self._count < self.length:
            return None
        return AdxLines(self._mean, *directions)

    def update(self, high: float, low: float, close: float) -> AdxLines | None:
        """Take the next bar; the lines, None before 2 * `length` bars."""
        directions = self._directions.update(high, low, close)
        if directions is None:
            return None
        total = directions.plus + directions.minus
        moved = 100.0 * abs(directions.plus - directions.minus) / total if total > 0.0 else None
        if self._count < self.length:
            self._count += 1
            self._mean += (moved or 0.0) / self.length
        elif moved is not None:
            self._mean = (self._mean * (self.length - 1) + moved) / self.length
        return self.value
