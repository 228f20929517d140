"""What can be known of ccxt, and kept out of memory of it, before it is loaded.

It holds a module per exchange in each of three folders: the client that blocks, the one for asyncio, and the one that
streams. Live sources use the third, which inherits from the second; downloads of history use the first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from core.errors import ConfigError

PACKAGE = "ccxt"
NUMBERED_VENUES = ("binance", "binanceus")
"""Venues whose trades are numbered without leaving any out, and whose own names for requests and fields are used."""


def require_venue(name: str, *, streams: bool = True) -> None:
    """Refuse what is no venue, without loading anything.

    Args:
        name: an id of ccxt's, "kraken".
        streams: whether it must have a streaming client, or only one that blocks.

    Raises:
        ConfigError: there is no such client of this name.
    """
    venues = _modules("pro" if streams else "")
    if name not in venues:
        near = get_close_matches(name, venues, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        knows = "ccxt.pro" if streams else PACKAGE
        raise ConfigError(f"--venue is {name!r}; allowed: a venue that {knows} knows{hint}")


def urls_at(endpoint: str) -> dict[str, Any]:
    """Every address of Binance's spot market, at another host; "/stream" in a socket's tells ccxt that it is spot."""
    host, socket = endpoint, endpoint.replace("http", "ws", 1)
    paths = {"public": "api/v3", "private": "api/v3", "v1": "api/v1", "v3": "api/v3", "wapi": "wapi/v3"}
    paths |= {"sapi": "sapi/v1", "sapiV2": "sapi/v2", "sapiV3": "sapi/v3", "sapiV4": "sapi/v4"}
    streams = {"spot": f"{socket}/stream/ws", "ws-api": {"spot": f"{socket}/ws-api/v3"}}
    return {name: f"{host}/{path}" for name, path in paths.items()} | {"web": host, "ws": streams}


def must_be_at(endpoint: str, urls: Mapping[str, Any]) -> None:
    """Refuse a client that would still dial another host than the one that it was given.

    Raises:
        ConfigError: one of the addresses is elsewhere.
    """
    used = (urls["public"], urls["private"], urls["ws"]["spot"], urls["ws"]["ws-api"]["spot"])
    host = endpoint.partition("://")[2]
    strangers = [url for url in used if url.partition("://")[2].partition("/")[0] != host]
    if strangers:
        raise ConfigError(f"--endpoint is {endpoint!r}, and the client would still dial {', '.join(strangers)}")


@contextmanager
def without_blocking_clients() -> Iterator[None]:
    """Load ccxt in here without the clients that block, which its package imports with everything else.

    They are an eighth of the memory and half of the time. Afterwards each can be imported as ever, by its own name.
    """
    blocking = [] if PACKAGE in sys.modules else _modules()
    for name in blocking:
        empty = ModuleType(f"{PACKAGE}.{name}")
        setattr(empty, name, None)
        sys.modules[empty.__name__] = empty
    try:
        yield
    finally:
        package = sys.modules.get(PACKAGE)
        for name in blocking:
            del sys.modules[f"{PACKAGE}.{name}"]
            if package is not None:
                vars(package).pop(name, None)


def _modules(folder: str = "") -> list[str]:
    """Names of the modules in one of its folders; finding the package imports nothing of it."""
    spec = find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec else None
    return sorted(
        path.stem for place in places or () for path in Path(place, folder).glob("*.py") if path.stem != "__init__"
    )
