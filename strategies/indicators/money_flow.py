"""Chaikin's accumulation and distribution: volume weighted by where in its range a bar closed."""

from __future__ import annotations

from strategies.indicators.base import Indicator
from strategies.indicators.sums import Total, WindowSum


def money_flow(high: float, low: float, close: float, volume: float) -> float:
    """The volume, times 1 for a close at the high, -1 at the low; 0 for a bar without a range."""
    spread = high - low
    return ((close - low) - (high - close)) / spread * volume if spread > 0.0 else 0.0


class Ad(Indicator):
    """The accumulation/distribution line, base units: the money flow of all bars (TA-Lib's AD).

    >>> ad = Ad()
    >>> ad.update(3.0, 1.0, 3.0, 5.0), ad.update(5.0, 1.0, 2.0, 4.0)
    (5.0, 3.0)
    """

    def __init__(self) -> None:
        self.settings = ("ad",)
        self._total = Total()

    @property
    def value(self) -> float:
        """The line now; 0 before the first bar."""
        return self._total.value

    def update(self, high: float, low: float, close: float, volume: float) -> float:
        """Take the next bar; the line."""
        return self._total.update(money_flow(high, low, close, volume))


class Cmf(Indicator):
    """Chaikin money flow, -1 to 1: the money flow of the last `length` bars over their volume; 0 where there was none.

    StockCharts ChartSchool, Chaikin Money Flow; TA-Lib's CMF.

    >>> cmf = Cmf(2)
    >>> cmf.update(3.0, 1.0, 3.0, 5.0), cmf.update(5.0, 1.0, 2.0, 3.0)
    (None, 0.4375)
    """

    def __init__(self, length: int = 20) -> None:
        self.settings = ("cmf", length)
        self.value: float | None = None
        self._flow, self._volume = WindowSum(length), WindowSum(length)

    def update(self, high: float, low: float, close: float, volume: float) -> float | None:
        """Take the next bar; the share, None before `length` bars."""
        flow, total = self._flow.update(money_flow(high, low, close, volume)), self._volume.update(volume)
        if flow is not None and total is not None:
            self.value = flow / total if total > 0.0 else 0.0
        return self.value
