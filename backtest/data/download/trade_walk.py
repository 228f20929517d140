"""Trades of a range, page by page, each of them once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from backtest.data.download.answers import Arrays
from backtest.data.download.spans import Span
from backtest.data.trades import TRADE_ARRAYS, TradeColumns
from core.contracts.moments import iso
from core.errors import UntrustedAnswer


class TradePiece(NamedTuple):
    """What one page brought.

    Attributes:
        trades: new ones; there may be none.
        reached: up to where the range is settled, ns UTC: a trade of that very moment may still follow.
        next_id: number of the trade to go on with; -1 where trades are not numbered.
        missing: numbers that the venue left out.
    """

    trades: TradeColumns
    reached: int
    next_id: int
    missing: int


class Numbered(Protocol):
    """Trades by number; see `backtest.data.download.trade_sources.NumberedTrades`."""

    def page(self, from_id: int) -> Arrays:
        """The first trades from a number on."""
        ...

    def first_at(self, moment_ns: int) -> int:
        """Number of the first trade at or behind a moment."""
        ...


class Timed(Protocol):
    """Trades by time; see `backtest.data.download.trade_sources.TimedTrades`."""

    window_ns: int

    def page(self, start_ns: int) -> Arrays:
        """The first trades from a moment on."""
        ...


def by_number(source: Numbered, symbol: str, span: Span, from_id: int = -1) -> Iterator[TradePiece]:
    """The pieces of a range, oldest first, up to its end.

    Args:
        source: where the pages come from.
        symbol: ccxt unified.
        span: the range, ns UTC.
        from_id: number of the first trade to ask for; -1 to look for the first one of the range.

    Raises:
        UntrustedAnswer: numbers or times of an answer fall, or it begins before the number that was asked for.
    """
    start, end = span
    number = source.first_at(start) if from_id < 0 else from_id
    reached, looked_for = start, from_id < 0
    while reached < end:
        rows = source.page(number)
        numbers, times = rows["number"], rows["ts"]
        if not len(numbers):  # the newest one has been seen
            yield TradePiece(_columns(symbol, rows, slice(0)), end, number, 0)
            return
        _must_rise(symbol, numbers, number)
        if (np.diff(times) < 0).any():
            raise UntrustedAnswer(f"{symbol}: trades from number {number} on go back in time")
        first = int(numbers[0]) if looked_for else number  # the number that was looked for need not be there
        missing, looked_for = int(numbers[-1]) - first + 1 - len(numbers), False
        inside = (times >= start) & (times < end)
        reached = end if times[-1] >= end else max(reached, int(times[-1]))
        late = numbers[times >= end]
        number = int(late[0]) if len(late) else int(numbers[-1]) + 1
        yield TradePiece(_columns(symbol, rows, inside), reached, number, missing)


def by_time(source: Timed, symbol: str, span: Span) -> Iterator[TradePiece]:
    """The pieces of a range, oldest first, up to its end.

    Raises:
        UntrustedAnswer: an answer goes back in time, or one moment has more trades than an answer holds.
    """
    start, end = span
    at, seen = start, frozenset[str]()
    while at < end:
        rows = source.page(at)
        times, ids = rows["ts"], rows["trade_id"]
        if (np.diff(times) < 0).any():
            raise UntrustedAnswer(f"{symbol}: trades from {iso(at)} on are not in the order of time")
        if len(times) and times[0] < at - at % 1_000_000:
            raise UntrustedAnswer(
                f"{symbol}: asked for trades from {iso(at)} on, the venue begins at {iso(int(times[0]))}"
            )
        fresh = (times >= start) & (times < end) & np.array([each not in seen for each in ids], np.bool_)
        if not fresh.any():
            at = min(end, _behind(source, symbol, at, times))
            yield TradePiece(_columns(symbol, rows, slice(0)), at, -1, 0)
            continue
        newest = int(times[-1])
        seen = frozenset(ids[times == newest])
        at = end if newest >= end else newest
        yield TradePiece(_columns(symbol, rows, fresh), at, -1, 0)


def _behind(source: Timed, symbol: str, at: int, times: np.ndarray[tuple[int], np.dtype[np.int64]]) -> int:
    """Where to go on behind an answer that brought nothing new."""
    if len(times) > 1 and times[0] == times[-1]:
        count = len(times)
        raise UntrustedAnswer(f"{symbol}: {iso(at)} has more trades than the {count} that an answer holds")
    return at + source.window_ns


def _must_rise(symbol: str, numbers: np.ndarray[tuple[int], np.dtype[np.int64]], asked: int) -> None:
    if numbers[0] < asked:
        raise UntrustedAnswer(f"{symbol}: asked for trades from number {asked} on, the venue begins at {numbers[0]}")
    if (np.diff(numbers) <= 0).any():
        at = int(np.argmax(np.diff(numbers) <= 0))
        raise UntrustedAnswer(f"{symbol}: trade {numbers[at + 1]} comes behind trade {numbers[at]}")


def _columns(symbol: str, rows: Arrays, chosen: slice | np.ndarray[tuple[int], np.dtype[np.bool_]]) -> TradeColumns:
    return TradeColumns.of(symbol, {name: rows[name][chosen] for name in TRADE_ARRAYS})
