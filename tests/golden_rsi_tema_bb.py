"""Derives golden/rsi_tema_bb.jsonl from TA-Lib: `python -m tests.golden_rsi_tema_bb` writes it anew.

Nothing of the project is used here: figures are TA-Lib's over the whole series, the rest is the rule in a few lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import sin
from pathlib import Path
from typing import Any

import numpy as np
import talib

FILE = Path(__file__).parent / "golden" / "rsi_tema_bb.jsonl"
PARAMS: dict[str, Any] = {
    "rsi_period": 6, "tema_period": 4, "bb_period": 10, "bb_std": 1.0, "oversold": 38.0, "overbought": 62.0,
}  # fmt: skip
QTY, RETRY_S = "0.5", 5
DENIED = {3, 6}
"""Which intents the gate denies, counted from 0; all others are filled at once."""


def series() -> list[float]:
    """Two waves around 100 and a jitter, one price per second, rounded to cents."""
    return [round(100 + 4 * sin(i / 9) + sin(i / 3.3) + (i * i % 13 - 6) / 6, 2) for i in range(300)]


def setups(prices: list[float]) -> tuple[Any, list[str]]:
    """1 at a dip, -1 at a peak, 0 elsewhere; and the figures in words."""
    x = np.array(prices)
    rsi, tema = talib.RSI(x, PARAMS["rsi_period"]), talib.TEMA(x, PARAMS["tema_period"])
    width = PARAMS["bb_std"]
    upper, _, lower = talib.BBANDS(x, PARAMS["bb_period"], width, width)
    step = np.diff(tema, prepend=np.nan)
    with np.errstate(invalid="ignore"):
        dip = (rsi < PARAMS["oversold"]) & (x < lower) & (step > 0)
        peak = (rsi > PARAMS["overbought"]) & (x > upper) & (step < 0)
    words = [
        f"rsi {r:.2f}, bands {low:.3f} to {high:.3f}, tema {s:+.3f}"
        for r, low, high, s in zip(rsi, lower, upper, step, strict=True)
    ]
    return dip.astype(int) - peak.astype(int), words


def wishes(setup: Any, *, long_only: bool) -> list[list[list[str]]]:
    """What is to be said at each price."""
    said: list[list[list[str]]] = []
    position, count, leaving, after = 0, 0, False, 0
    for second, now in enumerate(setup):
        if position * now < 0:
            leaving = True
        side = 0
        if second >= after and leaving:
            side = -position
        elif second >= after and position == 0 and (now > 0 or not long_only):
            side = int(now)
        said.append([["buy" if side > 0 else "sell", QTY]] if side else [])
        if side and count in DENIED:
            after = second + RETRY_S
        elif side:
            position, leaving, after = position + side, False, 0 if leaving else after
        count += bool(side)
    return said


def lines() -> Iterator[str]:
    """The file."""
    prices = series()
    setup, words = setups(prices)
    both, longs = wishes(setup, long_only=False), wishes(setup, long_only=True)
    about = "a dip: rsi below oversold, price below the lower band, tema risen; a peak: the mirror image; by TA-Lib"
    params = {**PARAMS, "qty": QTY, "retry_s": RETRY_S}
    yield json.dumps({"about": about, "params": params, "denied": sorted(DENIED)})
    for price, now, expect, long_only, why in zip(prices, setup, both, longs, words, strict=True):
        row = {"price": price, "setup": int(now), "expect": expect, "long_only": long_only, "why": why}
        yield json.dumps(row)


if __name__ == "__main__":
    FILE.write_text("\n".join(lines()) + "\n")
