"""Whatever is signaled, filled, denied and canceled: no opening order exceeds a limit, and nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core import codec
from core.contracts import Event, OrderIntent, SizingDecision
from tests.sizing_desk import Desk, cancels, intents

SYMBOLS = ("C0/USDT", "C1/USDT")
STRATEGIES = ("a", "b")
GROSS, NET, SHARE, BUFFER, STRATEGY, RESERVE = map(Fraction, ("1.2", "0.9", "0.6", "0.1", "0.8", "0.01"))
POLICY = {
    "sizing": {"method": "fixed_fraction", "fraction": "0.7"},
    "cash_management": {"buffer": "0.1"},
    "limits": {
        "concentration": {"max_share": "0.6"},
        "leverage": {"gross": "1.2", "net": "0.9"},
        "shorting": {"allowed": True},
    },
    "drawdown_controls": {"throttle_from": "0.5", "stop_at": "0.9"},
    "strategy_limits": {"leverage": "0.8"},
    "execution_controls": {"pyramiding": True, "price_reserve": "0.01"},
}


@dataclass
class Order:
    """An order as the test remembers it, from the intent to its end.

    Attributes:
        intent: the wish.
        worst: the price that it counts at.
        allowed: whether the gate has let it pass.
        filled: base units.
    """

    intent: OrderIntent
    worst: Fraction
    allowed: bool = False
    filled: Fraction = Fraction(0)


NOTHING = Fraction(0)


class Books:
    """Another author's account: positions, cash and what is on its way, in fractions and without any of the code."""

    def __init__(self) -> None:
        self.cash = Fraction(10_000)
        self.prices: dict[str, Fraction] = {}
        self.held: dict[tuple[str, str], Fraction] = {}
        self.orders: list[Order] = []

    def equity(self) -> Fraction:
        """Cash and positions at the last trades."""
        return self.cash + sum(qty * self.prices[symbol] for (_, symbol), qty in self.held.items())

    def book(self, order: Order, qty: Fraction, price: Fraction) -> None:
        """One fill."""
        sign, key = (1 if order.intent.side == "buy" else -1), (order.intent.strategy_id, order.intent.symbol)
        self.held[key] = self.held.get(key, Fraction(0)) + sign * qty
        self.cash -= sign * qty * price
        order.filled += qty

    def pending(self) -> list[tuple[str, str, Fraction]]:
        """Strategy, symbol and signed worth of the openings on their way, at the worst price."""
        rows = []
        for order in self.orders:
            if not order.intent.reduce_only:
                worth = (Fraction(order.intent.qty) - order.filled) * max(order.worst, self.prices[order.intent.symbol])
                sign = 1 if order.intent.side == "buy" else -1
                rows.append((order.intent.strategy_id, order.intent.symbol, sign * worth))
        return rows

    def check(self, strategy_id: str, symbol: str, side: str) -> None:
        """Nothing is above its limit, the order that was just asked for included."""
        equity = self.equity()
        held = [(owner, name, qty * self.prices[name]) for (owner, name), qty in self.held.items()]
        pending = self.pending()
        everything = [*held, *pending]
        assert sum(abs(worth) for *_, worth in everything) <= GROSS * equity
        assert sum(abs(worth) for _, name, worth in everything if name == symbol) <= SHARE * equity
        assert sum(abs(worth) for owner, _, worth in everything if owner == strategy_id) <= STRATEGY * equity
        sign = 1 if side == "buy" else -1
        net = sum(sign * worth for *_, worth in held) + sum(max(sign * worth, NOTHING) for *_, worth in pending)
        assert net <= NET * equity
        if side == "buy":
            owed = sum(-worth for *_, worth in held if worth < 0)
            assert self.cash - owed - sum(max(worth, NOTHING) for *_, worth in pending) >= BUFFER * equity


def steps() -> st.SearchStrategy[tuple[Any, ...]]:
    """What may happen next."""
    symbol, strategy_id = st.sampled_from(SYMBOLS), st.sampled_from(STRATEGIES)
    intention = st.sampled_from(["OPEN_LONG", "OPEN_LONG", "OPEN_SHORT", "CLOSE_LONG", "CLOSE_SHORT"])
    confidence = st.sampled_from([1.0, 1.0, 0.3])
    return st.one_of(
        st.tuples(st.just("trade"), symbol, st.sampled_from([90.0, 97.5, 100.0, 100.01, 104.0, 115.0])),
        st.tuples(st.just("signal"), symbol, strategy_id, intention, confidence, st.booleans()),
        st.tuples(st.just("answer"), st.integers(0, 9), st.sampled_from(["allow", "allow", "allow", "deny"])),
        st.tuples(st.just("fill"), st.integers(0, 9), st.sampled_from(["1", "0.5", "0.1"])),
        st.tuples(st.just("end"), st.integers(0, 9), st.sampled_from(["CANCELED", "EXPIRED"])),
        st.tuples(st.just("execute")),
        st.tuples(st.just("execute")),
        st.tuples(st.just("clock")),
    )


class Play:
    """A desk and the other author's books, step by step."""

    def __init__(self) -> None:
        self.desk = Desk(policy=POLICY)
        self.books = Books()
        self.signals = 0
        self.decisions: list[SizingDecision] = []
        for symbol in SYMBOLS:
            self.step(("trade", symbol, 100.0))

    def step(self, step: tuple[Any, ...]) -> list[Event]:
        """Let one thing happen, on both sides; what the sizer said."""
        said: list[Event] = getattr(self, step[0])(*step[1:]) or []
        for intent in intents(said):
            lot = Decimal("0.00001")
            assert intent.qty > 0
            assert intent.qty % lot == 0
            worst = self.books.prices[intent.symbol] * (1 + RESERVE)
            self.books.orders.append(Order(intent, worst))
            if not intent.reduce_only:
                self.books.check(intent.strategy_id, intent.symbol, intent.side)
        return said

    def trade(self, symbol: str, price: float) -> list[Event]:
        """A public trade."""
        self.books.prices[symbol] = Fraction(repr(price))
        return self.desk.trade(price, symbol)

    def clock(self) -> list[Event]:
        """A second for each symbol."""
        return [said for symbol in SYMBOLS for said in self.desk.clock(0.5, symbol)]

    def signal(self, symbol: str, strategy_id: str, intention: str, confidence: float, protect: bool) -> list[Event]:
        """A signal gets one decision, now."""
        self.signals += 1
        price = self.books.prices[symbol]
        below, above = Decimal(repr(float(price * Fraction("0.9")))), Decimal(repr(float(price * Fraction("1.1"))))
        stop, take = (below, above) if "LONG" in intention else (above, below)
        terms = {"stop_loss": stop, "take_profit": take} if protect else {}
        said = self.desk.signal(
            intention, symbol, strategy_id, confidence=confidence, signal_id=f"s-{self.signals}", **terms
        )
        (decision,) = [each for each in said if isinstance(each, SizingDecision)]
        assert decision.accepted is (decision.reason is None)
        assert bool(decision.intent_ids) is decision.accepted
        assert decision.intent_ids == tuple(intent.intent_id for intent in intents(said))
        return said

    def answer(self, place: int, how: str) -> list[Event]:
        """The gate answers the oldest intent that waits: it answers in order."""
        order = next((order for order in self.books.orders if not order.allowed), None)
        if order is None:
            return []
        if how == "deny":
            self.books.orders.remove(order)
        order.allowed = True
        return self.desk.decide(order.intent, "rate_limit" if how == "deny" else "")

    def fill(self, place: int, share: str) -> list[Event]:
        """A fill of an allowed order at the last trade; what may only reduce never does more."""
        order = self._allowed(place)
        if order is None:
            return []
        rest = Fraction(order.intent.qty) - order.filled
        held = self.books.held.get((order.intent.strategy_id, order.intent.symbol), Fraction(0))
        if order.intent.reduce_only:
            reducible = max(held if order.intent.side == "sell" else -held, Fraction(0))
            rest = min(rest, reducible)
        qty = rest if share == "1" else Fraction(int(rest * Fraction(share) * 100_000), 100_000)
        if qty <= 0:
            return []
        price = self.books.prices[order.intent.symbol]
        self.books.book(order, qty, price)
        exact = Decimal(qty.numerator) / Decimal(qty.denominator)
        said = self.desk.fill(order.intent, str(float(price)), exact)
        if order.filled == order.intent.qty:
            self.books.orders.remove(order)
            said += self.desk.end(order.intent, "FILLED", order.intent.qty)
        return said

    def execute(self) -> list[Event]:
        """The next intent is allowed, and filled whole if it is no protection."""
        said = self.answer(0, "allow")
        for place, order in enumerate(order for order in self.books.orders if order.allowed):
            if order.intent.type == "market":
                return said + self.fill(place, "1")
        return said

    def end(self, place: int, status: str) -> list[Event]:
        """The venue ends an order with what it was filled."""
        order = self._allowed(place)
        if order is None:
            return []
        self.books.orders.remove(order)
        return self.desk.end(order.intent, status, str(float(order.filled)))

    def _allowed(self, place: int) -> Order | None:
        allowed = [order for order in self.books.orders if order.allowed]
        return allowed[place % len(allowed)] if allowed else None


@settings(max_examples=120, deadline=None)
@given(st.lists(steps(), min_size=10, max_size=60))
def test_no_opening_order_exceeds_a_limit(history: list[tuple[Any, ...]]) -> None:
    """Positions and everything on its way, at its worst price, stay within each limit when an order is added.

    Another author keeps the books in fractions. Quantities are whole lots, each signal gets one decision at once.
    """
    play = Play()
    for step in history:
        play.step(step)
    asked = [each for each in play.desk.said if isinstance(each, SizingDecision)]
    assert len(asked) == play.signals
    assert len({intent.intent_id for intent in intents(play.desk.said)}) == len(intents(play.desk.said))
    assert len(cancels(play.desk.said)) == len(set(cancels(play.desk.said)))


@settings(max_examples=80, deadline=None)
@given(st.lists(steps(), min_size=10, max_size=40), st.sets(st.integers(0, 39), min_size=1, max_size=8))
def test_restarts_change_nothing(history: list[tuple[Any, ...]], restarts: set[int]) -> None:
    """Restored from its memory before any events, the sizer says the same bytes for ever."""
    first, second = Play(), Play()
    for number, step in enumerate(history):
        if number in restarts:
            second.desk.restart()
        said, again = first.step(step), second.step(step)
        assert [codec.encode(each) for each in said] == [codec.encode(each) for each in again]
    assert codec.encode_state(first.desk.manager.snapshot()) == codec.encode_state(second.desk.manager.snapshot())
