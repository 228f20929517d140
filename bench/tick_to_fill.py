"""From the call that commits a trade to the receipt of the fill it leads to, through the real processes.

The bench is the market data source: it commits trades and journals them as md_ingest does. A strategy orders on every
n-th trade; the gate decides, the paper venue fills, and a subscriber in the bench receives.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from bench.every_nth import STRATEGIES
from bench.figures import Outcome, median, percentile, spread
from bench.lab import PROFILE, Lab, run, trade_items
from core.codec import Header, header_of
from core.contracts import FillEvent, OrderEvent, OrderIntent
from core.runtime.archive import Archive
from core.sequencer.port import Inbox
from core.sequencer.redis import RedisCell
from core.sequencer.wire import Wire, dial, parse_url

INSTANCE = "md_ingest.BTCUSDT"
ORDERS = 150
WARM_UP = 100
FILL_LIMIT_S = 5.0
TAIL_S = 0.02
HOPS = ("call to trade", "trade to intent", "intent to order", "order to fill", "fill to receipt")
"""The first and the last one cross two clocks of one machine."""

_STEP_OF = {OrderIntent.__name__: 1, OrderEvent.__name__: 2, FillEvent.__name__: 3}


@dataclass(slots=True)
class Sample:
    """One order's way.

    Attributes:
        called_ns: before the commit of the trade, wall clock.
        stamps: the sequencer's times of trade, intent, order and fill, ns UTC.
        received_ns: when the fill was here, wall clock.
    """

    called_ns: int
    stamps: list[int] = field(default_factory=lambda: [0] * 4)
    received_ns: int = 0

    @property
    def total_us(self) -> float:
        """The whole way."""
        return (self.received_ns - self.called_ns) / 1e3

    @property
    def hops_us(self) -> list[float]:
        """Its parts, in the order of HOPS."""
        marks = [self.called_ns, *self.stamps, self.received_ns]
        return [(after - before) / 1e3 for before, after in pairwise(marks)]


@dataclass(slots=True)
class Round:
    """What one round gave, in us; a cold trip is the first one after a pause, as a tick is."""

    samples: list[Sample] = field(default_factory=list)
    trips_us: list[float] = field(default_factory=list)
    cold_trips_us: list[float] = field(default_factory=list)

    def multiple(self, share: float) -> float:
        """A percentile of the way as a multiple of four median round trips."""
        return percentile((sample.total_us for sample in self.samples), share) / (4 * median(self.trips_us))


@dataclass(frozen=True, slots=True)
class Tempo:
    """How trades follow each other.

    Attributes:
        name: in words.
        every: an order on every so many-th trade.
        pause_s: between two trades, seconds.
    """

    name: str
    every: int
    pause_s: float


TEMPI = (Tempo("after pauses of 4 ms", 4, 0.004), Tempo("back to back", 1, 0.0))
"""A market that lets processes fall asleep, and one that does not."""


def measure(folder: Path, rounds: int) -> Outcome:
    """The way of some hundred orders, with a PING between any two of them, at both tempi."""
    outcome = Outcome()
    for tempo in TEMPI:
        with Lab(folder / str(tempo.every), profile=PROFILE, strategies=STRATEGIES.format(n=tempo.every)) as lab:
            lab.start_services()
            measured = run(_rounds(lab, rounds, tempo))
            lab.terminate()
        _report(outcome, tempo, measured)
    return outcome


def _report(outcome: Outcome, tempo: Tempo, rounds: list[Round]) -> None:
    samples = [sample for each in rounds for sample in each.samples]
    totals = [sample.total_us for sample in samples]
    outcome.remarks.append(f"{tempo.name}: {len(samples)} orders; journals and states of all on, also the bench's own")
    outcome.add(
        f"round trip (PING), p50, {tempo.name}", median([trip for each in rounds for trip in each.trips_us]), "us",
        note=spread([median(each.trips_us) for each in rounds]),
    )  # fmt: skip
    cold = [median(each.cold_trips_us) for each in rounds]
    outcome.add("  the first one of two, p50", median(cold), "us", note=spread(cold))
    for name, share, target in (("p50", 0.5, "<= 12"), ("p99", 0.99, "")):
        multiples = [each.multiple(share) for each in rounds]
        outcome.add(
            f"tick to fill, {name}, {tempo.name}", percentile(totals, share), "us", ratio=median(multiples),
            against="4 round trips", target=target, note=spread(multiples),
        )  # fmt: skip
    waited = [percentile((one.total_us for one in each.samples), 0.5) for each in rounds]
    multiples = [way / (4 * trip) for way, trip in zip(waited, cold, strict=True)]
    outcome.add(
        "tick to fill, p50", median(waited), "us", ratio=median(multiples), against="4 first round trips",
        note=spread(multiples),
    )  # fmt: skip
    for index, hop in enumerate(HOPS):
        way = [sample.hops_us[index] for sample in samples]
        outcome.add(f"  {hop}, p50", percentile(way, 0.5), "us", note=f"p99 {percentile(way, 0.99):,.0f}")


async def _rounds(lab: Lab, rounds: int, tempo: Tempo) -> list[Round]:
    async with lab.cell() as cell:
        wire = await dial(parse_url(lab.server.url))
        tailing = asyncio.create_task(_tail(Archive(cell, INSTANCE, lab.journals)))
        source = _Source(cell, await cell.subscribe(["strat.intent", "orders.accepted", "fills.new"]), wire, tempo)
        await source.open(lab)
        await source.round(WARM_UP)
        done = [await source.round(ORDERS) for _ in range(rounds)]
        tailing.cancel()
        with suppress(asyncio.CancelledError):
            await tailing
        wire.close()
    return done


async def _tail(archive: Archive) -> None:
    """Journal the trades, as a feeder's shell does."""
    try:
        while True:
            await asyncio.sleep(TAIL_S)
            await archive.tail()
            await archive.sync()
    finally:
        archive.close()


class _Source:
    """The source of market data and the receiver of fills."""

    def __init__(self, cell: RedisCell, inbox: Inbox, wire: Wire, tempo: Tempo) -> None:
        self._cell, self._inbox, self._wire, self._tempo = cell, inbox, wire, tempo
        self._trades = 0

    async def open(self, lab: Lab) -> None:
        self._committer = await lab.committer(self._cell, INSTANCE)

    async def round(self, orders: int) -> Round:
        done = Round()
        for _ in range(orders):
            for _ in range(self._tempo.every - 1):
                await self._commit()
                await asyncio.sleep(self._tempo.pause_s)
            done.cold_trips_us.append(await self._ping())
            done.trips_us.append(await self._ping())
            done.samples.append(await self._order())
            await asyncio.sleep(self._tempo.pause_s)
        return done

    async def _commit(self) -> int:
        """Publish the next trade; its time."""
        self._trades += 1
        return (await self._committer.commit(trade_items(1, self._trades))).ts_ns

    async def _ping(self) -> float:
        start = time.perf_counter_ns()
        await self._wire.call("PING")
        return (time.perf_counter_ns() - start) / 1e3

    async def _order(self) -> Sample:
        """Publish the trade that leads to an order, and wait for the fill."""
        sample = Sample(time.time_ns())
        sample.stamps[0] = await self._commit()
        async with asyncio.timeout(FILL_LIMIT_S):
            while not sample.received_ns:
                for _, line in await self._inbox.take():
                    now = time.time_ns()
                    header = header_of(line)
                    self._note(sample, header, now)
        return sample

    def _note(self, sample: Sample, header: Header, now: int) -> None:
        step = _STEP_OF[header.type]
        sample.stamps[step] = header.ts
        if step == len(sample.stamps) - 1:
            sample.received_ns = now
