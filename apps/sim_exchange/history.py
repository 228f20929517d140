"""Recorded minutes that the simulated exchange serves as its past."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.contracts import Instrument
from core.contracts.moments import FOREVER
from core.errors import ConfigError
from core.journal_reader import JournalReader
from core.sim.history import MinuteHistory

TIMEFRAME = "1m"


def read_history(folder: Path, instruments: Sequence[Instrument]) -> dict[str, MinuteHistory]:
    """The minutes of some symbols by name; a year takes seconds.

    Args:
        folder: a dataset, or any folder of journals named ohlcv.1m.*.
        instruments: whose minutes; those without any get an empty history.

    Raises:
        ConfigError: it has minutes of none of them.
        JournalError: a journal is broken.
    """
    if not folder.is_dir():
        raise ConfigError(f"--history is {folder}; allowed: a folder")
    reader = JournalReader(folder)
    found = {instrument.symbol: _minutes(reader, instrument.symbol) for instrument in instruments}
    if not any(map(len, found.values())):
        there = ", ".join(sorted({f"{each.symbol} {each.timeframe}".rstrip() for each in reader.series()})) or "nothing"
        raise ConfigError(f"--history {folder} holds {there}; allowed: {TIMEFRAME} bars of {' or '.join(found)}")
    return found


def _minutes(reader: JournalReader, symbol: str) -> MinuteHistory:
    made = MinuteHistory()
    for bar in reader.read_bars(symbol, TIMEFRAME, 0, FOREVER):
        made.add(bar.ts_open, (bar.open, bar.high, bar.low, bar.close), bar.volume, bar.turnover, bar.trade_count)
    return made
