"""One symbol of a live venue: what its streams and its answers lead to, as events in order.

The market's clock goes by trades alone, and by the venue's own word that there is nothing newer: a trade that was lost
on its way shows only when a later one comes, so the time of a book proves nothing about trades.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from core.contracts import DeadLetter, Event, TradeGap
from core.errors import ContractError
from core.market.feed import NS_PER_S, Feed, IdWindow, TextWindow
from core.market.live_book import BookSequence
from core.market.live_trades import IdSequence, Missing, Step, TextSequence, TradeSequence
from core.market.records import DepthRecord, Newest, Record, TradeRecord
from core.market.source import Counts, Tails

AHEAD_NS_MAX = 86_400 * NS_PER_S
"""How far a venue's time may be ahead of this host's clock. The market's time never falls, so one broken time of the
year 2100 would make every later trade old news for good."""
SETTLE_NS = NS_PER_S
"""A venue's history may lag its clock: a trade is taken to show in it after this long."""

WAITED_NS = NS_PER_S
"""A trade that waited longer than this behind a missing one is no news any more."""


class LiveMarket:
    """What a live source knows of one symbol; never raises for what a venue sends."""

    def __init__(self, symbol: str, instance: str, resume: Tails, *, contiguous: bool, counts: Counts) -> None:
        """
        Args:
            symbol: ccxt unified.
            instance: who reports what cannot be used.
            resume: what was published. Books and best prices begin anew, with a snapshot.
            contiguous: whether the venue numbers trades 1, 2, 3 without leaving any out.
            counts: where to count.

        Raises:
            ContractError: published trades have ids that are no numbers, though they should be.
        """
        ids = IdWindow() if contiguous else TextWindow()
        self.counts = counts
        self._instance = instance
        self._feed = Feed(symbol, counts, ids=ids, books_move_clock=False)
        self._feed.restore(Tails(trades=resume.trades, watermarks=resume.watermarks))
        kind = IdSequence if contiguous else TextSequence
        self._trades: TradeSequence = kind(symbol, counts, resume.trades)
        self.book = BookSequence()

    def on_record(self, record: Record) -> Sequence[Event]:
        """A record from a stream."""
        if fault := _fault(record):
            return (self._unusable(record, fault),)
        if isinstance(record, TradeRecord):
            return self._said(self._trades.on_trade(record))
        if isinstance(record, DepthRecord) and record.kind == "delta":
            return self._said(self.book.on_delta(record))
        return self._said((record,))

    def on_broken(self, place: str, error: str, raw: str) -> DeadLetter:
        """A message that could not be read.

        Args:
            place: where it came from.
            error: what is wrong with it.
            raw: its beginning.
        """
        self.counts.broken += 1
        return DeadLetter(self._instance, place, error, raw)

    def missing_trades(self) -> Missing | None:
        """Which trades to ask for; None while none is known to be missing."""
        return self._trades.wants()

    def on_trades(self, records: Iterable[TradeRecord]) -> Sequence[Event]:
        """The answer to what was missing."""
        return self._said(self._trades.on_fetched([each._replace(late=True) for each in records if not _fault(each)]))

    def on_refused(self, reason: str) -> Sequence[Event]:
        """What is missing will not come."""
        return self._said(self._trades.on_refused(reason))

    def on_newest(self, newest: Newest | None, asked_ns: int | None) -> Sequence[Event]:
        """The venue's newest trade; where nothing newer exists than what was published, its time is the market's.

        Args:
            newest: of the venue's history; None if it has none.
            asked_ns: the venue's time before it was asked, ns UTC; None where it tells none.

        Raises:
            ConfigError: the published trades are not this venue's.
        """
        said = self._said(self._trades.on_newest(newest))
        if asked_ns is None or not self._trades.whole or (newest is None and self._trades.begun):
            return said  # a history without trades, where there were some, is no answer
        return (*said, *self._feed.on_time(asked_ns - SETTLE_NS))

    def on_snapshot(self, record: DepthRecord) -> Sequence[Event]:
        """A whole book that was asked for."""
        return self._said(self.book.on_snapshot(record))

    def on_disconnected(self) -> None:
        """The streams have ended; others follow."""
        self._trades.on_disconnected()
        self.book.on_disconnected()

    def _said(self, steps: Sequence[Step | Record]) -> Sequence[Event]:
        said: list[Event] = []
        now_ns = max((step.recv_ns for step in steps if not isinstance(step, TradeGap)), default=0)
        for step in steps:
            if isinstance(step, TradeGap):
                said.append(step)
                continue
            if isinstance(step, TradeRecord) and step.recv_ns < now_ns - WAITED_NS:
                step = step._replace(late=True)
            try:
                said += self._feed.on_record(step)
            except ContractError as error:
                said.append(self._unusable(step, str(error)))
        return said

    def _unusable(self, record: Record, error: str) -> DeadLetter:
        return self.on_broken(type(record).__name__, error, repr(record)[:500])


def _fault(record: Record) -> str:
    """Why a record must not take the place of what it claims to be; empty for one that may."""
    if record.ts_ns > record.recv_ns + AHEAD_NS_MAX:
        return f"venue time {record.ts_ns} ns is more than a day ahead"
    if isinstance(record, TradeRecord) and not (0 < record.price < inf and 0 < record.qty < inf):
        return f"trade {record.trade_id} has price {record.price!r} and qty {record.qty!r}; allowed: above 0"
    return ""
