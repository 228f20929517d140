"""Runs a venue's streams for one symbol: dials, watches whether they speak, and asks for what they left out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog

from core.adapters.venue import Venue, VenueRefused, VenueTrouble, backoff_s, one_line
from core.contracts import Event
from core.market.live import LiveMarket
from core.market.records import DepthRecord, Record, TradeRecord
from core.market.source import Counts, Outlet, Tails
from core.runner import readable
from core.topics import ingest_of

TICK_S = 0.05
GRACE_S = 0.2
"""A hole may close by itself: messages overtake each other. It is asked about when it is this old."""
QUIET_S = 1.0
"""After so long without a trade the venue is asked whether there was one."""
SILENT_S = 2.0
"""After so long without a change of the book the venue is asked whether there was one."""
PROOF_S = 1.0
"""What the venue's history shows must have come over the stream within this, or the stream is mute."""
STEADY_S = 1.0
"""A connection that lasted so long was a good one: the next is dialed at once."""
PATIENCE_S = 60.0
"""For so long missing trades are asked for in vain before they are given up."""
BOOK_LEVELS, GLANCE_LEVELS = 1000, 5

log = structlog.get_logger()


class _Ear:
    """Hands on what the streams say, and remembers when they said anything."""

    def __init__(self, market: LiveMarket, outlet: Outlet) -> None:
        self._market, self._outlet = market, outlet
        self.trade_at = self.book_at = time.monotonic()
        self.book_id = -1
        self.messages = 0
        self.lost = ""
        self.quote_lags_since: float | None = None
        self._quote: tuple[float, float] | None = None

    @property
    def full(self) -> bool:
        return self._outlet.full

    def hear(self, record: Record | None) -> None:
        self.messages += 1
        if record is None:
            self._market.counts.ignored += 1
            return
        if isinstance(record, TradeRecord):
            self.trade_at = time.monotonic()
        elif isinstance(record, DepthRecord):
            self.book_at, self.book_id = time.monotonic(), record.last_update_id
            if record.kind == "snapshot":
                self._compare(record)
        else:
            self._quote, self.quote_lags_since = (record.bid, record.ask), None
        if events := self._market.on_record(record):
            self._outlet.push(events)
            self.lost = self._market.counts.trouble = ""

    def on_lost(self, reason: str) -> None:
        """The streams have ended: say why until they speak again."""
        self.lost = self._market.counts.trouble = one_line(reason)
        self._market.counts.reconnects += 1

    def on_trouble(self, reason: str) -> None:
        """A request has failed; that the streams have ended would be the better reason."""
        self._market.counts.trouble = self.lost or one_line(reason)
        self._market.counts.troubles += 1

    def on_answer(self) -> None:
        """Requests are answered again."""
        self._market.counts.trouble = self.lost

    def _compare(self, book: DepthRecord) -> None:
        """Best prices that a whole book contradicts are old, or about to follow."""
        if self._quote is None or not book.bids or not book.asks:
            return
        if self._quote == (book.bids[0][0], book.asks[0][0]):
            self.quote_lags_since = None
        elif self.quote_lags_since is None:
            self.quote_lags_since = time.monotonic()

    def broken(self, place: str, error: str, raw: bytes) -> None:
        self.messages += 1
        self._outlet.push((self._market.on_broken(place, error, readable(raw)),))

    async def room(self) -> None:
        await self._outlet.room()


class LiveFeed:
    """The live source of one symbol."""

    def __init__(self, venue: Callable[[], Venue], symbol: str) -> None:
        """
        Args:
            venue: the client, which symbols of a process share; called when the source is run.
            symbol: ccxt unified.
        """
        self._venue_of = venue
        self._symbol = symbol
        self._counts = Counts()

    @property
    def counts(self) -> Counts:
        """What it has met so far, over all runs."""
        return self._counts

    async def run(self, resume: Tails, outlet: Outlet) -> None:
        """Go on behind what was published, until canceled.

        Raises:
            ConfigError: the venue has no such market, or is not the one that the tails come from.
            ContractError: the published trades have ids that are not this venue's.
        """
        venue = self._venue_of()
        instance = ingest_of(self._symbol)
        market = LiveMarket(self._symbol, instance, resume, contiguous=venue.contiguous, counts=self._counts)
        await venue.open()
        line = _Line(venue, self._symbol, market, outlet)
        tasks = [asyncio.create_task(line.keep_open()), asyncio.create_task(_Repairs(line).keep_whole())]
        try:
            # Not `gather`: canceled, it cancels these, and doing so again below would cut off how they take leave.
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            try:
                await asyncio.gather(*tasks, return_exceptions=True)
            finally:  # another cancel must not leave the client behind
                await venue.close()


class _Line:
    """The connection to the streams, dialed again whenever it ends."""

    def __init__(self, venue: Venue, symbol: str, market: LiveMarket, outlet: Outlet) -> None:
        self.venue, self.symbol, self.market, self.outlet = venue, symbol, market, outlet
        self.ear = _Ear(market, outlet)
        self.connections = 0
        self._connection: asyncio.Task[None] | None = None
        self._given_up = ""

    def say(self, events: Sequence[Event]) -> None:
        """Publish."""
        if events:
            self.outlet.push(events)

    def redial(self, reason: str) -> None:
        """Give up a connection that says nothing any more."""
        if self._connection is not None and not self._connection.done():
            log.warning("stream_mute", symbol=self.symbol, reason=reason)
            self._connection.cancel()
            self._connection, self._given_up = None, reason

    async def keep_open(self) -> None:
        """Dial for ever."""
        failures = 0
        while True:
            await asyncio.sleep(max(backoff_s(failures), self.venue.ban.left_s))
            if self.venue.ban.left_s:
                continue
            begun, said = time.monotonic(), self.ear.messages
            error = await self._connect()
            lasted = time.monotonic() - begun >= STEADY_S and self.ear.messages > said
            failures = 1 if lasted else failures + 1
            self.market.on_disconnected()
            self.ear.on_lost(error)
            log.warning("stream_lost", symbol=self.symbol, error=error, retry_in_s=backoff_s(failures))

    async def _connect(self) -> str:
        """One connection, until it ends; why it did."""
        self.connections += 1
        connection = asyncio.create_task(self.venue.listen(self.symbol, self.ear))
        self._connection = connection
        try:
            await connection
        except (VenueTrouble, VenueRefused) as error:
            return str(error)
        except asyncio.CancelledError:
            if (mine := asyncio.current_task()) is not None and not mine.cancelling():
                return f"mute: {self._given_up}"
            with suppress(asyncio.CancelledError, VenueTrouble, VenueRefused):
                await connection
            raise
        return "the venue closed the stream"


class _Repairs:
    """Asks for what the streams left out, and whether they left anything out."""

    def __init__(self, line: _Line) -> None:
        self._line, self._venue, self._market, self._symbol = line, line.venue, line.market, line.symbol
        self._failures = 0
        self._due = 0.0
        self._seen_connections = 0
        self._hole_from: int | None = None
        self._hole_at = self._book_due = self._probe_due = self._glance_due = 0.0
        self._stuck_at: float | None = None
        self._book_tries = 0
        self._trade_proof: float | None = None
        self._book_proof: float | None = None

    async def keep_whole(self) -> None:
        """Look several times a second; one request at a time."""
        while True:
            await asyncio.sleep(max(TICK_S, self._due - time.monotonic(), self._venue.ban.left_s))
            if self._venue.ban.left_s:
                continue
            if self._line.outlet.full:  # the streams wait too, so their silence says nothing
                await self._line.outlet.room()
                self._listen_again()
                continue
            if self._line.connections != self._seen_connections:
                self._start_anew()
            for look in (self._trades, self._book, self._probe, self._glance):
                if not await self._tried(look):
                    break
            self._judge()

    def _start_anew(self) -> None:
        """Another connection: ask at once what was missed, and give it time to speak."""
        now = time.monotonic()
        self._seen_connections = self._line.connections
        self._probe_due, self._book_due, self._glance_due = 0.0, now + GRACE_S, now + SILENT_S
        self._book_tries = 0
        self._listen_again()

    def _listen_again(self) -> None:
        """What was not heard until now says nothing."""
        self._line.ear.trade_at = self._line.ear.book_at = time.monotonic()
        self._trade_proof = self._book_proof = self._line.ear.quote_lags_since = None

    async def _tried(self, look: Callable[[], Awaitable[bool]]) -> bool:
        """Whether the venue answered or nothing was asked; otherwise everything waits a while."""
        try:
            asked = await look()
        except (VenueTrouble, VenueRefused) as error:
            self._failures += 1
            self._line.ear.on_trouble(str(error))
            self._due = time.monotonic() + max(backoff_s(self._failures), GRACE_S)
            log.warning("venue_trouble", symbol=self._symbol, error=str(error), failures=self._failures)
            self._lose_patience(str(error))
            return False
        if asked:
            self._line.ear.on_answer()
            self._failures, self._due = 0, 0.0
        return True

    async def _trades(self) -> bool:
        """Ask for missing trades once the hole has had time to close by itself."""
        missing = self._market.missing_trades()
        now = time.monotonic()
        if missing is None:
            self._hole_from = self._stuck_at = None
            return False
        if missing.from_id != self._hole_from:
            self._hole_from, self._hole_at = missing.from_id, now
        if now - self._hole_at < GRACE_S:
            return False
        self._stuck_at = now if self._stuck_at is None else self._stuck_at
        try:
            records = await self._venue.trades(self._symbol, missing)
        except VenueRefused as error:
            self._line.say(self._market.on_refused(str(error)))
        else:
            await self._line.outlet.room()
            self._line.say(self._market.on_trades(records))
        self._hole_at, self._stuck_at = time.monotonic(), None
        return True

    def _lose_patience(self, reason: str) -> None:
        if self._stuck_at is not None and time.monotonic() - self._stuck_at > PATIENCE_S:
            self._stuck_at = None
            self._line.say(self._market.on_refused(f"asked for in vain for {PATIENCE_S:.0f} s: {reason}"))

    async def _book(self) -> bool:
        """Ask for a snapshot where deltas wait for one."""
        now = time.monotonic()
        if self._venue.keeps_book or not self._market.book.wants():
            self._book_due, self._book_tries = now + GRACE_S, 0
            return False
        if now < self._book_due:
            return False
        snapshot = await self._venue.book(self._symbol, BOOK_LEVELS)
        self._book_tries += 1
        self._book_due = time.monotonic() + max(GRACE_S, backoff_s(self._book_tries))
        if snapshot is not None:
            self._line.say(self._market.on_snapshot(snapshot))
        return True

    async def _probe(self) -> bool:
        """In a quiet market: is there a newer trade, and how late is it there?"""
        now = time.monotonic()
        if now < self._probe_due or (self._probe_due and now - self._line.ear.trade_at < QUIET_S):
            return False
        self._probe_due = now + QUIET_S
        asked_ns = await self._venue.time_ns()
        newest = await self._venue.newest(self._symbol)
        self._line.say(self._market.on_newest(newest, asked_ns))
        if self._market.missing_trades() is not None and self._trade_proof is None:
            self._trade_proof = time.monotonic()
        return True

    async def _glance(self) -> bool:
        """In a quiet book: has it changed without our hearing of it?"""
        now, ear = time.monotonic(), self._line.ear
        if now < self._glance_due or now - ear.book_at < SILENT_S or not self._line.connections:
            return False
        self._glance_due = now + SILENT_S
        book = await self._venue.book(self._symbol, GLANCE_LEVELS)
        if book is not None and book.last_update_id > ear.book_id and self._book_proof is None:
            self._book_proof = time.monotonic()
        return True

    def _judge(self) -> None:
        """A stream that has not brought what the venue's history shows is mute, whatever its socket says."""
        now, ear = time.monotonic(), self._line.ear
        if self._trade_proof is not None and ear.trade_at > self._trade_proof:
            self._trade_proof = None
        if self._book_proof is not None and ear.book_at > self._book_proof:
            self._book_proof = None
        if self._trade_proof is not None and now - self._trade_proof > PROOF_S:
            self._trade_proof = None
            self._line.redial("the venue knows trades that did not come")
        elif self._book_proof is not None and now - self._book_proof > PROOF_S:
            self._book_proof = None
            self._line.redial("the venue's book has changed without a word")
        elif ear.quote_lags_since is not None and now - ear.quote_lags_since > SILENT_S:
            ear.quote_lags_since = None
            self._line.redial("the best prices are not those of the book")
