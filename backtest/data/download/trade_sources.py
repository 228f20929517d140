"""How trades are asked for: by number where a venue numbers them, else by time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backtest.data.download.answers import NS_PER_MS, Arrays, numbered_trades, trades

if TYPE_CHECKING:
    from backtest.data.download.client import VenueClient

PAGE = 1000
HOUR_NS = 3_600_000_000_000


class NumberedTrades:
    """Trades of Binance's protocol: single ones, with the ids that the stream gives them, not its aggregates."""

    def __init__(self, client: VenueClient, symbol: str) -> None:
        """
        Args:
            client: of the venue.
            symbol: ccxt unified.
        """
        self._client, self._market = client, client.market_id(symbol)

    def page(self, from_id: int, limit: int = PAGE) -> Arrays:
        """The first trades from a number on."""
        return self._client.ask(lambda _: self._client.historical_trades(self._market, from_id, limit), numbered_trades)

    def newest_id(self) -> int:
        """Number of the newest trade; -1 where there is none."""
        asked = {"symbol": self._market, "limit": 1}
        found = self._client.ask(lambda client: client.publicGetTrades(asked), numbered_trades)
        return int(found["number"][-1]) if len(found["number"]) else -1

    def first_at(self, moment_ns: int) -> int:
        """Number of the first trade at or behind a moment; one above the newest where there is none.

        Found by halving: numbers rise with time, so some thirty small requests find one among a billion.
        """
        low, high = 0, self.newest_id() + 1
        while low < high:
            middle = (low + high) // 2
            found = self.page(middle, 1)
            if len(found["ts"]) and int(found["ts"][0]) < moment_ns:
                low = int(found["number"][0]) + 1
            else:
                high = middle
        return low


class TimedTrades:
    """Trades through ccxt's one request for all venues."""

    window_ns = HOUR_NS
    """An answer without a new trade is taken to speak for so much time."""

    def __init__(self, client: VenueClient, symbol: str) -> None:
        """
        Args:
            client: of the venue.
            symbol: ccxt unified.
        """
        client.market_id(symbol)
        self._client, self._symbol = client, symbol
        self._limit = client.page_of(symbol, "fetchTrades")

    def page(self, start_ns: int) -> Arrays:
        """The first trades from a moment on, as far as the venue heeds it."""
        since = start_ns // NS_PER_MS
        return self._client.ask(lambda client: client.fetch_trades(self._symbol, since, self._limit), trades)
