"""Where values come from, each as a layer: YAML files, the file of secrets, credentials of systemd, the environment."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from core.config_layers import KeyPath, Layer, dotted
from core.config_references import resolve
from core.errors import ConfigError

ENV_PREFIX = "NJORD__"
CREDENTIAL_PREFIX = "njord."
DECRYPT_TIMEOUT_S = 30.0
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NO_VALUE = "not YAML: a number or date that cannot exist; put quotes around it where it is a text"


def read_layer(path: Path, name: str, environ: Mapping[str, str]) -> Layer:
    """Read a YAML file, with `${NAME}` in its values replaced; see `core.config_references`.

    Args:
        path: the file.
        name: what errors call it.
        environ: what references are looked up in.

    Raises:
        ConfigError: it cannot be read, is no YAML, is no mapping, has a key twice or refers to a missing variable.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: cannot be read: {error}") from None
    return parse_layer(text, name, environ)


def parse_layer(text: str, name: str, environ: Mapping[str, str]) -> Layer:
    """Read YAML text; see `read_layer`."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        layer = Layer({}, {(): name})
        problems = [] if root is None else _places(root, layer, loader, environ)
        values = loader.construct_document(root) if root is not None and not problems else {}
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{name}{_place_and_problem(error, text)}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not YAML: {str(error).splitlines()[0]}") from None
    except ValueError:
        raise ConfigError(f"{name}: {_NO_VALUE}") from None
    if not isinstance(values, dict):
        problems.append(f"{name}: holds a {type(values).__name__}; allowed: keys and values")
    if problems:
        raise ConfigError("\n".join(problems))
    layer.values = values
    return layer


def _place_and_problem(error: yaml.MarkedYAMLError, text: str) -> str:
    if not error.problem_mark:
        return f": not YAML: {error.problem}"
    number = error.problem_mark.line
    hint = (
        "; inside of {} or [] a value with ${...} needs quotes"
        if "${" in "".join(text.splitlines()[number : number + 1])
        else ""
    )
    return f":{number + 1}: not YAML: {error.problem}{hint}"


def _places(root: yaml.Node, layer: Layer, loader: yaml.SafeLoader, environ: Mapping[str, str]) -> list[str]:
    """Note where every key stands and resolve references; what is wrong with them.

    Wrong is also a key that stands twice or contains itself.
    """
    nodes: dict[KeyPath, yaml.Node] = {}
    problems: list[str] = []
    todo: list[tuple[KeyPath, yaml.Node, frozenset[int]]] = [((), root, frozenset({id(root)}))]
    while todo:
        path, node, around = todo.pop()
        for key, line, child in _children(node):
            here, place = (*path, key), f"{layer.where[()]}:{line}"
            if here in nodes:
                problems.append(f"{place}: {dotted(here)} is given twice, first at {layer.where[here]}")
            elif id(child) in around:
                problems.append(f"{place}: {dotted(here)} is an alias of what it is inside of")
            else:
                layer.where[here], nodes[here] = place, child
                todo.append((here, child, around | {id(child)}))
    return problems + resolve(loader, nodes, layer, environ)


def _children(node: yaml.Node) -> list[tuple[str | int, int, yaml.Node]]:
    if isinstance(node, yaml.SequenceNode):
        return [(index, item.start_mark.line + 1, item) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return [(str(key.value), key.start_mark.line + 1, item) for key, item in node.value]
    return []


def read_secrets(path: Path, name: str, environ: Mapping[str, str]) -> Layer:
    """Read a YAML file of secrets, through `sops` where it is encrypted by it.

    Raises:
        ConfigError: as for `read_layer`, or it is encrypted and cannot be decrypted here.
    """
    layer = read_layer(path, name, environ)
    if "sops" in layer.values:
        layer = parse_layer(_decrypt(path, name), name, environ)
    layer.secret = {(key,) for key in layer.values}
    return layer


def is_encrypted(path: Path) -> bool:
    """Whether a file of secrets is encrypted by SOPS; one that cannot be read is not known to be.

    >>> is_encrypted(Path("/none/secrets.enc.yaml"))
    False
    """
    try:
        root = _Loader(path.read_text("utf-8")).get_single_node()
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False
    return root is not None and any(key == "sops" for key, _, _ in _children(root))


def _decrypt(path: Path, name: str) -> str:
    sops = shutil.which("sops")
    if sops is None:
        raise ConfigError(f"{name}: is encrypted with SOPS, and there is no program `sops` on PATH to decrypt it")
    command = [sops, "-d", "--input-type", "yaml", "--output-type", "yaml", str(path)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=DECRYPT_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"{name}: `sops -d` has not answered within {DECRYPT_TIMEOUT_S:g} s") from None
    except OSError as error:
        raise ConfigError(f"{name}: `{sops}` cannot be run: {error.strerror}") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ConfigError(f"{name}: `sops -d` failed with exit code {done.returncode}: {reason}")
    return done.stdout


def credentials_layer(environ: Mapping[str, str]) -> Layer:
    """What systemd hands over in `$CREDENTIALS_DIRECTORY`: `njord.redis.url` holds the text of the key `redis.url`.

    Credentials whose name begins otherwise are meant for somebody else.

    Raises:
        ConfigError: one of them cannot be read, or lies inside the value of another one.
    """
    layer = Layer()
    folder = environ.get("CREDENTIALS_DIRECTORY")
    for path in sorted(Path(folder).glob(f"{CREDENTIAL_PREFIX}*")) if folder else ():
        name = f"credential {path.name}"
        try:
            text = path.read_text("utf-8").removesuffix("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{name}: cannot be read: {type(error).__name__}") from None
        keys = tuple(path.name.removeprefix(CREDENTIAL_PREFIX).split("."))
        one = _nested(name, keys, text)
        one.secret = {keys}
        layer.merge(one)
    return layer


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """What the environment says: `REDIS_URL`, and `NJORD__RISK__PER_ORDER_USD_CAP` for `risk.per_order_usd_cap`.

    Values are read as YAML, so lists and numbers can be given.

    Raises:
        ConfigError: a value is no YAML.
    """
    layer = Layer()
    if environ.get("REDIS_URL"):
        layer.merge(_nested("REDIS_URL", ("redis", "url"), environ["REDIS_URL"]))
    for name in sorted(key for key in environ if key.startswith(ENV_PREFIX)):
        path = tuple(name[len(ENV_PREFIX) :].lower().split("__"))
        try:
            value = yaml.load(environ[name], _Loader)
        except (yaml.YAMLError, ValueError):
            raise ConfigError(f"{name}: is not YAML") from None
        layer.merge(_nested(name, path, value))
    return layer


def _nested(name: str, path: tuple[str, ...], value: object) -> Layer:
    nested: Any = value
    for key in reversed(path):
        nested = {key: nested}
    return Layer(nested, {path[:length]: name for length in range(len(path) + 1)})
