"""Which client speaks to a venue, each loaded only when it is chosen: one of them weighs more than all the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from core.adapters.ccxt_package import require_venue, without_blocking_clients
from core.adapters.live import LiveFeed
from core.adapters.venue import Venue
from core.errors import ConfigError

LEAN = ("binance", "binanceus")
FEEDS = ("auto", "lean", "ccxt")


def live_feeds(venue: str, symbols: Sequence[str], *, feed: str, endpoint: str) -> list[LiveFeed]:
    """A source for every symbol, with one client for all.

    Args:
        venue: "binanceus", or another id of ccxt's.
        symbols: ccxt unified.
        feed: one of FEEDS; "auto" is lean where the venue speaks Binance's protocol.
        endpoint: another host that speaks Binance's protocol; empty for the venue's own.

    Raises:
        ConfigError: there is no such venue, or it has no such feed.
    """
    client = _lean(venue, endpoint) if feed_of(venue, feed) == "lean" else _ccxt(venue, endpoint)
    return [LiveFeed(client, symbol) for symbol in symbols]


def feed_of(venue: str, feed: str) -> str:
    """Which client it will be, "lean" or "ccxt"; loads neither.

    Raises:
        ConfigError: there is no such venue, or it has no such feed.
    """
    if venue not in LEAN:
        require_venue(venue)
    chosen = feed if feed != "auto" else ("lean" if venue in LEAN else "ccxt")
    if chosen == "lean" and venue not in LEAN:
        raise ConfigError(f"--feed is 'lean' with --venue {venue}; allowed with: {', '.join(LEAN)}")
    return chosen


def _lean(venue: str, endpoint: str) -> Callable[[], Venue]:
    from core.adapters.binance_stream import BinanceVenue, hosts_of

    hosts_of(venue, endpoint)
    return lru_cache(lambda: BinanceVenue(venue, endpoint))


def _ccxt(venue: str, endpoint: str) -> Callable[[], Venue]:
    with without_blocking_clients():
        from core.adapters.ccxt_stream import CcxtVenue

    client = CcxtVenue(venue, endpoint)
    return lambda: client
