"""Signals in a whole session: host, sizer, gate and paper venue over one order of events, as in the kernel and live."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core import codec, topics
from core.contracts import Event, FillEvent, OrderUpdate, Resume, Signal, SizingDecision, TradeEvent, Watermark
from core.execution import paper
from core.handler import Content
from core.kernel import Kernel
from core.risk import gate
from core.runner import Message, item_of
from portfolio import manager
from strategies import host
from strategies.strategy import Said, Strategy
from tests.sizing_desk import BTC, ETH, NOON_NS, S, content, grid

GATE, INGEST = "risk_engine.main", "md_ingest.BTCUSDT"


class Script(Strategy):
    """Signals at the prices that its parameters name, with a stop 10 below and a target 10 above."""

    strategy_id = "script"

    def on_trade(self, trade: TradeEvent) -> Said:
        """Say what the price means."""
        wanted = dict(self.context.config).get(f"{trade.price:g}")
        if wanted is None:
            return ()
        opens = wanted.startswith("OPEN")
        stop, take = (Decimal(90), Decimal(110)) if opens else (None, None)
        return [Signal("script", trade.symbol, wanted, stop_loss=stop, take_profit=take)]


def strategy(name: str, symbol: str, **script: str) -> dict[str, Any]:
    """An entry of strategies.yaml with such a script."""
    params = {key.lstrip("p"): value for key, value in script.items()}
    return {
        "id": name,
        "class": f"{__name__}.Script",
        "symbols": [symbol],
        "events": ["md.trades.*"],
        "params": params,
    }


def floor(*entries: dict[str, Any], cap: str = "100000", **settings: Any) -> Kernel:
    """Four services with a portfolio of 10,000 and a gate that is open."""
    instruments = [grid(BTC), grid(ETH)]
    risk = {"per_order_usd_cap": cap, "daily_loss_usd_cap": "100000", "orders_per_min_cap": 30}
    contents: dict[str, Content] = {
        "strategy_runner": {"strategies": list(entries), "max_errors": 1, "instruments": instruments},
        "portfolio_manager": content(**settings),
        "risk_engine": {"env": "paper", "venue": "paper", "risk": risk, "instruments": instruments},
        "paper_trader": {"paper": {"maker_fee_bps": "0", "taker_fee_bps": "0"}, "instruments": instruments},
    }
    kernel = Kernel([host.SERVICE, manager.SERVICE, gate.SERVICE, paper.SERVICE])
    kernel.configure(contents)
    kernel.publish(GATE, [item_of(Resume(GATE, "clear", kernel.seq + 1))])
    return kernel


class Session:
    """A market that speaks to a kernel, and what everybody answered."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.second = 0
        self.lines: list[Message] = []

    def trade(self, price: float, symbol: str = BTC) -> list[Event]:
        """A trade in a second of its own; all that follows from it."""
        self.second += 1
        now_ns = NOON_NS + self.second * S
        market = [Watermark(symbol, now_ns), TradeEvent(symbol, price, 1.0, "buy", now_ns)]
        lines = self.kernel.feed(INGEST, market)
        self.lines += lines
        return [codec.decode_line(line, codec.header_of(line)) for _, line in lines]

    def said(self, topic: topics.Topic[Any]) -> list[dict[str, Any]]:
        """What was published on a topic."""
        return [codec.payload_of(line) for name, line in self.lines if name == topic.name]


def of(events: list[Event], kind: type[Any]) -> list[Any]:
    """The events of one type."""
    return [event for event in events if isinstance(event, kind)]


def test_a_fill_is_in_the_next_decision() -> None:
    """Fill -> portfolio -> next signal: 60 % of 10,000 in BTC at 100 leave 40 units of room for ETH at 100."""
    policy = {"sizing": {"fraction": "0.6"}, "limits": {"leverage": {"gross": 1}}}
    session = Session(
        floor(strategy("one", BTC, p100="OPEN_LONG"), strategy("two", ETH, p100="OPEN_LONG"), policy=policy)
    )
    (first,) = of(session.trade(100.0), FillEvent)
    (second,) = of(session.trade(100.0, ETH), FillEvent)
    assert [(fill.strategy_id, fill.qty) for fill in (first, second)] == [("one", 60), ("two", 40)]
    names = [check["name"] for check in session.said(topics.STRAT_SIZING)[1]["checks"]]
    left = dict(zip(names, [check["value"] for check in session.said(topics.STRAT_SIZING)[1]["checks"]], strict=True))
    assert [Decimal(left[name]) for name in ("gross_leverage", "cash_buffer")] == [40, 40]


def test_five_strategies_and_one_trade() -> None:
    """Five signals for 9,500 each to one trade, before any of them is filled: 10,000 are bought, not 47,500."""
    policy = {"sizing": {"fraction": "0.95"}, "limits": {"leverage": {"gross": 1}}}
    session = Session(floor(*(strategy(f"s{n}", BTC, p100="OPEN_LONG") for n in range(5)), policy=policy))
    events = session.trade(100.0)
    assert [decision.qty for decision in of(events, SizingDecision)] == [95, 5, 0, 0, 0]
    assert sum(fill.qty * fill.price for fill in of(events, FillEvent)) == 10_000
    assert session.trade(100.0)[-1:] != []
    assert sum(Decimal(fill["qty"]) for fill in session.said(topics.FILLS_NEW)) == 100


@pytest.mark.parametrize(("price", "order"), [(89.0, "stop"), (111.0, "limit")])
def test_the_market_reaches_a_protection(price: float, order: str) -> None:
    """Bought at 100 with a stop at 90 and a target at 110: one fills, the other is canceled, the position is flat."""
    session = Session(floor(strategy("one", BTC, p100="OPEN_LONG")))
    session.trade(100.0)
    events = session.trade(price)
    (fill,) = of(events, FillEvent)
    assert (fill.side, fill.qty, fill.price) == ("sell", 100, Decimal(89) if order == "stop" else Decimal(110))
    ended = {update.status for update in of(events, OrderUpdate)}
    assert ended >= {"FILLED", "CANCELED"}
    assert session.said(topics.PORTFOLIO_SNAPSHOT)[-1]["positions"] == {}
    session.trade(95.0)
    assert len(session.said(topics.FILLS_NEW)) == 2
    assert session.said(topics.PROTECTION) == []


def test_a_close_signal_flattens_the_position() -> None:
    """The protections are canceled and all of it is sold; a second close finds nothing."""
    session = Session(floor(strategy("one", BTC, p100="OPEN_LONG", p101="CLOSE_LONG")))
    session.trade(100.0)
    (fill,) = of(session.trade(101.0), FillEvent)
    assert (fill.side, fill.qty) == ("sell", 100)
    (again,) = of(session.trade(101.0), SizingDecision)
    assert again.reason == "nothing_to_close"
    states = {update["order_id"]: update["status"] for update in session.said(topics.ORDERS_UPDATES)}
    assert sorted(states.values()) == ["CANCELED", "CANCELED", "FILLED", "FILLED"]
    assert len(session.said(topics.RISK_DECISIONS)) == 4


def test_a_position_that_has_outgrown_the_cap_can_be_closed() -> None:
    """Orders may be worth 5,000; a position bought for 5,000 is worth 5,250 when it is closed, and is closed."""
    policy = {"sizing": {"fraction": "0.5"}}
    session = Session(floor(strategy("one", BTC, p100="OPEN_LONG", p105="CLOSE_LONG"), policy=policy, cap="5000"))
    session.trade(100.0)
    (fill,) = of(session.trade(105.0), FillEvent)
    assert (fill.side, fill.qty) == ("sell", 50)


def test_what_the_gate_denies_is_free_again() -> None:
    """Orders may be worth 100 and the sizer asks for 10,000: denied each time, and asked again each time."""
    session = Session(floor(strategy("one", BTC, p100="OPEN_LONG"), cap="100"))
    for _ in range(3):
        session.trade(100.0)
    assert [Decimal(decision["qty"]) for decision in session.said(topics.STRAT_SIZING)] == [100] * 3
    assert {decision["reason"] for decision in session.said(topics.RISK_DECISIONS)} == {"per_order_cap"}


def test_an_old_signal_sent_again_locks_no_position_in() -> None:
    """The sizer remembers fewer answers than the gate: what it has forgotten is a new wish, and is answered as one."""
    kernel = floor(policy={"sizing": {"fraction": "0.01"}})
    market_ns = NOON_NS
    for number in range(80):
        market_ns += 5 * S  # the rate cap lets 2.5 orders pass in this time
        kernel.feed(INGEST, [Watermark(BTC, market_ns), TradeEvent(BTC, 100.0, 1.0, "buy", market_ns)])
        for kind in ("OPEN_LONG", "CLOSE_LONG"):
            kernel.feed("desk.main", [Signal("a", BTC, kind, signal_id=f"{kind}-{number}")])  # type: ignore[arg-type]
    kernel.feed("desk.main", [Signal("a", BTC, "OPEN_LONG", stop_loss=Decimal(90), signal_id="last")])  # type: ignore[arg-type]
    lines = kernel.feed("desk.main", [Signal("a", BTC, "CLOSE_LONG", signal_id="CLOSE_LONG-1")])  # type: ignore[arg-type]
    sold = [codec.payload_of(line)["side"] for topic, line in lines if topic == topics.FILLS_NEW.name]
    assert sold == ["sell"]
