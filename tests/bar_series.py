"""Series of made-up bars for tests of market history."""

from __future__ import annotations

import numpy as np

from backtest.data.columns import BarColumns

START = 1_735_689_600_000_000_000
"""2025-01-01T00:00:00Z."""

MINUTE = 60_000_000_000


def calm(count: int = 1000, timeframe_ns: int = MINUTE, symbol: str = "BTC/USDT", timeframe: str = "1m") -> BarColumns:
    """Bars without a defect: a price that goes up and down by a tenth of a percent, and volumes of 8 to 12."""
    step = np.arange(count)
    close = 100.0 + np.array([0.0, 0.1, 0.0, -0.1])[step % 4]
    before = np.concatenate([[100.0], close])[:count]
    arrays = {
        "ts_open": START + step * timeframe_ns,
        "open": before,
        "high": np.maximum(before, close) + 0.05,
        "low": np.minimum(before, close) - 0.05,
        "close": close,
        "volume": 8.0 + step % 5,
    }
    return BarColumns.of(symbol, timeframe, arrays)


def changed(bars: BarColumns, **at: dict[int, float]) -> BarColumns:
    """The same bars with other values in some places: `changed(bars, close={5: 99.0})`."""
    arrays = {name: getattr(bars, name).copy() for name in ("ts_open", "open", "high", "low", "close", "volume")}
    arrays |= {name: getattr(bars, name).copy() for name in ("vwap", "turnover", "trade_count", "complete")}
    arrays["split_factor"] = bars.split_factor.copy()
    for name, values in at.items():
        for place, value in values.items():
            arrays[name][place] = value
    return BarColumns.of(
        bars.symbol, bars.timeframe, arrays, asset_class=bars.asset_class, currency=bars.currency
    )  # fmt: skip
