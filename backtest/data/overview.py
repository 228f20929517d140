"""What there is to know about a series without looking at each row."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backtest.data.cache import CacheInfo, cache_info
from backtest.data.columns import BarColumns
from backtest.data.coverage import coverage, span_of
from backtest.data.selection import Chosen
from backtest.data.series import BARS, TRADES
from backtest.data.table import counted
from core.contracts.moments import FOREVER
from core.data_source import TOPICS
from core.journal_files import JournalFile, files_of
from core.journal_reader import JournalReader


@dataclass(frozen=True, slots=True)
class Overview:
    """One series.

    Attributes:
        dataset: where it is.
        symbol: ccxt unified symbol.
        kind: "bars", "trades", "books", "tickers" or "actions".
        timeframe: of bars; empty otherwise.
        rows: how many.
        first_ns: time of the first, ns UTC; 0 without any.
        last_ns: time of the last, ns UTC; 0 without any.
        gaps: holes between bars; 0 of others, of which nobody knows how many there should be.
        missing: bars in them.
        files: how many.
        compressed: how many of them are gzip.
        size: bytes of them.
    """

    dataset: str
    symbol: str
    kind: str
    timeframe: str
    rows: int
    first_ns: int
    last_ns: int
    gaps: int
    missing: int
    files: int
    compressed: int
    size: int


def overview(of: Chosen) -> Overview:
    """Count what is there; bars come through the cache.

    Raises:
        JournalError: a file is broken.
    """
    series, data = of.series, of.place.data
    gaps = missing = 0
    if series.kind == BARS:
        bars = data.bars(series.symbol, series.timeframe)
        times = bars.ts_open.tolist()[:1] + bars.ts_open.tolist()[-1:]
        cover = coverage(bars, series.symbol, series.timeframe, *span_of(bars))
        rows, gaps, missing = len(bars), len(cover.holes), cover.missing
    elif series.kind == TRADES:
        trades = data.trades(series.symbol)
        rows, times = len(trades), [int(ts) for ts in trades.ts[[0, -1]]] if len(trades) else []
    else:
        rows, times = _counted(of)
    files = files_of(of.place.folder, series.journal)
    return Overview(
        of.place.name,
        series.symbol,
        series.kind,
        series.timeframe,
        rows,
        times[0] if times else 0,
        times[-1] if times else 0,
        gaps,
        missing,
        len(files),
        sum(file.compressed for file in files),
        size_of(files),
    )


def _counted(of: Chosen) -> tuple[int, list[int]]:
    """How many lines there are of what no columns are made of, and the times of the first and the last."""
    count, first_ns, last_ns = 0, FOREVER, 0
    reader = JournalReader(of.place.folder)
    for record in reader.records(TOPICS[of.series.kind], symbol=of.series.symbol):
        count, first_ns, last_ns = count + 1, min(first_ns, record.ts_ns), max(last_ns, record.ts_ns)
    return count, [first_ns, last_ns] if count else []


def size_of(files: list[JournalFile]) -> int:
    """Bytes of some files; one that has just been taken away has none."""
    return sum(_size(file.path) for file in files)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def details(of: Chosen) -> dict[str, Any]:
    """All of it, as JSON values: counts, ranges of prices and amounts, where it came from, the cache.

    Raises:
        DataError: the dataset's own file is broken.
        JournalError: a file is broken.
    """
    series, data = of.series, of.place.data
    known = asdict(overview(of))
    manifest = data.manifest
    known["folder"] = str(of.place.folder)
    known["venue"] = manifest.venue
    known["origins"] = [
        asdict(origin)
        for origin in manifest.origins
        if (origin.symbol, origin.timeframe) == (series.symbol, series.timeframe)
    ]
    if series.kind == BARS:
        bars = data.bars(series.symbol, series.timeframe)
        known["ranges"] = _ranges({"price": (bars.low, bars.high), "volume": (bars.volume, bars.volume)})
        known["cache"] = [_cached(info) for info in caches_of(of)]
        known |= _about(bars)
    elif series.kind == TRADES:
        trades = data.trades(series.symbol)
        known["ranges"] = _ranges({"price": (trades.price, trades.price), "qty": (trades.qty, trades.qty)})
    return known


def caches_of(of: Chosen) -> list[CacheInfo]:
    """The cache of a series of bars: one entry, or none while nobody has read it."""
    wanted = (of.series.symbol, of.series.timeframe)
    return [info for info in cache_info(of.place.folder) if (info.symbol, info.timeframe) == wanted]


def state_of(cache: CacheInfo) -> str:
    """Whether a cache is what its journals are: "fresh", or how many files it has to read when it is next used."""
    return f"{counted(cache.stale, 'file')} to read" if cache.stale else "fresh" if cache.symbol else "to be made anew"


def _about(bars: BarColumns) -> dict[str, Any]:
    return {
        "asset_class": bars.asset_class,
        "currency": bars.currency,
        "without_volume": int((bars.volume == 0).sum()),
        "incomplete": int((~bars.complete).sum()),
        "with_trade_count": int((bars.trade_count > 0).sum()),
        "adjusted_by": len(np.unique(bars.split_factor)),
    }


def _ranges(pairs: dict[str, tuple[Any, Any]]) -> dict[str, list[float]]:
    return {name: [float(low.min()), float(high.max())] for name, (low, high) in pairs.items() if len(low)}


def _cached(info: CacheInfo) -> dict[str, Any]:
    return {"path": str(info.path), "state": state_of(info), "rows": info.rows, "size": info.size}
