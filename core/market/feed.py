"""From a venue's records to the events to publish: each once, with the market clock between them.

Everything that the feed remembers is a function of what it has published:

- the trade ids seen within 512 of the highest one (a lower one is taken for old),
- the highest update id of the book, when the newest book event was received and whether it was a delta,
- the update id of the newest ticker, the price of the newest trade, the newest watermark.

A record that leads to nothing changes nothing. So a feed that is restored from the tails of its own topics knows what
it knew when they were published: the same capture read again from its beginning gives exactly the rest, record by
record and also in the middle of the events of one record, and so does the capture that follows it.

1,024 trades are enough to know the ids of the window again. Let H be the highest id and x an id in (H - 512, H]. Of the
trades published behind x at most 511 are in the window; any other was at its time within 512 of a highest id that was
x or more, so it lies in (H - 1024, H - 512], which holds 512. x is among the newest 1,024.
"""

from __future__ import annotations

from collections import OrderedDict

from core.contracts import BookEvent, Event, TickerEvent, TradeEvent, Watermark
from core.errors import ContractError
from core.market.records import DepthRecord, QuoteRecord, Record, TradeRecord
from core.market.source import Counts, Tails

NS_PER_S = 1_000_000_000
ID_WINDOW = 512
JUMP_NS = 300 * NS_PER_S
"""A clock that moves on by more than this has not been watched in between: one watermark says where it is now."""

_FULL = (1 << ID_WINDOW) - 1


class IdWindow:
    """Which ids have been seen, exact within 512 of the highest; what is lower counts as seen.

    >>> window = IdWindow()
    >>> [window.accept(trade_id) for trade_id in (600, 602, 601, 602, 90, 91)]
    [True, True, True, False, False, True]
    """

    __slots__ = ("_highest", "_mask")

    def __init__(self) -> None:
        self._highest = -1
        self._mask = 0  # bit i stands for the id `highest - i`

    def accept(self, trade_id: int | str) -> bool:
        """Take note of an id; False if it was seen before.

        Raises:
            ContractError: it is no number.
        """
        number = trade_id if isinstance(trade_id, int) else _number(trade_id)
        ahead = number - self._highest
        if ahead > 0:
            self._mask = (self._mask << ahead | 1) & _FULL if ahead < ID_WINDOW else 1
            self._highest = number
            return True
        if ahead <= -ID_WINDOW or self._mask >> -ahead & 1:
            return False
        self._mask |= 1 << -ahead
        return True


def _number(text: str) -> int:
    if not text.isdecimal():
        raise ContractError(f"a published trade has the id {text!r}; allowed: a number")
    return int(text)


class TextWindow:
    """Which ids have been seen, where they are no numbers in order: the 512 that came last.

    >>> window = TextWindow()
    >>> [window.accept(trade_id) for trade_id in ("x9", "a1", "x9")]
    [True, True, False]
    """

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, trade_id: int | str) -> bool:
        return str(trade_id) in self._seen

    def accept(self, trade_id: int | str) -> bool:
        """Take note of an id; False if it was seen before."""
        key = str(trade_id)
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > ID_WINDOW:
            self._seen.popitem(last=False)
        return True


class Feed:
    """Turns one symbol's records, in order, into events."""

    def __init__(
        self,
        symbol: str,
        counts: Counts | None = None,
        *,
        ids: IdWindow | TextWindow | None = None,
        books_move_clock: bool = True,
    ) -> None:
        """
        Args:
            symbol: ccxt unified symbol that the events carry.
            counts: where to count; its own by default.
            ids: which trades have been seen; numbers by default.
            books_move_clock: whether the times of books and best prices move the market's clock too. Not where a trade
                may still be missing that is known to nobody here.
        """
        self.symbol = symbol
        self.counts = counts if counts is not None else Counts()
        self._ids = ids if ids is not None else IdWindow()
        self._books_move_clock = books_move_clock
        self._last_price: float | None = None
        self._book_id = -1
        self._book_recv_ns = -1
        self._book_is_delta = True
        self._ticker_id = -1
        self._watermark_ns: int | None = None

    def restore(self, tails: Tails) -> None:
        """Fold what was published; to be called before the first record.

        Raises:
            ContractError: a published trade has no number for an id, so it came from another kind of source.
        """
        for trade in tails.trades:
            self._ids.accept(trade.trade_id)
            self._last_price = trade.price
        for book in tails.books:
            self._note_book(book)
        for ticker in tails.tickers:
            self._ticker_id = ticker.update_id
        for watermark in tails.watermarks:
            self._watermark_ns = watermark.market_ns

    def on_record(self, record: Record) -> tuple[Event, ...]:
        """The events that a record leads to; none if it is not new.

        Raises:
            ContractError: the record holds what no event may carry; nothing has changed.
        """
        if isinstance(record, QuoteRecord):
            events = self._on_quote(record)
        elif isinstance(record, TradeRecord):
            events = self._on_trade(record)
        else:
            events = self._on_depth(record)
        if events:
            self.counts.published += 1
        else:
            self.counts.duplicates += 1
        return events

    def _on_trade(self, record: TradeRecord) -> tuple[Event, ...]:
        trade_id, price, qty, side, ts_ns, recv_ns, late = record
        trade = TradeEvent(self.symbol, price, qty, side, ts_ns, str(trade_id), recv_ns, late)
        if not self._ids.accept(trade_id):
            return ()
        self._last_price = price
        if self._watermark_ns is not None and ts_ns < self._watermark_ns:
            self.counts.late_trades += 1
        return (*self._watermarks(ts_ns), trade)

    def _on_depth(self, record: DepthRecord) -> tuple[Event, ...]:
        if not self._is_new_book(record):
            return ()
        kind, first_id, last_id, bids, asks, ts_ns, recv_ns = record
        book = BookEvent(self.symbol, bids, asks, None, kind, first_id, last_id, ts_ns, recv_ns)
        self._note_book(book)
        return (*self._beside_trades(ts_ns), book)

    def _is_new_book(self, record: DepthRecord) -> bool:
        """Whether a book record was not published before.

        A snapshot is asked for when the deltas already flow, so it is often older than the last of them (in a recorded
        one by six updates). It goes out once, behind the delta that it followed; whoever rebuilds the book keeps the
        deltas since then and applies those above the snapshot's id.
        """
        if record.last_update_id > self._book_id:
            return True
        return record.kind == "snapshot" and self._book_is_delta and record.recv_ns > self._book_recv_ns

    def _note_book(self, book: BookEvent) -> None:
        self._book_id = max(self._book_id, book.last_update_id)
        self._book_recv_ns = book.ts_recv_ns
        self._book_is_delta = book.kind == "delta"

    def _on_quote(self, record: QuoteRecord) -> tuple[Event, ...]:
        update_id, bid, bid_qty, ask, ask_qty, ts_ns, recv_ns = record
        if update_id <= self._ticker_id:
            return ()
        ticker = TickerEvent(self.symbol, self._last_price, bid, ask, None, bid_qty, ask_qty, update_id, ts_ns, recv_ns)
        self._ticker_id = update_id
        return (*self._beside_trades(ts_ns), ticker)

    def on_time(self, reached_ns: int) -> tuple[Watermark, ...]:
        """The venue's time where it is known that every trade before it has been published."""
        return self._watermarks(reached_ns)

    def _beside_trades(self, ts_ns: int) -> tuple[Watermark, ...]:
        return self._watermarks(ts_ns - NS_PER_S) if self._books_move_clock else ()

    def _watermarks(self, reached_ns: int) -> tuple[Watermark, ...]:
        """Every whole second up to `reached_ns` that has not been announced.

        A trade proves its own time; other streams run up to 205 ms ahead of the trades, so their callers grant
        the trades one second more.
        """
        last_ns = self._watermark_ns
        if last_ns is not None and reached_ns < last_ns + NS_PER_S:
            return ()
        newest_ns = reached_ns - reached_ns % NS_PER_S
        if newest_ns <= 0:
            return ()  # a record without a venue time
        self._watermark_ns = newest_ns
        if last_ns is None or newest_ns - last_ns > JUMP_NS:
            return (Watermark(self.symbol, newest_ns),)
        return tuple(
            Watermark(self.symbol, second_ns) for second_ns in range(last_ns + NS_PER_S, newest_ns + 1, NS_PER_S)
        )
