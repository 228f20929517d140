"""Which files of some journals can hold a range of time, and in which order they give it.

A file's lines rise by time, but for some that came late: by less than `LATE_NS`. So its first and its last line say
what it covers. The last line of a plain file is read from its end. A compressed one is not read for it: what was
recorded on a day is no later than that day's end, however much earlier it may be in a replay. Where the next file
begins later than that, or is of the same day, this one ends where that begins. Where names do not follow the time, or
have no day, it may cover everything behind its beginning.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, TypeVar

from core.codec_lines import is_dated, keys_of, time_of
from core.contracts import Event
from core.contracts.moments import FOREVER
from core.errors import CodecError
from core.journal_files import JournalFile
from core.journal_lines import LineReader, open_file

LATE_NS = 3_600_000_000_000
"""By so much at most lines of one file are out of order, ns. Files of one journal that overlap by less, as those of two
days do, are not merged."""

T = TypeVar("T")


class Found(NamedTuple):
    """A file of a journal.

    Attributes:
        file: what its name says.
        reader: where it may be being written: opened, so that a rotation does not take it away.
    """

    file: JournalFile
    reader: LineReader | None


@dataclass(frozen=True, slots=True)
class Span:
    """A file and what it covers.

    Attributes:
        found: the file.
        first_ns: time of its first line, ns UTC; -1 if that line is broken or has none, `FOREVER` if there is none.
        last_ns: no line is later, but for `LATE_NS`.
        exact: whether `last_ns` is the time of its last line.
    """

    found: Found
    first_ns: int
    last_ns: int
    exact: bool

    def reading(self) -> AbstractContextManager[LineReader]:
        """Opens the file for a `with`; what is open already stays so behind it.

        Raises:
            JournalError: it cannot be opened.
        """
        reader = self.found.reader
        return open_file(self.found.file.path) if reader is None else nullcontext(reader)

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        """Whether it may matter for `[start_ns, end_ns)`; without a whole line it may still hold a torn one."""
        empty = self.first_ns == FOREVER
        return empty or (self.first_ns < end_ns + LATE_NS and self.last_ns > start_ns - LATE_NS)


def opened(listed: Callable[[], Sequence[JournalFile]]) -> list[Found]:
    """The files that there are, those that may be being written opened.

    In a rotation such a file is renamed and another takes its place. So the folder is listed once more behind that:
    nothing is missed, and nothing is there twice.

    Args:
        listed: lists them, a journal's oldest first.

    Raises:
        JournalError: a file cannot be opened.
    """
    while True:
        files = listed()
        found = [Found(file, _opened(file.path) if file.active else None) for file in files]
        finished = {(file.journal, file.age) for file in files}
        if all(file.active or (file.journal, file.age) in finished for file in listed()):
            return [each for each in found if each.reader is not None or not each.file.active]
        close(found)


def close(found: Iterable[Found]) -> None:
    """Close what `opened` has opened."""
    for each in found:
        if each.reader is not None:
            each.reader.close()


def _opened(path: Path) -> LineReader | None:
    with suppress(FileNotFoundError):
        return LineReader(path)
    return None


class Ends:
    """The times of files' first and last lines; of files that do not change they are read once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int, int, type[Event]], tuple[int, int]] = {}

    def spans(self, files: Sequence[Found], event: type[Event]) -> list[Span]:
        """What files of `event` cover, in the order of their names.

        Raises:
            JournalError: a file cannot be read.
        """
        ends = [self._of(each, event) for each in files]
        return [
            _span(each, first, last, _next(files, ends, index))
            for index, (each, (first, last)) in enumerate(zip(files, ends, strict=True))
        ]

    def _of(self, found: Found, event: type[Event]) -> tuple[int, int]:
        if found.reader is not None:
            return _ends(found.reader, event)
        with open_file(found.file.path) as reader:
            key = (reader.path, *reader.version(), event)
            if key not in self._known:
                self._known[key] = _ends(reader, event)
            return self._known[key]


def _next(files: Sequence[Found], ends: Sequence[tuple[int, int]], index: int) -> int:
    """Where a file ends at the latest, by its name and the beginning of the one behind it; -1 if they do not say."""
    if index + 1 == len(files) or not files[index].file.day:
        return -1
    file, behind, begins = files[index].file, files[index + 1].file, ends[index + 1][0]
    if file.journal != behind.journal or begins < ends[index][0]:
        return -1
    return begins if file.day == behind.day else max(begins, file.end_ns)


def _span(found: Found, first: int, last: int, following: int) -> Span:
    if 0 <= first <= last < FOREVER:
        return Span(found, first, last, exact=True)
    compressed = last == FOREVER
    return Span(found, first, following if compressed and 0 <= first <= following else FOREVER, exact=False)


def _ends(reader: LineReader, event: type[Event]) -> tuple[int, int]:
    """Times of the first and the last line; the last one `FOREVER` where everything would have to be read for it."""
    last = FOREVER if reader.compressed else time_of_line(reader.last_line(), event)
    return time_of_line(reader.first_line(), event), last


def time_of_line(line: bytes, event: type[Event]) -> int:
    """The time of a line, ns UTC; -1 for one that is broken or has none, `FOREVER` for no line."""
    try:
        keys = keys_of(line + b"\n", event)
    except CodecError:
        return -1
    if not keys:
        return FOREVER
    return time_of(keys[0]) if is_dated(keys[0], event) else -1


def groups(spans: Iterable[Span]) -> Iterator[list[Span]]:
    """Files in order of time; those that overlap are one group, whose lines must be merged."""
    group: list[Span] = []
    ends: dict[str, int] = {}
    for span in sorted(spans, key=attrgetter("first_ns")):
        journal = span.found.file.journal
        if group and all(
            span.first_ns >= (end - LATE_NS if name == journal else end + LATE_NS) for name, end in ends.items()
        ):
            yield group
            group, ends = [], {}
        group.append(span)
        ends[journal] = max(ends.get(journal, 0), span.last_ns)
    if group:
        yield group


def merged(parts: Iterable[tuple[int, Iterator[T]]], time: Callable[[T], int]) -> Iterator[T]:
    """Items of several iterators by time, of equal times the earlier iterator's first; each as lazy as it can be.

    Args:
        parts: when each begins, which rises, and its items; what comes `LATE_NS` before that is out of order.
        time: of an item, ns UTC.
    """
    waiting = deque(enumerate(parts))
    heap: list[tuple[int, int, T, Iterator[T]]] = []
    while heap or waiting:
        while waiting and (not heap or waiting[0][1][0] - LATE_NS <= heap[0][0]):
            place, (_, items) = waiting.popleft()
            for item in items:
                heappush(heap, (time(item), place, item, items))
                break
        if not heap:
            return
        _, place, item, items = heap[0]
        yield item
        for item in items:
            heapreplace(heap, (time(item), place, item, items))
            break
        else:
            heappop(heap)
