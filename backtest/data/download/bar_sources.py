"""How a page of bars is asked for: in Binance's own words where a venue speaks them, else in those of ccxt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from backtest.data.download.answers import NS_PER_MS, Arrays, candles, klines
from core.contracts import timeframe_ns

if TYPE_CHECKING:
    from backtest.data.download.client import VenueClient

KLINES_PAGE = 1000
GUESSED_PAGE = 100
"""Of a venue that nothing is known of: so many bars it gives for sure."""


class BarSource(Protocol):
    """Where bars of one series come from, a page at a time.

    Attributes:
        page: how many bars an answer holds at most.
        skips_holes: whether an answer begins with the first bar there is, however far behind the start it is; an empty
            one speaks for the whole range then, else only for a page of it.
    """

    page: int
    skips_holes: bool

    def rows(self, start_ns: int, end_ns: int) -> Arrays:
        """The first bars that open in a range, as the venue sends them; it may send others."""
        ...


class Klines:
    """Bars of Binance's protocol, with turnover and number of trades."""

    page, skips_holes = KLINES_PAGE, True

    def __init__(self, client: VenueClient, symbol: str, timeframe: str) -> None:
        """
        Args:
            client: of the venue.
            symbol: ccxt unified.
            timeframe: of the bars.
        """
        self._client = client
        self._asked = {"symbol": client.market_id(symbol), "interval": client.timeframe_id(timeframe)}

    def rows(self, start_ns: int, end_ns: int) -> Arrays:
        """The first bars that open in a range."""
        span = {"startTime": max(0, start_ns // NS_PER_MS), "endTime": end_ns // NS_PER_MS - 1, "limit": self.page}
        return self._client.ask(lambda client: client.publicGetKlines(self._asked | span), klines)


class Candles:
    """Bars through ccxt's one request for all venues."""

    skips_holes = False

    def __init__(self, client: VenueClient, symbol: str, timeframe: str) -> None:
        """
        Args:
            client: of the venue.
            symbol: ccxt unified.
            timeframe: of the bars.
        """
        client.market_id(symbol)
        self._client, self._symbol, self._timeframe = client, symbol, timeframe
        self._step_ns = timeframe_ns(timeframe)
        self._limit = client.page_of(symbol, "fetchOHLCV")
        self.page = self._limit or GUESSED_PAGE

    def rows(self, start_ns: int, end_ns: int) -> Arrays:
        """The first bars that open from a moment on; most venues know no end."""
        since, limit = max(0, start_ns // NS_PER_MS), self._limit
        if limit is not None:
            limit = max(2, min(limit, (end_ns - start_ns) // self._step_ns))
        return self._client.ask(lambda c: c.fetch_ohlcv(self._symbol, self._timeframe, since, limit), candles)


def bar_source(client: VenueClient, symbol: str, timeframe: str) -> BarSource:
    """The better of both for a venue.

    Raises:
        ConfigError: the venue has no such market.
    """
    made: BarSource = (Klines if client.numbered else Candles)(client, symbol, timeframe)
    return made
