"""Triple exponential moving average."""

from __future__ import annotations

from strategies.indicators.base import Indicator
from strategies.indicators.ema import Ema


class Tema(Indicator):
    """3 E1 - 3 E2 + E3, where E2 averages E1 and E3 averages E2 (Mulloy 1994).

    >>> tema = Tema(2)
    >>> [tema.update(x) for x in (1.0, 3.0, 5.0, 7.0)]
    [None, None, None, 7.0]
    """

    def __init__(self, length: int) -> None:
        self.settings = ("tema", length)
        self.value: float | None = None
        self._once, self._twice, self._thrice = Ema(length), Ema(length), Ema(length)

    def update(self, x: float) -> float | None:
        """Take the next value; the average, None before 3 * `length` - 2 values."""
        once = self._once.update(x)
        twice = self._twice.update(once) if once is not None else None
        thrice = self._thrice.update(twice) if twice is not None else None
        if once is not None and twice is not None and thrice is not None:
            self.value = 3.0 * once - 3.0 * twice + thrice
        return self.value
