"""Which market data some journals hold, and from when to when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from core.codec_lines import Key, events_of, keys_of, time_of
from core.contracts.moments import FOREVER
from core.data_source import TOPICS, Kind, Series
from core.errors import CodecError, JournalError
from core.journal_lines import LineReader
from core.journal_query import Query, files_for
from core.journal_spans import Ends, Found, Span, close, opened
from core.topics import Topic


def series_of(path: Path, ends: Ends) -> list[Series]:
    """The market data of a folder or of one file, by kind, symbol and timeframe.

    Args:
        path: where they are.
        ends: what is known of the files' ends.

    Raises:
        JournalError: a file cannot be read, or is not what its name says.
    """
    return sorted(series for kind, topic in TOPICS.items() for series in _of_kind(path, kind, topic, ends))


def _of_kind(path: Path, kind: Kind, topic: Topic[Any], ends: Ends) -> Iterator[Series]:
    found = opened(partial(files_for, path, Query(topic)))
    try:
        if not path.is_dir() and not all(_is_of(each, topic) for each in found):
            return
        spans = [span for span in ends.spans(found, topic.event) if span.first_ns != FOREVER]
        for _, of_journal in groupby(spans, key=lambda span: span.found.file.journal):
            yield from _of_journal(kind, list(of_journal))
    finally:
        close(found)


def _is_of(found: Found, topic: Topic[Any]) -> bool:
    """Whether a file that was named itself holds a topic, by its first line."""
    try:
        return found.reader is not None and bool(events_of(found.reader.first_line() + b"\n", topic.event))
    except CodecError:
        return False


def _of_journal(kind: Kind, spans: list[Span]) -> list[Series]:
    """The series of one journal: one, unless symbols share its name."""
    keys = [key for span in spans for key in _edges(span, kind)]
    if len({(key.symbol, key.timeframe) for key in keys}) > 1:
        return _summed(kind, (key for span in spans for key in _all(span, kind)))
    return _summed(kind, keys)


def _summed(kind: Kind, keys: Iterable[Key]) -> list[Series]:
    times: dict[tuple[str, str], tuple[int, int]] = {}
    for key in keys:
        name, time = (key.symbol, key.timeframe), time_of(key)
        first, last = times.get(name, (time, time))
        times[name] = min(first, time), max(last, time)
    return [Series(kind, symbol, timeframe, *span) for (symbol, timeframe), span in times.items()]


def _edges(span: Span, kind: Kind) -> Iterator[Key]:
    """Of the first and the last line; of a compressed file's last line only where nothing else says how far it goes."""
    with span.reading() as file:
        yield from _keys(file, file.first_line(), kind, "line 1")
        if span.exact or span.last_ns == FOREVER:
            yield from _keys(file, file.last_line(), kind, "last line")


def _all(span: Span, kind: Kind) -> Iterator[Key]:
    with span.reading() as file:
        for block in file.blocks():
            yield from _keys(file, block[:-1], kind, "some line")


def _keys(file: LineReader, lines: bytes, kind: Kind, where: str) -> list[Key]:
    try:
        return keys_of(lines + b"\n", TOPICS[kind].event)
    except CodecError as error:
        raise JournalError(f"{file.path}, {where}: {error}") from None
