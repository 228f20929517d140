"""What a replay publishes, out of the sources of past market data.

What a journal holds is given as it stands there, byte for byte, so that a replay of a session publishes what that
session has heard. Only what no journal holds is encoded anew: data of a source that is none, trades that several
sources have together, and bars that are made of shorter ones because nobody has any of their timeframe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Any

from core import codec, topics
from core.contracts import Event, TradeGap
from core.contracts.moments import iso
from core.data_source import DataSource, Kind, Series
from core.data_source_files import DatasetsSource, JournalSource
from core.data_sources import DataSources
from core.errors import DataError
from core.market.merge import merged
from core.market.replay import Record, Track
from core.topics import Topic

KINDS: dict[Kind, str] = {"bars": "bars", "trades": "trades", "books": "books", "tickers": "best prices"}
"""What can be replayed, and what people call it."""

_TOPICS: dict[Kind, Topic[Any]] = {
    "bars": topics.MD_OHLCV, "trades": topics.MD_TRADES, "books": topics.MD_BOOK, "tickers": topics.MD_TICKER,
}  # fmt: skip
_TIME_AND_BODY = itemgetter(0, 3)
_TIME = {"trades": attrgetter("ts"), "books": attrgetter("ts_exchange_ns"), "tickers": attrgetter("ts_exchange_ns")}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be replayed.

    Attributes:
        kinds: of KINDS.
        symbols: ccxt unified symbols, in their order.
        timeframes: of bars.
        start_ns: beginning of the range, ns UTC.
        end_ns: its end, exclusive. A bar belongs to it if it opens in it.
    """

    kinds: Sequence[Kind]
    symbols: Sequence[str]
    timeframes: Sequence[str]
    start_ns: int
    end_ns: int


def tracks(sources: Mapping[str, DataSource], wanted: Wanted) -> list[Track]:
    """The data of each kind, symbol and timeframe; gaps in the trades come with the trades.

    Args:
        sources: by id, in the order in which they count.
        wanted: what is asked for.

    Raises:
        DataError: of something there is nothing in the range; the message says what was searched, what is nearest and
            how to get the rest.
    """
    found: list[Track] = []
    for symbol in wanted.symbols:
        for kind in wanted.kinds:
            for timeframe in wanted.timeframes if kind == "bars" else ("",):
                query = _Query(sources, kind, symbol, timeframe, (wanted.start_ns, wanted.end_ns))
                found += query.tracks()
    return found


class _Query:
    """The search for one kind of data of one symbol."""

    def __init__(
        self, sources: Mapping[str, DataSource], kind: Kind, symbol: str, timeframe: str, span: tuple[int, int]
    ) -> None:
        self._sources = sources
        self._kind, self._symbol, self._timeframe = kind, symbol, timeframe
        self._start_ns, self._end_ns = span
        self._topic = _TOPICS[kind]

    def tracks(self) -> list[Track]:
        """Its track, with that of the gaps where it is trades.

        Raises:
            DataError: there is nothing.
        """
        having = [source for source in self._apart() if any(map(self._fits, source.series()))]
        records = self._records(having)
        if next(iter(records()), None) is None:
            raise DataError(self._missing())
        found = [Track(self._topic, self._symbol, self._timeframe, records)]
        if self._kind == "trades" and len(having) == 1 and isinstance(having[0], JournalSource):
            gaps = partial(self._gaps, having[0])
            found.append(Track(topics.MD_GAPS, self._symbol, "", gaps))
        return found

    def _apart(self) -> list[DataSource]:
        """The sources in their order, each folder of journals on its own."""
        apart: list[DataSource] = []
        for source in self._sources.values():
            if isinstance(source, DatasetsSource):
                apart += source.having(self._kind, self._symbol).values()
            else:
                apart.append(source)
        return apart

    def _records(self, having: Sequence[DataSource]) -> Callable[[], Iterable[Record]]:
        """Where the records come from: as they stand wherever one source decides what they are."""
        if self._kind == "bars":
            return partial(self._bars, having) if having else self._made
        if self._kind != "trades":
            return partial(self._first, having)
        return partial(self._of, having[0]) if len(having) == 1 else self._made

    def _bars(self, having: Sequence[DataSource]) -> Iterator[Record]:
        """Bars of this timeframe from all who have any; of two with one opening time that of the first."""
        newest_ns = -1
        for record in merged([self._of(source) for source in having], itemgetter(0)):
            if record[0] > newest_ns:
                newest_ns = record[0]
                yield record

    def _first(self, having: Sequence[DataSource]) -> Iterator[Record]:
        """What the first source has that has anything: changes of two books make no book."""
        for source in having:
            records = iter(self._of(source))
            for first in records:
                yield from chain((first,), records)
                return

    def _made(self) -> Iterator[Record]:
        """Bars out of shorter ones, or trades that several sources have together."""
        sources = DataSources(self._sources)
        if self._kind == "bars":
            for bar in sources.bars(self._symbol, self._timeframe, self._start_ns, self._end_ns):
                yield bar.ts_open, codec.encode(bar)
        else:
            yield from _encoded(sources.trades(self._symbol, self._start_ns, self._end_ns), attrgetter("ts"))

    def _of(self, source: DataSource) -> Iterable[Record]:
        """What one source has."""
        span = (self._start_ns, self._end_ns)
        if isinstance(source, JournalSource):
            found = source.reader.records(self._topic, *span, symbol=self._symbol, timeframe=self._timeframe)
            return map(_TIME_AND_BODY, found)
        if self._kind == "bars":
            return _encoded(source.bars(self._symbol, self._timeframe, *span), attrgetter("ts_open"))
        return _encoded(getattr(source, self._kind)(self._symbol, *span), _TIME[self._kind])

    def _gaps(self, source: JournalSource) -> Iterator[Record]:
        """What is missing in the trades of a source, at the time at which it is told: that of the trade behind it."""
        for _, _, _, body in source.reader.records(topics.MD_GAPS, 0, self._end_ns, symbol=self._symbol):
            told_ns = codec.decode(body, TradeGap).before_ns
            if self._start_ns <= told_ns < self._end_ns:
                yield told_ns, body

    def _fits(self, series: Series) -> bool:
        """Whether a series is what is asked for and touches the range."""
        same = (series.kind, series.symbol, series.timeframe) == (self._kind, self._symbol, self._timeframe)
        return same and series.first_ns < self._end_ns and series.last_ns >= self._start_ns

    def _missing(self) -> str:
        """What was searched, what is nearest, and what would help."""
        if self._kind == "bars":
            return DataSources(self._sources).explain(self._symbol, self._timeframe, self._start_ns, self._end_ns)
        wanted = f"{KINDS[self._kind]} of {self._symbol}"
        said = [f"{wanted} from {iso(self._start_ns)} to {iso(self._end_ns)}: there are none"]
        for name, source in self._sources.items():
            there = [each for each in source.series() if (each.kind, each.symbol) == (self._kind, self._symbol)]
            spans = "; ".join(f"from {iso(each.first_ns)} to {iso(each.last_ns)}" for each in there)
            said.append(f"  searched {name}: {spans or 'none of this symbol'}")
        return "\n".join(said)


def torn(sources: Mapping[str, DataSource]) -> list[str]:
    """Last lines without an end that were left out when these were read: file and number of the line."""
    folders: list[JournalSource] = []
    for source in sources.values():
        if isinstance(source, DatasetsSource):
            folders += source.datasets.values()
        elif isinstance(source, JournalSource):
            folders.append(source)
    return [f"{line.path}:{line.line}" for folder in folders for line in folder.reader.skipped]


def _encoded(events: Iterable[Event], time_of: Callable[[Any], int]) -> Iterator[Record]:
    return ((time_of(event), codec.encode(event)) for event in events)
