"""Signals: how a strategy gives one, under which id it goes out, and how it hears what became of it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core import codec
from core.contracts import (
    FillEvent,
    OrderIntent,
    OrderStatus,
    RiskDecision,
    Signal,
    SignalIntention,
    SizingDecision,
    SizingReason,
    StrategyFailed,
    fill_id,
    intent_id,
    order_id,
    signal_id,
)
from strategies.context import StrategyContext
from strategies.inflight import SignalInFlight
from strategies.outbox import Outbox
from strategies.state import Stateful
from strategies.strategy import Strategy
from tests.strategy_desk import ATOM, BTC, START_NS, Desk, content, entry, trade, update
from tests.strategy_probes import Oracle, Plain, Pundit

LONG, FLAT = SignalIntention.OPEN_LONG, SignalIntention.CLOSE_LONG


def test_signals_beside_intents():
    """Emitted, published and yielded ones go out in their order, each kind with ids of its own count of this cause."""
    desk = Desk(content(entry("pundit_v1", Pundit)))
    first, second, intent, last = desk.see(trade(150.1))
    assert first == Signal(
        "pundit_v1", BTC, LONG, Decimal("150.1"), 0.85, Decimal("140.00"), Decimal("160.00"),
        signal_id("pundit_v1", 1, 0),
    )  # fmt: skip
    assert second == Signal("pundit_v1", BTC, SignalIntention.CLOSE_SHORT, signal_id=signal_id("pundit_v1", 1, 1))
    assert isinstance(intent, OrderIntent)
    assert intent.intent_id == intent_id("pundit_v1", 1, 0)
    assert last == Signal("pundit_v1", BTC, FLAT, Decimal("150.1"), signal_id=signal_id("pundit_v1", 1, 2))


def test_a_replay_gives_the_same_ids_and_no_two_are_alike():
    """The same events give the same signals; other strategies and other causes give others."""
    desks = [Desk(content(entry("a", Pundit), entry("b", Pundit))) for _ in range(2)]
    said = [[wish for price in (150, 151) for wish in desk.see(trade(price))] for desk in desks]
    assert said[0] == said[1]
    ids = [wish.signal_id for wish in said[0] if isinstance(wish, Signal)]
    assert len(ids) == len(set(ids)) == 12


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"price": 0.1}, ("0.1", 1.0, None, None)),
        ({"stop_loss": "9.50", "take_profit": Decimal("11.0")}, (None, 1.0, "9.50", "11.0")),
        ({"price": 7, "confidence": 1}, ("7", 1.0, None, None)),
        ({"confidence": Decimal("0.25")}, (None, 0.25, None, None)),
    ],
)
def test_prices_may_be_floats_decimals_or_texts(terms, expected):
    """They become Decimals by their shortest text, and what goes out can be read back from its JSON."""
    [signal] = Desk(content(entry("oracle", Oracle, params=terms))).see(trade(10.0))
    assert isinstance(signal, Signal)
    prices = [str(x) if x is not None else None for x in (signal.price, signal.stop_loss, signal.take_profit)]
    assert (prices[0], signal.confidence, *prices[1:]) == expected
    assert codec.from_dict(Signal, codec.to_dict(signal)) == signal


@pytest.mark.parametrize(
    ("terms", "problem"),
    [
        ({"price": float("nan")}, "Signal.price is nan; allowed: a finite number"),
        ({"stop_loss": -1}, "Signal.stop_loss is Decimal('-1'); allowed: above 0"),
        ({"take_profit": "dear"}, "Signal.take_profit is 'dear'; allowed: a number"),
        ({"confidence": 1.5}, "Signal.confidence is 1.5; allowed: above 0, at most 1"),
        ({"confidence": float("nan")}, "Signal.confidence is nan; allowed: above 0, at most 1"),
        ({"intention": "BUY"}, "Signal.intention is 'BUY'; allowed: CLOSE_LONG, CLOSE_SHORT, OPEN_LONG, OPEN_SHORT"),
    ],
)
def test_a_signal_that_makes_no_sense_never_goes_out(terms, problem):
    """The strategy fails with the field, its value and what is allowed; nothing reaches the sizer."""
    desk = Desk(content(entry("oracle", Oracle, params=terms)))
    assert desk.see(trade(10.0)) == [StrategyFailed("oracle", f"ContractError: {problem}", 1, False)]


def test_each_hears_the_sizer_about_its_own_signals():
    """A refusal reaches the strategy it concerns and no other."""
    desk = Desk(content(entry("a", Pundit), entry("b", Pundit), entry("c", Plain)))
    refusal = SizingDecision("s-1", False, SizingReason.CAPITAL, strategy_id="a", symbol=BTC)
    assert desk.see(refusal) == []
    heard = {row["entry"]["id"]: row["state"].get("answers") for row in desk.host.snapshot()["strategies"]}
    assert heard == {"a": [{"$": "sizing", "value": "capital"}], "b": [], "c": None}


def test_words_of_signals_are_remembered():
    """An intention and a refusal that a strategy keeps come back as what they were."""

    class Notes(Stateful):
        def __init__(self):
            self.wanted, self.refused = LONG, SizingReason.NO_PRICE

    notes = Notes()
    notes.wanted, notes.refused = FLAT, SizingReason.CAPITAL
    notes.restore(Notes().snapshot())
    assert (notes.wanted, notes.refused) == (LONG, SizingReason.NO_PRICE)
    assert (type(notes.wanted), type(notes.refused)) == (SignalIntention, SizingReason)


def test_shorts_are_the_mirror():
    """All four intentions have a helper of their name."""

    class Talk(Strategy):
        strategy_id = "talk"

        def on_trade(self, trade):
            yield self.open_short(trade.symbol, stop_loss=trade.price + 1, take_profit=trade.price - 1)
            yield self.close_short(trade.symbol)
            yield self.open_long(trade.symbol)
            yield self.close_long(trade.symbol)

    said = list(Talk(context_of("talk")).on_event(trade(10.0)))
    assert [(s.intention.value, s.stop_loss, s.take_profit) for s in said if isinstance(s, Signal)] == [
        ("OPEN_SHORT", Decimal("11.0"), Decimal("9.0")),
        ("CLOSE_SHORT", None, None),
        ("OPEN_LONG", None, None),
        ("CLOSE_LONG", None, None),
    ]


def context_of(name):
    """A view with nothing in it."""
    return StrategyContext(name, Outbox(), {}, {}, {})


def test_a_stop_goes_out_on_the_tick_and_earlier_rather_than_later():
    """A stop between two ticks of 0.001 is moved to the nearer to the market: a buy down, a sell up."""

    desk = Desk(content(entry("stops", StopsProbe, symbols=[ATOM])))
    said = [wish for wish in desk.see(trade(5.0, ATOM)) if isinstance(wish, OrderIntent)]
    assert [(w.side, w.type, str(w.stop_price), w.signal_id) for w in said] == [
        ("buy", "stop", "5.100", ""),
        ("sell", "stop", "4.901", ""),
    ]


class StopsProbe(Strategy):
    """Puts a stop on either side of a trade, off the grid; claims that a sizer made them."""

    strategy_id = "stops_probe"

    def on_trade(self, trade):
        yield self.buy(trade.symbol, Decimal(1), stop_price=Decimal("5.1009"))
        yield OrderIntent(
            "x", trade.symbol, "sell", "stop", Decimal(1), stop_price=Decimal("4.9001"), signal_id="s-forged"
        )


# What a signal's follower says after each event of its life: (event, is it told no, is it busy afterwards).
INTENT = "i-entry"
ORDER = order_id(INTENT)


def accepted(*intents):
    """The sizer says yes."""
    return SizingDecision("s-1", True, None, Decimal(1), intents, (), "m", BTC)


def part(qty):
    """A fill of the entry."""
    return FillEvent(ORDER, BTC, "buy", Decimal(qty), Decimal(9), Decimal(0), START_NS, fill_id(ORDER, 1), "m")


def ended(status, cum):
    """The entry's order has come to an end."""
    return update(OrderIntent("m", BTC, "buy", "market", Decimal(1), intent_id=INTENT), status, Decimal(cum))


STORIES = {
    "refused": [(SizingDecision("s-1", False, SizingReason.CAPITAL), True, False)],
    "nothing to do now": [(accepted(), False, False)],
    "denied by the gate": [
        (accepted(INTENT), False, True),
        (RiskDecision("i-other", False), False, True),
        (RiskDecision(INTENT, False), True, False),
    ],
    "filled, the end first": [
        (accepted(INTENT), False, True),
        (RiskDecision(INTENT, True), False, True),
        (ended(OrderStatus.ACK, "0"), False, True),
        (ended(OrderStatus.FILLED, "1"), False, True),
        (part("1"), False, False),
    ],
    "expired half filled": [
        (accepted(INTENT), False, True),
        (part("0.4"), False, True),
        (ended(OrderStatus.EXPIRED, "0.4"), True, False),
    ],
    "an older answer, a protective order": [
        (accepted(INTENT), False, True),
        (SizingDecision("s-0", False, SizingReason.CAPITAL), False, True),
        (RiskDecision("i-protective", False), False, True),
        (part("1"), False, True),
        (ended(OrderStatus.FILLED, "1"), False, False),
    ],
    "two orders": [
        (accepted(INTENT, "i-second"), False, True),
        (RiskDecision("i-second", False), True, True),
        (ended(OrderStatus.CANCELED, "0"), True, False),
    ],
}
HEARS = {SizingDecision: "on_sizing", RiskDecision: "on_decision", FillEvent: "on_fill"}


@pytest.mark.parametrize("story", STORIES)
def test_a_signal_is_followed_to_its_end(story):
    """Refused, denied, filled or expired: it is waited for exactly as long as something may still come of it."""
    follower = SignalInFlight()
    assert not follower.busy
    follower.sent()
    for event, refused, busy in STORIES[story]:
        again = SignalInFlight()
        again.restore(follower.snapshot())
        follower = again
        said = getattr(follower, HEARS.get(type(event), "on_order_update"))(event)
        assert (bool(said), follower.busy) == (refused, busy), event
