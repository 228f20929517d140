"""A folder with the shipped configuration and one `make run` at a time in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from backtest import parity

ROOT = Path(__file__).resolve().parents[1]
WAIT_S = 60.0
PARAMS = "params: {fast: 5, slow: 20, qty: 0.001}"
QUICK = f"strategies:\n  sma_cross_v1:\n    {PARAMS}\n"


class Home:
    """A folder with the shipped configuration, a demo profile of its own, and one run at a time in it."""

    def __init__(self, folder: Path, demo: str = QUICK) -> None:
        shutil.copytree(ROOT / "config", folder / "config")
        (folder / "config" / "demo.yaml").write_text(demo)
        self.folder = folder
        self.journals = folder / "var" / "log" / "njord"
        self.process: subprocess.Popen[str] | None = None

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a run."""
        kept = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "NJORD__REDIS__URL")}
        command = [sys.executable, "-m", "apps.run", "--plain", "--config-root", str(self.folder), *arguments]
        out = (self.folder / "out.txt").open("w")
        self.process = subprocess.Popen(command, cwd=ROOT, env=kept, stdout=out, stderr=out, text=True)
        return self.process

    def end(self) -> int:
        """Wait for the end of the run; its exit code."""
        assert self.process is not None
        return self.process.wait(WAIT_S)

    @property
    def said(self) -> str:
        """What the run has said so far."""
        return (self.folder / "out.txt").read_text()

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; a run that ends before is shown."""
        assert self.process is not None
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def lines(self, journal: str) -> int:
        """Lines of a journal."""
        path = self.journals / f"{journal}.ndjson"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def note(self) -> dict[str, object]:
        """What the run has noted of itself."""
        found: dict[str, object] = json.loads((self.folder / "var" / "state" / "run.json").read_text())
        return found

    def figure(self, pattern: str) -> tuple[int, ...]:
        """Numbers in the summary."""
        found = re.search(pattern, self.said)
        assert found, self.said
        return tuple(int(group.replace(",", "")) for group in found.groups())

    def parity(self) -> parity.Report:
        """The proof that the journals can be executed again."""
        return parity.check([self.journals])

    def close(self) -> None:
        """Leave no process behind, also after a failed test."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(WAIT_S)
