"""From a trade to a snapshot in one event loop: the live shells and the offline kernel say the same, every time."""

from __future__ import annotations

import re
from decimal import Decimal
from types import SimpleNamespace

import pytest

from backtest.services import SERVICES
from core import codec
from core.contracts import Resume, TradeEvent
from core.kernel import Kernel
from core.runner import item_of
from tests.runtime_lab import BTC
from tests.trading_floor import GATE, INGEST, START_S, Floor, contents, market

SAID = (
    "strat.intent", "risk.decisions", "orders.accepted", "orders.updates", "fills.new", "positions.snapshot",
    "portfolio.snapshot", "portfolio.pnl_day",
)  # fmt: skip


@pytest.fixture
async def floor(tmp_path):
    made = await Floor(tmp_path).open()
    yield made
    await made.close()


def intent(**changes):
    wish = {"strategy_id": "hand", "symbol": BTC, "side": "buy", "type": "market", "qty": "0.5", "intent_id": "i-1"}
    return {**wish, **changes}


def trade(price, second=0):
    return TradeEvent(BTC, price, 1.0, "buy", (START_S + second) * 10**9, str(second + 1))


async def test_a_trade_and_an_intent_become_a_position(floor):
    """Half a bitcoin at 100: allowed under the cap of 100, filled at the last price, 0.1 % fee, position 0.5 at 100."""
    await floor.feed([trade(100.0)])
    await floor.bus.publish_json("strat.intent", intent())
    await floor.settle()

    (decision,) = floor.events("risk.decisions")
    assert (decision["intent_id"], decision["allowed"], decision["reason"]) == ("i-1", True, None)
    (order,) = floor.events("orders.accepted")
    assert (order["intent_id"], order["venue"], order["qty"]) == ("i-1", "paper", "0.5")
    (fill,) = floor.events("fills.new")
    assert (fill["order_id"], fill["side"], fill["strategy_id"]) == (order["order_id"], "buy", "hand")
    assert (Decimal(fill["price"]), Decimal(fill["qty"])) == (Decimal(100), Decimal("0.5"))
    assert Decimal(fill["fee"]) == Decimal("0.05")  # 0.5 x 100 x 10 basis points
    (position,) = floor.events("positions.snapshot")
    assert (position["symbol"], position["qty"], position["avg_price"]) == (BTC, 0.5, 100.0)
    snapshot = floor.events("portfolio.snapshot")[-1]
    assert snapshot["total_equity"] == 49999.95  # 50,000 less the fee
    assert snapshot["cash"] == 49949.95
    assert snapshot["positions"] == {BTC: 0.5}


async def test_every_step_names_its_cause_and_its_root(floor):
    """From the fill back to the intent: each line names the line that it answers, and all of them the first one."""
    await floor.feed([trade(100.0)])
    await floor.bus.publish_json("strat.intent", intent())
    await floor.settle()
    wish, decision, order, fill = (
        codec.header_of(floor.lines(topic)[0])
        for topic in ("strat.intent", "risk.decisions", "orders.accepted", "fills.new")
    )
    assert (wish.cause, wish.root) == (0, wish.seq)
    assert decision.cause == order.cause == wish.seq
    assert fill.cause == order.seq
    assert {decision.root, order.root, fill.root} == {wish.seq}
    assert {decision.root_ts, fill.root_ts} == {wish.ts}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"qty": "1.1"}, "per_order_cap"),  # 110 > 100
        ({"qty": "0"}, "invalid_qty"),
        ({"qty": "-1"}, "invalid_qty"),
        ({"symbol": "DOGE/USDT"}, "unknown_symbol"),
        ({"qty": "0.01"}, "min_notional"),  # 1 < 5
        ({"type": "limit", "limit_price": "-5"}, "invalid_price"),
        ({"type": "limit"}, "invalid_price"),
    ],
)
async def test_a_denied_intent_goes_nowhere(floor, changes, reason):
    """The decision says why, and there is neither an order nor a fill."""
    await floor.feed([trade(100.0)])
    await floor.bus.publish_json("strat.intent", intent(**changes))
    await floor.settle()
    (decision,) = floor.events("risk.decisions")
    assert (decision["allowed"], decision["reason"]) == (False, reason)
    assert floor.events("orders.accepted") == floor.events("fills.new") == []


async def test_the_same_intent_twice_gets_the_same_answer_and_one_order(floor):
    """A strategy that repeats itself does not trade twice."""
    await floor.feed([trade(100.0)])
    for _ in range(3):
        await floor.bus.publish_json("strat.intent", intent())
        await floor.settle()
    decisions = floor.events("risk.decisions")
    assert len(decisions) == 3
    assert decisions[0] == decisions[1] == decisions[2]
    assert len(floor.events("orders.accepted")) == len(floor.events("fills.new")) == 1


async def test_without_a_price_nothing_is_bought(floor):
    """No trade has been seen: a market order has no reference price."""
    await floor.bus.publish_json("strat.intent", intent())
    await floor.settle()
    assert floor.events("risk.decisions")[0]["reason"] == "no_price"


async def test_two_runs_publish_the_same_bytes(tmp_path, monkeypatch):
    """The whole session, headers included, is a function of the market; the clock on the wall stands still."""
    monkeypatch.setattr("core.runtime.reactor.time", SimpleNamespace(monotonic=lambda: 100.0))
    runs = []
    for name in ("first", "second"):
        floor = await Floor(tmp_path / name).open()
        await floor.feed(market())
        runs.append(floor.server.data.streams)
        await floor.close()
    assert runs[0] == runs[1]
    assert len(runs[0]["fills.new"]) >= 3


async def test_the_kernel_says_what_the_shells_say(floor):
    """The same market through the kernel: every event of every topic has the same content in the same order."""
    await floor.feed(market())
    settings = contents()
    kernel = Kernel(SERVICES, lambda seq: seq * 1_000_000)  # as the clock of the floor
    kernel.configure(settings)
    kernel.publish(GATE, [item_of(Resume(GATE, "clear", kernel.seq + 1))])
    offline: dict[str, list[bytes]] = {}
    for topic, line in kernel.feed(INGEST, market()):
        offline.setdefault(topic, []).append(line)
    for topic in SAID:
        assert bodies(offline[topic]) == bodies(floor.lines(topic)), topic
    assert len(offline["fills.new"]) >= 3


def bodies(lines):
    """What was said, with ids in the order of their appearance and without the sequencer's time."""
    names: dict[str, str] = {}
    text = b"\n".join(codec.body_of(line) for line in lines).decode()
    text = re.sub(r'"ts_accepted_ns":\d+', '"ts_accepted_ns":0', text)
    text = re.sub(r"\b[iof]-([a-z2-7]{24})", lambda found: names.setdefault(found[1], f"id {len(names)}"), text)
    return text.splitlines()
