"""The gate decides on every intent, for one stated reason, from what it has been told and nothing else."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import codec
from core.contracts import DenialReason, OrderEvent, OrderIntent, RiskDecision, TradeEvent, intent_id, order_id
from core.errors import CodecError, ContractError
from core.risk.gate import SERVICE
from core.risk.memory import DECISIONS_MAX
from core.risk.rules import RULES
from tests.risk_desk import NOON_NS, SYMBOL, Desk, content, grid

ORDER_OF_CHECKS = [reason.value for reason in DenialReason if reason is not DenialReason.MALFORMED]


def test_service_says_what_it_listens_to():
    """The risk engine hears intents, trades, the market's clock, the profit of the day and the fills."""
    assert SERVICE.name == "risk_engine"
    heard = ("strat.intent", "md.trades.*", "clock.market.*", "portfolio.pnl_day", "fills.new")
    assert SERVICE.inputs(content()) == heard


def test_allowed_intent_becomes_an_order():
    """An allowed intent is answered with its decision and then the order, with venue, ids and price."""
    desk = Desk(venue="paper")
    desk.trade(100.0)
    decision, order = desk.send("1", "99.5", side="sell", intent_id="i-1")
    assert (decision.intent_id, decision.allowed, decision.reason) == ("i-1", True, None)
    assert (decision.strategy_id, decision.symbol) == ("sma_cross_v1", SYMBOL)
    assert order == OrderEvent(
        intent_id="i-1",
        venue="paper",
        symbol=SYMBOL,
        side="sell",
        type="limit",
        qty=Decimal(1),
        ts_accepted_ns=NOON_NS,
        order_id=order_id("i-1"),
        strategy_id="sma_cross_v1",
        limit_price=Decimal("99.5"),
        idempotency_key="i-1",
    )


def test_market_order_carries_no_price():
    """A limit price on a market order is not forwarded: nobody may fill by it."""
    desk = Desk()
    desk.trade(100.0)
    _, order = desk.send("1", "90", kind="market")
    assert (order.type, order.limit_price) == ("market", None)


def test_every_check_is_listed():
    """A decision lists every check in order with value and limit, also those behind the first that failed."""
    desk = Desk()
    desk.trade(100.0, age_s=1.25)
    desk.pnl("-20.5")
    (decision,) = desk.send("3", root_age_s=0.5)
    steps = "above 0, in steps of "
    assert [(c.name, c.passed, c.value, c.limit) for c in decision.checks] == [
        ("halted", True, "clear", "clear"),
        ("unknown_symbol", True, SYMBOL, "a configured symbol"),
        ("invalid_qty", True, "3", steps + "0.001"),
        ("invalid_price", True, "", "any"),
        ("stale_intent", True, "0.500000000", "5.000000000"),
        ("reduce_only", True, "", "any"),
        ("no_price", True, "100.0", "known"),
        ("stale_price", True, "1.250000000", "5.000000000"),
        ("min_notional", True, "300.0", "5"),
        ("per_order_cap", False, "300.0", "250"),  # 3 x 100
        ("no_pnl", True, "0.000000000", "any"),
        ("daily_loss_cap", True, "-20.5", "-300"),
        ("rate_limit", True, "30", "30"),
    ]
    assert decision.reason is DenialReason.PER_ORDER_CAP
    assert decision.caps == {"per_order_usd_cap": "250", "daily_loss_usd_cap": "300", "orders_per_min_cap": "30"}


def test_every_reason_has_its_check():
    """Every reason but `malformed` is the name of exactly one check, in the order in which they decide."""
    (decision,) = Desk(resumed=False).send("1")
    assert [check.name for check in decision.checks] == ORDER_OF_CHECKS
    assert len(RULES) == len(ORDER_OF_CHECKS)


@pytest.mark.parametrize(
    ("expected", "order"),
    [
        ("allowed", {"qty": "1"}),
        ("unknown_symbol", {"qty": "1", "symbol": "DOGE/USDT"}),
        ("invalid_qty", {"qty": "0"}),
        ("invalid_qty", {"qty": "-1"}),
        ("invalid_qty", {"qty": "0.0005"}),  # half a lot
        ("invalid_qty", {"qty": "1.0005"}),
        ("invalid_qty", {"qty": "1e999999"}),
        ("invalid_qty", {"qty": "1e-999999"}),
        ("invalid_qty", {"qty": "9" * 200}),
        ("invalid_price", {"kind": "limit"}),  # a limit order without a price
        ("invalid_price", {"price": "0"}),
        ("invalid_price", {"price": "-100"}),
        ("invalid_price", {"price": "100.005"}),  # half a tick
        ("invalid_price", {"price": "1e999999"}),
        ("allowed", {"price": "100.00"}),
        ("allowed", {"price": "123.456", "kind": "market"}),
        ("allowed", {"root_age_s": 5.0}),
        ("stale_intent", {"root_age_s": 5.000000001}),
        ("stale_intent", {"root_age_s": 3600}),
        ("allowed", {"qty": "0.05"}),  # 0.05 x 100 = 5
        ("min_notional", {"qty": "0.049"}),  # 4.9
        ("min_notional", {"qty": "0.05", "price": "99.99"}),  # a venue values it at its limit: 4.9995
        ("per_order_cap", {"qty": "2.501"}),  # 250.1
    ],
)
def test_one_wrong_thing_gives_its_reason(expected, order):
    """With everything else in order, one wrong thing denies the intent and names itself."""
    desk = Desk()
    desk.trade(100.0)
    assert desk.ask(**order) == expected


@pytest.mark.parametrize("age_s", [5.0, 5.000000001])
def test_price_goes_stale_by_the_market_clock(age_s):
    """A last trade older than five seconds of market time is no price to trade on."""
    desk = Desk()
    desk.trade(100.0, age_s=age_s)
    assert desk.ask() == ("allowed" if age_s <= 5 else "stale_price")


def test_a_trade_that_came_late_is_no_price_to_trade_on():
    """What was fetched after an outage makes orders stale until the market is heard of as it happens again."""
    desk = Desk()
    desk.trade(100.0)
    desk.say(TradeEvent(SYMBOL, 90.0, 1.0, "buy", desk.market_ns, late=True))
    assert desk.ask() == "stale_price"
    desk.trade(91.0)
    assert desk.ask() == "allowed"


def test_price_goes_stale_when_the_feed_dies():
    """A market clock that stands still because nothing is published does not keep its last trade fresh."""
    desk = Desk()
    desk.trade(100.0)
    desk.ts_ns += 5_000_000_000
    assert desk.ask() == "allowed"
    desk.ts_ns += 1
    assert desk.ask() == "stale_price"


def test_price_of_another_symbol_does_not_count():
    """A trade in ETH is no price for BTC."""
    desk = Desk()
    desk.trade(100.0, symbol="ETH/USDT")
    assert desk.ask() == "no_price"


def test_trade_in_an_unknown_symbol_is_not_remembered():
    """Whatever else is traded on the venue takes no room in the gate's memory."""
    desk = Desk()
    before = desk.gate.snapshot()
    desk.trade(100.0, symbol="DOGE/USDT")
    desk.ask(symbol="DOGE/USDT", intent_id="i-doge")
    after = desk.gate.snapshot()
    assert (after["trades"], after["buckets"]) == (before["trades"], before["buckets"]) == ({}, {})


@pytest.mark.parametrize(
    ("expected", "pnl", "age_s"),
    [
        ("allowed", None, 0),
        ("allowed", "-299.99", 0),
        ("daily_loss_cap", "-300", 0),
        ("daily_loss_cap", "-300.01", 0),
        ("daily_loss_cap", "-300", 43_200),  # since midnight, however long ago it was said
        ("allowed", "-300", 43_201),  # yesterday's
        ("allowed", "300", 0),
    ],
)
def test_daily_loss_on_paper(expected, pnl, age_s):
    """Trading stops once the loss of the current UTC day has reached 300; yesterday's loss is yesterday's."""
    desk = Desk()
    desk.trade(100.0)
    if pnl is not None:
        desk.pnl(pnl, age_s)
    assert desk.ask() == expected


@pytest.mark.parametrize(
    ("expected", "pnl", "age_s"),
    [
        ("no_pnl", None, 0),
        ("allowed", "0", 120),
        ("no_pnl", "0", 120.000000001),
        ("no_pnl", "-300", 121),
        ("daily_loss_cap", "-300", 120),
    ],
)
def test_daily_loss_with_real_money(expected, pnl, age_s):
    """In live trading a profit of the day that is missing or older than two minutes denies."""
    desk = Desk(env="live")
    desk.trade(100.0)
    if pnl is not None:
        desk.pnl(pnl, age_s)
    assert desk.ask() == expected


def test_intent_without_id_gets_one_from_its_place():
    """An intent that names no id gets one derived from its strategy and its place in the order."""
    desk = Desk()
    desk.trade(100.0)
    decision, order = desk.send("1")
    assert decision.intent_id == order.intent_id == intent_id("sma_cross_v1", desk.seq, 0)


def test_duplicate_gets_the_stored_answer_and_no_second_order():
    """The same intent id gets the same decision again, in every byte, even when prices and qty have changed."""
    desk = Desk()
    desk.trade(100.0)
    first, _ = desk.send("1", intent_id="i-1")
    desk.passes(86_400)
    desk.trade(5000.0)
    (again,) = desk.send("2", intent_id="i-1")
    assert codec.encode(again) == codec.encode(first)


def test_duplicate_of_a_denied_intent_stays_denied():
    """A denial is final for its id: the same intent is not tried again until it happens to fit."""
    desk = Desk()
    desk.trade(1000.0)
    (first,) = desk.send("1", intent_id="i-1")
    desk.trade(100.0)
    (again,) = desk.send("1", intent_id="i-1")
    assert (again, again.reason) == (first, DenialReason.PER_ORDER_CAP)


def test_duplicate_during_a_halt_gets_its_first_answer():
    """An intent that became an order before the halt is answered so during the halt, without another order."""
    desk = Desk()
    desk.trade(100.0)
    first, _ = desk.send("1", intent_id="i-1")
    desk.halt()
    assert desk.send("1", intent_id="i-1") == [first]


def test_memory_is_bounded_and_forgets_the_oldest():
    """256 decisions are remembered; the 257th takes the place of the first."""
    desk = Desk(orders_per_min_cap=1000)
    desk.trade(100.0)
    for number in range(DECISIONS_MAX):
        assert desk.ask(intent_id=f"i-{number}") == "allowed"
    assert len(desk.send(intent_id="i-0")) == 1
    assert desk.ask(intent_id="i-last") == "allowed"
    assert len(desk.send(intent_id="i-1")) == 1  # still known: no order
    assert len(desk.gate.snapshot()["decisions"]["rows"]) == DECISIONS_MAX
    assert len(desk.send(intent_id="i-0")) == 2  # forgotten: decided again


@pytest.mark.parametrize("field", ["strategy_id", "symbol", "intent_id"])
def test_nobody_fills_the_memory_with_a_long_name(field):
    """A name of 128 characters is a name; a longer one is no intent, so the gate never gets to remember it."""
    wish = {"strategy_id": "s", "symbol": SYMBOL, "side": "buy", "type": "market", "qty": "1"}
    assert getattr(codec.from_dict(OrderIntent, wish | {field: "x" * 128}), field) == "x" * 128
    with pytest.raises(CodecError, match=rf"{field} has 129 characters; allowed: 128"):
        codec.from_dict(OrderIntent, wish | {field: "x" * 129})


def test_flood_of_denials_does_not_wash_out_orders():
    """Ten thousand denied intents leave the memory of the orders intact, so none of them can be doubled."""
    desk = Desk(orders_per_min_cap=1000)
    desk.trade(100.0)
    for number in range(DECISIONS_MAX // 2):
        assert desk.ask(intent_id=f"i-{number}") == "allowed"
    for number in range(10_000):
        desk.send("0", intent_id=f"bad-{number}")
    assert all(len(desk.send(intent_id=f"i-{number}")) == 1 for number in range(DECISIONS_MAX // 2))


def test_orders_do_not_wash_out_denials():
    """A denial is remembered also by a gate whose memory is full of orders."""
    desk = Desk(orders_per_min_cap=1000)
    desk.trade(100.0)
    for number in range(DECISIONS_MAX):
        desk.send(intent_id=f"i-{number}")
    (denied,) = desk.send("3", intent_id="too-much")
    assert desk.send("1", intent_id="too-much") == [denied]


def test_malformed_intent_is_answered():
    """What was meant as an intent and cannot be read is denied as malformed, if it says its id."""
    desk = Desk()
    (decision,) = desk.malformed("i-1")
    assert (decision.intent_id, decision.allowed, decision.reason) == ("i-1", False, DenialReason.MALFORMED)
    assert [(c.name, c.passed, c.value) for c in decision.checks] == [("malformed", False, "qty is 'nan'")]
    assert decision.caps["per_order_usd_cap"] == "250"


@pytest.mark.parametrize(("intent", "topic"), [("", "strat.intent"), ("i-1", "md.trades.BTC/USDT")])
def test_other_malformed_messages_are_not_answered(intent, topic):
    """Without an id there is nobody to answer, and what came on another topic was no intent."""
    assert Desk().malformed(intent, topic) == []


def test_malformed_message_does_not_use_up_the_id():
    """Rubbish under an id does not block the intent itself, nor does it contradict an answer already given."""
    desk = Desk()
    desk.trade(100.0)
    desk.malformed("i-1")
    decision, _ = desk.send(intent_id="i-1")
    assert desk.malformed("i-1") == [decision]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("per_order_usd_cap", "0"),
        ("per_order_usd_cap", "-1"),
        ("per_order_usd_cap", "nan"),
        ("daily_loss_usd_cap", "0"),
        ("orders_per_min_cap", 0),
        ("max_price_age_s", 0.0),
        ("max_price_age_s", -1.0),
        ("max_intent_age_s", 0.0),
        ("kill_switch_file", ""),
        ("kill_switch_key", ""),
    ],
)
def test_settings_that_would_switch_a_check_off_are_refused(field, value):
    """A cap, an age or a name that makes no sense stops the start and is named."""
    with pytest.raises(ContractError, match=field):
        SERVICE.build(content(**{field: value}))


def test_symbol_may_be_configured_only_once():
    """Two grids for one symbol are one too many."""
    with pytest.raises(ContractError, match="each symbol once"):
        SERVICE.build(content(instruments=[grid(SYMBOL), grid(SYMBOL)]))


def test_restore_under_another_configuration():
    """After a reload the gate keeps halt, loss, prices and answers; dropped symbols and a lower cap take effect."""
    desk = Desk(orders_per_min_cap=30)
    desk.trade(100.0)
    desk.trade(50.0, symbol="ETH/USDT")
    desk.pnl("-10")
    stored, _ = desk.send(intent_id="i-1")
    desk.ask(symbol="ETH/USDT")
    desk.halt("file: drill")
    after = Desk(resumed=False, orders_per_min_cap=1, instruments=[grid(SYMBOL)])
    after.seq = desk.seq
    after.gate.restore(json.loads(json.dumps(desk.gate.snapshot())))
    assert after.ask() == "halted"
    after.resume()
    assert after.send(intent_id="i-1") == [stored]
    assert after.ask(symbol="ETH/USDT") == "unknown_symbol"
    kept = after.gate.snapshot()
    assert (list(kept["trades"]), list(kept["buckets"])) == ([SYMBOL], [SYMBOL])
    assert [after.ask(), after.ask()] == ["allowed", "rate_limit"]  # 29 tokens cut to the new capacity of 1


def test_snapshot_holds_decisions_byte_for_byte():
    """An answer repeated after a restart is the same line in the journal, caps in the same order."""
    desk = Desk()
    desk.trade(100.0)
    first, _ = desk.send(intent_id="i-1")
    desk.gate.restore(codec.decode_json(codec.encode_state(desk.gate.snapshot())))
    (again,) = desk.send(intent_id="i-1")
    assert isinstance(again, RiskDecision)
    assert codec.encode(again) == codec.encode(first)


NS = st.integers(0, 20_000_000_000)
STEPS = st.one_of(
    st.tuples(st.just("trade"), st.sampled_from([1.5, 99.99, 100.0, 250.1]), st.sampled_from([SYMBOL, "ETH/USDT"])),
    st.tuples(st.just("pnl"), st.sampled_from(["-300", "-299.99", "12.5"]), st.sampled_from([0, 50_000])),
    st.tuples(st.just("passes"), NS.map(lambda ns: ns / 1e9)),
    st.tuples(st.just("halt")),
    st.tuples(st.just("resume")),
    st.tuples(st.just("malformed"), st.sampled_from(["", "i-1", "i-9"])),
    st.tuples(st.just("fill"), st.sampled_from(["buy", "sell"]), st.sampled_from(["1", "2.5"])),
    st.tuples(st.just("close"), st.sampled_from(["1", "2.5"]), st.sampled_from(["buy", "sell"])),
    st.tuples(st.just("keyed"), st.sampled_from(["k-1", "k-2"]), st.sampled_from(["buy", "sell"])),
    st.tuples(
        st.just("send"),
        st.sampled_from(["1", "2.5", "2.501", "0.0005"]),
        st.sampled_from([None, "100", "99.995", "300"]),
        st.sampled_from(["buy", "sell"]),
        st.sampled_from([SYMBOL, "ETH/USDT", "DOGE/USDT"]),
        st.sampled_from(["", "i-1", "i-2", "i-3"]),
    ),
)


@settings(max_examples=200, deadline=None)
@given(before=st.lists(STEPS, max_size=40), after=st.lists(STEPS, max_size=40))
def test_restored_gate_behaves_identically(before, after):
    """Whatever has happened, a gate restored from its snapshot gives the same answers for ever."""
    desk = Desk(orders_per_min_cap=3, resumed=False)
    for name, *args in before:
        getattr(desk, name)(*args)
    twin = Desk(orders_per_min_cap=3, resumed=False)
    twin.gate.restore(json.loads(json.dumps(desk.gate.snapshot())))
    twin.seq, twin.market_ns, twin.ts_ns = desk.seq, desk.market_ns, desk.ts_ns
    for name, *args in after:
        mine, theirs = getattr(desk, name)(*args), getattr(twin, name)(*args)
        assert [codec.encode(event) for event in mine or ()] == [codec.encode(event) for event in theirs or ()]
    assert codec.encode_state(desk.gate.snapshot()) == codec.encode_state(twin.gate.snapshot())
    assert desk.gate.snapshot() == twin.gate.snapshot()


ANY = st.decimals(allow_nan=False, allow_infinity=False)


@settings(max_examples=300, deadline=None)
@given(
    qty=ANY | st.integers(1, 10_000).map(lambda lots: Decimal(lots).scaleb(-3)),
    price=st.none() | ANY | st.integers(1, 100_000).map(lambda ticks: Decimal(ticks).scaleb(-2)),
    last=st.none() | st.floats(min_value=5e-324, max_value=1.7e308) | st.sampled_from([1.0, 99.995, 1e5]),
    side=st.sampled_from(["buy", "sell"]),
    kind=st.sampled_from(["market", "limit", "stop"]),
)
def test_no_number_breaks_the_gate_or_its_cap(qty, price, last, side, kind):
    """Whatever numbers an intent carries, it gets a decision, and no order may cost more than the cap."""
    desk = Desk()
    if last is not None:
        desk.trade(last)
    limit, stop = (None, price) if kind == "stop" else (price, None)
    decision, *orders = desk.send(qty, limit, side=side, kind=kind, stop_price=stop)
    assert decision.allowed == bool(orders)
    for order in orders:
        assert last is not None or side == "buy"
        market = order.limit_price if last is None else Decimal(repr(last))
        own = order.limit_price or order.stop_price or market
        assert order.qty * own >= 5
        assert order.qty * market <= 250
        assert side == "sell" or order.qty * own <= 250
