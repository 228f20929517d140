"""A live order book: no delta is published across a hole, and a snapshot closes it."""

import pytest

from core.market.live_book import HELD_MAX, BookSequence
from core.market.records import DepthRecord


def delta(first, last):
    return DepthRecord("delta", first, last, ((8.0, 1.0),), (), 0, 0)


def snapshot(last):
    return DepthRecord("snapshot", 0, last, ((8.0, 1.0),), ((8.1, 1.0),), 0, 0)


def play(*records):
    """What goes out, as "snapshot 5" and (first, last), and whether a snapshot is wanted afterwards."""
    book = BookSequence()
    out = [each for record in records for each in _given(book, record)]
    return [_said(each) for each in out], book.wants()


def _given(book, record):
    return book.on_snapshot(record) if record.kind == "snapshot" else book.on_delta(record)


def _said(record):
    return f"snapshot {record.last_update_id}" if record.kind == "snapshot" else (record.first_update_id, record[2])


@pytest.mark.parametrize(
    ("records", "out", "wants"),
    [
        ([delta(1, 3)], [], True),  # nothing to change yet
        # Binance's rule: forget what ends at or before the snapshot, the first one kept must span its next update
        ([delta(1, 3), delta(4, 6), snapshot(4), delta(7, 7)], ["snapshot 4", (4, 6), (7, 7)], False),
        ([delta(1, 3), snapshot(3), delta(4, 4)], ["snapshot 3", (4, 4)], False),
        ([snapshot(3), delta(2, 3), delta(4, 4)], ["snapshot 3", (4, 4)], False),  # older than the book
        ([delta(8, 9), snapshot(5)], [], True),  # too old to be continued
        ([delta(8, 9), snapshot(5), snapshot(7)], ["snapshot 7", (8, 9)], False),
        # a hole: nothing across it, a snapshot closes it
        ([snapshot(3), delta(4, 5), delta(8, 9)], ["snapshot 3", (4, 5)], True),
        ([snapshot(3), delta(4, 5), delta(8, 9), snapshot(8)], ["snapshot 3", (4, 5), "snapshot 8", (8, 9)], False),
        ([snapshot(3), delta(4, 5), delta(8, 9), snapshot(12)], ["snapshot 3", (4, 5), "snapshot 12"], False),
        # a hole that closes by itself: messages overtook each other
        ([snapshot(3), delta(6, 7), delta(4, 5), delta(8, 8)], ["snapshot 3", (4, 5), (6, 7), (8, 8)], False),
        ([snapshot(3), delta(6, 7), delta(4, 5), snapshot(9)], ["snapshot 3", (4, 5), (6, 7)], False),
        # twice
        ([snapshot(3), delta(4, 5), delta(4, 5), delta(6, 6)], ["snapshot 3", (4, 5), (6, 6)], False),
        # two holes: the second one wants another snapshot
        ([snapshot(1), delta(4, 5), delta(8, 9), snapshot(4)], ["snapshot 1", "snapshot 4", (4, 5)], True),
    ],
)
def test_tables(records, out, wants):
    """What is published joins what was published before."""
    assert play(*records) == (out, wants)


def test_a_new_stream_needs_a_snapshot_not_older_than_what_was_published():
    """Behind a reconnect an old answer would take the book back."""
    book = BookSequence()
    book.on_snapshot(snapshot(3))
    book.on_delta(delta(4, 6))
    book.on_disconnected()
    assert book.wants()
    assert book.on_snapshot(snapshot(5)) == ()
    assert [_said(each) for each in book.on_snapshot(snapshot(6))] == ["snapshot 6"]


def test_without_a_snapshot_no_more_than_a_thousand_deltas_wait():
    """The newest ones stay; with them the book can still be joined."""
    book = BookSequence()
    for number in range(1, 3 * HELD_MAX):
        book.on_delta(delta(number, number))
    out = book.on_snapshot(snapshot(3 * HELD_MAX - 10))
    assert [_said(each) for each in out] == [
        f"snapshot {3 * HELD_MAX - 10}",
        *((number, number) for number in range(3 * HELD_MAX - 9, 3 * HELD_MAX)),
    ]
