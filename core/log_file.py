"""The file that all processes write their log to, and that the first line of a day finds renamed or renames.

`app.ndjson` becomes `app.20250930.ndjson` with the first line that any process writes after that day. The others see at
their next line that the name belongs to another file now, and follow. A line may still come into a file just behind
its renaming; so each is written under a shared lock, and what compresses a file takes it for itself alone.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from core.journal_files import LOG, dated_name, parse

TRIES = 8


class LogFile:
    """A structlog logger: each message is a line, written in one piece."""

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        """
        Args:
            folder: must exist.
            clock: the time, in UTC.

        Raises:
            OSError: the file cannot be opened.
        """
        self._path, self._clock = folder / f"{LOG}.ndjson", clock
        self._mutex = threading.Lock()
        self._fd = -1
        self._open()

    def msg(self, line: bytes) -> None:
        """Append a line; a full disk must not stop trading, and journals, unlike this file, do report it."""
        with self._mutex:
            locked = False
            with suppress(OSError):  # the file that is open still takes the line
                locked = self._take()
            with suppress(OSError):
                os.write(self._fd, line)
            if locked:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    debug = info = warning = error = critical = exception = msg

    def _take(self) -> bool:
        """Have today's file open and hold it; never waits, since a log is worth no delay."""
        for _ in range(TRIES):
            if not self._is_named():
                self._open()
            if self._clock().strftime("%Y%m%d") > self._day:
                self._rename()
            elif self._lock(fcntl.LOCK_SH):
                if self._is_named():
                    return True
                self._lock(fcntl.LOCK_UN)
        return False

    def _open(self) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        status, now = os.fstat(fd), self._clock()
        written = datetime.fromtimestamp(status.st_mtime, UTC) if status.st_size else now
        self._day = min(written, now).strftime("%Y%m%d")

    def _is_named(self) -> bool:
        """Whether the open file still has its name."""
        try:
            named = os.stat(self._path)
        except FileNotFoundError:
            return False
        return os.path.samestat(named, os.fstat(self._fd))

    def _lock(self, how: int) -> bool:
        try:
            fcntl.flock(self._fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _rename(self) -> None:
        """Give the file the day of its lines, unless another process has done so; the next round opens a new one."""
        if not self._lock(fcntl.LOCK_EX):
            return
        try:
            if self._is_named():
                found = filter(None, map(parse, self._path.parent.glob(f"{LOG}.*")))
                parts = [file.part for file in found if (file.journal, file.day) == (LOG, self._day)]
                name = dated_name(LOG, self._day, max(parts, default=-1) + 1)
                os.rename(self._path, self._path.with_name(name))
        finally:
            self._lock(fcntl.LOCK_UN)
