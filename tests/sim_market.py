"""A simulated exchange inside the test's own loop, on a free port, and what its clients need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from apps.sim_exchange.main import _parser, build, open_port
from apps.sim_exchange.player import play
from core.config import load_config
from core.contracts import Instrument
from core.market.records import TradeRecord

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
CAPTURES = DATA / "captures" / "binance_spot"
BTC = Instrument("BTC/USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5))
NS_PER_S = 1_000_000_000
SYNTHETIC = ("--synthetic", "--seed", "7")


def capture(name: str) -> Path:
    """A recorded Binance stream of the shared data."""
    path = CAPTURES / name
    if not path.exists():
        pytest.skip("recorded market data (../shared/data) is not on this machine")
    return path


def trade(trade_id: int, price: float, qty: float, second: float, side: Any = "buy") -> TradeRecord:
    """A trade, received when it happened, some seconds after 2024-01-01."""
    ts_ns = 1_704_067_200_000_000_000 + round(second * NS_PER_S)
    return TradeRecord(trade_id, price, qty, side, ts_ns, ts_ns)


@dataclass
class Simulator:
    """A running one."""

    url: str
    session: aiohttp.ClientSession

    @property
    def streams(self) -> str:
        return self.url.replace("http", "ws", 1)

    async def get(self, path: str, **params: Any) -> Any:
        """The JSON of an answer."""
        async with self.session.get(self.url + path, params=params) as answer:
            return await answer.json()

    async def api(self, route: str, **params: Any) -> tuple[int, Any]:
        """Status and JSON of a route of the venue."""
        async with self.session.get(f"{self.url}/api/v3/{route}", params=params) as answer:
            return answer.status, await answer.json(content_type=None) if answer.content_length else None

    async def fault(self, **rule: Any) -> None:
        """Add a rule."""
        async with self.session.post(self.url + "/sim/fault", json=rule) as answer:
            assert answer.status == 200, await answer.text()

    async def listen(self, *streams: str, path: str = "/stream/ws/0") -> aiohttp.ClientWebSocketResponse:
        """A connection that listens to some streams; the answer to its subscription has been read."""
        socket = await self.session.ws_connect(self.streams + path)
        await socket.send_json({"method": "SUBSCRIBE", "params": list(streams), "id": 1})
        assert await socket.receive_json(timeout=10) == {"result": None, "id": 1}
        return socket

    async def happened(self) -> list[str]:
        """The kinds of the faults that have happened."""
        return [each["kind"] for each in (await self.get("/sim/state"))["faults"]["happened"]]


@asynccontextmanager
async def simulator(*arguments: str) -> AsyncIterator[Simulator]:
    """One with these options, as the command would take them."""
    site = build(load_config(ROOT, environ={}), _parser().parse_args(arguments))
    runner = web.AppRunner(site.server.application(), handler_cancellation=True, shutdown_timeout=0.1)
    url = await open_port(runner, 0)
    playing = asyncio.create_task(play(site.exchange, site.hub, site.clock))
    try:
        async with aiohttp.ClientSession() as session:
            yield Simulator(url, session)
    finally:
        playing.cancel()
        await runner.cleanup()


async def until(reached: Callable[[], Awaitable[bool]]) -> None:
    """Ask until something is so; the test's own time-out ends a wait in vain."""
    while not await reached():
        pass
