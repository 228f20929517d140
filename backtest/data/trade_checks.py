"""Checks of bars and of our own fills against what else was recorded of the same minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from backtest.data.columns import BarColumns, Flags, Floats, Ints
from backtest.data.findings import Found
from backtest.data.trades import TradeColumns
from core.contracts import timeframe_ns

_ROUNDING = 1e-6
"""So much, relative to it, the sum of a bar's trades may be off its volume: venues round what they add up."""


def trade_findings(bars: BarColumns, trades: TradeColumns) -> tuple[list[Found], int]:
    """Bars that are not what their trades add up to, and how many bars were compared.

    Compared are bars that call themselves complete and have trades in the bar before and behind: of others nobody knows
    whether all of their trades were recorded.
    """
    step = timeframe_ns(bars.timeframe)
    slots, firsts = np.unique(trades.ts // step, return_index=True)
    places = np.searchsorted(bars.ts_open, slots * step)
    known = places < len(bars)
    known[known] = bars.ts_open[places[known]] == slots[known] * step
    known[known] = bars.complete[places[known]]
    inner = np.zeros(len(slots), np.bool_)
    inner[1:-1] = (np.diff(slots)[1:] == 1) & (np.diff(slots)[:-1] == 1)
    chosen = np.flatnonzero(known & inner)
    if not len(chosen):
        return [], 0
    made = _made_of(trades, firsts)
    wrong: dict[str, Flags] = {}
    for name, values in made.items():
        there = getattr(bars, name)[places[chosen]]
        off = np.abs(values[chosen] - there)
        wrong[name] = off > (_ROUNDING * there if name == "volume" else 0.0)
    rows = np.flatnonzero(np.logical_or.reduce(list(wrong.values())))

    def describe(at: int) -> str:
        row = rows[at]
        slot, bar = chosen[row], places[chosen[row]]
        return ", ".join(
            f"{name} {getattr(bars, name)[bar]:g}, of its trades {values[slot]:g}"
            for name, values in made.items()
            if wrong[name][row]
        )

    starts = slots[chosen[rows]] * step
    return [Found("trades", starts, starts + step, np.ones_like(starts), describe)], len(chosen)


def _made_of(trades: TradeColumns, firsts: Ints) -> dict[str, Floats]:
    """Prices and volume of each run of trades."""
    lasts = np.append(firsts[1:], len(trades)) - 1
    return {
        "open": trades.price[firsts],
        "high": np.maximum.reduceat(trades.price, firsts),
        "low": np.minimum.reduceat(trades.price, firsts),
        "close": trades.price[lasts],
        "volume": np.add.reduceat(trades.qty, firsts),
    }


def fill_findings(bars: BarColumns, fills: Iterable[dict[str, Any]]) -> tuple[list[Found], int]:
    """Fills that cannot be, or that nobody would believe, and how many fills there were.

    A fill is held against the bar of its minute: its price must lie in it. A fee of 0 is suspicious only where other
    fills paid one.

    Args:
        bars: of the symbol, best the shortest there are.
        fills: of the symbol, as their lines say it, unchecked.
    """
    listed = list(fills)
    if not listed:
        return [], 0
    times = np.array([fill.get("ts_fill_ns") or 0 for fill in listed], np.int64)
    prices, amounts, fees = (np.array([_amount(fill.get(name)) for fill in listed]) for name in ("price", "qty", "fee"))
    places = np.searchsorted(bars.ts_open, times, side="right") - 1
    inside = places >= 0
    inside[inside] = times[inside] < bars.ts_close[places[inside]]
    there = places[inside]
    outside = inside.copy()
    outside[inside] = ~((prices[inside] <= bars.high[there]) & (prices[inside] >= bars.low[there]))
    unpaid = np.isnan(fees) | ((fees == 0) & (np.nan_to_num(fees) != 0).any())

    def name(row: int) -> str:
        return str(listed[row].get("fill_id") or listed[row].get("order_id") or "a fill")

    def found(kind: str, wrong: Flags, describe: Callable[[int], str]) -> Found:
        rows = np.flatnonzero(wrong)
        return Found(kind, times[rows], times[rows], np.ones_like(rows), lambda at: describe(int(rows[at])))

    def range_text(row: int) -> str:
        return f"{bars.low[places[row]]:g} to {bars.high[places[row]]:g}"

    return [
        found("fill_qty", ~(amounts > 0), lambda row: f"{name(row)}: qty {listed[row].get('qty')!r}"),
        found("fill_price", outside, lambda row: f"{name(row)}: {prices[row]:g}, its bar has {range_text(row)}"),
        found("fill_fee", unpaid, lambda row: f"{name(row)}: fee {listed[row].get('fee')!r}"),
        found("fill_time", ~inside, lambda row: f"{name(row)}: no bar of {bars.timeframe} at that time"),
    ], len(listed)


def _amount(value: object) -> float:
    """A number, or the decimal text that money travels as; NaN for what is none."""
    try:
        return float(value) if isinstance(value, (int, float, str)) else float("nan")
    except ValueError:
        return float("nan")
