"""Mean price weighted by volume, over a day or over the last bars.

The price of a bar is its typical one, (high + low + close) / 3. For trades give the price three times: it is then the
mean of what was paid.
"""

from __future__ import annotations

from strategies.indicators.base import Indicator, typical_price
from strategies.indicators.sums import Total, WindowSum

DAY_NS = 86_400_000_000_000


class SessionVwap(Indicator):
    """Since the start of the UTC day, the session of a market that never closes.

    What comes late, with a time of an earlier day, still counts to the day that has begun.

    >>> vwap = SessionVwap()
    >>> [vwap.update(p, p, p, 1.0, ts) for p, ts in ((1.0, 0), (3.0, 1), (8.0, DAY_NS))]
    [1.0, 2.0, 8.0]
    """

    def __init__(self) -> None:
        self.settings = ("session_vwap",)
        self.value: float | None = None
        self._day = -1
        self._turnover, self._volume = Total(), Total()

    def update(self, high: float, low: float, close: float, volume: float, ts_ns: int) -> float | None:
        """Take the next bar with its start, ns UTC; the mean, None before the first volume of the day."""
        day = ts_ns // DAY_NS
        if day > self._day:
            self._day, self._turnover, self._volume, self.value = day, Total(), Total(), None
        turnover, total = self._turnover.update(typical_price(high, low, close) * volume), self._volume.update(volume)
        if total > 0.0:
            self.value = turnover / total
        return self.value


class RollingVwap(Indicator):
    """Over the last `length` bars.

    >>> vwap = RollingVwap(2)
    >>> [vwap.update(p, p, p, volume) for p, volume in ((1.0, 1.0), (4.0, 3.0), (8.0, 1.0), (9.0, 0.0), (9.0, 0.0))]
    [None, 3.25, 5.0, 8.0, None]
    """

    def __init__(self, length: int) -> None:
        self.settings = ("rolling_vwap", length)
        self.value: float | None = None
        self._turnover, self._volume = WindowSum(length), WindowSum(length)

    def update(self, high: float, low: float, close: float, volume: float) -> float | None:
        """Take the next bar; the mean, None before `length` bars and where none of them traded."""
        turnover = self._turnover.update(typical_price(high, low, close) * volume)
        total = self._volume.update(volume)
        self.value = turnover / total if turnover is not None and total else None
        return self.value
