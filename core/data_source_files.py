"""Sources of market data that are folders: one of journals, or one of datasets, each a folder of journals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path

from core.config_errors import did_you_mean
from core.contracts import BookEvent, CorporateAction, OHLCVBar, TickerEvent, TradeEvent
from core.data_source import Series
from core.errors import ConfigError
from core.journal_reader import JournalReader
from core.market.union import first_of, united_actions, united_bars, united_trades


class JournalSource:
    """The journals of one folder, recorded or imported; a folder that is missing has nothing.

    Attributes:
        folder: where they lie.
        reader: reads them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reader = JournalReader(folder)

    def series(self) -> Sequence[Series]:
        """See `DataSource`."""
        return self.reader.series()

    def bars(self, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> Iterator[OHLCVBar]:
        """See `DataSource`."""
        return self.reader.read_bars(symbol, timeframe, start_ns, end_ns)

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[TradeEvent]:
        """See `DataSource`."""
        return self.reader.read_trades(symbol, start_ns, end_ns)

    def books(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[BookEvent]:
        """See `DataSource`."""
        return self.reader.read_books(symbol, start_ns, end_ns)

    def tickers(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[TickerEvent]:
        """See `DataSource`."""
        return self.reader.read_tickers(symbol, start_ns, end_ns)

    def actions(self, symbol: str) -> Sequence[CorporateAction]:
        """See `DataSource`."""
        return sorted(self.reader.read_actions(symbol), key=attrgetter("ts_effective_ns"))


class DatasetsSource:
    """All datasets below a folder, each a folder of journals, or those that are named; the first one counts.

    A dataset that appears later is there from the next call on. Different markets under one symbol, such as spot and
    futures, belong into different sources: here one would fill the holes of the other.

    Attributes:
        folder: where the datasets lie.
    """

    def __init__(self, folder: Path, datasets: Sequence[str] | None = None) -> None:
        """
        Args:
            folder: may be missing, and then has none.
            datasets: which of them count, in this order; all, by name, if None.

        Raises:
            ConfigError: a named one does not exist.
        """
        self.folder = folder
        self._named = datasets
        self._known: dict[str, JournalSource] = {}
        there = self._there()
        for name in datasets or ():
            if name not in there:
                raise ConfigError(f"datasets has {name!r}, which is not in {folder}; {did_you_mean(name, there)}")

    @property
    def datasets(self) -> dict[str, JournalSource]:
        """Those that count, by name, in their order."""
        there = self._there()
        chosen = there if self._named is None else [name for name in self._named if name in there]
        for name in chosen:
            if name not in self._known:
                self._known[name] = JournalSource(self.folder / name)
        return {name: self._known[name] for name in chosen}

    def series(self) -> Sequence[Series]:
        """See `DataSource`; one that several datasets have is listed for each."""
        return [each for dataset in self.datasets.values() for each in dataset.series()]

    def bars(self, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> Iterator[OHLCVBar]:
        """See `DataSource`."""
        what = f"{timeframe} bars of {symbol}"
        return united_bars(
            {
                f"dataset {name!r}, {what}": each.bars(symbol, timeframe, start_ns, end_ns)
                for name, each in self.datasets.items()
            }
        )

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[TradeEvent]:
        """See `DataSource`."""
        return united_trades([each.trades(symbol, start_ns, end_ns) for each in self.datasets.values()])

    def books(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[BookEvent]:
        """See `DataSource`; those of the first dataset that has any in the range."""
        return first_of(each.books(symbol, start_ns, end_ns) for each in self.datasets.values())

    def tickers(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[TickerEvent]:
        """See `DataSource`; those of the first dataset that has any in the range."""
        return first_of(each.tickers(symbol, start_ns, end_ns) for each in self.datasets.values())

    def actions(self, symbol: str) -> Sequence[CorporateAction]:
        """See `DataSource`."""
        return united_actions(each.actions(symbol) for each in self.datasets.values())

    def _there(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        return sorted(each.name for each in self.folder.iterdir() if each.is_dir() and not each.name.startswith("."))
