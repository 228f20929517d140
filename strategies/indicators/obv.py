"""On-balance volume."""

from __future__ import annotations

from strategies.indicators.base import Indicator
from strategies.indicators.sums import Total


class Obv(Indicator):
    """Volume of rising closes less volume of falling ones (Granville 1963), in base units; starts at the first volume.

    >>> obv = Obv()
    >>> [obv.update(close, 2.0) for close in (10.0, 11.0, 11.0, 9.0)]
    [2.0, 4.0, 4.0, 2.0]
    """

    def __init__(self) -> None:
        self.settings = ("obv",)
        self._close: float | None = None
        self._total = Total()

    @property
    def value(self) -> float | None:
        """The volume now; None before the first bar."""
        return self._total.value if self._close is not None else None

    def update(self, close: float, volume: float) -> float:
        """Take the next bar; the volume."""
        before, self._close = self._close, close
        if before is None or close > before:
            return self._total.update(volume)
        return self._total.update(-volume if close < before else 0.0)
