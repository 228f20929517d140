"""Orders, fills and positions as events: money is exact, and nonsense is refused."""

from __future__ import annotations

import dataclasses
import json
import math
from decimal import Decimal

import pytest

from core import codec
from core.contracts import (
    DenialReason,
    FillEvent,
    OrderEvent,
    OrderIntent,
    OrderStatus,
    OrderUpdate,
    PnlDay,
    PortfolioSnapshot,
    PositionSnapshot,
    RiskCheck,
    RiskDecision,
    fill_id,
    intent_id,
    order_id,
)
from core.errors import CodecError, ContractError

INTENT = {"strategy_id": "s", "symbol": "BTC/USDT", "side": "buy", "type": "market", "qty": Decimal("0.5")}
ORDER = {
    "intent_id": "i-1", "venue": "paper", "symbol": "BTC/USDT", "side": "sell", "type": "limit", "qty": Decimal(1),
    "ts_accepted_ns": 5, "limit_price": Decimal("99.5"),
}  # fmt: skip
FILL = {
    "order_id": "o-1", "symbol": "BTC/USDT", "side": "buy", "qty": Decimal(1), "price": Decimal("0.1"),
    "fee": Decimal("-0.01"), "ts_fill_ns": 7,
}  # fmt: skip
POSITION = {"symbol": "BTC/USDT", "qty": -1.0, "avg_price": 100.0, "realized_pnl": -5.5, "ts_ns": 9}
DECISION = {"intent_id": "i-1", "allowed": False, "reason": DenialReason.HALTED, "caps": {"per_order_usd_cap": "250"}}
UPDATE = {
    "order_id": "o-1", "status": OrderStatus.PARTIAL, "symbol": "BTC/USDT", "side": "buy", "order_qty": Decimal(3),
    "cum_qty": Decimal(1), "leaves_qty": Decimal(2),
}  # fmt: skip
DAY = {
    "day": "2024-08-08",
    "pnl": Decimal("-1.5"),
    "equity": Decimal(9998),
    "equity_open": Decimal(10000),
    "market_ns": 1,
}
KINDS = [
    (OrderIntent, INTENT), (OrderEvent, ORDER), (FillEvent, FILL), (PositionSnapshot, POSITION),
    (RiskDecision, {**DECISION, "checks": (RiskCheck("halted", False, "drill", "clear"),)}), (OrderUpdate, UPDATE),
    (PnlDay, DAY), (PortfolioSnapshot, {"portfolio_id": "main", "timestamp_ns": 1, "total_equity": 1e4}),
]  # fmt: skip
BAD = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize(("kind", "values"), KINDS)
def test_an_event_cannot_be_changed(kind, values):
    """What was decided stays decided."""
    event = kind(**values)
    name = dataclasses.fields(kind)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(event, name, "other")
    assert not hasattr(event, "__dict__")


@pytest.mark.parametrize(("kind", "values"), KINDS)
def test_an_event_survives_a_dictionary_and_json(kind, values):
    """Money as text, words as words."""
    event = kind(**values)
    assert codec.from_dict(kind, json.loads(json.dumps(codec.to_dict(event)))) == event
    assert codec.decode(codec.encode(event), kind) == event


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (1, "1"), ("1.50", "1.50"), (0.1, "0.1"), (Decimal("1E+3"), "1E+3"), ("0.000000000000000000001", "1E-21"),
        (1e22, "1E+22"), (123456789.123456789, "123456789.12345679"),
    ],
)  # fmt: skip
def test_money_is_taken_from_any_number_and_kept_exactly(given, meant):
    """Whole numbers, texts and floats by their shortest text."""
    intent = OrderIntent(**{**INTENT, "qty": given})
    assert (type(intent.qty), intent.qty) == (Decimal, Decimal(meant))
    assert codec.decode(codec.encode(intent), OrderIntent).qty == Decimal(meant)


@pytest.mark.parametrize(
    ("kind", "values", "field", "value"),
    [
        *((OrderIntent, INTENT, "qty", bad) for bad in (*BAD, "NaN", "sNaN", "inf", "many", "", None, True, [1])),
        *((OrderIntent, INTENT, "limit_price", bad) for bad in (*BAD, "NaN", "many")),
        *((OrderIntent, INTENT, "side", bad) for bad in ("BUY", "hold", "", None)),
        *((OrderIntent, INTENT, "type", bad) for bad in ("trailing", "", None)),
        *((OrderIntent, INTENT, "strategy_id", bad) for bad in ("", None)),
        *((OrderIntent, INTENT, "symbol", bad) for bad in ("", None)),
        *((OrderEvent, ORDER, "qty", bad) for bad in (*BAD, "x")),
        *((OrderEvent, ORDER, "type", bad) for bad in ("trailing", "")),
        *((FillEvent, FILL, field, bad) for field in ("qty", "price") for bad in (*BAD, 0, -1, "0", "-0.1")),
        *((FillEvent, FILL, "fee", bad) for bad in BAD),
        *((FillEvent, FILL, "liquidity", bad) for bad in ("both", "")),
        *((FillEvent, FILL, "order_id", bad) for bad in ("", None)),
        *((PositionSnapshot, POSITION, field, bad) for field in ("qty", "avg_price", "realized_pnl") for bad in BAD),
        *((OrderUpdate, UPDATE, field, bad) for field in ("order_qty", "cum_qty", "leaves_qty") for bad in BAD),
        *((PnlDay, DAY, field, bad) for field in ("pnl", "equity") for bad in BAD),
        *((PortfolioSnapshot, KINDS[-1][1], "total_equity", bad) for bad in BAD),
        *(
            (PortfolioSnapshot, KINDS[-1][1], field, {"x": bad})
            for field in ("positions", "strategy_allocations", "drift_from_target")
            for bad in BAD
        ),
    ],
)
def test_nonsense_is_refused(kind, values, field, value):
    """The error names event, field, value and what is allowed."""
    with pytest.raises(ContractError, match=rf"{kind.__name__}\.{field} .*allowed: "):
        kind(**{**values, field: value})


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (RiskDecision, {**DECISION, "reason": "no reason"}),
        (RiskDecision, {**DECISION, "allowed": "yes"}),
        (OrderUpdate, {**UPDATE, "status": "DONE"}),
        (OrderIntent, {**INTENT, "quantity": 1}),
        (FillEvent, {key: value for key, value in FILL.items() if key != "fee"}),
    ],
)
def test_a_word_outside_its_vocabulary_is_refused(kind, values):
    """Closed lists are closed on the wire as well."""
    with pytest.raises(CodecError):
        codec.from_dict(kind, values)


def test_ids_follow_from_their_causes():
    """The same cause gives the same id, another cause another one; a venue takes 32 characters."""
    wish = intent_id("s", 42, 0)
    assert wish == intent_id("s", 42, 0)
    others = {intent_id("s", 42, 1), intent_id("s", 43, 0), intent_id("t", 42, 0), intent_id("s", 4, 20)}
    assert len(others | {wish}) == 5
    order = order_id(wish)
    assert order == order_id(wish) != order_id(intent_id("s", 42, 1))
    assert len(order) <= 32
    assert order.replace("-", "").isalnum()
    assert fill_id(order, 1) != fill_id(order, 2)
