"""Reads journals by symbol and time: events, light rows, or the recorded bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from core import topics
from core.codec_lines import BarRow
from core.contracts import (
    BookEvent,
    CorporateAction,
    Event,
    FillEvent,
    OHLCVBar,
    PositionSnapshot,
    TickerEvent,
    TradeEvent,
)
from core.contracts.moments import FOREVER
from core.data_source import Series
from core.errors import CodecError, JournalError
from core.journal_lines import LineReader
from core.journal_query import BarRows, Events, Items, Query, Record, Records, files_for
from core.journal_series import series_of
from core.journal_spans import Ends, Span, close, groups, merged, opened
from core.topics import Topic

E = TypeVar("E", bound=Event)
T = TypeVar("T")

BLOCK_BYTES = 1 << 16
"""Decoded at once: with what becomes of it, this stays in a processor's cache."""


class Skipped(NamedTuple):
    """A last line without its newline: a crash cut it off, or it is being written just now.

    Attributes:
        path: the file.
        line: its number, from 1.
        text: what is there of it; nothing where a compressed file breaks off between two lines.
    """

    path: Path
    line: int
    text: bytes


class JournalReader:
    """The journals of a folder, or one file, whether they are being written, of past days, or compressed.

    Everything is an iterator that holds a block of lines at a time. Times are ns UTC, ranges half open. An event's
    time is its own: when a bar opens, the venue's time of a trade, a fill, a book or a ticker (or when that was
    received, where the venue gives none); where it has none, the sequencer's.

    **Order.** Items come by time across files, whatever their names are: a file that begins earlier is read earlier,
    files that overlap are merged. Inside one file lines come as they stand, so one that came late stays late; by more
    than an hour (`core.journal_spans.LATE_NS`) no line may be late, also behind the end of the journal's file before.
    Nothing is left out because it is there twice.

    **What is wrong.** A line that is not what it should be raises JournalError with file and line, after all items
    before it. Only a last line without its newline is left out, and told in `skipped`. Lines of another symbol or
    time frame are passed by: two symbols may share a file name. Journals that are missing hold nothing.

    A rotation or compression meanwhile changes nothing: lines that are there when the first item is asked for are
    read, each once.
    """

    def __init__(self, path: Path | str) -> None:
        """
        Args:
            path: a folder of journals, which may be missing; or one file, read whatever its name is.
        """
        self.path = Path(path)
        self._ends = Ends()
        self._skipped: dict[Path, Skipped] = {}

    @property
    def skipped(self) -> list[Skipped]:
        """The torn lines at the ends of the files that were read to their end."""
        return list(self._skipped.values())

    def read_bars(self, symbol: str, timeframe: str, start: int = 0, end: int = FOREVER) -> Iterator[OHLCVBar]:
        """Bars that open in `[start, end)`.

        Raises:
            JournalError: while it is iterated; a file cannot be read, or a line of it is no bar.
        """
        return self.read(topics.MD_OHLCV, start, end, symbol=symbol, timeframe=timeframe)

    def scan_bars(self, symbol: str, timeframe: str, start: int = 0, end: int = FOREVER) -> Iterator[BarRow]:
        """The same bars as light rows, several times as fast; `BarRow` says what of them is checked.

        Raises:
            JournalError: as `read_bars`.
        """
        query = Query(topics.MD_OHLCV, start, end, symbol, timeframe)
        return self._items(query, BarRows(query))

    def read_trades(self, symbol: str, start: int = 0, end: int = FOREVER) -> Iterator[TradeEvent]:
        """Trades with the venue's time in `[start, end)`.

        Raises:
            JournalError: as `read_bars`.
        """
        return self.read(topics.MD_TRADES, start, end, symbol=symbol)

    def read_books(self, symbol: str, start: int = 0, end: int = FOREVER) -> Iterator[BookEvent]:
        """Snapshots and changes of the order book, by the venue's time, or else by that of receipt.

        Raises:
            JournalError: as `read_bars`.
        """
        return self.read(topics.MD_BOOK, start, end, symbol=symbol)

    def read_tickers(self, symbol: str, start: int = 0, end: int = FOREVER) -> Iterator[TickerEvent]:
        """Best prices, by the venue's time, or else by that of receipt.

        Raises:
            JournalError: as `read_bars`.
        """
        return self.read(topics.MD_TICKER, start, end, symbol=symbol)

    def read_fills(self, symbol: str, start: int = 0, end: int = FOREVER) -> Iterator[FillEvent]:
        """Fills, by the time of the fill.

        Raises:
            JournalError: as `read_bars`.
        """
        return self.read(topics.FILLS_NEW, start, end, symbol=symbol)

    def read_positions(self, symbol: str, start: int = 0, end: int = FOREVER) -> Iterator[PositionSnapshot]:
        """Snapshots of positions, by their time.

        Raises:
            JournalError: as `read_bars`.
        """
        return self.read(topics.POSITIONS_SNAPSHOT, start, end, symbol=symbol)

    def read_actions(self, symbol: str) -> Iterator[CorporateAction]:
        """All corporate actions of a symbol.

        Raises:
            JournalError: as `read_bars`.
        """
        return self.read(topics.MD_ACTIONS, symbol=symbol)

    def read(
        self, topic: Topic[E], start: int = 0, end: int = FOREVER, *, symbol: str = "", timeframe: str = ""
    ) -> Iterator[E]:
        """Events of any topic; of all symbols and time frames where none is given.

        Events without a time of their own come file by file.

        Args:
            topic: one of `core.topics`.
            start: ns UTC.
            end: ns UTC.
            symbol: only this one.
            timeframe: only this one.

        Raises:
            ContractError: the topic's events have no symbol, or no time frame.
            JournalError: as `read_bars`.
        """
        query = Query(topic, start, end, symbol, timeframe)
        return self._items(query, Events(query))

    def records(
        self, topic: Topic[Any], start: int = 0, end: int = FOREVER, *, symbol: str = "", timeframe: str = ""
    ) -> Iterator[Record]:
        """The same as it was recorded: time, channel, type and bytes. Of these no more is checked than time and symbol.

        Raises:
            ContractError: as `read`.
            JournalError: as `read_bars`; of lines, only if they are no objects with a time.
        """
        query = Query(topic, start, end, symbol, timeframe)
        return self._items(query, Records(query))

    def series(self) -> list[Series]:
        """Which market data are here, by kind, symbol and timeframe, from when to when.

        First and last lines of the files say it. A file that two symbols share is read as a whole.

        Raises:
            JournalError: a file cannot be read, or its first line is not what its name says.
        """
        return series_of(self.path, self._ends)

    def _items(self, query: Query[Any], items: Items[T]) -> Iterator[T]:
        return chain.from_iterable(self._parts(query, items))

    def _parts(self, query: Query[Any], items: Items[T]) -> Iterator[Iterator[T] | Sequence[T]]:
        found = opened(partial(files_for, self.path, query))
        try:
            spans = self._ends.spans(found, query.topic.event)
            for group in groups(span for span in spans if span.overlaps(query.start_ns, query.end_ns)):
                if len(group) == 1:
                    yield from self._blocks(group[0], items)
                else:
                    each = ((span.first_ns, chain.from_iterable(self._blocks(span, items))) for span in group)
                    yield merged(each, items.time)
        finally:
            close(found)

    def _blocks(self, span: Span, items: Items[T]) -> Iterator[Iterator[T] | Sequence[T]]:
        with span.reading() as file:
            blocks, block = 0, b""
            for block in file.blocks(BLOCK_BYTES):
                yield _each(file, blocks, block, items)
                blocks += 1
            self._skipped.pop(file.path, None)
            if file.torn:
                rest, count = file.rest, block.count(b"\n")
                number = file.count_lines(max(0, blocks - 1), BLOCK_BYTES) + count + 1
                self._skipped[file.path] = Skipped(file.path, number, rest)


def _each(file: LineReader, blocks: int, block: bytes, items: Items[T]) -> Iterator[T] | Sequence[T]:
    """What is wanted of a block; `blocks` were before it."""
    try:
        return items(block)
    except CodecError:
        return _line_by_line(file, blocks, block, items)


def _line_by_line(file: LineReader, blocks: int, block: bytes, items: Items[T]) -> Iterator[T]:
    """What is wanted of a block that was refused as a whole, up to the line that is wrong.

    Raises:
        JournalError: names file and line.
    """
    for number, line in enumerate(block.split(b"\n")[:-1], 1):
        try:
            found = items(line + b"\n")
        except CodecError as error:
            number += file.count_lines(blocks, BLOCK_BYTES)
            raise JournalError(f"{file.path}, line {number}: {error}") from None
        yield from found
