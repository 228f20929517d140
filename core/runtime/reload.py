"""A change of configuration without a restart: from the files to the handler, in one step for all services."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import structlog

from core import codec, topics
from core.contracts import ConfigApplied, ConfigChanged, Event
from core.errors import CodecError, ConfigError, ContractError
from core.handler import Content
from core.runner import Runner
from core.runtime.agreement import Agreement
from core.runtime.observers import Settings
from core.runtime.status import Status
from core.sequencer.port import Cell
from core.topics import READY, RELOAD

LOOK = "controller.reload"
"""Whatever is published here asks all services to look at their files now."""

EVER = 1 << 53

log = structlog.get_logger()


class Place(NamedTuple):
    """A line in its order."""

    topic: str
    line: bytes
    header: codec.Header


class Desk(Protocol):
    """What a change of configuration needs of the one who runs the handler."""

    @property
    def runner(self) -> Runner:
        """The handler with what it runs with."""
        ...

    @property
    def in_seq(self) -> int:
        """The last input handled."""
        ...

    def pass_by(self, place: Place) -> None:
        """Count a line as handled that is none of the handler's."""

    def dead_letter(self, topic: str, raw: bytes, error: CodecError) -> None:
        """Put aside what cannot be read."""

    async def say(self, event: Event) -> None:
        """Publish."""

    async def observe(self, event: Event, place: Place | None = None) -> None:
        """Publish an observation and hand it to the handler; with a line that is passed by in the same commit."""


class Reload:
    """The configuration of one service while it runs."""

    def __init__(self, cell: Cell, desk: Desk, settings: Settings, status: Status, *, every_s: float) -> None:
        """
        Args:
            cell: the connection.
            desk: whose handler runs with it.
            settings: what is on disk.
            status: says why that is not in force.
            every_s: how often it is looked at.
        """
        self._cell, self._desk, self._settings, self._status = cell, desk, settings, status
        self._agreement = Agreement(cell, status.instance, settings)
        self._every_s = every_s
        self._due = 0.0
        self._late = False
        self._passed = 0

    @property
    def topics(self) -> tuple[str, ...]:
        """Subscriptions besides the handler's; one of them is an input, the others are bells."""
        bells = (LOOK, READY.pattern) if self._agreement.decides else (LOOK,)
        return (RELOAD.name, *bells)

    def rang(self, topic: str) -> bool:
        """Whether a message is one that only says that something has come; it is looked at soon."""
        if topic == LOOK:
            self.look()
        elif topics.matches(READY.pattern, topic):
            self._agreement.ring()
        else:
            return False
        return True

    def look(self) -> None:
        """Look at the files with the next `poll`."""
        self._due = 0.0

    async def poll(self, now: float) -> None:
        """Look at the files when that is due, and at what the others say of theirs.

        Args:
            now: of a clock that never goes back, seconds.
        """
        if now >= self._due:
            self._due = now + self._every_s
            if self._settings.changed():
                await self._adopt_code()
        desk, agreement = self._desk, self._agreement
        config = desk.runner.config
        ready = agreement.news(config.content if config else {})
        if ready is not None:
            await desk.say(ready)
            agreement.told(ready)
        decision = await agreement.decision(now)
        if decision is not None:
            await desk.say(decision)
            log.info("config_applied", config_hash=decision.config_hash[:12])
        self._status.config_error = self._settings.complaint or agreement.waits

    async def start(self) -> None:
        """Run with what is on disk, however far the others are: a cap that was lowered must not wait for them.

        A change that was agreed upon while this service was away comes first, at its own place, unless the code of
        today cannot run with it.
        """
        runner, settings = self._desk.runner, self._settings
        missed = [line for _, line in await self._cell.read([RELOAD.name], self._desk.in_seq, EVER)]
        if runner.config is None or runner.outdated or not all(map(self._runs_with, missed)):
            self._passed = max(map(codec.seq_of, missed), default=0)
            await self._adopt(settings.content)
        else:
            self._late = bool(missed)
            await self._adopt(runner.config.content if missed or settings.complaint else settings.content)

    async def caught_up(self) -> None:
        """Everything published before this connection has been handled."""
        self._agreement.ring()
        if self._late and not self._settings.complaint:
            await self._adopt(self._settings.content)
        self._late = False

    async def switch(self, place: Place) -> None:
        """Change to the configuration of this line, right behind it, as every other service does.

        Raises:
            ConfigError, ContractError: this service cannot run with it, although it was ready for it.
        """
        try:
            content = self._content_of(place.line)
        except CodecError as error:
            self._desk.pass_by(place)
            self._desk.dead_letter(place.topic, place.line, error)
            return
        if content is None or place.header.seq <= self._passed or not await self._adopt(content, place):
            self._desk.pass_by(place)

    def _content_of(self, line: bytes) -> Content | None:
        """This service's part of what was agreed upon; None if there is none, or the publisher may not say it.

        Raises:
            CodecError: it cannot be read.
        """
        contents = codec.decode(line, ConfigApplied).contents
        content: Content | None = contents.get(self._desk.runner.service.name)
        return content if topics.owns(codec.header_of(line).src, RELOAD.name) else None

    def _runs_with(self, line: bytes) -> bool:
        """Whether the code of today can run with what was agreed upon, as far as that can be read."""
        try:
            content = self._content_of(line)
        except CodecError:
            return True
        try:
            return content is None or self._desk.runner.service.build(content) is not None
        except Exception as error:  # noqa: BLE001  # a content of other code may lack anything
            log.warning("config_outdated", reason=str(error))
            return False

    async def _adopt_code(self) -> None:
        """Run with plugins that were loaded again; those that need another configuration wait for that."""
        config = self._desk.runner.config
        if config is not None and config.code_hash != self._settings.code_hash(config.content):
            try:
                await self._adopt(config.content)
            except (ConfigError, ContractError) as error:
                log.info("code_waits", reason=str(error))

    async def _adopt(self, content: Content, place: Place | None = None) -> bool:
        """Hand a configuration to the handler; False if it runs with it already.

        Args:
            content: this service's part.
            place: the line behind which it counts; the last input handled unless given.
        """
        runner = self._desk.runner
        config_hash, code_hash = codec.content_hash(content), self._settings.code_hash(content)
        if runner.config and (runner.config.config_hash, runner.config.code_hash) == (config_hash, code_hash):
            return False
        runner.service.build(content)  # a bad one is refused before anybody hears of it
        before = (place.header.seq if place else self._desk.in_seq) + 1
        await self._desk.observe(ConfigChanged(runner.instance, content, config_hash, code_hash, before), place)
        log.info("config_changed", config_hash=config_hash[:12], code_hash=code_hash[:12])
        return True
