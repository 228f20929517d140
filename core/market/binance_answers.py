"""What Binance answers to requests for public trades and for its time.

historicalTrades, trades: [{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012",
    "time":1499865549590,"isBuyerMaker":true,"isBestMatch":true}]
aggTrades: [{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,"m":true,"M":true}]
time: {"serverTime":1499827319559}
an error: {"code":-1121,"msg":"Invalid symbol."}
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field

from core.contracts.enums import Side
from core.errors import CodecError
from core.market.binance import NS_PER_MS, Decoder, Id, Millis, Price
from core.market.records import DepthRecord, Newest, TradeRecord


class _Trade(Struct, gc=False):
    id: Id
    price: Price
    qty: Price
    time: Millis
    maker: bool = field(name="isBuyerMaker")


class _Aggregate(Struct, gc=False):
    last_id: Id = field(name="l")
    time: Millis = field(name="T")


class _Time(Struct, gc=False):
    server_time: Millis = field(name="serverTime")


class _Error(Struct, gc=False):
    code: int
    msg: str = ""


_trades = msgspec.json.Decoder(list[_Trade], strict=False).decode
_aggregates = msgspec.json.Decoder(list[_Aggregate]).decode
_time = msgspec.json.Decoder(_Time).decode
_error = msgspec.json.Decoder(_Error).decode


def trades(body: bytes, recv_ns: int) -> list[TradeRecord]:
    """The trades of an answer.

    Raises:
        CodecError: it is none; what can be read of it is not used.
    """
    return [
        TradeRecord(trade.id, trade.price, trade.qty, _side(trade), trade.time * NS_PER_MS, recv_ns)
        for trade in _read(_trades, body)
    ]


def _side(trade: _Trade) -> Side:
    return "sell" if trade.maker else "buy"


def newest(body: bytes) -> Newest | None:
    """The newest trade of an answer of aggregated trades; None if it holds none.

    Raises:
        CodecError: it is none.
    """
    found: list[_Aggregate] = _read(_aggregates, body)
    return Newest(found[-1].last_id, found[-1].time * NS_PER_MS) if found else None


def server_time_ns(body: bytes) -> int:
    """The venue's time, ns UTC.

    Raises:
        CodecError: it is none.
    """
    answer: _Time = _read(_time, body)
    return answer.server_time * NS_PER_MS


def book(body: bytes, recv_ns: int) -> DepthRecord:
    """A whole book.

    Raises:
        CodecError: it is none.
    """
    record = _snapshots.decode(body, recv_ns)
    if not isinstance(record, DepthRecord):
        raise CodecError("no Binance answer: a book without lastUpdateId")
    return record


_snapshots = Decoder("")


def error_of(body: bytes) -> tuple[int, str]:
    """Code and text of an error; 0 and nothing where the body is none of the venue's own."""
    try:
        error: _Error = _read(_error, body)
    except CodecError:
        return 0, ""
    return error.code, error.msg


def _read(decode: Any, body: bytes) -> Any:
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CodecError(f"no Binance answer: {error}") from None
