"""The codec: headers, bodies and lines, and clear errors for everything else."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from core import codec
from core.contracts import Halt, OrderIntent, TradeEvent
from core.errors import CodecError, ContractError

HEADER = codec.Header(
    seq=41, ts=1_723_118_400_000_000_123, prev=7, src="risk_engine.main", cause=40, root=12, root_ts=5,
    type="TradeEvent", v=1, n=3, more=2,
)  # fmt: skip
TRADE = TradeEvent("BTC/USDT", 100.5, 1.0, "buy", 9, "17", 11)
BODY = b'{"symbol":"BTC/USDT","price":100.5,"qty":1.0,"side":"buy","ts":9,"trade_id":"17","ts_recv_ns":11,"late":false}'
LINE = (
    b'{"_seq":41,"_ts":1723118400000000123,"_prev":7,"_src":"risk_engine.main","_cause":40,"_root":12,"_root_ts":5,'
    b'"_type":"TradeEvent","_v":1,"_n":3,"_more":2,"symbol":"BTC/USDT","price":100.5,"qty":1.0,"side":"buy","ts":9,'
    b'"trade_id":"17","ts_recv_ns":11,"late":false}'
)


def test_a_line_is_the_header_followed_by_the_body():
    """Byte for byte what the sequencer writes, in this order."""
    assert codec.encode(TRADE) == BODY
    assert codec.line_of(HEADER, BODY) == LINE
    assert (codec.header_of(LINE), codec.body_of(LINE), codec.seq_of(LINE)) == (HEADER, BODY, 41)
    assert codec.decode_line(LINE, HEADER) == codec.decode(LINE, TradeEvent) == codec.decode(BODY, TradeEvent) == TRADE
    assert codec.payload_of(LINE) == codec.to_dict(TRADE)


def test_a_body_that_looks_like_a_header_does_not_confuse():
    """Text inside an event is text."""
    halt = Halt("x.y", '{"_seq":1,"_more":9,"z":1}', 5)
    line = codec.line_of(HEADER, codec.encode(halt))
    assert codec.header_of(line) == HEADER
    assert codec.decode(codec.body_of(line), Halt) == halt
    assert codec.before_seq_of(line) == 5
    assert codec.seq_of(line) == 41


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"x", b"{}", b"[]", b"null", b"\xff", LINE[:40], LINE.replace(b'"_seq":41', b'"_seq":"41"'),
        LINE.replace(b'"_prev":7,', b""), LINE.replace(b'"_src":"risk_engine.main"', b'"_src":null'), BODY,
        b'{"a":' + b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_has_no_header_is_said_to_have_none(raw):
    """Whatever somebody publishes by hand."""
    with pytest.raises(CodecError, match="header"):
        codec.header_of(raw)


def test_an_unknown_type_is_named():
    """A line of a newer version, or of another program."""
    with pytest.raises(CodecError, match="'Unheard'"):
        codec.decode_line(LINE, codec.header_of(LINE.replace(b"TradeEvent", b"Unheard")))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{}", b'{"symbol":"B/U"}', BODY.replace(b"100.5", b"-1"), BODY.replace(b"100.5", b"NaN"),
        BODY.replace(b"100.5", b"null"), BODY.replace(b'"buy"', b'"hold"'), BODY.replace(b"100.5", b"1e999"),
        BODY[:-1], BODY + b"x", BODY.replace(b"BTC", b"\xff"),
    ],
)  # fmt: skip
def test_bytes_that_are_not_the_event_are_refused(raw):
    """The error names the event."""
    with pytest.raises(CodecError, match="TradeEvent"):
        codec.decode(raw, TradeEvent)
    with pytest.raises(ContractError):
        codec.decode(raw, TradeEvent)


def test_fields_of_a_later_version_are_passed_over_in_bytes_and_refused_in_dictionaries():
    """A line may say more than this version knows; what people hand over may not."""
    assert codec.decode(BODY[:-1] + b',"new":1}', TradeEvent) == TRADE
    with pytest.raises(CodecError, match="no field 'new'; allowed: symbol, price"):
        codec.from_dict(TradeEvent, {**codec.to_dict(TRADE), "new": 1})


def test_money_is_text_on_the_wire():
    """Neither a float nor rounded."""
    intent = OrderIntent("s", "B/U", "buy", "limit", Decimal("0.10"), Decimal("1E+3"))
    assert b'"qty":"0.10","limit_price":"1E+3"' in codec.encode(intent)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_memory_with_a_number_that_is_none_is_refused(bad):
    """It would come back as null, and its handler would not be what it was."""
    with pytest.raises(CodecError, match="finite"):
        codec.encode_state({"deep": [{"er": (1.0, bad)}]})
    assert codec.encode_state({"deep": None}) == b'{"deep":null}'


def test_equal_content_has_equal_hashes():
    """In whatever order it was written; another content has another hash."""
    assert codec.content_hash({"a": 1, "b": [1, 2]}) == codec.content_hash({"b": [1, 2], "a": 1})
    assert codec.content_hash({"a": 1}) != codec.content_hash({"a": 1.5})
    assert len(codec.content_hash({})) == 64


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", "{'a': 1}"])
def test_what_is_no_json_is_said_to_be_none(raw):
    """Bytes or text."""
    with pytest.raises(CodecError, match="not JSON"):
        codec.decode_json(raw)


@pytest.mark.parametrize(
    "payload", [{}, [], "x", None, {"_x": 1}, {"x": math.nan}, {"x": [{"y": math.inf}]}, {"x": {1}}]
)
def test_a_payload_is_an_object_of_finite_values(payload):
    """With at least one field, none of them like the header's."""
    if payload == {"x": {1}}:
        assert codec.encode_payload(payload) == b'{"x":[1]}'  # a set is written as a list
        return
    with pytest.raises(CodecError, match="payload"):
        codec.encode_payload(payload)
