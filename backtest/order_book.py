"""The order book of a recorded market at any moment, out of its journal: the newest snapshot and all changes since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from core.contracts import BookEvent, iso
from core.contracts.moments import FOREVER
from core.errors import DataError
from core.market.order_book import BookView, Hole, OrderBook

_HOUR_NS = 3600 * 1_000_000_000
_SPANS_NS = tuple(hours * _HOUR_NS for hours in (1, 25, 49, 8 * 24))
_LEAD_NS = 600 * 1_000_000_000
"""How much later than the changes that it is older than a snapshot may be recorded."""


class MissingChanges(NamedTuple):
    """A hole in the journal of a book.

    Attributes:
        ts_ns: the venue's time of the first event behind it, ns UTC.
        hole: the ids around it.
    """

    ts_ns: int
    hole: Hole


def book_at(events: Iterable[BookEvent], at_ns: int) -> BookView:
    """The whole book at a moment: all changes up to that venue time, that time included.

    A snapshot may come later than the changes that it is older than; they are put behind it.

    Args:
        events: of one symbol, in the order of the journal, from before its last snapshot.
        at_ns: ns UTC.

    Raises:
        DataError: there was no whole book: nothing is recorded, no snapshot has come, or changes are missing since.
    """
    book, first_ns, broken = OrderBook(), 0, None
    for event in _until(events, at_ns):
        hole = book.apply(event)
        first_ns = first_ns or _time(event)
        broken = None if book.whole else hole or broken
    if book.whole:
        return book.view()
    if not book.last_id:
        raise DataError(f"no book at {iso(at_ns)}: nothing is recorded before")
    if broken is not None:
        missing = f"changes {broken.after_id + 1} to {broken.before_id - 1} are missing, and no snapshot has come since"
        raise DataError(f"no whole book at {iso(at_ns)}: {missing}")
    raise DataError(f"no whole book at {iso(at_ns)}: recorded since {iso(first_ns)}, without a snapshot yet")


def recorded_book(books: Callable[[int, int], Iterable[BookEvent]], at_ns: int) -> BookView:
    """The same out of a long record: no further back than to the newest snapshot, in longer and longer steps.

    Args:
        books: events of one symbol in a range, `[start_ns, end_ns)`, in the order of the journal.
        at_ns: ns UTC.

    Raises:
        DataError: as for `book_at`.
    """
    for span_ns in _SPANS_NS:
        start_ns = at_ns - span_ns
        found: list[BookEvent] = []
        try:
            view = book_at(_noting(books(max(0, start_ns), FOREVER), start_ns + _LEAD_NS, found), at_ns)
        except DataError:
            if found:
                raise
        else:
            if found:
                return view
    return book_at(books(0, FOREVER), at_ns)


def _until(events: Iterable[BookEvent], at_ns: int) -> Iterator[BookEvent]:
    """Those up to a moment; one without a time is no older than what comes behind it."""
    waiting: list[BookEvent] = []
    for event in events:
        if _time(event) > at_ns:
            return
        waiting.append(event)
        if _time(event):
            yield from waiting
            waiting.clear()
    yield from (event for event in waiting if event.ts_recv_ns <= at_ns)


def _noting(events: Iterable[BookEvent], since_ns: int, found: list[BookEvent]) -> Iterator[BookEvent]:
    """All of them; the newest snapshot since a time is put into the list."""
    reached_ns = -1
    for event in events:
        reached_ns = max(reached_ns, _time(event))
        if event.kind == "snapshot" and reached_ns >= since_ns:
            found[:] = [event]
        yield event


def _time(event: BookEvent) -> int:
    """The venue's time, or that of receiving it, ns UTC; 0 where nothing says it.

    A snapshot that was asked for has no venue time, and where an old market is played it was received years later.
    """
    return event.ts_exchange_ns or (event.ts_recv_ns if event.kind == "delta" else 0)


def missing_changes(events: Iterable[BookEvent]) -> list[MissingChanges]:
    """Every hole in the journal of a book."""
    book, found = OrderBook(), []
    for event in events:
        hole = book.apply(event)
        if hole is not None:
            found.append(MissingChanges(_time(event), hole))
    return found
