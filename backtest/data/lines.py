"""Columns as the lines of journals: byte for byte what their events would be."""

from __future__ import annotations

from itertools import repeat

import numpy as np

from backtest.data.columns import ARRAYS, BarColumns
from backtest.data.trades import TradeColumns
from core.codec import encode_rows
from core.contracts import OHLCVBar, TradeEvent

_TAIL = ("volume", "vwap", "turnover", "trade_count", "complete")
_FACTORS = ("split_factor", "return_factor")


def bar_lines(columns: BarColumns) -> bytes:
    """One line per bar, without a header, each with its newline."""
    size = len(columns)
    listed = {name: getattr(columns, name).tolist() for name in ARRAYS}
    if (unknown := np.isnan(columns.vwap)).any():
        listed["vwap"] = np.where(unknown, None, columns.vwap.astype(np.object_)).tolist()  # type: ignore[call-overload]
    return encode_rows(
        OHLCVBar,
        (
            repeat(columns.symbol, size),
            repeat(columns.timeframe, size),
            listed["ts_open"],
            columns.ts_close.tolist(),
            *(listed[name] for name in ("open", "high", "low", "close", *_TAIL)),
            repeat(columns.asset_class, size),
            repeat(columns.currency, size),
            *(listed[name] for name in _FACTORS),
        ),
    )


def trade_lines(columns: TradeColumns) -> bytes:
    """One line per trade, without a header, each with its newline."""
    size = len(columns)
    return encode_rows(
        TradeEvent,
        (
            repeat(columns.symbol, size),
            columns.price.tolist(),
            columns.qty.tolist(),
            columns.side.tolist(),
            columns.ts.tolist(),
            columns.trade_id.tolist(),
            repeat(0, size),
            repeat(False, size),
        ),
    )
