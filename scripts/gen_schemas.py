"""Write the JSON Schema and an example of every event, from the dataclasses themselves.

    python -m scripts.gen_schemas            write core/contracts/schemas/
    python -m scripts.gen_schemas --check    exit 1 where a file differs from the contracts

`<producer>/<event>.v1.json` describes an event's own fields, `envelope.v1.json` the header in front of them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal
from enum import StrEnum
from inspect import cleandoc
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from core import codec
from core.contracts import Event
from core.contracts.shape import DECIMAL_PATTERN
from core.topics import TOPICS
from scripts.schema_examples import ENVELOPE, EXAMPLES

FOLDER = Path(__file__).resolve().parents[1] / "core" / "contracts" / "schemas"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
DECIMAL = {"type": ["string", "number"], "pattern": DECIMAL_PATTERN}
"""We always write a text, which keeps every digit; a number is understood."""
ANY_SERVICE = "runtime"
"""Producer of what every service's shell says about itself."""

Schema = dict[str, Any]

_PLAIN: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    NoneType: {"type": "null"},
    Decimal: DECIMAL,
    Any: {},
}


def files() -> dict[str, Schema]:
    """Every file's content by its path under the folder of schemas."""
    written = {"envelope.v1.json": envelope_schema(), "envelope.v1.example.json": codec.to_builtins(ENVELOPE)}
    for topic in TOPICS:
        stem = f"{ANY_SERVICE if topic.owner == '*' else topic.owner}/{snake_case(topic.event.__name__)}.v1"
        written[f"{stem}.json"] = event_schema(topic.event)
        written[f"{stem}.example.json"] = codec.to_dict(EXAMPLES[topic.event])
    return written


def event_schema(event: type[Event]) -> Schema:
    """The schema of an event's own fields."""
    definitions: dict[str, Schema] = {}
    body = record_schema(event, definitions)
    named = {"$schema": DRAFT, "title": event.__name__, "description": summary(event), **body}
    return {**named, "$defs": definitions} if definitions else named


def envelope_schema() -> Schema:
    """The schema of the header; the event's own fields stand behind it in the same object."""
    documented, written = attributes(codec.Header), codec.Header.__struct_encode_fields__
    properties = {
        key: {**_PLAIN[kind], "description": documented[name]}
        for key, (name, kind) in zip(written, get_type_hints(codec.Header).items(), strict=True)
    }
    return {
        "$schema": DRAFT,
        "title": "Envelope",
        "description": summary(codec.Header),
        "type": "object",
        "properties": properties,
        "required": list(written),
        "patternProperties": {"^[^_]": True},
        "additionalProperties": False,
    }


def record_schema(record: type[Any], definitions: dict[str, Schema]) -> Schema:
    """The schema of a dataclass: closed, and with the documentation of its fields."""
    documented, hints = attributes(record), get_type_hints(record)
    properties: dict[str, Schema] = {}
    required: list[str] = []
    for item in fields(record):
        properties[item.name] = {
            **type_schema(hints[item.name], definitions),
            "description": documented[item.name],
        }
        if item.default is not MISSING:
            properties[item.name]["default"] = codec.to_builtins(item.default)
        elif item.default_factory is not MISSING:
            properties[item.name]["default"] = item.default_factory()
        else:
            required.append(item.name)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def type_schema(kind: Any, definitions: dict[str, Schema]) -> Schema:
    """The schema of a field's type.

    Raises:
        TypeError: a type that no event has had so far.
    """
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    if get_origin(kind) in _GENERIC:
        return _GENERIC[get_origin(kind)](get_args(kind), definitions)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {"enum": [member.value for member in kind]}
    if isinstance(kind, type) and is_dataclass(kind):
        definitions[kind.__name__] = {"description": summary(kind), **record_schema(kind, definitions)}
        return {"$ref": f"#/$defs/{kind.__name__}"}
    raise TypeError(f"no schema for {kind!r}")


def _tuple(arguments: tuple[Any, ...], definitions: dict[str, Schema]) -> Schema:
    if arguments[1:] == (...,):
        return {"type": "array", "items": type_schema(arguments[0], definitions)}
    items = [type_schema(argument, definitions) for argument in arguments]
    return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}


def _union(arguments: tuple[Any, ...], definitions: dict[str, Schema]) -> Schema:
    return {"anyOf": [type_schema(argument, definitions) for argument in arguments]}


def _mapping(arguments: tuple[Any, ...], definitions: dict[str, Schema]) -> Schema:
    return {"type": "object", "additionalProperties": type_schema(arguments[1], definitions)}


_GENERIC: Mapping[Any, Callable[[tuple[Any, ...], dict[str, Schema]], Schema]] = {
    Literal: lambda arguments, _: {"enum": list(arguments)},
    tuple: _tuple,
    Union: _union,
    UnionType: _union,
    dict: _mapping,
}


def summary(record: type[Any]) -> str:
    """The first sentence or sentences of a class's documentation."""
    return " ".join((record.__doc__ or "").split("\n\n")[0].split())


def attributes(record: type[Any]) -> dict[str, str]:
    """The `Attributes:` of a class's documentation by name."""
    block = cleandoc(record.__doc__ or "").partition("Attributes:\n")[2].rstrip()
    entries = re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", block, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def snake_case(name: str) -> str:
    """The class name as file names carry it.

    >>> snake_case("OHLCVBar"), snake_case("RiskDecision")
    ('ohlcv_bar', 'risk_decision')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def differences(folder: Path) -> Iterator[str]:
    """The files that are not as the contracts say, or should not be there."""
    wanted = {folder / name: text(content) for name, content in files().items()}
    for path, content in wanted.items():
        if not path.exists() or path.read_text("utf-8") != content:
            yield f"{path.relative_to(folder)}: differs from the contracts"
    for path in sorted(set(folder.rglob("*.json")) - set(wanted)):
        yield f"{path.relative_to(folder)}: belongs to no event"


def text(content: Schema) -> str:
    """A file's content as it is written."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(description="JSON Schemas and examples of all events", allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is out of date")
    if parser.parse_args(arguments).check:
        found = list(differences(FOLDER))
        print("\n".join([*found, "run `make schemas`"]) if found else "schemas are up to date")
        return 1 if found else 0
    for name, content in files().items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(content), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
