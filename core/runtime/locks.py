"""One process per instance and host: an advisory lock on a file, gone with the process whatever ends it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from core.errors import InstanceBusy, NjordError


class InstanceLock:
    """A held lock; keep the object as long as the lock is needed."""

    def __init__(self, directory: Path, instance: str) -> None:
        """
        Args:
            directory: where the lock files are.
            instance: whose lock.

        Raises:
            InstanceBusy: another process of this host holds it; its pid is named.
            NjordError: the file cannot be made.
        """
        path = directory / (instance.replace(":", ".") + ".lock")
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise NjordError(f"lock {path} cannot be made: {error}") from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise InstanceBusy(f"{instance} is already running here as process {holder}") from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Let go."""
        os.close(self._fd)
