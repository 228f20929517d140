"""Append-only NDJSON files.

A journal is the archive of a topic: its lines are the bytes of the wire. One service writes it, anybody may read it.
Each line is one write; a line torn by a crash is cut off when the journal is opened again: the stream still holds it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from core.codec import seq_of
from core.errors import JournalError

TAIL_BYTES = 1 << 16


class NdjsonJournal:
    """A file that only grows, line by line."""

    def __init__(self, path: str | Path) -> None:
        """
        Args:
            path: the file; it and its directory are made if missing, a torn last line is cut off.

        Raises:
            JournalError: it cannot be opened for writing.
        """
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            self._size = _cut_torn_line(self._fd)
        except OSError as error:
            raise JournalError(f"journal {self.path} cannot be opened: {error}") from None

    def write_lines(self, lines: Iterable[str | bytes]) -> None:
        """Append lines, each followed by a newline, each in one write: readers see them at once.

        Raises:
            JournalError: the disk or a limit refuses; what was written of the line is taken back.
        """
        for line in lines:
            data = (line.encode() if isinstance(line, str) else line) + b"\n"
            try:
                written = os.write(self._fd, data)
                if written != len(data):
                    os.ftruncate(self._fd, self._size)
                    raise OSError(f"only {written} of {len(data)} bytes were taken")
            except OSError as error:
                raise JournalError(f"journal {self.path} cannot be written: {error}") from None
            self._size += len(data)

    def sync(self) -> None:
        """Wait until everything written is on the disk.

        Raises:
            JournalError: the disk refuses.
        """
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise JournalError(f"journal {self.path} cannot be synced: {error}") from None

    def last_line(self) -> bytes:
        """The newest line without its newline; empty if there is none."""
        return _last_line(self._fd, self._size)

    def close(self) -> None:
        """Close the file; closing twice does no harm."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _cut_torn_line(fd: int) -> int:
    """Cut a last line without newline; the size that remains."""
    size = os.fstat(fd).st_size
    whole = _whole_size(fd, size)
    if whole != size:
        os.ftruncate(fd, whole)
    return whole


def _whole_size(fd: int, size: int) -> int:
    """Where the last whole line ends."""
    end = size
    while end > 0:
        start = max(0, end - TAIL_BYTES)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _last_line(fd: int, size: int) -> bytes:
    reach = TAIL_BYTES
    while size:
        start = max(0, size - reach)
        lines = os.pread(fd, size - start, start)[:-1].rsplit(b"\n", 1)
        if len(lines) == 2 or start == 0:
            return lines[-1]
        reach *= 4
    return b""


def last_lines(directory: Path, pattern: str) -> dict[Path, bytes]:
    """The newest whole line of every journal that matches, without changing any."""
    found: dict[Path, bytes] = {}
    for path in sorted(directory.glob(pattern)):
        with path.open("rb") as file:
            whole = _whole_size(file.fileno(), file.seek(0, os.SEEK_END))
            line = _last_line(file.fileno(), whole)
        if line:
            found[path] = line
    return found


def read_lines(path: Path) -> Iterator[bytes]:
    """The whole lines of a journal, oldest first; a torn last line is left out."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]


def is_line(line: bytes) -> bool:
    """Whether this is a sequenced line, as far as its beginning tells."""
    try:
        return line.startswith(b'{"_seq":') and seq_of(line) > 0
    except ValueError:
        return False
