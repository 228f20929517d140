"""The HTTP side of the simulated exchange: the venue's routes, its sockets, and a door for tests behind /sim."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from apps.sim_exchange.sockets import STREAMS_MAX, Hub, Socket
from core import codec
from core.errors import CodecError, ConfigError
from core.sim.clock import VirtualClock
from core.sim.exchange import Exchange
from core.sim.faults import ABNORMAL, Fault, fault_of, faults_of, spoil
from core.sim.limits import Verdict, Weights
from core.sim.rest import Answer, Refusal, Rest, whole
from core.sim.wire import encode

INSTANCE = "sim_exchange.main"
PAGE_MAX = 10_000
FOREVER_S = 86_400.0
API = "/api/v3/"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers requests about one exchange."""

    def __init__(self, exchange: Exchange, hub: Hub, weights: Weights, clock: VirtualClock | None) -> None:
        """
        Args:
            exchange: what is asked about.
            hub: its listeners, and the plan of what goes wrong.
            weights: how much may be asked.
            clock: when what happens; None for as fast as possible.
        """
        self._exchange, self._hub, self._clock = exchange, hub, clock
        self._weights = weights
        self._rest = Rest(exchange, weights.limit)
        self._requests: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()

    def application(self) -> web.Application:
        """Its routes."""
        made = web.Application()
        made.add_routes(
            [
                web.get("/health", self._health),
                web.get("/sim/state", self._state),
                web.get("/sim/trades", self._trades),
                web.post("/sim/fault", self._add_faults),
                web.delete("/sim/fault", self._clear_faults),
                web.post("/sim/kick", self._kick),
                web.get("/ws", self._socket),
                web.get("/ws/{streams:.+}", self._socket),
                web.get("/stream", self._socket),
                web.get("/stream/ws", self._socket),
                web.get("/stream/ws/{number}", self._socket),
                web.get(API + "{path:.+}", self._api),
            ]
        )
        return made

    # The venue

    async def _api(self, request: web.Request) -> web.StreamResponse:
        now_ns = time.time_ns()
        path, params = request.match_info["path"], request.query
        self._requests[path if self._rest.knows(path) else "unknown"] += 1
        verdict = self._weights.charge(self._rest.weight(path, params), now_ns)
        fault = self._hub.plan.on_request(f"{request.method} {request.path}", now_ns)
        if fault is not None and (response := await self._spoiled(request, fault, verdict)) is not None:
            return response
        if verdict.status != 200:
            return self._respond(self._over_the_limit(verdict), verdict)
        return self._respond(self._rest.answer(path, params), verdict)

    def _respond(self, answer: Answer, verdict: Verdict) -> web.Response:
        self._statuses[str(answer.status)] += 1
        headers = {"X-MBX-USED-WEIGHT": str(verdict.used), "X-MBX-USED-WEIGHT-1M": str(verdict.used)}
        if verdict.retry_after_s:
            headers["Retry-After"] = str(verdict.retry_after_s)
        body = b"" if answer.body is None else encode(answer.body)
        return web.Response(status=answer.status, body=body, headers=headers, content_type="application/json")

    def _over_the_limit(self, verdict: Verdict) -> Answer:
        limit = f"current limit is {self._weights.limit} request weight per 1 MINUTE"
        if verdict.status == 429:
            msg = f"Too much request weight used; {limit}. Please use WebSocket Streams for live updates."
        else:
            until_ms = time.time_ns() // 1_000_000 + verdict.retry_after_s * 1000
            msg = f"Way too much request weight used; IP banned until {until_ms}. Please use WebSocket Streams."
        return Answer(verdict.status, {"code": -1003, "msg": msg})

    async def _spoiled(self, request: web.Request, fault: Fault, verdict: Verdict) -> web.StreamResponse | None:
        """Carry out a fault; None where the right answer follows after all, late."""
        if fault.kind == "hang":
            await asyncio.sleep(fault.seconds or FOREVER_S)
            return None
        if fault.kind == "disconnect":
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=499)
        if fault.kind == "garbage":
            answer = self._rest.answer(request.match_info.get("path", ""), request.query)
            kind = "text/html" if fault.form == "html" else "application/json"
            return web.Response(body=spoil(encode(answer.body), fault.form), content_type=kind)
        body = {"code": fault.code, "msg": fault.msg} if fault.code else None
        return self._respond(Answer(fault.status, body), verdict._replace(retry_after_s=max(0, fault.retry_after_s)))

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        fault = self._hub.plan.on_request(f"WS {request.path}", time.time_ns())
        if fault is not None and (response := await self._spoiled(request, fault, Verdict(0, 200, 0))) is not None:
            return response
        combined = request.path == "/stream"
        named = request.query.get("streams", "") if combined else request.match_info.get("streams", "")
        streams = [stream for stream in named.split("/") if stream]
        if len(streams) > STREAMS_MAX:
            return web.Response(status=400)
        return await Socket(self._hub, request, combined=combined).serve(streams)

    # Its people and its tests

    async def _health(self, request: web.Request) -> web.Response:
        exchange = self._exchange
        body = {
            "healthy": True, "instance": INSTANCE, "state": "live", "detail": "ended" if exchange.ended else "",
            "market_ns": exchange.venue_ns, "played": exchange.played, "sockets": len(self._hub.sockets),
        }  # fmt: skip
        return _json(body)

    async def _state(self, request: web.Request) -> web.Response:
        exchange, hub, clock = self._exchange, self._hub, self._clock
        return _json(
            {
                "market_ns": exchange.venue_ns,
                "received_ns": exchange.market_ns,
                "started_at_ns": clock.started_ns if clock else None,
                "speed": clock.speed if clock else "max",
                "ended": exchange.ended,
                "played": exchange.played,
                "skipped": exchange.skipped,
                "symbols": {
                    name: {
                        "first_trade_id": market.trades.first_id, "last_trade_id": market.trades.last_id,
                        "doubled_trades": market.doubled, "depth_update_id": market.depth_id,
                        "quote_update_id": market.quote.update_id if market.quote else 0,
                    }
                    for name, market in exchange.markets.items()
                },
                "sockets": [socket.report() for socket in hub.sockets],
                "sockets_opened": hub.opened,
                "sockets_cut_off": hub.cut_off,
                "requests": dict(self._requests),
                "statuses": dict(self._statuses),
                "faults": hub.plan.report(),
            }
        )  # fmt: skip

    async def _trades(self, request: web.Request) -> web.Response:
        """The truth: trades of one symbol that have happened, [id, price, qty, side, ts_ns] each."""
        params = request.query
        market = self._exchange.markets.get(params.get("symbol", next(iter(self._exchange.markets))))
        if market is None:
            return _json({"error": f"symbol is not one of {', '.join(self._exchange.markets)}"}, 400)
        try:
            limit = whole(params, "limit", PAGE_MAX, most=PAGE_MAX)
            found = market.trades_from(whole(params, "fromId", 0), limit)
        except Refusal as refusal:
            return _json(refusal.body, 400)
        return _json({"symbol": market.name, "last": market.trades.last_id, "trades": [trade[:5] for trade in found]})

    async def _add_faults(self, request: web.Request) -> web.Response:
        try:
            values = codec.decode_json(await request.read())
            faults = faults_of(values) if isinstance(values, list) else [fault_of(values)]
        except (CodecError, ConfigError) as error:
            return _json({"error": str(error)}, 400)
        return _json({"rules": [self._hub.plan.add(fault) for fault in faults]})

    async def _clear_faults(self, request: web.Request) -> web.Response:
        self._hub.plan.clear()
        return _json({})

    async def _kick(self, request: web.Request) -> web.Response:
        """End connections: {"code": 1006, "where": "*@trade"}, without a word; all of them by default."""
        try:
            fault = fault_of({"where": "*", **_kick_of(await request.read()), "kind": "disconnect"})
        except (CodecError, ConfigError) as error:
            return _json({"error": str(error)}, 400)
        return _json({"kicked": self._hub.kick(fault.code or ABNORMAL, fault.where)})


def _kick_of(body: bytes) -> dict[str, Any]:
    values = codec.decode_json(body) if body else {}
    if not isinstance(values, dict):
        raise ConfigError(f'a kick is {values!r}; allowed: an object such as {{"code": 1006, "where": "*@trade"}}')
    return values


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=encode(body), content_type="application/json")
