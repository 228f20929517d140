"""Events to bytes and back; the only module that sees JSON.

A line is one flat JSON object: the header's fields with a leading underscore, then the event's own. The sequencer
writes the header, so an event is encoded without it and a line is decoded in two passes over the same bytes.
Decimals travel as strings; NaN and infinities never travel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from hashlib import sha256
from math import isfinite
from typing import Any, TypeVar, get_type_hints

import msgspec

from core import topics
from core.contracts import Event
from core.contracts.shape import require_shape
from core.errors import CodecError, ContractError

E = TypeVar("E", bound=Event)

_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode


class Header(msgspec.Struct, frozen=True, gc=False, rename=lambda name: "_" + name):
    """What the sequencer writes in front of every event.

    Attributes:
        seq: place in the total order, from 1.
        ts: the sequencer's time, ns UTC, never falling.
        prev: `seq` of the previous line on the same topic, 0 for the first.
        src: the instance that published it.
        cause: `seq` of the input it answers, 0 for none.
        root: `seq` of the first cause in the chain; its own where it is one.
        root_ts: sequencer time of the root, ns UTC.
        type: the event's class name.
        v: version of the event's schema.
        n: the publisher's commit number.
        more: how many lines of the same commit follow.
    """

    seq: int
    ts: int
    prev: int
    src: str
    cause: int
    root: int
    root_ts: int
    type: str
    v: int
    n: int
    more: int


_decode_header = msgspec.json.Decoder(Header).decode


def header_of(line: bytes) -> Header:
    """Read a line's header.

    Raises:
        CodecError: there is none, or it is broken.
    """
    try:
        return _decode_header(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CodecError(f"no sequencer header: {error}") from None


def line_of(header: Header, body: bytes) -> bytes:
    """Put a header in front of a body, exactly as the sequencer does."""
    return _encode(header)[:-1] + b"," + body[1:]


def seq_of(line: bytes) -> int:
    """Read only the place in the total order; the header's first field by construction."""
    return int(line[8 : line.index(b",", 8)])


def ts_of(line: bytes) -> int:
    """Read only the sequencer's time, ns UTC; the header's second field by construction.

    Raises:
        ValueError: there is none.
    """
    start = line.index(b',"_ts":', 8) + 7
    return int(line[start : line.index(b",", start)])


class _Observation(msgspec.Struct):
    before_seq: int


_decode_observation = msgspec.json.Decoder(_Observation).decode


def before_seq_of(line: bytes) -> int:
    """Of an observation's line: the first input that its handler saw after it."""
    return _decode_observation(line).before_seq


class _Named(msgspec.Struct):
    symbol: str = ""


_decode_named = msgspec.json.Decoder(_Named).decode


def symbol_of(line: bytes) -> str:
    """The symbol that an event names; empty if it names none."""
    return _decode_named(line).symbol


def has_header(line: bytes) -> bool:
    """Whether a line was put into a total order: its first field is then a sequencer's."""
    return line.startswith(b'{"_')


def body_of(line: bytes) -> bytes:
    """The event's own part of a line, as it was committed."""
    start = line.index(b",", line.index(b',"_more":') + 9)
    return b"{" + line[start + 1 :]


@cache
def _decoder(event: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(event)


def decode(data: bytes, event: type[E]) -> E:
    """Read an event from a line or a body.

    Raises:
        CodecError: a field is missing, of another type, or holds what no event may carry.
    """
    try:
        decoded: E = _decoder(event).decode(data)  # type: ignore[arg-type]  # mypy: a class is hashable
    except (msgspec.DecodeError, UnicodeDecodeError, ContractError) as error:
        raise CodecError(f"no {event.__name__}: {error}") from None
    return decoded


def decode_line(line: bytes, header: Header) -> Event:
    """Read the event of a line.

    Raises:
        CodecError: its type is unknown, or it is not of that type.
    """
    event = topics.event_type(header.type)
    if event is None:
        raise CodecError(f"unknown event type {header.type!r}")
    return decode(line, event)


def encode(event: Event) -> bytes:
    """An event's body: its fields in the order of its class.

    Numbers are finite because every constructor has checked them.
    """
    return _encode(event)


def encode_rows(event: type[Event], columns: Iterable[Iterable[object]]) -> bytes:
    """Many events of one type as lines, each what `encode` gives and a newline.

    Args:
        event: their type.
        columns: the values of each of its fields, in their order, all of one length; whoever calls has checked them.
    """
    row = _row(event)  # type: ignore[arg-type]  # mypy: a class is hashable
    return _encode_lines(list(map(row, *columns)))


def decode_rows(lines: bytes, event: type[Event]) -> list[Any]:
    """Many lines, each with its newline, as records that have the fields and types of an event and none of its checks.

    Raises:
        CodecError: one of them is no such record.
    """
    try:
        rows: list[Any] = _rows_decoder(event).decode_lines(lines)  # type: ignore[arg-type]  # the same
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CodecError(f"no {event.__name__}: {error}") from None
    return rows


@cache
def _row(event: type[Any]) -> type[msgspec.Struct]:
    hints = get_type_hints(event)
    optional = {field.name: field.default for field in fields(event) if field.default is not MISSING}
    declared = [(name, kind, optional[name]) if name in optional else (name, kind) for name, kind in hints.items()]
    return msgspec.defstruct(event.__name__, declared, gc=False)


@cache
def _rows_decoder(event: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_row(event))  # type: ignore[arg-type]  # the same


def encode_payload(payload: object) -> bytes:
    """A free payload as a body.

    Raises:
        CodecError: not a JSON object, or with NaN, infinities or fields that start with an underscore.
    """
    if not isinstance(payload, Mapping) or not payload:
        raise CodecError(f"a payload must be an object with at least one field, not {payload!r:.80}")
    reserved = [key for key in payload if str(key).startswith("_")]
    if reserved:
        raise CodecError(f"payload field {reserved[0]!r} starts with an underscore, as only the header may")
    _require_finite(payload, "payload")
    try:
        return _encode(payload)
    except (TypeError, msgspec.EncodeError) as error:
        raise CodecError(f"payload cannot be written as JSON: {error}") from None


def _require_finite(value: object, path: str) -> None:
    if isinstance(value, float) and not isfinite(value):
        raise CodecError(f"{path} is {value!r}; allowed: a finite number")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _require_finite(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _require_finite(item, f"{path}[{index}]")


def payload_of(line: bytes) -> dict[str, Any]:
    """A line's own fields as a dict, without the header."""
    fields = msgspec.json.decode(line)
    return {key: value for key, value in fields.items() if not key.startswith("_")}


def to_dict(event: Event) -> dict[str, Any]:
    """An event as JSON-ready values: Decimals as strings, tuples as lists."""
    values: dict[str, Any] = msgspec.to_builtins(event)
    return values


def from_dict(event: type[E], values: Mapping[str, Any]) -> E:
    """Build an event from JSON-ready values: the way in from outside, which refuses all that the event's schema does.

    Raises:
        CodecError: a field is unknown, missing, of another type, or holds what no event may carry.
    """
    try:
        require_shape(event, values)
        _require_finite(values, event.__name__)
        return msgspec.convert(dict(values), event)
    except (msgspec.ValidationError, ContractError) as error:
        raise CodecError(f"no {event.__name__}: {error}") from None


T = TypeVar("T")


def convert(values: object, into: type[T]) -> T:
    """Build a typed record (settings, a saved state) from JSON-ready values.

    Raises:
        CodecError: they do not fit.
    """
    try:
        return msgspec.convert(values, into)
    except (msgspec.ValidationError, ContractError) as error:
        raise CodecError(f"no {getattr(into, '__name__', into)}: {error}") from None


def to_builtins(value: object) -> Any:
    """A record, however nested, as JSON-ready values."""
    return msgspec.to_builtins(value)


def encode_pretty(record: object) -> bytes:
    """A record as a JSON file that people read too; its numbers must be finite."""
    return msgspec.json.format(_encode(record), indent=1) + b"\n"


def encode_state(state: object) -> bytes:
    """A handler's memory as bytes; equal memories give equal bytes.

    Raises:
        CodecError: it holds NaN or an infinity, which would come back as nothing.
    """
    data = _encode_sorted(state)
    if b"null" in data:
        _require_finite(state, "state")
    return data


def decode_json(data: bytes | str) -> Any:
    """Plain JSON values.

    Raises:
        CodecError: not JSON.
    """
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CodecError(f"not JSON: {error}") from None


def content_hash(content: object) -> str:
    """SHA-256 over a content's canonical JSON."""
    return sha256(_encode_sorted(content)).hexdigest()
