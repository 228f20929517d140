"""One process per instance and host: an advisory lock on a file, gone with the process whatever ends it."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from core.errors import InstanceBusy, NjordError

TRIES = 5
TRY_EVERY_S = 0.02


def is_held(directory: Path, instance: str) -> bool:
    """Whether a process of this host holds an instance's lock."""
    try:
        fd = os.open(_path(directory, instance), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def _path(directory: Path, instance: str) -> Path:
    return directory / (instance.replace(":", ".") + ".lock")


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
        path = _path(directory, instance)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise NjordError(f"lock {path} cannot be made: {error}") from None
        if not self._take():
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise InstanceBusy(f"{instance} is already running here as process {holder}") from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)

    def _take(self) -> bool:
        """Try for a moment: somebody may be looking whether it is held."""
        for _ in range(TRIES):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(TRY_EVERY_S)
            else:
                return True
        return False

    def release(self) -> None:
        """Let go."""
        os.close(self._fd)
