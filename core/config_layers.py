"""Configuration files and environment as layers that remember where each value was written.

A mistake is worth little without its place, so every layer maps the path of each of its keys to "file:line" or to the
name of the environment variable, and merging layers keeps that map right.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from core.errors import ConfigError

KeyPath = tuple[str | int, ...]

ENV_PREFIX = "NJORD__"
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
        """Whether the value came from the file of secrets."""
        return any(path[:length] in self.secret for length in range(1, len(path) + 1))

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
        if over.is_secret(path):
            self.secret.add(path)


def read_layer(path: Path, name: str) -> Layer:
    """Read a YAML file.

    Args:
        path: the file.
        name: what errors call it.

    Raises:
        ConfigError: it cannot be read, is no YAML, is no mapping or has a key twice.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: cannot be read: {error}") from None
    return parse_layer(text, name)


def parse_layer(text: str, name: str) -> Layer:
    """Read YAML text; see `read_layer`."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        where, problems = _places(node, name) if node is not None else ({}, [])
        values = loader.construct_document(node) if node is not None and not problems else {}
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{name}{line}: not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(values, dict):
        problems.append(f"{name}: holds a {type(values).__name__}; allowed: keys and values")
    if problems:
        raise ConfigError("\n".join(problems))
    return Layer(values, {(): name, **where})


def _places(root: yaml.Node, name: str) -> tuple[dict[KeyPath, str], list[str]]:
    """Where every key stands, and which keys stand twice or contain themselves."""
    where: dict[KeyPath, str] = {}
    problems: list[str] = []
    todo: list[tuple[KeyPath, yaml.Node, frozenset[int]]] = [((), root, frozenset({id(root)}))]
    while todo:
        path, node, around = todo.pop()
        for key, line, child in _children(node):
            here, place = (*path, key), f"{name}:{line}"
            if here in where:
                problems.append(f"{place}: {dotted(here)} is given twice, first at {where[here]}")
            elif id(child) in around:
                problems.append(f"{place}: {dotted(here)} is an alias of what it is inside of")
            else:
                where[here] = place
                todo.append((here, child, around | {id(child)}))
    return where, problems


def _children(node: yaml.Node) -> list[tuple[str | int, int, yaml.Node]]:
    if isinstance(node, yaml.SequenceNode):
        return [(index, item.start_mark.line + 1, item) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return [(str(key.value), key.start_mark.line + 1, item) for key, item in node.value]
    return []


def read_secrets(path: Path, name: str) -> Layer:
    """Read a YAML file of secrets, through `sops` where it is encrypted by it.

    Raises:
        ConfigError: as for `read_layer`, or it is encrypted and cannot be decrypted here.
    """
    layer = read_layer(path, name)
    if "sops" in layer.values:
        layer = parse_layer(_decrypt(path, name), name)
    layer.secret = {(key,) for key in layer.values}
    return layer


def _decrypt(path: Path, name: str) -> str:
    sops = shutil.which("sops")
    if sops is None:
        raise ConfigError(f"{name}: is encrypted with SOPS, and there is no program `sops` on PATH to decrypt it")
    command = [sops, "-d", "--input-type", "yaml", "--output-type", "yaml", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ConfigError(f"{name}: `sops -d` failed with exit code {done.returncode}: {reason}")
    return done.stdout


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """What the environment says: `REDIS_URL`, and `NJORD__RISK__PER_ORDER_USD_CAP` for `risk.per_order_usd_cap`.

    Values are read as YAML, so lists and numbers can be given.

    Raises:
        ConfigError: a value is no YAML, or a variable lies inside the value of another one.
    """
    layer = Layer()
    if environ.get("REDIS_URL"):
        layer.merge(_variable("REDIS_URL", ("redis", "url"), environ["REDIS_URL"]))
    for name in sorted(key for key in environ if key.startswith(ENV_PREFIX)):
        path = tuple(name[len(ENV_PREFIX) :].lower().split("__"))
        try:
            value = yaml.load(environ[name], _Loader)
        except yaml.YAMLError:
            raise ConfigError(f"{name}: is not YAML") from None
        layer.merge(_variable(name, path, value))
    return layer


def _variable(name: str, path: tuple[str, ...], value: object) -> Layer:
    nested: Any = value
    for key in reversed(path):
        nested = {key: nested}
    return Layer(nested, {path[:length]: name for length in range(len(path) + 1)})


def dotted(path: KeyPath) -> str:
    """A path of keys as people write it: `instruments[0].tick_size`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")
