"""From signals to orders: one decision each, as large as everything that is held and on its way allows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core import codec
from core.contracts import Malformed, OHLCVBar, OrderIntent, SizingDecision, SizingReason, intent_id, order_id
from portfolio.memory import DECISIONS_MAX
from tests.sizing_desk import BTC, ETH, NOON_NS, Desk, S, decision_in, intents, policy_of

D = Decimal
GROSS_1 = {
    "sizing": {"method": "fixed_fraction", "fraction": "0.95"},
    "cash_management": {"buffer": 0},
    "limits": {"leverage": {"gross": 1}},
}


def at_100(**settings: Any) -> Desk:
    """A desk whose two symbols have just traded at 100."""
    desk = Desk(**settings)
    desk.trade(100.0, BTC)
    desk.trade(100.0, ETH)
    return desk


def test_a_signal_becomes_an_order() -> None:
    """10,000 at 100: a market order for 100 that names the signal, behind the decision that says so."""
    desk = at_100()
    decision, intent = desk.signal("OPEN_LONG", signal_id="s-mine")
    assert (decision.signal_id, decision.accepted, decision.reason, decision.qty) == ("s-mine", True, None, 100)
    assert decision.intent_ids == (intent.intent_id,)
    assert (intent.side, intent.type, intent.qty, intent.reduce_only) == ("buy", "market", 100, False)
    assert (intent.strategy_id, intent.signal_id, intent.idempotency_key) == ("a", "s-mine", "")
    assert [check.name for check in decision.checks][-1] == "below_minimum"
    assert all(check.passed for check in decision.checks)


def test_ten_thousand_at_sixty_thousand() -> None:
    """10,000 USD buys 0.16666 BTC, on the lot of 0.00001: not none, and no more than there is money."""
    desk = Desk()
    desk.trade(60_000.0)
    (intent,) = intents(desk.signal("OPEN_LONG"))
    assert intent.qty == D("0.16666")
    assert intent.qty * 60_000 <= 10_000


def test_ids_are_those_of_no_strategy() -> None:
    """A strategy's own intent to the same event has another id, and so have the two orders that protect a position."""
    desk = at_100(policy={"sizing": {"fraction": "0.1"}})
    desk.opened(stop_loss=90, take_profit=110)
    ids = [intent.intent_id for intent in intents(desk.said)]
    own = {intent_id("a", seq, ordinal) for seq in range(desk.seq + 1) for ordinal in range(10)}
    assert len(set(ids)) == 3
    assert own.isdisjoint(ids)


def test_five_signals_in_one_bar_share_one_limit() -> None:
    """10,000 of equity at a gross leverage of 1, and five signals for 9,500 each before any is filled.

    The first gets 95 units at 100, the second the 5 that are left, the other three nothing: 10,000, not 47,500.
    """
    desk = Desk(policy=GROSS_1)
    symbols = [f"C{number}/USDT" for number in range(5)]
    for symbol in symbols:
        desk.trade(100.0, symbol)
    decisions = [decision_in(desk.signal("OPEN_LONG", symbol)) for symbol in symbols]
    assert [decision.qty for decision in decisions] == [95, 5, 0, 0, 0]
    assert [decision.reason for decision in decisions] == [None, None, *[SizingReason.GROSS_LEVERAGE] * 3]
    assert sum(intent.qty * 100 for intent in intents(desk.said)) == 10_000


@pytest.mark.parametrize(
    ("policy", "qtys", "reason"),
    [
        ({"cash_management": {"buffer": "0.1"}}, [60, 30, 0], "cash_buffer"),
        ({"limits": {"leverage": {"gross": "0.8"}}}, [60, 20, 0], "gross_leverage"),
        ({"limits": {"leverage": {"net": "0.7"}}}, [60, 10, 0], "net_leverage"),
        ({"strategy_limits": {"leverage": "0.65"}}, [60, 5, 0], "capital"),
        ({"limits": {"concentration": {"max_share": "0.5"}}}, [50, 0, 0], "concentration"),
    ],
)
def test_each_limit_counts_what_is_on_its_way(policy: dict[str, Any], qtys: list[int], reason: str) -> None:
    """Three signals of 60 % of the capital before any fill, in one symbol for the concentration."""
    sizing = {"method": "fixed_fraction", "fraction": "0.6"}
    desk = Desk(policy={**policy, "sizing": sizing, "execution_controls": {"pyramiding": True, "price_reserve": 0}})
    for symbol in ("C0/USDT", "C1/USDT", "C2/USDT"):
        desk.trade(100.0, symbol)
    symbols = ["C0/USDT"] * 3 if reason == "concentration" else ["C0/USDT", "C1/USDT", "C2/USDT"]
    decisions = [decision_in(desk.signal("OPEN_LONG", symbol)) for symbol in symbols]
    assert [decision.qty for decision in decisions] == qtys
    assert decisions[-1].reason == reason
    assert not decisions[-1].accepted


def ending(desk: Desk, intent: OrderIntent, how: str) -> None:
    """What becomes of an order; `filled` and `partly` at 100."""
    if how == "denied":
        desk.decide(intent, "halted")
        return
    desk.decide(intent)
    if how == "filled":
        desk.fill(intent, 100)
        desk.end(intent, "FILLED", intent.qty)
    elif how == "partly":
        desk.end(intent, "CANCELED", "20")
        desk.fill(intent, 100, "20")
    elif how in ("REJECTED", "CANCELED", "EXPIRED"):
        desk.end(intent, how)


@pytest.mark.parametrize("restarting", [False, True], ids=["straight", "restarting"])
@pytest.mark.parametrize(
    ("how", "left"),
    [
        ("denied", 100),
        ("REJECTED", 100),
        ("CANCELED", 100),
        ("EXPIRED", 100),
        ("allowed", 40),
        ("filled", 40),
        ("partly", 80),
    ],
)
def test_what_is_reserved_until_when(how: str, left: int, restarting: bool) -> None:
    """60 of 100 are on their way; what was not bought is free again once the order has ended, and not before."""
    desk = at_100(policy={"limits": {"leverage": {"gross": 1}}, "sizing": {"fraction": "0.6"}})
    (intent,) = intents(desk.signal("OPEN_LONG"))
    ending(desk, intent, how)
    if restarting:
        desk.restart()
    desk.content["policy"]["sizing"]["fraction"] = 1
    desk.restart()
    assert decision_in(desk.signal("OPEN_LONG", ETH)).qty == left


def test_an_update_may_come_before_its_fills() -> None:
    """An order that has ended with 20 still counts those until their fill is booked: never neither, never twice."""
    desk = at_100(policy={"limits": {"leverage": {"gross": 1}}})
    (intent,) = intents(desk.signal("OPEN_LONG"))
    desk.decide(intent)
    desk.end(intent, "CANCELED", "20")
    assert decision_in(desk.signal("OPEN_LONG", ETH)).qty == 80
    assert decision_in(desk.signal("OPEN_LONG", BTC)).reason == SizingReason.ALREADY_OPEN


def test_a_rising_price_makes_a_waiting_order_worth_more() -> None:
    """50 units on their way at 100 count 7,500 at 150: 2,500 of the 10,000 are left, 25 units at 100."""
    desk = at_100(policy={"limits": {"leverage": {"gross": 1}}, "sizing": {"fraction": "0.5"}})
    desk.signal("OPEN_LONG", BTC)
    desk.trade(150.0, BTC)
    assert decision_in(desk.signal("OPEN_LONG", ETH)).qty == 25


REFUSALS = """
what                                      | intention   | stop    | take    | reason
a stop above a long                       | OPEN_LONG   | 101     |         | invalid_stop
a stop at the price of a long             | OPEN_LONG   | 100     |         | invalid_stop
a stop that rounds to the price           | OPEN_LONG   | 99.995  |         | invalid_stop
a target below a long                     | OPEN_LONG   | 90      | 99      | invalid_stop
a stop below a short                      | OPEN_SHORT  | 99      |         | invalid_stop
a target above a short                    | OPEN_SHORT  | 110     | 101     | invalid_stop
a target that rounds to nothing           | OPEN_SHORT  | 110     | 0.001   | invalid_stop
a price that nobody means                 | OPEN_LONG   | 90      | 1E+9999 | invalid_stop
a short where there are none              | OPEN_SHORT  | 110     | 90      | shorting
nothing held                              | CLOSE_LONG  |         |         | nothing_to_close
nothing sold                              | CLOSE_SHORT |         |         | nothing_to_close
"""


@pytest.mark.parametrize("line", REFUSALS.strip().splitlines()[1:])
def test_signals_that_are_refused(line: str) -> None:
    """With the last trade at 100. A refusal is an event with its reason, and nothing follows."""
    _, intention, stop, take, reason = (cell.strip() for cell in line.split("|"))
    prices: dict[str, Any] = {
        name: Decimal(text) for name, text in (("stop_loss", stop), ("take_profit", take)) if text
    }
    desk = at_100()
    (decision,) = desk.signal(intention, **prices)
    assert (decision.accepted, decision.reason, decision.qty, decision.intent_ids) == (False, reason, 0, ())
    assert next(check.name for check in decision.checks if not check.passed) == reason


@pytest.mark.parametrize("stop", ["1E-999999", "0." + "9" * 3000, "99.98999999999999999999999999999999999999"])
def test_a_stop_of_any_length_is_brought_to_the_tick(stop: str) -> None:
    """A stop is reached early rather than late: a long's is rounded up to the next tick of 0.01."""
    desk = at_100(capital=100_000.0)  # 1,000 coins: worth 10 at the lowest of these stops
    desk.opened(stop_loss=Decimal(stop))
    (protection,) = [intent for intent in intents(desk.said) if intent.type == "stop"]
    assert protection.stop_price in (D("0.01"), D("1.00"), D("99.99"))


def test_what_must_be_known_to_open() -> None:
    """A symbol of the configuration in the portfolio's asset, a price, and one that is no older than 5 seconds."""
    desk = Desk()
    desk.content["instruments"].append({"symbol": "ETH/BTC", "tick_size": "0.01", "lot_size": "0.01"})
    desk.restart()
    assert decision_in(desk.signal("OPEN_LONG", "DOGE/USDT")).reason == SizingReason.UNKNOWN_SYMBOL
    assert decision_in(desk.signal("OPEN_LONG", "ETH/BTC")).reason == SizingReason.UNKNOWN_SYMBOL
    assert decision_in(desk.signal("OPEN_LONG")).reason == SizingReason.NO_PRICE
    desk.trade(100.0)
    desk.clock(5)
    assert decision_in(desk.signal("OPEN_LONG", strategy_id="x")).accepted
    desk.clock(0.000000001)
    stale = decision_in(desk.signal("OPEN_LONG", ETH, signal_id="s-eth"))
    assert stale.reason == SizingReason.NO_PRICE
    stale = decision_in(desk.signal("OPEN_LONG", strategy_id="y", signal_id="s-old"))
    assert (stale.reason, stale.checks[0].value) == (SizingReason.STALE_PRICE, "5.000000001")


@pytest.mark.parametrize(
    ("fraction", "price", "reason"),
    [("0.0005", 100.0, None), ("0.000499", 100.0, "below_minimum"), ("0.000001", 5_000_000.0, "below_minimum")],
)
def test_orders_too_small_for_the_venue(fraction: str, price: float, reason: str | None) -> None:
    """5 quote units and one lot are the least; 4.99 and a fraction of a lot are refused, not rounded up."""
    desk = Desk(policy={"sizing": {"fraction": fraction}})
    desk.trade(price)
    assert decision_in(desk.signal("OPEN_LONG")).reason == reason


def test_confidence_and_multiplier() -> None:
    """Half of the confidence is half of the size; a multiplier of 1.2 is a fifth more, as far as the limits go."""
    share = {"target_weight": 1.0, "min_capital": 0.0, "max_capital": 1e9, "risk_multiplier": 1.2}
    desk = at_100(policy={"sizing": {"fraction": "0.5"}}, allocations=[{"strategy_id": "a", **share}])
    assert decision_in(desk.signal("OPEN_LONG", confidence=0.5)).qty == 30
    assert decision_in(desk.signal("OPEN_LONG", ETH)).qty == 60


def test_a_strategy_holds_a_symbol_once() -> None:
    """A second opening is refused from the moment the first is on its way, in both directions, until it is closed."""
    desk = at_100(policy={"sizing": {"fraction": "0.1"}, "limits": {"shorting": {"allowed": True}}})
    (intent,) = intents(desk.signal("OPEN_LONG"))
    assert decision_in(desk.signal("OPEN_LONG")).reason == SizingReason.ALREADY_OPEN
    assert decision_in(desk.signal("OPEN_SHORT")).reason == SizingReason.ALREADY_OPEN
    desk.execute(intent, 100)
    assert decision_in(desk.signal("OPEN_LONG")).reason == SizingReason.ALREADY_OPEN
    assert decision_in(desk.signal("OPEN_SHORT")).reason == SizingReason.ALREADY_OPEN
    assert decision_in(desk.signal("OPEN_LONG", strategy_id="b")).accepted
    assert decision_in(desk.signal("OPEN_LONG", ETH)).accepted
    (close,) = intents(desk.signal("CLOSE_LONG"))
    assert decision_in(desk.signal("OPEN_LONG")).reason == SizingReason.ALREADY_CLOSING
    desk.execute(close, 100)
    assert decision_in(desk.signal("OPEN_SHORT")).accepted


def test_pyramiding_is_for_one_direction() -> None:
    """Where the policy allows it a position may grow, but a short signal does not turn it."""
    pyramiding = {"pyramiding": True, "price_reserve": 0}
    desk = at_100(
        policy={
            "sizing": {"fraction": "0.1"},
            "execution_controls": pyramiding,
            "limits": {"shorting": {"allowed": True}},
        }
    )
    desk.opened()
    assert decision_in(desk.signal("OPEN_LONG")).qty == 10
    assert decision_in(desk.signal("OPEN_LONG")).qty == 10
    assert decision_in(desk.signal("OPEN_SHORT")).reason == SizingReason.ALREADY_OPEN


SHARES = [
    {"strategy_id": "a", "target_weight": 0.4, "min_capital": 1_000.0, "max_capital": 3_000.0},
    {"strategy_id": "b", "target_weight": 0.35, "min_capital": 5_000.0, "max_capital": 9_000.0},
    {"strategy_id": "c", "target_weight": 0.25, "min_capital": 12_000.0, "max_capital": 20_000.0},
]


def test_each_strategy_has_its_capital() -> None:
    """Of 10,000: 40 % but at most 3,000; 35 % but at least 5,000; one that needs 12,000 gets none; strangers none."""
    desk = at_100(allocations=SHARES, policy={"strategy_limits": {"leverage": 1}})
    decisions = {name: decision_in(desk.signal("OPEN_LONG", strategy_id=name)) for name in "abcd"}
    assert [decisions[name].qty for name in "abcd"] == [30, 50, 0, 0]
    assert decisions["c"].reason == SizingReason.CAPITAL
    assert decisions["d"].reason == SizingReason.NO_ALLOCATION
    capital = desk.manager.tracker.get_strategy_capital
    assert [capital(name) for name in "abcd"] == [3_000.0, 5_000.0, 0.0, 0.0]


def test_a_budget_holds_a_part_back() -> None:
    """With 80 % to be used, 40 % of it is 3,200 before the maximum of 3,000 counts, and 20 % less without shares."""
    assert decision_in(at_100(policy={"budgets": {"capital_share": "0.8"}}).signal("OPEN_LONG")).qty == 80
    desk = at_100(policy={"budgets": {"capital_share": "0.5"}}, allocations=SHARES)
    assert desk.manager.tracker.get_strategy_capital("a") == 2_000.0


def test_losses_make_positions_smaller_and_then_stop_them() -> None:
    """100 units bought at 100 and marked at 85 are 15 % lost: half the size. At 80 no more is opened, but closed."""
    desk = at_100(policy={"sizing": {"method": "fixed_equity", "equity": 1_000}})
    desk.content["policy"]["sizing"] = {"method": "fixed_fraction", "fraction": 1}
    desk.restart()
    desk.opened()
    desk.content["policy"]["sizing"] = {"method": "fixed_equity", "equity": 1_000}
    desk.content["policy"]["cash_management"]["buffer"] = 0
    desk.restart()
    desk.trade(85.0)
    halved = decision_in(desk.signal("OPEN_LONG", ETH))
    assert [Decimal(check.value) for check in halved.checks if check.name == "drawdown"] == [5]
    desk.trade(80.0)
    assert decision_in(desk.signal("OPEN_LONG", ETH, strategy_id="b")).reason == SizingReason.DRAWDOWN
    assert decision_in(desk.signal("CLOSE_LONG")).accepted


def bars(desk: Desk, closes: list[float], timeframe: str = "1m", start: int = 0) -> None:
    """Closed bars, one per minute."""
    for number, close in enumerate(closes, start):
        opened = NOON_NS + number * 60 * S
        desk.say(OHLCVBar(BTC, timeframe, opened, opened + 60 * S, close, close, close, close, 1.0))


def test_size_by_volatility() -> None:
    """Returns of +1 % and -1 % in turn: 0.0115 a minute, 0.438 a day. 1 % of 10,000 a day is 228 units' worth of 1.

    The sample deviation of four returns of 0.01, -1/101, 0.01, -1/101 is 0.011490; times the root of 1,440, 0.43602.
    10,000 x 0.01 / (100 x 0.43602) = 2.29346.
    """
    desk = at_100(policy={"sizing": {"method": "volatility_target", "daily_volatility": "0.01", "volatility_bars": 4}})
    assert decision_in(desk.signal("OPEN_LONG")).reason == SizingReason.NO_VOLATILITY
    bars(desk, [100.0, 101.0, 100.0, 101.0])
    assert decision_in(desk.signal("OPEN_LONG")).reason == SizingReason.NO_VOLATILITY
    desk.restart()
    bars(desk, [100.0], start=4)
    bars(desk, [100.0], start=4)  # told again
    desk.restart()
    assert float(decision_in(desk.signal("OPEN_LONG")).qty) == pytest.approx(2.29346, abs=0.001)


def test_a_hole_in_the_bars_begins_a_new_window() -> None:
    """Returns over a hole are no minutes' returns; neither are bars of another length, or of symbols nobody knows."""
    desk = at_100(policy={"sizing": {"method": "volatility_target", "volatility_bars": 2}})
    bars(desk, [100.0, 101.0])
    bars(desk, [100.0, 101.0], start=3)
    assert decision_in(desk.signal("OPEN_LONG")).reason == SizingReason.NO_VOLATILITY
    bars(desk, [100.0], start=5)
    assert decision_in(desk.signal("OPEN_LONG")).accepted


def test_the_same_signal_twice() -> None:
    """It gets the stored decision again, byte for byte and nothing else, also after a restart."""
    desk = at_100()
    first, _ = desk.signal("OPEN_LONG", signal_id="s-1")
    assert desk.signal("OPEN_LONG", signal_id="s-1") == [first]
    desk.restart()
    (again,) = desk.signal("CLOSE_LONG", signal_id="s-1")
    assert codec.encode(again) == codec.encode(first)


def test_a_position_too_small_for_its_own_stop_is_not_opened() -> None:
    """0.052 at 100 is worth 5.20, but at a stop of 90 only 4.68: the venue, which takes 5, would refuse that stop."""
    desk = at_100(
        policy={"sizing": {"method": "fixed_equity", "equity": "5.2"}, "limits": {"shorting": {"allowed": True}}}
    )
    assert decision_in(desk.signal("OPEN_LONG", stop_loss=90)).reason == SizingReason.BELOW_MINIMUM
    assert decision_in(desk.signal("OPEN_SHORT", stop_loss=110, take_profit=90)).reason == SizingReason.BELOW_MINIMUM
    assert decision_in(desk.signal("OPEN_LONG", stop_loss=97, take_profit=200)).qty == D("0.052")
    assert decision_in(desk.signal("OPEN_SHORT", ETH, stop_loss=110)).qty == D("0.052")


def test_a_short_that_is_being_closed_balances_no_long() -> None:
    """Short 50 at 100 under a net limit of 4,000: 90 long were room, but not when the short is about to be gone."""
    net = {"sizing": {"fraction": "0.5"}, "limits": {"shorting": {"allowed": True}, "leverage": {"net": "0.5"}}}
    desk = at_100(policy=net)
    desk.opened("OPEN_SHORT")
    desk.content["policy"] = policy_of(
        desk.content["policy"], {"sizing": {"fraction": 1}, "limits": {"leverage": {"net": "0.4"}}}
    )
    desk.restart()
    assert decision_in(desk.signal("OPEN_LONG", ETH, "b")).qty == 90
    desk.decide(intents(desk.said)[-1], "halted")
    (close,) = intents(desk.signal("CLOSE_SHORT"))
    assert decision_in(desk.signal("OPEN_LONG", ETH, "b")).qty == 40
    desk.decide(close, "halted")


def test_an_id_is_one_strategys_word() -> None:
    """Two strategies that number their signals from 1 each get a decision of their own."""
    desk = at_100(policy={"sizing": {"fraction": "0.1"}})
    first = decision_in(desk.signal("OPEN_LONG", signal_id="s-1"))
    desk.restart()
    second = decision_in(desk.signal("OPEN_LONG", strategy_id="b", signal_id="s-1"))
    assert (first.strategy_id, first.accepted, second.strategy_id, second.accepted) == ("a", True, "b", True)
    desk.restart()
    assert desk.signal("OPEN_LONG", strategy_id="b", signal_id="s-1") == [second]


def test_a_signal_without_an_id_gets_one() -> None:
    """Whoever publishes a signal by hand need not think of an id."""
    desk = at_100()
    decision = decision_in(desk.signal("OPEN_LONG", signal_id=""))
    assert decision.signal_id.startswith("s-")
    assert intents(desk.said)[0].signal_id == decision.signal_id


def test_a_flood_of_signals_takes_little_memory() -> None:
    """So many decisions are remembered, and refusals do not push out the one that became an order."""
    desk = at_100()
    first, _ = desk.signal("OPEN_LONG", signal_id="s-first")
    for number in range(DECISIONS_MAX * 2):
        desk.signal("OPEN_LONG", f"X{number}/USDT", f"nobody{number}", signal_id=f"s-flood-{number}")
    assert desk.signal("OPEN_LONG", signal_id="s-first") == [first]
    assert len(desk.manager.snapshot()["sizer"]["decisions"]) == DECISIONS_MAX
    assert len(codec.encode_state(desk.manager.snapshot())) < 60_000


def test_prices_of_strangers_are_not_remembered() -> None:
    """Trades of symbols that are neither configured nor held leave no trace."""
    desk = at_100()
    before = codec.encode_state(desk.manager.snapshot())
    desk.trade(1.0, "XYZ/USDT")
    assert codec.encode_state(desk.manager.snapshot()) == before


def test_what_is_no_signal_is_answered() -> None:
    """A line that cannot be read but names its id is refused as malformed, and the id is not used up."""
    desk = at_100()
    (decision,) = desk.say(Malformed("strat.signal", "no Signal: confidence is 7", "s-1"))
    assert isinstance(decision, SizingDecision)
    assert (decision.signal_id, decision.reason) == ("s-1", SizingReason.MALFORMED)
    assert desk.say(Malformed("strat.signal", "no Signal")) == []
    assert desk.say(Malformed("strat.intent", "no OrderIntent", "i-1")) == []
    assert decision_in(desk.signal("OPEN_LONG", signal_id="s-1")).accepted


def test_an_intent_that_the_gate_takes_for_another_is_given_up() -> None:
    """A signal that comes again after it was forgotten makes an intent with a key that the gate still knows.

    The gate answers with its stored decision, on the first intent; the answer to any later intent shows that this one
    will get none, and what was reserved for it is free again.
    """
    desk = at_100(policy={"limits": {"leverage": {"gross": 1}}, "sizing": {"fraction": "0.6"}})
    (forgotten,) = intents(desk.signal("OPEN_LONG"))
    (later,) = intents(desk.signal("OPEN_LONG", ETH))
    desk.decide(later, "rate_limit")
    assert decision_in(desk.signal("OPEN_LONG", ETH)).qty == 60
    assert order_id(forgotten.intent_id) not in str(desk.manager.snapshot())
