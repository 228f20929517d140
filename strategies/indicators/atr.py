"""True range and its average."""

from __future__ import annotations

from strategies.indicators.base import Indicator
from strategies.indicators.smma import Smma


class TrueRange(Indicator):
    """The range of a bar together with the gap to the close before it (Wilder 1978), in the prices' unit.

    >>> true_range = TrueRange()
    >>> true_range.update(3.0, 1.0, 2.0), true_range.update(6.0, 5.0, 6.0)
    (None, 4.0)
    """

    def __init__(self) -> None:
        self.settings = ("true_range",)
        self.value: float | None = None
        self._close: float | None = None

    def update(self, high: float, low: float, close: float) -> float | None:
        """Take the next bar; the range, None for the first, which has no close before it."""
        before, self._close = self._close, close
        if before is not None:
            self.value = max(high - low, abs(before - high), abs(before - low))
        return self.value


class Atr(Indicator):
    """Wilder's average of the true range; starts from the mean of the first `length` ranges.

    The first bar has no range, as in TA-Lib. Wilder and StockCharts count it with its high less its low; put a bar that
    closed inside it before it, and their numbers come out.

    >>> atr = Atr(2)
    >>> [atr.update(*bar) for bar in ((3.0, 1.0, 2.0), (6.0, 5.0, 6.0), (7.0, 5.0, 6.0))]
    [None, None, 3.0]
    """

    def __init__(self, length: int = 14) -> None:
        self.settings = ("atr", length)
        self._range, self._mean = TrueRange(), Smma(length)

    @property
    def value(self) -> float | None:
        """The average now; None before `length` + 1 bars."""
        return self._mean.value

    def update(self, high: float, low: float, close: float) -> float | None:
        """Take the next bar; the average, None before `length` + 1 bars."""
        spread = self._range.update(high, low, close)
        return self._mean.update(spread) if spread is not None else None
