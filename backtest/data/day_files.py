"""Files that are there whole or not at all, and the one writer that a folder may have."""

from __future__ import annotations

import fcntl
import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import DataError

LEVEL = 6
"""Of the compression: what gzip itself does when nobody asks for more."""

_LOCK = ".lock"


def write_whole(path: Path, data: bytes) -> None:
    """Give a file this content: a crash at any moment leaves the old one or the new one, on the disk too.

    Raises:
        DataError: the disk or a permission refuses; the old file is as it was.
    """
    scratch = path.with_name(f".{path.name}.tmp")
    try:
        with scratch.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise DataError(f"{path} cannot be written: {error}") from None


def write_compressed(path: Path, data: bytes) -> None:
    """The same with the content compressed; equal contents give equal files.

    Raises:
        DataError: the disk or a permission refuses; the old file is as it was.
    """
    write_whole(path, gzip.compress(data, LEVEL, mtime=0))


def sync_folder(folder: Path) -> None:
    """Wait until the names of the files in a folder are on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Make the folder and write in it alone; a second writer waits for the first.

    Raises:
        DataError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error}") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
