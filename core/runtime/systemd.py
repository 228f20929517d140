"""sd_notify: one datagram per message, to whoever systemd named in the environment."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping


class Notifier:
    """Tells systemd that the service is ready, alive, stopping; without systemd it says nothing."""

    def __init__(self, environ: Mapping[str, str], shells: int = 1) -> None:
        """
        Args:
            environ: NOTIFY_SOCKET and WATCHDOG_USEC are read from it.
            shells: how many must be ready before the process is.
        """
        self._awaited = shells
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        usec = environ.get("WATCHDOG_USEC", "")
        self._every_s = int(usec) / 3e6 if usec.isdigit() else 0.0
        self._due = 0.0

    def _say(self, text: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            try:
                sender.sendto(text.encode(), self._address)
            except OSError:
                self._address = ""  # nobody listens any more: being alive matters more than saying so

    def ready(self) -> None:
        """Recovered and live; called once by each shell."""
        self._awaited -= 1
        if self._awaited == 0:
            self._say("READY=1")

    def stopping(self) -> None:
        """On the way out."""
        self._say("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog, three times as often as it asks for."""
        if self._every_s and time.monotonic() >= self._due:
            self._due = time.monotonic() + self._every_s
            self._say("WATCHDOG=1")
