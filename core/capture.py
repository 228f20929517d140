"""Recorded streams from files: lines `<local receive time in ns> {message}`, gzipped or plain.

What cannot be read is reported and left out; reading goes on behind it.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from io import BufferedReader, FileIO, RawIOBase
from pathlib import Path
from typing import Any, NamedTuple

from core.contracts import DeadLetter, Event
from core.errors import ConfigError, ContractError
from core.market.binance import Decoder
from core.market.feed import Feed
from core.market.records import DepthRecord, Record
from core.market.source import PAUSE, Counts, Due, Tails
from core.runner import readable
from core.topics import ingest_of

GZIP_MAGIC = b"\x1f\x8b"
BUFFER_BYTES = 1 << 18
LINE_BYTES_MAX = 1 << 24
"""No message is longer (a book of 5,000 levels a side takes 300 kB); what is comes out in broken pieces."""
TIME_DIGITS = 19
"""Nanoseconds since 1970 have as many from 2001 to 2286; fewer are another unit."""
AHEAD_NS_MAX = 86_400_000_000_000
"""How far a venue's time may be ahead of the recording host's clock: a day, more than any clock is wrong. The market's
time never falls, so one broken time of the year 2100 would make every later trade old news for good."""
LINES_PER_PAUSE = 1000
"""How many lines are skipped in one go; some milliseconds."""


class Line(NamedTuple):
    """A line as it was recorded.

    Attributes:
        number: from 1.
        recv_ns: when it was received, ns UTC of the recording host.
        message: what the venue sent.
    """

    number: int
    recv_ns: int
    message: bytes


class BrokenLine(NamedTuple):
    """A line that is none.

    Attributes:
        number: from 1.
        error: what is wrong with it.
        raw: its bytes; empty where the file itself is broken.
    """

    number: int
    error: str
    raw: bytes


def read_capture(path: Path) -> Iterator[Line | BrokenLine]:
    """The lines of a capture in constant memory; blank ones are left out.

    A file that breaks off inside its compressed data ends with a BrokenLine.

    Raises:
        ConfigError: the file cannot be opened or read; raised by this call, not by the first line.
    """
    return _lines(_open(path), path)


def _open(path: Path) -> BufferedReader:
    """Open a file by what is in it: a gzip file may have any name."""
    try:
        with path.open("rb") as head:
            compressed = head.read(2) == GZIP_MAGIC
        raw = _Gunzip(path) if compressed else FileIO(path)
    except OSError as error:
        raise _unreadable(path, error) from None
    return BufferedReader(raw, BUFFER_BYTES)


class _Gunzip(RawIOBase):
    """A gzip file as a raw stream, for a buffer that finds the ends of lines in C.

    One read gives what one step of decompression gives. GzipFile's own `readinto` collects more, and what
    it has collected when the file breaks off is lost.
    """

    def __init__(self, path: Path) -> None:
        self._file = gzip.GzipFile(path)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._file.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _unreadable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"capture {path} cannot be read: {error.strerror or error}")


def _lines(stream: BufferedReader, path: Path) -> Iterator[Line | BrokenLine]:
    number = 0
    with stream:
        while True:
            number += 1
            try:
                raw = stream.readline(LINE_BYTES_MAX)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                yield BrokenLine(number, f"the compressed data ends or breaks here: {error}", b"")
                return
            except OSError as error:
                raise _unreadable(path, error) from None
            if not raw:
                return
            if line := _parse(number, raw):
                yield line


def _parse(number: int, raw: bytes) -> Line | BrokenLine | None:
    received, _, message = raw.partition(b" ")
    if len(received) == TIME_DIGITS and received.isdigit() and message:
        return Line(number, int(received), message)
    if not raw.strip():
        return None
    return BrokenLine(number, f"no receive time of {TIME_DIGITS} digits in front", raw)


class CaptureSource:
    """A recorded stream of one symbol as a source.

    A snapshot of a book names no symbol. One that comes before any message of this symbol waits for the first of them,
    and is never published where there is none: a capture of another symbol must not price this one.

    A broken line is reported once: its dead letter names file and line, and a line up to the last one
    reported of a file of that name is not reported again.
    """

    def __init__(self, path: Path, symbol: str) -> None:
        """
        Args:
            path: the capture.
            symbol: ccxt unified; a capture may hold others too.

        Raises:
            ConfigError: the file cannot be opened.
        """
        _open(path).close()
        self._path = path
        self._instance = ingest_of(symbol)
        self._decoder = Decoder(symbol)
        self._feed = Feed(symbol)
        self._recv_ns = 0
        self._of_symbol = False
        self._waiting: DepthRecord | None = None

    @property
    def counts(self) -> Counts:
        """What it has met so far."""
        return self._feed.counts

    def records(self, resume: Tails) -> Iterator[Due]:
        """What the capture holds behind what was published; see `core.market.source.Source`.

        Raises:
            ConfigError: the file cannot be read.
            ContractError: the tails are those of another kind of source.
        """
        self._feed.restore(resume)
        reported = _last_reported(self._path.name, resume.dead_letters)
        skipped = 0
        for line in read_capture(self._path):
            due = self._due(line, reported)
            if due is not None:
                skipped = 0
                yield due
                continue
            skipped += 1
            if skipped % LINES_PER_PAUSE == 0:
                yield PAUSE

    def _due(self, line: Line | BrokenLine, reported: int) -> Due | None:
        if isinstance(line, BrokenLine):
            return self._report(line, reported)
        number, self._recv_ns, message = line
        try:
            record = self._decoder.decode(message, self._recv_ns)
            if record is None:
                self.counts.ignored += 1
                return None
            if record.ts_ns > self._recv_ns + AHEAD_NS_MAX:
                raise ContractError(f"venue time {record.ts_ns} ns is more than a day ahead of the recording")
            events = self._events(record)
        except ContractError as error:
            raw = b"%d %s" % (self._recv_ns, message)
            return self._report(BrokenLine(number, str(error), raw), reported)
        return Due(self._recv_ns, events) if events else None

    def _events(self, record: Record) -> tuple[Event, ...]:
        if self._of_symbol:
            return self._feed.on_record(record)
        if isinstance(record, DepthRecord) and record.kind == "snapshot":
            self._waiting = record
            return ()
        self._of_symbol = True
        waited = () if self._waiting is None else self._feed.on_record(self._waiting)
        return (*waited, *self._feed.on_record(record))

    def _report(self, line: BrokenLine, reported: int) -> Due | None:
        self.counts.broken += 1
        if line.number <= reported:
            return None
        where = f"{self._path.name}:{line.number}"
        return Due(self._recv_ns, (), DeadLetter(self._instance, where, line.error, readable(line.raw)))


def _last_reported(file: str, letters: tuple[DeadLetter, ...]) -> int:
    """Number of the last line of a file that has a dead letter, 0 for none."""
    places = (letter.topic.rpartition(":") for letter in letters)
    return max((int(line) for name, _, line in places if name == file and line.isdecimal()), default=0)
