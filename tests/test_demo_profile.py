"""The demo profile shows something: its strategies trade on every market that `make run` is likely to meet first."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from itertools import takewhile
from pathlib import Path

import pytest

from backtest.services import SERVICES
from core import codec
from core.capture import CaptureSource
from core.config import content_for, load_config
from core.contracts import Resume, TradeEvent, Watermark
from core.kernel import Kernel
from core.market.source import Source, Tails
from core.market.synthetic import SyntheticSource
from core.market.synthetic_market import SyntheticMarket
from core.runner import item_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
CAPTURES = ROOT.parent / "shared" / "data" / "captures" / "binance_spot"
SYMBOL = "BTC/USDT"
TEN_MINUTES_NS = 600_000_000_000


def capture(name: str) -> Source:
    """A recorded stream of some five minutes."""
    path = CAPTURES / name
    if not path.exists():
        pytest.skip("recorded market data (../shared/data) is not on this machine")
    return CaptureSource(path, SYMBOL)


def synthetic() -> Source:
    """The market of `make run` without arguments."""
    instrument = next(each for each in load_config(ROOT, environ={}).instruments if each.symbol == SYMBOL)
    return SyntheticSource(SyntheticMarket(instrument, 7))


def what_follows(source: Source) -> dict[str, list[dict[str, object]]]:
    """Ten minutes of a market through all services: their events by topic."""
    config = load_config(ROOT, "demo", environ={})
    kernel = Kernel(SERVICES)
    kernel.configure({service.name: content_for(service.name, config) for service in SERVICES})
    kernel.publish("risk_engine.main", [item_of(Resume("risk_engine.main", "clear", 1))])
    dues = source.records(Tails())
    first = next(dues)
    within = takewhile(lambda due: due.due_ns - first.due_ns < TEN_MINUTES_NS, dues)
    heard = [event for due in within for event in due.events if isinstance(event, (TradeEvent, Watermark))]
    said: dict[str, list[dict[str, object]]] = {}
    for topic, line in kernel.feed("md_ingest.BTCUSDT", heard):
        if not topic.startswith("md."):
            said.setdefault(topic, []).append(codec.payload_of(line))
    return said


@pytest.mark.parametrize(
    "market",
    [
        pytest.param(lambda: capture("btcusdt_20240808.gz"), id="20240808"),
        pytest.param(lambda: capture("btcusdt_20240809.gz"), id="20240809"),
        pytest.param(synthetic, id="synthetic"),
    ],
)
def test_the_demo_trades(market):
    """Five to forty round trips of each kind in a few minutes, none ever short; what signals bought is protected."""
    said = what_follows(market())
    held: dict[str, Decimal] = {}
    round_trips = Counter[str]()
    for fill in said["fills.new"]:
        strategy = str(fill["strategy_id"])
        signed = Decimal(str(fill["qty"])) * (1 if fill["side"] == "buy" else -1)
        held[strategy] = held.get(strategy, Decimal(0)) + signed
        assert held[strategy] >= 0
        round_trips[strategy] += held[strategy] == 0
    assert 5 <= round_trips["sma_cross_v1"] <= 40
    assert 5 <= round_trips["momentum_v1"] <= 40
    opened = sum(signal["intention"] == "OPEN_LONG" for signal in said["strat.signal"])
    assert all(decision["accepted"] for decision in said["strat.sizing"])
    kinds = Counter(str(order["type"]) for order in said["orders.accepted"] if order["reduce_only"])
    assert kinds["stop"] >= opened <= kinds["limit"]
    # A stop may be asked for in the moment in which its position is sold: that it reduces nothing any more is no harm.
    denials = {decision["reason"] for decision in said["risk.decisions"] if not decision["allowed"]}
    assert denials <= {"reduce_only"}
