"""The paper venue with market orders, and how it answers what it cannot fill."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from core import codec, topics
from core.contracts import (
    FillEvent,
    Malformed,
    OrderEvent,
    OrderStatus,
    OrderUpdate,
    PositionSnapshot,
    TradeEvent,
    Watermark,
    fill_id,
    order_id,
)
from core.errors import ContractError, LedgerError
from core.execution.paper import ANSWERS_KEPT, SERVICE, PaperSettings
from core.handler import At

CONTENT = {
    "paper": {"account": "main", "maker_fee_bps": "2", "taker_fee_bps": "10"},
    "instruments": [
        {"symbol": "BTC/USDT", "tick_size": "0.01", "lot_size": "0.001"},
        {"symbol": "ETH/BTC", "tick_size": "0.00001", "lot_size": "0.01"},
    ],
}
AT = At(seq=7, ts_ns=9_000, market_ns=1_723_075_200_123_456_789, root=7, root_ts_ns=9_000)


def new_venue(content=CONTENT):
    """A venue as its service builds it."""
    return SERVICE.build(content)


def buy(name: str, qty: str = "2", **changes: object) -> OrderEvent:
    """A market buy of BTC/USDT."""
    order = OrderEvent("i-" + name, "paper", "BTC/USDT", "buy", "market", Decimal(qty), 5, "o-" + name, "sma")
    return replace(order, **changes)  # type: ignore[arg-type]


def trade(price: float, symbol: str = "BTC/USDT") -> TradeEvent:
    """A public trade."""
    return TradeEvent(symbol, price, 1.0, "buy", AT.market_ns)


def test_a_market_order_is_acknowledged_filled_and_booked():
    """Buying 2 at a last trade of 60,000.5 costs 10 bps of 120,001, and every figure of it is told."""
    venue = new_venue()
    assert venue.on_event(trade(60_000.5), AT) == []
    outputs = venue.on_event(buy("a"), AT)
    acknowledged = OrderUpdate(
        "o-a",
        OrderStatus.ACK,
        "BTC/USDT",
        "buy",
        Decimal(2),
        Decimal(0),
        Decimal(2),
        strategy_id="sma",
        ts_ns=AT.market_ns,
    )
    fill = FillEvent(
        "o-a",
        "BTC/USDT",
        "buy",
        qty=Decimal(2),
        price=Decimal("60000.5"),
        fee=Decimal("120.001"),
        ts_fill_ns=AT.market_ns,
        fill_id=fill_id("o-a", 1),
        strategy_id="sma",
        fee_asset="USDT",
        liquidity="taker",
        venue="paper",
    )
    filled = replace(acknowledged, status=OrderStatus.FILLED, cum_qty=Decimal(2), leaves_qty=Decimal(0))
    position = PositionSnapshot("BTC/USDT", 2.0, 60_000.5, 0.0, AT.market_ns, fees=120.001)
    assert outputs == (acknowledged, fill, filled, position)
    assert [topics.topic_of(output) for output in outputs] == [
        "orders.updates",
        "fills.new",
        "orders.updates",
        "positions.snapshot",
    ]


@pytest.mark.parametrize(
    ("trades", "limit_price", "price"),
    [
        ([100.0, 101.0], None, "101"),
        ([100.0, 101.0], "90", "101"),
        ([], "90", "90"),
    ],
)
def test_the_price_of_a_market_order(trades, limit_price, price):
    """The last trade's price, else the order's own limit price."""
    venue = new_venue()
    for last in trades:
        venue.on_event(trade(last), AT)
    outputs = venue.on_event(buy("a", limit_price=limit_price and Decimal(limit_price)), AT)
    assert [output.price for output in outputs if isinstance(output, FillEvent)] == [Decimal(price)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "no_price"),
        ({"qty": Decimal(0)}, "invalid_qty"),
        ({"qty": Decimal(-1)}, "invalid_qty"),
        ({"qty": Decimal("0.0015")}, "invalid_qty"),
        ({"qty": Decimal("1e999999")}, "invalid_qty"),
        ({"qty": Decimal("1e400")}, "invalid_qty"),  # a position that no float holds
        ({"limit_price": Decimal("1e400")}, "invalid_price"),
        ({"limit_price": Decimal(0)}, "invalid_price"),
        ({"limit_price": Decimal(-1)}, "invalid_price"),
        ({"limit_price": Decimal("0.001")}, "invalid_price"),
        ({"type": "limit"}, "invalid_price"),
        ({"symbol": "XRP/USDT"}, "unknown_symbol"),
        ({"order_id": "", "intent_id": ""}, "no_id"),
    ],
)
def test_an_order_that_cannot_be_executed_is_rejected(changes, reason):
    """Without a price, on no grid, of an unknown symbol or without a name: one rejection with a closed reason."""
    venue = new_venue()
    event = buy("a", **changes)
    (rejected,) = venue.on_event(event, AT)
    assert (rejected.status, rejected.reason, rejected.strategy_id) == ("REJECTED", reason, "sma")
    assert (rejected.order_qty, rejected.cum_qty, rejected.leaves_qty) == (event.qty, 0, event.qty)
    assert venue.on_event(trade(100.0), AT) == []


def test_orders_without_a_name_are_answered_each_for_itself():
    """A buy and a sell that cannot be told apart by id are both rejected, each as what it was."""
    venue = new_venue()
    nameless = buy("a", order_id="", intent_id="")
    sides = [venue.on_event(replace(nameless, side=side), AT)[0].side for side in ("buy", "sell")]
    assert sides == ["buy", "sell"]


def test_a_rejected_order_never_fills_at_nothing():
    """A market order that came before the first trade stays rejected when the price is known."""
    venue = new_venue()
    (rejected,) = venue.on_event(buy("a"), AT)
    venue.on_event(trade(100.0), AT)
    assert venue.on_event(buy("a"), AT) == (rejected,)


def test_the_same_order_twice_gets_the_same_answer_and_no_second_fill():
    """A repeated order id is answered with the stored state, whatever the second order says."""
    venue = new_venue()
    venue.on_event(trade(100.0), AT)
    first = venue.on_event(buy("a"), AT)
    later = AT._replace(seq=8, market_ns=AT.market_ns + 1)
    assert venue.on_event(buy("a"), later) == (first[2],)
    assert venue.on_event(buy("a", qty="9"), later) == (first[2],)
    (position,) = venue.on_event(buy("b"), later)[3:]
    assert position.qty == 4.0


def test_an_order_without_an_id_is_named_after_its_intent():
    """The id derived from the intent stands in for a missing one, so a repetition is still recognised."""
    venue = new_venue()
    venue.on_event(trade(100.0), AT)
    outputs = venue.on_event(buy("a", order_id=""), AT)
    assert outputs[0].order_id == order_id("i-a")
    assert len(venue.on_event(buy("a", order_id=""), AT)) == 1


def test_answers_are_remembered_for_the_last_512_ended_orders():
    """The oldest answer is forgotten first, and the memory stays bounded."""
    venue = new_venue()
    for number in range(ANSWERS_KEPT + 1):
        venue.on_event(buy(str(number)), AT)
    assert len(venue.snapshot()["ended"]) == ANSWERS_KEPT
    venue.on_event(trade(100.0), AT)
    assert [update.status for update in venue.on_event(buy("1"), AT)] == ["REJECTED"]
    assert len(venue.on_event(buy("0"), AT)) == 4


@pytest.mark.parametrize(
    "event",
    [
        buy("a", venue="binance"),
        Malformed("orders.accepted", "no OrderEvent"),
        Watermark("BTC/USDT", AT.market_ns),
    ],
)
def test_what_is_not_for_this_venue_gets_no_answer(event):
    """Orders for another venue, unreadable messages and the clock change nothing."""
    venue = new_venue()
    venue.on_event(trade(100.0), AT)
    before = venue.snapshot()
    assert venue.on_event(event, AT) == ()
    assert venue.snapshot() == before


def test_fees_are_paid_in_the_quote_asset():
    """Buying 2 ETH at 0.05 BTC for 10 bps costs 0.0001 BTC, and its position is told apart from others."""
    venue = new_venue()
    venue.on_event(trade(0.05, "ETH/BTC"), AT)
    _, fill, _, position = venue.on_event(buy("a", symbol="ETH/BTC"), AT)
    assert (fill.fee, fill.fee_asset) == (Decimal("0.0001"), "BTC")
    assert (position.symbol, position.qty, position.fees) == ("ETH/BTC", 2.0, 0.0001)


def test_the_position_is_the_accounts_over_all_strategies():
    """Two strategies that buy 2 at 100 and 1 at 106 hold 3 at 102 together."""
    venue = new_venue()
    venue.on_event(trade(100.0), AT)
    venue.on_event(buy("a"), AT)
    venue.on_event(trade(106.0), AT)
    position = venue.on_event(buy("b", qty="1", strategy_id="other"), AT)[3]
    assert (position.qty, position.avg_price, position.strategy_id) == (3.0, 102.0, "")


def test_fills_are_the_same_in_every_run_and_after_every_restart():
    """The same events give the same bytes, with a restart before each of them too."""
    events = [
        trade(100.0),
        buy("a"),
        buy("a"),
        trade(103.07),
        buy("b", qty="5", side="sell"),
        buy("c", qty="0.001"),
        trade(99.99),
        buy("d", qty="2.999"),
    ]
    told: list[list[bytes]] = [[], []]
    for restarting, lines in enumerate(told):
        venue = new_venue()
        for event in events:
            if restarting:
                saved = json.loads(json.dumps(venue.snapshot()))
                venue = new_venue()
                venue.restore(saved)
            lines += [codec.encode(output) for output in venue.on_event(event, AT)]
    assert told[0] == told[1]
    assert len(told[0]) == 4 + 1 + 4 + 4 + 4


def test_damaged_books_are_not_restored():
    """A saved state whose cash does not match its lots stops the venue instead of trading on."""
    venue = new_venue()
    venue.on_event(trade(100.0), AT)
    venue.on_event(buy("a"), AT)
    saved = venue.snapshot()
    saved["ledger"]["cash"]["USDT"] = "0"
    with pytest.raises(LedgerError, match="must be 0"):
        new_venue().restore(saved)


def test_a_changed_configuration_counts_for_what_comes_later():
    """New fees apply to new fills; orders, answers and positions stay, also of a symbol no longer offered."""
    old = new_venue()
    old.on_event(trade(100.0), AT)
    first = old.on_event(buy("a"), AT)
    paper = {"account": "main", "maker_fee_bps": 0, "taker_fee_bps": 50}
    new = new_venue({"paper": paper, "instruments": CONTENT["instruments"]})
    new.restore(old.snapshot())
    assert new.on_event(buy("a"), AT) == (first[2],)
    _, fill, _, position = new.on_event(buy("b"), AT)
    assert (fill.fee, position.qty) == (Decimal(1), 4.0)
    none = new_venue({"paper": paper, "instruments": []})
    none.restore(new.snapshot())
    assert [update.reason for update in none.on_event(buy("c"), AT)] == ["unknown_symbol"]
    assert none.snapshot()["ledger"] == new.snapshot()["ledger"]


def test_what_the_service_needs():
    """It listens to orders, cancels, trades and the clock, and claims its account for itself."""
    assert SERVICE.inputs(CONTENT) == ("orders.accepted", "orders.cancel", "md.trades.*", "clock.market.*")
    assert SERVICE.exclusive(CONTENT) == ("executor:main",)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"account": ""}, "account"),
        ({"maker_fee_bps": "NaN"}, "maker_fee_bps"),
        ({"taker_fee_bps": 10_000}, "taker_bps"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, field):
    """A missing account or fees that are no number or no fraction are named and refused."""
    with pytest.raises(ContractError, match=field):
        PaperSettings(**settings)
    with pytest.raises(ContractError, match=field):
        new_venue({"paper": settings, "instruments": []})
