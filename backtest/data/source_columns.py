"""Bars of the configured sources as columns: the same bars as `DataSources.bars` gives, through the cache."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from backtest.data.cache import cached_bars
from backtest.data.columns import ARRAYS, BarColumns
from core.contracts import timeframe_ns
from core.data_source import DataSource
from core.data_source_files import DatasetsSource, JournalSource
from core.data_sources import DataSources


def source_columns(sources: DataSources, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> BarColumns:
    """The bars that open in `[start_ns, end_ns)`; none where there are none.

    Where shorter bars may have to fill holes, the events are read instead, which takes longer.

    Raises:
        As for `DataSources.bars`; JournalError as well: a file is broken.
    """
    parts = [
        part
        for name in sources.names
        for part in _parts(sources.source(name), symbol, timeframe, start_ns, end_ns)
        if len(part)
    ]
    found = _united(parts) if parts else BarColumns.empty(symbol, timeframe)
    if _may_be_filled(sources, found, start_ns, end_ns):
        return BarColumns.from_bars(symbol, timeframe, sources.bars(symbol, timeframe, start_ns, end_ns))
    return found


def _may_be_filled(sources: DataSources, found: BarColumns, start_ns: int, end_ns: int) -> bool:
    """Whether there are shorter bars of a time without one of these."""
    length_ns = timeframe_ns(found.timeframe)
    for _, series in sources.find(found.symbol, found.timeframe):
        first_ns = max(start_ns, series.first_ns) // length_ns * length_ns
        last_ns = min(end_ns - 1, series.last_ns)
        if series.timeframe != found.timeframe and first_ns <= last_ns:
            there = found.between(first_ns, last_ns + 1).ts_open
            if len(there) <= (last_ns - first_ns) // length_ns:
                return True
    return False


def _parts(source: DataSource, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> list[BarColumns]:
    """What a source has, as columns; of several datasets the first one first."""
    if isinstance(source, JournalSource):
        return [cached_bars(source.folder, symbol, timeframe, start_ns, end_ns)]
    if isinstance(source, DatasetsSource):
        folders = [dataset.folder for dataset in source.having("bars", symbol).values()]
        return [cached_bars(folder, symbol, timeframe, start_ns, end_ns) for folder in folders]
    return [BarColumns.from_bars(symbol, timeframe, source.bars(symbol, timeframe, start_ns, end_ns))]


def _united(parts: list[BarColumns]) -> BarColumns:
    """Rising by time, of each opening time the bar of the first part that has it."""
    first = parts[0]
    if len(parts) == 1:
        return first
    opens = np.concatenate([part.ts_open for part in parts])
    _, rows = np.unique(opens, return_index=True)  # the first of equal ones, in the order of time
    arrays: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts])[rows] for name in ARRAYS}
    return replace(first, **arrays)
