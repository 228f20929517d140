"""Relative strength index with Wilder's smoothing."""

from __future__ import annotations

from strategies.indicators.base import Indicator, length_of


class Rsi(Indicator):
    """The share of the gains in all moves, 0 to 100; 0 where nothing has ever moved, as TA-Lib has it.

    Three moves of +1, -1 and +1 over a length of 2: the averages start at 1/2 and 1/2, then become
    (1/2 + 1) / 2 = 3/4 and (1/2 + 0) / 2 = 1/4.

    >>> rsi = Rsi(2)
    >>> [rsi.update(x) for x in (1.0, 2.0, 1.0, 2.0)]
    [None, None, 50.0, 75.0]
    """

    def __init__(self, length: int) -> None:
        self.length = length_of(length)
        self.settings = ("rsi", length)
        self.value: float | None = None
        self._last: float | None = None
        self._moves = 0
        self._gain = 0.0
        self._loss = 0.0

    def update(self, x: float) -> float | None:
        """Take the next value; the index, None before `length` moves, that is `length` + 1 values."""
        last, self._last = self._last, x
        if last is None:
            return None
        move = x - last
        gain, loss = (move, 0.0) if move > 0.0 else (0.0, -move)
        if self._moves < self.length:
            self._warm_up(gain, loss)
            if self._moves < self.length:
                return None
        else:
            self._gain = (self._gain * (self.length - 1) + gain) / self.length
            self._loss = (self._loss * (self.length - 1) + loss) / self.length
        total = self._gain + self._loss
        self.value = 100.0 * (self._gain / total) if total > 0.0 else 0.0
        return self.value

    def _warm_up(self, gain: float, loss: float) -> None:
        self._moves += 1
        self._gain += gain
        self._loss += loss
        if self._moves == self.length:
            self._gain /= self.length
            self._loss /= self.length
