"""The order book of a recorded market at any moment, out of its journal: the newest snapshot and all changes since."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from core.contracts import BookEvent, iso
from core.errors import DataError
from core.market.order_book import BookView, Hole, OrderBook


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
    for event in events:
        if event.ts_exchange_ns > at_ns:
            if not first_ns:  # a snapshot has no venue time, and is no older than the first change proves
                raise DataError(f"no book at {iso(at_ns)}: nothing is recorded before")
            break
        hole = book.apply(event)
        first_ns = first_ns or event.ts_exchange_ns
        broken = None if book.whole else hole or broken
    if book.whole:
        return book.view()
    if not book.last_id:
        raise DataError(f"no book at {iso(at_ns)}: nothing is recorded before")
    if broken is not None:
        missing = f"changes {broken.after_id + 1} to {broken.before_id - 1} are missing, and no snapshot has come since"
        raise DataError(f"no whole book at {iso(at_ns)}: {missing}")
    raise DataError(f"no whole book at {iso(at_ns)}: recorded since {iso(first_ns)}, without a snapshot yet")


def missing_changes(events: Iterable[BookEvent]) -> list[MissingChanges]:
    """Every hole in the journal of a book."""
    book, found = OrderBook(), []
    for event in events:
        hole = book.apply(event)
        if hole is not None:
            found.append(MissingChanges(event.ts_exchange_ns, hole))
    return found
