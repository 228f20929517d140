"""The kill key: "1" means halt, and so does a Redis that cannot be asked."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import fakeredis
import pytest

from core import kill_switch
from core.errors import BusUnavailable
from core.kill_switch import KillSwitch, clear_redis, read_redis, redis_tripped, trip_redis

KEY = "njord:trading:halt"
URL = "redis://:s3cret@127.0.0.1:6379/0"
NOBODY = "redis://:s3cret@127.0.0.1:1/0"  # port 1: nobody listens there


@pytest.fixture
def server(monkeypatch):
    """A Redis inside this process, behind every URL."""
    server = fakeredis.FakeServer()
    monkeypatch.setattr(kill_switch, "_client", lambda url: fakeredis.FakeAsyncRedis(server=server))
    return server


@pytest.fixture
def client(server):
    """A second client of it."""
    return fakeredis.FakeAsyncRedis(server=server)


@pytest.mark.parametrize(
    ("tripped", "value"),
    [
        (False, None),
        (False, "0"),
        (False, ""),
        (True, "1"),
        (True, "true"),
        (True, "2"),
        (True, " "),
        (True, b"\xff"),
    ],
)
async def test_only_absent_empty_and_zero_are_clear(client, tripped, value):
    """The value 1 halts; any other value that is not 0 is somebody's mistake, and halts too."""
    if value is not None:
        await client.set(KEY, value)
    assert await redis_tripped(URL, KEY) is tripped


async def test_unexpected_value_is_shown(client):
    """A value that nobody should have written is repeated in the reason."""
    await client.set(KEY, "on")
    assert (await read_redis(URL, KEY)).reason == f"key {KEY} holds b'on'; allowed: 0 or 1"


async def test_key_of_another_kind_halts(client):
    """A list under the name of the key cannot be read as a switch."""
    await client.rpush(KEY, "1")
    assert await redis_tripped(URL, KEY)


async def test_trip_and_clear(server, client):
    """Tripping writes 1, clearing takes the key away; both may be repeated."""
    await trip_redis(URL, KEY)
    await trip_redis(URL, KEY)
    assert await client.get(KEY) == b"1"
    assert await redis_tripped(URL, KEY)
    await clear_redis(URL, KEY)
    await clear_redis(URL, KEY)
    assert await client.get(KEY) is None
    assert not await redis_tripped(URL, KEY)


async def test_other_keys_do_not_matter(server):
    """Another installation's key halts nothing here."""
    await trip_redis(URL, KEY)
    assert not await redis_tripped(URL, "njord:other")


async def test_lost_server_halts(server):
    """A Redis that goes away halts trading."""
    assert not await redis_tripped(URL, KEY)
    server.connected = False
    assert await redis_tripped(URL, KEY)


async def test_unreachable_server_halts():
    """A Redis that nobody can reach halts trading, and the reason does not show the password."""
    seen = await read_redis(NOBODY, KEY)
    assert seen.tripped
    assert "cannot be read" in seen.reason
    assert "s3cret" not in seen.reason


@pytest.mark.parametrize("url", ["", "http://127.0.0.1", "redis://:s3cret/pw@127.0.0.1:6379"])
async def test_bad_url_halts_and_is_not_shown(url):
    """A URL that cannot be understood halts; nothing of it is shown, since a part of it may be a password."""
    seen = await read_redis(url, KEY)
    assert seen == (True, f"key {KEY} cannot be read (the Redis URL is not valid)")
    with pytest.raises(OSError, match="the Redis URL is not valid"):
        await trip_redis(url, KEY)


@pytest.mark.parametrize("command", [trip_redis, clear_redis])
async def test_change_that_cannot_be_made_raises(command):
    """Somebody who could not trip or clear the key is told so."""
    with pytest.raises(OSError, match="Redis"):
        await command(NOBODY, KEY)


@pytest.mark.redis
async def test_on_a_real_server(redis_url):
    """The same on a real server."""
    assert not await redis_tripped(redis_url, "njord:test:halt")
    await trip_redis(redis_url, "njord:test:halt")
    assert await redis_tripped(redis_url, "njord:test:halt")
    await clear_redis(redis_url, "njord:test:halt")
    assert not await redis_tripped(redis_url, "njord:test:halt")


def reader(answer):
    """A connection that gives one answer, or fails with it."""

    async def get(key):
        if isinstance(answer, Exception):
            raise answer
        return answer

    return get


@pytest.mark.parametrize(
    ("tripped", "answer"),
    [
        (False, None),
        (False, b"0"),
        (False, "0"),
        (True, b"1"),
        (True, "1"),
        (True, b"yes"),
        (True, BusUnavailable("gone")),
        (True, ConnectionResetError()),
        (True, RuntimeError("closed")),
    ],
)
async def test_service_reads_the_key_over_its_own_connection(tmp_path, tripped, answer):
    """A service asks over the connection it has; whatever goes wrong there halts it."""
    seen = await KillSwitch(tmp_path / "halt", KEY, reader(answer)).observe()
    assert seen.tripped is tripped
    assert (seen.reason == "clear") is not tripped


async def test_service_does_not_wait_for_ever(tmp_path):
    """A Redis that does not answer in time halts."""

    async def silence(key):
        await asyncio.Event().wait()

    switch = KillSwitch(tmp_path / "halt", KEY, silence, timeout_s=0.01)
    assert await switch.observe() == (True, f"key {KEY} cannot be read (TimeoutError)")


async def test_tripped_file_needs_no_redis(tmp_path):
    """A tripped file is reported with its own reason, even when Redis is away as well."""
    kill_switch.trip_file(tmp_path / "halt", "drill")
    seen = await KillSwitch(tmp_path / "halt", KEY, reader(BusUnavailable("gone"))).observe()
    assert seen == (True, f"file {tmp_path / 'halt'}: drill")


def test_importing_the_switch_does_not_need_redis():
    """The kill file works on a machine whose Redis library is broken."""
    code = "import sys, core.kill_switch; print('redis' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
