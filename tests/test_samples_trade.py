"""Every sample strategy trades: through bars, sizer, gate and paper venue, on the synthetic market and on recordings.

Parameters are short ones, as a demonstration of some minutes needs them; the strategies run side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from backtest.services import SERVICES
from core import codec
from core.capture import CaptureSource
from core.config import content_for, load_config
from core.contracts import Event, Resume, TradeEvent, Watermark
from core.kernel import Kernel
from core.market.source import Source, Tails
from core.market.synthetic import SyntheticSource
from core.market.synthetic_market import SyntheticMarket
from core.runner import item_of
from tests.strategy_desk import BTC, entry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parents[1]
CAPTURES = ROOT.parent / "shared" / "data" / "captures" / "binance_spot"
MINUTE_NS = 60 * 10**9
SAMPLES = "strategies.samples"
ON_TRADES = [
    ("trendline", "trendline_break.TrendlineBreak", {"breakout_threshold": 0.0001, "qty": 0.001}),
    ("sma", "sma_cross.SmaCross", {"fast": 30, "slow": 120, "qty": 0.001}),
    ("rsi", "rsi_tema_bb.RsiTemaBb", {"bb_period": 100, "qty": 0.001, "long_only": True}),
    ("hold", "buy_and_hold.BuyAndHold", {"qty": 0.001}),
    ("hold_by_signal", "buy_and_hold.BuyAndHold", {"by": "signal"}),
    (
        "momentum", "momentum.Momentum",
        {"lookback_periods": 400, "entry_return": 0.0005, "stop_distance": 0.001, "target_distance": 0.002},
    ),
    (
        "momentum_tight", "momentum.Momentum",
        {"lookback_periods": 400, "entry_return": 0.0003, "stop_distance": 0.0003, "target_distance": 0.0003},
    ),
]  # fmt: skip
ON_BARS = [
    (
        "trendline", "trendline_break.TrendlineBreak",
        {"breakout_threshold": 0.0005, "lookback_periods": 3, "qty": 0.001},
    ),
    ("sma", "sma_cross.SmaCross", {"fast": 2, "slow": 5, "qty": 0.001}),
    (
        "rsi", "rsi_tema_bb.RsiTemaBb",
        {"rsi_period": 3, "tema_period": 2, "bb_period": 8, "bb_std": 0.5, "oversold": 45.0, "overbought": 55.0,
         "qty": 0.001, "long_only": True},
    ),
    ("hold", "buy_and_hold.BuyAndHold", {"qty": 0.001}),
    ("hold_by_signal", "buy_and_hold.BuyAndHold", {"by": "signal"}),
    (
        "momentum", "momentum.Momentum",
        {"lookback_periods": 2, "entry_return": 0.0005, "stop_distance": 0.002, "target_distance": 0.004},
    ),
    (
        "momentum_tight", "momentum.Momentum",
        {"lookback_periods": 2, "entry_return": 0.0005, "stop_distance": 0.0005, "target_distance": 0.0005},
    ),
]  # fmt: skip
SIGNALS = {"hold_by_signal", "momentum", "momentum_tight"}
IN_AND_OUT = {"sma", "rsi", "momentum", "momentum_tight"}
"""Those that close what they open; the others only buy, or only comment."""


def capture(name: str) -> Source | None:
    """A recorded stream of some five minutes; None where it is not."""
    path = CAPTURES / name
    return CaptureSource(path, BTC) if path.exists() else None


def synthetic() -> Source:
    """The market of `make run`."""
    instrument = next(each for each in load_config(ROOT, environ={}).instruments if each.symbol == BTC)
    return SyntheticSource(SyntheticMarket(instrument, 7))


# How the market is made, how many minutes of it are used, and what the strategies run on.
MARKETS: dict[str, tuple[Any, int, str]] = {
    "synthetic trades": (synthetic, 10, "md.trades.*"),
    "synthetic bars": (synthetic, 40, "md.ohlcv.1m.*"),
    "capture of 8 August": (lambda: capture("btcusdt_20240808.gz"), 10, "md.trades.*"),
    "capture of 9 August": (lambda: capture("btcusdt_20240809.gz"), 10, "md.trades.*"),
}


def events(source: Source, minutes: int) -> Iterator[Event]:
    """The trades and the clock of the first minutes."""
    dues = source.records(Tails())
    first = next(dues)
    for due in takewhile(lambda due: due.due_ns - first.due_ns < minutes * MINUTE_NS, dues):
        yield from (event for event in due.events if isinstance(event, (TradeEvent, Watermark)))


@cache
def said(market: str) -> dict[str, list[dict[str, Any]]] | None:
    """What all services say over a market, by topic; None where the recording is not on this machine."""
    make, minutes, topic = MARKETS[market]
    source = make()
    if source is None:
        return None
    config = load_config(ROOT, environ={})
    contents = {service.name: content_for(service.name, config) for service in SERVICES}
    listed = ON_TRADES if topic == "md.trades.*" else ON_BARS
    contents["strategy_runner"]["strategies"] = [
        entry(name, f"{SAMPLES}.{path}", events=[topic], params=params) for name, path, params in listed
    ]
    contents["risk_engine"]["risk"]["orders_per_min_cap"] = 10_000  # six strategies share what is meant for one
    contents["portfolio_manager"]["portfolio"]["allocations"] = []  # the whole capital is everybody's
    kernel = Kernel(SERVICES)
    kernel.configure(contents)
    kernel.publish("risk_engine.main", [item_of(Resume("risk_engine.main", "clear", 1))])
    found: dict[str, list[dict[str, Any]]] = {}
    for name, line in kernel.feed("md_ingest.BTCUSDT", events(source, minutes)):
        if not name.startswith(("md.", "clock.")):
            found.setdefault(name, []).append(codec.payload_of(line))
    return found


@pytest.fixture(params=MARKETS)
def session(request):
    """What was said over one of the markets."""
    found = said(request.param)
    if found is None:
        pytest.skip("recorded market data (../shared/data) is not on this machine")
    return found


def own(session, topic, name):
    """What one strategy has said, or has been told."""
    return [event for event in session.get(topic, []) if event["strategy_id"] == name]


@pytest.mark.parametrize("name", [name for name, _, _ in ON_TRADES])
def test_it_trades(session, name):
    """It wishes something and gets it: fills both ways where it closes what it opens, one where it buys once."""
    assert "control.strategy" not in session  # nobody has raised
    assert len(own(session, "strat.signal", name)) > 0 if name in SIGNALS else own(session, "strat.signal", name) == []
    fills = own(session, "fills.new", name)
    sides = {fill["side"] for fill in fills}
    assert sides >= ({"buy", "sell"} if name in IN_AND_OUT else {"buy"})
    if name in {"hold", "hold_by_signal"}:
        assert len(fills) == 1
    if name not in SIGNALS:
        assert len(fills) == len(own(session, "strat.intent", name))


@pytest.mark.parametrize("name", sorted(IN_AND_OUT))
def test_it_is_in_or_out(session, name):
    """A buy and the sale of all of it take turns: it never adds, never sells more than it has, never goes short."""
    fills = own(session, "fills.new", name)
    moves = [Decimal(fill["qty"]) * (1 if fill["side"] == "buy" else -1) for fill in fills]
    assert all(move > 0 for move in moves[::2])
    assert all(into + out == 0 for into, out in zip(moves[::2], moves[1::2], strict=False))


def test_stops_and_targets_are_on_the_right_side(session):
    """Momentum's entries have stops below and targets above the price; every signal is answered once."""
    signals = own(session, "strat.signal", "momentum")
    entries = [signal for signal in signals if signal["intention"] == "OPEN_LONG"]
    assert len(entries) >= 2
    assert all(float(s["stop_loss"]) < float(s["price"]) < float(s["take_profit"]) for s in entries)
    asked = [signal["signal_id"] for signal in signals]
    answered = [decision["signal_id"] for decision in own(session, "strat.sizing", "momentum")]
    assert sorted(asked) == sorted(answered)


def test_a_stop_or_a_target_takes_it_out_and_it_comes_back(session):
    """Close stops and targets end most positions before momentum does; after each it waits for the next rise."""
    name = "momentum_tight"
    closes = [s for s in own(session, "strat.signal", name) if s["intention"] == "CLOSE_LONG"]
    sides = [fill["side"] for fill in own(session, "fills.new", name)]
    assert sides.count("sell") > len(closes)
    assert sides.count("buy") >= 2
