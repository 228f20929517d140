"""The minutes of a market from before the simulation began, as columns: 64 bytes each, 34 MB a year."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from decimal import Decimal

from core.sim.klines import UNIT, Kline


class MinuteHistory:
    """Recorded minutes of one symbol, holes and all; see `core.sim.klines.PastMinutes`."""

    def __init__(self) -> None:
        self._times, self._trades = array("q"), array("q")
        self._prices = array("d")
        self._volumes, self._turnovers = array("d"), array("d")

    def __len__(self) -> int:
        return len(self._times)

    @property
    def last_ns(self) -> int:
        """Where the newest minute begins, ns UTC; -1 if there is none."""
        return self._times[-1] if self._times else -1

    @property
    def last_price(self) -> float:
        """The newest close, quote units; 0 if there is none."""
        return self._prices[-1] if self._prices else 0.0

    def add(
        self,
        open_ns: int,
        prices: tuple[float, float, float, float],
        volume: float,
        turnover: float = 0.0,
        trades: int = 0,
    ) -> bool:
        """Take the next minute.

        Args:
            open_ns: where it begins, ns UTC.
            prices: open, high, low, close.
            volume: base units.
            turnover: quote units; 0 where it is not known.
            trades: how many; 0 where it is not known.

        Returns:
            False for one that is not behind all others, which is left out.
        """
        if open_ns <= self.last_ns:
            return False
        self._times.append(open_ns)
        self._prices.extend(prices)
        self._volumes.append(volume)
        self._turnovers.append(turnover)
        self._trades.append(trades)
        return True

    def minutes(self, start_ns: int, end_ns: int) -> Iterator[Kline]:
        """Those that begin in `[start_ns, end_ns)`, oldest first."""
        first, stop = bisect_left(self._times, start_ns), bisect_left(self._times, end_ns)
        return map(self._minute, range(first, stop))

    def back(self, end_ns: int, count: int) -> int:
        """Where the newest `count` minutes before a moment begin; the moment itself where there are none."""
        stop = bisect_left(self._times, end_ns)
        return self._times[max(0, stop - count)] if stop else end_ns

    def _minute(self, index: int) -> Kline:
        first, high, low, last = self._prices[4 * index : 4 * index + 4]
        volume, quote = _units(self._volumes[index]), _units(self._turnovers[index]) * UNIT
        return Kline(self._times[index], first, high, low, last, volume, quote, self._trades[index])


def _units(value: float) -> int:
    """An amount in units of 1e-8, exact for every amount with eight decimals, however large.

    >>> _units(123456789012.00000001), _units(0.29)
    (12345678901200000000, 29000000)
    """
    return round(Decimal(repr(value)).scaleb(8))
