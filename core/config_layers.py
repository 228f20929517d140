"""Configuration files and environment as layers that remember where each value was written.

A mistake is worth little without its place, so every layer maps the path of each of its keys to "file:line" or to the
name of the environment variable, and merging layers keeps that map right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.redact import HIDDEN, redact

KeyPath = tuple[str | int, ...]


@dataclass(slots=True)
class Layer:
    """Values and where each of them was written.

    Attributes:
        values: nested mappings as JSON-like values.
        where: "file:line" or the name of a variable, per path of keys.
        secret: paths whose values must not be shown.
    """

    values: dict[str, Any] = field(default_factory=dict)
    where: dict[KeyPath, str] = field(default_factory=dict)
    secret: set[KeyPath] = field(default_factory=set)

    def origin(self, path: KeyPath) -> str:
        """Where a key, or the nearest thing around it, was written."""
        while path and path not in self.where:
            path = path[:-1]
        return self.where.get(path, "configuration")

    def is_secret(self, path: KeyPath) -> bool:
        """Whether the value came from where secrets are kept."""
        return any(path[:length] in self.secret for length in range(1, len(path) + 1))

    def holds_secret(self, path: KeyPath) -> bool:
        """Whether something at a path or below it is secret."""
        return self.is_secret(path) or any(known[: len(path)] == path for known in self.secret)

    def visible(self, path: KeyPath) -> object:
        """The value at a path as people may see it; None where nothing is written."""
        return redact(self._hidden(self._at(path), path), str(path[-1]) if path else "")

    def _at(self, path: KeyPath) -> Any:
        value: Any = self.values
        for step in path:
            if not isinstance(value, (dict, list)):
                return None
            value = value.get(step) if isinstance(value, dict) else value[int(step)]
        return value

    def _hidden(self, value: object, path: KeyPath) -> object:
        """The value with each secret in it hidden."""
        if self.is_secret(path):
            return HIDDEN
        if not self.holds_secret(path):
            return value
        if isinstance(value, dict):
            return {key: self._hidden(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._hidden(item, (*path, index)) for index, item in enumerate(value)]
        return value

    def part(self, path: KeyPath) -> Layer:
        """What lies at a path, as a layer of its own; empty where nothing is written."""
        size = len(path)
        return Layer(
            dict(self._at(path) or {}),
            {known[size:]: at for known, at in self.where.items() if known[:size] == path},
            {known[size:] for known in self.secret if known[:size] == path},
        )

    def merge(self, over: Layer) -> None:
        """Lay another layer on top: mappings join, everything else is replaced; a top-level null says nothing."""
        stated = {key: value for key, value in over.values.items() if value is not None}
        self._join(self.values, stated, (), over)
        self.where.setdefault((), over.where.get((), "configuration"))

    def _join(self, below: dict[str, Any], above: Mapping[str, Any], path: KeyPath, over: Layer) -> None:
        for key, value in above.items():
            here = (*path, key)
            if isinstance(value, Mapping) and isinstance(below.get(key), dict):
                self._join(below[key], value, here, over)
                continue
            below[key] = value
            self._move(here, over)

    def _move(self, path: KeyPath, over: Layer) -> None:
        size = len(path)
        self.where = {known: at for known, at in self.where.items() if known[:size] != path}
        self.where |= {known: at for known, at in over.where.items() if known[:size] == path}
        self.secret = {known for known in self.secret if known[:size] != path}
        self.secret |= {known for known in over.secret if known[:size] == path}
        if over.is_secret(path):
            self.secret.add(path)


def dotted(path: KeyPath) -> str:
    """A path of keys as people write it: `instruments[0].tick_size`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")
