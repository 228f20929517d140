"""The Redis of a run: one that somebody has named and that answers, else one of our own."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from core.config import Config, safe_url
from core.config_sections import RedisSettings
from core.embedded import EmbeddedServer
from core.errors import BusUnavailable
from core.sequencer.wire import dial, parse_url

DATA = "redis"


def data_dir(config: Config) -> Path:
    """Where an embedded server keeps its data."""
    return config.paths.state_dir / DATA


class Server:
    """A server that is used, and kept alive if it is ours."""

    def __init__(self, url: str, embedded: EmbeddedServer | None = None, remark: str = "") -> None:
        """
        Args:
            url: how to connect.
            embedded: ours; None for somebody else's.
            remark: what the user should know about the choice; empty if all is as expected.
        """
        self.url = url
        self.embedded = embedded
        self.remark = remark
        self.restarts: deque[float] = deque()

    @property
    def owned(self) -> bool:
        """Whether it is ours, and with it all that it holds."""
        return self.embedded is not None

    @property
    def pid(self) -> int:
        """Process id of our own, 0 otherwise."""
        return self.embedded.pid if self.embedded else 0

    @property
    def text(self) -> str:
        """In words: "embedded Redis 127.0.0.1:6379"."""
        place = urlsplit(self.url).netloc.rpartition("@")[2] or self.url
        return f"{'embedded' if self.owned else 'external'} Redis {place}"

    @property
    def dead(self) -> bool:
        """Whether ours has ended by itself."""
        return self.embedded is not None and bool(self.embedded.pid) and not self.embedded.running

    async def start(self) -> None:
        """Start our own and wait until it answers.

        Raises:
            NjordError: it does not.
        """
        if self.embedded is not None:
            await asyncio.to_thread(self.embedded.start)

    async def restart(self) -> int:
        """Start our own again on its data; how often that was necessary in the last minute."""
        self.restarts.append(time.monotonic())
        await self.start()
        return sum(self.restarts[-1] - at < 60 for at in self.restarts)

    async def stop(self) -> None:
        """End our own in peace; its data are complete on disk."""
        if self.embedded is not None:
            await asyncio.to_thread(self.embedded.stop)


async def choose_server(config: Config, environ: Mapping[str, str]) -> Server:
    """The server that REDIS_URL or the configuration names, if it answers; else one of our own.

    Raises:
        ConfigError: the named one refuses our credentials, or there is no binary for one of our own.
    """
    url = config.redis.url
    named = bool(environ.get("REDIS_URL")) or url != RedisSettings().url
    remark = ""
    if named:
        try:
            await ping(url)
        except BusUnavailable:
            remark = f"{safe_url(url)} does not answer; this run starts a Redis of its own"
        else:
            return Server(url)
    address = parse_url(url)
    embedded = EmbeddedServer(data_dir(config), 0 if address.path else address.port)
    if embedded.url != url:
        remark = f"{remark or f'port {address.port} is in use'}: for other commands export REDIS_URL={embedded.url}"
    return Server(embedded.url, embedded, remark)


async def ping(url: str) -> int:
    """Ask a server for its process id.

    Raises:
        BusUnavailable: nobody answers.
        ConfigError: it refuses our credentials.
    """
    wire = await dial(parse_url(url))
    try:
        info: bytes = await wire.call("INFO", "server")
    finally:
        wire.close()
    return next((int(line[11:]) for line in info.splitlines() if line.startswith(b"process_id:")), 0)
