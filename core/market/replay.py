"""Recorded market data as the one sequence of lines that a replay publishes, with the market's clock between them.

The order follows from the data alone, so it is the same in every run, at every speed and behind every restart:

1. by the venue's time: a bar when it closes, a trade when it was made, a gap with the trade behind it, books and best
   prices when the venue says; a line that is late in its own record keeps its place there;
2. at the same time bars first, then gaps, trades, books, best prices: a bar holds what was before;
3. of one kind the symbols in the order in which they were asked for, and of one symbol short bars before long ones;
4. then as they were recorded.

A watermark stands right before the first line of its symbol that needs it, as it does live: the one of a second before
the first trade at or behind that second, or before another line a second later; the one of a bar's end before the bar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from core import codec, topics
from core.contracts import Watermark, timeframe_ns
from core.market.feed import NS_PER_S, Feed
from core.market.merge import merged
from core.topics import Topic

KINDS: tuple[Topic[Any], ...] = (
    topics.MD_OHLCV, topics.MD_GAPS, topics.MD_TRADES, topics.MD_BOOK, topics.MD_TICKER,
)  # fmt: skip
"""What can be replayed, in the order in which it comes at the same time."""

Record = tuple[int, bytes]
"""The venue's time of an event, ns UTC, and its body. A bar's is when it opens; it is 0 where the venue gives none."""


class Line(NamedTuple):
    """One line to be published.

    Attributes:
        due_ns: the market's time of it, ns UTC, never falling but for watermarks; what pacing goes by.
        topic: the channel.
        type: the event's class name.
        body: the event, encoded.
    """

    due_ns: int
    topic: str
    type: str
    body: bytes


class Track(NamedTuple):
    """The data of one kind, symbol and, for bars, timeframe.

    Attributes:
        kind: one of KINDS.
        symbol: ccxt unified symbol.
        timeframe: of bars; empty otherwise.
        records: gives them in the order in which they were recorded; every call from the first one on.
    """

    kind: Topic[Any]
    symbol: str
    timeframe: str
    records: Callable[[], Iterable[Record]]

    @property
    def channel(self) -> str:
        """Where its lines go."""
        return self.kind.name.format(symbol=self.symbol, timeframe=self.timeframe)

    @property
    def length_ns(self) -> int:
        """How far behind the time of a record its line is due."""
        return timeframe_ns(self.timeframe) if self.kind is topics.MD_OHLCV else 0

    @property
    def grace_ns(self) -> int:
        """How far behind a line of this kind trades may come, by the rule of the live feed."""
        return NS_PER_S if self.kind in (topics.MD_BOOK, topics.MD_TICKER) else 0


def lines(tracks: Sequence[Track], start_ns: int, end_ns: int) -> Iterator[Line]:
    """The sequence.

    Args:
        tracks: what is replayed; the symbols count in the order in which they come up here first.
        start_ns: no line is due earlier, ns UTC.
        end_ns: end of the range, exclusive: the last watermarks reach no further.
    """
    symbols = list(dict.fromkeys(track.symbol for track in tracks))
    ranked = sorted(tracks, key=lambda each: (KINDS.index(each.kind), symbols.index(each.symbol), each.length_ns))
    clocks = {symbol: _Clock(symbol, [each.kind for each in tracks if each.symbol == symbol]) for symbol in symbols}
    places = [(track.channel, track.kind.event.__name__, clocks[track.symbol], track.grace_ns) for track in ranked]
    streams = [_timed(track, place, start_ns) for place, track in enumerate(ranked)]
    for due_ns, place, body in merged(streams, itemgetter(0)):
        channel, name, clock, grace_ns = places[place]
        if due_ns - grace_ns >= clock.next_ns:
            yield from clock.reach(due_ns - grace_ns)
        yield Line(due_ns, channel, name, body)
    for clock in clocks.values():
        yield from clock.finish(end_ns)


def _timed(track: Track, place: int, start_ns: int) -> Iterator[tuple[int, int, bytes]]:
    """Each record with the newest time so far and the place of its track."""
    reached_ns, length_ns = start_ns, track.length_ns
    for ts_ns, body in track.records():
        due_ns = ts_ns + length_ns
        if due_ns > reached_ns:
            reached_ns = due_ns
        yield reached_ns, place, body


class _Clock:
    """The watermarks of one symbol.

    Beside trades, books or best prices there is one for every second, by the rule of the live feed. Where only bars are
    replayed nobody has watched the seconds, so there is one for every time at which a bar closes.

    Attributes:
        next_ns: before this time there is nothing to say.
    """

    def __init__(self, symbol: str, kinds: Iterable[Topic[Any]]) -> None:
        self.next_ns = 0
        self._reached_ns = 0
        self._symbol = symbol
        self._channel = topics.CLOCK_MARKET.name.format(symbol=symbol)
        self._feed = Feed(symbol) if any(kind is not topics.MD_OHLCV for kind in kinds) else None

    def reach(self, now_ns: int) -> Iterator[Line]:
        """What to say before the first line of a time."""
        self._reached_ns = now_ns - now_ns % NS_PER_S
        self.next_ns = self._reached_ns + NS_PER_S
        marks = (Watermark(self._symbol, self._reached_ns),) if self._feed is None else self._feed.on_time(now_ns)
        for mark in marks:
            yield Line(mark.market_ns, self._channel, Watermark.__name__, codec.encode(mark))

    def finish(self, end_ns: int) -> Iterator[Line]:
        """The second of the last line has passed: nothing more of it will come. Bars have said so themselves."""
        if self._feed is not None and 0 < self._reached_ns <= end_ns - NS_PER_S:
            yield from self.reach(self._reached_ns + NS_PER_S)
