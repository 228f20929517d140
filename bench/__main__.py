"""Measure how fast the system is on this machine, and print it as one table.

Everything runs on a private server in a temporary folder. What can be compared is measured in the same run, side by
side in interleaved rounds: other work on the machine moves both, so trust the ratios more than the values. A target
that is missed is marked; it does not change the exit code.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import (
    bars,
    busiest,
    commit,
    day,
    feeds,
    history,
    journal,
    parity,
    reader,
    recovery,
    replay,
    startup,
    tick_to_fill,
)
from bench.figures import Outcome, table
from bench.lab import ROOT
from core.embedded import find_server
from core.errors import NjordError

MEASUREMENTS: dict[str, Callable[[Path, int], Outcome]] = {
    "commit": commit.measure,
    "tick_to_fill": tick_to_fill.measure,
    "busiest": busiest.measure,
    "startup": startup.measure,
    "recovery": recovery.measure,
    "journal": journal.measure,
    "parity": parity.measure,
    "bars": bars.measure,
    "feeds": feeds.measure,
    "history": history.measure,
    "reader": reader.measure,
    "replay": replay.measure,
    "day": day.measure,
}
LONG = {"day"}
"""Made only when they are asked for by name."""

ROUNDS = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Make the measurements that the command line names; the exit code."""
    args = _parser().parse_args(argv)
    outcomes: dict[str, Outcome] = {}
    failed = False
    for name in args.only or [name for name in MEASUREMENTS if name not in LONG]:
        begun = time.perf_counter()
        print(f"{name} ...", file=sys.stderr, end=" ", flush=True)
        try:
            outcomes[name] = _measure(name, args.rounds)
        except (NjordError, OSError, TimeoutError) as error:
            outcomes[name] = Outcome(skipped=f"failed: {type(error).__name__}: {error}")
            failed = True
        print(f"{time.perf_counter() - begun:.0f} s", file=sys.stderr)
    machine = _machine()
    print(", ".join(f"{key}: {value}" for key, value in machine.items()))
    print(table(outcomes))
    if args.json is not None:
        measured = {name: outcome.to_dict() for name, outcome in outcomes.items()}
        args.json.write_text(json.dumps({"machine": machine, "measurements": measured}, indent=1) + "\n")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    made.add_argument(
        "--only", action="append", choices=MEASUREMENTS, metavar="NAME",
        help=f"make only this measurement; repeatable: {', '.join(MEASUREMENTS)}; only so: {', '.join(LONG)}",
    )  # fmt: skip
    made.add_argument("--rounds", type=_count, default=ROUNDS, help=f"interleaved rounds (default: {ROUNDS})")
    made.add_argument("--json", type=Path, metavar="FILE", help="also write everything as JSON")
    return made


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: a whole number from 1")
    return int(text)


def _measure(name: str, rounds: int) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="njord-bench-") as folder:
        return MEASUREMENTS[name](Path(folder), rounds)


def _machine() -> dict[str, Any]:
    load = os.getloadavg()[0]
    server = find_server()
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(load, 1),
        "python": platform.python_version(),
        "server": server.relative_to(ROOT).name if server.is_relative_to(ROOT) else str(server),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main())
