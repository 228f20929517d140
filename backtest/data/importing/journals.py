"""Journals taken into a dataset: of a running system, of another dataset, or of anybody who writes such lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from backtest.data.actions_file import actions_in
from backtest.data.columns import BarColumns
from backtest.data.importing.options import Imported, Options
from backtest.data.parsing import file_bars, file_rows, file_trades
from backtest.data.series import ACTIONS, BARS, TRADES, SeriesName
from backtest.data.store import Dataset
from core.codec import payload_of
from core.data_source import TOPICS, Kind
from core.errors import CodecError, DataError
from core.journal_files import journals_in
from core.journal_lines import read_lines

_FIELDS: dict[Kind, set[str]] = {
    BARS: {"symbol", "timeframe", "ts_open", "open", "high", "low", "close", "volume"},
    TRADES: {"symbol", "price", "qty", "side", "ts"},
    ACTIONS: {"symbol", "kind", "ts_effective_ns"},
}
"""By which a line is known."""

_STARTS = ("ohlcv.", "md.trades.", "md.actions.")


def journals_of(folder: Path) -> list[Path]:
    """The files of a folder that hold market history, oldest first within a journal.

    Raises:
        DataError: there are none.
    """
    paths = [
        file.path for journal, files in journals_in(folder).items() if journal.startswith(_STARTS) for file in files
    ]  # fmt: skip
    if not paths:
        raise DataError(f"{folder} has no journals of bars or trades, such as ohlcv.1m.BTCUSDT.20250520.ndjson.gz")
    return paths


def import_journals(dataset: Dataset, paths: Iterable[Path], source: str, options: Options) -> list[Imported]:
    """Take in journals, as one thing per series.

    Args:
        dataset: takes them in.
        paths: the files, oldest first.
        source: what to call them.
        options: a symbol and a time frame choose the series; without them all are taken.

    Raises:
        DataError: a file holds no market history, or none of that symbol; or it differs from what is there.
        JournalError: a file is broken.
    """
    totals: dict[SeriesName, Imported] = {}
    seen: set[SeriesName] = set()
    for path in paths:
        for series in _series_of(path):
            seen.add(series)
            if options.symbol in ("", series.symbol) and options.timeframe in ("", series.timeframe):
                made = _one(dataset, path, series, options)
                totals[series] = _together(totals[series], made) if series in totals else made
    if not totals:
        raise DataError(f"{source} holds {', '.join(map(str, sorted(seen)))}; --symbol is {options.symbol}")
    return [replace(each, source=source) for each in totals.values()]


def _series_of(path: Path) -> list[SeriesName]:
    kind = _kind_of(path)
    rows = file_rows(path, TOPICS[kind].event)
    return sorted({SeriesName(kind, row.symbol, row.timeframe if kind == BARS else "") for row in rows})


def _kind_of(path: Path) -> Kind:
    line = next(read_lines(path), b"")
    try:
        fields = set(payload_of(line)) if line else set()
    except (CodecError, ValueError) as error:
        raise DataError(f"{path}, line 1: {error}") from None
    kind = next((kind for kind, needed in _FIELDS.items() if needed <= fields), None)
    if kind is None:
        allowed = "bars (ts_open, open ...), trades (price, qty, side, ts) or corporate actions"
        raise DataError(f"{path} begins with a line of {', '.join(sorted(fields)) or 'nothing'}; allowed: {allowed}")
    return kind


@dataclass(frozen=True, slots=True)
class _Took:
    rows: int
    first_ns: int
    last_ns: int


def _one(dataset: Dataset, path: Path, series: SeriesName, options: Options) -> Imported:
    if series.kind == BARS:
        read = file_bars(path, series.symbol, series.timeframe)
        columns = BarColumns.of(
            series.symbol, series.timeframe, dict(read.arrays),
            asset_class=read.asset_class or options.asset_class, currency=read.currency or series.quote,
        )  # fmt: skip
        opens = columns.ts_open
        added = dataset.add(columns, conflict=options.conflict, dry_run=options.dry_run)
        took = _Took(len(opens), int(opens[0]), int(opens[-1]))
    elif series.kind == TRADES:
        trades, _ = file_trades(path, series.symbol)
        added = dataset.add_trades(trades, conflict=options.conflict, dry_run=options.dry_run)
        took = _Took(len(trades), int(trades.ts[0]), int(trades.ts[-1]))
    else:
        actions = actions_in(path, series.symbol)
        added = dataset.add_actions(actions, conflict=options.conflict, dry_run=options.dry_run)
        times = [each.ts_effective_ns for each in actions]
        took = _Took(len(actions), min(times), max(times))
    return Imported(
        str(path), series, took.rows, took.first_ns, took.last_ns, "ndjson", "ns since 1970",
        f"journal lines: {series}, by their own fields", added,
    )  # fmt: skip


def _together(one: Imported, other: Imported) -> Imported:
    return replace(
        one,
        rows=one.rows + other.rows,
        first_ns=min(one.first_ns, other.first_ns),
        last_ns=max(one.last_ns, other.last_ns),
        added=one.added + other.added,
    )
