"""Sources of market data that are folders: one of journals, or one of datasets, each a folder of journals."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path

from core import codec
from core.config_errors import did_you_mean
from core.contracts import BookEvent, CorporateAction, OHLCVBar, TickerEvent, TradeEvent
from core.contracts.instrument import file_symbol
from core.data_source import TOPICS, Kind, Series
from core.errors import CodecError, ConfigError
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


MANIFEST = "dataset.json"
"""What a dataset says of itself, in its folder."""

MADE_UP = "synthetic"
"""The venue of a dataset whose market never was."""


class DatasetsSource:
    """The datasets below a folder, each a folder of journals.

    Where they are named, all of them count, and of two that have the same the first one. Where they are not, each
    answer comes from one dataset: two markets under one symbol, such as those of two exchanges, are refused until
    somebody has said which is meant, and a market that was made up counts only by its name. A dataset that appears
    later is there from the next call on.

    Attributes:
        folder: where the datasets lie.
    """

    def __init__(self, folder: Path, datasets: Sequence[str] | None = None) -> None:
        """
        Args:
            folder: may be missing, and then has none.
            datasets: which of them count, in this order; all but those that were made up, if None.

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
        if self._named is not None:
            chosen = [name for name in self._named if name in there]
        else:
            chosen = [name for name in there if not _is_made_up(self.folder / name)]
        return {name: self._dataset(name) for name in chosen}

    def dataset(self, name: str) -> JournalSource | None:
        """One dataset, also one that was made up; None where there is none of this name."""
        return self._dataset(name) if name in self._there() else None

    def _dataset(self, name: str) -> JournalSource:
        if name not in self._known:
            self._known[name] = JournalSource(self.folder / name)
        return self._known[name]

    def having(self, kind: Kind, symbol: str) -> dict[str, JournalSource]:
        """The datasets that an answer may come from, by name, in their order.

        Raises:
            ConfigError: several have it, and nobody has said which is meant.
        """
        topic = TOPICS[kind]
        pattern = topic.journal.format(timeframe="*", symbol=glob.escape(file_symbol(symbol))) + ".*"
        found = {name: each for name, each in self.datasets.items() if any(each.folder.glob(pattern))}
        if self._named is None and len(found) > 1:
            names = ", ".join(found)
            raise ConfigError(
                f"{kind} of {symbol} are in several datasets ({names}), and two markets make no history; name the one"
                f" that is meant (--source {next(iter(found))}), or list them in config/data_sources.yaml in the order"
                f" in which they count (datasets: [{names}])"
            )
        return found

    def series(self) -> Sequence[Series]:
        """See `DataSource`; one that several datasets have is listed for each."""
        return [each for dataset in self.datasets.values() for each in dataset.series()]

    def bars(self, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> Iterator[OHLCVBar]:
        """See `DataSource`."""
        what = f"{timeframe} bars of {symbol}"
        return united_bars(
            {
                f"dataset {name!r}, {what}": each.bars(symbol, timeframe, start_ns, end_ns)
                for name, each in self.having("bars", symbol).items()
            }
        )

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[TradeEvent]:
        """See `DataSource`."""
        having = self.having("trades", symbol).values()
        return united_trades([each.trades(symbol, start_ns, end_ns) for each in having])

    def books(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[BookEvent]:
        """See `DataSource`; those of the first dataset that has any in the range."""
        return first_of(each.books(symbol, start_ns, end_ns) for each in self.having("books", symbol).values())

    def tickers(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[TickerEvent]:
        """See `DataSource`; those of the first dataset that has any in the range."""
        return first_of(each.tickers(symbol, start_ns, end_ns) for each in self.having("tickers", symbol).values())

    def actions(self, symbol: str) -> Sequence[CorporateAction]:
        """See `DataSource`."""
        return united_actions(each.actions(symbol) for each in self.having("actions", symbol).values())

    def _there(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        return sorted(each.name for each in self.folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def _is_made_up(folder: Path) -> bool:
    try:
        said = codec.decode_json((folder / MANIFEST).read_bytes())
    except (OSError, CodecError):  # whoever reads the dataset itself is told
        return False
    return isinstance(said, dict) and said.get("venue") == MADE_UP
