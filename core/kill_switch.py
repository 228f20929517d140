"""The kill switch: a file or a Redis key; either halts trading, and so does not being able to look.

Trading may go on only if the file is plainly absent from a folder that is there, and the key is absent, empty or "0".
A tripped file stays, through a reboot too, until a person clears it, and keeps its first reason.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import socket
import stat
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from redis.asyncio import Redis

TIMEOUT_S = 1.0
TRIPPED = b"1"
_CLEAR = (None, b"", b"0")
_READ_MAX = 4096

Get = Callable[[str], Awaitable[bytes | str | None]]
"""Reads one Redis key over a connection that is already there; None if the key is absent."""


class Observation(NamedTuple):
    """What a look at the switch gave.

    Attributes:
        tripped: whether trading must halt.
        reason: which switch, and what was written there or why it cannot be read; also says so when clear.
    """

    tripped: bool
    reason: str


class KillSwitch:
    """Both switches of one installation, cheap enough to look at before every intent."""

    def __init__(self, path: str | Path, key: str, get: Get, *, timeout_s: float = TIMEOUT_S) -> None:
        """
        Args:
            path: the file.
            key: the Redis key.
            get: reads a key; whatever it raises counts as tripped.
            timeout_s: how long it may take, in seconds.
        """
        self._path = path
        self._key = key
        self._get = get
        self._timeout_s = timeout_s

    async def observe(self) -> Observation:
        """Look at the file, and if that is clear at the key; never raises."""
        seen = read_file(self._path)
        return seen if seen.tripped else await read_key(self._key, self._get, timeout_s=self._timeout_s)


def file_tripped(path: str | Path) -> bool:
    """Whether the file halts trading: it exists, or that cannot be told."""
    return read_file(path).tripped


def read_file(path: str | Path) -> Observation:
    """Look at the file; never raises.

    An empty file is as good as one with a reason: `touch` must do in an emergency.
    """
    try:
        mode = os.lstat(path).st_mode  # not stat: a link that leads nowhere is still a file put there
    except FileNotFoundError:
        return _missing(path)
    except (OSError, ValueError) as error:
        return _unreadable(f"file {path}", error)
    if not stat.S_ISREG(mode):
        return Observation(True, f"file {path} exists")
    return Observation(True, f"file {path}: {_reason_in(path)}")


def _missing(path: str | Path) -> Observation:
    """A missing file counts only where its folder is there: an unmounted disk must not clear the switch."""
    folder = Path(path).parent
    try:
        there = stat.S_ISDIR(folder.stat().st_mode)
    except OSError as error:
        return _unreadable(f"folder {folder}", error)
    return Observation(False, "clear") if there else Observation(True, f"folder {folder} is no folder")


def _reason_in(path: str | Path) -> str:
    try:
        with open(path, "rb") as file:
            text = file.read(_READ_MAX).decode("utf-8", "replace").strip()
    except OSError as error:
        return f"cannot be read ({_why(error)})"
    try:
        written = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or nested without end: whatever it says, it halts
        return text.partition("\n")[0] or "no reason given"
    reason = written.get("reason") if isinstance(written, dict) else None
    return str(reason) if reason else "no reason given"


def trip_file(path: str | Path, reason: str = "", *, by: str | None = None, at_ns: int | None = None) -> None:
    """Halt trading by file; one that is already there keeps its reason.

    Where the reason cannot be written, as on a full disk, an empty file halts as well.

    Args:
        path: the file; missing folders are made.
        reason: why, for people.
        by: who; this user and host unless told.
        at_ns: when, wall clock, ns UTC; now unless told.

    Raises:
        OSError: the file cannot be made.
    """
    target = Path(path)
    if os.path.lexists(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "reason": reason,
        "by": whoami() if by is None else by,
        "at_ns": time.time_ns() if at_ns is None else at_ns,
    }
    try:
        _put(target, json.dumps(content) + "\n")
    except OSError:
        target.touch()
    _sync_folder(target.parent)


def _put(target: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    scratch = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(scratch, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, target)
    finally:
        scratch.unlink(missing_ok=True)


def clear_file(path: str | Path) -> None:
    """Take the file away; one that is not there is no error.

    Raises:
        OSError: it cannot be removed.
    """
    target = Path(path)
    with suppress(FileNotFoundError):
        target.unlink()
        _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make a new or removed name survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def read_key(key: str, get: Get, *, timeout_s: float = TIMEOUT_S) -> Observation:
    """Look at a Redis key; never raises.

    Args:
        key: which one.
        get: reads a key; whatever it raises counts as tripped.
        timeout_s: how long it may take, in seconds.
    """
    try:
        async with asyncio.timeout(timeout_s):
            value = await get(key)
    except Exception as error:  # noqa: BLE001  # whatever the reason: a switch that cannot be read is tripped
        return _unreadable(f"key {key}", error)
    raw = value.encode() if isinstance(value, str) else value
    if raw in _CLEAR:
        return Observation(False, "clear")
    if raw == TRIPPED:
        return Observation(True, f"key {key} is set")
    return Observation(True, f"key {key} holds {raw!r:.80}; allowed: 0 or 1")


async def redis_tripped(url: str, key: str) -> bool:
    """Whether the key halts trading: it holds "1" or another unknown value, or cannot be read; never raises.

    Opens a connection of its own; a service that looks often uses `KillSwitch`.
    """
    return (await read_redis(url, key)).tripped


async def read_redis(url: str, key: str) -> Observation:
    """Look at the key over a connection of its own; never raises."""
    try:
        client = _client(url)
    except ValueError:
        return Observation(True, f"key {key} cannot be read (the Redis URL is not valid)")
    async with client:
        return await read_key(key, client.get)


async def trip_redis(url: str, key: str) -> None:
    """Halt trading by key.

    Raises:
        OSError: Redis cannot be reached, or refuses.
    """
    await _write(url, lambda client: client.set(key, TRIPPED))


async def clear_redis(url: str, key: str) -> None:
    """Take the key away; one that is not there is no error.

    Raises:
        OSError: Redis cannot be reached, or refuses.
    """
    await _write(url, lambda client: client.delete(key))


async def _write(url: str, command: Callable[[Redis], Awaitable[object]]) -> None:
    from redis.exceptions import RedisError

    try:
        async with _client(url) as client, asyncio.timeout(TIMEOUT_S):
            await command(client)
    except ValueError:
        raise OSError("the Redis URL is not valid") from None  # its own text may quote a part of the password
    except (RedisError, TimeoutError) as error:
        raise OSError(f"Redis: {_why(error)}") from None


def _client(url: str) -> Redis:
    """A client that answers or fails within the timeout; redis-py by itself tries ten times."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    client: Redis = Redis.from_url(
        url,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    return client


def whoami() -> str:
    """User and host, for the record."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container without a user database
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _unreadable(what: str, error: Exception) -> Observation:
    return Observation(True, f"{what} cannot be read ({_why(error)})")


def _why(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text or type(error).__name__
