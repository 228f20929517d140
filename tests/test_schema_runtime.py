"""What comes from outside is measured by the published schemas: the codec refuses all that they refuse.

What it refuses beyond them are the ranges that a constructor knows (a price above 0, a bar that fits its length),
and its message says what is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from core import codec, topics
from core.bus import InMemoryBus, item_for
from core.contracts import Event
from core.errors import CodecError
from scripts import gen_schemas
from tests.event_samples import JSON
from tests.test_schemas import schema_of, with_another_key

EVENTS = sorted((topic.event for topic in topics.TOPICS), key=lambda event: event.__name__)
OTHERS: tuple[Any, ...] = (
    None, True, 7, -7, 1.5, "", "text", "1.5", "1e-3", "NaN", "inf", "1_000", " 1 ", ".5", "1.", "+1", "１", [],
    ["text"], [[1.5]], {}, {"text": 1.5}, {"text": "text"},
)  # fmt: skip
FREE = {"content", "state"}
"""Fields of any content: whatever is in there is right."""

Path = tuple[str | int, ...]


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where every value of an example is, containers too, but for what lies in a field of any content."""
    if path:
        yield path
    if path[-1:] and path[-1] in FREE:
        return
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from leaves(item, (*path, key))


def with_value(values: Any, path: Path, value: Any) -> Any:
    """A copy with another value in one place."""
    if not path:
        return value
    copy: Any = list(values) if isinstance(values, list) else dict(values)
    copy[path[0]] = with_value(copy[path[0]], path[1:], value)
    return copy


def value_at(values: Any, path: Path) -> Any:
    """What is in a place."""
    for key in path:
        values = values[key]
    return values


def refusal(event: type[Event], values: Any) -> str:
    """Why the codec refuses the values; empty if it takes them."""
    try:
        codec.from_dict(event, values)
    except CodecError as error:
        return str(error)
    return ""


def agree(validator: Draft202012Validator, event: type[Event], values: Any, what: object) -> None:
    """The codec refuses what the schema refuses, and beyond it only ranges, of which it says what is allowed."""
    refused = refusal(event, values)
    if validator.is_valid(values):
        assert not refused or "allowed: " in refused, (what, refused)
    else:
        assert refused, what


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_a_wrong_value_in_any_place_is_refused_as_the_schema_refuses_it(event: type[Event]) -> None:
    """Nothing, truth, numbers, texts, lists and objects, in every place of the example."""
    schema, example = schema_of(event)
    validator = Draft202012Validator(schema)
    for path in leaves(example):
        for other in OTHERS:
            agree(validator, event, with_value(example, path, other), (path, other))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_a_field_too_many_and_a_field_too_few_are_refused_as_the_schema_refuses_them(event: type[Event]) -> None:
    """At the top and in nested records alike."""
    schema, example = schema_of(event)
    validator = Draft202012Validator(schema)
    for path, changed in with_another_key(example):
        assert bool(refusal(event, changed)) is not validator.is_valid(changed), path
    for path in leaves(example):
        holder = value_at(example, path[:-1])
        if isinstance(holder, dict):
            rest = with_value(example, path[:-1], {key: item for key, item in holder.items() if key != path[-1]})
            agree(validator, event, rest, path)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_no_place_takes_what_is_no_number(event: type[Event], bad: float) -> None:
    """NaN and infinities are refused in every place, also where anything else may stand."""
    _, example = schema_of(event)
    for path in leaves(example):
        assert refusal(event, with_value(example, path, bad)), path
        if path[-1] in FREE:
            assert "finite" in refusal(event, with_value(example, path, {"deep": [{"in": bad}]})), path


@settings(max_examples=150)
@given(data=st.data(), value=JSON)
def test_any_json_in_any_field_is_refused_as_the_schema_refuses_it(data: st.DataObject, value: Any) -> None:
    """Whatever somebody may send in one field, codec and schema are of one mind."""
    event = data.draw(st.sampled_from(EVENTS))
    schema, example = schema_of(event)
    path = data.draw(st.sampled_from(list(leaves(example))))
    agree(Draft202012Validator(schema), event, with_value(example, path, json.loads(json.dumps(value))), path)


async def test_nothing_that_breaks_its_schema_gets_onto_the_bus() -> None:
    """A program that publishes an order with a word too many, or a quantity that is none, is told, and nobody hears."""
    bus = InMemoryBus()
    wish = {"strategy_id": "s", "symbol": "BTC/USDT", "side": "buy", "type": "market", "qty": "1"}
    for bad in ({"quantity": 2}, {"qty": "1_000"}, {"qty": float("nan")}, {"qty": None}, {"type": "trailing"}):
        with pytest.raises(CodecError):
            await bus.publish_json("strat.intent", {**wish, **bad})
    assert json.loads(item_for("strat.intent", {**wish, "qty": 0.1}).body)["qty"] == "0.1"
    assert Draft202012Validator(gen_schemas.event_schema(topics.STRAT_INTENT.event)).is_valid({**wish, "qty": 0.1})
