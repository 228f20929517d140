"""What pydantic found wrong, said so that the reader can fix it: where, which key, which value, what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from core.config_layers import KeyPath, Layer, dotted
from core.redact import HIDDEN

_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}
_MISSING = {"missing", "missing_argument"}
_CONTRACT = re.compile(r"\w+\.(\w+) is (.*); allowed: (.*)")
_PYDANTIC = re.compile(r"^(Value error, |Input should be |String should )")
_VALUE_MAX = 80


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """The nearest of the known names, and all of them."""
    names = list(known)
    near = get_close_matches(given, names, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}allowed: {', '.join(names) or 'none'}"


def problems_of(error: ValidationError, model: type[BaseModel], layer: Layer) -> list[str]:
    """One line per mistake, in the order of the model."""
    return [_problem(detail, model, layer) for detail in error.errors(include_url=False)]


def _problem(detail: ErrorDetails, model: type[BaseModel], layer: Layer) -> str:
    path, kind = _real(detail["loc"], layer.values), detail["type"]
    if kind in _UNKNOWN:
        hint = did_you_mean(str(path[-1]), _keys_at(model, path[:-1]))
        return f"{layer.origin(path)}: {dotted(path)}: unknown key; {hint}"
    if kind in _MISSING:
        return f"{layer.origin(path)}: {dotted(path)}: is missing"
    allowed = _allowed(detail)
    contract = _CONTRACT.fullmatch(allowed)
    reported = ""
    if contract:  # a record's own check names the field, pydantic only the record
        path, reported, allowed = (*path, contract[1]), contract[2], contract[3]
    return f"{layer.origin(path)}: {dotted(path)} is {_value(path, layer, reported)}; allowed: {allowed}"


def _allowed(detail: ErrorDetails) -> str:
    if detail["type"] in {"model_type", "dataclass_type", "dict_type"}:
        return "keys and values"
    return _PYDANTIC.sub("", detail["msg"])


def _real(loc: KeyPath, values: Any) -> KeyPath:
    """The path as far as it leads through what was written; pydantic adds steps of its own, such as "[key]"."""
    path: list[str | int] = []
    for step in loc:
        if not isinstance(values, (dict, list)):
            break
        path.append(step)
        values = values.get(step) if isinstance(values, dict) else values[int(step)]
    return tuple(path)


def _value(path: KeyPath, layer: Layer, reported: str) -> str:
    """What stands there; for what was made of several values, what the record's own check has said of them."""
    if layer.is_secret(path):
        return HIDDEN
    value = layer.visible(path)
    text = reported if reported and isinstance(value, (dict, list)) and not layer.holds_secret(path) else repr(value)
    return text if len(text) <= _VALUE_MAX else text[: _VALUE_MAX - 3] + "..."


def numbers_from_booleans(raw: Any, parsed: Any, layer: Layer, path: KeyPath = ()) -> list[str]:
    """Mistakes that pydantic lets pass: `orders_per_min_cap: yes` is 1 to it."""
    if isinstance(raw, bool) and not isinstance(parsed, bool):
        return [f"{layer.origin(path)}: {dotted(path)} is {raw}; allowed: a number"]
    steps = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    problems: list[str] = []
    for step, value in steps:
        inner = parsed[step] if isinstance(parsed, (dict, list, tuple)) else getattr(parsed, str(step))
        problems += numbers_from_booleans(value, inner, layer, (*path, step))
    return problems


def _keys_at(kind: Any, path: KeyPath) -> list[str]:
    """The keys that a model allows at a path."""
    for step in path:
        kind = _inside(_bare(kind), step)
    kind = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [info.alias or name for name, info in kind.model_fields.items()]
    return [item.name for item in fields(kind)] if is_dataclass(kind) else []


def _inside(kind: Any, step: str | int) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        named = {info.alias or name: name for name, info in kind.model_fields.items()}
        return kind.model_fields[named[str(step)]].annotation
    if is_dataclass(kind) and isinstance(kind, type):
        return get_type_hints(kind)[str(step)]
    arguments = get_args(kind)
    return arguments[1] if get_origin(kind) is dict else arguments[0]


def _bare(kind: Any) -> Any:
    """A type without its annotations and without None."""
    while get_origin(kind) in (Annotated, Union, UnionType):
        kind = get_args(kind)[0]
    return kind
