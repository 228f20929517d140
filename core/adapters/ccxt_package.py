"""What can be known of ccxt, and kept out of memory of it, before it is loaded.

It holds a module per exchange in each of three folders: the client that blocks, the one for asyncio, and the one that
streams. The third is used here, and inherits from the second.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from core.errors import ConfigError

PACKAGE = "ccxt"


def require_venue(name: str) -> None:
    """Refuse what is no venue, without loading anything.

    Args:
        name: an id of ccxt's, "kraken".

    Raises:
        ConfigError: there is no streaming client of this name.
    """
    venues = _modules("pro")
    if name not in venues:
        near = get_close_matches(name, venues, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"--venue is {name!r}; allowed: a venue that ccxt.pro knows{hint}")


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
