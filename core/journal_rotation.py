"""A journal in files of one UTC day each, of a limited size.

The day is that of the sequencer's time in the lines, which never falls. A file is finished right before the first line
that does not belong into it: it is brought to the disk and renamed, then another begins with that line. So the one that
is being written normally has a line. A quiet journal keeps its file until its next line, however long that takes: only
a line proves that a day is over for the journal, and a file without any would be the sole effect of doing it sooner.

A process that dies in between leaves no file that is being written, or an empty one; the newest dated file then says
where the journal ends (`core.journal.last_lines`). What has a day in its name is never written again.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from core.codec import ts_of
from core.contracts.moments import DAY_NS, day_of
from core.errors import JournalError
from core.journal import NdjsonJournal, sync_folder
from core.journal_files import dated_name, files_of
from core.journal_lines import read_lines

MAX_BYTES = 100_000_000


class RotatingJournal:
    """The files of one journal, for their only writer.

    Attributes:
        rotations: how many files it has finished.
    """

    def __init__(self, directory: Path, name: str, *, max_bytes: int = MAX_BYTES) -> None:
        """
        Args:
            directory: where the files are; it and the one to be written are made if missing.
            name: of the journal, "ohlcv.1m.ATOMUSDT".
            max_bytes: most that a file may hold, unless a single line is longer.

        Raises:
            JournalError: the file cannot be opened for writing, or ends with what is no line.
        """
        self._directory, self._name, self._max_bytes = directory, name, max_bytes
        self._day_end = 0
        self._named = False
        self.rotations = 0
        self._file = NdjsonJournal(directory / f"{name}.ndjson")
        self._take_in(self.path.with_name(self.path.name + ".gz"))
        last = self._file.last_line()
        if last:
            self._begin(last)

    @property
    def path(self) -> Path:
        """The file that is being written."""
        return self._file.path

    def write_lines(self, lines: Sequence[bytes]) -> None:
        """Append sequenced lines, oldest first, each in one write; finish a file where one does not belong into it.

        Raises:
            JournalError: the disk or a limit refuses, or what should be written is no line.
        """
        if not lines:
            return
        if not self._file.size:
            self._begin(lines[0])
        if self._fits(lines[-1], sum(map(len, lines)) + len(lines)):  # time does not fall: all of them fit
            self._file.write_lines(lines)
            return
        for line in lines:
            if self._file.size and not self._fits(line, len(line) + 1):
                self._finish()
                self._begin(line)
            self._file.write_lines((line,))

    def _fits(self, line: bytes, size: int) -> bool:
        return self._time(line) < self._day_end and self._file.size + size <= self._max_bytes

    def _begin(self, line: bytes) -> None:
        self._day_end = (self._time(line) // DAY_NS + 1) * DAY_NS

    def _time(self, line: bytes) -> int:
        try:
            return ts_of(line)
        except ValueError:
            raise JournalError(f"journal {self.path} holds or gets what is no line: {line[:80]!r}") from None

    def _take_in(self, packed: Path) -> None:
        """What a person has compressed while nobody wrote it is finished; without a day it would be hidden by its heir.

        Where there are lines beside it, they are the same, and the plain ones count.
        """
        if self._file.size or not packed.exists():
            return
        for last in deque(read_lines(packed), maxlen=1):
            self._begin(last)
            self._date(packed, ".gz")

    def _finish(self) -> None:
        """Give the file its day's name; whatever happens in between, every line is in one file."""
        self.sync()
        self._date(self.path)
        self._file.close()
        self._file = NdjsonJournal(self.path)
        self._named = False
        self.rotations += 1

    def _date(self, path: Path, ending: str = "") -> None:
        day = day_of(self._day_end - 1)
        parts = [file.part for file in files_of(self._directory, self._name) if file.day == day]
        finished = self._directory / (dated_name(self._name, day, max(parts, default=-1) + 1) + ending)
        try:
            os.rename(path, finished)
            sync_folder(self._directory)  # the name must not go to another file before this one has its own
        except OSError as error:
            raise JournalError(f"journal {path} cannot become {finished.name}: {error}") from None

    def sync(self) -> None:
        """Wait until everything written is on the disk, the name of a new file included.

        Raises:
            JournalError: the disk refuses.
        """
        self._file.sync()
        if not self._named:
            try:
                sync_folder(self._directory)
            except OSError as error:
                raise JournalError(f"folder of journal {self.path} cannot be synced: {error}") from None
            self._named = True

    def close(self) -> None:
        """Close the file; closing twice does no harm."""
        self._file.close()
