"""A month of recorded minutes at full speed: what a replay publishes alone, and what the services take of it."""

from __future__ import annotations

import re
import time
from functools import partial
from pathlib import Path

from bench.figures import Outcome, median, spread
from bench.lab import ROOT, Lab, cpu_s, has_proc
from core import topics
from core.errors import NjordError

DATA = ROOT.parent / "shared" / "data" / "ohlcv" / "synthetic_1m_ATOMUSDT"
SERVICES = ("strategy_runner.main", "risk_engine.main", "paper_trader.main", "portfolio_manager.main")
RANGE = ("--start", "2025-01-01", "--end", "2025-01-31")
LINES = 2 * 31 * 1440
"""A bar and its watermark for each minute."""

STRATEGIES = """\
strategies:
  - id: momentum
    class: strategies.samples.momentum.Momentum
    symbols: ["ATOM/USDT"]
    events: ["md.ohlcv.1m.*"]
"""
_SUMMARY = re.compile(rb"([\d,]+) lines in ([\d.]+) s")


def measure(folder: Path, rounds: int) -> Outcome:
    """Interleaved rounds, each on a server of its own."""
    outcome = Outcome()
    if not DATA.is_dir() or not has_proc():
        outcome.skipped = "needs ../shared/data and /proc"
        return outcome
    rates: dict[str, list[float]] = {"alone": [], "with four services": []}
    used: dict[str, list[float]] = {name: [] for name in ("server", *SERVICES)}
    for number in range(rounds):
        rates["alone"].append(_replay(folder / f"alone-{number}", (), {}))
        rates["with four services"].append(_replay(folder / f"heard-{number}", SERVICES, used))
    for name, values in rates.items():
        outcome.add(f"lines, {name}", median(values), "1/s", note=spread(values))
    alone, heard = (median(values) for values in rates.values())
    outcome.add("with services", heard, "1/s", ratio=heard / alone, against="alone")
    for name, seconds in used.items():
        outcome.add(f"{name}: CPU", median(seconds), "s", note="over the month")
    outcome.remarks.append(f"{LINES:,} lines: {LINES // 2:,} bars of a minute, each with its watermark")
    return outcome


def _replay(folder: Path, instances: tuple[str, ...], used: dict[str, list[float]]) -> float:
    """One replay; lines per second, by its own summary.

    Raises:
        NjordError: it has not published the whole month.
    """
    with Lab(folder, strategies=STRATEGIES) as lab:
        for instance in instances:
            lab.start(instance)
        for instance in instances:
            lab.wait_until(partial(lab.is_live, instance), f"{instance} is live")
        pids = {name: lab.server.pid if name == "server" else lab.processes[name].pid for name in used}
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        what = ("--symbol", "ATOM/USDT", *RANGE, "--from", str(DATA), "--speed", "max")
        replay = lab.start(topics.REPLAY_BARS, *what)
        while replay.poll() is None:
            time.sleep(0.05)
        for name, pid in pids.items():
            used[name].append(cpu_s(pid) - before[name])
        found = _SUMMARY.search((folder / "out.log").read_bytes())
        if found is None or int(found[1].replace(b",", b"")) != LINES:
            raise NjordError(f"the replay has not published {LINES:,} lines: {(folder / 'out.log').read_text()[-500:]}")
        return LINES / float(found[2])
