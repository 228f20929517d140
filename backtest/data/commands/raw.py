"""Show the lines of one series as they stand in its journals, or as a table.

Lines are written byte for byte, those of a running system with their header; so the output is a journal itself. A line
that cannot be read is named on standard error and left out.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from backtest.data.selection import Chosen, add_range, add_series, chosen, range_of, the_one
from backtest.data.series import ACTIONS, BARS, BOOKS, KINDS, TICKERS, TRADES
from backtest.data.table import table
from core.codec import decode_rows
from core.contracts.moments import iso
from core.contracts.times import time_fields
from core.data_source import TOPICS, Kind
from core.errors import CodecError, ConfigError
from core.journal_lines import journal_lines

NAME = "raw"

_COLUMNS: dict[Kind, tuple[str, ...]] = {
    BARS: ("open", "high", "low", "close", "volume", "vwap", "trade_count", "complete"),
    TRADES: ("price", "qty", "side", "trade_id"),
    BOOKS: ("kind", "first_update_id", "last_update_id", "bids", "asks"),
    TICKERS: ("bid", "bid_qty", "ask", "ask_qty", "last"),
    ACTIONS: ("kind", "ratio", "amount", "new_symbol"),
}

Line = tuple[bytes, Any]
"""A line and its fields."""


def add_options(to: argparse.ArgumentParser) -> None:
    """Which lines, and how."""
    add_series(to, KINDS)
    add_range(to)
    part = to.add_mutually_exclusive_group()
    part.add_argument("--head", type=int, metavar="N", help="only the first N")
    part.add_argument("--tail", type=int, metavar="N", help="only the last N")
    to.add_argument("--table", action="store_true", help="for people")


def run(args: argparse.Namespace) -> int:
    """Show them."""
    for option in ("head", "tail"):
        if (getattr(args, option) or 0) < 0:
            raise ConfigError(f"--{option} is {getattr(args, option)}; allowed: 0 or more")
    kind: Kind = args.kind
    lines = _part(_lines(the_one(args, chosen(args)), range_of(args)), args.head, args.tail)
    if args.table:
        heads = ["time", *_COLUMNS[kind]]
        rows = ([iso(_time(kind, row)), *(_cell(getattr(row, name)) for name in heads[1:])] for _, row in lines)
        sys.stdout.write(table(heads, rows) + "\n")
        return 0
    sys.stdout.flush()
    for line, _ in lines:
        sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()
    return 0


def _part(lines: Iterator[Line], head: int | None, tail: int | None) -> Iterable[Line]:
    if tail is not None:
        return deque(lines, maxlen=tail)
    return islice(lines, head)


def _lines(of: Chosen, span: tuple[int, int]) -> Iterator[Line]:
    """The lines of a series in a range, in the order in which they were written."""
    series = of.series
    event = TOPICS[series.kind].event
    for path, number, line in journal_lines(of.place.folder, series.journal, _name_torn):
        try:
            row = decode_rows(line, event)[0]
        except (CodecError, IndexError) as error:
            sys.stderr.write(f"{path}, line {number}: {error}\n")
            continue
        if row.symbol == series.symbol and span[0] <= _time(series.kind, row) < span[1]:
            yield line, row


def _name_torn(path: Path, number: int, _: bytes) -> None:
    sys.stderr.write(f"{path}, line {number}: torn, left out\n")


def _time(kind: Kind, row: Any) -> int:
    """The venue's time, or where it gives none that of receipt, ns UTC."""
    return next((time for name in time_fields(TOPICS[kind].event) if (time := getattr(row, name))), 0)


def _cell(value: object) -> str:
    if isinstance(value, tuple):  # a side of a book
        return f"{len(value)} levels"
    return "" if value is None else str(value)
