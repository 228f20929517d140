"""What is wanted of some journals, and how a block of their lines becomes it: events, light rows, recorded bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from core.codec import body_of
from core.codec_lines import BarRow, Key, bar_rows, events_of, is_dated, keys_of, time_of
from core.contracts import Event
from core.contracts.instrument import file_symbol
from core.contracts.moments import FOREVER
from core.contracts.times import time_fields
from core.errors import CodecError, ContractError
from core.journal_files import JournalFile, files_of, journals_in, parse
from core.topics import Topic, undated

E = TypeVar("E", bound=Event)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Items(Protocol[T_co]):
    """Makes of whole lines, each with its newline, what is wanted of them."""

    def __call__(self, lines: bytes, /) -> Sequence[T_co]:
        """Those that are wanted.

        Raises:
            CodecError: one of the lines is not what it should be.
        """

    def time(self, item: Any, /) -> int:
        """By which items of several files are merged, ns UTC."""


@dataclass(frozen=True)
class Query(Generic[E]):
    """Events of a topic, by symbol, time frame and time.

    Attributes:
        topic: their topic.
        start_ns: their own time is not before this; where they have none, the sequencer's, ns UTC.
        end_ns: and before this.
        symbol: only of this one; empty for all.
        timeframe: likewise.
    """

    topic: Topic[E]
    start_ns: int = 0
    end_ns: int = FOREVER
    symbol: str = ""
    timeframe: str = ""

    def __post_init__(self) -> None:
        named = {each.name for each in fields(self.topic.event)}  # type: ignore[arg-type]  # events are dataclasses
        for name in ("symbol", "timeframe"):
            if getattr(self, name) and name not in named:
                raise ContractError(f"{self.topic.event.__name__} has no {name}: {getattr(self, name)!r} has none")

    @property
    def bounded(self) -> bool:
        """Whether times matter."""
        return self.start_ns > 0 or self.end_ns < FOREVER

    @property
    def given(self) -> dict[str, str]:
        """Of symbol and time frame what is wanted."""
        return {name: text for name in ("symbol", "timeframe") if (text := getattr(self, name))}

    @property
    def journal(self) -> str | None:
        """The one journal that can hold it; None if there may be several."""
        if set(_FIELD.findall(self.topic.journal)) - set(self.given):
            return None
        return undated(_FIELD.sub(lambda field: file_symbol(self.given[field[1]]), self.topic.journal))

    def names(self, journal: str) -> bool:
        """Whether a journal, by its name, can hold it."""
        return self._regex.fullmatch(journal) is not None

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        parts = re.split(r"(\{\w+\})", self.topic.journal)
        given = {f"{{{name}}}": re.escape(file_symbol(text)) for name, text in self.given.items()}
        known = (given.get(part, ".+") if part.startswith("{") else re.escape(part) for part in parts)
        return re.compile("".join(known) + "=*")

    def wants(self, key: Key) -> bool:
        """Whether a line is wanted.

        Raises:
            CodecError: it has no time.
        """
        if (self.symbol and key.symbol != self.symbol) or (self.timeframe and key.timeframe != self.timeframe):
            return False
        if not self.bounded:
            return True
        if not is_dated(key, self.topic.event):
            raise CodecError(f"no {self.topic.event.__name__} with a time: it has neither its own nor a header")
        return self.start_ns <= time_of(key) < self.end_ns


_FIELD = re.compile(r"\{(\w+)\}")


def files_for(path: Path, query: Query[Any]) -> list[JournalFile]:
    """The files that can hold what is wanted by their names, each journal's oldest first.

    Args:
        path: a folder, which may be missing; or one file, whatever its name is.
        query: what is wanted.
    """
    if not path.is_dir() and (path.exists() or parse(path) is not None):
        return [JournalFile(path.name, "", 0, path)]  # its lines say what it holds
    if query.journal is not None:
        return files_of(path, query.journal)
    return [file for journal, files in journals_in(path).items() if query.names(journal) for file in files]


def _wanted(lines: bytes, query: Query[Any]) -> list[tuple[Key, bytes]]:
    """The lines that are wanted, without their newlines.

    Raises:
        CodecError: one of all these lines has no key.
    """
    keys = keys_of(lines, query.topic.event)
    return [(key, line) for key, line in zip(keys, lines.split(b"\n"), strict=False) if query.wants(key)]


class Events(Generic[E]):
    """Whole events, with the checks of their constructors."""

    def __init__(self, query: Query[E]) -> None:
        self._query = query
        self._event = query.topic.event
        self._times = time_fields(self._event)
        self._named = attrgetter(*query.given) if query.given else None
        self._given = tuple(query.given.values()) if len(query.given) > 1 else next(iter(query.given.values()), "")

    def __call__(self, lines: bytes) -> list[E]:
        """See `Items`."""
        query = self._query
        if query.bounded and (len(self._times) != 1 or self._all_outside(lines)):
            lines = b"".join(line + b"\n" for _, line in _wanted(lines, query))
        events = events_of(lines, self._event)
        if self._named is not None:
            named, given = self._named, self._given
            events = [event for event in events if named(event) == given]
        if query.bounded and len(self._times) == 1:
            time, start_ns, end_ns = attrgetter(self._times[0]), query.start_ns, query.end_ns
            events = [event for event in events if start_ns <= time(event) < end_ns]
        return events

    def time(self, event: E) -> int:
        """See `Items`; of those without a time of their own, none is earlier."""
        return next((time for name in self._times if (time := getattr(event, name))), 0)

    def _all_outside(self, lines: bytes) -> bool:
        """Whether it looks as if no line were wanted: then most of them need not become events."""
        first = lines[: lines.index(b"\n") + 1]
        last = lines[lines.rfind(b"\n", 0, -1) + 1 :]
        times = [time_of(key) for key in keys_of(first + last, self._event)]
        return bool(times) and (max(times) < self._query.start_ns or min(times) >= self._query.end_ns)


class BarRows:
    """Bars as light rows."""

    def __init__(self, query: Query[Any]) -> None:
        self._rows_of = bar_rows(query.symbol, query.timeframe, query.start_ns, query.end_ns)

    def __call__(self, lines: bytes) -> list[BarRow]:
        """See `Items`."""
        return self._rows_of(lines)

    def time(self, row: BarRow) -> int:
        """See `Items`."""
        return row.ts_open


class Record(NamedTuple):
    """A line as it was recorded.

    Attributes:
        ts_ns: the event's own time, or else the sequencer's, ns UTC.
        channel: "md.trades.BTC/USDT".
        type: the event's class name.
        body: the event's own part of the line, byte for byte; the whole line where there is no header.
    """

    ts_ns: int
    channel: str
    type: str
    body: bytes


class Records:
    """Lines as they were recorded."""

    def __init__(self, query: Query[Any]) -> None:
        self._query = query

    def __call__(self, lines: bytes) -> list[Record]:
        """See `Items`."""
        name = self._query.topic.event.__name__
        channel = self._query.topic.name.format
        return [
            Record(
                time_of(key),
                channel(symbol=key.symbol, timeframe=key.timeframe, instance=key.instance),
                name,
                body_of(line) if key.header_type else line,
            )
            for key, line in _wanted(lines, self._query)
        ]

    def time(self, record: Record) -> int:
        """See `Items`."""
        return record.ts_ns
