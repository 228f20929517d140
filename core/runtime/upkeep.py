"""Finished journal files are compressed while the system runs, and nobody notices.

In a thread that lets go of the interpreter while it works, rests four times as long as it has worked, and gives up
between two pieces of a quarter of a megabyte when the process leaves: one file at a time, by one process at a time. Its
priority is not lowered: a thread that waits for a processor while it holds the interpreter would stop everything else.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

import structlog

from core.errors import JournalError
from core.journal_compression import Stopped, compress, finished_files
from core.journal_files import LOG

log = structlog.get_logger()

LOOK_EVERY_S = 60.0
REST = 4.0


class Pace:
    """Rests between two pieces of work; made right before the first."""

    def __init__(self, rest: float = REST) -> None:
        """
        Args:
            rest: how many times as long as it has worked.
        """
        self._rest, self._stop = rest, threading.Event()
        self._since = time.monotonic()

    def __call__(self) -> bool:
        """Whether to go on, after a rest."""
        stopped = self._stop.wait(self._rest * (time.monotonic() - self._since))
        self._since = time.monotonic()
        return not stopped

    def stop(self) -> None:
        """End a rest, and the work behind it."""
        self._stop.set()


class Upkeep:
    """Compresses the files that one instance has finished."""

    def __init__(self, directory: Path, older_than_hours: float) -> None:
        """
        Args:
            directory: where they are.
            older_than_hours: how long they stay plain, for who wants to look at them.
        """
        self._directory, self._hours = directory, older_than_hours
        self._told: set[str] = set()

    async def run(self, journals: Callable[[], Collection[str]], every_s: float = LOOK_EVERY_S) -> None:
        """Look every so often, until this is canceled.

        Args:
            journals: names of those that are this instance's now; the log of all processes belongs to everybody.
            every_s: seconds between two looks.
        """
        while True:
            await asyncio.sleep(every_s)
            pace = Pace()
            try:
                await asyncio.to_thread(self.compress, frozenset(journals()), pace)
            finally:
                pace.stop()

    def compress(self, journals: frozenset[str], pace: Callable[[], bool]) -> None:
        """Compress what is due; what cannot be is told once and left alone: it is as good as it was."""
        try:
            due = finished_files(self._directory, older_than_hours=self._hours, now_ns=time.time_ns())
        except OSError as error:  # such as too many open files just now
            self._tell(f"{self._directory} cannot be listed: {error}")
            return
        for file in due:
            if file.journal not in journals and file.journal != LOG:
                continue
            try:
                compress(file.path, pause=pace, wait=False)
            except Stopped:
                return
            except JournalError as error:
                self._tell(str(error))

    def _tell(self, reason: str) -> None:
        if reason not in self._told:
            self._told.add(reason)
            log.error("journal_not_compressed", reason=reason)
