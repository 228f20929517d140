"""Files that are there whole or not at all, and the one writer that a folder may have."""

from __future__ import annotations

import fcntl
import gzip
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from core.errors import DataError

LEVEL = 6
"""Of the compression: what gzip itself does when nobody asks for more."""

TOGETHER = 64
"""How many files are made before the next ones are begun: it bounds the memory."""

THREADS = 8
"""They wait for the disk; a disk brings many files down in the time of one."""

_LOCK = ".lock"


def write_whole(path: Path, data: bytes) -> None:
    """Give a file this content: a crash at any moment leaves the old one or the new one, on the disk too.

    Raises:
        DataError: the disk or a permission refuses; the old file is as it was.
    """
    try:
        _scratch(path, data).replace(path)
        _sync(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error}") from None


def write_compressed(contents: Iterable[tuple[Path, bytes]]) -> None:
    """Give files these contents, compressed; equal contents give equal files.

    A crash at any moment leaves of each the old one or the new one. Several are compressed and brought to the disk at
    once, which costs a small part of the time that it takes one by one.

    Raises:
        DataError: the disk or a permission refuses; some files are as they were, the others as they should be.
    """
    every = iter(contents)
    with ThreadPoolExecutor(THREADS) as threads:
        while some := list(islice(every, TOGETHER)):
            try:
                for scratch, (path, _) in zip(threads.map(_compressed, some), some, strict=True):
                    scratch.replace(path)
                for folder in {path.parent for path, _ in some}:
                    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)
            except OSError as error:
                raise DataError(f"{some[0][0].parent} cannot be written: {error}") from None


def remove(paths: Iterable[Path]) -> None:
    """Take files away that are needed no more.

    Raises:
        DataError: a permission refuses; some may be gone.
    """
    folders = set()
    try:
        for path in paths:
            path.unlink(missing_ok=True)
            folders.add(path.parent)
        for folder in folders:
            _sync(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise DataError(f"a file that is needed no more cannot be removed: {error}") from None


def _compressed(content: tuple[Path, bytes]) -> Path:
    path, data = content
    return _scratch(path, gzip.compress(data, LEVEL, mtime=0))


def _scratch(path: Path, data: bytes) -> Path:
    """The content beside the file that it is for, on the disk; what an interrupted write has left is written over."""
    scratch = path.with_name(f".{path.name}.tmp")
    try:
        scratch.write_bytes(data)
        _sync(scratch, os.O_RDONLY)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise
    return scratch


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
