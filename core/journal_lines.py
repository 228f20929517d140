"""Whole lines of journal files, plain or gzip, read in blocks: memory stays the same however long a file is.

A last line without its newline is torn: a crash cut it, or it is being written just now. It is left out, and told to
whoever asks. A gzip stream that breaks off is torn behind its last whole line; one with wrong content is an error.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterator
from io import SEEK_END, FileIO
from itertools import islice
from os import fstat
from pathlib import Path

from core.errors import JournalError
from core.journal_files import files_of

BLOCK_BYTES = 1 << 20
"""Most bytes that are read at once, from a disk or out of a gzip stream."""

PEEK_BYTES = 1 << 12
"""Read at first of a file of which one line is wanted."""

_GZIP = zlib.MAX_WBITS | 16

Torn = Callable[[Path, int, bytes], None]
"""Hears of a torn line: the file, the number of the line from 1, and what is there of it."""


class LineReader:
    """One file, opened for reading; it stays the same file when it is renamed meanwhile.

    Attributes:
        path: the file; its compressed form where the plain one has just been replaced by that.
        compressed: whether it is gzip.
        rest: after the last block: what is there of a torn line.
        torn: after the last block: whether the last line is torn.
    """

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: a plain file, or one that ends with ".gz".

        Raises:
            FileNotFoundError: it is neither there as named nor compressed.
            JournalError: it cannot be opened.
        """
        self.rest = b""
        self.torn = False
        self.path, self._file = _open(path)
        self.compressed = self.path.name.endswith(".gz")

    def __enter__(self) -> LineReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; closing twice does no harm."""
        self._file.close()

    def blocks(self, size: int = BLOCK_BYTES) -> Iterator[bytes]:
        """Whole lines with their newlines, from the oldest on, as many at once as are in about `size` bytes.

        Raises:
            JournalError: the file cannot be read, or its gzip stream is damaged.
        """
        parts: list[bytes] = []
        self.rest, self.torn = b"", False
        try:
            self._file.seek(0)
            for chunk in self._chunks(size):
                end = chunk.rfind(b"\n") + 1
                if end:
                    yield b"".join([*parts, chunk[:end]])
                    parts.clear()
                parts.append(chunk[end:])
        except EOFError:
            self.torn = True
        except (OSError, zlib.error) as error:
            raise JournalError(f"journal {self.path} cannot be read: {error}") from None
        self.rest = b"".join(parts)
        self.torn = self.torn or self.rest != b""

    def lines(self) -> Iterator[list[bytes]]:
        """The lines of each block, without newlines.

        Raises:
            JournalError: as `blocks`.
        """
        for block in self.blocks():
            lines = block.split(b"\n")
            lines.pop()
            yield lines

    def first_line(self) -> bytes:
        """The oldest whole line that is not blank; empty if there is none. An iteration that runs is over.

        Raises:
            JournalError: as `blocks`.
        """
        written = (lines for block in self.blocks(PEEK_BYTES) if (lines := block.strip()))
        return next(written, b"").partition(b"\n")[0]

    def last_line(self) -> bytes:
        """The newest whole line that is not blank; empty if there is none. An iteration that runs is over.

        Of a compressed file everything is read for it.

        Raises:
            JournalError: as `blocks`.
        """
        if self.compressed:
            written = (lines for block in self.blocks() if (lines := block.strip()))
            return next(iter(deque(written, maxlen=1)), b"").rpartition(b"\n")[2]
        size, reach = self._file.seek(0, SEEK_END), PEEK_BYTES
        while True:
            self._file.seek(max(0, size - reach))
            lines = self._file.read(reach).rpartition(b"\n")[0].strip()
            if b"\n" in lines or reach >= size:
                return lines.rpartition(b"\n")[2]
            reach *= 8

    def version(self) -> tuple[int, int]:
        """Size and time of the last change: another content has another one of these."""
        status = fstat(self._file.fileno())
        return status.st_size, status.st_mtime_ns

    def count_lines(self, blocks: int, size: int = BLOCK_BYTES) -> int:
        """How many lines the first `blocks` blocks of that size hold; an iteration that runs is over.

        Raises:
            JournalError: as `blocks`.
        """
        return sum(block.count(b"\n") for block in islice(self.blocks(size), blocks))

    def _chunks(self, size: int) -> Iterator[bytes]:
        if self.compressed:
            yield from _inflated(self._file, size)
            return
        while chunk := self._file.read(size):
            yield chunk


def read_lines(path: Path, torn: Torn | None = None) -> Iterator[bytes]:
    """The whole lines of a file without their newlines, oldest first; a torn last line is left out.

    Args:
        path: a plain file, or one that ends with ".gz"; a plain one that has been compressed meanwhile is read as that.
        torn: hears of a torn last line.

    Raises:
        JournalError: the file cannot be read, or its gzip stream is damaged.
    """
    with open_file(path) as file:
        for _, line in _numbered(file, torn):
            yield line


def journal_lines(directory: Path, journal: str, torn: Torn | None = None) -> Iterator[tuple[Path, int, bytes]]:
    """The file, number and text of every whole line of a journal, in the order in which it was written.

    A rotation or a compression meanwhile loses no line and doubles none: what is written until the last file is opened
    is read, each line once. A journal without files has no lines.

    Args:
        directory: where its files are.
        journal: name as in `core.journal_files`, "ohlcv.1m.ATOMUSDT".
        torn: hears of a torn last line of any file.

    Raises:
        JournalError: a file cannot be read, or its gzip stream is damaged.
    """
    for file in readers_of(directory, journal):
        with file:
            for number, line in _numbered(file, torn):
                yield file.path, number, line


def readers_of(directory: Path, journal: str) -> Iterator[LineReader]:
    """The files of a journal, each opened when its turn comes, in the order in which they were written.

    The one that is being written becomes a dated one in a rotation, and another takes its place. So after it is opened
    the folder is listed once more: files that have come meanwhile hold older lines and have their turn first.

    Raises:
        JournalError: a file cannot be opened.
    """
    done: set[tuple[str, int]] = set()
    waiting = files_of(directory, journal)
    while waiting:
        file = waiting.pop(0)
        try:
            reader = LineReader(file.path)
        except FileNotFoundError:  # rotated or taken away since the folder was listed
            waiting = [each for each in files_of(directory, journal) if each.age not in done]
            continue
        if file.active:
            listed = [each for each in files_of(directory, journal) if each.age not in done]
            if any(not each.active for each in listed):
                reader.close()
                waiting = listed
                continue
        done.add(file.age)
        yield reader


def open_file(path: Path) -> LineReader:
    """Open one file.

    Raises:
        JournalError: it cannot be opened.
    """
    try:
        return LineReader(path)
    except FileNotFoundError:
        raise JournalError(f"journal {path} cannot be read: there is no such file") from None


def _numbered(file: LineReader, torn: Torn | None) -> Iterator[tuple[int, bytes]]:
    number = 0
    for lines in file.lines():
        yield from enumerate(lines, number + 1)
        number += len(lines)
    if file.torn and torn is not None:
        torn(file.path, number + 1, file.rest)


def _open(path: Path) -> tuple[Path, FileIO]:
    """A file and what it is called, or else its compressed form."""
    named = [path] if path.name.endswith(".gz") else [path, path.with_name(path.name + ".gz")]
    for each in named:
        try:
            return each, each.open("rb", buffering=0)
        except OSError as error:
            if not isinstance(error, FileNotFoundError) or each.is_symlink():
                raise JournalError(f"journal {each} cannot be read: {error}") from None
    raise FileNotFoundError(path)


def _inflated(file: FileIO, size: int) -> Iterator[bytes]:
    """What a gzip file holds, of one or several members, in pieces of at most `size` bytes.

    Python's own `gzip` gives nothing of what stands before the place where a stream breaks off.

    Raises:
        EOFError: the stream breaks off.
        zlib.error: it is damaged.
    """
    inflate = zlib.decompressobj(_GZIP)
    data = b""
    while data or (data := file.read(size // 8)):
        if inflate.eof:
            data = data.lstrip(b"\0")  # some tools fill the last sector of a disk or tape
            if not data:
                continue
            inflate = zlib.decompressobj(_GZIP)
        made = inflate.decompress(data, size)
        data = inflate.unconsumed_tail or inflate.unused_data
        if made:
            yield made
    if made := inflate.flush():
        yield made
    if not inflate.eof:
        raise EOFError
