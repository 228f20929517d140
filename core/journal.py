"""Append-only NDJSON files.

A journal is the archive of a topic: its lines are the bytes of the wire. One service writes it, anybody may read it.
Each line is one write; a line torn by a crash is cut off when the journal is opened again: the stream still holds it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from core.codec import seq_of
from core.errors import JournalError
from core.journal_files import JournalFile, files_of, grouped
from core.journal_lines import LineReader

TAIL_BYTES = 1 << 16
LOCK_NAME = ".journals.lock"
CELL_NOTE = "cell.id"


class NdjsonJournal:
    """A file that only grows, line by line.

    Attributes:
        path: the file.
        size: its bytes.
    """

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
            self.size = _cut_torn_line(self._fd)
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
                    os.ftruncate(self._fd, self.size)
                    raise OSError(f"only {written} of {len(data)} bytes were taken")
            except OSError as error:
                raise JournalError(f"journal {self.path} cannot be written: {error}") from None
            self.size += len(data)

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
        return _last_line(self._fd, self.size)

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


class LastLine(NamedTuple):
    """Where a journal ends.

    Attributes:
        file: the one that holds its newest line.
        line: that line, without its newline.
    """

    file: JournalFile
    line: bytes


def last_lines(directory: Path, journals: str = "*") -> list[LastLine]:
    """The newest whole line of every journal, without changing any; a journal without a line has none.

    It is in the file that is being written, or, where a process died in the middle of a rotation, in the newest of the
    others.

    Args:
        directory: where they are; one that is missing holds none.
        journals: name, or pattern of names with `*`.
    """
    if not directory.is_dir():
        return []
    named = grouped(directory.glob(f"{journals}.*"))
    found = (_last_of(files) for name, files in named.items() if fnmatchcase(name, journals))
    return [last for last in found if last is not None]


def _last_of(files: list[JournalFile]) -> LastLine | None:
    for file in reversed(files):
        try:
            line = _last_in(file)
        except FileNotFoundError:  # rotated or compressed since the folder was listed
            return _last_of(files_of(file.path.parent, file.journal))
        if line:
            return LastLine(file, line)
    return None


def _last_in(file: JournalFile) -> bytes:
    if file.compressed:
        with LineReader(file.path) as reader:
            return reader.last_line()
    with file.path.open("rb") as opened:
        return _last_line(opened.fileno(), _whole_size(opened.fileno(), opened.seek(0, os.SEEK_END)))


def is_line(line: bytes) -> bool:
    """Whether this is a sequenced line, as far as its beginning tells."""
    try:
        return line.startswith(b'{"_seq":') and seq_of(line) > 0
    except ValueError:
        return False


def noted_cell(directory: Path) -> str:
    """The cell that a folder's journals belong to; empty where nobody has noted it."""
    try:
        return (directory / CELL_NOTE).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def note_cell(directory: Path, cell_id: str) -> None:
    """Note the cell that a folder's journals belong to, whole or not at all.

    Raises:
        JournalError: the note cannot be written.
    """
    mine = directory / f"{CELL_NOTE}.{os.getpid()}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        mine.write_text(cell_id + "\n", "ascii")
        mine.replace(directory / CELL_NOTE)
    except OSError as error:
        raise JournalError(f"{directory / CELL_NOTE} cannot be written: {error}") from None


def sync_folder(directory: Path) -> None:
    """Bring the names in a folder to the disk: what was made, renamed or removed there stays so."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def folder_lock(directory: Path, *, wait: bool = True) -> Iterator[bool]:
    """Be the only one who replaces or removes finished files of a folder; gone with the process, whatever ends it.

    Writers of journals need it not: they only add, and only to files that nobody else touches.

    Args:
        directory: must exist.
        wait: for another process that holds it.

    Yields:
        Whether it is held; always so where it is waited for.
    """
    fd = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)
