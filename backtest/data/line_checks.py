"""The lines of one series as they stand in its files: wrong ones, doubled ones and those out of order included."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import compress
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.data.columns import ARRAYS, DTYPES, BarColumns, Flags, Ints
from backtest.data.findings import Found
from core import topics
from core.codec import decode_rows
from core.contracts import OHLCVBar, timeframe_ns
from core.errors import CodecError
from core.journal_lines import readers_of

Arrays = dict[str, NDArray[Any]]

_NAMES = (*ARRAYS, "ts_close", "timeframe")
_values = attrgetter(*_NAMES)


@dataclass(frozen=True, slots=True)
class BarLines:
    """What the files of a series hold.

    Attributes:
        bars: the series that the good lines make: rising, of each time the first line, no line of another length.
        lines: how many lines of the symbol there are in the range.
        found: what is wrong with the lines.
    """

    bars: BarColumns
    lines: int
    found: list[Found]


def read_bar_lines(folder: Path, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> BarLines:
    """The lines of a symbol, in the files of a timeframe, that open in `[start_ns, end_ns)`.

    Lines of another symbol whose files have the same name are left out. A line that is no bar at all is a finding,
    wherever it stands; a torn last line is left out.

    Raises:
        ContractError: no timeframe.
        JournalError: a file cannot be read.
    """
    step = timeframe_ns(timeframe)
    scan = _Scan(symbol)
    journal = topics.MD_OHLCV.journal_name(f"md.ohlcv.{timeframe}.{symbol}").removesuffix(".ndjson")
    for reader in readers_of(folder, journal):
        with reader:
            scan.read(reader.path, reader.blocks())
    rows = scan.arrays()
    rows = _where(rows, (rows["ts_open"] >= start_ns) & (rows["ts_open"] < end_ns))
    count = len(rows["ts_open"])
    strange = (rows["timeframe"] != timeframe) | (rows["ts_close"] - rows["ts_open"] != step)
    found = [scan.broken_lines(), _lengths(_where(rows, strange), scan.files)]
    rows = _where(rows, ~strange)
    found.append(_order(rows, scan.files, step))
    kept, doubled = _each_once(rows, scan.files, step)
    arrays = {name: kept[name] for name in ARRAYS}
    bars = BarColumns.of(symbol, timeframe, arrays, asset_class=scan.asset_class, currency=scan.currency)
    return BarLines(bars, count, [*found, *doubled])


@dataclass(slots=True)
class _Scan:
    """What is gathered while files are read."""

    symbol: str
    files: list[Path] = field(default_factory=list)
    parts: list[Arrays] = field(default_factory=list)
    broken: list[tuple[int, str]] = field(default_factory=list)
    last_ns: int = 0
    asset_class: str = "crypto"
    currency: str | None = None

    def read(self, path: Path, blocks: Iterable[bytes]) -> None:
        """Take over the lines of one file."""
        self.files.append(path)
        number = 1
        for block in blocks:
            size = block.count(b"\n")
            try:
                rows = decode_rows(block, OHLCVBar)
            except CodecError:
                rows = []
            if len(rows) == size:
                self._take(rows, range(number, number + size))
            else:  # empty lines are left out too
                self._take(*self._one_by_one(block, number))
            number += size

    def arrays(self) -> Arrays:
        """All lines as columns."""
        return {
            name: np.concatenate([part[name] for part in self.parts]) if self.parts else np.zeros(0, _dtype(name))
            for name in (*_NAMES, "file", "line")
        }

    def broken_lines(self) -> Found:
        """Lines that are no bars; each at the time of the line before it."""
        times = np.array([ts for ts, _ in self.broken], np.int64)
        return Found("line", times, times, np.ones_like(times), lambda at: self.broken[at][1])

    def _one_by_one(self, block: bytes, number: int) -> tuple[list[Any], list[int]]:
        rows: list[Any] = []
        numbers: list[int] = []
        for at, line in enumerate(block.splitlines(keepends=True), number):
            try:
                if not (row := decode_rows(line, OHLCVBar)):
                    raise CodecError("the line is empty")
            except CodecError as error:
                self.broken.append((rows[-1].ts_open if rows else self.last_ns, f"{self.files[-1].name}:{at} {error}"))
            else:
                rows += row
                numbers.append(at)
        return rows, numbers

    def _take(self, rows: list[Any], numbers: Iterable[int]) -> None:
        places = np.array(numbers, np.int64)
        ours = [row.symbol == self.symbol for row in rows]
        if not all(ours):
            rows, places = list(compress(rows, ours)), places[np.array(ours)]
        if not rows:
            return
        last = rows[-1]
        self.last_ns, self.asset_class, self.currency = last.ts_open, last.asset_class, last.currency or None
        columns = zip(*map(_values, rows), strict=True)
        part = {name: np.array(values, _dtype(name)) for name, values in zip(_NAMES, columns, strict=True)}
        part["line"], part["file"] = places, np.full(len(rows), len(self.files) - 1, np.int64)
        self.parts.append(part)


def _dtype(name: str) -> type[Any]:
    if name in ("ts_close", "file", "line"):
        return np.int64
    return np.object_ if name == "timeframe" else DTYPES.get(name, np.float64)


def _where(rows: Arrays, wanted: Flags | Ints) -> Arrays:
    return {name: values[wanted] for name, values in rows.items()}


def _lengths(rows: Arrays, files: list[Path]) -> Found:
    def describe(at: int) -> str:
        seconds = (rows["ts_close"][at] - rows["ts_open"][at]) / 1e9
        return f"{_place(rows, at, files)} is a {rows['timeframe'][at]} bar over {seconds:g} s"

    return Found("timeframe", rows["ts_open"], rows["ts_close"], np.ones_like(rows["ts_open"]), describe)


def _order(rows: Arrays, files: list[Path], step: int) -> Found:
    """Lines that are older than one before them in the same file."""
    ranks = np.unique(rows["ts_open"], return_inverse=True)[1]
    places = rows["file"] * len(ranks) + ranks  # rise from file to file, and in each with the time
    late = np.zeros(len(ranks), np.bool_)
    late[1:] = places[1:] < np.maximum.accumulate(places)[:-1]
    return _at(_where(rows, late), "order", files, step)


def _each_once(rows: Arrays, files: list[Path], step: int) -> tuple[Arrays, list[Found]]:
    """The lines by time, of each time the first; and the others, by whether they say the same."""
    rows = _where(rows, np.argsort(rows["ts_open"], kind="stable"))
    opens = rows["ts_open"]
    fresh = np.ones(len(opens), np.bool_)
    fresh[1:] = opens[1:] != opens[:-1]
    firsts = np.flatnonzero(fresh)[np.cumsum(fresh) - 1]
    same = np.ones(len(opens), np.bool_)
    for name in ARRAYS:
        values = rows[name]
        same &= (values == values[firsts]) | ((values != values) & (values[firsts] != values[firsts]))
    doubled = [
        _at(_where(rows, ~fresh & same), "duplicate", files, step),
        _at(_where(rows, ~fresh & ~same), "conflict", files, step),
    ]
    return _where(rows, fresh), doubled


def _at(rows: Arrays, kind: str, files: list[Path], step: int) -> Found:
    opens = rows["ts_open"]
    return Found(kind, opens, opens + step, np.ones_like(opens), lambda at: _place(rows, at, files))


def _place(rows: Arrays, at: int, files: list[Path]) -> str:
    return f"{files[rows['file'][at]].name}:{rows['line'][at]}, close {rows['close'][at]:g}"
