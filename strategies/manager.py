"""The host behind an asynchronous bus, for scripts, notebooks and tests; the daemon runs the host in the common shell.

It hears the whole bus by one subscription, because several would lose the one order of events, and so it also goes
on receiving when a reload changes what its strategies listen to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from core import codec, topics
from core.contracts import Event
from core.errors import CodecError, ConfigError
from core.handler import At, Content
from strategies.host import SERVICE, StrategyHost
from strategies.registry import StrategyRegistry
from strategies.settings import settings_from

__all__ = ["SERVICE", "StrategyManager"]

EVERYTHING = "*"


class ManagerBus(Protocol):
    """What the manager needs of a bus."""

    def publish_json(self, topic: str, payload: Mapping[str, Any]) -> Awaitable[Any]:
        """Publish a payload."""
        ...

    def subscribe(self, topic: str) -> AsyncIterator[Mapping[str, Any]]:
        """Receive payloads; `*` stands for any text."""
        ...


class StrategyManager:
    """Loads strategies, shows them what the bus brings, publishes what they wish.

    It has no clock and no memory on disk: intent ids count the events of its own life, so a bus that outlives it needs
    the daemon instead.
    """

    def __init__(self, registry: StrategyRegistry, bus: ManagerBus) -> None:
        self._registry = registry
        self._bus = bus
        self._read: Callable[[], Content] | None = None
        self._host: StrategyHost | None = None
        self._types: tuple[type[Event], ...] = ()
        self._seq = 0

    async def load(self, config: Content | Callable[[], Content]) -> None:
        """Load strategies from the content of strategies.yaml, or from what returns it, for `reload` to read again.

        Raises:
            ConfigError: naming entry, key, value and what is allowed; what was loaded before goes on.
        """
        read = config if callable(config) else lambda: config
        self._host, self._types = self._built(read())
        self._read = read

    async def reload(self) -> None:
        """Read the configuration again; strategies of unchanged id and class keep their memory.

        Raises:
            ConfigError: nothing was loaded, or the new configuration is wrong; what was loaded before goes on.
        """
        if self._host is None or self._read is None:
            raise ConfigError("no strategies are loaded; call load() before reload()")
        host, types = self._built(self._read())
        host.restore(self._host.snapshot())
        self._host, self._types = host, types

    async def run(self) -> None:
        """Show the strategies every event until the bus ends.

        Raises:
            ConfigError: nothing was loaded.
        """
        if self._host is None:
            raise ConfigError("no strategies are loaded; call load() before run()")
        async for payload in self._bus.subscribe(EVERYTHING):
            event = self._recognize(payload)
            if event is not None:
                await self.dispatch(event)

    async def dispatch(self, event: Event) -> Sequence[Event]:
        """Show the strategies one event, publish their answers and return them."""
        if self._host is None:
            raise ConfigError("no strategies are loaded; call load() before dispatch()")
        self._seq += 1
        said = self._host.on_event(event, At(self._seq, 0, 0, self._seq, 0))
        for answer in said:
            await self._bus.publish_json(topics.topic_of(answer), codec.to_dict(answer))
        return said

    def _built(self, content: Content) -> tuple[StrategyHost, tuple[type[Event], ...]]:
        settings = settings_from(content)
        heard = [t for t in topics.TOPICS if any(_touch(pattern, t) for pattern in settings.inputs)]
        return StrategyHost(settings, self._registry), tuple(topic.event for topic in heard)

    def _recognize(self, payload: Mapping[str, Any]) -> Event | None:
        """The event that a payload is; its fields tell, because a payload has no header. None if nobody listens."""
        for kind in self._types:
            try:
                return codec.from_dict(kind, payload)
            except CodecError:
                continue
        return None


def _touch(pattern: str, topic: topics.Topic[Event]) -> bool:
    return topics.matches(pattern, topic.pattern) or topic.regex.fullmatch(pattern) is not None
