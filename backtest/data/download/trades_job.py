"""Downloads the trades of one symbol: the stretches that have not been asked for yet, saved as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from backtest.data.coverage import Hole
from backtest.data.download.ledger import Notes, Stretch
from backtest.data.download.outcome import Outcome
from backtest.data.download.progress import Progress
from backtest.data.download.spans import Span, merged, without
from backtest.data.download.trade_walk import TradePiece
from backtest.data.store import Conflict, Dataset
from backtest.data.trades import TRADE_ARRAYS, TradeColumns

SAVED_ROWS = 50_000
SAVED_S = 30.0
"""Saved after so many trades or so long, whatever comes first: what a kill may cost."""

Walk = Callable[[Span, int], Iterator[TradePiece]]
"""The pieces of a range, from a trade's number on or from -1."""


@dataclass(frozen=True, slots=True)
class TradesWanted:
    """What is to be fetched.

    Attributes:
        symbol: ccxt unified.
        span: times of trades, ns UTC, in the venue's past.
        again: fetch also what has been fetched before.
    """

    symbol: str
    span: Span
    again: bool = False


def trades_missing(wanted: TradesWanted, done: tuple[Stretch, ...]) -> tuple[Span, ...]:
    """Where to ask: what has not been asked for to the end."""
    if wanted.again:
        return merged([wanted.span])
    return without([wanted.span], ((each.start_ns, each.end_ns) for each in done))


class TradesJob:
    """One download of the trades of one symbol."""

    def __init__(self, dataset: Dataset, walk: Walk, notes: Notes, progress: Progress) -> None:
        """
        Args:
            dataset: where trades are kept.
            walk: brings them.
            notes: what was downloaded before.
            progress: hears how far it is.
        """
        self._dataset, self._walk, self._notes, self._progress = dataset, walk, notes, progress

    def run(self, wanted: TradesWanted) -> Outcome:
        """Fetch what is missing; whatever ends it early, what was fetched by then is kept.

        Raises:
            UntrustedAnswer: the venue contradicts itself.
            VenueTrouble, VenueRefused: it does not answer any more.
        """
        before = len(self._dataset.trades(wanted.symbol, *wanted.span))
        if wanted.again:
            self._notes.forget(wanted.span)
        self._notes.begin()
        missing = trades_missing(wanted, self._notes.entry.done)
        self._progress.begin(f"{wanted.symbol} trades", sum(end - start for start, end in missing))
        basket = _Basket(self._dataset, self._notes, "replace" if wanted.again else "refuse")
        for span in missing:
            basket.begin(span[0])
            try:
                for piece in self._walk(span, self._notes.entry.next_id(span[0])):
                    self._progress.done((basket.reached, piece.reached), len(piece.trades))
                    basket.put(piece)
            finally:
                basket.save()
        return Outcome(
            wanted.symbol,
            "",
            self._dataset.name,
            *wanted.span,
            had=before,
            new=basket.new,
            replaced=basket.replaced,
            missing=basket.missing,
            holes=tuple(Hole(start, end, 0) for start, end in trades_missing(wanted, self._notes.entry.done))
            if not wanted.again
            else (),
        )


class _Basket:
    """Pieces on their way to the disk."""

    def __init__(self, dataset: Dataset, notes: Notes, conflict: Conflict) -> None:
        self._dataset, self._notes, self._conflict = dataset, notes, conflict
        self._pieces: list[TradeColumns] = []
        self._rows = 0
        self._saved_at = time.monotonic()
        self._from = self.reached = 0
        self._next_id = -1
        self.new = self.replaced = self.missing = 0

    def begin(self, start_ns: int) -> None:
        """A stretch begins."""
        self._from = self.reached = start_ns

    def put(self, piece: TradePiece) -> None:
        """Take a piece, and save if it is time for that."""
        self.reached, self._next_id = piece.reached, piece.next_id
        self.missing += piece.missing
        if len(piece.trades):
            self._pieces.append(piece.trades)
            self._rows += len(piece.trades)
        if self._rows >= SAVED_ROWS or time.monotonic() - self._saved_at > SAVED_S:
            self.save()

    def save(self) -> None:
        """Bring all of it to the disk, and then note that it is there."""
        if self._pieces:
            arrays = {name: np.concatenate([getattr(piece, name) for piece in self._pieces]) for name in TRADE_ARRAYS}
            added = self._dataset.add_trades(TradeColumns.of(self._pieces[0].symbol, arrays), conflict=self._conflict)
            self.new += added.new
            self.replaced += added.replaced
        if self.reached > self._from:
            self._notes.add_done(Stretch(self._from, self.reached, self._next_id))
            self._from = self.reached
        self._pieces, self._rows, self._saved_at = [], 0, time.monotonic()
