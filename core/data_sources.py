"""All configured sources of past market data as one.

Everything that reads history, for a replay, a backtest or the warm-up of a live strategy, reads it through
`DataSources`, so that the same call gives the same data everywhere. All ranges are half open, `[start_ns, end_ns)`,
ns UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from core.config_errors import did_you_mean
from core.contracts import BookEvent, CorporateAction, OHLCVBar, TickerEvent, TradeEvent
from core.data_source import DataSource as DataSource  # where those who use or write a source look for it
from core.data_source import DataSourceBase as DataSourceBase
from core.data_source import Series as Series
from core.data_source_bars import BarQuery
from core.data_source_files import DatasetsSource
from core.data_source_search import explanation
from core.errors import ConfigError
from core.market.union import first_of, united_actions, united_trades


class DataSources:
    """Several sources as one; where two have the same, the one that is listed first counts."""

    def __init__(self, sources: Mapping[str, DataSource]) -> None:
        """
        Args:
            sources: by id, in the order in which they count.
        """
        self._sources = dict(sources)

    @property
    def names(self) -> tuple[str, ...]:
        """Ids of the sources, in their order."""
        return tuple(self._sources)

    def source(self, name: str) -> DataSource:
        """One source, or one dataset of a source of datasets.

        Raises:
            ConfigError: there is none with this id.
        """
        if name in self._sources:
            return self._sources[name]
        datasets = [each for each in self._sources.values() if isinstance(each, DatasetsSource)]
        for each in datasets:
            if (found := each.dataset(name)) is not None:
                return found
        known = [*self._sources, *(dataset for each in datasets for dataset in each.datasets)]
        raise ConfigError(f"no data source or dataset {name!r}; {did_you_mean(name, known)}")

    def bars(
        self, symbol: str, timeframe: str, start_ns: int, end_ns: int, *, source: str | None = None
    ) -> Iterator[OHLCVBar]:
        """Bars that open in the range, rising, each opening time once.

        Where no source has a bar of this timeframe, it is made of shorter ones: of the shortest that divide it first.

        Raises:
            ConfigError: no such source.
            ContractError: no such timeframe.
            DataError: a source does not give rising bars.
        """
        return BarQuery(symbol, timeframe, self._chosen(source)).bars(start_ns, end_ns)

    def last_bars(
        self, symbol: str, timeframe: str, before_ns: int, n: int, *, source: str | None = None
    ) -> tuple[OHLCVBar, ...]:
        """The newest `n` bars that have closed at `before_ns` or earlier, oldest first; fewer if there are no more.

        For what a strategy or an indicator must have seen before its first live bar. It reads backwards by days, so
        that it costs what these bars cost, however long the history is.

        Raises:
            As for `bars`.
        """
        return BarQuery(symbol, timeframe, self._chosen(source)).last(before_ns, n)

    def trades(self, symbol: str, start_ns: int, end_ns: int, *, source: str | None = None) -> Iterator[TradeEvent]:
        """Trades of the range: by time, then by the order of the sources; a late one keeps its place in its source.

        A trade that two sources have is given once: where its time and id are the same, or, without an id, its time,
        price, quantity and side.

        Raises:
            ConfigError: no such source.
        """
        streams = [each.trades(symbol, start_ns, end_ns) for each in self._chosen(source).values()]
        return streams[0] if len(streams) == 1 else united_trades(streams)

    def books(self, symbol: str, start_ns: int, end_ns: int, *, source: str | None = None) -> Iterator[BookEvent]:
        """Order books of the first source that has any in the range: changes of two sources make no book.

        Raises:
            ConfigError: no such source.
        """
        return first_of(each.books(symbol, start_ns, end_ns) for each in self._chosen(source).values())

    def tickers(self, symbol: str, start_ns: int, end_ns: int, *, source: str | None = None) -> Iterator[TickerEvent]:
        """Best prices of the first source that has any in the range.

        Raises:
            ConfigError: no such source.
        """
        return first_of(each.tickers(symbol, start_ns, end_ns) for each in self._chosen(source).values())

    def actions(self, symbol: str, *, source: str | None = None) -> tuple[CorporateAction, ...]:
        """All corporate actions of a symbol, rising; those of one kind and moment from the first source that has any.

        Raises:
            ConfigError: no such source.
        """
        return united_actions(each.actions(symbol) for each in self._chosen(source).values())

    def find(self, symbol: str, timeframe: str, *, source: str | None = None) -> tuple[tuple[str, Series], ...]:
        """Which source has bars of a symbol that this timeframe can come from: id and series, in the sources' order.

        Raises:
            ConfigError: no such source.
            ContractError: no such timeframe.
        """
        return tuple(BarQuery(symbol, timeframe, self._chosen(source)).series)

    def explain(self, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> str:
        """Why there are no bars, or not enough: what was searched, what is nearest, and the command that fetches them.

        Raises:
            ContractError: no such timeframe.
        """
        return explanation(self._sources, BarQuery(symbol, timeframe, self._sources), start_ns, end_ns)

    def _chosen(self, source: str | None) -> Mapping[str, DataSource]:
        return self._sources if source is None else {source: self.source(source)}
