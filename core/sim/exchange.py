"""The exchange as a function of virtual time: all its markets, played from their records up to a moment."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from heapq import merge

from core.contracts import Instrument
from core.errors import ConfigError
from core.market.records import Record
from core.sim.klines import PastMinutes
from core.sim.market import Market, Past
from core.sim.streams import NS_PER_S, Message, Publisher

AHEAD_NS_MAX = 86_400_000_000_000
"""A record whose venue time is further ahead of its receipt is left out: time never falls back behind it."""


@dataclass(frozen=True, slots=True)
class Tape:
    """Where a market comes from.

    Attributes:
        instrument: what is traded.
        records: in the order of their receipt, which may be without an end.
        past: trades from before the first record.
        minutes: candles from before the first record; None for none.
    """

    instrument: Instrument
    records: Iterable[Record]
    past: Past
    minutes: PastMinutes | None = None


class Exchange:
    """All markets at one moment.

    Two times run side by side: the one at which a record was received paces the playing, and the venue's own is what
    answers and messages say. The venue's is ahead by the most that any record so far was, if the recording host's clock
    was behind, and never behind.

    Attributes:
        markets: by the venue's name of their symbol.
        first_ns: when the first record was received, ns UTC.
        market_ns: how far it is played, ns UTC of receipt.
        played: records so far.
        skipped: records left out, because their time cannot be.
        ended: whether there is nothing more to play; time stands still then.
    """

    def __init__(self, tapes: Iterable[Tape], wanted: Container[str]) -> None:
        """
        Args:
            tapes: one per symbol.
            wanted: names of the streams that somebody listens to.

        Raises:
            ConfigError: a symbol twice, or nothing to play at all.
        """
        self.markets: dict[str, Market] = {}
        self._publishers: dict[str, Publisher] = {}
        named = [self._open(tape, wanted) for tape in tapes]
        self._records = merge(*named, key=lambda each: each[1].recv_ns)
        self._next = next(self._records, None)
        if self._next is None:
            raise ConfigError(f"nothing is recorded of {', '.join(self.markets)}")
        self.first_ns = self.market_ns = self._next[1].recv_ns
        self._lead_ns = 0
        self._second_ns = self.venue_ns - self.venue_ns % NS_PER_S
        self.played = self.skipped = 0
        self.ended = False

    def _open(self, tape: Tape, wanted: Container[str]) -> Iterator[tuple[str, Record]]:
        market = Market(tape.instrument, tape.past, tape.minutes)
        if market.name in self.markets:
            raise ConfigError(f"the symbol {tape.instrument.symbol} is asked for twice; allowed: once")
        self.markets[market.name] = market
        self._publishers[market.name] = Publisher(market, wanted)
        return ((market.name, record) for record in tape.records)

    @property
    def venue_ns(self) -> int:
        """The time that the exchange says it is, ns UTC."""
        return self.market_ns + self._lead_ns

    @property
    def next_ns(self) -> int | None:
        """When the next record is received, ns UTC; None if there is none."""
        return self._next[1].recv_ns if self._next else None

    def advance(self, until_ns: int) -> Iterator[Message]:
        """Play everything received by a time; the messages that go out meanwhile, in order.

        What is not asked for any more stays unplayed.
        """
        while self._next is not None and self._next[1].recv_ns <= until_ns:
            yield from self._play(*self._next)
        if self._next is None:
            self.ended = True
        else:
            yield from self._move(until_ns)

    def step(self) -> Iterator[Message]:
        """Play the next record, whenever it was received."""
        if self._next is not None:
            yield from self._play(*self._next)
        self.ended = self._next is None

    def _play(self, name: str, record: Record) -> Iterator[Message]:
        self._next = next(self._records, None)
        self.played += 1
        if record.ts_ns > record.recv_ns + AHEAD_NS_MAX:
            self.skipped += 1
            return
        yield from self._move(record.recv_ns)
        self._lead_ns = max(self._lead_ns, record.ts_ns - record.recv_ns)
        if self.markets[name].apply(record):
            yield from self._publishers[name].on_record(record)

    def _move(self, market_ns: int) -> Iterator[Message]:
        """Let time pass, second by second of the venue; of a long silence only the end is told."""
        self.market_ns = max(self.market_ns, market_ns)
        newest = self.venue_ns - self.venue_ns % NS_PER_S
        if newest <= self._second_ns:
            return
        self._second_ns = newest
        for name, market in self.markets.items():
            market.klines.roll(newest)
            yield from self._publishers[name].on_second(newest)
