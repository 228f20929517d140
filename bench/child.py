"""What one piece of work costs in a process of its own: CPU seconds and memory, without what it imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

from bench.lab import ROOT, has_proc, memory_mb

PEERS = ROOT / "var" / "bench" / "peers"
"""Where `make bench` puts the packages of bench/peers.txt, which nothing else here may find."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What it took.

    Attributes:
        wall_s: seconds on the wall.
        cpu_s: seconds of the processor.
        peak_mb: peak of resident memory over what the imports took; 0 where the system does not say.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float


def cost_of(module: str, name: str, folder: Path, imports: Sequence[str] = ()) -> Cost:
    """Run `WORKS[name](folder)` of a module.

    Args:
        module: where `WORKS` is.
        name: of the work.
        folder: where it finds and leaves files.
        imports: modules that it will need.
    """
    code = f"from bench.child import run; run({module!r}, {name!r}, {str(folder)!r}, {list(imports)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    return Cost(**json.loads(done.stdout))


def run(module: str, name: str, folder: str, imports: Sequence[str]) -> None:
    """In the process itself: do it and print what it cost."""
    sys.path.append(str(PEERS))
    for each in imports:
        import_module(each)
    work = import_module(module).WORKS[name]
    before = _peak_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    work(Path(folder))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    sys.stdout.write(json.dumps(asdict(Cost(wall, cpu, _peak_mb() - before))))


def _peak_mb() -> float:
    """The process's own peak; the one of `getrusage` is never below what its parent had."""
    return memory_mb(os.getpid(), "VmHWM") if has_proc() else 0.0
