"""What a shell observes of the world outside the log, so that its handler may know it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

import structlog

from core import codec
from core.contracts import Event, Halt, Resume
from core.errors import NjordError
from core.handler import Content
from core.kill_switch import KillSwitch
from core.source_code import LoadedCode, stamps
from core.topics import STRAT_INTENT

log = structlog.get_logger()


class Watch(Protocol):
    """Something outside that a handler must know of.

    Attributes:
        before: asked before any input of these topics is handled, and about once a second.
    """

    before: str

    async def observe(self, before_seq: int) -> Event | None:
        """The event to commit, None if nothing has changed since the last one."""
        ...

    def told(self, event: Event) -> None:
        """The event has been committed and handed over."""


class KillSwitchWatch:
    """Observes the kill switch for the gate."""

    before = STRAT_INTENT.name

    def __init__(self, instance: str, switch: KillSwitch) -> None:
        """
        Args:
            instance: whose observations.
            switch: the file and the key.
        """
        self._instance = instance
        self._switch = switch
        self._known: tuple[bool, str] | None = None

    async def observe(self, before_seq: int) -> Event | None:
        """A Halt or Resume when the switch, or the reason for it, is not what was told last."""
        seen = await self._switch.observe()
        if (seen.tripped, seen.reason) == self._known:
            return None
        kind = Halt if seen.tripped else Resume
        return kind(self._instance, seen.reason, before_seq)

    def told(self, event: Event) -> None:
        """Remember what the gate knows."""
        if isinstance(event, (Halt, Resume)):
            self._known = (isinstance(event, Halt), event.reason)
            log.warning("halted" if self._known[0] else "trading_allowed", reason=event.reason)


class Settings:
    """The configuration as it is on disk, with a service's part of it, and the code that decides.

    Attributes:
        contents: the parts of all services, JSON values; the newest reading that this service can run with.
        config_hash: SHA-256 of the contents.
        complaint: why what is on disk now is refused; empty while it is not.
    """

    def __init__(
        self,
        service: str,
        load: Callable[[], Mapping[str, Content]],
        validate: Callable[[Content], object],
        *,
        files: Callable[[], Iterable[Path]] = tuple,
        plugins: Callable[[Content], Iterable[str]] = lambda content: (),
    ) -> None:
        """
        Args:
            service: whose part.
            load: reads the parts of all services; called at once, and again when a file has changed.
            validate: raises for a content that the service cannot run with.
            files: what it is read from.
            plugins: modules that are loaded again when their files change.

        Raises:
            ConfigError: the first reading failed.
        """
        self._service = service
        self._load, self._validate, self._files, self._plugins = load, validate, files, plugins
        self.complaint = ""
        self._stamps = stamps(files())
        self.contents = dict(load())
        validate(self.content)
        self.config_hash = codec.content_hash(self.contents)
        self._code = LoadedCode(plugins(self.content))

    @property
    def content(self) -> Content:
        """This service's part."""
        return self.contents[self._service]

    def code_hash(self, content: Content) -> str:
        """SHA-256 of the code that decides under a content, as it is loaded."""
        return self._code.hash_with(self._plugins(content))

    def changed(self) -> bool:
        """Look again; what is wrong is reported once, and the reading before is kept."""
        before = (self.config_hash, self._code.hash)
        try:
            found = stamps(self._files())
            contents = self.contents if found == self._stamps else dict(self._load())
            content = contents[self._service]
            self._code.reload(self._plugins(content))
            if found != self._stamps or self._code.hash != before[1]:
                self._validate(content)
                self._code.reload(self._plugins(content))  # what has just been imported decides from here on
        except NjordError as error:
            if str(error) != self.complaint:
                log.error("config_refused", error=str(error))
            self.complaint = str(error)
            return False
        self.complaint = ""
        self._stamps, self.contents, self.config_hash = found, contents, codec.content_hash(contents)
        return (self.config_hash, self._code.hash) != before
