"""A live stream of trades put in order: what came behind a hole waits until the hole is filled or given up.

A stream loses messages without saying so: a socket breaks, a server drops what a slow reader did not take. Where a
venue numbers its trades, the numbers show it; where it does not, every new connection may have missed something. Either
way the trades are asked for afterwards. Nothing here does that itself: `wants` says what to ask for, the answer is
handed in, and what comes out is in order, each trade once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from core.contracts import TradeEvent, TradeGap
from core.errors import ConfigError
from core.market.feed import NS_PER_S, TextWindow
from core.market.records import Newest, TradeRecord
from core.market.source import Counts

HELD_MAX = 10_000
"""Trades that wait behind a hole; those beyond are left to be asked for."""
TRIES_MAX = 5
"""Answers without the trade asked for until the venue is believed not to have it: its history may lag its stream."""
BACK_FILL_MAX = 100_000
"""Trades that are asked for after a long absence, the newest ones; a hundred requests, within every venue's limits."""
BACKWARD_IDS, BACKWARD_NS = 1000, 60 * NS_PER_S
"""How far a venue's newest trade may lie before what was published; more is another venue, or a new beginning."""

Step = TradeRecord | TradeGap


class Missing(NamedTuple):
    """Trades to ask the venue for.

    Attributes:
        from_id: the first one; 0 where ids do not say.
        to_id: the last one that is known to be missing; 0 where ids do not say.
        since_ns: venue time of the last trade before them, ns UTC; 0 if there was none.
    """

    from_id: int
    to_id: int
    since_ns: int


class TradeSequence(Protocol):
    """Puts one symbol's trades in order."""

    @property
    def whole(self) -> bool:
        """Whether everything that is known to exist has come out."""
        ...

    @property
    def begun(self) -> bool:
        """Whether any trade is known, published ones included."""
        ...

    def on_trade(self, record: TradeRecord) -> Sequence[Step]:
        """A trade from the stream."""
        ...

    def on_newest(self, newest: Newest | None) -> Sequence[Step]:
        """The venue's newest trade by its history; None if it has none.

        Raises:
            ConfigError: it lies so far back that the published trades cannot be this venue's.
        """
        ...

    def wants(self) -> Missing | None:
        """What to ask for now; None while nothing is known to be missing."""
        ...

    def on_fetched(self, records: Iterable[TradeRecord]) -> Sequence[Step]:
        """The answer to what was wanted, in any order; more than was asked for does no harm."""
        ...

    def on_refused(self, reason: str) -> Sequence[Step]:
        """The venue will not answer: go on behind the hole, and say that it is there."""
        ...

    def on_disconnected(self) -> None:
        """The stream has ended; another one follows."""


class IdSequence:
    """For venues that number the trades of a symbol 1, 2, 3 without leaving any out."""

    def __init__(self, symbol: str, counts: Counts, published: Sequence[TradeEvent]) -> None:
        """
        Args:
            symbol: ccxt unified.
            counts: where to count.
            published: the newest published trades, whose ids are numbers; empty at the very first start, which begins
                with the first trade heard of.
        """
        self._symbol, self._counts = symbol, counts
        last = max(published, key=lambda trade: int(trade.trade_id), default=None)
        self._next = int(last.trade_id) + 1 if last else -1  # -1: nothing was published and nothing was heard of
        self._last_ns = last.ts if last else 0
        self._known = Newest(self._next - 1, self._last_ns)
        self._held: dict[int, TradeRecord] = {}
        self._tries = self._skipped = 0

    @property
    def whole(self) -> bool:
        """Whether everything that is known to exist has come out."""
        return self._next > int(self._known.trade_id) and not self._skipped

    @property
    def begun(self) -> bool:
        """Whether any trade is known."""
        return self._next >= 0

    def on_trade(self, record: TradeRecord) -> Sequence[Step]:
        """A trade from the stream."""
        number = int(record.trade_id)
        if self._next < 0:
            self._next = number
        if number < self._next or number in self._held:
            self._counts.duplicates += 1
            return ()
        if number > max(self._next, int(self._known.trade_id)) + BACK_FILL_MAX:
            self._counts.ignored += 1  # its history must say so too before everything in between is given up
            return ()
        self._learn(Newest(number, record.ts_ns))
        if len(self._held) < HELD_MAX or number == self._next:
            self._held[number] = record
        return self._release()

    def on_newest(self, newest: Newest | None) -> Sequence[Step]:
        """The venue's newest trade by its history."""
        if newest is None:
            return ()
        number = int(newest.trade_id)
        if self._next < 0:
            self._next, self._last_ns = number + 1, newest.ts_ns
        if number < self._next - BACKWARD_IDS or newest.ts_ns < self._last_ns - BACKWARD_NS:
            raise ConfigError(
                f"the published trades of {self._symbol} end with id {self._next - 1}, the venue's with {number} of an"
                " earlier time: they are another venue's, or the venue has begun anew; use another redis.cell and"
                " paths.journal_dir for it"
            )
        self._learn(newest)
        return ()

    def _learn(self, newest: Newest) -> None:
        if int(newest.trade_id) > int(self._known.trade_id):
            self._known = newest
            too_many = int(newest.trade_id) - self._next + 1 - BACK_FILL_MAX
            if too_many > 0:
                self._skipped += too_many
                self._next += too_many
                self._held = {number: held for number, held in self._held.items() if number >= self._next}

    def wants(self) -> Missing | None:
        """The first hole."""
        known = int(self._known.trade_id)
        if self._next < 0 or self._next > known:
            return None
        return Missing(self._next, min(self._held, default=known + 1) - 1, self._last_ns)

    def on_fetched(self, records: Iterable[TradeRecord]) -> Sequence[Step]:
        """The answer to what was wanted."""
        before = self._next
        for record in records:
            number = int(record.trade_id)
            if number >= self._next and number not in self._held:
                self._held[number] = record
                self._counts.back_filled += 1
                self._learn(Newest(number, record.ts_ns))
        steps = self._release()
        if self._next > before or self.wants() is None:
            self._tries = 0
            return steps
        self._tries += 1
        return steps if self._tries < TRIES_MAX else self.on_refused("the venue's history does not hold them")

    def on_refused(self, reason: str) -> Sequence[Step]:
        """Go on behind the first hole."""
        wanted = self.wants()
        if wanted is None:
            return ()
        first = wanted.to_id + 1
        held = self._held.get(first)
        before_ns = held.ts_ns if held else self._known.ts_ns
        gap = self._gap(first - self._next, before_ns, reason)
        self._next, self._tries = first, 0
        return (gap, *self._release())

    def on_disconnected(self) -> None:
        """The ids say what the next stream has missed."""

    def _release(self) -> Sequence[Step]:
        """What waits and is now next."""
        steps: list[Step] = []
        while (record := self._held.pop(self._next, None)) is not None:
            if self._skipped:
                steps.append(self._gap(0, record.ts_ns, f"more than {BACK_FILL_MAX} trades were missed"))
            self._next += 1
            self._last_ns = max(self._last_ns, record.ts_ns)
            self._tries = 0
            steps.append(record)
        return steps

    def _gap(self, missing: int, before_ns: int, reason: str) -> TradeGap:
        self._counts.gaps += 1
        gap = TradeGap(self._symbol, self._last_ns, max(before_ns, self._last_ns), missing + self._skipped, reason)
        self._skipped = 0
        return gap


class TextSequence:
    """For venues whose ids say nothing of their order: after every connection the history is asked for.

    A history that does not reach back to the last published trade leaves a gap of unknown size.
    """

    def __init__(self, symbol: str, counts: Counts, published: Sequence[TradeEvent]) -> None:
        """
        Args:
            symbol: ccxt unified.
            counts: where to count.
            published: the newest published trades; empty at the very first start.
        """
        self._symbol, self._counts = symbol, counts
        self._seen = TextWindow()
        for trade in published:
            self._seen.accept(trade.trade_id)
        self._last_ns = published[-1].ts if published else 0
        self._origin_ns = -1  # what is not later happened before the very first start
        self._behind = bool(published)
        self._reached = self._overflown = False
        self._held: list[TradeRecord] = []

    @property
    def whole(self) -> bool:
        """Whether nothing is known to be missing."""
        return not self._behind

    @property
    def begun(self) -> bool:
        """Whether any trade is known."""
        return self._last_ns > 0

    def on_trade(self, record: TradeRecord) -> Sequence[Step]:
        """A trade from the stream; it waits while the history is being asked for."""
        if not self._behind:
            return self._new((record,))
        if len(self._held) < HELD_MAX:
            self._held.append(record)
        else:
            self._overflown = True
        return ()

    def on_newest(self, newest: Newest | None) -> Sequence[Step]:
        """The venue's newest trade by its history: one that was not heard of means that others may be missing."""
        if newest is not None and self._last_ns == 0 and not self._held:
            self._seen.accept(newest.trade_id)
            self._last_ns = self._origin_ns = newest.ts_ns
        elif newest is not None and newest.trade_id not in self._seen and newest.ts_ns >= self._last_ns:
            self.on_disconnected()
        return ()

    def wants(self) -> Missing | None:
        """Everything since the last trade, that one included."""
        return Missing(0, 0, self._last_ns) if self._behind else None

    def on_fetched(self, records: Iterable[TradeRecord]) -> Sequence[Step]:
        """The answer; asked again until it brings nothing new."""
        ordered = sorted(records, key=lambda record: record.ts_ns)
        self._reached = self._reached or any(record.trade_id in self._seen for record in ordered)
        before, after_ns = self._counts.duplicates, self._last_ns
        steps = self._new(ordered)
        self._counts.duplicates = before  # the overlap was asked for
        self._counts.back_filled += len(steps)
        if steps and not self._reached:
            self._reached = True
            return (self._gap(after_ns, steps[0], "the venue's history does not reach back so far"), *steps)
        if steps:
            return steps
        return self._caught_up()

    def on_refused(self, reason: str) -> Sequence[Step]:
        """Go on with what has come since."""
        if not self._behind:
            return ()
        after_ns = self._last_ns
        steps = self._caught_up()
        return (self._gap(after_ns, steps[0] if steps else None, reason), *steps)

    def on_disconnected(self) -> None:
        """Something may be missed between this stream and the next."""
        if self._last_ns:
            self._behind, self._reached = True, False

    def _caught_up(self) -> Sequence[Step]:
        self._behind, self._overflown = self._overflown, False
        held, self._held = self._held, []
        return self._new(held)

    def _new(self, records: Iterable[TradeRecord]) -> Sequence[TradeRecord]:
        new = []
        for record in records:
            if record.ts_ns > self._origin_ns and self._seen.accept(record.trade_id):
                self._last_ns = max(self._last_ns, record.ts_ns)
                new.append(record)
            else:
                self._counts.duplicates += 1
        return new

    def _gap(self, after_ns: int, behind: Step | None, reason: str) -> TradeGap:
        self._counts.gaps += 1
        before_ns = behind.ts_ns if isinstance(behind, TradeRecord) else after_ns
        return TradeGap(self._symbol, min(after_ns, before_ns), before_ns, 0, reason)
