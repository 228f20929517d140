"""What a strategy remembers, as JSON values: written down once a second, restored exactly after a restart.

Everything that a constructor or a hook assigns to `self` is memory, except settings that come from outside. Allowed
are None, bool, int, finite float, str, Decimal, events, lists, tuples and dicts of these, and objects with `snapshot`
and `restore` of their own (indicators, `Stateful`, `PerSymbol`), which the constructor must have created.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from core import codec, topics
from core.contracts import DenialReason, Event, OrderStatus, SignalIntention, SizingReason
from core.errors import ContractError

_KIND = "$"  # marks what JSON alone could not tell apart: {"$": "decimal", "value": "1.5"}
_PLAIN = (type(None), bool, int, str)
_WORDS: dict[str, type[OrderStatus] | type[DenialReason] | type[SignalIntention] | type[SizingReason]] = {
    "status": OrderStatus,
    "reason": DenialReason,
    "intention": SignalIntention,
    "sizing": SizingReason,
}
ALLOWED = (
    "None, bool, int, finite float, str, Decimal, an event, list, tuple, dict, or an object with snapshot and restore"
)


@runtime_checkable
class Remembers(Protocol):
    """An object that writes its own memory down."""

    def snapshot(self) -> dict[str, Any]:
        """The memory as JSON values."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `snapshot` described."""
        ...


class Stateful:
    """Remembers all of its attributes but the transient ones.

    Attributes:
        transient: names of attributes that come from outside and are no memory.
    """

    transient: ClassVar[frozenset[str]] = frozenset()

    def snapshot(self) -> dict[str, Any]:
        """The memory as JSON values.

        Raises:
            ContractError: an attribute holds what cannot be written down.
        """
        kept = {name: value for name, value in vars(self).items() if name not in self.transient}
        for name, value in kept.items():
            if type(value) not in _PLAIN:  # most are; this is done for every strategy in every second of the market
                kept[name] = _encode_attribute(value, f"{type(self).__name__}.{name}")
        return kept

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `snapshot` described.

        Raises:
            ContractError: an object with a memory of its own was not created by the constructor.
        """
        for name, saved in state.items():
            if not _is(saved, "memory"):
                setattr(self, name, decode(saved))
                continue
            owner = getattr(self, name, None)
            if not isinstance(owner, Remembers):
                raise ContractError(f"{type(self).__name__}.{name} has a memory, so __init__ must create it")
            owner.restore(saved["value"])


T = TypeVar("T", bound=Remembers)


class PerSymbol(dict[str, T]):
    """One object per symbol, made when a symbol is first asked for.

    >>> class Count(Stateful):
    ...     def __init__(self) -> None:
    ...         self.seen = 0
    >>> counts = PerSymbol(Count)
    >>> counts["BTC/USDT"].seen += 1
    >>> counts.snapshot()
    {'BTC/USDT': {'seen': 1}}
    """

    def __init__(self, create: Callable[[], T]) -> None:
        super().__init__()
        self._create = create

    def __missing__(self, symbol: str) -> T:
        self[symbol] = created = self._create()
        return created

    def snapshot(self) -> dict[str, Any]:
        """The memory of each, by symbol."""
        return {symbol: owner.snapshot() for symbol, owner in self.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `snapshot` described; each is made anew, with today's parameters, and then restored."""
        self.clear()
        for symbol, saved in state.items():
            self[symbol].restore(saved)


def _encode_attribute(value: Any, path: str) -> Any:
    kind: Any = type(value)
    if _remembers(kind):
        return {_KIND: "memory", "value": value.snapshot()}
    return encode(value, path)


@lru_cache(maxsize=1024)
def _remembers(kind: type[Any]) -> bool:
    """Whether what is of this kind is a `Remembers`; asking a protocol itself takes a hundred times longer."""
    return all(callable(getattr(kind, name, None)) for name in ("snapshot", "restore"))


def encode(value: object, path: str = "value") -> Any:
    """A value as JSON values that `decode` turns back into an equal one.

    Raises:
        ContractError: it is of none of the allowed kinds; the message names `path`.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is float and isfinite(value):  # type: ignore[arg-type]  # a float, just seen
        return value
    if kind is list:
        return _encode_items(value, path)  # type: ignore[arg-type]  # a list, just seen
    if kind is dict:
        return _encode_dict(value, path)  # type: ignore[arg-type]  # a dict, just seen
    return _encode_marked(value, path)


def _encode_items(items: list[Any], path: str) -> list[Any]:
    if set(map(type, items)) <= {float} and all(map(isfinite, items)):
        return items.copy()  # windows of prices are long: no call per value
    return [encode(item, f"{path}[{index}]") for index, item in enumerate(items)]


def _encode_dict(items: dict[Any, Any], path: str) -> dict[str, Any]:
    for key in items:
        if type(key) is not str or key == _KIND:
            raise ContractError(f"{path} has the key {key!r}; allowed: a text other than {_KIND!r}")
    return {key: encode(item, f"{path}.{key}") for key, item in items.items()}


def _encode_marked(value: object, path: str) -> dict[str, Any]:
    if isinstance(value, Decimal) and value.is_finite():
        return {_KIND: "decimal", "value": str(value)}
    if type(value) is tuple:
        return {_KIND: "tuple", "value": _encode_items(list(value), path)}
    for name, words in _WORDS.items():
        if isinstance(value, words):
            return {_KIND: name, "value": value.value}
    if isinstance(value, Event):
        return {_KIND: "event", "type": type(value).__name__, "value": codec.to_dict(value)}
    raise ContractError(f"{path} is {value!r:.80}, which cannot be remembered; allowed: {ALLOWED}")


def _is(saved: object, kind: str) -> bool:
    return isinstance(saved, dict) and saved.get(_KIND) == kind


def decode(saved: Any) -> Any:
    """The value that `encode` was given.

    Raises:
        ContractError: nothing that `encode` makes.
    """
    if isinstance(saved, list):
        return [decode(item) for item in saved]
    if not isinstance(saved, dict):
        return saved
    kind = saved.get(_KIND)
    if kind is None:
        return {key: decode(item) for key, item in saved.items()}
    if kind == "decimal":
        return Decimal(saved["value"])
    if kind == "tuple":
        return tuple(decode(saved["value"]))
    if kind in _WORDS:
        return _WORDS[kind](saved["value"])
    return _decode_event(saved)


def _decode_event(saved: dict[str, Any]) -> Event:
    event = topics.event_type(str(saved.get("type")))
    if saved[_KIND] != "event" or event is None:
        raise ContractError(f"{saved!r:.80} is no memory that this version can read")
    return codec.from_dict(event, saved["value"])
