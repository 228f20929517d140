"""Many lines in one go: their keys, their events, their bars as light rows.

What reads a million lines a second cannot ask a Python function about each of them. So a block of lines goes through
the decoder as a whole, and types tell it what to refuse. Whoever asked looks at a refused block again, line by line,
by the same functions: a single blank line holds nothing, while a line with two objects is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sized
from dataclasses import MISSING, fields
from functools import cache
from typing import Annotated, Any, Literal, Protocol, TypeVar

import msgspec

from core.contracts import Event
from core.contracts.moments import FOREVER
from core.contracts.times import time_fields
from core.errors import CodecError, ContractError

E = TypeVar("E", bound=Event)

_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ContractError)


def _require_each(lines: bytes, found: Sized) -> None:
    """Refuse what has not one object on each line; nothing but blanks may have none."""
    count = lines.count(b"\n")
    if len(found) != count and (count > 1 or len(found) > 1 or lines.strip()):
        raise CodecError(f"{len(found)} objects on {count} lines")


def _refused(name: str, error: Exception) -> CodecError:
    """The decoder's reason without the place among the lines, which only whoever has the file can say."""
    return CodecError(f"no {name}: {_PLACE.sub('`$', str(error))}")


_PLACE = re.compile(r"`\$\[\d+\]")


class Key(Protocol):
    """What a line says about itself before its event is read.

    Attributes:
        own: the event's own time, ns UTC; 0 if it has none.
        other: the time that counts where that is 0.
        header_ts: the sequencer's time; 0 without a header.
        header_type: the event's type by the header; empty without one.
        symbol: that the event names; empty if it names none.
        timeframe: likewise.
        instance: likewise.
    """

    own: int
    other: int
    header_ts: int
    header_type: str
    symbol: str
    timeframe: str
    instance: str


def time_of(key: Key) -> int:
    """The event's own time, or else the sequencer's, ns UTC; 0 where the line says neither."""
    return key.own or key.other or key.header_ts


def is_dated(key: Key, event: type[Event]) -> bool:
    """Whether a line says when it was: 0 is a time only of an event that always has one of its own."""
    return time_of(key) != 0 or len(time_fields(event)) == 1


def keys_of(lines: bytes, event: type[Event]) -> list[Key]:
    """The keys of many lines, each with its newline.

    Raises:
        CodecError: one of them is no JSON object, lacks what is asked, or holds another event by its header.
    """
    try:
        keys: list[Key] = _key_decoder(event).decode_lines(lines)  # type: ignore[arg-type]  # mypy: a class is hashable
        _require_each(lines, keys)
    except _BROKEN as error:
        raise _refused(event.__name__, error) from None
    return keys


@cache
def _key_decoder(event: type[Any]) -> msgspec.json.Decoder[Any]:
    own, other = (*time_fields(event), "-own", "-other")[:2]  # no event has fields of these names
    optional = {each.name for each in fields(event) if each.default is not MISSING}
    named = {each.name for each in fields(event)}
    wanted: dict[str, tuple[str, Any, Any]] = {"own": (own, int, 0), "other": (other, int, 0)}
    wanted["header_ts"] = ("_ts", int, 0)
    wanted |= {name: (name, str, "") for name in ("symbol", "timeframe", "instance")}
    wanted["header_type"] = ("_type", Literal[event.__name__, ""], "")
    declared: list[Any] = [
        (name, kind) if field in named - optional else (name, kind, default)
        for name, (field, kind, default) in wanted.items()
    ]
    rename = {name: field for name, (field, *_) in wanted.items()}
    return msgspec.json.Decoder(
        msgspec.defstruct(f"{event.__name__}Key", declared, rename=rename, kw_only=True, frozen=True, gc=False)
    )


def events_of(lines: bytes, event: type[E]) -> list[E]:
    """The events of many lines, each with its newline, with all checks of their constructors.

    Raises:
        CodecError: one of them is no such event.
    """
    try:
        events: list[E] = _event_decoder(event).decode_lines(_filled(lines, event))  # type: ignore[arg-type]  # the same
        _require_each(lines, events)
    except _BROKEN as error:
        raise _refused(event.__name__, error) from None
    typed = lines.count(b'"_type":"%s","_v":' % event.__name__.encode())
    if typed != len(events) and (typed or b'"_type":"' in lines):
        keys_of(lines, event)  # refuses what another type's header stands in front of
    return events


@cache
def _event_decoder(event: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(event)


_WORTH_FILLING = 4096
"""Bytes; of less, the places that an error names matter more than the time."""


def _filled(lines: bytes, event: type[Any]) -> bytes:
    """The same lines, each with the defaults that the first one leaves out in front.

    The decoder takes half as long for a field that is there as for one that it must find missing. Of two equal keys
    the last one counts, so a line that does say one of these says it still.
    """
    if len(lines) < _WORTH_FILLING or not lines.startswith(b'{"'):
        return lines
    first = lines[: lines.index(b"\n")]
    missing = tuple(name for name in _defaults(event) if b'"%s":' % name.encode() not in first)  # type: ignore[arg-type]
    if not missing:
        return lines
    filler = _filler(event, missing)  # type: ignore[arg-type]
    return filler + lines[1:].replace(b'\n{"', b"\n" + filler + b'"')


@cache
def _defaults(event: type[Any]) -> dict[str, Any]:
    return {each.name: each.default for each in fields(event) if each.default is not MISSING}


@cache
def _filler(event: type[Any], names: tuple[str, ...]) -> bytes:
    defaults = _defaults(event)  # type: ignore[arg-type]
    return msgspec.json.encode({name: defaults[name] for name in names})[:-1] + b","


Price = Annotated[float, msgspec.Meta(gt=0)]
Amount = Annotated[float, msgspec.Meta(ge=0)]


class BarRow(msgspec.Struct, frozen=True, gc=False):
    """A bar's fields, for those who make columns of them; see `OHLCVBar`.

    Each number by itself is one that a bar may have: finite, prices and factors above 0, amounts 0 or more. That low
    is the lowest price, high the highest, and `ts_close` one timeframe behind `ts_open` has not been checked: that is
    faster done with columns.

    Attributes:
        event_type: by the header, where there is one.
    """

    symbol: str
    timeframe: str
    ts_open: int
    ts_close: int
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount
    vwap: Price | None = None
    turnover: Amount = 0.0
    trade_count: int = 0
    complete: bool = True
    asset_class: str = "crypto"
    currency: str = ""
    split_factor: Price = 1.0
    return_factor: Price = 1.0
    event_type: Literal["OHLCVBar"] = msgspec.field(default="OHLCVBar", name="_type")


_decode_rows = msgspec.json.Decoder(BarRow).decode_lines


def bar_rows(symbol: str, timeframe: str, start_ns: int = 0, end_ns: int = FOREVER) -> Callable[[bytes], list[BarRow]]:
    """What makes rows of many lines, each with its newline: of one series, with `ts_open` in `[start_ns, end_ns)`.

    It raises CodecError where one of the lines is no such bar, were it of another series or time.
    """
    only = msgspec.defstruct(
        "OnlyBarRow",
        [
            ("symbol", Literal[symbol]),
            ("timeframe", Literal[timeframe]),
            ("ts_open", Annotated[int, msgspec.Meta(ge=max(start_ns, -FOREVER), lt=min(end_ns, FOREVER))]),
        ],
        bases=(BarRow,),
        frozen=True,
        gc=False,
    )
    decode_only: Callable[[bytes], list[BarRow]] = msgspec.json.Decoder(only).decode_lines  # type: ignore[assignment]

    def rows_of(lines: bytes) -> list[BarRow]:
        try:
            found = decode_only(lines)
            _require_each(lines, found)
            return found
        except _BROKEN:
            pass  # not all of them are wanted, or one is broken
        try:
            rows = _decode_rows(lines)
            _require_each(lines, rows)
        except _BROKEN as error:
            raise _refused("OHLCVBar", error) from None
        return [
            row
            for row in rows
            if row.symbol == symbol and row.timeframe == timeframe and start_ns <= row.ts_open < end_ns
        ]

    return rows_of
