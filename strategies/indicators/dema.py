"""Double exponential moving average."""

from __future__ import annotations

from strategies.indicators.base import Indicator
from strategies.indicators.ema import Ema


class Dema(Indicator):
    """Twice the average less the average of the average: it lags less than one (Mulloy 1994).

    >>> dema = Dema(2)
    >>> [dema.update(x) for x in (1.0, 3.0, 5.0, 7.0)]
    [None, None, 5.0, 7.0]
    """

    def __init__(self, length: int) -> None:
        self.settings = ("dema", length)
        self.value: float | None = None
        self._once, self._twice = Ema(length), Ema(length)

    def update(self, x: float) -> float | None:
        """Take the next value; the average, None before 2 * `length` - 1 values."""
        once = self._once.update(x)
        twice = self._twice.update(once) if once is not None else None
        if once is not None and twice is not None:
            self.value = 2.0 * once - twice
        return self.value
