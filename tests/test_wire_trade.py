"""One trade of an exchange, followed through every process and every journal to the portfolio."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtest.journals import Line, read_record
from core import codec
from core.contracts import (
    FillEvent,
    OHLCVBar,
    OrderEvent,
    OrderIntent,
    PortfolioSnapshot,
    PositionSnapshot,
    RiskDecision,
    Signal,
    SizingDecision,
    TradeEvent,
)
from core.embedded import find_server
from core.errors import ConfigError
from tests.home import Home

pytestmark = [pytest.mark.processes, pytest.mark.redis]

DEMO = """\
strategies:
  sma_cross_v1: {enabled: false}
  momentum_v1:
    enabled: true
    params: {lookback_periods: 1, entry_return: 0.00001, retry_s: 1}
"""
"""Every minute that has risen at all is a reason to buy."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A fresh installation that trades on bars."""
    try:
        find_server()
    except ConfigError as error:
        pytest.skip(str(error))
    made = Home(tmp_path / "home", DEMO)
    yield made
    made.close()


class Record:
    """The journals of a run, all topics in one order."""

    def __init__(self, folder: Path) -> None:
        found = read_record([folder])
        assert [each.what for each in found.findings] == []
        self.lines = list(found.lines)

    def first(self, kind: type, cause: int = 0) -> Line:
        """The first event of a type, or the first that answers a line."""
        return next(
            line
            for line in self.lines
            if line.header.type == kind.__name__ and (not cause or line.header.cause == cause)
        )

    def trades_of(self, bar: OHLCVBar) -> list[TradeEvent]:
        """The published trades of a bar's time."""
        trades = (codec.decode(line.raw, TradeEvent) for line in self.lines if line.header.type == "TradeEvent")
        return [trade for trade in trades if bar.ts_open <= trade.ts < bar.ts_close]


def test_a_trade_becomes_a_position(home: Home):
    """Trades make a bar, the bar a signal, and so on to the portfolio: each line names the line that it answers."""
    process = home.start("--speed", "60")
    home.until(lambda: home.lines("fills.BTCUSDT") > 0 and home.lines("portfolio") > 0)
    process.send_signal(signal.SIGINT)
    assert home.end() == 0, home.said
    record = Record(home.journals)

    wish = record.first(Signal)
    bar_line = next(line for line in record.lines if line.header.seq == wish.header.cause)
    bar = codec.decode(bar_line.raw, OHLCVBar)
    trades = record.trades_of(bar)
    by_time = sorted(trades, key=lambda trade: (trade.ts, int(trade.trade_id)))
    assert (bar.open, bar.close) == (by_time[0].price, by_time[-1].price)
    assert (bar.high, bar.low) == (max(t.price for t in trades), min(t.price for t in trades))
    assert bar.trade_count == len(trades)
    assert bar.volume == pytest.approx(sum(trade.qty for trade in trades), rel=1e-12)

    sizing = codec.decode(record.first(SizingDecision, wish.header.seq).raw, SizingDecision)
    intent_line = record.first(OrderIntent, wish.header.seq)
    intent = codec.decode(intent_line.raw, OrderIntent)
    assert sizing.accepted
    assert sizing.intent_ids == (intent.intent_id,)
    assert (intent.side, intent.qty, intent.signal_id) == ("buy", sizing.qty, sizing.signal_id)
    decision = codec.decode(record.first(RiskDecision, intent_line.header.seq).raw, RiskDecision)
    assert (decision.intent_id, decision.allowed) == (intent.intent_id, True)
    order_line = record.first(OrderEvent, intent_line.header.seq)
    order = codec.decode(order_line.raw, OrderEvent)
    fill_line = record.first(FillEvent, order_line.header.seq)
    fill = codec.decode(fill_line.raw, FillEvent)
    assert (fill.order_id, fill.qty, fill.strategy_id) == (order.order_id, intent.qty, "momentum_v1")
    position = codec.decode(record.first(PositionSnapshot, order_line.header.seq).raw, PositionSnapshot)
    account = codec.decode(record.first(PortfolioSnapshot, fill_line.header.seq).raw, PortfolioSnapshot)
    assert position.qty == account.positions["BTC/USDT"] == float(fill.qty)
    assert account.cash == pytest.approx(50_000 - float(fill.qty * fill.price + fill.fee), rel=1e-12)

    roots = {line.header.root for line in (bar_line, wish, intent_line, order_line, fill_line)}
    assert len(roots) == 1, "the watermark that closed the bar is the first cause of all"
    protections = [codec.decode(line.raw, OrderIntent) for line in record.lines if line.header.type == "OrderIntent"]
    assert {each.type for each in protections if each.reduce_only} >= {"stop", "limit"}
    assert home.parity().ok
