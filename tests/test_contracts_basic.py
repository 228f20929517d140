"""Market data as events: frozen, typed, and never with a number that is none."""

from __future__ import annotations

import dataclasses
import json
import math
from decimal import Decimal

import pytest
from hypothesis import given, settings

from core import codec
from core.contracts import BookEvent, CorporateAction, OHLCVBar, TickerEvent, TradeEvent, WarmUp, Watermark
from core.errors import CodecError, ContractError
from tests.event_samples import EVENTS, any_of

TRADE = {"symbol": "BTC/USDT", "price": 100.5, "qty": 0.25, "side": "buy", "ts": 1_723_118_400_000_000_000}
BOOK = {"symbol": "BTC/USDT", "bids": ((100.0, 1.0), (99.5, 0.0)), "asks": ((100.5, 2.0),)}
TICKER = {"symbol": "BTC/USDT", "last": None, "bid": 100.0, "ask": 100.5}
BAR = {
    "symbol": "BTC/USDT", "timeframe": "1m", "ts_open": 0, "ts_close": 60_000_000_000, "open": 1.0, "high": 2.0,
    "low": 0.5, "close": 1.5, "volume": 10.0,
}  # fmt: skip
SPLIT = {"symbol": "AAPL/USD", "kind": "split", "ts_effective_ns": 1_598_832_000_000_000_000, "ratio": Decimal(4)}
A_BAR = codec.from_dict(OHLCVBar, BAR)
WARM_UP = {
    "instance": "strategy_runner.main", "symbol": "BTC/USDT", "timeframe": "1m", "bars": (A_BAR,),
    "asked": 2, "before_seq": 7,
}  # fmt: skip
KINDS = [(TradeEvent, TRADE), (BookEvent, BOOK), (TickerEvent, TICKER), (OHLCVBar, BAR), (CorporateAction, SPLIT)]
BAD = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize(("kind", "values"), KINDS)
def test_an_event_cannot_be_changed(kind, values):
    """Neither a field nor a new attribute."""
    event = kind(**values)
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.symbol = "ETH/USDT"
    with pytest.raises((AttributeError, TypeError)):
        event.other = 1
    assert not hasattr(event, "__dict__")


@pytest.mark.parametrize(("kind", "values"), KINDS)
def test_an_event_survives_a_dictionary_and_json(kind, values):
    """Equal values give equal events, and events can be counted and compared."""
    event = kind(**values)
    again = codec.from_dict(kind, json.loads(json.dumps(codec.to_dict(event))))
    assert again == event == kind(**values)
    assert hash(again) == hash(event)
    assert codec.decode(codec.encode(event), kind) == event


@pytest.mark.parametrize(
    ("kind", "values", "field", "value"),
    [
        *((TradeEvent, TRADE, field, bad) for field in ("price", "qty") for bad in (*BAD, 0.0, -1.0, "1", None)),
        *((TradeEvent, TRADE, "side", bad) for bad in ("BUY", "", None, "hold")),
        *((TradeEvent, TRADE, "symbol", bad) for bad in ("", None, 5)),
        *((BookEvent, BOOK, "bids", ((bad, 1.0),)) for bad in (*BAD, 0.0, -1.0)),
        *((BookEvent, BOOK, "asks", ((1.0, bad),)) for bad in (*BAD, "1")),
        (BookEvent, BOOK, "kind", "full"),
        *((TickerEvent, TICKER, field, bad) for field in ("bid", "ask") for bad in (*BAD, 0.0, -1.0, None)),
        *((TickerEvent, TICKER, field, bad) for field in ("last", "volume", "bid_qty", "ask_qty") for bad in BAD),
        *((OHLCVBar, BAR, field, bad) for field in ("open", "high", "low", "close") for bad in (*BAD, 0.0, -1.0)),
        *((OHLCVBar, BAR, field, bad) for field in ("volume", "turnover") for bad in (*BAD, -1.0, "1", Decimal(1))),
        *((OHLCVBar, BAR, field, bad) for field in ("close", "low") for bad in ("1", None, Decimal(1))),
        *((OHLCVBar, BAR, field, bad) for field in ("split_factor", "return_factor", "vwap") for bad in (*BAD, 0.0)),
        *((OHLCVBar, BAR, field, bad) for field, bad in [("high", 1.4), ("low", 1.2), ("open", 2.5), ("symbol", "")]),
        (CorporateAction, SPLIT, "kind", "merger"),
        (CorporateAction, SPLIT, "symbol", ""),
        *((CorporateAction, SPLIT, "ratio", bad) for bad in (0, -1, *BAD)),
        (CorporateAction, SPLIT, "amount", 1),  # of a dividend only
        (CorporateAction, SPLIT, "new_symbol", "APPL/USD"),  # of a change of name only
        (CorporateAction, {**SPLIT, "ratio": 1, "kind": "dividend"}, "amount", 0),
        (CorporateAction, {**SPLIT, "kind": "dividend", "amount": 1}, "ratio", 4),
        (CorporateAction, {**SPLIT, "ratio": 1, "kind": "symbol_change"}, "new_symbol", ""),
        (WarmUp, WARM_UP, "timeframe", "5m"),
        (WarmUp, WARM_UP, "symbol", "ETH/USDT"),
        (WarmUp, WARM_UP, "bars", (A_BAR, A_BAR)),
    ],
)
def test_what_no_venue_can_mean_is_refused(kind, values, field, value):
    """The error names event, field, value and what is allowed."""
    with pytest.raises(ContractError, match="allowed: "):
        kind(**{**values, field: value})
    with pytest.raises(ValueError, match=kind.__name__):
        kind(**{**values, field: value})


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (TradeEvent, {**TRADE, "price": "100"}),
        (TradeEvent, {**TRADE, "ts": 1.5}),
        (TradeEvent, {**TRADE, "ts": None}),
        (TradeEvent, {key: value for key, value in TRADE.items() if key != "ts"}),
        (TradeEvent, {**TRADE, "unknown": 1}),
        (BookEvent, {**BOOK, "bids": [[1.0]]}),
        (BookEvent, {**BOOK, "bids": "none"}),
        (OHLCVBar, {**BAR, "open": None}),
        (Watermark, {"symbol": "BTC/USDT", "market_ns": "now"}),
    ],
)
def test_a_dictionary_that_is_not_the_event_is_refused(kind, values):
    """Missing, unknown and mistyped fields."""
    with pytest.raises(CodecError):
        codec.from_dict(kind, values)


@pytest.mark.parametrize("kind", EVENTS)
def test_no_number_of_any_event_may_be_none(kind):
    """NaN and infinities are refused in every field of every event that carries a number."""
    numbers = [field.name for field in dataclasses.fields(kind) if field.type in ("float", "float | None", "Decimal")]

    @settings(max_examples=3)
    @given(event=any_of(kind))
    def refuses(event):
        for name in numbers:
            for bad in BAD:
                with pytest.raises(ContractError):
                    dataclasses.replace(event, **{name: bad})

    refuses()
