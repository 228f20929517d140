"""From a command line to a running shell, the same for every daemon."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog
import uvloop

from core import cli, codec
from core.cli import EXIT_FAILED, EXIT_USAGE, config_of
from core.config import Config, content_for
from core.config_sections import SERVICE_NAMES
from core.errors import ConfigError, NjordError
from core.handler import Content, Service
from core.journal_files import grouped
from core.kill_switch import KillSwitch
from core.logging import setup_json_logging
from core.runner import Item, Runner
from core.runtime.archive import Archive
from core.runtime.committer import Committer
from core.runtime.driver import Driver
from core.runtime.health import Health
from core.runtime.locks import InstanceLock, is_held
from core.runtime.observers import KillSwitchWatch, Settings, WarmUpWatch, Watch
from core.runtime.reactor import Reactor, Timing
from core.runtime.shell import Pulse, Shell
from core.runtime.status import Status
from core.runtime.systemd import Notifier
from core.runtime.upkeep import Upkeep
from core.sequencer.port import Cell
from core.sequencer.redis import RedisCell, prefixes
from core.warm_up import LastBars

log = structlog.get_logger()

AfterCommit = Callable[[Cell, str, Sequence[Item]], Awaitable[None]]
"""Called with the connection, the prefix of the cell's keys and what was committed."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What one daemon's shell does besides running its handler.

    Attributes:
        kill_switch: observe the kill switch for the handler.
        after_commit: tell others of what was committed.
        plugins: modules that a configuration names and that are loaded again when their files change.
        history: where the handler gets the bars that it wants from before its first event.
    """

    kill_switch: bool = False
    after_commit: AfterCommit | None = None
    plugins: Callable[[Content], Iterable[str]] = lambda content: ()
    history: Callable[[Config], LastBars] | None = None


def parser(module: str, about: str | None) -> argparse.ArgumentParser:
    """The options that every daemon has."""
    made = cli.parser(f"python -m {module}", about)
    made.add_argument("--host", default="", metavar="NAME", help="name of this machine in leases (default: its own)")
    return made


def speed(text: str) -> float | None:
    """The value of --speed: a number above 0, or None for "max".

    >>> speed("10"), speed("10x"), speed("max")
    (10.0, 10.0, None)
    """
    if text == "max":
        return None
    try:
        value = float(text.removesuffix("x"))
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: a number above 0, such as 10, or max")
    return value


def serve(service: Service, argv: Sequence[str] | None, *, about: str | None, extras: Extras | None = None) -> int:
    """Run a handler as a daemon until it is told to stop; the exit code."""
    args = parser(f"apps.{service.name}", about).parse_args(argv)
    return guarded(
        f"{service.name}.main", args, lambda config: [_reactor_shell(service, config, args, extras or Extras())]
    )


@dataclass(slots=True)
class Parts:
    """A shell with what must be let go of after it."""

    shell: Shell
    driver: Driver
    status: Status
    locks: tuple[InstanceLock, ...]


def guarded(
    instance: str,
    args: argparse.Namespace,
    assemble: Callable[[Config], Sequence[Parts]],
    load: Callable[[argparse.Namespace], Config] = config_of,
) -> int:
    """Load, assemble and run; whatever ends it is the last line on standard error, and the exit code.

    Several shells live and end together: the failure of one stops the others in order.

    Args:
        instance: what the process is called in its log.
        args: the command line.
        assemble: makes the shells.
        load: reads the configuration.
    """
    parts: Sequence[Parts] = ()
    try:
        config = load(args)
        _make_folders(config)
        setup_json_logging(str(config.paths.log_dir), instance)
        parts = assemble(config)
    except (NjordError, OSError) as error:
        return _ended(instance, error)
    try:
        gc.freeze()  # what the imports made stays anyway; looking for garbage in it stops everything for 30 ms
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(config, parts))
    except Exception as error:  # whatever it is must be the last line, not a silent restart
        if not isinstance(error, NjordError):
            log.exception("crashed")
        return _ended(instance, error)
    finally:
        for lock in (lock for part in parts for lock in part.locks):
            lock.release()
    log.info("stopped")
    return 0


def _make_folders(config: Config) -> None:
    """Before anybody hears of this process: whoever has joined a cell is waited for.

    The folders of state and kill switch are made on a new installation only. Where journals prove that there has been
    one, a missing folder may be a disk that is not mounted, with a tripped switch on it: that halts trading until
    somebody has looked.

    Raises:
        NjordError: naming the key and the folder that cannot be made.
    """
    folders = {f"paths.{key}": getattr(config.paths, key) for key in ("journal_dir", "log_dir", "run_dir")}
    if not grouped(config.paths.journal_dir.glob("*.*.ndjson*")):
        folders["paths.state_dir"] = config.paths.state_dir
        folders["risk.kill_switch_file"] = config.kill_switch_file.parent
    for key, folder in folders.items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NjordError(f"{key} is {str(folder)!r}, which cannot be made: {error.strerror}") from None


def _ended(instance: str, error: Exception) -> int:
    code = EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED
    reason = f"{type(error).__name__}: {error}"
    if structlog.is_configured():
        log.error("failed", reason=reason, exit_code=code)
    print(f"njord: {instance} stopped (exit {code}): {reason}", file=sys.stderr, flush=True)  # noqa: T201
    return code


async def _run(config: Config, parts: Sequence[Parts]) -> None:
    def stop() -> None:
        for part in parts:
            part.shell.stop()

    def reload() -> None:
        for part in parts:
            part.driver.reload()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
    lives = [asyncio.create_task(_live(config, part, first=part is parts[0])) for part in parts]
    await asyncio.wait(lives, return_when=asyncio.FIRST_EXCEPTION)
    if not all(life.done() for life in lives):
        stop()
        await asyncio.wait(lives)
    for life in lives:
        life.result()


async def _live(config: Config, parts: Parts, *, first: bool) -> None:
    """One shell's life, with its health endpoint and its note of where that is."""
    shell, status = parts.shell, parts.status
    health = _health(config, status, first=first)
    note = config.paths.run_dir / f"{status.instance}.json"
    note.write_bytes(codec.encode_state({"pid": os.getpid(), "health": health.url, "instance": status.instance}))
    log.info("started", health=health.url)
    try:
        await shell.run()
    except NjordError as error:
        status.enter("failed", str(error))
        raise
    finally:
        note.unlink(missing_ok=True)
        health.close()


def _health(config: Config, status: Status, *, first: bool) -> Health:
    """The endpoint; a configured port is the first shell's, any further one of the process takes a free one.

    Raises:
        ConfigError: its port cannot be used.
    """
    service = status.instance.partition(".")[0]
    port = dict(config.runtime.health_ports).get(service, 0) if first else 0  # type: ignore[call-overload]
    try:
        return Health(status, port)
    except OSError as error:
        key = f"runtime.health_ports.{service}"
        raise ConfigError(f"{key} is {port}: {error.strerror}; allowed: a free port, or 0 for any") from None


def assemble(
    config: Config,
    driver: Driver,
    committer: Committer,
    status: Status,
    *,
    exclusive: Sequence[str] = (),
    admit: Callable[[], Awaitable[None]] | None = None,
    notifier: Notifier | None = None,
) -> Parts:
    """Put a shell around a driver; takes the file locks.

    Args:
        config: folders, and how often.
        driver: what runs.
        committer: its commits.
        status: what it says of itself.
        exclusive: leases that it holds besides its own.
        admit: asked before each of these is taken; raises where this process may not take part.
        notifier: tells systemd, for all shells of a process; one of its own by default.

    Raises:
        InstanceBusy: it is already running on this host.
    """
    names = (status.instance, *exclusive)
    folder = config.paths.run_dir / "locks"
    locks = tuple(InstanceLock(folder, name) for name in names)
    cell = committer.cell
    shell = Shell(
        cell,
        driver,
        committer,
        Archive(
            cell,
            status.instance,
            config.paths.journal_dir,
            lambda name: is_held(folder, name),
            upkeep=Upkeep(config.paths.journal_dir, config.retention.compress_after_hours),
        ),
        status=status,
        exclusive=tuple(
            Committer(cell, name, config.runtime.lease_ttl_ms, host=committer.host, register=False, admit=admit)
            for name in exclusive
        ),
        notifier=notifier or Notifier(os.environ),
        pulse=Pulse(sync=config.runtime.fsync_every_ms / 1000),
    )
    return Parts(shell, driver, status, locks)


def _contents(config: Config) -> dict[str, Content]:
    return {name: content_for(name, config) for name in SERVICE_NAMES}


def _reactor_shell(service: Service, config: Config, args: argparse.Namespace, extras: Extras) -> Parts:
    instance = f"{service.name}.main"
    cell = RedisCell(config.redis.url, config.redis.cell)
    status = Status(instance)
    committer = Committer(cell, instance, config.runtime.lease_ttl_ms, host=args.host)
    settings = Settings(
        service.name,
        lambda: _contents(config_of(args)),
        service.build,
        files=lambda: config.files,
        plugins=extras.plugins,
    )
    watches: list[Watch] = []
    if extras.kill_switch:
        switch = KillSwitch(config.kill_switch_file, config.risk.kill_switch_key, cell.get)
        watches.append(KillSwitchWatch(instance, switch))
    if extras.history is not None:
        watches.append(WarmUpWatch(lambda: reactor.runner, extras.history(config)))
    keys = prefixes(config.redis.cell)[0]
    tell = extras.after_commit
    reactor = Reactor(
        cell,
        Runner(service, instance),
        committer,
        settings=settings,
        status=status,
        watches=watches,
        timing=Timing(
            state_journal_s=config.runtime.state_journal_every_s,
            reload_s=config.runtime.reload_every_s,
            watch_s=config.runtime.kill_switch_every_s,
        ),
        after_commit=None if tell is None else lambda items: tell(cell, keys, items),
    )
    return assemble(config, reactor, committer, status, exclusive=tuple(service.exclusive(settings.content)))
