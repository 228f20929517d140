"""A venue that says as much as a socket takes: numbered trades of one symbol, as fast as they are read.

A process of its own, so that what it needs is not counted: `python -m bench.venue TRADES` prints its address.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop
from aiohttp import WSMsgType, web

FIRST_NS = 1_723_161_255_000_000_000
PAGE = 1000
SYMBOL = {
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "baseAssetPrecision": 8,
    "quotePrecision": 8, "quoteAssetPrecision": 8, "orderTypes": ["LIMIT", "MARKET"], "permissions": ["SPOT"],
    "isSpotTradingAllowed": True, "isMarginTradingAllowed": False,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.00000", "stepSize": "0.00001"},
    ],
}  # fmt: skip


def _message(number: int) -> str:
    ts_ms = FIRST_NS // 1_000_000 + number
    return (
        f'{{"e":"trade","E":{ts_ms},"s":"BTCUSDT","t":{number},"p":"61837.63000000","q":"0.02000000",'
        f'"T":{ts_ms},"m":true,"M":true}}'
    )


def _past(number: int) -> dict[str, object]:
    ts_ms = FIRST_NS // 1_000_000 + number
    return {"id": number, "price": "61837.63", "qty": "0.02", "quoteQty": "1", "time": ts_ms, "isBuyerMaker": True}


class _Blast:
    """The venue: trades 1 to `count` to whoever subscribes to trades, once."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.bare = [_message(number) for number in range(1, count + 1)]
        self.done = False

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        """The combined stream, or one that is subscribed to."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if "streams" in request.query:
            await self._say(socket, '{"stream":"btcusdt@trade","data":%s}')
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                wish = json.loads(message.data)
                await socket.send_str(json.dumps({"result": None, "id": wish["id"]}))
                if any(name.endswith("@trade") for name in wish["params"]):
                    await self._say(socket, "%s")
        return socket

    def _newest(self) -> dict[str, object]:
        ts_ms = FIRST_NS // 1_000_000 + self.count
        return {"a": 1, "p": "1", "q": "1", "f": self.count, "l": self.count, "T": ts_ms, "m": True}

    async def _say(self, socket: web.WebSocketResponse, form: str) -> None:
        await asyncio.sleep(0.5)  # the client is ready for it
        for message in [] if self.done else self.bare:
            await socket.send_str(form % message)
        self.done = True

    async def api(self, request: web.Request) -> web.Response:
        """What both clients ask."""
        now_ms = time.time_ns() // 1_000_000
        first = int(request.query.get("fromId", 0))
        answers: dict[str, object] = {
            "time": {"serverTime": now_ms},
            "exchangeInfo": {"timezone": "UTC", "serverTime": now_ms, "rateLimits": [], "symbols": [SYMBOL]},
            "depth": {"lastUpdateId": 1, "bids": [["61837.63", "1"]], "asks": [["61837.64", "1"]]},
            "trades": [_past(self.count)] if self.done else [],
            "aggTrades": [self._newest()] if self.done else [],
            "historicalTrades": [_past(number) for number in range(first, min(first + PAGE, self.count + 1))],
        }
        return web.json_response(answers.get(request.match_info["path"], []))


async def _serve(count: int) -> None:
    blast = _Blast(count)
    app = web.Application()
    routes = [
        web.get("/stream", blast.stream),
        web.get("/stream/ws/{n}", blast.stream),
        web.get("/api/v3/{path}", blast.api),
    ]
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
