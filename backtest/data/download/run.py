"""Downloads as they are asked for: which series, of which venue, into which dataset."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from backtest.data.coverage import Hole
from backtest.data.download.bar_sources import bar_source
from backtest.data.download.bars_job import BarsJob, BarsWanted, bars_missing
from backtest.data.download.ledger import Downloaded, Notes, read_ledger
from backtest.data.download.outcome import Outcome
from backtest.data.download.progress import Progress
from backtest.data.download.spans import Span
from backtest.data.download.trade_sources import NumberedTrades, TimedTrades
from backtest.data.download.trade_walk import by_number, by_time
from backtest.data.download.trades_job import TradesJob, TradesWanted, trades_missing
from backtest.data.store import Dataset, History, Origin
from core.contracts import timeframe_ns
from core.contracts.moments import iso
from core.errors import ConfigError

if TYPE_CHECKING:
    from backtest.data.download.client import VenueClient

NOW = 0
"""As an end: the venue's own time, only whole bars."""
PLANNED_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Wish:
    """One series that somebody wants.

    Attributes:
        dataset: where it is kept.
        venue: where from, an id of ccxt's.
        endpoint: another host that speaks Binance's protocol; empty for the venue's own.
        symbol: ccxt unified.
        timeframe: of its bars; empty for trades.
        start_ns: first moment, ns UTC.
        end_ns: last moment, exclusive; `NOW` for as much as there is.
        again: fetch also what is there.
    """

    dataset: str
    venue: str
    endpoint: str
    symbol: str
    timeframe: str
    start_ns: int
    end_ns: int = NOW
    again: bool = False

    @property
    def label(self) -> str:
        """The series for people."""
        return f"{self.symbol} {self.timeframe or 'trades'}"

    @property
    def place(self) -> tuple[str, str]:
        """The venue, and the host that stands for it."""
        return self.venue, self.endpoint

    @property
    def entry(self) -> Downloaded:
        """What the ledger says of it at first."""
        return Downloaded(self.symbol, self.timeframe, self.venue, self.endpoint, self.start_ns)


def wishes_again(history: History, *, dataset: str = "", again: bool = False) -> list[Wish]:
    """Everything that was downloaded before, up to now.

    Args:
        history: where to look.
        dataset: only there; empty for everywhere.
        again: fetch also what is there.

    Raises:
        ConfigError: nothing was downloaded there.
    """
    names = [dataset] if dataset else history.names()
    found = [
        Wish(name, each.venue, each.endpoint, each.symbol, each.timeframe, each.start_ns, again=again)
        for name in names
        for each in read_ledger(history.dataset(name).folder).series
    ]
    if not found:
        where = f"--dataset is {dataset!r}, which" if dataset else f"{history.folder}"
        raise ConfigError(f"{where} holds nothing that was downloaded; `download` comes first")
    return found


def plan(history: History, wishes: Iterable[Wish]) -> Iterator[Outcome]:
    """What would be fetched, by what is on the disk and this machine's clock; nothing is asked of anybody.

    Raises:
        DataError: a series was downloaded from another venue.
    """
    now_ns = time.time_ns()
    for wish in wishes:
        dataset = history.dataset(wish.dataset)
        notes = Notes(dataset.folder, wish.entry)
        span = _span(wish, now_ns)
        if wish.timeframe:
            have = dataset.bars(wish.symbol, wish.timeframe, *span)
            wanted = BarsWanted(wish.symbol, wish.timeframe, span, now_ns, wish.again)
            stretches = bars_missing(wanted, have, () if wish.again else notes.entry.empty)
            there, step = len(have), wanted.step
        else:
            stretches = trades_missing(TradesWanted(wish.symbol, span, wish.again), notes.entry.done)
            there, step = len(dataset.trades(wish.symbol, *span)), 0
        holes = tuple(Hole(start, end, (end - start) // step if step else 0) for start, end in stretches)
        pages = sum(math.ceil(max(1, hole.missing) / (PLANNED_PAGE - 1)) for hole in holes)
        bars = sum(hole.missing for hole in holes)
        yield Outcome(
            wish.symbol, wish.timeframe, dataset.name, *span,
            had=there, new=bars, missing=bars, holes=holes, requests=pages, planned=True,
        )  # fmt: skip


class Downloads:
    """Downloads series one behind the other; each venue has one client for all of them."""

    def __init__(self, history: History, progress: Progress) -> None:
        """
        Args:
            history: where they are kept.
            progress: hears how far it is.
        """
        self._history, self._progress = history, progress
        self._clients: dict[tuple[str, str], VenueClient] = {}

    def fetch(self, wish: Wish) -> Outcome:
        """Download what is missing of one.

        Raises:
            ConfigError: a venue, symbol or timeframe that is none; nothing was fetched.
            DataError: the series was downloaded from another venue, or the venue contradicts itself.
            VenueTrouble, VenueRefused: the venue does not answer; what it said before is kept.
        """
        dataset, client = self._history.dataset(wish.dataset), self._client(wish)
        before = client.requests
        if wish.timeframe:
            client.require_bars(wish.timeframe)
        else:
            client.require_trades()
        dataset.manifest.require(wish.venue)
        notes = Notes(dataset.folder, wish.entry)
        client.market_id(wish.symbol)
        now_ns = client.now_ns()
        if wish.start_ns >= now_ns:
            allowed = f"before now, which is {iso(now_ns)} at {wish.venue}"
            raise ConfigError(f"--start is {iso(wish.start_ns)}; allowed: {allowed}")
        run = _bars if wish.timeframe else _trades
        outcome = run(wish, client, _Place(dataset, notes, self._progress), _span(wish, now_ns), now_ns)
        _note_origin(dataset, wish)
        return replace(outcome, requests=client.requests - before)

    def _client(self, wish: Wish) -> VenueClient:
        from backtest.data.download.client import VenueClient

        if wish.place not in self._clients:
            self._clients[wish.place] = VenueClient(*wish.place, tell=self._progress.say)
        return self._clients[wish.place]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where rows go, and who hears of them."""

    dataset: Dataset
    notes: Notes
    progress: Progress


def _bars(wish: Wish, client: VenueClient, place: _Place, span: Span, now_ns: int) -> Outcome:
    source = bar_source(client, wish.symbol, wish.timeframe)
    job = BarsJob(place.dataset, source, place.notes, place.progress)
    return job.run(BarsWanted(wish.symbol, wish.timeframe, span, now_ns, wish.again))


def _trades(wish: Wish, client: VenueClient, place: _Place, span: Span, now_ns: int) -> Outcome:
    if client.numbered:
        numbered = partial(by_number, NumberedTrades(client, wish.symbol), wish.symbol)
        job = TradesJob(place.dataset, numbered, place.notes, place.progress)
    else:
        timed = partial(by_time, TimedTrades(client, wish.symbol), wish.symbol)
        job = TradesJob(place.dataset, lambda span, _: timed(span), place.notes, place.progress)
    return job.run(TradesWanted(wish.symbol, span, wish.again))


def _span(wish: Wish, now_ns: int) -> Span:
    """The range of a wish: on the grid, and only what is over by now."""
    end_ns = min(wish.end_ns or now_ns, now_ns)
    if not wish.timeframe:
        return wish.start_ns, max(wish.start_ns, end_ns)
    step = timeframe_ns(wish.timeframe)
    start = -(-wish.start_ns // step) * step
    closed = now_ns - now_ns % step
    return start, max(start, min(-(-end_ns // step) * step, closed))


def _note_origin(dataset: Dataset, wish: Wish) -> None:
    """Say in the dataset where its rows came from."""
    if wish.timeframe:
        bars = dataset.bars(wish.symbol, wish.timeframe)
        rows, first, last = len(bars), bars.ts_open[:1], bars.ts_open[-1:]
    else:
        trades = dataset.trades(wish.symbol)
        rows, first, last = len(trades), trades.ts[:1], trades.ts[-1:]
    if not rows:
        return
    source = f"{wish.venue} at {wish.endpoint}" if wish.endpoint else wish.venue
    origin = Origin(source, wish.symbol, wish.timeframe, rows, int(first[0]), int(last[0]), time.time_ns(), "download")
    dataset.note_origin(origin, venue=wish.venue)
