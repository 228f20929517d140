"""Moving average convergence and divergence."""

from __future__ import annotations

from typing import NamedTuple

from strategies.indicators.base import Indicator, length_of
from strategies.indicators.ema import Ema


class MacdLines(NamedTuple):
    """In the values' unit.

    Attributes:
        macd: the fast average less the slow one.
        signal: the average of `macd`.
        histogram: `macd` less `signal`.
    """

    macd: float
    signal: float
    histogram: float


class Macd(Indicator):
    """The distance of two exponential averages, and its own average (Appel 1979).

    As in TA-Lib both averages have their first value at the same place, so the fast one leaves the first
    `slow` - `fast` values out.

    >>> macd = Macd(1, 2, 2)
    >>> [macd.update(x) for x in (1.0, 3.0, 5.0)]
    [None, None, MacdLines(macd=1.0, signal=1.0, histogram=0.0)]
    """

    def __init__(self, fast: int = 12, slow: int = 26, signal: int = 9) -> None:
        """
        Raises:
            ValueError: a length below 1, or `slow` not above `fast`.
        """
        self.settings = ("macd", fast, slow, signal)
        self._fast, self._slow, self._signal = Ema(fast), Ema(length_of(slow, least=fast + 1)), Ema(signal)
        self._skip = slow - fast

    @property
    def value(self) -> MacdLines | None:
        """The lines now; None before `slow` + `signal` - 1 values."""
        fast, slow, signal = self._fast.value, self._slow.value, self._signal.value
        if fast is None or slow is None or signal is None:
            return None
        return MacdLines(fast - slow, signal, fast - slow - signal)

    def update(self, x: float) -> MacdLines | None:
        """Take the next value; the lines, None before `slow` + `signal` - 1 values."""
        slow = self._slow.update(x)
        if self._skip:
            self._skip -= 1
            return None
        fast = self._fast.update(x)
        if fast is not None and slow is not None:
            self._signal.update(fast - slow)
        return self.value
