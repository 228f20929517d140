"""Processes that a killed run has left behind: they are ended before the next one starts."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from apps.run.archive import Note
from apps.run.server import ping
from core.config import Config
from core.errors import BusUnavailable, ConfigError, InstanceBusy

OWN_LOCK = "run"
END_S = 10.0
POLL_S = 0.05


def running(config: Config) -> dict[str, int]:
    """Who holds a lock of an instance on this host, with its process id; not the run itself."""
    locks = sorted((config.paths.run_dir / "locks").glob("*.lock"))
    holders = {path.stem: _holder(path) for path in locks if path.stem != OWN_LOCK}
    return {name: pid for name, pid in holders.items() if pid}


def _holder(path: Path) -> int:
    """The process that holds a lock file; 0 if nobody does."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = file.read(32).strip()
            return int(text) if text.isdigit() else -1
    return 0


async def end_leftovers(config: Config, last: Note) -> list[str]:
    """End the processes of the last run that still live, the server last; their names.

    A process counts as one of the last run if the note names it and it still holds its lock under the same process id;
    the server, if it answers under its address with the same process id.
    """
    ended = []
    for instance, pid in running(config).items():
        if last.pids.get(instance) == pid:
            await _end(pid, partial(_let_go, config, instance))
            ended.append(instance)
    if last.server_url and await _answers_as(last.server_url) == last.server_pid:
        await _end(last.server_pid, partial(_silent, last.server_url))
        ended.append("its Redis server")
    return ended


def require_alone(config: Config) -> None:
    """Nobody else may work on the journals that a run with a server of its own puts aside.

    Raises:
        InstanceBusy: somebody does; named.
    """
    for instance, pid in running(config).items():
        raise InstanceBusy(f"{instance} is already running here as process {pid}; end it first")


async def _let_go(config: Config, instance: str) -> bool:
    return instance not in running(config)


async def _silent(url: str) -> bool:
    return await _answers_as(url) == 0


async def _answers_as(url: str) -> int:
    """Process id of the server under an address, 0 if none answers."""
    try:
        return await ping(url)
    except (BusUnavailable, ConfigError):
        return 0


async def _end(pid: int, gone: Callable[[], Awaitable[bool]]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        for _ in range(int(END_S / POLL_S)):
            if await gone():
                return
            await asyncio.sleep(POLL_S)
