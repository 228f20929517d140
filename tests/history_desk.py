"""Bars for tests of market history: whole prices, so that every expected number can be seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backtest.data.columns import BarColumns
from core.contracts.moments import moment

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
MINUTE = 60_000_000_000
DAY = 1_440 * MINUTE
START = moment("2025-05-20")


def bars(
    count: int, *, start: int = START, symbol: str = "BTC/USDT", step: int = MINUTE, base: float = 100.0
) -> BarColumns:
    """Bars that open `step` apart from `start` on: number n opens at base + n, with high 2 above and low 1 below."""
    opens = base + np.arange(count, dtype=np.float64)
    return BarColumns.of(
        symbol,
        {MINUTE: "1m", 5 * MINUTE: "5m", DAY: "1d"}[step],
        {
            "ts_open": start + np.arange(count) * step, "open": opens, "high": opens + 2, "low": opens - 1,
            "close": opens + 1, "volume": opens / 10,
        },
    )  # fmt: skip


def changed(columns: BarColumns, row: int, **values: float) -> BarColumns:
    """The same with other values in one row."""
    arrays = {name: getattr(columns, name).copy() for name in ("open", "high", "low", "close", "volume", "turnover")}
    for name, value in values.items():
        arrays[name][row] = value
    return BarColumns.of(columns.symbol, columns.timeframe, {"ts_open": columns.ts_open, **arrays})


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but for what is derived or only guards."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".cache" not in path.parts and path.name != ".lock"
    }
