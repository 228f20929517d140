"""What a record's JSON values must look like beyond their types: no field too many, decimals as plain numbers.

Types are the codec's; this says the rest of what the published JSON Schemas say, so that both refuse the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import is_dataclass
from decimal import Decimal
from functools import cache
from typing import Any, get_args, get_type_hints

from core.errors import ContractError

DECIMAL_PATTERN = r"^-?[0-9]+(\.[0-9]+)?([Ee][+-]?[0-9]+)?$"
"""A decimal as text, as JSON writes a number: no spaces, no underscores, no bare point."""

_DECIMAL = re.compile(DECIMAL_PATTERN[1:-1], re.ASCII)


def require_shape(record: type[Any], values: Mapping[str, Any]) -> None:
    """Refuse unknown fields, also in nested records, and texts that are no plain decimal.

    Args:
        record: the dataclass that the values are to become.
        values: JSON values by field; those of another type than the field's are left to the codec.

    Raises:
        ContractError: names the record, the field, and what is allowed.
    """
    hints = _hints(record)  # type: ignore[arg-type]  # mypy: a class is hashable
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ContractError(f"{record.__name__} has no field {unknown[0]!r}; allowed: {', '.join(hints)}")
    for name, value in values.items():
        _require(hints[name], value, f"{record.__name__}.{name}")


@cache
def _hints(record: type[Any]) -> dict[str, Any]:
    return get_type_hints(record)


def _require(hint: Any, value: Any, path: str) -> None:
    if hint is Decimal:
        if isinstance(value, str) and not _DECIMAL.fullmatch(value):
            raise ContractError(f"{path} is {value!r:.80}; allowed: a plain decimal number")
    elif isinstance(hint, type) and is_dataclass(hint):
        if isinstance(value, Mapping):
            require_shape(hint, value)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _require((get_args(hint) or (Any,))[0], item, f"{path}[{index}]")
    else:  # of an optional field the one type that needs looking at, if any does
        for choice in get_args(hint):
            if choice is Decimal or (isinstance(choice, type) and is_dataclass(choice)):
                _require(choice, value, path)
