"""Parameters: declared as a frozen dataclass by the strategy, given by its entry in strategies.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from core import codec
from core.errors import CodecError, ConfigError
from strategies.hints import hint

P = TypeVar("P")

_PLACE = re.compile(r"(?P<expected>.*) - at `\$\.(?P<key>\w+).*`")


def params_from(values: Mapping[str, Any], into: type[P]) -> P:
    """Build a strategy's parameters; one that is not given takes its default.

    Raises:
        ConfigError: a key is unknown or missing, a value is of another type, or the strategy's own check refuses it.
    """
    known = [field.name for field in fields(into)]  # type: ignore[arg-type]  # parameters are a dataclass
    for key in values:
        if key not in known:
            raise ConfigError(f"params.{key}: unknown key; {hint(key, known)}")
    try:
        return codec.convert(dict(values), into)
    except CodecError as error:
        raise ConfigError(_said(str(error), values)) from None


def _said(problem: str, values: Mapping[str, Any]) -> str:
    _, _, text = problem.partition(": ")
    place = _PLACE.search(text)
    if place is None or place["key"] not in values:
        return f"params: {text}"
    return f"params.{place['key']} is {values[place['key']]!r}; {place['expected']}"
