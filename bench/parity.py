"""Lines per second of the re-execution of a recorded session."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from backtest.journals import read_record
from backtest.parity import check
from bench.every_nth import STRATEGIES
from bench.figures import Outcome, median, spread
from bench.lab import PROFILE, Lab
from bench.startup import INGEST, INGEST_ARGUMENTS

RECORD_S = 6.0
EVERY = 20
SPEED = "200"


def measure(folder: Path, rounds: int) -> Outcome:
    """Record a synthetic market with orders through the real processes, then execute it again."""
    with Lab(folder, profile=PROFILE, strategies=STRATEGIES.format(n=EVERY)) as lab:
        lab.start_services()
        lab.start(INGEST, *INGEST_ARGUMENTS, "--speed", SPEED)
        time.sleep(RECORD_S)
        lab.terminate()
        journals = lab.journals
    outcome = Outcome()
    report = check([journals])
    if not report.ok:
        outcome.remarks.append(f"the session is not reproduced: {report.cause}: {report.explanation}")
    reads, checks = [], []
    for _ in range(max(2, rounds // 2)):
        reads.append(report.lines / _seconds(lambda: read_record([journals])))
        checks.append(report.lines / _seconds(lambda: check([journals])))
    ratios = [mine / plain for mine, plain in zip(checks, reads, strict=True)]
    outcome.add("journals read and checked", median(reads), "1/s", note=spread(reads))
    outcome.add(
        "parity, all of it", median(checks), "1/s", ratio=median(ratios), against="reading", note=spread(checks)
    )
    outcome.add("lines of the session", report.lines, "")
    outcome.add("outputs and memories compared", report.compared, "", note=f"{report.differences} differ")
    return outcome


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
