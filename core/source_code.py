"""Which code decides: a hash over the packages that a replay must share with the recording.

A running process decides with the code that it has loaded, whatever happens to the files; so it remembers their hashes
from its start, and that of a plugin changes when the plugin is loaded again.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from hashlib import sha256
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
        self._stamps: dict[Path, Stamp] = {}
        self._adopt(plugins)
        self.hash = self._combined()

    def reload(self, plugins: Iterable[str]) -> None:
        """Load the plugins again whose files have changed.

        Raises:
            ConfigError: one of them cannot be loaded; it goes on as it was.
        """
        for module in self._adopt(plugins):
            try:
                importlib.reload(sys.modules[module])
            except Exception as error:  # noqa: BLE001  # a plugin may raise anything
                raise ConfigError(f"{module} cannot be loaded again: {type(error).__name__}: {error}") from None
        self.hash = self._combined()

    def _adopt(self, plugins: Iterable[str]) -> list[str]:
        """Remember the files of plugins; those that have changed since."""
        changed = []
        for module in plugins:
            file = getattr(sys.modules.get(module), "__file__", None)
            if file is None:
                continue
            path = Path(file)
            stamp = stamps([path]).get(path)
            if stamp is None or self._stamps.get(path) == stamp:
                continue
            name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else module
            known = self._hashes.get(name)
            self._stamps[path], self._hashes[name] = stamp, _hash_of(path)
            if known not in (None, self._hashes[name]):
                changed.append(module)
        return changed

    def _combined(self) -> str:
        digest = sha256()
        for name, value in sorted(self._hashes.items()):
            digest.update(f"{name}\0{value}\n".encode())
        return digest.hexdigest()


def _hash_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
