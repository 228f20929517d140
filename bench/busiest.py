"""The busiest capture at 20x through the real processes: who falls behind, and what it costs."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

from backtest.journals import read_record
from bench.every_nth import STRATEGIES
from bench.figures import Outcome, percentile
from bench.lab import CAPTURES, INSTANCES, PROFILE, ROOT, Lab, cpu_s, has_proc, memory_mb, run
from bench.startup import INGEST
from core.codec import decode
from core.contracts import BookEvent, TickerEvent, TradeEvent

CAPTURE = CAPTURES / "binance_usdm" / "btcusdt_20240808.gz"
SPEED = 20.0
EVERY = 200
LOOK_S = 0.1
LIMIT_S = 120.0
ON_TIME_MS = 100.0
"""An ingest that ends no more than this behind its schedule has kept up."""

Timed = TradeEvent | BookEvent | TickerEvent
_TIMED: dict[str, type[Timed]] = {kind.__name__: kind for kind in (TradeEvent, BookEvent, TickerEvent)}


@dataclass(slots=True)
class Watched:
    """What was seen while the capture ran.

    Attributes:
        wall_s: from the start of the source to its end.
        settled_s: from there until every service has committed its last input.
        lags: most events between a service's committed position and the newest line; up to 500 or a second's
            worth are no lag, because a position without outputs is committed no oftener.
        cpu: CPU seconds by instance and of the server.
        peak: peak memory in MB, likewise.
    """

    wall_s: float = 0.0
    settled_s: float = 0.0
    lags: dict[str, int] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)


def measure(folder: Path, rounds: int) -> Outcome:
    """One run; `rounds` does not matter."""
    outcome = Outcome()
    if not CAPTURE.is_file():
        outcome.skipped = f"{CAPTURE.relative_to(ROOT.parent)} is not on this machine"
    elif not has_proc():
        outcome.skipped = "needs /proc"
    if outcome.skipped:
        return outcome
    with Lab(folder, profile=PROFILE, strategies=STRATEGIES.format(n=EVERY)) as lab:
        lab.start_services()
        watched = run(_watch(lab))
        lab.terminate()
        _report(outcome, watched, lab.journals)
    return outcome


async def _watch(lab: Lab) -> Watched:
    watched = Watched()
    started = {name: cpu_s(lab.processes[name].pid) for name in INSTANCES}
    pids = {name: lab.processes[name].pid for name in INSTANCES}
    async with lab.cell() as cell:
        begun = time.perf_counter()
        source = lab.start(INGEST, "--symbol", "BTC/USDT", "--capture", str(CAPTURE), "--speed", str(SPEED))
        pids |= {INGEST: source.pid, "server": lab.server.pid}
        started |= {INGEST: 0.0, "server": cpu_s(lab.server.pid)}
        while source.poll() is None and time.perf_counter() < begun + LIMIT_S:
            seq, places = (await cell.meta()).seq, await cell.positions()
            for name in INSTANCES:
                watched.lags[name] = max(watched.lags.get(name, 0), seq - places.get(name, seq))
            for name, pid in pids.items():  # while it lives: a process that has ended leaves no figures
                _use(watched, name, pid, started[name])
            await asyncio.sleep(LOOK_S)
        watched.wall_s = time.perf_counter() - begun
        await _settle(lab)
        watched.settled_s = time.perf_counter() - begun - watched.wall_s
    return watched


def _use(watched: Watched, name: str, pid: int, before: float) -> None:
    try:
        watched.cpu[name], peak = cpu_s(pid) - before, memory_mb(pid, "VmHWM")
    except OSError:
        return
    watched.peak[name] = peak or watched.peak.get(name, 0.0)


async def _settle(lab: Lab) -> None:
    """Wait until nothing moves any more."""
    async with lab.cell() as cell:
        before = None
        while (now := ((await cell.meta()).seq, await cell.positions())) != before:
            before = now
            await asyncio.sleep(LOOK_S)


def _report(outcome: Outcome, watched: Watched, journals: Path) -> None:
    lines, lags_ms = _schedule(journals)
    outcome.add("lines", lines, "", note=f"in {watched.wall_s:.1f} s")
    outcome.add("lines per second", lines / watched.wall_s, "1/s")
    outcome.add("ingest behind its schedule, p50", percentile(lags_ms, 0.5), "ms")
    outcome.add("ingest behind its schedule, p99", percentile(lags_ms, 0.99), "ms")
    outcome.add("ingest behind its schedule, most", max(lags_ms), "ms")
    last = percentile(lags_ms[-200:], 0.5)
    outcome.add("ingest behind its schedule, at the end", last, "ms", target=f"<= {ON_TIME_MS:g}")
    outcome.add("services settled after the end", watched.settled_s, "s")
    for name, lag in watched.lags.items():
        outcome.add(f"{name}: most behind", lag, "events")
    for name, used in watched.cpu.items():
        share = 100 * used / watched.wall_s
        outcome.add(f"{name}: CPU", used, "s", note=f"{share:.0f} % of a core")
    for name, peak in watched.peak.items():
        outcome.add(f"{name}: peak memory", peak, "MB", target="" if name == "server" else "<= 60")
    outcome.remarks.append(
        "schedule: receive times of the capture divided by the speed, from the first line; positions are committed "
        "every 500 inputs or once a second, so that much of a service's lag is none"
    )


def _schedule(journals: Path) -> tuple[int, list[float]]:
    """How many lines the session has, and how late each market event was published, ms behind the least late."""
    record = read_record([journals])
    late = []
    for line in record.lines:
        kind = _TIMED.get(line.header.type)
        if kind is not None:
            late.append(line.header.ts - decode(line.raw, kind).ts_recv_ns / SPEED)
    least = min(late)
    return len(record.lines), [(each - least) / 1e6 for each in late]
