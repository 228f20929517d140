"""Market history on disk: one folder per dataset, the same journals as a running system writes, a file per day or year.

`var/history/<dataset>/ohlcv.1m.BTCUSDT.20250520.ndjson.gz` holds the bars that open on that UTC day, as lines without a
header, `ohlcv.1h.BTCUSDT.20250101.ndjson.gz` those of the year 2025; trades are kept by days, corporate actions in one
plain file per symbol. What is there never changes unless it
was asked for: a bar that is added and differs from the one there is refused by default.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np

from backtest.data import manifest
from backtest.data.actions_file import merge_actions, read_actions
from backtest.data.bar_merge import merge_bars
from backtest.data.cache import cached_bars
from backtest.data.columns import ARRAYS, BarColumns
from backtest.data.day_files import only_writer, write_whole
from backtest.data.manifest import Manifest, Origin
from backtest.data.merging import NOTHING, Added, Conflict
from backtest.data.parsing import bad_bars, shown
from backtest.data.series import ACTIONS, BARS, TRADES, SeriesName
from backtest.data.series_files import SeriesFiles
from backtest.data.trade_merge import merge_trades
from backtest.data.trades import TradeColumns
from core import codec
from core.contracts import CorporateAction
from core.contracts.moments import FOREVER, iso
from core.data_source import Kind, Series
from core.errors import ConfigError, ContractError
from core.journal_reader import JournalReader

__all__ = ["FOREVER", "Added", "Conflict", "Dataset", "History", "Manifest", "Origin", "Series", "SeriesName"]

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)


class History:
    """All datasets of a folder."""

    def __init__(self, history_dir: str | Path) -> None:
        """
        Args:
            history_dir: holds one folder per dataset; need not exist.
        """
        self.folder = Path(history_dir)

    def dataset(self, name: str) -> Dataset:
        """A dataset, which need not exist yet: the first thing that is added makes its folder.

        Raises:
            ConfigError: no folder can be called so.
        """
        if not _NAME.fullmatch(name):
            allowed = "up to 64 letters, digits, dots, dashes and underscores, a letter or digit first"
            raise ConfigError(f"dataset is {name!r}; allowed: {allowed}")
        return Dataset(self.folder / name)

    def names(self) -> list[str]:
        """The datasets that are there."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.iterdir() if path.is_dir() and _NAME.fullmatch(path.name))


class Dataset:
    """One folder of market history. Reading never changes it, but for its cache."""

    def __init__(self, folder: str | Path) -> None:
        """
        Args:
            folder: where its files are; need not exist.
        """
        self.folder = Path(folder)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def manifest(self) -> Manifest:
        """Where its data came from.

        Raises:
            DataError: `dataset.json` is broken.
        """
        return manifest.read(self.folder)

    def series(self) -> list[Series]:
        """What it holds, from when to when.

        Raises:
            JournalError: a file cannot be read.
        """
        return JournalReader(self.folder).series()

    def bars(self, symbol: str, timeframe: str, start_ns: int = 0, end_ns: int = FOREVER) -> BarColumns:
        """The bars that open in `[start_ns, end_ns)`, through the cache; none where there are none.

        Raises:
            JournalError: a file is broken.
        """
        return cached_bars(self.folder, symbol, timeframe, start_ns, end_ns)

    def trades(self, symbol: str, start_ns: int = 0, end_ns: int = FOREVER) -> TradeColumns:
        """The trades in `[start_ns, end_ns)`; of a dataset's files only those of these days are read.

        Raises:
            JournalError: a file is broken.
        """
        return self._files(TRADES, symbol).trades(start_ns, end_ns)

    def actions(self, symbol: str) -> list[CorporateAction]:
        """The corporate actions of a symbol, oldest first.

        Raises:
            JournalError: the file is broken.
        """
        return read_actions(self.folder, SeriesName(ACTIONS, symbol).journal, symbol)

    def add(self, columns: BarColumns, *, conflict: Conflict = "refuse", dry_run: bool = False) -> Added:
        """Bars join those that are there, by `ts_open`; only files whose bars change are written, each at once.

        Args:
            columns: bars of one series.
            conflict: of a bar that differs from the one there: "refuse" all, "keep" what is there, or "replace" it. One
                that says the same but knows less or more (vwap, turnover, trade count) counts as the same.
            dry_run: only count.

        Raises:
            ContractError: a bar is none; named by its time.
            DataError: bars differ and `conflict` is "refuse"; or another symbol's bars have the same file name.
            JournalError: a file that is there is broken.
        """
        _require_bars(columns)
        files = self._files(BARS, columns.symbol, columns.timeframe)
        with self._writing(dry_run):
            touched = files.periods(columns.ts_open)
            old = files.own_bars(touched, columns)
            merged, decided = merge_bars(old, columns, conflict)
            scattered = files.scattered(touched)
            changed = np.union1d(files.periods(columns.ts_open[decided.take]), scattered)
            if not dry_run:
                files.gather(scattered, old)
                files.write_bars(changed, merged)
        return replace(decided.added, files=len(changed))

    def add_trades(self, columns: TradeColumns, *, conflict: Conflict = "refuse", dry_run: bool = False) -> Added:
        """Trades join those of the same days, by their ids; those without an id by what they say.

        Args:
            columns: trades of one symbol.
            conflict: of a trade that differs from the one there of the same id; as in `add`.
            dry_run: only count.

        Raises:
            ContractError: a price or quantity is not above 0.
            DataError: trades differ and `conflict` is "refuse"; or another symbol's trades have the same file name.
            JournalError: a file that is there is broken.
        """
        _require_trades(columns)
        files = self._files(TRADES, columns.symbol)
        with self._writing(dry_run):
            old = files.own_trades(files.periods(columns.ts))
            merged, decided = merge_trades(old, columns, conflict)
            changed = files.periods(np.concatenate((columns.ts[decided.take], old.ts[decided.drop])))
            if not dry_run:
                files.write_trades(changed, merged)
        return replace(decided.added, files=len(changed))

    def add_actions(
        self, actions: Iterable[CorporateAction], *, conflict: Conflict = "refuse", dry_run: bool = False
    ) -> Added:
        """Corporate actions join those that are there.

        Args:
            actions: of any symbols.
            conflict: of actions of a kind and moment that differ from those there; as in `add`.
            dry_run: only count.

        Raises:
            DataError: actions differ and `conflict` is "refuse"; or another symbol's actions have the same file name.
            JournalError: a file that is there is broken.
        """
        listed = list(actions)
        with self._writing(dry_run):
            merged = [self._merged_actions(symbol, listed, conflict) for symbol in sorted({a.symbol for a in listed})]
            for path, data, added in merged:
                if added.files and not dry_run:
                    write_whole(path, data)
        return sum((added for _, _, added in merged), NOTHING)

    def note_origin(self, origin: Origin, *, venue: str = "") -> None:
        """Write down where data came from; the same source again takes the place of its older entry.

        Args:
            origin: what was taken in.
            venue: whose market it is; empty if unknown.

        Raises:
            DataError: the dataset is of another venue, or the disk refuses.
        """
        with self._writing(False):
            manifest.write(self.folder, self.manifest.with_origin(origin, venue))

    def _files(self, kind: Kind, symbol: str, timeframe: str = "") -> SeriesFiles:
        return SeriesFiles(self.folder, SeriesName(kind, symbol, timeframe))

    def _writing(self, dry_run: bool) -> AbstractContextManager[None]:
        return nullcontext() if dry_run else only_writer(self.folder)

    def _merged_actions(
        self, symbol: str, actions: Sequence[CorporateAction], conflict: Conflict
    ) -> tuple[Path, bytes, Added]:
        series = SeriesName(ACTIONS, symbol)
        SeriesFiles(self.folder, series).require_own()
        old = read_actions(self.folder, series.journal, symbol)
        merged, added = merge_actions(old, [each for each in actions if each.symbol == symbol], conflict)
        data = b"".join(codec.encode(action) + b"\n" for action in merged)
        return self.folder / f"{series.journal}.ndjson", data, replace(added, files=int(merged != old))


def _require_bars(columns: BarColumns) -> None:
    arrays = {name: getattr(columns, name) for name in ARRAYS}
    wrong = bad_bars(arrays) | (columns.ts_open < 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        at = iso(max(0, int(columns.ts_open[row])))
        allowed = "finite, above 0, low <= open, close <= high, volume 0 or more"
        raise ContractError(f"{columns.symbol}, bar of {at}: {shown(arrays, row)}; allowed: {allowed}")


def _require_trades(columns: TradeColumns) -> None:
    good = (columns.price > 0) & (columns.price < np.inf) & (columns.qty > 0) & (columns.qty < np.inf)
    if not good.all():
        row = int(np.argmin(good))
        price, qty = columns.price[row].item(), columns.qty[row].item()
        where = f"{columns.symbol}, trade of {iso(int(columns.ts[row]))}"
        raise ContractError(f"{where}: price {price!r}, qty {qty!r}; allowed: finite, above 0")
