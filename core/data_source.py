"""What a source of past market data is, and the class that one's own extends.

A source of one's own overrides what it has of `DataSourceBase` and is named in `config/data_sources.yaml`. All ranges
are half open, `[start_ns, end_ns)`, ns UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from core.contracts import BookEvent, CorporateAction, OHLCVBar, TickerEvent, TradeEvent
from core.topics import MD_ACTIONS, MD_BOOK, MD_OHLCV, MD_TICKER, MD_TRADES, Topic

Kind = Literal["bars", "trades", "books", "tickers", "actions"]

TOPICS: dict[Kind, Topic[Any]] = {
    "bars": MD_OHLCV,
    "trades": MD_TRADES,
    "books": MD_BOOK,
    "tickers": MD_TICKER,
    "actions": MD_ACTIONS,
}
"""Where each kind of market data is published, and which journals hold it."""


class Series(NamedTuple):
    """Data of one kind that a source has.

    Attributes:
        kind: "bars", "trades", "books", "tickers" or "actions".
        symbol: ccxt unified symbol.
        timeframe: of bars; empty otherwise.
        first_ns: time of the first one, ns UTC: when a bar opens, otherwise the venue's time.
        last_ns: time of the last one, the same.
    """

    kind: Kind
    symbol: str
    timeframe: str
    first_ns: int
    last_ns: int


class DataSource(Protocol):
    """History of market data.

    What it gives is the same in every call as long as its data are. It may be asked for symbols that it does not have,
    and then gives nothing.
    """

    def series(self) -> Sequence[Series]:
        """What there is; bars of a length that is not listed are not made longer, nor looked for far in the past."""
        ...

    def bars(self, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> Iterator[OHLCVBar]:
        """Bars that open in the range, rising by opening time; only of this timeframe, nothing resampled."""
        ...

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[TradeEvent]:
        """Trades of the range in the order in which they are to be heard; a late one keeps its place."""
        ...

    def books(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[BookEvent]:
        """Order books and what changed in them, in order."""
        ...

    def tickers(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[TickerEvent]:
        """Best prices, in order."""
        ...

    def actions(self, symbol: str) -> Sequence[CorporateAction]:
        """All corporate actions of a symbol, rising by effective time."""
        ...


class DataSourceBase:
    """A source that has nothing: a class of one's own overrides what it has."""

    def series(self) -> Sequence[Series]:
        """See `DataSource`."""
        return ()

    def bars(self, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> Iterator[OHLCVBar]:
        """See `DataSource`."""
        return iter(())

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[TradeEvent]:
        """See `DataSource`."""
        return iter(())

    def books(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[BookEvent]:
        """See `DataSource`."""
        return iter(())

    def tickers(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[TickerEvent]:
        """See `DataSource`."""
        return iter(())

    def actions(self, symbol: str) -> Sequence[CorporateAction]:
        """See `DataSource`."""
        return ()
