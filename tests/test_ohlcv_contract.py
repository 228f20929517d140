"""Bars and their corrections as events: typed, frozen, never contradicting themselves."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
from hypothesis import given

from core import codec
from core.contracts import BarCorrection, OHLCVBar, TradeGap, timeframe_ns
from core.errors import CodecError, ContractError
from tests.event_samples import any_of

S = 1_000_000_000
NOON = 1_723_118_400 * S
BAR = OHLCVBar(
    "ATOM/USDT", "5m", NOON, NOON + 300 * S, 7.25, 7.5, 7.0, 7.4, 120.5,
    vwap=7.3, turnover=879.65, trade_count=42, currency="USDT",
)  # fmt: skip
CORRECTION = BarCorrection("ATOM/USDT", "1m", NOON, "17", 7.25, 3.0, NOON + 5 * S)


@pytest.mark.parametrize("event", [BAR, CORRECTION])
def test_it_cannot_be_changed(event):
    """Neither a field nor a new attribute."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.symbol = "BTC/USDT"
    assert not hasattr(event, "__dict__")


@pytest.mark.parametrize("event", [BAR, CORRECTION])
def test_it_survives_a_dictionary_and_json(event):
    """To plain values and back it is the same; the nine basic fields come first."""
    values = json.loads(json.dumps(codec.to_dict(event)))
    assert codec.from_dict(type(event), values) == event
    assert codec.decode(codec.encode(event), type(event)) == event


def test_a_bar_needs_nine_fields():
    """The basic fields are enough; the rest says that it is not known."""
    plain = OHLCVBar("ATOM/USDT", "1m", NOON, NOON + 60 * S, 7.25, 7.5, 7.0, 7.4, 120.5)
    assert list(codec.to_dict(plain))[:9] == [
        "symbol", "timeframe", "ts_open", "ts_close", "open", "high", "low", "close", "volume",
    ]  # fmt: skip
    assert (plain.vwap, plain.turnover, plain.trade_count, plain.complete) == (None, 0.0, 0, True)
    assert (plain.asset_class, plain.currency) == ("crypto", "")


@given(bar=any_of(OHLCVBar))
def test_any_bar_survives_the_wire(bar):
    """Whatever the constructor accepts comes back as it was."""
    assert codec.decode(codec.encode(bar), OHLCVBar) == bar


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("symbol", ""),
        ("timeframe", "7m"),
        ("timeframe", "1m"),  # of another length than its times
        ("ts_close", NOON + 299 * S),
        ("open", 0.0),
        ("open", 7.6),  # above the high
        ("close", 6.9),  # below the low
        ("high", 7.1),
        ("low", 7.45),
        ("low", math.nan),
        ("high", math.inf),
        ("volume", -1.0),
        ("volume", math.nan),
        ("turnover", -1.0),
        ("turnover", math.inf),
        ("vwap", 0.0),
        ("vwap", math.nan),
    ],
)
def test_a_bar_that_contradicts_itself_cannot_exist(field, value):
    """Prices above 0 with low and high around open and close, times as long as its length, nothing negative."""
    with pytest.raises(ContractError):
        dataclasses.replace(BAR, **{field: value})
    if value not in (math.inf, -math.inf) and value == value:
        with pytest.raises(CodecError):
            codec.from_dict(OHLCVBar, {**codec.to_dict(BAR), field: value})


@pytest.mark.parametrize(("field", "value"), [("symbol", ""), ("timeframe", "7m"), ("price", 0.0), ("qty", math.nan)])
def test_a_correction_names_a_bar_and_a_trade(field, value):
    """A length of a bar, a price and a quantity above 0."""
    with pytest.raises(ContractError):
        dataclasses.replace(CORRECTION, **{field: value})


@pytest.mark.parametrize(("after_ns", "before_ns", "missing"), [(2, 1, 0), (-1, 1, 0), (1, 2, -1)])
def test_a_gap_has_a_beginning_and_an_end(after_ns, before_ns, missing):
    """In this order, from 0 on."""
    with pytest.raises(ContractError):
        TradeGap("ATOM/USDT", after_ns, before_ns, missing, "offline")


@pytest.mark.parametrize(
    ("timeframe", "seconds"),
    [("1s", 1), ("30s", 30), ("1m", 60), ("5m", 300), ("15m", 900), ("1h", 3600), ("4h", 14_400), ("1d", 86_400)],
)
def test_lengths(timeframe, seconds):
    """Seconds, minutes, hours and the day."""
    assert timeframe_ns(timeframe) == seconds * S
