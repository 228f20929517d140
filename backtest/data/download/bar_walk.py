"""Bars of a range, page by page, believed only as far as they can be checked.

Each page begins one bar before what is wanted: that bar is known already, from the page before or from the disk, and
must be the same again. A venue that ignores where a page is to begin, sends a page twice, sends bars in disorder, off
the grid or twice is found out by the page itself. Where the venue shows nothing, it is asked for that very stretch once
more, so that bars which it left out of a full page are not taken for a hole of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from backtest.data.columns import PRICES, BarColumns
from backtest.data.coverage import holes_of
from backtest.data.download.answers import Arrays
from backtest.data.download.bar_sources import BarSource
from backtest.data.download.spans import Span
from core.contracts import timeframe_ns
from core.contracts.moments import iso
from core.errors import UntrustedAnswer

COMPARED = (*PRICES, "volume")


class Piece(NamedTuple):
    """What one page brought.

    Attributes:
        bars: new ones; there may be none.
        empty: stretches up to `reached` in which the venue says that it has none.
        reached: up to where the range is settled, ns UTC.
    """

    bars: BarColumns
    empty: tuple[Span, ...]
    reached: int


@dataclass
class _Page:
    """An answer in order: its bars from the one before the wanted ones on."""

    bars: BarColumns
    fingerprint: bytes


class BarWalk:
    """Walks through ranges of one series."""

    def __init__(self, source: BarSource, symbol: str, timeframe: str) -> None:
        """
        Args:
            source: where the pages come from.
            symbol: ccxt unified; what the bars are named.
            timeframe: of the bars.
        """
        self._source, self._symbol, self._timeframe = source, symbol, timeframe
        self._step = timeframe_ns(timeframe)
        self._heeds_start = False

    def over(self, span: Span, before: BarColumns | None = None) -> Iterator[Piece]:
        """The pieces of a range, oldest first, up to its end.

        Args:
            span: a range on the grid.
            before: bars that are known; the last one before the range is compared with what the venue says now.

        Raises:
            UntrustedAnswer: the venue contradicts itself, or what is known, or answers something else than was asked.
        """
        cursor, end = span
        known = before.between(cursor - self._step, cursor) if before is not None else None
        last_page = b""
        while cursor < end:
            page = self._page(cursor, end, last_page)
            last_page = page.fingerprint
            if known is not None and len(known):
                self._must_agree(page.bars, known)
            fresh = page.bars.between(cursor, end)
            if not len(fresh):
                self._must_heed_start(page.bars)
                reached = self._behind_nothing(cursor, end)
                yield Piece(fresh, ((cursor, reached),), reached)
                cursor, known = reached, None
                continue
            self._confirm_start(cursor, fresh)
            reached = int(fresh.ts_close[-1])
            holes = holes_of(fresh.ts_open, self._step, (cursor, reached))
            yield Piece(fresh, tuple((hole.start_ns, hole.end_ns) for hole in holes), reached)
            cursor, known = reached, fresh[-1:]

    def again(self, bars: BarColumns) -> None:
        """Ask once more for some bars that follow one another; they must be the same.

        Raises:
            UntrustedAnswer: they are not.
        """
        bars = bars[: self._source.page - 1]  # with the one before them they must fit into a page
        start, end = int(bars.ts_open[0]), int(bars.ts_close[-1])
        said = self._page(start, end, b"").bars.between(start, end)
        if not np.array_equal(said.ts_open, bars.ts_open):
            raise self._contradiction(start, end, f"sent {len(bars)} bars first and {len(said)} when asked again")
        self._must_agree(said, bars)

    def _page(self, cursor: int, end: int, last_page: bytes) -> _Page:
        rows = self._source.rows(cursor - self._step, end)
        times = rows["ts_open"]
        fingerprint = b"".join(rows[name].tobytes() for name in ("ts_open", *PRICES))
        if len(times) > 1 and fingerprint == last_page:
            raise self._contradiction(cursor, end, f"sent the same page again, from {iso(int(times[0]))} on")
        if len(times) and (np.diff(times) <= 0).any():
            at = int(np.argmax(np.diff(times) <= 0))
            raise self._contradiction(
                cursor, end, f"sent bars that do not rise by time: {iso(int(times[at]))}, {iso(int(times[at + 1]))}"
            )
        if (times % self._step != 0).any():
            odd = int(times[np.argmax(times % self._step != 0)])
            raise self._contradiction(cursor, end, f"sent a bar of {iso(odd)}, where no {self._timeframe} bar begins")
        if len(times) and times[0] < cursor - self._step:
            raise self._contradiction(
                cursor, end, f"ignores where a page is to begin: it begins at {iso(int(times[0]))}"
            )
        return _Page(BarColumns.of(self._symbol, self._timeframe, dict(rows)), fingerprint)

    def _behind_nothing(self, cursor: int, end: int) -> int:
        """Up to where an answer without a wanted bar speaks, when it is given again."""
        reached = end if self._source.skips_holes else min(end, cursor + self._source.page * self._step)
        self._must_be_empty(cursor, reached)
        return reached

    def _confirm_start(self, cursor: int, fresh: BarColumns) -> None:
        """A page that begins later than asked for: by a hole, or because the venue does not do as it is told."""
        first = int(fresh.ts_open[0])
        if first == cursor:
            self._heeds_start = True
            return
        self._must_be_empty(cursor, first)
        self._must_heed_start(fresh)

    def _must_heed_start(self, bars: BarColumns) -> None:
        """Once, if an answer could also be that of a venue which gives the same bars whatever is asked for."""
        if not self._heeds_start and len(bars) > 1:
            second = int(bars.ts_open[1])
            self._page(second + self._step, second + 2 * self._step, b"")  # begins earlier where the start is ignored
            self._heeds_start = True

    def _must_be_empty(self, start: int, end: int) -> None:
        found = self._page(start, end, b"").bars.between(start, end)
        if len(found):
            raise self._contradiction(
                start, end, f"left out {len(found)} bars first, from {iso(int(found.ts_open[0]))} on"
            )

    def _must_agree(self, said: BarColumns, known: BarColumns) -> None:
        """The same bar is the same, whenever it is asked for; one that is not sent again is not compared."""
        shared, here, there = np.intersect1d(said.ts_open, known.ts_open, return_indices=True)
        differs: Arrays = {name: getattr(said, name)[here] != getattr(known, name)[there] for name in COMPARED}
        for name, wrong in differs.items():
            if wrong.any():
                at = int(np.argmax(wrong))
                values = [float(getattr(known, name)[there][at]), float(getattr(said, name)[here][at])]
                raise self._contradiction(
                    int(shared[at]),
                    int(shared[at]) + self._step,
                    f"says {name} {values[1]!r} now, known is {values[0]!r}; --force-reprime takes what it says now",
                )

    def _contradiction(self, start: int, end: int, what: str) -> UntrustedAnswer:
        return UntrustedAnswer(
            f"{self._symbol} {self._timeframe}, asked for {iso(start)} -> {iso(end)}: the venue {what}"
        )
