"""WebSocket connections of the simulated exchange: who listens to what, and what goes wrong on the way to them.

A message is handed to every listener's own bounded queue, which a task of that listener empties. One that does not read
fills its own queue and is cut off; the others do not notice.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

from aiohttp import ClientConnectionResetError, WSMsgType, web

from core import codec
from core.errors import CodecError
from core.sim.faults import ABNORMAL, Fault, FaultPlan, spoil
from core.sim.streams import Message
from core.sim.wire import encode

QUEUE_MAX = 50_000
"""Messages that a listener may be behind; some 7 MB of trades."""
EASY = 1000
"""Messages that a listener may be behind before a market at full speed waits for it."""
STREAMS_MAX = 1024
PING_S = 20.0
CLOSE_S = 1.0
REQUEST_BYTES_MAX = 65_536
LIST, SUBSCRIBE, UNSUBSCRIBE = "LIST_SUBSCRIPTIONS", "SUBSCRIBE", "UNSUBSCRIBE"


class Hub:
    """All listeners, by stream.

    Attributes:
        wanted: the listeners of each stream; streams that nobody listens to are not in it.
        sockets: all connections.
        opened: how many there have been.
        cut_off: how many were cut off for not reading.
    """

    def __init__(self, plan: FaultPlan) -> None:
        """
        Args:
            plan: what goes wrong.
        """
        self.plan = plan
        self.wanted: dict[str, dict[Socket, None]] = {}
        self.sockets: dict[Socket, None] = {}
        self.opened = self.cut_off = 0
        self._changed = asyncio.Event()

    def publish(self, message: Message) -> None:
        """Hand a message to everybody who listens to its stream."""
        for socket in tuple(self.wanted.get(message[0], ())):
            socket.send(message)

    def subscribe(self, socket: Socket, streams: Iterable[str]) -> None:
        """Let a connection listen to streams."""
        for stream in streams:
            self.wanted.setdefault(stream, {})[socket] = None
            socket.streams[stream] = None
        self.changed()

    def unsubscribe(self, socket: Socket, streams: Iterable[str]) -> None:
        """Let it listen to some of them no longer."""
        for stream in streams:
            socket.streams.pop(stream, None)
            listeners = self.wanted.get(stream, {})
            listeners.pop(socket, None)
            if not listeners:
                self.wanted.pop(stream, None)
        self.changed()

    def changed(self) -> None:
        """Wake up whoever waits for somebody to listen, or to have read."""
        self._changed.set()

    async def ready(self) -> None:
        """Wait until somebody listens and nobody is far behind."""
        while not self.wanted or any(socket.behind > EASY for socket in self.sockets):
            self._changed.clear()
            await self._changed.wait()

    def kick(self, code: int, pattern: str) -> int:
        """End every connection that listens to a stream of a pattern ("*": all); how many those are."""
        chosen = [
            each for each in self.sockets if pattern == "*" or any(fnmatchcase(name, pattern) for name in each.streams)
        ]
        for socket in chosen:
            socket.disconnect(code)
        return len(chosen)


class Socket:
    """One connection.

    Attributes:
        streams: what it listens to.
        sent: messages handed to the network.
    """

    def __init__(self, hub: Hub, request: web.Request, *, combined: bool) -> None:
        """
        Args:
            hub: the others.
            request: what opened it.
            combined: whether each message names its stream.
        """
        hub.opened += 1
        self.number = hub.opened
        self.path = request.path
        self.streams: dict[str, None] = {}
        self.sent = 0
        self._hub, self._combined = hub, combined
        self._request = request
        self._ws = web.WebSocketResponse(timeout=CLOSE_S, max_msg_size=REQUEST_BYTES_MAX)
        self._queue: deque[bytes] = deque()
        self._filled = asyncio.Event()
        self._mute = self._frozen = False
        self._held: list[bytes] | None = None
        self._swapped: bytes | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._close_code: int | None = None

    @property
    def behind(self) -> int:
        """Messages that wait for the network."""
        return len(self._queue)

    @property
    def state(self) -> str:
        """How it is: "live", "mute", "hanging" or "holding"."""
        if self._frozen:
            return "hanging"
        return "mute" if self._mute else "live" if self._held is None else "holding"

    def report(self) -> dict[str, Any]:
        """What there is to know, as JSON values."""
        return {
            "number": self.number, "path": self.path, "state": self.state, "streams": list(self.streams),
            "sent": self.sent, "behind": self.behind,
        }  # fmt: skip

    async def serve(self, streams: Iterable[str]) -> web.WebSocketResponse:
        """Answer until it ends, whoever ends it."""
        await self._ws.prepare(self._request)
        self._hub.sockets[self] = None
        self._hub.subscribe(self, streams)
        tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._ping())]
        try:
            async for message in self._ws:
                if message.type is WSMsgType.TEXT:
                    self._enqueue(encode(self._answer(message.data)))
        finally:
            self._hub.sockets.pop(self, None)
            self._hub.unsubscribe(self, list(self.streams))
            for timer in self._timers:
                timer.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return self._ws

    def _answer(self, text: str) -> dict[str, Any]:
        """What a client's message is answered with."""
        try:
            asked = codec.decode_json(text)
        except CodecError:
            return _refusal(3, "Invalid JSON: expected value at line 1 column 1", None)
        if not isinstance(asked, dict):
            return _refusal(2, "Invalid request: request must be a JSON object", None)
        number, method, streams = asked.get("id"), asked.get("method"), asked.get("params", [])
        if method == LIST:
            return {"result": list(self.streams), "id": number}
        if method not in {SUBSCRIBE, UNSUBSCRIBE}:
            known = f"`{SUBSCRIBE}`, `{UNSUBSCRIBE}`, `{LIST}`"
            return _refusal(2, f"Invalid request: unknown variant `{method}`, expected one of {known}", number)
        if not isinstance(streams, list) or not all(isinstance(stream, str) for stream in streams):
            return _refusal(2, "Invalid request: params must be a list of stream names", number)
        if method == UNSUBSCRIBE:
            self._hub.unsubscribe(self, streams)
        elif len(self.streams.keys() | set(streams)) > STREAMS_MAX:
            return _refusal(2, f"Invalid request: more than {STREAMS_MAX} streams", number)
        else:
            self._hub.subscribe(self, streams)
        return {"result": None, "id": number}

    def send(self, message: Message) -> None:
        """Queue a message, unless the plan wants something else."""
        stream, data = message
        fault = self._hub.plan.on_message(stream, time.time_ns())
        if fault is not None and fault.kind == "garbage":
            data = spoil(data, fault.form)
        if self._combined and (fault is None or fault.kind != "garbage"):
            data = b'{"stream":"' + stream.encode() + b'","data":' + data + b"}"
        if fault is None or fault.kind == "garbage":
            self._pass(data)
        else:
            FAULTS[fault.kind](self, fault, data)

    def _pass(self, data: bytes) -> None:
        if self._held is not None:
            self._keep(self._held, data)
            return
        swapped, self._swapped = self._swapped, None
        self._enqueue(data)
        if swapped is not None:
            self._enqueue(swapped)

    def _enqueue(self, data: bytes) -> None:
        if self._mute:
            return
        self._queue.append(data)
        self._filled.set()
        if len(self._queue) > QUEUE_MAX:
            self._hub.cut_off += 1
            self._hub.unsubscribe(self, list(self.streams))
            self._abort()

    async def _write(self) -> None:
        with suppress(ClientConnectionResetError):  # the reader ends it
            while self._close_code is None:
                await self._filled.wait()
                self._filled.clear()
                while self._queue:
                    await self._ws.send_frame(self._queue.popleft(), WSMsgType.TEXT)
                    self.sent += 1
                    if len(self._queue) == EASY:
                        self._hub.changed()
        if self._close_code not in {None, ABNORMAL}:
            await self._ws.close(code=self._close_code or 0)
        self._abort()

    async def _ping(self) -> None:
        with suppress(ClientConnectionResetError):
            while True:
                await asyncio.sleep(PING_S)
                if not self._frozen:
                    await self._ws.ping(b"%d" % (time.time_ns() // 1_000_000))

    def disconnect(self, code: int) -> None:
        """End it behind what it was told already: with a close frame, or without a word for 0 and 1006."""
        self._hub.unsubscribe(self, list(self.streams))
        self._close_code = code or ABNORMAL
        self._mute = True
        self._filled.set()
        self._later(CLOSE_S, self._abort)  # whoever does not read does not keep it open

    def _abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()

    def _later(self, seconds: float, back: Callable[[], None]) -> None:
        if seconds:
            self._timers.append(asyncio.get_running_loop().call_later(seconds, back))

    def _go_mute(self, fault: Fault, data: bytes) -> None:
        self._mute = True
        self._later(fault.seconds, self._speak)

    def _speak(self) -> None:
        self._mute = self._close_code is not None

    def _freeze(self, fault: Fault, data: bytes) -> None:
        self._go_mute(fault, data)
        transport = self._request.transport
        if self._frozen or not isinstance(transport, asyncio.Transport):
            return
        self._frozen = True
        transport.pause_reading()
        self._later(fault.seconds, self._thaw)

    def _thaw(self) -> None:
        self._frozen = False
        transport = self._request.transport
        if isinstance(transport, asyncio.Transport):
            transport.resume_reading()

    def _hold(self, fault: Fault, data: bytes) -> None:
        if self._held is None:
            self._held = []
            self._later(fault.seconds, self._release)
        self._keep(self._held, data)

    def _keep(self, held: list[bytes], data: bytes) -> None:
        held.append(data)
        if len(held) > QUEUE_MAX:
            self._release()

    def _release(self) -> None:
        held, self._held = self._held or [], None
        for data in held:
            self._enqueue(data)

    def _double(self, fault: Fault, data: bytes) -> None:
        self._pass(data)
        self._pass(data)

    def _swap(self, fault: Fault, data: bytes) -> None:
        if self._swapped is None and self._held is None:
            self._swapped = data
        else:
            self._pass(data)

    def _drop(self, fault: Fault, data: bytes) -> None:
        """Nothing: that is it."""

    def _end(self, fault: Fault, data: bytes) -> None:
        self.disconnect(fault.code)


FAULTS: dict[str, Callable[[Socket, Fault, bytes], None]] = {
    "disconnect": Socket._end,
    "mute": Socket._go_mute,
    "hang": Socket._freeze,
    "drop": Socket._drop,
    "double": Socket._double,
    "swap": Socket._swap,
    "hold": Socket._hold,
}


def _refusal(code: int, msg: str, number: object) -> dict[str, Any]:
    return {"error": {"code": code, "msg": msg}, "id": number}
