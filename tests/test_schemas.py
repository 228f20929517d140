"""The published JSON Schemas: they are the contracts, every event has one, and each has an example that fits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from core import codec, topics
from core.contracts import Event
from core.errors import CodecError
from scripts import gen_schemas
from scripts.schema_examples import EXAMPLES

EVENTS = sorted((topic.event for topic in topics.TOPICS), key=lambda event: event.__name__)


def schema_of(event: type[Event]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The committed schema of an event, and its example."""
    (path,) = gen_schemas.FOLDER.glob(f"*/{gen_schemas.snake_case(event.__name__)}.v1.json")
    example = path.with_name(path.name.replace(".v1.json", ".v1.example.json"))
    return json.loads(path.read_text()), json.loads(example.read_text())


def with_another_key(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    """Where objects are in a value, each with the value as it is with a key more in there."""
    found: list[tuple[tuple[str | int, ...], Any]] = []
    if isinstance(value, dict):
        found.append((path, {**value, "surplus": 1}))
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        for where, changed in with_another_key(item, (*path, key)):
            copy = list(value) if isinstance(value, list) else dict(value)
            copy[key] = changed
            found.append((where, copy))
    return found


def test_the_committed_files_are_what_the_contracts_say() -> None:
    """Who changes an event runs `make schemas`, and readers in other languages see it in the diff."""
    assert list(gen_schemas.differences(gen_schemas.FOLDER)) == []


def test_drift_is_found(tmp_path: Path) -> None:
    """A changed file, a missing file and a file of no event are each named."""
    for name, content in gen_schemas.files().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(gen_schemas.text(content), "utf-8")
    (tmp_path / "envelope.v1.json").write_text("{}\n")
    (tmp_path / "paper_trader" / "fill_event.v1.json").unlink()
    (tmp_path / "paper_trader" / "fillevent.v1.json").write_text("{}\n")
    assert sorted(gen_schemas.differences(tmp_path)) == [
        "envelope.v1.json: differs from the contracts",
        "paper_trader/fill_event.v1.json: differs from the contracts",
        "paper_trader/fillevent.v1.json: belongs to no event",
    ]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_every_event_has_a_schema_and_an_example_that_fits(event: type[Event]) -> None:
    """The example validates, decodes through the codec, and is encoded to the same again."""
    schema, example = schema_of(event)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(example)
    decoded = codec.from_dict(event, example)
    assert decoded == EXAMPLES[event]
    assert json.loads(codec.encode(decoded)) == example
    assert codec.decode(codec.encode(decoded), event) == decoded


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_an_additional_property_is_refused(event: type[Event]) -> None:
    """At the top and in nested records; only mappings with free keys take another one."""
    schema, example = schema_of(event)
    validator = Draft202012Validator(schema)
    assert not validator.is_valid({**example, "surplus": 1})
    with pytest.raises(CodecError, match="has no field 'surplus'"):
        codec.from_dict(event, {**example, "surplus": 1})
    free = {"content", "contents", "state", "positions", "strategy_allocations", "drift_from_target"}
    for path, changed in with_another_key(example):
        assert validator.is_valid(changed) == bool(free & set(path)), path


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_required_are_exactly_the_fields_without_default(event: type[Event]) -> None:
    """Leaving a required field out is refused by schema and codec alike; any other may be left out."""
    schema, example = schema_of(event)
    validator = Draft202012Validator(schema)
    for name in schema["properties"]:
        rest = {key: value for key, value in example.items() if key != name}
        assert validator.is_valid(rest) == (name not in schema["required"])
        if name in schema["required"]:
            with pytest.raises(CodecError):
                codec.from_dict(event, rest)
        else:
            codec.from_dict(event, rest)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_every_field_is_documented(event: type[Event]) -> None:
    """A reader in another language sees units and signs without opening the code."""
    schema, _ = schema_of(event)
    records = [schema, *schema.get("$defs", {}).values()]
    for record in records:
        assert record["description"].endswith(".")
        assert all(len(field["description"]) > 5 for field in record["properties"].values())


def test_the_envelope_describes_the_header_in_front_of_any_event() -> None:
    """A line is header and event in one object: both schemas hold for it; other header fields do not."""
    header = json.loads((gen_schemas.FOLDER / "envelope.v1.example.json").read_text())
    validator = Draft202012Validator(json.loads((gen_schemas.FOLDER / "envelope.v1.json").read_text()))
    _, decision = schema_of(topics.RISK_DECISIONS.event)
    line = {**header, **decision}
    validator.validate(line)
    assert codec.to_builtins(codec.header_of(json.dumps(line).encode())) == header
    assert not validator.is_valid({**line, "_user": "x"})
    assert not validator.is_valid({key: value for key, value in line.items() if key != "_root"})


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        *[(str(Decimal(number)), True) for number in ("1", "-0.5", "1E+3", "0E-8", "1.5e-7", "123456789.000")],
        *[(text, False) for text in ("NaN", "Infinity", "", "1.", ".5", "1,5", "0x1", "1_000", "１")],
    ],
)
def test_decimals_are_plain_numbers_as_text(text: str, valid: bool) -> None:
    """Everything that Decimal writes for a finite number, and nothing else."""
    assert Draft202012Validator(gen_schemas.DECIMAL).is_valid(text) is valid


def test_a_type_without_a_rule_is_refused() -> None:
    """A new kind of field is decided on, never published as anything-goes."""

    @dataclass(frozen=True)
    class Odd:
        """Odd.

        Attributes:
            value: of a type that no event has.
        """

        value: complex

    with pytest.raises(TypeError, match="no schema for"):
        gen_schemas.record_schema(Odd, {})
