"""A year of minutes: opened from the cache and from its journals, imported, compressed; each in its own process."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from backtest.data.cache import cached_bars, drop_cache
from backtest.data.columns import BarColumns
from backtest.data.importing.importer import Options, import_file
from backtest.data.store import Dataset
from bench.figures import Outcome, median, spread
from bench.lab import ROOT, has_proc, memory_mb
from core.contracts.moments import moment

SYMBOL, TIMEFRAME = "BTC/USDT", "1m"
ROWS = 525_600
START = moment("2024-01-01")
OPEN_MS = 50

CSV, DATASET = "year.csv", "year"
NAMES = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)


def measure(folder: Path, rounds: int) -> Outcome:
    """The same year for all; CPU seconds, because other work on the machine moves the clock on the wall."""
    _write_csv(folder / CSV)
    work(folder, "import")
    outcome = Outcome()
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in WORKS}
    for _ in range(rounds):
        for name, values in taken.items():
            values.append(_child(folder, name))
    _opened(outcome, taken)
    _imported(outcome, taken)
    _compressed(outcome, folder)
    for name, values in taken.items():
        outcome.add(f"peak memory over the imports: {name}", median([each["peak_mb"] for each in values]), "MB")
    outcome.remarks.append(f"{ROWS:,} bars in {len(list((folder / DATASET).glob('*.gz')))} files of a day each")
    return outcome


def _opened(outcome: Outcome, taken: dict[str, list[dict[str, float]]]) -> None:
    wall_ms = [each["wall_s"] * 1_000 for each in taken["open from the cache"]]
    outcome.add(
        "a year opened from the cache, checked against 365 files", median(wall_ms), "ms", target=f"<= {OPEN_MS}",
        note=spread(wall_ms),
    )  # fmt: skip
    for name in ("open from the cache, every value read", "open from gz, cache made"):
        cpu = [each["cpu_s"] for each in taken[name]]
        ratios = [
            mine["cpu_s"] / max(other["cpu_s"], 1e-6)
            for mine, other in zip(taken[name], taken["open from the cache"], strict=True)
        ]
        outcome.add(name, median(cpu), "s", ratio=median(ratios), against="open from the cache", note=spread(cpu))


def _imported(outcome: Outcome, taken: dict[str, list[dict[str, float]]]) -> None:
    for name in ("import", "import, all there already"):
        cpu = [each["cpu_s"] for each in taken[name]]
        ratios = [
            mine["cpu_s"] / other["cpu_s"] for mine, other in zip(taken[name], taken["pandas.read_csv"], strict=True)
        ]  # fmt: skip
        outcome.add(
            f"{name}: a year of CSV into compressed journals", median(cpu), "s", ratio=median(ratios),
            against="pandas.read_csv", note=spread(ratios),
        )  # fmt: skip


def _compressed(outcome: Outcome, folder: Path) -> None:
    files = list((folder / DATASET).glob("*.gz"))
    packed = sum(path.stat().st_size for path in files)
    lines = [gzip.decompress(path.read_bytes()) for path in files]
    begun = time.process_time()
    for data in lines:
        gzip.compress(data, 6, mtime=0)
    plain = sum(map(len, lines))
    outcome.add("lines against their compressed files", plain / packed, "x", target=">= 2")
    outcome.add("compression at level 6", plain / (time.process_time() - begun) / 1e6, "MB/s")


def _child(folder: Path, name: str) -> dict[str, float]:
    """What one piece of work costs in a fresh process."""
    code = f"from pathlib import Path; from bench.history import child; child(Path({str(folder)!r}), {name!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def child(folder: Path, name: str) -> None:
    """Do one piece of work and print its cost; what it imports does not count."""
    for module in ("pandas", "pyarrow.csv"):
        import_module(module)
    before = _peak_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    work(folder, name)
    cost = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    cost["peak_mb"] = _peak_mb() - before
    sys.stdout.write(json.dumps(cost))


def _peak_mb() -> float:
    """The process's own peak; the one of `getrusage` is never below what its parent had."""
    return memory_mb(os.getpid(), "VmHWM") if has_proc() else 0.0


def work(folder: Path, name: str) -> None:
    """One piece of work, by its name in `WORKS`."""
    WORKS[name](folder)


def _open(folder: Path) -> BarColumns:
    return cached_bars(folder / DATASET, SYMBOL, TIMEFRAME)


def _open_and_read(folder: Path) -> float:
    found = _open(folder)
    return float(found.ts_open.sum() + sum(getattr(found, name).sum() for name in ("open", "high", "low", "close")))


def _open_anew(folder: Path) -> None:
    drop_cache(folder / DATASET)
    _open(folder)


def _import(folder: Path) -> None:
    dataset = Dataset(folder / DATASET)
    for path in dataset.folder.glob("*.gz"):
        path.unlink()
    _import_again(folder)


def _import_again(folder: Path) -> None:
    options = Options(symbol=SYMBOL, now_ns=time.time_ns())
    (made,) = import_file(Dataset(folder / DATASET), folder / CSV, options)
    assert made.rows == ROWS


def _read_csv(folder: Path) -> None:
    import pandas as pd

    assert len(pd.read_csv(folder / CSV)) == ROWS


WORKS: dict[str, Callable[[Path], Any]] = {
    "pandas.read_csv": _read_csv,
    "import": _import,
    "import, all there already": _import_again,
    "open from gz, cache made": _open_anew,
    "open from the cache": _open,
    "open from the cache, every value read": _open_and_read,
}


def _write_csv(path: Path) -> None:
    """A walk of prices in the columns of Binance's own files, the same each time."""
    random = np.random.default_rng(1)
    times = START // 1_000_000 + np.arange(ROWS) * 60_000
    close = np.round(60_000 + np.cumsum(random.normal(0, 5, ROWS)), 2)
    first = np.concatenate(([60_000.0], close[:-1]))
    high = np.round(np.maximum(first, close) + random.exponential(3, ROWS), 2)
    low = np.round(np.minimum(first, close) - random.exponential(3, ROWS), 2)
    volume = np.round(random.exponential(3, ROWS), 5)
    quote = np.round(volume * close, 4)
    columns = (
        times,
        first,
        high,
        low,
        close,
        volume,
        times + 59_999,
        quote,
        random.integers(1, 999, ROWS),
        volume,
        quote,
    )
    with path.open("w") as file:
        file.write(NAMES + "\n")
        for row in zip(*(column.tolist() for column in columns), strict=True):
            file.write(",".join(map(repr, row)) + ",0\n")
