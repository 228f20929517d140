"""How long each daemon takes from exec to "live", what that costs, and how much memory it then holds."""

from __future__ import annotations

import time
from pathlib import Path

from bench.figures import Outcome, median, spread
from bench.lab import INSTANCES, Lab, cpu_s, has_proc, memory_mb

INGEST = "md_ingest.BTCUSDT"
INGEST_ARGUMENTS = ("--symbol", "BTC/USDT", "--synthetic")
IDLE_S = 1.0


def measure(folder: Path, rounds: int) -> Outcome:
    """One daemon at a time on an empty installation, with the libraries' byte-code compiled."""
    outcome = Outcome()
    if not has_proc():
        outcome.skipped = "needs /proc"
        return outcome
    with Lab(folder) as lab:
        for instance in (*INSTANCES, INGEST):
            starts = [_start(lab, instance) for _ in range(max(2, rounds // 2))]
            took, cpu, resident = zip(*starts, strict=True)
            name = instance.partition(".")[0]
            outcome.add(f"{name}: exec to live", median(took), "s", note=spread(took))
            outcome.add(f"{name}: CPU until live", median(cpu), "s")
            outcome.add(f"{name}: memory after {IDLE_S:g} s", median(resident), "MB", target="<= 60")
    return outcome


def _start(lab: Lab, instance: str) -> tuple[float, float, float]:
    """Seconds until live, CPU seconds until then, resident MB a moment later."""
    begun = time.perf_counter()
    process = lab.start(instance, *(INGEST_ARGUMENTS if instance == INGEST else ()))
    lab.wait_until(lambda: lab.is_live(instance), f"{instance} is live")
    took, cpu = time.perf_counter() - begun, cpu_s(process.pid)
    time.sleep(IDLE_S)
    resident = memory_mb(process.pid)
    process.terminate()
    process.wait(30)
    return took, cpu, resident
