"""Whatever an event holds, it comes back from its bytes as it was, and its bytes come back too."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import codec
from core.contracts import FillEvent
from core.errors import CodecError
from tests.event_samples import EVENTS, JSON, any_of

SEQS = st.integers(min_value=0, max_value=2**53)
TIMES = st.integers(min_value=0, max_value=2**63 - 1)
NAMES = st.from_regex(r"[a-z_]{1,12}\.[A-Za-z0-9]{1,12}", fullmatch=True)
HEADERS = st.builds(
    codec.Header, seq=SEQS, ts=TIMES, prev=SEQS, src=NAMES, cause=SEQS, root=SEQS, root_ts=TIMES,
    type=st.sampled_from([event.__name__ for event in EVENTS]), v=st.just(1), n=SEQS, more=st.integers(0, 1000),
)  # fmt: skip


@pytest.mark.parametrize("kind", EVENTS)
def test_every_event_survives_its_bytes(kind):
    """Decoded from its body and from a line it is equal, and encoded again it gives the same bytes."""

    @settings(max_examples=12)
    @given(event=any_of(kind), header=HEADERS)
    def holds(event, header):
        body = codec.encode(event)
        assert codec.decode(body, kind) == event
        assert codec.encode(codec.decode(body, kind)) == body
        line = codec.line_of(header, body)
        assert codec.decode(line, kind) == event
        assert codec.body_of(line) == body
        assert codec.header_of(line) == header
        assert codec.seq_of(line) == header.seq
        assert b"\n" not in line

    holds()


@pytest.mark.parametrize("kind", EVENTS)
def test_every_event_survives_its_dictionary(kind):
    """Through JSON values, as strategies and tools use them; the dictionary is plain JSON."""

    @settings(max_examples=6)
    @given(event=any_of(kind))
    def holds(event):
        values = codec.to_dict(event)
        assert codec.from_dict(kind, json.loads(json.dumps(values))) == event
        assert codec.encode(codec.from_dict(kind, values)) == codec.encode(event)

    holds()


@settings(max_examples=40)
@given(value=st.decimals(min_value=Decimal("1E-30"), max_value=Decimal("1E30"), allow_nan=False))
def test_money_is_exact(value):
    """Every digit of a quantity travels, however many there are."""
    fill = FillEvent("o", "B/U", "buy", value, value, -value, 1)
    again = codec.decode(codec.encode(fill), FillEvent)
    assert (again.qty, again.price, again.fee) == (value, value, -value)
    assert str(again.qty) == str(fill.qty)


@settings(max_examples=40)
@given(value=st.floats(allow_nan=False, allow_infinity=False, min_value=1e-300))
def test_a_float_counts_by_its_shortest_text(value):
    """0.1 becomes 0.1, not 0.1000000000000000055511151231257827."""
    fill = FillEvent("o", "B/U", "buy", value, 1, 0, 1)  # type: ignore[arg-type]
    assert fill.qty == Decimal(repr(value))


@settings(max_examples=40)
@given(state=st.dictionaries(st.text(max_size=9), JSON, max_size=6))
def test_equal_memories_have_equal_bytes(state):
    """Whatever the order in which a memory was filled, and what it was before it was read back."""
    shuffled = dict(sorted(state.items(), reverse=True))
    data = codec.encode_state(state)
    assert codec.encode_state(shuffled) == data
    assert codec.encode_state(codec.decode_json(data)) == data
    assert codec.content_hash(shuffled) == codec.content_hash(state)


@settings(max_examples=40)
@given(payload=st.dictionaries(st.text(max_size=9).filter(lambda key: not key.startswith("_")), JSON, min_size=1))
def test_a_free_payload_comes_back_without_its_header(payload):
    """What a program publishes on a topic of its own."""
    header = codec.Header(1, 2, 0, "bus.x", 0, 1, 2, "Json", 1, 1, 0)
    line = codec.line_of(header, codec.encode_payload(payload))
    assert codec.payload_of(line) == payload
    assert codec.header_of(line) == header


@settings(max_examples=40)
@given(data=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_bytes_break_the_codec(data):
    """Whatever comes over the wire is read, or refused as what it is not; nothing else ever happens."""
    reads = [lambda raw, kind=kind: codec.decode(raw, kind) for kind in EVENTS]
    for read in (*reads, codec.header_of, codec.decode_json):
        with suppress(CodecError):
            read(data)
