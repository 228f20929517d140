"""Bars of journals as columns, from an Arrow file beside them that makes and repairs itself.

The journals are the truth. `<folder>/.cache/` holds what their finished files said when they were last read; a file
that is another one since, by name, number, size or time of change, is read again, the rest is taken over. The file that
is being written is always read. Everything in `.cache/` may be deleted at any time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from backtest.data.bar_merge import in_order, joined
from backtest.data.cache_file import FOLDER, Cached, CacheFile, Seen, Source
from backtest.data.columns import BarColumns
from backtest.data.parsing import Arrays, FileBars, file_bars
from backtest.data.series import BARS, SeriesName
from core.contracts import timeframe_ns
from core.contracts.moments import FOREVER
from core.errors import JournalError
from core.journal_files import JournalFile, files_of

__all__ = ["CacheInfo", "cache_info", "cached_bars", "drop_cache"]

_TRIES = 20
"""How often a folder is listed again because its files were rotated or compressed meanwhile."""

_TICK_NS = 20_000_000
"""Longer than the ticks in which Linux counts the times of files, which are 1 to 10 ms, ns."""


def cached_bars(
    folder: Path, symbol: str, timeframe: str, start_ns: int = 0, end_ns: int = FOREVER
) -> BarColumns:  # fmt: skip
    """The bars of a series that open in `[start_ns, end_ns)`, oldest first; none where there are none.

    Columns come straight from the mapped file where they can: they cannot be written to. Without the right to write
    beside the journals everything is read from them, each time.

    Args:
        folder: holds journals; a dataset's, or that of a running system.
        symbol: ccxt unified symbol; lines of another one in the same file are left out.
        timeframe: of the bars.
        start_ns: ns UTC.
        end_ns: ns UTC.

    Raises:
        ContractError: the timeframe is none.
        JournalError: a file is broken, named with its line; or two files say different things of one moment.
    """
    timeframe_ns(timeframe)
    series = SeriesName(BARS, symbol, timeframe)
    for _ in range(_TRIES):
        files = files_of(folder, series.journal)
        try:
            cached = _finished(folder, series, [file for file in files if not file.active])
            live = [file_bars(file.path, symbol, timeframe) for file in files if file.active]
        except FileNotFoundError:  # compressed, rotated or taken away since the folder was listed
            continue
        if not live or [file.age for file in files_of(folder, series.journal)] == [file.age for file in files]:
            return _columns(series, cached, live).between(start_ns, end_ns)
    raise JournalError(f"{folder}: the files of {series} changed {_TRIES} times while they were read")


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """One cache file.

    Attributes:
        path: where it is.
        symbol: of its series; empty if the file is of another format and will be made anew.
        timeframe: likewise.
        size: bytes.
        rows: how many bars.
        sources: how many journal files it was made of.
        stale: how many of the journal's files have changed, are new or are gone since.
        first_ns: time of the first bar, ns UTC; 0 without bars.
        last_ns: time of the last bar, ns UTC; 0 without bars.
    """

    path: Path
    symbol: str
    timeframe: str
    size: int
    rows: int
    sources: int
    stale: int
    first_ns: int
    last_ns: int


def cache_info(folder: Path) -> list[CacheInfo]:
    """What is cached of a folder, by file name; nothing is made or changed."""
    return [_info(folder, path) for path in sorted((folder / FOLDER).glob("*.arrow"))]


def drop_cache(folder: Path) -> int:
    """Delete what is cached of a folder, also what an interrupted write has left; how many files that were.

    Raises:
        JournalError: the folder refuses.
    """
    count = 0
    try:
        for path in sorted((folder / FOLDER).glob("*")):
            path.unlink(missing_ok=True)
            count += 1
    except OSError as error:
        raise JournalError(f"{folder / FOLDER} cannot be emptied: {error}") from None
    return count


def _info(folder: Path, path: Path) -> CacheInfo:
    size = path.stat().st_size
    cached = CacheFile.at(path).read()
    if cached is None:
        return CacheInfo(path, "", "", size, 0, 0, 0, 0, 0)
    series = cached.series
    there = {_stat(file) for file in files_of(folder, series.journal) if not file.active}
    stale = len(there.symmetric_difference(source.seen for source in cached.sources))
    opens = cached.arrays["ts_open"]
    first, last = (int(opens.min()), int(opens.max())) if len(opens) else (0, 0)
    return CacheInfo(
        path, series.symbol, series.timeframe, size, len(opens), len(cached.sources), stale, first, last
    )  # fmt: skip


def _finished(folder: Path, series: SeriesName, files: list[JournalFile]) -> Cached:
    """The finished files' bars, file by file; from the cache as far as it is right, which it is afterwards.

    Raises:
        FileNotFoundError: a file has gone.
        JournalError: a file is broken.
    """
    store = CacheFile(folder, series)
    old = store.read()
    seen = _settled(files)
    if old is not None and [source.seen for source in old.sources] == seen:
        return old
    known = dict(old.parts()) if old is not None else {}
    sources: list[Source] = []
    parts: list[Arrays] = []
    for file, each in zip(files, seen, strict=True):
        if old is not None and each in known:
            source, rows = known[each]
            part = {name: array[rows] for name, array in old.arrays.items()}
        else:
            read = file_bars(file.path, series.symbol, series.timeframe)
            part = read.arrays
            source = Source(*each, len(part["ts_open"]), read.asset_class, read.currency)
        sources.append(source)
        parts.append(part)
    made = Cached(series, tuple(sources), joined(parts))
    if sources or old is not None:
        store.write(made)
    return made


def _stat(file: JournalFile) -> Seen:
    """Raises FileNotFoundError: the file has gone."""
    stat = file.path.stat()
    return file.path.name, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _settled(files: list[JournalFile]) -> list[Seen]:
    """What tells the files from changed ones, at a time when a further change would show in it.

    A file system counts time in ticks: a file that was changed within this one may be changed again without a trace.

    Raises:
        FileNotFoundError: a file has gone.
    """
    seen = [_stat(file) for file in files]
    age_ns = time.time_ns() - max((changed_ns for *_, changed_ns in seen), default=0)
    if 0 <= age_ns < _TICK_NS:
        time.sleep((_TICK_NS - age_ns) / 1e9)
        seen = [_stat(file) for file in files]
    return seen


def _columns(series: SeriesName, cached: Cached, live: list[FileBars]) -> BarColumns:
    arrays = cached.arrays
    if any(len(read.arrays["ts_open"]) for read in live):
        arrays = joined([arrays, *(read.arrays for read in live)])
    if not cached.rising or live:
        arrays = in_order(series, arrays)
    words = [(source.asset_class, source.currency) for source in cached.sources]
    words += [(read.asset_class, read.currency) for read in live]
    asset_class = next((word for word, _ in reversed(words) if word), "crypto")
    currency = next((word for _, word in reversed(words) if word), series.quote)
    return BarColumns(series.symbol, series.timeframe, **arrays, asset_class=asset_class, currency=currency)
