"""What a venue tells: trades, books, best prices, and how far its time has come."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.contracts.base import (
    Event,
    refuse,
    require_finite,
    require_in,
    require_positive,
    require_text,
    set_decimal,
)
from core.contracts.enums import ACTION_KINDS, BOOK_KINDS, SIDES, ActionKind, BookKind, Side
from core.contracts.timeframe import KNOWN_LENGTHS, timeframe_ns

PriceLevel = tuple[float, float]

_INFINITY = float("inf")


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
        late: True for one that a live venue had to be asked for afterwards, or that waited for such a one: it makes
            bars and fills, but is no price that an order may be judged by.
    """

    symbol: str
    price: float
    qty: float
    side: Side
    ts: int
    trade_id: str = ""
    ts_recv_ns: int = 0
    late: bool = False

    def __post_init__(self) -> None:
        try:
            total = self.price + self.qty
            if (
                type(total) is float
                and 0.0 < self.price < total < _INFINITY
                and self.side in SIDES
                and type(self.symbol) is str
                and self.symbol
            ):
                return
        except (TypeError, ArithmeticError):  # of another kind; named below
            pass
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
    """A bar over `[ts_open, ts_close)`; one in which nothing traded repeats the close before it.

    Attributes:
        symbol: ccxt unified symbol.
        timeframe: "1m", "5m", "15m", "1h" ...; see `core.contracts.timeframe`.
        ts_open: start, ns UTC, inclusive.
        ts_close: end, ns UTC, exclusive.
        open: first price, quote units per base unit.
        high: highest price.
        low: lowest price.
        close: last price.
        volume: base units traded, 0 or more.
        vwap: mean price weighted by quantity, quote units; None where nothing traded or it is not known.
        turnover: quote units traded, 0 or more.
        trade_count: how many trades, 0 in a gap.
        complete: False where trades of this time are known to be missing.
        asset_class: "crypto", "equity" ...
        currency: the asset that prices are in; empty if unknown.
        split_factor: a price of this bar times this is the price per unit as units are counted after all known splits;
            volume is divided by it. 1 where there are none.
        return_factor: a price of this bar times this has all known later splits and dividends taken out, so that
            ratios of such prices are total returns. 1 where there are none.
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
    vwap: float | None = None
    turnover: float = 0.0
    trade_count: int = 0
    complete: bool = True
    asset_class: str = "crypto"
    currency: str = ""
    split_factor: float = 1.0
    return_factor: float = 1.0

    def __post_init__(self) -> None:
        low, high = self.low, self.high
        try:  # everything in one go: history is read by the million
            if (
                0.0 < low <= self.open <= high < _INFINITY
                and low <= self.close <= high
                and 0.0 <= self.volume < _INFINITY
                and 0.0 <= self.turnover < _INFINITY
                and self.ts_close - self.ts_open == KNOWN_LENGTHS[self.timeframe]
                and (self.vwap is None or (0.0 < self.vwap < _INFINITY and type(self.vwap) is float))
                and 0.0 < self.split_factor < _INFINITY
                and 0.0 < self.return_factor < _INFINITY
                and type(self.open + high + low + self.close + self.volume + self.turnover) is float
                and type(self.split_factor + self.return_factor) is float
                and type(self.symbol) is str
                and self.symbol
            ):
                return
        except (TypeError, KeyError, ArithmeticError):  # of another kind, or of a length that was not seen before
            pass
        self._check()

    def _check(self) -> None:
        """Name what is wrong."""
        require_text(self, "symbol", self.symbol)
        if self.ts_close - self.ts_open != timeframe_ns(self.timeframe):
            raise refuse(self, "ts_close", self.ts_close, f"ts_open ({self.ts_open}) and {self.timeframe}")
        for name in ("open", "high", "low", "close"):
            require_positive(self, name, getattr(self, name))
        if not self.low <= min(self.open, self.close) <= max(self.open, self.close) <= self.high:
            raise refuse(self, "high", self.high, "low <= open, close <= high")
        for name in ("volume", "turnover"):
            require_finite(self, name, getattr(self, name))
            if getattr(self, name) < 0:
                raise refuse(self, name, getattr(self, name), "0 or more")
        if self.vwap is not None:
            require_positive(self, "vwap", self.vwap)
        for name in ("split_factor", "return_factor"):
            require_positive(self, name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class CorporateAction(Event):
    """What an issuer does to the units or holders of a symbol.

    Attributes:
        symbol: whose units, under the name that they have before it.
        kind: "split", "dividend" or "symbol_change".
        ts_effective_ns: first moment from which prices are without it (the ex date's start), ns UTC.
        ratio: of a split, new units per old unit, above 0: 4 for 4:1, 0.1 for 1:10. 1 otherwise.
        amount: of a dividend, quote units of `currency` per unit held, above 0. 0 otherwise.
        currency: that a dividend is paid in; empty for the one that prices are in.
        new_symbol: of a change, the name from then on. Empty otherwise.
    """

    symbol: str
    kind: ActionKind
    ts_effective_ns: int
    ratio: Decimal = Decimal(1)
    amount: Decimal = Decimal(0)
    currency: str = ""
    new_symbol: str = ""

    def __post_init__(self) -> None:
        require_text(self, "symbol", self.symbol)
        require_in(self, "kind", self.kind, ACTION_KINDS)
        set_decimal(self, "ratio")
        set_decimal(self, "amount")
        if self.ratio <= 0 or (self.kind != "split" and self.ratio != 1):
            raise refuse(self, "ratio", self.ratio, "above 0 for a split, 1 otherwise")
        if (self.amount > 0) != (self.kind == "dividend"):
            raise refuse(self, "amount", self.amount, "above 0 for a dividend, 0 otherwise")
        if bool(self.new_symbol) != (self.kind == "symbol_change"):
            raise refuse(self, "new_symbol", self.new_symbol, "a name for a symbol_change, empty otherwise")


@dataclass(frozen=True, slots=True)
class BarCorrection(Event):
    """A trade that came after its bar was closed; the bar stays as it was published.

    Attributes:
        symbol: ccxt unified symbol.
        timeframe: of the bar, always the shortest one that is built from trades.
        ts_open: start of the bar that the trade belongs to, ns UTC.
        trade_id: the venue's id of the trade; empty where it gives none.
        price: quote units per base unit, above 0.
        qty: base units, above 0.
        ts: the venue's time of the trade, ns UTC.
    """

    symbol: str
    timeframe: str
    ts_open: int
    trade_id: str
    price: float
    qty: float
    ts: int

    def __post_init__(self) -> None:
        require_text(self, "symbol", self.symbol)
        timeframe_ns(self.timeframe)
        require_positive(self, "price", self.price)
        require_positive(self, "qty", self.qty)


@dataclass(frozen=True, slots=True)
class TradeGap(Event):
    """Trades of this symbol that were missed and could not be fetched afterwards.

    Attributes:
        symbol: ccxt unified symbol.
        after_ns: venue time of the last trade before the gap, ns UTC; 0 if none was seen.
        before_ns: venue time of the first trade behind it, ns UTC.
        missing: how many trades, by their ids; 0 where the venue's ids do not say.
        reason: why they could not be fetched.
    """

    symbol: str
    after_ns: int
    before_ns: int
    missing: int
    reason: str

    def __post_init__(self) -> None:
        require_text(self, "symbol", self.symbol)
        if not 0 <= self.after_ns <= self.before_ns:
            raise refuse(self, "after_ns", self.after_ns, f"0 to before_ns ({self.before_ns})")
        if self.missing < 0:
            raise refuse(self, "missing", self.missing, "0 or more")
