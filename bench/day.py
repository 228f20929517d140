"""A day of the synthetic market at full speed through all services: rate, memory, and whether it can be repeated."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

from backtest import parity
from bench.figures import Outcome
from bench.lab import INSTANCES, PROFILE, Lab, cpu_s, has_proc, memory_mb, run
from bench.startup import INGEST
from core import codec, topics
from core.contracts import OHLCVBar, Watermark
from core.contracts.moments import DAY_NS
from core.journal_lines import journal_lines
from core.market.synthetic_market import START_NS
from core.sequencer.redis import RedisCell

LIMIT_S = 3_600.0
LOOK_S = 0.5
BARS = {"1m": 1440, "5m": 288, "15m": 96, "1h": 24}
"""Bars of one day; the first of each length begins with the session and is there too."""


def measure(folder: Path, rounds: int) -> Outcome:
    """One run; `rounds` does not matter."""
    outcome = Outcome()
    if not has_proc():
        outcome.skipped = "needs /proc"
        return outcome
    with Lab(folder, profile=PROFILE) as lab:
        lab.start_services()
        begun = time.perf_counter()
        source = lab.start(INGEST, "--symbol", "BTC/USDT", "--synthetic", "--speed", "max")
        run(_until_evening(lab))
        wall_s = time.perf_counter() - begun
        pids = {name: lab.processes[name].pid for name in (*INSTANCES, INGEST)} | {"server": lab.server.pid}
        used = {name: (cpu_s(pid), memory_mb(pid, "VmHWM")) for name, pid in pids.items()}
        source.terminate()
        source.wait(30)
        lines = run(_settle(lab))
        lab.terminate()
        outcome.add("wall time of a market day", wall_s, "s", note=f"{86_400 / wall_s:,.0f} times the market's speed")
        outcome.add("lines", lines, "", note=f"{lines / wall_s:,.0f} per second")
        for name, (cpu, peak) in used.items():
            outcome.add(f"{name}: CPU", cpu, "s", note=f"{100 * cpu / wall_s:.0f} % of a core")
            outcome.add(f"{name}: peak memory", peak, "MB", target="" if name == "server" else "<= 60")
        _bars(outcome, lab.journals)
        _repeat(outcome, lab.journals)
    return outcome


async def _until_evening(lab: Lab) -> None:
    """Until every service has come a day far."""
    deadline = time.perf_counter() + LIMIT_S
    async with lab.cell() as cell:
        market_ns = 0
        while market_ns < START_NS + DAY_NS and time.perf_counter() < deadline:
            await asyncio.sleep(LOOK_S)
            market_ns = await _market_ns(cell)


async def _market_ns(cell: RedisCell) -> int:
    lines = await cell.tail(topics.CLOCK_MARKET.name.format(symbol="BTC/USDT"), 1)
    return codec.decode(lines[0], Watermark).market_ns if lines else 0


async def _settle(lab: Lab) -> int:
    async with lab.cell() as cell:
        before = None
        while (now := ((await cell.meta()).seq, await cell.positions())) != before:
            before = now
            await asyncio.sleep(LOOK_S)
    return now[0]


def _bars(outcome: Outcome, journals: Path) -> None:
    """Every bar of the day, on its place."""
    for timeframe, expected in BARS.items():
        opened = Counter[int]()
        for _, _, line in journal_lines(journals, f"ohlcv.{timeframe}.BTCUSDT"):
            opened[codec.decode(line, OHLCVBar).ts_open] += 1
        found = sum(1 for place in opened if place < START_NS + DAY_NS)
        doubled = sum(count > 1 for count in opened.values())
        outcome.add(f"{timeframe} bars", found, "", target=f">= {expected}", note=f"of {expected}, {doubled} twice")


def _repeat(outcome: Outcome, journals: Path) -> None:
    begun = time.perf_counter()
    report = parity.check([journals])
    took = time.perf_counter() - begun
    outcome.add("parity: differences", report.differences, "", target="<= 0", note=f"{took:.0f} s")
