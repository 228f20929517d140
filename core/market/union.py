"""The same data from several sources as one: where two have the same, the first one's counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import TypeVar

from core.contracts import CorporateAction, OHLCVBar, TradeEvent
from core.market.merge import merged

T = TypeVar("T")

SAME_NS = 600 * 1_000_000_000
"""How far apart two sources may have the same trade: one that was asked for after an outage came late."""


def united_bars(streams: Mapping[str, Iterable[OHLCVBar]]) -> Iterator[OHLCVBar]:
    """Bars of one series from several sources, rising, each opening time once.

    Args:
        streams: by what an error calls them, each rising by opening time.

    Raises:
        DataError: one of them does not rise.
    """
    newest_ns = -1
    for bar in merged(list(streams.values()), attrgetter("ts_open"), list(streams)):
        if bar.ts_open > newest_ns:
            newest_ns = bar.ts_open
            yield bar


def united_trades(streams: Sequence[Iterable[TradeEvent]]) -> Iterator[TradeEvent]:
    """Trades of one symbol from several sources: by time, then by the sources' order, each trade once.

    A trade that came late has the time of the newest one before it, so that it keeps its place in its source. It is the
    same as another source's if time and id are, or, without an id, time, price, quantity and side; sources that
    have it more than `SAME_NS` apart give it twice.
    """
    ranked = [_ranked(rank, each) for rank, each in enumerate(streams)]
    heard: dict[tuple[object, ...], int] = {}
    seen: deque[tuple[int, tuple[object, ...]]] = deque()
    for now_ns, rank, trade in merged(ranked, itemgetter(0)):
        while seen and seen[0][0] < now_ns - SAME_NS:
            heard.pop(seen.popleft()[1], None)
        identity = (trade.ts, trade.trade_id or (trade.price, trade.qty, trade.side))
        if identity not in heard:
            seen.append((now_ns, identity))
        if heard.setdefault(identity, rank) == rank:  # twice in one source are two trades
            yield trade


def _ranked(rank: int, trades: Iterable[TradeEvent]) -> Iterator[tuple[int, int, TradeEvent]]:
    """Each trade with the newest time so far and the rank of its source."""
    newest_ns = 0
    for trade in trades:
        newest_ns = max(newest_ns, trade.ts)
        yield newest_ns, rank, trade


def united_actions(lists: Iterable[Iterable[CorporateAction]]) -> tuple[CorporateAction, ...]:
    """Corporate actions of one symbol, rising by time; those of one kind and moment from the first source that has any.

    There may be several: a company may pay two dividends on one day.
    """
    groups: dict[tuple[int, str], tuple[int, list[CorporateAction]]] = {}
    for rank, actions in enumerate(lists):
        for action in actions:
            first, group = groups.setdefault((action.ts_effective_ns, action.kind), (rank, []))
            if first == rank:
                group.append(action)
    return tuple(action for moment in sorted(groups) for action in groups[moment][1])


def first_of(streams: Iterable[Iterator[T]]) -> Iterator[T]:
    """The first stream that has anything, for what cannot be mixed: changes of two order books make no book."""
    for stream in streams:
        for event in stream:
            yield event
            yield from stream
            return
