"""What a shell observes of the world outside the log, so that its handler may know it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Protocol, TypeVar

import structlog

from core import codec
from core.contracts import Event, Halt, Resume, WarmUp, iso, timeframe_ns
from core.errors import NjordError
from core.handler import Content
from core.kill_switch import KillSwitch
from core.runner import Message, Runner
from core.source_code import LoadedCode, stamps
from core.topics import STRAT_INTENT
from core.warm_up import PATTERNS, LastBars, answer, due, wanted

log = structlog.get_logger()


class Watch(Protocol):
    """Something outside that a handler must know of.

    Attributes:
        before: asked before any input of these topics is handled, and about once a second.
    """

    before: tuple[str, ...]

    def careful(self) -> bool:
        """Whether for now it must see each input alone, right before that one, not once all that have come."""
        ...

    async def observe(self, before_seq: int, coming: Sequence[Message]) -> Event | None:
        """The event to commit, None if there is no more to say; asked again until then.

        Args:
            before_seq: the place in the order that it belongs to.
            coming: the messages that will be handled next; none where it is asked because a second has passed.
        """
        ...

    def told(self, event: Event) -> None:
        """The event has been committed and handed over."""


class KillSwitchWatch:
    """Observes the kill switch for the gate."""

    before: tuple[str, ...] = (STRAT_INTENT.name,)

    def __init__(self, instance: str, switch: KillSwitch) -> None:
        """
        Args:
            instance: whose observations.
            switch: the file and the key.
        """
        self._instance = instance
        self._switch = switch
        self._known: tuple[bool, str] | None = None

    def careful(self) -> bool:
        """A look before a batch is new enough."""
        return False

    async def observe(self, before_seq: int, coming: Sequence[Message]) -> Event | None:
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


class WarmUpWatch:
    """Looks into history for a handler that wants bars from before its first event."""

    before: tuple[str, ...] = PATTERNS

    def __init__(self, runner: Callable[[], Runner], history: LastBars, *, patience_s: float = 60.0) -> None:
        """
        Args:
            runner: who runs the handler now; a recovery puts another one in its place.
            history: reads bars; called in a thread, because files take their time.
            patience_s: a history that takes longer counts as broken.
        """
        self._runner = runner
        self._history = history
        self._patience_s = patience_s
        self._past_ns = 0

    def careful(self) -> bool:
        """What is wanted belongs right before the line that shows its market, as it does offline."""
        return bool(wanted(self._runner().handler))

    async def observe(self, before_seq: int, coming: Sequence[Message]) -> Event | None:
        """The bars of the next series that is wanted and whose market shows itself in what is coming."""
        runner = self._runner()
        for need, now_ns in due(runner.handler, coming, before_seq):
            self._past_ns = now_ns
            looked_up = _beside(lambda: answer(runner.instance, need, self._history, now_ns, before_seq))  # noqa: B023
            try:
                async with asyncio.timeout(self._patience_s):
                    return await asyncio.wrap_future(looked_up)
            except NjordError as error:
                log.error("warm_up_failed", symbol=need.symbol, timeframe=need.timeframe, error=str(error))
            except Exception:  # a source may be anybody's; no strategy waits for ever for a broken file
                log.exception("warm_up_failed", symbol=need.symbol, timeframe=need.timeframe)
            return WarmUp(runner.instance, need.symbol, need.timeframe, (), need.bars, before_seq)
        return None

    def told(self, event: Event) -> None:
        """Say where history was too short, and what would help."""
        if isinstance(event, WarmUp):
            found = dict(symbol=event.symbol, timeframe=event.timeframe, bars=len(event.bars), asked=event.asked)
            if len(event.bars) < event.asked:
                log.warning("warm_up_incomplete", **found, hint=_HINT)
            elif self._past_ns + 1 - event.bars[-1].ts_close >= 2 * timeframe_ns(event.timeframe):
                log.warning("warm_up_old", **found, newest=iso(event.bars[-1].ts_close), hint=_HINT)
            else:
                log.info("warmed_up", **found)


_HINT = "python -m backtest.data download, or import, has more"

T = TypeVar("T")


def _beside(call: Callable[[], T]) -> Future[T]:
    """Run in a thread that nobody has to wait for, not even the end of the process."""
    done: Future[T] = Future()

    def run() -> None:
        done.set_running_or_notify_cancel()
        try:
            done.set_result(call())
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, who waits must hear of it
            done.set_exception(error)

    Thread(target=run, daemon=True).start()
    return done


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
