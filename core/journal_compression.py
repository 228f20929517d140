"""Finished journal files as gzip, bit for bit.

Only files with a day in their name are compressed: a writer never opens one again, while the name without a day is
always the one that may be being written. The plain file is removed after what was written beside it has been read back
and is the same; whatever dies in between, the plain file or a whole compressed one is there, or both, which are the
same. Of the log of all processes a late writer may still hold a finished file for one more line: it holds a lock while
it writes, and the file waits for it.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, NamedTuple, cast

from core.errors import JournalError
from core.journal import folder_lock, sync_folder
from core.journal_files import JournalFile, parse

LEVEL = 6
CHUNK = 1 << 18
HOUR_NS = 3_600_000_000_000

Pause = Callable[[], bool]
"""Called between two pieces of work; may sleep. False ends the work where it is, without a trace."""


class Compressed(NamedTuple):
    """What became of one file.

    Attributes:
        path: the compressed one.
        before: bytes of the plain one.
        after: bytes of the compressed one.
    """

    path: Path
    before: int
    after: int


class Stopped(Exception):
    """The work was given up on demand."""


def finished_files(directory: Path, *, older_than_hours: float, now_ns: int) -> list[JournalFile]:
    """Plain files that may be compressed: finished, and not written for so long; oldest first.

    Args:
        directory: where they are; one that is missing holds none.
        older_than_hours: since the last write to it.
        now_ns: the time, ns UTC.
    """
    if not directory.is_dir():
        return []
    latest = now_ns - int(older_than_hours * HOUR_NS)
    found = []
    for path in directory.iterdir():
        file = parse(path)
        if file is not None and not file.active and not file.compressed and _written_ns(path) <= latest:
            found.append(file)
    return sorted(found, key=lambda file: (*file.age, file.journal))


def _written_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # another process was faster
        return 1 << 63


def compress(path: Path, *, pause: Pause = lambda: True, wait: bool = True) -> Compressed | None:
    """Replace a finished file by its compressed form beside it.

    Args:
        path: a plain file with a day in its name.
        pause: called before every piece.
        wait: for another process that works in this folder.

    Returns:
        What became of it; None where there is nothing to do: it is gone, in use, or another process works there.

    Raises:
        JournalError: it is no finished plain file; there is a compressed one with other content; the disk refuses.
        Stopped: `pause` said so.
    """
    file = parse(path)
    if file is None or file.active or file.compressed:
        raise JournalError(f"{path} cannot be compressed; allowed: a plain file with a day in its name")
    try:
        with folder_lock(path.parent, wait=wait) as held:
            return _replace(path, pause) if held and path.exists() else None
    except (OSError, EOFError, zlib.error) as error:
        raise JournalError(f"{path} cannot be compressed: {error}") from None


def _replace(path: Path, pause: Pause) -> Compressed | None:
    with path.open("rb") as plain:
        try:
            fcntl.flock(plain.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None  # a process is about to write a line of the log
        before = os.fstat(plain.fileno())
        target = path.with_name(path.name + ".gz")
        if not target.exists():
            with hidden(target) as beside:
                _compress_to(beside, plain, pause)
                os.utime(beside, ns=(before.st_mtime_ns, before.st_mtime_ns))
                if os.fstat(plain.fileno()).st_mtime_ns != before.st_mtime_ns:
                    raise JournalError(f"{path} is being written although it is finished: nothing was changed")
                os.rename(beside, target)
        else:  # an earlier run died before it could remove the plain one
            require_same(path, target, pause)
        sync_folder(path.parent)
        done = Compressed(target, before.st_size, target.stat().st_size)
        path.unlink()
        sync_folder(path.parent)
        return done


@contextmanager
def hidden(target: Path) -> Iterator[Path]:
    """A name beside a file for what will become it, which no reader looks at; what is left under it is removed."""
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    try:
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def _compress_to(path: Path, plain: IO[bytes], pause: Pause) -> None:
    """Write a file's compressed form and prove that it is; without name and time, so it is the same every time."""
    digest = sha256()
    with path.open("wb") as out:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=out, mtime=0) as packed:
            for chunk in _chunks(plain, pause):
                digest.update(chunk)
                packed.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    if digest_of(path, pause) != digest.digest():
        raise JournalError(f"{path} does not hold what was written to it: nothing was changed")


def _chunks(file: IO[bytes], pause: Pause) -> Iterator[bytes]:
    """The content of a file.

    Raises:
        Stopped: `pause` said so.
    """
    while chunk := file.read(CHUNK):
        if not pause():
            raise Stopped
        yield chunk


def require_same(path: Path, other: Path, pause: Pause = lambda: True) -> None:
    """Two files of one content, each plain or compressed, after what died between making one and removing the other.

    Raises:
        JournalError: they differ, or one cannot be read; both are named, and both are left as they are.
    """
    try:
        same = digest_of(path, pause) == digest_of(other, pause)
        problem = "differ"
    except (OSError, EOFError, zlib.error) as error:
        same, problem = False, f"cannot be compared ({error})"
    if not same:
        raise JournalError(f"{path} and {other} {problem}: look at both and remove the wrong one")


def digest_of(path: Path, pause: Pause = lambda: True) -> bytes:
    """SHA-256 of a file's content, uncompressed.

    Raises:
        OSError, EOFError, zlib.error: it cannot be read, or is no whole gzip file.
    """
    digest = sha256()
    packed = path.name.removesuffix(".new").endswith(".gz")
    with gzip.open(path, "rb") if packed else path.open("rb") as file:
        for chunk in _chunks(cast(IO[bytes], file), pause):
            digest.update(chunk)
    return digest.digest()
