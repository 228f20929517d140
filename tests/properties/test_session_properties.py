"""Signals, stops, halts and restarts in any order: sizer, gate and venue, each at its own pace.

The live system gives no promise about who hears what first; only each service's own order is kept. So these sessions
let a random service go on with a random number of inputs, and look at the floor when everybody has caught up.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import codec, topics
from core.contracts import (
    ConfigChanged,
    Event,
    FillEvent,
    Halt,
    OrderEvent,
    ProtectionFailed,
    Resume,
    Signal,
    SizingDecision,
    TradeEvent,
    Watermark,
)
from core.execution import paper
from core.handler import Content
from core.risk import gate
from core.runner import Item, Runner, item_of
from portfolio import manager
from tests.sizing_desk import BTC, ETH, NOON_NS, S, content, grid

SERVICES = {service.name: service for service in (gate.SERVICE, paper.SERVICE, manager.SERVICE)}
GATE = "risk_engine.main"
RISK = {"per_order_usd_cap": "100000", "daily_loss_usd_cap": "100000", "orders_per_min_cap": 30}
GRIDS = [grid(ETH), grid(BTC)]
POLICY = {
    "sizing": {"fraction": "0.05"},
    "limits": {"shorting": {"allowed": True}},
    "execution_controls": {"pyramiding": True},
}
CONTENTS: dict[str, Content] = {
    "risk_engine": {"env": "paper", "venue": "paper", "risk": RISK, "instruments": GRIDS},
    "paper_trader": {"paper": {}, "instruments": GRIDS},
    "portfolio_manager": content(policy=POLICY),
}


class Floor:
    """Three services, the lines in their order, and how far each service has come."""

    def __init__(self, seed: int, restarts: bool) -> None:
        self.random, self.restarts = Random(seed), restarts
        self.lines: list[tuple[str, bytes, codec.Header]] = []
        self.runners = {name: Runner(service, f"{name}.main") for name, service in SERVICES.items()}
        self.read = dict.fromkeys(SERVICES, 0)
        for name, settings_ in CONTENTS.items():
            self.observe(name, ConfigChanged(f"{name}.main", settings_, codec.content_hash(settings_), "", 1))
        self.observe("risk_engine", Resume(GATE, "clear", 1))

    def say(self, items: list[Item], source: str = "desk.main") -> None:
        """Number lines; the sequencer's time passes a microsecond with each, and with the market's."""
        for item in items:
            seq, ts = len(self.lines) + 1, NOON_NS + len(self.lines) * 1000
            header = codec.Header(
                seq, ts, 0, source, item.cause, item.root or seq, item.root_ts or ts, item.type, 1, 1, 0
            )
            line = codec.line_of(header, item.body)
            self.lines.append((item.topic, line, codec.header_of(line)))

    def observe(self, name: str, event: Event) -> None:
        """What a shell saw; its service hears of it at once."""
        self.say([item_of(event)], f"{name}.main")
        self.say(self.runners[name].step(*self.lines[-1]), f"{name}.main")

    def go_on(self, steps: int) -> None:
        """So many inputs, of whoever has one."""
        for _ in range(steps):
            waiting = [name for name in SERVICES if self._has_input(name)]
            if not waiting:
                return
            name = self.random.choice(waiting)
            if self.restarts:
                self._restart(name)
            self.read[name] += 1
            self.say(self.runners[name].step(*self.lines[self.read[name] - 1]), f"{name}.main")

    def _has_input(self, name: str) -> bool:
        runner = self.runners[name]
        while self.read[name] < len(self.lines):
            topic = self.lines[self.read[name]][0]
            if topics.covered(runner.inputs, topic) and not runner.is_observation(topic):
                return True
            self.read[name] += 1
        return False

    def _restart(self, name: str) -> None:
        saved = codec.encode_state(self.runners[name].snapshot())
        self.runners[name] = Runner(SERVICES[name], f"{name}.main")
        self.runners[name].restore(codec.decode_json(saved))
        assert codec.encode_state(self.runners[name].snapshot()) == saved

    def events(self) -> list[Any]:
        """Everything that was said."""
        return [codec.decode_line(line, header) for _, line, header in self.lines]

    def memory(self, name: str) -> dict[str, Any]:
        """What a service remembers."""
        state: dict[str, Any] = self.runners[name].snapshot()["handler"]
        return state


def play(seed: int, *, restarts: bool = False) -> Floor:
    """Eighty things that happen, then everybody catches up."""
    floor, random = Floor(seed, restarts), Random(seed)
    price, now_ns = {BTC: 60_000.0, ETH: 3_000.0}, NOON_NS
    for number in range(80):
        symbol, what = random.choice((BTC, ETH)), random.random()
        happened: list[Event] = []
        if what < 0.5:
            now_ns += random.choice((0, S // 2, S, 3 * S))
            price[symbol] = round(price[symbol] * (1 + random.gauss(0, 0.004)), 2)
            happened = [Watermark(symbol, now_ns), TradeEvent(symbol, price[symbol], 1.0, "buy", now_ns)]
        elif what < 0.94:
            happened = [_signal(random, f"s-{number}-{each}", price) for each in range(random.choice((1, 1, 3)))]
        else:
            kind = random.choice((Halt, Resume, Resume))
            floor.observe("risk_engine", kind(GATE, "drill", 1))
        floor.say([item_of(event) for event in happened])
        floor.go_on(random.choice((0, 1, 4, 50)))
    floor.go_on(1_000_000)
    return floor


def _signal(random: Random, name: str, price: dict[str, float]) -> Signal:
    symbol = random.choice((BTC, ETH))
    kind = random.choice(("OPEN_LONG", "OPEN_SHORT", "CLOSE_LONG", "CLOSE_SHORT"))
    sign = 1 if kind == "OPEN_LONG" else -1
    prices = {}
    if kind.startswith("OPEN"):
        prices["stop_loss"] = Decimal(str(round(price[symbol] * (1 - sign * 0.005), 2)))
    return Signal(random.choice("ab"), symbol, kind, signal_id=name, **prices)  # type: ignore[arg-type]


@pytest.mark.slow
@given(st.integers(0, 10**9))
@settings(max_examples=15, deadline=None)
def test_no_position_without_its_stop_and_no_capital_locked(seed):
    """At rest each position has one stop of its size, or somebody was told; and only what rests is reserved."""
    floor = play(seed)
    held: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    told: set[tuple[str, str]] = set()
    orders: dict[str, OrderEvent] = {}
    events = floor.events()
    for event in events:
        if isinstance(event, OrderEvent):
            assert event.order_id not in orders
            orders[event.order_id] = event
        elif isinstance(event, FillEvent):
            key = (event.strategy_id, event.symbol)
            before = held[key]
            held[key] += event.qty if event.side == "buy" else -event.qty
            if orders[event.order_id].reduce_only:
                assert before * held[key] >= 0
                assert abs(held[key]) < abs(before)
            else:
                told.discard(key)
        elif isinstance(event, ProtectionFailed):
            told.add((event.strategy_id, event.symbol))
    resting = floor.memory("paper_trader")["engine"]["open"]
    for key, qty in held.items():
        stops = [Decimal(each["order_qty"]) for each in resting if (each["strategy_id"], each["symbol"]) == key]
        assert key in told or stops == ([abs(qty)] if qty else [])
    working = floor.memory("portfolio_manager")["sizer"]["working"]
    assert len(working) == len(resting)
    signals = [event.signal_id for event in events if isinstance(event, Signal)]
    assert sorted(signals) == sorted(event.signal_id for event in events if isinstance(event, SizingDecision))


@pytest.mark.slow
@given(st.integers(0, 10**9))
@settings(max_examples=5, deadline=None)
def test_restarts_change_no_byte(seed):
    """Every service restarted from its memory before every input: the session says exactly the same."""
    once, often = play(seed), play(seed, restarts=True)
    assert [line for _, line, _ in often.lines] == [line for _, line, _ in once.lines]
