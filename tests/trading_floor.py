"""The real services in one event loop over a cell in memory, with a market that a test speaks for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backtest.services import SERVICES
from core import codec
from core.config import content_for, load_config
from core.contracts import Event, Resume, TradeEvent, Watermark
from core.handler import Content
from core.runner import Message, item_of
from core.runtime.archive import Archive
from core.runtime.committer import Committer
from core.sequencer.memory import MemoryCell, MemoryServer
from strategies import host
from tests.runtime_lab import BTC, Lab, Process, eventually

ROOT = Path(__file__).resolve().parents[1]
GATE, STRATEGIES = "risk_engine.main", "strategy_runner.main"
RESUME = f"control.resume.{GATE}"
INGEST = "md_ingest.BTCUSDT"
START_S = 1_723_118_400  # 2024-08-08T12:00:00Z
TRADING = {
    "NJORD__STRATEGIES__SMA_CROSS_V1__PARAMS": '{"fast": 2, "slow": 4, "qty": 0.5}',
    "NJORD__RISK__PER_ORDER_USD_CAP": "100",
}
ZIGZAG = [
    100,
    101,
    102,
    103,
    104,
    103,
    101,
    99,
    97,
    96,
    98,
    101,
    104,
    107,
    110,
    108,
    105,
    101,
    97,
    94,
    96,
    99,
    103,
    108,
]
"""Two rises and two falls: averages of 2 and 4 trades cross several times."""


def contents(environ: Mapping[str, str] = TRADING) -> dict[str, Content]:
    """The shipped configuration, with short averages that a few trades make cross."""
    config = load_config(ROOT, environ=environ)
    return {service.name: content_for(service.name, config) for service in SERVICES}


def market(prices: Iterable[float] = ZIGZAG) -> list[Event]:
    """A trade in every second, behind that second's watermark."""
    events: list[Event] = []
    for second, price in enumerate(prices):
        now_ns = (START_S + second) * 10**9
        events.append(Watermark(BTC, now_ns))
        events.append(TradeEvent(BTC, float(price), 1.0, "buy", now_ns + 1000, str(second + 1)))
    return events


class Open:
    """A kill switch that is clear."""

    before: tuple[str, ...] = ("strat.intent",)

    def __init__(self) -> None:
        self.known = False

    def careful(self) -> bool:
        return False

    async def observe(self, before_seq: int, coming: Sequence[Message]) -> Event | None:
        return None if self.known else Resume(GATE, "clear", before_seq)

    def told(self, event: Event) -> None:
        self.known = True


class Floor(Lab):
    """All services, and the ingest of BTC/USDT reduced to its commits and its journals."""

    def __init__(
        self, folder: Path, settings: dict[str, Content] | None = None, server: MemoryServer | None = None
    ) -> None:
        super().__init__(folder, lambda: self.server.data.seq * 1_000_000, server)
        self.settings = settings or contents()
        self.write(self.settings)
        self.services: dict[str, Process] = {}

    async def open(self) -> Floor:
        """Start everything."""
        cell = MemoryCell(self.server)
        await cell.connect()
        await cell.create()
        self.ingest = Committer(cell, INGEST, 3_600_000, host="h1")
        self.archive = Archive(cell, INGEST, self.journals)
        await cell.attest(INGEST, (await cell.meta()).run_id)
        await self.ingest.join(await cell.meta())
        for service in SERVICES:
            await self.start(service.name)
        return self

    async def start(self, name: str) -> None:
        """Start one service."""
        service = next(service for service in SERVICES if service.name == name)
        watches = [Open()] if name == "risk_engine" else []
        plugins = host.plugin_modules if name == "strategy_runner" else lambda content: ()
        process = self.process(service, self.settings[name], watches=watches, plugins=plugins)
        resumed = len(self.lines(RESUME))
        self.services[name] = await process.start()
        if watches:
            await eventually(lambda: len(self.lines(RESUME)) > resumed)
        await self.settle()

    async def restart(self, name: str) -> None:
        """Kill one service and start it again."""
        await self.services[name].kill()
        await self.start(name)

    async def settle(self) -> None:
        """Until everybody has said everything: nothing here waits for anything but the others."""
        quiet, seq = 0, -1
        while quiet < 30:
            await asyncio.sleep(0)
            quiet, seq = (quiet + 1, seq) if self.server.data.seq == seq else (0, self.server.data.seq)

    async def feed(self, events: Iterable[Event]) -> None:
        """Publish events of the market, each with everything that follows from it."""
        for event in events:
            await self.ingest.commit([item_of(event)])
            await self.settle()

    async def leave(self) -> None:
        """Stop everything in order; afterwards the journals are complete."""
        for process in self.services.values():
            await process.stop()
        await self.archive.tail()
        await self.archive.sync()
        self.archive.close()

    def events(self, topic: str) -> list[dict[str, Any]]:
        """What was published on a topic, without headers."""
        return [codec.payload_of(line) for line in self.lines(topic)]


async def recorded(folder: Path, settings: dict[str, Content] | None = None, *, killed: str = "") -> Path:
    """The journals of a session over the zigzag; one service killed in the middle where one is named."""
    floor = await Floor(folder, settings).open()
    try:
        events = market()
        await floor.feed(events[: len(events) // 2])
        if killed:
            await floor.restart(killed)
        await floor.feed(events[len(events) // 2 :])
        await floor.leave()
    finally:
        await floor.close()
    return floor.journals
