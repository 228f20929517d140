"""The files of one series in a dataset: compressed, of one symbol only, one per UTC day.

Bars of an hour or longer have one per UTC year instead, named by the year's first day: twenty years of daily bars are
twenty files. Datasets that were written before have files of days for these too. They are read as they are; what is
added to such a year takes them over into the year's file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backtest.data.bar_merge import in_order, joined
from backtest.data.columns import BarColumns, Ints
from backtest.data.day_files import remove, write_compressed
from backtest.data.lines import bar_lines, trade_lines
from backtest.data.parsing import Arrays, file_bars, file_trades, trades_of
from backtest.data.series import ACTIONS, BARS, SeriesName, named_in
from backtest.data.trades import TRADE_ARRAYS, TradeColumns
from core.codec import has_header
from core.contracts import timeframe_ns
from core.contracts.moments import DAY_NS, FOREVER, day_of
from core.errors import DataError
from core.journal_files import dated_name, end_of_day, files_of, parse
from core.journal_lines import LineReader, read_lines, readers_of

LONG_NS = 3_600_000_000_000
"""Bars of this length or longer have one file per year."""


class SeriesFiles:
    """One series' files in one folder.

    The day or year that a file is for is its period, and is called by its first day, counted from 1970.
    """

    def __init__(self, folder: Path, series: SeriesName) -> None:
        self._folder = folder
        self._series = series
        self._unit = "Y" if series.kind == BARS and timeframe_ns(series.timeframe) >= LONG_NS else "D"

    def periods(self, ts_ns: Ints) -> Ints:
        """The periods that some times lie in, each once, rising."""
        days = np.unique(ts_ns // DAY_NS).astype("M8[D]")
        return np.unique(days.astype(f"M8[{self._unit}]")).astype("M8[D]").astype(np.int64)

    def range_of(self, period: int) -> tuple[int, int]:
        """First moment of a period, and of the next one, ns UTC."""
        following = np.datetime64(period, "D").astype(f"M8[{self._unit}]") + 1
        return period * DAY_NS, int(following.astype("M8[D]").astype(np.int64)) * DAY_NS

    def require_own(self) -> None:
        """Make sure that adding to these files loses nothing: each has the form that is written here and this symbol.

        Raises:
            DataError: one has not.
            JournalError: one cannot be read.
        """
        files = files_of(self._folder, self._series.journal)
        for file in files:
            if file.active != (self._series.kind == ACTIONS) or file.part or file.active == file.compressed:
                raise self._foreign(file.path)
        if files and has_header(next(read_lines(files[0].path), b"")):
            raise self._foreign(files[0].path)
        other = named_in(self._series.kind, files)
        if other is not None and other != self._series:
            raise self._shared(files[0].path, str(other))

    def own_bars(self, periods: Ints, like: BarColumns) -> BarColumns:
        """The bars of some periods.

        Args:
            periods: rising.
            like: bars of the same series, whose asset class and currency the ones there must have.

        Raises:
            DataError: the files are not this series' alone, or its bars are of another class or currency.
            JournalError: a file is broken, or two files say different things of one moment.
        """
        self.require_own()
        parts: list[Arrays] = []
        for path in self._there(periods):
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
        arrays = in_order(self._series, joined(parts))
        return BarColumns.of(
            like.symbol, like.timeframe, arrays, asset_class=like.asset_class, currency=like.currency
        )  # fmt: skip

    def own_trades(self, periods: Ints) -> TradeColumns:
        """The trades of some periods.

        Raises:
            DataError: the files are not this symbol's alone.
            JournalError: a file is broken.
        """
        self.require_own()
        parts: list[TradeColumns] = []
        for path in self._there(periods):
            read, others = file_trades(path, self._series.symbol)
            if others:
                raise self._shared(path, f"{others} lines of another symbol")
            parts.append(read)
        return _joined(self._series.symbol, parts)

    def trades(self, start_ns: int, end_ns: int) -> TradeColumns:
        """The trades in `[start_ns, end_ns)`, of a dataset or of a running system.

        Raises:
            JournalError: a file is broken.
        """
        parts = []
        for reader in readers_of(self._folder, self._series.journal):
            with reader:
                if _may_hold(reader, start_ns, end_ns):
                    parts.append(trades_of(reader, self._series.symbol)[0])
        return _joined(self._series.symbol, parts).between(start_ns, end_ns)

    def scattered(self, periods: Ints) -> Ints:
        """Those of some periods that have other files than their own, from before there were years."""
        return np.array([period for period in periods.tolist() if self._others(period)], np.int64)

    def gather(self, periods: Ints, bars: BarColumns) -> None:
        """Bring what is there of some periods into their own files; the other ones go.

        A crash leaves what is there twice at most, and the same.

        Args:
            periods: rising.
            bars: all that is there of them.

        Raises:
            DataError: the disk refuses; some periods may be gathered.
        """
        self.write_bars(periods, bars)
        remove(path for period in periods.tolist() for path in self._others(period))

    def write_bars(self, periods: Ints, bars: BarColumns) -> None:
        """Replace the files of some periods; each is there as it was or as it should be, whatever happens.

        Args:
            periods: each has bars.
            bars: among others all of these periods.

        Raises:
            DataError: the disk refuses; some files may be written.
        """
        write_compressed(
            (self._path(period), bar_lines(bars.between(*self.range_of(period)))) for period in periods.tolist()
        )

    def write_trades(self, periods: Ints, trades: TradeColumns) -> None:
        """Replace the files of some periods, as `write_bars`; a period without trades has none afterwards."""
        found = {period: trades.between(*self.range_of(period)) for period in periods.tolist()}
        write_compressed((self._path(period), trade_lines(part)) for period, part in found.items() if len(part))
        remove(self._path(period) for period, part in found.items() if not len(part))

    def _path(self, period: int) -> Path:
        return self._folder / (dated_name(self._series.journal, day_of(period * DAY_NS), 0) + ".gz")

    def _there(self, periods: Ints) -> list[Path]:
        """The files of some periods, whatever these were when they were written; oldest first."""
        return [path for period in periods.tolist() for path in (*self._own(period), *self._others(period))]

    def _own(self, period: int) -> list[Path]:
        return [path] if (path := self._path(period)).exists() else []

    def _others(self, period: int) -> list[Path]:
        """Files of days that belong into the file of a year."""
        if self._unit == "D":
            return []
        start_ns, end_ns = self.range_of(period)
        files = files_of(self._folder, self._series.journal)
        return [file.path for file in files if start_ns + DAY_NS < end_of_day(file.day) <= end_ns]

    def _foreign(self, path: Path) -> DataError:
        return DataError(
            f"{path} is no file of a dataset, where lines have no header and each day or year one compressed file; "
            f"import it into a dataset of its own: python -m backtest.data import {path}"
        )

    def _shared(self, path: Path, other: str) -> DataError:
        return DataError(
            f"{path} holds {other}, whose file name {self._series} shares; one dataset takes only one of them"
        )


def _may_hold(reader: LineReader, start_ns: int, end_ns: int) -> bool:
    """Whether a file can have trades of a range: only a dataset's is named by the day of its trades.

    What was recorded is named by the day on which it was: a replay of 2024 may be found in a file of 2026.
    """
    file = parse(reader.path)
    end_of_file = end_of_day(file.day) if file else FOREVER
    inside = start_ns < end_of_file and end_of_file - DAY_NS < end_ns
    return inside or end_of_file == FOREVER or has_header(reader.first_line())


def _joined(symbol: str, parts: list[TradeColumns]) -> TradeColumns:
    if not parts:
        return TradeColumns.of(symbol, {"ts": (), "price": (), "qty": (), "buy": ()})
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in TRADE_ARRAYS}
    order = np.argsort(arrays["ts"], kind="stable")
    return TradeColumns.of(symbol, {name: arrays[name][order] for name in TRADE_ARRAYS})
