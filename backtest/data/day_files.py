"""Files that are there whole or not at all, and the one writer that a folder may have."""

from __future__ import annotations

import fcntl
import gzip
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from core.errors import DataError

LEVEL = 6
"""Of the compression: what gzip itself does when nobody asks for more."""

TOGETHER = 64
"""How many files are brought to the disk at a time."""

_LOCK = ".lock"


def write_whole(path: Path, data: bytes) -> None:
    """Give a file this content: a crash at any moment leaves the old one or the new one, on the disk too.

    Raises:
        DataError: the disk or a permission refuses; the old file is as it was.
    """
    _replace_all([(path, data)])


def write_compressed(contents: Iterable[tuple[Path, bytes]]) -> None:
    """Give files these contents, compressed; equal contents give equal files.

    A crash at any moment leaves of each the old one or the new one. Several are brought to the disk together, which
    costs a small part of doing it one by one.

    Raises:
        DataError: the disk or a permission refuses; some files are as they were, the others as they should be.
    """
    every = iter(contents)
    while some := list(islice(every, TOGETHER)):
        _replace_all([(path, gzip.compress(data, LEVEL, mtime=0)) for path, data in some])


def _replace_all(contents: list[tuple[Path, bytes]]) -> None:
    scratches = [path.with_name(f".{path.name}.tmp") for path, _ in contents]
    try:
        for scratch, (_, data) in zip(scratches, contents, strict=True):
            scratch.write_bytes(data)
        for scratch in scratches:
            _sync(scratch, os.O_RDONLY)
        for scratch, (path, _) in zip(scratches, contents, strict=True):
            scratch.replace(path)
        for folder in {path.parent for path, _ in contents}:
            _sync(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        for scratch in scratches:
            scratch.unlink(missing_ok=True)
        raise DataError(f"{contents[0][0].parent} cannot be written: {error}") from None


def _sync(path: Path, flags: int) -> None:
    fd = os.open(path, flags | os.O_CLOEXEC)
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
