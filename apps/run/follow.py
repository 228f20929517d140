"""Reads along: what the services publish, from the streams, several times a second.

Streams and not channels, because a channel forgets whoever is away for a moment: a reader with one number, the last
it has seen, loses and repeats nothing, whatever happens to the connection or to the server.
"""

from __future__ import annotations

import asyncio
import time
from typing import TypeVar

from apps.run.picture import Picture
from core import codec, topics
from core.contracts import Event, TickerEvent, TradeEvent
from core.errors import BusUnavailable
from core.sequencer.redis import RedisCell

SHOWN = ("strat.*", "risk.decisions", "orders.updates", "fills.new", "positions.snapshot", "portfolio.*")
CONTROL = (
    "control.strategy", "control.protection", "control.reload", "control.kill_switch",
    "control.dead_letter.*", "control.halt.*", "control.resume.*", "control.warmup.*",
)  # fmt: skip
MARKET = (topics.CLOCK_MARKET, topics.MD_GAPS, topics.MD_CORRECTIONS)
LATEST = (
    topics.PORTFOLIO_SNAPSHOT.pattern,
    topics.PNL_DAY.pattern,
    topics.POSITIONS_SNAPSHOT.pattern,
    topics.HALT.pattern,
    topics.RESUME.pattern,
)
ANSWER_S = 3.0

E = TypeVar("E", bound=Event)


class Follower:
    """Keeps a picture up to date."""

    def __init__(self, url: str, cell: str, picture: Picture) -> None:
        """
        Args:
            url: of the server.
            cell: name of the cell.
            picture: what to keep up to date.
        """
        self._cell = RedisCell(url, cell)
        self._picture = picture
        symbol = picture.instrument.symbol
        self._trades, self._tickers = (
            topic.name.format(symbol=symbol) for topic in (topics.MD_TRADES, topics.MD_TICKER)
        )
        bars = topics.MD_OHLCV.name.format(symbol=symbol, timeframe="1m")
        self._clock, *others = (topic.name.format(symbol=symbol) for topic in MARKET)
        self._patterns = (*SHOWN, *CONTROL, self._clock, *others, bars)
        self._connected = False
        self._after: int | None = None
        self.lasts: dict[str, int] = {}

    async def poll(self) -> bool:
        """Read what is new; False while the server does not answer."""
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._poll()
        except (BusUnavailable, TimeoutError):
            self._connected = False
        return self._connected

    async def _poll(self) -> None:
        if not self._connected:
            await self._cell.connect()
            self._connected = True
        before, self.lasts = self.lasts, await self._cell.last_seqs()
        upto = max(self.lasts.values(), default=0)
        if self._after is None or upto < self._after:  # at the beginning, or a server that was rebuilt
            await self._begin()
        else:
            wanted = [
                name for name, seq in self.lasts.items() if seq > self._after and topics.covered(self._patterns, name)
            ]
            for _, line in await self._cell.read(wanted, self._after, upto):
                self._picture.fold(line)
        self._after = upto
        await self._prices(before)
        self._picture.sample(time.monotonic(), upto)

    async def _begin(self) -> None:
        """Start from how things stand, without telling the past again."""
        self._picture.quiet = True
        for name in sorted(self.lasts, key=self.lasts.__getitem__):
            if topics.covered(LATEST, name) or name == self._clock:
                for line in await self._cell.tail(name, 1):
                    self._picture.fold(line)
        self._picture.quiet = False

    async def _prices(self, before: dict[str, int]) -> None:
        """The newest prices; those in between would be too many to read and too fast to be seen."""
        picture = self._picture
        ticker = await self._newest(self._tickers, before, TickerEvent)
        trade = await self._newest(self._trades, before, TradeEvent)
        if ticker is not None:
            picture.bid, picture.ask = ticker.bid, ticker.ask
        if trade is not None:
            picture.price = trade.price

    async def _newest(self, name: str, before: dict[str, int], kind: type[E]) -> E | None:
        if self.lasts.get(name, 0) == before.get(name, 0):
            return None
        lines = await self._cell.tail(name, 1)
        return codec.decode(lines[0], kind) if lines else None

    async def close(self) -> None:
        """Drop the connection."""
        await self._cell.close()
