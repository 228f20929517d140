"""Stretches of time, half open, ns UTC: joined, and taken off one another."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[int, int]


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same time in as few stretches as it takes, oldest first; empty ones are left out.

    >>> merged([(5, 7), (1, 3), (3, 4), (6, 9), (2, 2)])
    ((1, 4), (5, 9))
    """
    made: list[Span] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if made and start <= made[-1][1]:
            made[-1] = (made[-1][0], max(made[-1][1], end))
        else:
            made.append((start, end))
    return tuple(made)


def without(spans: Iterable[Span], taken: Iterable[Span]) -> tuple[Span, ...]:
    """What is left of some stretches when others are taken off them.

    >>> without([(0, 10)], [(2, 3), (9, 20)])
    ((0, 2), (3, 9))
    """
    left: list[Span] = []
    off = merged(taken)
    for start, end in merged(spans):
        for first, last in off:
            if last <= start or first >= end:
                continue
            if first > start:
                left.append((start, first))
            start = last
        if start < end:
            left.append((start, end))
    return tuple(left)


def within(spans: Iterable[Span], span: Span) -> tuple[Span, ...]:
    """What of some stretches lies in another one.

    >>> within([(0, 3), (5, 9)], (2, 6))
    ((2, 3), (5, 6))
    """
    return merged((max(start, span[0]), min(end, span[1])) for start, end in spans)
