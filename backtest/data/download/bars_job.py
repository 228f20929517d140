"""Downloads the bars of one series: what is missing, nothing else, and saves it as it goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from backtest.data.columns import ARRAYS, BarColumns
from backtest.data.coverage import Hole, holes_of
from backtest.data.download.bar_sources import BarSource
from backtest.data.download.bar_walk import BarWalk
from backtest.data.download.ledger import Notes
from backtest.data.download.outcome import Outcome
from backtest.data.download.progress import Progress
from backtest.data.download.spans import Span, merged, within, without
from backtest.data.store import Conflict, Dataset
from core.contracts import timeframe_ns
from core.contracts.moments import DAY_NS

SAVED_ROWS = 10_000
SAVED_S = 30.0
"""Whole days are saved after so many rows, or all there is after so long: what a kill may cost."""
SAMPLES, SAMPLE_BARS, SAMPLED_ROWS = 5, 10, 1000
"""Bars are asked for twice at so many places at most, so many at each, one place per so many that were fetched."""
SURE_NS = DAY_NS
"""What a venue does not have at its very end, it may still get; older than this, it does not."""


@dataclass(frozen=True, slots=True)
class BarsWanted:
    """What is to be fetched.

    Attributes:
        symbol: ccxt unified.
        timeframe: of the bars.
        span: opening times on the grid, all of them closed by `now_ns`.
        now_ns: the venue's time, ns UTC.
        again: fetch also what is there, or is known not to be.
    """

    symbol: str
    timeframe: str
    span: Span
    now_ns: int
    again: bool = False

    @property
    def step(self) -> int:
        """Length of a bar, ns."""
        return timeframe_ns(self.timeframe)


def bars_missing(wanted: BarsWanted, have: BarColumns, empty: tuple[Span, ...]) -> tuple[Span, ...]:
    """Where to ask: what is not there, and not known to be nowhere."""
    if wanted.again:
        return merged([wanted.span])
    holes = holes_of(have.ts_open, wanted.step, wanted.span)
    return without(((hole.start_ns, hole.end_ns) for hole in holes), empty)


class BarsJob:
    """One download of one series."""

    def __init__(self, dataset: Dataset, source: BarSource, notes: Notes, progress: Progress) -> None:
        """
        Args:
            dataset: where bars are kept.
            source: where they come from.
            notes: what was downloaded before.
            progress: hears how far it is.
        """
        self._dataset, self._source, self._notes, self._progress = dataset, source, notes, progress

    def run(self, wanted: BarsWanted) -> Outcome:
        """Fetch what is missing; whatever ends it early, what was fetched by then is kept.

        Raises:
            UntrustedAnswer: the venue contradicts itself.
            VenueTrouble, VenueRefused: it does not answer any more.
        """
        symbol, timeframe, span = wanted.symbol, wanted.timeframe, wanted.span
        have = self._dataset.bars(symbol, timeframe, span[0] - wanted.step, span[1])
        before = len(have.between(*span))
        if wanted.again:
            self._notes.forget(span)
        self._notes.begin()
        missing = bars_missing(wanted, have, self._notes.entry.empty)
        basket = _Basket(self._dataset, self._notes, wanted)
        walk = BarWalk(self._source, symbol, timeframe)
        self._progress.begin(f"{symbol} {timeframe}", sum(end - start for start, end in missing))
        try:
            for hole in missing:
                self._fetch(walk, hole, None if wanted.again else have, basket)
        finally:
            basket.save()
        there = self._dataset.bars(symbol, timeframe, *span)
        checked = self._check(walk, there, basket.got) if basket.got else 0
        return replace(
            self._outcome(wanted, there), had=before, new=basket.new, replaced=basket.replaced, checked=checked
        )

    def _fetch(self, walk: BarWalk, hole: Span, have: BarColumns | None, basket: _Basket) -> None:
        settled = hole[0]
        for piece in walk.over(hole, have):
            basket.put(piece.bars, piece.empty, piece.reached)
            self._progress.done((settled, piece.reached), len(piece.bars))
            settled = piece.reached

    def _check(self, walk: BarWalk, there: BarColumns, got: list[Span]) -> int:
        """Ask once more for a sample of what was fetched, against what is on the disk now."""
        step = timeframe_ns(there.timeframe)
        checked = 0
        for start in _sampled(there, got):
            sample = there.between(start, start + SAMPLE_BARS * step)
            if len(sample):
                walk.again(sample)
                checked += len(sample)
        return checked

    def _outcome(self, wanted: BarsWanted, there: BarColumns) -> Outcome:
        holes = holes_of(there.ts_open, wanted.step, wanted.span)
        own = sum(
            (end - start) // wanted.step
            for hole in holes
            for start, end in within(self._notes.entry.empty, (hole.start_ns, hole.end_ns))
        )
        return Outcome(
            wanted.symbol,
            wanted.timeframe,
            self._dataset.name,
            *wanted.span,
            had=0,
            missing=sum(hole.missing for hole in holes),
            own=own,
            holes=holes,
        )


class _Basket:
    """Pieces on their way to the disk."""

    def __init__(self, dataset: Dataset, notes: Notes, wanted: BarsWanted) -> None:
        self._dataset, self._notes, self._wanted = dataset, notes, wanted
        self._conflict: Conflict = "replace" if wanted.again else "refuse"
        self._pieces: list[BarColumns] = []
        self._empty: list[Span] = []
        self._rows = 0
        self._saved_at = time.monotonic()
        self._newest = 0
        self.got: list[Span] = []
        self.new = self.replaced = 0

    def put(self, bars: BarColumns, empty: tuple[Span, ...], reached: int) -> None:
        """Take a piece, and save if it is time for that: whole days if there are any."""
        self._empty += empty
        if len(bars):
            self._pieces.append(bars)
            self._rows += len(bars)
            self.got.append((int(bars.ts_open[0]), reached))
            self._newest = max(self._newest, int(bars.ts_open[-1]))
        late = time.monotonic() - self._saved_at > SAVED_S
        if late or self._rows >= SAVED_ROWS:
            self.save(reached if late else reached - reached % DAY_NS)

    def save(self, upto: int | None = None) -> None:
        """Bring to the disk what opens before a moment; None for all of it."""
        if self._pieces:
            whole = _together(self._pieces)
            ready = whole if upto is None else whole.between(0, upto)
            rest = whole[len(ready) :]
            added = self._dataset.add(ready, conflict=self._conflict)
            self.new += added.new
            self.replaced += added.replaced
            self._pieces, self._rows = ([rest] if len(rest) else []), len(rest)
        ready_empty = [each for each in self._empty if upto is None or each[1] <= upto]
        self._empty = [each for each in self._empty if each not in ready_empty]
        self._notes.add_empty(each for each in ready_empty if self._is_sure(each))
        self._saved_at = time.monotonic()

    def _is_sure(self, span: Span) -> bool:
        """Whether a hole will stay one: bars follow it, or it is old."""
        return span[1] <= max(self._newest, self._wanted.now_ns - SURE_NS)


def _together(pieces: list[BarColumns]) -> BarColumns:
    arrays = {name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in ARRAYS}
    return BarColumns.of(pieces[0].symbol, pieces[0].timeframe, arrays)


def _sampled(there: BarColumns, got: list[Span]) -> Iterator[int]:
    """Where samples begin: spread over what was fetched, and right before the longest holes in it."""
    fetched = merged(got)
    first, last = fetched[0][0], fetched[-1][1]
    fresh = there.between(first, last)
    samples = min(SAMPLES, -(-len(fresh) // SAMPLED_ROWS))
    places = np.unique(np.linspace(0, max(0, len(fresh) - SAMPLE_BARS), samples).astype(np.int64))
    yield from (int(fresh.ts_open[place]) for place in places)
    step = timeframe_ns(there.timeframe)
    holes = holes_of(fresh.ts_open, step, (first, last))
    longest: list[Hole] = sorted(holes, key=lambda hole: -hole.missing)[:SAMPLES]
    yield from (hole.start_ns - step for hole in longest)
