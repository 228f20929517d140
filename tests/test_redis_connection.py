"""The connection to Redis: what it keeps, what it hides, what it takes for a server that will be back."""

from __future__ import annotations

import asyncio

import hiredis
import pytest

from core.errors import BusUnavailable, ConfigError
from core.sequencer.redis import RedisCell
from core.sequencer.wire import Wire, dial, parse_url


async def test_a_server_that_hangs_keeps_no_connection(monkeypatch):
    """It accepts and never answers the password: every attempt ends with its connection closed."""
    monkeypatch.setattr("core.sequencer.wire.CONNECT_TIMEOUT_S", 0.05)
    closed = asyncio.Event()

    async def hang(reader, writer):
        while await reader.read(100):
            pass
        closed.set()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(BusUnavailable):
        await dial(parse_url(f"redis://:secret@127.0.0.1:{port}"))
    await asyncio.wait_for(closed.wait(), 10)
    server.close()


async def test_a_server_that_wants_a_password_is_a_matter_of_configuration():
    """Without one in the URL its first answer is a refusal, which names the key to change."""

    async def refuse(reader, writer):
        await reader.read(100)
        writer.write(b"-NOAUTH Authentication required.\r\n")

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    cell = RedisCell(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    with pytest.raises(ConfigError, match=r"redis\.url.*NOAUTH"):
        await cell.connect()
    await cell.close()
    server.close()


@pytest.mark.parametrize("url", ["redis://:sec[ret@host", "redis://:secret\u2100@host", "redis://:secret#x@host:1"])
def test_a_url_that_cannot_be_read_is_not_repeated(url):
    """The parser's own words quote the password."""
    with pytest.raises(ConfigError) as refused:
        parse_url(url)
    assert "sec" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    "code", ["LOADING", "BUSY", "READONLY", "OOM", "MISCONF", "NOREPLICAS", "ERR max number of clients"]
)
def test_a_server_that_cannot_serve_now_is_waited_for(code):
    """Such as one whose disk is full: not a reason to end."""
    with pytest.raises(BusUnavailable):
        Wire().checked(hiredis.ReplyError(f"{code} for now"))
    with pytest.raises(hiredis.ReplyError):
        Wire().checked(hiredis.ReplyError("WRONGTYPE Operation against a key"))
