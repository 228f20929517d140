"""A private installation in a folder: the shipped configuration, and real processes that a test starts and ends."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SERVICES = ("ohlcv_aggregator", "strategy_runner", "risk_engine", "paper_trader", "portfolio_manager")


class Installation:
    """A folder with config/ and var/, and the processes that a test has started in it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        shutil.copytree(ROOT / "config", folder / "config")
        self.processes: list[subprocess.Popen[str]] = []
        self.extra: dict[str, str] = {}

    @property
    def journals(self) -> Path:
        return self.folder / "var" / "log" / "njord"

    def environment(self, changes: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("NJORD", "REDIS", "NOTIFY"))}
        return {**kept, "REDIS_URL": self.url, **self.extra, **(changes or {})}

    def start(
        self, service: str, *arguments: str, env: Mapping[str, str] | None = None, file_limit: int | None = None
    ) -> subprocess.Popen[str]:
        """Start a daemon of this installation; it is ended with the test."""
        command = [sys.executable, "-m", f"apps.{service}", "--config-root", str(self.folder), *arguments]
        name = f"{service}-{len(self.processes)}"
        process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment(env), text=True,
            stdout=(self.folder / f"{name}.out").open("w"), stderr=(self.folder / f"{name}.err").open("w"),
            preexec_fn=None if file_limit is None else lambda: limit_files(file_limit),
        )  # fmt: skip
        process.args = name
        self.processes.append(process)
        return process

    def stderr(self, process: subprocess.Popen[str]) -> str:
        return (self.folder / f"{process.args!s}.err").read_text()

    def note(self, instance: str) -> dict[str, Any]:
        """What a running process has written about itself; empty if it runs not yet."""
        try:
            note: dict[str, Any] = json.loads((self.folder / "var" / "run" / f"{instance}.json").read_text())
        except (OSError, ValueError):
            return {}
        return note

    def health(self, instance: str) -> tuple[int, dict[str, Any]]:
        """The status and the body of its health endpoint; 0 if it does not answer."""
        note = self.note(instance)
        if not note:
            return 0, {}
        try:
            with urllib.request.urlopen(note["health"], timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except (OSError, ValueError):
            return 0, {}

    def live(self, *instances: str) -> Callable[[], bool]:
        """Whether all of these are live."""
        return lambda: all(self.health(instance)[0] == 200 for instance in instances)

    def lines(self, name: str) -> list[bytes]:
        """The whole lines of a journal."""
        path = self.journals / f"{name}.ndjson"
        return path.read_bytes().split(b"\n")[:-1] if path.exists() else []

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of the repository to its end."""
        return subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=self.environment(env), text=True, capture_output=True, timeout=60,
            check=False,
        )  # fmt: skip

    def stop(self, *processes: subprocess.Popen[str]) -> list[int]:
        """Ask processes to leave; their exit codes."""
        chosen = processes or tuple(process for process in self.processes if process.poll() is None)
        for process in chosen:
            process.send_signal(signal.SIGTERM)
        return [process.wait(10) for process in chosen]

    def close(self) -> None:
        """End whatever still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def limit_files(size: int) -> None:
    """No file may grow beyond this many bytes, and trying is an error instead of a signal."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def wait_for(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something holds, which it must."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError("it never came to hold")
        time.sleep(0.02)
