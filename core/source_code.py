"""Which code decides: a hash over the packages that a replay must share with the recording.

A running process decides with the code that it has loaded, whatever happens to the files; so it remembers their hashes
from its start, and that of a plugin changes when the plugin is loaded again.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from importlib.util import cache_from_source
from pathlib import Path

from core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
DECIDING = ("core", "portfolio", "strategies")

Stamp = tuple[int, int]


def stamps(paths: Iterable[Path]) -> dict[Path, Stamp]:
    """When each file was written, and its size; one that is not there is left out."""
    found = {}
    for path in paths:
        try:
            info = path.stat()
        except FileNotFoundError:
            continue
        found[path] = (info.st_mtime_ns, info.st_size)
    return found


class LoadedCode:
    """The code that this process has loaded.

    Attributes:
        hash: SHA-256 over every Python file of the deciding packages and of the plugins, by name and content.
    """

    def __init__(self, plugins: Iterable[str] = ()) -> None:
        """
        Args:
            plugins: modules outside the deciding packages that decide as well.
        """
        self._hashes = {
            path.relative_to(ROOT).as_posix(): _hash_of(path)
            for package in DECIDING
            for path in (ROOT / package).rglob("*.py")
        }
        self._deciding = frozenset(self._hashes)
        self._names: dict[str, str] = {}
        self._stamps: dict[Path, Stamp] = {}
        self.hash = ""
        self.reload(plugins)

    def reload(self, plugins: Iterable[str]) -> None:
        """Load the plugins again whose files have changed, and take in those that have been imported since.

        Raises:
            ConfigError: one of them cannot be loaded; it goes on as it was, and the next call tries again.
        """
        for module in plugins:
            self._adopt(module)
        self.hash = self._combined(self._hashes)

    def hash_with(self, plugins: Iterable[str]) -> str:
        """SHA-256 over the deciding packages and these plugins only, as far as they are loaded."""
        return self._combined(self._deciding | {self._names[each] for each in plugins if each in self._names})

    def _adopt(self, module: str) -> None:
        """Remember the file of a plugin; load it again if it is not the one that was remembered."""
        file = getattr(sys.modules.get(module), "__file__", None)
        if file is None:
            return
        path = Path(file)
        stamp = stamps([path]).get(path)
        if stamp is None or self._stamps.get(path) == stamp:
            return
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else module
        found = _hash_of(path)
        if self._hashes.get(name, found) != found:
            try:
                _forget_compiled(path)
                importlib.reload(sys.modules[module])
            except Exception as error:  # noqa: BLE001  # a plugin may raise anything
                raise ConfigError(f"{module} cannot be loaded again: {type(error).__name__}: {error}") from None
        self._names[module], self._stamps[path], self._hashes[name] = name, stamp, found

    def _combined(self, names: Iterable[str]) -> str:
        digest = sha256()
        for name in sorted(names):
            digest.update(f"{name}\0{self._hashes[name]}\n".encode())
        return digest.hexdigest()


def _forget_compiled(path: Path) -> None:
    """Have it compiled anew: byte-code of the same second and size would be taken for that of the changed file."""
    with suppress(OSError):
        Path(cache_from_source(str(path))).unlink(missing_ok=True)


def _hash_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
