"""What many tests need: a real server, and both kinds of cell behind one name."""

from __future__ import annotations

import os
import uuid

import hypothesis
import pytest

from core.embedded import EmbeddedServer, find_server
from core.errors import ConfigError
from core.sequencer.memory import MemoryCell, MemoryServer
from core.sequencer.redis import RedisCell

hypothesis.settings.register_profile("njord", derandomize=True, deadline=None)
hypothesis.settings.register_profile("unit", derandomize=True, deadline=None, max_examples=25)
hypothesis.settings.load_profile("njord")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    """A private Redis or Valkey server; the tests that need one skip where there is none."""
    if os.environ.get("REDIS_SKIP") == "1":
        pytest.skip("REDIS_SKIP=1")
    try:
        find_server()
    except ConfigError as error:
        pytest.skip(str(error))
    server = EmbeddedServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server):
    """Its URL."""
    return redis_server.url


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def new_cell(request):
    """A function that gives one more connection to one fresh cell, in memory or on a real server."""
    if request.param == "memory":
        server = MemoryServer()
        return lambda: MemoryCell(server)
    url, name = request.getfixturevalue("redis_url"), uuid.uuid4().hex[:12]
    return lambda: RedisCell(url, name)
