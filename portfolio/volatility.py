"""How much each symbol moves: the closes of its latest one-minute bars."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from decimal import Decimal
from typing import Any

from core.contracts import OHLCVBar
from core.risk.sizing import daily_volatility

TIMEFRAME = "1m"


class MinuteCloses:
    """A window of closes per symbol; a bar that does not follow the one before it begins a new window."""

    def __init__(self, returns: int, symbols: Collection[str]) -> None:
        """
        Args:
            returns: over how many one-minute returns the volatility is measured, 2 or more.
            symbols: those that are watched.
        """
        self._length = returns + 1
        self._symbols = frozenset(symbols)
        self._closes: dict[str, deque[float]] = {}
        self._ends: dict[str, int] = {}

    def hear(self, bar: OHLCVBar) -> None:
        """Add a closed bar; one that is known already, or of another length, changes nothing."""
        end_ns = self._ends.get(bar.symbol, 0)
        if bar.timeframe != TIMEFRAME or bar.symbol not in self._symbols or bar.ts_close <= end_ns:
            return
        if bar.ts_open != end_ns:
            self._closes[bar.symbol] = deque(maxlen=self._length)
        self._closes[bar.symbol].append(bar.close)
        self._ends[bar.symbol] = bar.ts_close

    def daily(self, symbol: str) -> Decimal | None:
        """Standard deviation of a day's return as a fraction; None while the window is not full or nothing moves."""
        closes = self._closes.get(symbol, ())
        return daily_volatility(list(closes)) if len(closes) == self._length else None

    def snapshot(self) -> dict[str, Any]:
        """The windows and where they end, as JSON values."""
        return {symbol: [self._ends[symbol], *closes] for symbol, closes in self._closes.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `snapshot` described, as far as the symbols are still watched and the window reaches."""
        watched = {symbol: row for symbol, row in state.items() if symbol in self._symbols}
        self._ends = {symbol: row[0] for symbol, row in watched.items()}
        self._closes = {symbol: deque(row[1:], maxlen=self._length) for symbol, row in watched.items()}
