"""What a venue says, in one form for every venue: the input of the feed.

A record is decoded and checked but not yet judged: whether it is new, and what has to be said before it,
is the feed's decision.
"""

from __future__ import annotations

from typing import NamedTuple

from core.contracts.enums import BookKind, Side
from core.contracts.market import PriceLevel


class TradeRecord(NamedTuple):
    """A public trade.

    Attributes:
        trade_id: the venue's id; a number, 0 or more and rising with time per symbol, where the venue has such ids, and
            a text of any form where it has others.
        price: quote units per base unit, above 0.
        qty: base units, above 0.
        side: what the taker did.
        ts_ns: the venue's time of the trade, ns UTC.
        recv_ns: when it was received, ns UTC.
        late: whether it comes later than the stream would have brought it.
    """

    trade_id: int | str
    price: float
    qty: float
    side: Side
    ts_ns: int
    recv_ns: int
    late: bool = False


class DepthRecord(NamedTuple):
    """A whole book, or what changed in it.

    Attributes:
        kind: "snapshot" or "delta".
        first_update_id: the venue's id of the first change in here; 0 in a snapshot.
        last_update_id: the venue's id of the last change in here.
        bids: (price, qty) levels; in a delta a qty of 0 removes the level.
        asks: the same for the other side.
        ts_ns: the venue's time, ns UTC; 0 if it gives none.
        recv_ns: when it was received, ns UTC.
    """

    kind: BookKind
    first_update_id: int
    last_update_id: int
    bids: tuple[PriceLevel, ...]
    asks: tuple[PriceLevel, ...]
    ts_ns: int
    recv_ns: int


class QuoteRecord(NamedTuple):
    """The best prices.

    Attributes:
        update_id: the venue's id of the book state.
        bid: best bid, above 0.
        bid_qty: base units there.
        ask: best ask, above 0.
        ask_qty: base units there.
        ts_ns: the venue's time, ns UTC; 0 if it gives none.
        recv_ns: when it was received, ns UTC.
    """

    update_id: int
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float
    ts_ns: int
    recv_ns: int


class Newest(NamedTuple):
    """The newest trade that a venue admits to.

    Attributes:
        trade_id: its id, as in TradeRecord.
        ts_ns: the venue's time of it, ns UTC.
    """

    trade_id: int | str
    ts_ns: int


Record = TradeRecord | DepthRecord | QuoteRecord
