"""The files of one series in a dataset: one compressed file per UTC day, of one symbol only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from backtest.data.columns import ARRAYS, BarColumns, Ints
from backtest.data.day_files import write_compressed
from backtest.data.parsing import Arrays, file_bars, file_trades
from backtest.data.series import ACTIONS, Series, named_in
from backtest.data.trades import TRADE_ARRAYS, TradeColumns
from core.contracts.moments import day_of
from core.errors import DataError
from core.journal_files import dated_name, files_of

FOREVER = 2**63 - 1
"""An end behind every time, ns."""

DAY_NS = 86_400_000_000_000


def days_of(ts_ns: Ints) -> Ints:
    """The UTC days that some times lie in, counted from 1970, each once, rising."""
    return np.unique(ts_ns // DAY_NS)


def day_range(day: int) -> tuple[int, int]:
    """First moment of a day counted from 1970, and of the next one, ns UTC."""
    return day * DAY_NS, (day + 1) * DAY_NS


class DayFiles:
    """One series' files in one folder."""

    def __init__(self, folder: Path, series: Series) -> None:
        self._folder = folder
        self._series = series

    def require_own(self) -> None:
        """Make sure that adding to these files loses nothing: each has the form that is written here and this symbol.

        Raises:
            DataError: one has not.
            JournalError: one cannot be read.
        """
        files = files_of(self._folder, self._series.journal)
        for file in files:
            if file.active != (self._series.kind == ACTIONS) or file.part or file.active == file.compressed:
                raise DataError(
                    f"{file.path} is no file of a dataset, where each day has one compressed file; "
                    f"import it into a dataset of its own: python -m backtest.data import {file.path}"
                )
        other = named_in(self._series.kind, files)
        if other is not None and other != self._series:
            raise self._shared(files[0].path, str(other))

    def own_bars(self, days: Ints, like: BarColumns) -> BarColumns:
        """The bars of some days, counted from 1970.

        Args:
            days: rising.
            like: bars of the same series, whose asset class and currency the ones there must have.

        Raises:
            DataError: the files are not this series' alone, or its bars are of another class or currency.
            JournalError: a file is broken.
        """
        self.require_own()
        parts: list[Arrays] = []
        for path in self._there(days):
            read = file_bars(path, self._series.symbol, self._series.timeframe)
            if read.others:
                raise self._shared(path, f"{read.others} lines of another series")
            for name, was, now in (
                ("asset_class", read.asset_class, like.asset_class),
                ("currency", read.currency, like.currency),
            ):
                if was and was != now:
                    raise DataError(f"{path} holds bars of {name} {was!r}, not {now!r}; use another dataset")
            parts.append(read.arrays)
        if not parts:
            return like[:0]
        arrays = {name: np.concatenate([part[name] for part in parts]) for name in ARRAYS}
        return BarColumns.of(
            like.symbol, like.timeframe, arrays, asset_class=like.asset_class, currency=like.currency
        )  # fmt: skip

    def own_trades(self, days: Ints) -> TradeColumns:
        """The trades of some days, counted from 1970.

        Raises:
            DataError: the files are not this symbol's alone.
            JournalError: a file is broken.
        """
        self.require_own()
        parts: list[TradeColumns] = []
        for path in self._there(days):
            read, others = file_trades(path, self._series.symbol)
            if others:
                raise self._shared(path, f"{others} lines of another symbol")
            parts.append(read)
        return _joined(self._series.symbol, parts)

    def trades(self, start_ns: int, end_ns: int) -> TradeColumns:
        """The trades in `[start_ns, end_ns)`.

        Raises:
            JournalError: a file is broken.
        """
        first = day_of(max(0, start_ns))
        last = day_of(min(end_ns - 1, _LAST_NS)) if end_ns > 0 else ""
        paths = [
            file.path
            for file in files_of(self._folder, self._series.journal)
            if file.active or first <= file.day <= last
        ]  # fmt: skip
        parts = [file_trades(path, self._series.symbol)[0] for path in paths]
        return _joined(self._series.symbol, parts).between(start_ns, end_ns)

    def write(self, contents: Iterable[tuple[int, bytes]]) -> None:
        """Replace the files of some days; each is there as it was or as it should be, whatever happens.

        Args:
            contents: days counted from 1970, and their lines; a day without lines has no file.

        Raises:
            DataError: the disk refuses; some days may be written.
        """
        write_compressed(self._filled(contents))

    def _path(self, day: int) -> Path:
        return self._folder / (dated_name(self._series.journal, day_of(day * DAY_NS), 0) + ".gz")

    def _filled(self, contents: Iterable[tuple[int, bytes]]) -> Iterator[tuple[Path, bytes]]:
        """The files that get lines; those of the other days go."""
        for day, lines in contents:
            if lines:
                yield self._path(day), lines
            else:
                self._path(day).unlink(missing_ok=True)

    def _there(self, days: Ints) -> list[Path]:
        return [path for path in map(self._path, days.tolist()) if path.exists()]

    def _shared(self, path: Path, other: str) -> DataError:
        return DataError(
            f"{path} holds {other}, whose file name {self._series} shares; one dataset takes only one of them"
        )


_LAST_NS = 253_402_300_799_000_000_000
"""The last second that a date can name, of the year 9999."""


def _joined(symbol: str, parts: list[TradeColumns]) -> TradeColumns:
    if not parts:
        return TradeColumns.of(symbol, {"ts": (), "price": (), "qty": (), "buy": ()})
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in TRADE_ARRAYS}
    order = np.argsort(arrays["ts"], kind="stable")
    return TradeColumns.of(symbol, {name: arrays[name][order] for name in TRADE_ARRAYS})
