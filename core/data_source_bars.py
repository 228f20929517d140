"""Bars of one series out of several sources: which source counts, what is made of shorter bars, and the newest few."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from core.contracts import OHLCVBar, timeframe_ns
from core.data_source import DataSource, Series
from core.market.resample import resampled
from core.market.union import united_bars

_DAY_NS = timeframe_ns("1d")


class BarQuery:
    """A question for bars of one symbol and timeframe.

    Attributes:
        symbol: ccxt unified symbol.
        timeframe: of the bars that are given.
    """

    def __init__(self, symbol: str, timeframe: str, sources: Mapping[str, DataSource]) -> None:
        """
        Args:
            symbol: ccxt unified symbol.
            timeframe: of the bars to be given.
            sources: by id, in the order in which they count.

        Raises:
            ContractError: no such timeframe.
        """
        self.symbol = symbol
        self.timeframe = timeframe
        self._length_ns = timeframe_ns(timeframe)
        self._sources = sources

    def bars(self, start_ns: int, end_ns: int) -> Iterator[OHLCVBar]:
        """Those that open in the range, rising; see `DataSources.bars`."""
        return self._filled(start_ns, end_ns, 0)

    def last(self, before_ns: int, n: int) -> tuple[OHLCVBar, ...]:
        """The newest that have closed; see `DataSources.last_bars`."""
        found: tuple[OHLCVBar, ...] = ()
        end_ns = before_ns - self._length_ns + 1  # a bar that opens before it has closed by then
        while len(found) < n:
            missing = n - len(found)
            start_ns = max(0, end_ns - missing * self._length_ns) // _DAY_NS * _DAY_NS
            window = deque(self.bars(start_ns, end_ns), maxlen=missing)
            found = (*window, *found)
            if len(window) == missing or start_ns <= self._first_ns:
                break
            end_ns = start_ns if window else self._newest_before(start_ns)
        return found

    @cached_property
    def series(self) -> Sequence[tuple[str, Series]]:
        """Where these bars can come from: id of a source, and what it has of this length or of one that divides it."""
        return [
            (name, each)
            for name, source in self._sources.items()
            for each in source.series()
            if each.kind == "bars"
            and each.symbol == self.symbol
            and self._length_ns % timeframe_ns(each.timeframe) == 0
        ]

    @cached_property
    def _levels(self) -> list[str]:
        """The timeframe asked for, then the others that there are, from the shortest."""
        shorter = {each.timeframe for _, each in self.series} - {self.timeframe}
        return [self.timeframe, *sorted(shorter, key=timeframe_ns)]

    @cached_property
    def _first_ns(self) -> int:
        """Where the history begins, to the day; where there is none, behind everything."""
        return min((each.first_ns for _, each in self.series), default=1 << 63) // _DAY_NS * _DAY_NS

    def _filled(self, start_ns: int, end_ns: int, level: int) -> Iterator[OHLCVBar]:
        """Bars of a level, and in its holes those of the levels behind it."""
        free_ns = start_ns
        for bar in self._of_level(level, start_ns, end_ns):
            if bar.ts_open > free_ns:
                yield from self._hole(free_ns, bar.ts_open, level)
            yield bar
            free_ns = bar.ts_close
        if free_ns < end_ns:
            yield from self._hole(free_ns, self._up(end_ns), level)

    def _hole(self, start_ns: int, end_ns: int, level: int) -> Iterator[OHLCVBar]:
        """What the levels behind this one have for a stretch without bars."""
        first_ns, last_ns = self._up(start_ns), end_ns // self._length_ns * self._length_ns
        if first_ns < last_ns and level + 1 < len(self._levels):
            yield from self._filled(first_ns, last_ns, level + 1)

    def _of_level(self, level: int, start_ns: int, end_ns: int) -> Iterator[OHLCVBar]:
        if level == 0:
            return self._union(self.timeframe, start_ns, end_ns)
        return resampled(self._union(self._levels[level], start_ns, end_ns), self.timeframe)

    def _union(self, timeframe: str, start_ns: int, end_ns: int) -> Iterator[OHLCVBar]:
        """What the sources have of one timeframe."""
        what = f"{timeframe} bars of {self.symbol}"
        return united_bars(
            {
                f"source {name!r}, {what}": source.bars(self.symbol, timeframe, start_ns, end_ns)
                for name, source in self._sources.items()
            }
        )

    def _newest_before(self, end_ns: int) -> int:
        """End of the newest day that has a bar before a time, by halving; the beginning of history if none has."""
        start_ns = self._first_ns
        while end_ns - start_ns > _DAY_NS:
            middle_ns = (start_ns + end_ns) // 2 // _DAY_NS * _DAY_NS
            if next(self.bars(middle_ns, end_ns), None) is None:
                end_ns = middle_ns
            else:
                start_ns = middle_ns
        return end_ns

    def _up(self, ns: int) -> int:
        """The next whole multiple of the length."""
        return -(-ns // self._length_ns) * self._length_ns
