"""What all events share: the marker class and the checks that keep bad numbers out.

Events are built by strategies, sources and the codec alike, so the checks sit in the events' own
constructors: a value that passed one of them is never NaN, never infinite, never of another kind.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal, InvalidOperation
from sys import float_info

from core.errors import ContractError

_MAX = float_info.max  # what is above it is infinite, or an integer that no float can hold


class Event:
    """Marker base of every event; events are frozen, slotted dataclasses."""

    __slots__ = ()


def refuse(event: object, field: str, value: object, allowed: str) -> ContractError:
    """Build the error for a field that holds what it may not."""
    return ContractError(f"{type(event).__name__}.{field} is {value!r}; allowed: {allowed}")


def to_decimal(event: object, field: str, value: object) -> Decimal:
    """Return `value` as a finite Decimal; floats count by their shortest repr.

    Raises:
        ContractError: not a number, NaN or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, float, str)):
        raise refuse(event, field, value, "a number")
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except InvalidOperation:
        raise refuse(event, field, value, "a number") from None
    if not number.is_finite():
        raise refuse(event, field, value, "a finite number")
    return number


def set_decimal(event: object, field: str) -> None:
    """Replace a freshly built event's field by its Decimal."""
    value = getattr(event, field)
    if type(value) is not Decimal or not value.is_finite():
        object.__setattr__(event, field, to_decimal(event, field, value))


def require_finite(event: object, field: str, value: object) -> None:
    """Refuse NaN, infinities and what is no number."""
    if not isinstance(value, (float, int)) or not -_MAX <= value <= _MAX:
        raise refuse(event, field, value, "a finite number")


def require_positive(event: object, field: str, value: object) -> None:
    """Refuse what is not a finite number above zero."""
    if not isinstance(value, (float, int)) or not 0.0 < value <= _MAX:
        raise refuse(event, field, value, "a finite number above 0")


def require_in(event: object, field: str, value: object, allowed: Collection[str]) -> None:
    """Refuse a word outside a closed vocabulary."""
    if value not in allowed:
        raise refuse(event, field, value, ", ".join(sorted(allowed)))


def require_text(event: object, field: str, value: object) -> None:
    """Refuse an empty name."""
    if not isinstance(value, str) or not value:
        raise refuse(event, field, value, "a text that is not empty")


NAME_MAX = 128
"""Most characters of a name that anybody may send and that a handler remembers."""


def require_short(event: object, field: str, value: str) -> None:
    """Refuse a name that would fill a memory."""
    if len(value) > NAME_MAX:
        raise ContractError(f"{type(event).__name__}.{field} has {len(value)} characters; allowed: {NAME_MAX}")
