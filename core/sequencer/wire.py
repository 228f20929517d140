"""One connection to Redis: commands pipelined, replies in order, published messages handed on at once.

redis-py's connections retry and resubscribe by themselves, which hides the very losses that the bus must see, and cost
several times more per command; hiredis does the protocol here too.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

from core.errors import BusUnavailable, ConfigError

AWAY = (
    "LOADING",
    "BUSY",
    "READONLY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
    "ERR max number of clients",
)
"""Errors of a server that cannot serve now but will again, such as MISCONF while its disk is full."""

CONNECT_TIMEOUT_S = 3.0

Push = Callable[[bytes, bytes], None]


class Address(NamedTuple):
    """Where a server is, and who asks."""

    host: str
    port: int
    path: str
    database: int
    username: str
    password: str
    tls: ssl.SSLContext | None


def parse_url(url: str) -> Address:
    """Read redis://, rediss:// or unix:// with user, password and database.

    Raises:
        ConfigError: it is none of these; the password is not repeated.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # its text quotes the URL
        raise ConfigError("redis.url is none; a password in it must be percent-encoded") from None
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ConfigError(f"redis.url starts with {parts.scheme!r}; allowed: redis://, rediss://, unix://")
    query = parse_qs(parts.query)
    try:
        port = parts.port or 6379
        database = int(query.get("db", [parts.path.strip("/") if parts.scheme != "unix" else ""])[0] or 0)
    except ValueError:
        raise ConfigError("redis.url has a port or database that is not a number") from None
    return Address(
        host=parts.hostname or "127.0.0.1",
        port=port,
        path=parts.path if parts.scheme == "unix" else "",
        database=database,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=ssl.create_default_context() if parts.scheme == "rediss" else None,
    )


class Wire(asyncio.Protocol):
    """A connection; made by `dial`."""

    def __init__(self, push: Push | None = None, lost: Callable[[BusUnavailable], None] | None = None) -> None:
        """
        Args:
            push: called with channel and message for everything published; also marks a subscribing connection.
            lost: called once when the connection is gone.
        """
        self._push = push
        self._lost = lost
        self._reader = hiredis.Reader()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = transport  # type: ignore[assignment]  # a stream transport writes

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._fail(BusUnavailable(f"connection to Redis lost: {exc or 'closed by the server'}"))

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            if self._push is not None and type(reply) is list and reply[0] in (b"message", b"pmessage"):
                self._push(reply[-2], reply[-1])
            elif self._waiting:
                future = self._waiting.popleft()
                if not future.done():
                    future.set_result(reply)

    def send(self, *args: str | bytes | int) -> asyncio.Future[Any]:
        """Write one command; the future gives its reply, errors as values.

        Raises:
            BusUnavailable: the connection is gone.
        """
        if self._transport is None:
            raise BusUnavailable("not connected to Redis")
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._transport.write(hiredis.pack_command(args))  # type: ignore[arg-type]  # its stub forgets int
        return future

    def send_all(self, commands: list[tuple[str | bytes | int, ...]]) -> list[asyncio.Future[Any]]:
        """Write several commands at once."""
        if self._transport is None:
            raise BusUnavailable("not connected to Redis")
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Any]] = [loop.create_future() for _ in commands]
        self._waiting.extend(futures)
        self._transport.write(b"".join([hiredis.pack_command(command) for command in commands]))  # type: ignore[arg-type]
        return futures

    async def call(self, *args: str | bytes | int) -> Any:
        """One command and its reply.

        Raises:
            BusUnavailable: the connection is gone, or the server cannot serve now.
            hiredis.ReplyError: the server refuses the command.
        """
        return self.checked(await self.send(*args))

    def checked(self, reply: Any) -> Any:
        """The reply, unless it is an error."""
        if isinstance(reply, hiredis.ReplyError):
            if str(reply).startswith(AWAY):
                raise BusUnavailable(f"Redis cannot serve now: {reply}")
            raise reply
        return reply

    def close(self) -> None:
        """Drop the connection; whoever waits for a reply gets BusUnavailable."""
        if self._transport is not None:
            self._transport.abort()
        self._fail(BusUnavailable("connection to Redis closed"))

    def _fail(self, failure: BusUnavailable) -> None:
        self._transport = None
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(failure)
                future.exception()  # whoever has stopped waiting need not be told
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(failure)


async def dial(
    address: Address, push: Push | None = None, lost: Callable[[BusUnavailable], None] | None = None
) -> Wire:
    """Connect, authenticate and choose the database.

    Raises:
        BusUnavailable: nobody answers in time.
        ConfigError: the server refuses the credentials or the database.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            if address.path:
                _, wire = await loop.create_unix_connection(lambda: Wire(push, lost), address.path)
            else:
                _, wire = await loop.create_connection(
                    lambda: Wire(push, lost), address.host, address.port, ssl=address.tls
                )
            try:
                await _introduce(wire, address)
            except BaseException:
                wire.close()  # a server that hangs would otherwise keep one connection of every attempt
                raise
    except (OSError, TimeoutError) as error:
        place = address.path or f"{address.host}:{address.port}"
        raise BusUnavailable(f"Redis at {place} does not answer: {str(error) or 'timed out'}") from None
    return wire


async def _introduce(wire: Wire, address: Address) -> None:
    commands: list[tuple[str, ...]] = []
    if address.password:
        who = (address.username,) if address.username else ()
        commands.append(("AUTH", *who, address.password))
    if address.database:
        commands.append(("SELECT", str(address.database)))
    for command in commands:
        try:
            await wire.call(*command)
        except hiredis.ReplyError as error:
            raise ConfigError(f"redis.url: the server refuses {command[0]}: {error}") from None
