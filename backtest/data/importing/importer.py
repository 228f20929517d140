"""Files and frames taken into a dataset, with an explanation of what was taken for what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Any

from backtest.data.importing.bars import read_bars
from backtest.data.importing.csv_table import CsvTable
from backtest.data.importing.files import Content, contents_of
from backtest.data.importing.hdf5_table import hdf5_table
from backtest.data.importing.journals import import_journals, journals_of
from backtest.data.importing.names import differences, suggested
from backtest.data.importing.options import Imported, Options
from backtest.data.importing.roles import roles_of, symbol_column
from backtest.data.importing.rows import SHOWN, Rows
from backtest.data.importing.sheet import Table, texts_of
from backtest.data.importing.tables import arrow_table, frame_table, json_table
from backtest.data.importing.trades import read_trades
from backtest.data.manifest import Origin
from backtest.data.series import BARS, TRADES, SeriesName
from backtest.data.store import Dataset
from core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Imported", "Options", "import_file", "import_frame"]


def import_file(dataset: Dataset, path: Path, options: Options) -> Iterator[Imported]:
    """Take in a file, a folder of journals, or the members of an archive, one after the other.

    Args:
        dataset: takes it in.
        path: the file or folder.
        options: what it does not say.

    Raises:
        ConfigError: there is no such file, or an option is missing or none.
        DataError: it cannot be read or its rows are wrong, or they differ from what is there; nothing of it, or of the
            member of an archive, was taken in.
        JournalError: a journal is broken.
    """
    if path.is_dir():
        for made in import_journals(dataset, journals_of(path), str(path), options):
            yield _noted(dataset, made, path.name, "", options)
        return
    for content in contents_of(path, options.format):
        if content.format == "ndjson":
            if content.name != str(path):
                raise DataError(f"{content.name}: a journal within an archive is not read; unpack it")
            for made in import_journals(dataset, [path], str(path), options):
                yield _noted(dataset, made, path.name, content.sha256, options)
        else:
            table = _table(content, options)
            made = _import_table(dataset, table, _with_symbol(table, options), Path(content.name).name)
            yield _noted(dataset, made, Path(content.name).name, content.sha256, options)


def import_frame(
    dataset: Dataset, frame: pd.DataFrame | Any, symbol: str, timeframe: str | None = None, **options: Any
) -> Imported:
    """Take in a pandas frame (its index counts as a column) or a `pyarrow.Table`, as if it were a file.

    Args:
        dataset: takes it in.
        frame: columns are known by their names, as those of a CSV are; pandas times count what they say they count.
        symbol: ccxt unified symbol.
        timeframe: of bars; None: from the spacing of their times.
        options: others of `Options`, such as `conflict` or `timezone`.

    Raises:
        ConfigError: an option is none.
        DataError: its rows are wrong, or they differ from what is there; nothing was taken in.
    """
    chosen = Options(**{"now_ns": time_ns(), **options, "symbol": symbol, "timeframe": timeframe or ""})
    made = _import_table(dataset, frame_table(frame), chosen, "")
    return _noted(dataset, made, "frame", "", chosen)


def _table(content: Content, options: Options) -> Table:
    if content.format == "csv":
        return CsvTable(content, options.decimal)
    if content.format == "hdf5":
        return hdf5_table(content)
    return json_table(content) if content.format == "json" else arrow_table(content)


def _with_symbol(table: Table, options: Options) -> Options:
    """The options with a symbol: where none was given, the one that all rows name in full.

    Raises:
        ConfigError: there is none, or several.
    """
    if options.symbol:
        return options
    source, place = table.head.source, symbol_column(table.head)
    named = [] if place is None else sorted(set(texts_of(table.load([], [place]).arrays[place])))
    if len(named) == 1 and "/" in named[0]:
        return replace(options, symbol=named[0])
    if len(named) > 1:
        shown = ", ".join(named[:SHOWN])
        raise ConfigError(f"{source} holds {len(named)} symbols: {shown}; --symbol says which one to take")
    hint = suggested(Path(source).name).symbol or suggested(f"{''.join(named)}.").symbol
    told = f"it suggests --symbol {hint}" if hint else "--symbol BTC/USDT, for instance"
    raise ConfigError(f"{source} does not say in full whose prices these are: {told}")


def _import_table(dataset: Dataset, table: Table, options: Options, name: str) -> Imported:
    roles = roles_of(table.head, options)
    rows = Rows.of(table, roles, options)
    how: dict[str, Any] = {"conflict": options.conflict, "dry_run": options.dry_run}
    if roles.kind == BARS:
        read = read_bars(rows)
        series = SeriesName(BARS, options.symbol, read.columns.timeframe)
        times, ts_ns = read.times, read.columns.ts_open
        found = f"; time frame {series.timeframe} ({read.length})"
        added = dataset.add(read.columns, **how)
    else:
        trades, times = read_trades(rows)
        series, ts_ns, found = SeriesName(TRADES, options.symbol), trades.ts, ""
        added = dataset.add_trades(trades, **how)
    first, last = (int(ts_ns[0]), int(ts_ns[-1])) if len(ts_ns) else (0, 0)
    return Imported(
        table.head.source, series, len(ts_ns), first, last, table.format, times,
        f"{table.head.said}; {roles.explained}; times: {times}{found}", added,
        tuple(rows.notes + differences(name, series.symbol, series.timeframe)), rows.skipped(),
    )  # fmt: skip


def _noted(dataset: Dataset, made: Imported, name: str, sha256: str, options: Options) -> Imported:
    """Write down where it came from."""
    if not options.dry_run:
        series = made.series
        dataset.note_origin(
            Origin(
                name, series.symbol, series.timeframe, made.rows, made.first_ns, made.last_ns, options.now_ns,
                made.format, made.times, sha256,
            )
        )  # fmt: skip
    return made
