"""What a venue tells: trades, books, best prices, and how far its time has come."""

from __future__ import annotations

from dataclasses import dataclass

from core.contracts.base import Event, require_finite, require_in, require_positive, require_text
from core.contracts.enums import BOOK_KINDS, SIDES, BookKind, Side

PriceLevel = tuple[float, float]


@dataclass(frozen=True, slots=True)
class TradeEvent(Event):
    """A public trade.

    Attributes:
        symbol: ccxt unified symbol, "BTC/USDT".
        price: quote units per base unit, above 0.
        qty: base units, above 0.
        side: what the taker did.
        ts: the venue's time of the trade, ns UTC.
        trade_id: the venue's id, unique per symbol; empty where the venue gives none.
        ts_recv_ns: when the recording or this host received it, ns UTC; 0 if unknown.
    """

    symbol: str
    price: float
    qty: float
    side: Side
    ts: int
    trade_id: str = ""
    ts_recv_ns: int = 0

    def __post_init__(self) -> None:
        require_text(self, "symbol", self.symbol)
        require_positive(self, "price", self.price)
        require_positive(self, "qty", self.qty)
        require_in(self, "side", self.side, SIDES)


@dataclass(frozen=True, slots=True)
class BookEvent(Event):
    """A whole order book, or what changed in it.

    Attributes:
        symbol: ccxt unified symbol.
        bids: (price, qty) levels; in a delta a qty of 0 removes the level.
        asks: the same for the other side.
        checksum: the venue's own check of the book, where it has one.
        kind: "snapshot" replaces the book, "delta" changes it.
        first_update_id: the venue's id of the first change in here; a snapshot has only the last.
        last_update_id: the venue's id of the last change in here.
        ts_exchange_ns: the venue's time, ns UTC; 0 if it gives none.
        ts_recv_ns: when it was received, ns UTC; 0 if unknown.
    """

    symbol: str
    bids: tuple[PriceLevel, ...]
    asks: tuple[PriceLevel, ...]
    checksum: int | None = None
    kind: BookKind = "snapshot"
    first_update_id: int = 0
    last_update_id: int = 0
    ts_exchange_ns: int = 0
    ts_recv_ns: int = 0

    def __post_init__(self) -> None:
        require_text(self, "symbol", self.symbol)
        require_in(self, "kind", self.kind, BOOK_KINDS)
        for price, qty in (*self.bids, *self.asks):
            require_positive(self, "price", price)
            require_finite(self, "qty", qty)


@dataclass(frozen=True, slots=True)
class TickerEvent(Event):
    """Best prices of a symbol.

    Attributes:
        symbol: ccxt unified symbol.
        last: price of the latest trade; None before the first one.
        bid: best bid, above 0.
        ask: best ask, above 0.
        volume: base units traded over the venue's rolling day; None where the stream has none.
        bid_qty: base units at the best bid.
        ask_qty: base units at the best ask.
        update_id: the venue's id of the book state.
        ts_exchange_ns: the venue's time, ns UTC; 0 if it gives none.
        ts_recv_ns: when it was received, ns UTC; 0 if unknown.
    """

    symbol: str
    last: float | None
    bid: float
    ask: float
    volume: float | None = None
    bid_qty: float = 0.0
    ask_qty: float = 0.0
    update_id: int = 0
    ts_exchange_ns: int = 0
    ts_recv_ns: int = 0

    def __post_init__(self) -> None:
        require_text(self, "symbol", self.symbol)
        require_positive(self, "bid", self.bid)
        require_positive(self, "ask", self.ask)
        require_finite(self, "bid_qty", self.bid_qty)
        require_finite(self, "ask_qty", self.ask_qty)
        for name in ("last", "volume"):
            if (value := getattr(self, name)) is not None:
                require_finite(self, name, value)


@dataclass(frozen=True, slots=True)
class Watermark(Event):
    """Everything of this symbol up to this venue time has been published.

    Attributes:
        symbol: ccxt unified symbol.
        market_ns: venue time, ns UTC, a whole second.
    """

    symbol: str
    market_ns: int

    def __post_init__(self) -> None:
        require_text(self, "symbol", self.symbol)


@dataclass(frozen=True, slots=True)
class OHLCVBar(Event):
    """A bar over `[ts_open, ts_close)`.

    Attributes:
        symbol: ccxt unified symbol.
        timeframe: "1m", "5m", "15m", "1h" ...
        ts_open: start, ns UTC, inclusive.
        ts_close: end, ns UTC, exclusive.
        open: first price, quote units per base unit.
        high: highest price.
        low: lowest price.
        close: last price.
        volume: base units traded, 0 or more.
    """

    symbol: str
    timeframe: str
    ts_open: int
    ts_close: int
    open: float
    high: float
    low: float
    close: float
    volume: float

    def __post_init__(self) -> None:
        require_text(self, "symbol", self.symbol)
        for name in ("open", "high", "low", "close"):
            require_positive(self, name, getattr(self, name))
        require_finite(self, "volume", self.volume)
