"""Recorded Binance streams, spot and USD-M futures: one message in, one record out.

A message of the combined stream names its stream, a REST snapshot of the book is bare and names nothing:

    {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,
        "p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}
    {"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000",
        "B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}
    {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT",
        "U":50093239189,"u":50093239202,"b":[["61737.63000000","0.00000000"]],"a":[]}}
    {"lastUpdateId":50093239218,"bids":[["61837.63000000","3.78826000"]],"asks":[]}

Futures add "X" to a trade, "E" and "T" to a bookTicker and a snapshot, and "pu" to a depth update. Times are
milliseconds; another unit is refused. "m" says that the buyer was resting, so the taker sold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from core.contracts.enums import Side
from core.contracts.instrument import file_symbol
from core.errors import CodecError
from core.market.records import DepthRecord, QuoteRecord, Record, TradeRecord

NS_PER_MS = 1_000_000

Id = Annotated[int, Meta(ge=0)]
Millis = Annotated[int, Meta(ge=1_000_000_000_000, lt=10_000_000_000_000)]  # 2001 to 2286: no other unit fits
Price = Annotated[float, Meta(gt=0, lt=1e18)]  # the bound keeps "inf" out, which a number in a string may say
Qty = Annotated[float, Meta(ge=0, lt=1e18)]
Levels = tuple[tuple[Price, Qty], ...]


class _Envelope(Struct, gc=False):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    snapshot_id: int | None = field(name="lastUpdateId", default=None)


class _Trade(Struct, gc=False):
    trade_id: Id = field(name="t")
    price: Qty = field(name="p")  # 0 where the insurance fund took part
    qty: Qty = field(name="q")
    time_ms: Millis = field(name="T")
    buyer_is_maker: bool = field(name="m")
    kind: str = field(name="X", default="MARKET")


class _BookTicker(Struct, gc=False):
    update_id: Id = field(name="u")
    bid: Qty = field(name="b")  # 0 where nobody bids
    bid_qty: Qty = field(name="B")
    ask: Qty = field(name="a")
    ask_qty: Qty = field(name="A")
    time_ms: Millis | None = field(name="E", default=None)


class _Depth(Struct, gc=False):
    time_ms: Millis = field(name="E")
    first_update_id: Id = field(name="U")
    last_update_id: Id = field(name="u")
    bids: Levels = field(name="b")
    asks: Levels = field(name="a")
    previous_id: Id | None = field(name="pu", default=None)


class _Snapshot(Struct, gc=False):
    last_update_id: Id = field(name="lastUpdateId")
    bids: Levels
    asks: Levels
    time_ms: Millis | None = field(name="E", default=None)


# Not strict: the venue sends numbers as strings.
_envelope = msgspec.json.Decoder(_Envelope).decode
_trade = msgspec.json.Decoder(_Trade, strict=False).decode
_book_ticker = msgspec.json.Decoder(_BookTicker, strict=False).decode
_depth = msgspec.json.Decoder(_Depth, strict=False).decode
_snapshot = msgspec.json.Decoder(_Snapshot, strict=False).decode

Reader = Callable[[Any, int], Record | None]


class Decoder:
    """Reads the messages of one symbol.

    >>> Decoder("BTC/USDT").decode(
    ...     b'{"stream":"btcusdt@trade","data":{"t":7,"p":"61837.63","q":"0.02","T":1723161255342,"m":true}}', 5
    ... )
    TradeRecord(trade_id=7, price=61837.63, qty=0.02, side='sell', ts_ns=1723161255342000000, recv_ns=5)
    """

    def __init__(self, symbol: str) -> None:
        """
        Args:
            symbol: ccxt unified, "BTC/USDT"; "BTC/USDT:USDT" on futures is the venue's BTCUSDT too.
        """
        self._prefix = file_symbol(symbol.partition(":")[0]).lower() + "@"
        self._readers: dict[str, Reader] = {}

    def decode(self, message: bytes, recv_ns: int) -> Record | None:
        """Read one message.

        None for what is whole but says nothing here: another symbol's or an unknown stream, an answer to a
        subscription, a trade outside the market (its "X" is not MARKET: insurance fund, deleveraging) and best
        prices with an empty side.

        Raises:
            CodecError: not JSON, or a field is missing, of another type or outside its range.
        """
        try:
            envelope = _envelope(message)
            if not envelope.stream:
                return _read_snapshot(message, recv_ns) if envelope.snapshot_id is not None else None
            reader = self._readers.get(envelope.stream) or self._learn(envelope.stream)
            return reader(envelope.data, recv_ns)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CodecError(f"no Binance message: {error}") from None

    def _learn(self, stream: str) -> Reader:
        """Remember how a stream is read; there are a handful per capture."""
        kind = stream.removeprefix(self._prefix) if stream.startswith(self._prefix) else ""
        reader = _READERS.get(kind.partition("@")[0], _ignore)
        self._readers[stream] = reader
        return reader


def _ignore(data: Any, recv_ns: int) -> None:
    return None


def _read_trade(data: Any, recv_ns: int) -> TradeRecord | None:
    trade = _trade(data)
    if trade.kind != "MARKET":
        return None
    if not trade.price or not trade.qty:
        raise CodecError(f"trade {trade.trade_id} has price {trade.price!r} and qty {trade.qty!r}; allowed: above 0")
    side: Side = "sell" if trade.buyer_is_maker else "buy"
    return TradeRecord(trade.trade_id, trade.price, trade.qty, side, trade.time_ms * NS_PER_MS, recv_ns)


def _read_book_ticker(data: Any, recv_ns: int) -> QuoteRecord | None:
    quote = _book_ticker(data)
    if not quote.bid or not quote.ask:
        return None
    ts_ns = (quote.time_ms or 0) * NS_PER_MS
    return QuoteRecord(quote.update_id, quote.bid, quote.bid_qty, quote.ask, quote.ask_qty, ts_ns, recv_ns)


def _read_depth(data: Any, recv_ns: int) -> DepthRecord:
    depth = _depth(data)
    first, last = depth.first_update_id, depth.last_update_id
    if first > last:
        raise CodecError(f"depth update ends at {last}, before its first update {first}")
    if depth.previous_id is not None:  # futures: ids of other markets lie between; this is what it continues
        first = depth.previous_id + 1
    return DepthRecord("delta", first, last, depth.bids, depth.asks, depth.time_ms * NS_PER_MS, recv_ns)


def _read_snapshot(message: bytes, recv_ns: int) -> DepthRecord:
    book = _snapshot(message)
    ts_ns = (book.time_ms or 0) * NS_PER_MS
    return DepthRecord("snapshot", 0, book.last_update_id, book.bids, book.asks, ts_ns, recv_ns)


_READERS: dict[str, Reader] = {"trade": _read_trade, "bookTicker": _read_book_ticker, "depth": _read_depth}
