"""One process of the system: started in a group of its own, asked for its health, ended within its time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core import codec
from core.errors import CodecError

LEAVE_S = 5.0
ASK_S = 1.0
TAIL_BYTES = 8192


class Daemon:
    """A daemon as its parent sees it."""

    def __init__(self, instance: str, arguments: Sequence[str], run_dir: Path, environment: Mapping[str, str]) -> None:
        """
        Args:
            instance: "risk_engine.main"; the part before the dot is the app.
            arguments: its command line.
            run_dir: where it leaves its note, and where its output goes.
            environment: its environment.
        """
        self.instance = instance
        self.out = run_dir / f"{instance}.out"
        self.restarts: deque[float] = deque()
        self._command = [sys.executable, "-m", f"apps.{instance.partition('.')[0]}", *arguments]
        self._note = run_dir / f"{instance}.json"
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def started(self) -> bool:
        """Whether it was ever started."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Process id of the newest start, 0 before the first."""
        return self._process.pid if self._process else 0

    @property
    def code(self) -> int | None:
        """How it has ended: an exit code, or a signal as a negative number; None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def ended_by(self) -> str:
        """The signal that ended it, "SIGKILL"; empty for an exit of its own."""
        code = self.code or 0
        return signal.Signals(-code).name if code < 0 else ""

    def start(self) -> None:
        """Start it; what it says goes to its file, behind what it said before in this run."""
        mode = "ab" if self.started else "wb"
        self.out.parent.mkdir(parents=True, exist_ok=True)
        with self.out.open(mode) as out:
            # A session of its own: Ctrl-C reaches its parent alone, which ends everything in order.
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self._environment,
                start_new_session=True,
            )  # fmt: skip

    def restart(self) -> int:
        """Start it again; how often that was necessary in the last minute."""
        self.restarts.append(time.monotonic())
        self.start()
        return sum(self.restarts[-1] - at < 60 for at in self.restarts)

    def last_error(self) -> str:
        """The last line that it has said."""
        try:
            with self.out.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
                lines = file.read().decode("utf-8", "replace").split("\n")
        except OSError:
            return f"nothing, and {self.out} cannot be read"
        said = next((line.strip() for line in reversed(lines) if line.strip()), "nothing was said")
        return said.removeprefix(f"njord: {self.instance} stopped (exit {self.code}): ")

    async def health(self) -> dict[str, Any]:
        """What it says of itself; empty if it says nothing."""
        return await asyncio.to_thread(self._ask)

    def _ask(self) -> dict[str, Any]:
        try:
            note = codec.decode_json(self._note.read_bytes())
            if note["pid"] != self.pid:
                return {}  # the note of the one before
            address = urlsplit(note["health"])
            connection = HTTPConnection(address.hostname or "", address.port, timeout=ASK_S)
            try:
                connection.request("GET", address.path)
                report: dict[str, Any] = codec.decode_json(connection.getresponse().read())
            finally:
                connection.close()
        except (OSError, HTTPException, CodecError, KeyError, TypeError):
            return {}
        return report

    async def stop(self) -> bool:
        """Ask it to leave, and end it if it does not; whether it left by itself."""
        process = self._process
        if process is None or process.poll() is not None:
            return True
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, LEAVE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)
            return False
        return True
