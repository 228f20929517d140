"""Topics: names, patterns, owners and journals, spelled in one place."""

from __future__ import annotations

import pytest

from core import topics
from core.contracts import FillEvent, Malformed, OHLCVBar, RiskCheck, StateObserved, TradeEvent, Watermark
from core.errors import ContractError

TRADE = TradeEvent("BTC/USDT", 1.0, 1.0, "buy", 1)
BAR = OHLCVBar("ATOM/USDT", "5m", 0, 300 * 10**9, 1.0, 1.0, 1.0, 1.0, 0.0)
STATE = StateObserved("risk_engine.main", 0, 0, 1, {})


@pytest.mark.parametrize(
    ("event", "channel", "journal"),
    [
        (TRADE, "md.trades.BTC/USDT", "md.trades.BTCUSDT.ndjson"),
        (BAR, "md.ohlcv.5m.ATOM/USDT", "ohlcv.5m.ATOMUSDT.ndjson"),
        (Watermark("BTC/USDT:USDT", 1), "clock.market.BTC/USDT:USDT", "clock.market.BTCUSDT_USDT.ndjson"),
        (STATE, "control.state.risk_engine.main", "control.state.risk_engine.main.ndjson"),
    ],
)
def test_an_event_names_its_channel_and_its_journal(event, channel, journal):
    """The documented names, with the symbol's slash left out in files."""
    assert topics.topic_of(event) == channel
    found = topics.find(channel)
    assert found is not None
    assert found.event is type(event)
    assert found.journal_name(channel) == journal


def test_fills_are_kept_per_symbol():
    """One channel, one journal per symbol."""
    fill = FillEvent("o-1", "ATOM/USDT", "buy", 1, 1, 0, 1)  # type: ignore[arg-type]
    found = topics.find(topics.topic_of(fill))
    assert found is topics.FILLS_NEW
    assert found.split_by_symbol
    assert found.journal_name("fills.new", "ATOM/USDT") == "fills.ATOMUSDT.ndjson"
    assert not topics.MD_TRADES.split_by_symbol


@pytest.mark.parametrize("event", [Malformed("t", "e"), RiskCheck("n", True, "", "")])
def test_what_is_never_published_has_no_topic(event):
    """Asking for it says which events have one."""
    with pytest.raises(ContractError, match="TradeEvent"):
        topics.topic_of(event)


def test_every_topic_belongs_to_one_event_and_every_name_to_one_topic():
    """No two topics carry the same event, and no name could belong to two."""
    assert len({topic.event for topic in topics.TOPICS}) == len(topics.TOPICS)
    for topic in topics.TOPICS:
        name = topic.name.replace("{symbol}", "BTC/USDT").replace("{instance}", "a.b").replace("{timeframe}", "1m")
        assert [other for other in topics.TOPICS if other.regex.fullmatch(name)] == [topic]
        assert topics.matches(topic.pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name", "covers"),
    [
        ("md.trades.*", "md.trades.BTC/USDT", True),
        ("md.*", "md.trades.BTC/USDT", True),
        ("*", "anything", True),
        ("md.trades.*", "md.trades", False),
        ("md.trades.*", "xmd.trades.y", False),
        ("md.trades.BTC/USDT", "md.trades.BTC/USDT", True),
        ("md.trades.BTC/USDT", "mdxtrades.BTC/USDT", False),
        ("md.*.BTC/USDT", "md.book.BTC/USDT", True),
        ("md.*.BTC/USDT", "md.book.ETH/USDT", False),
        ("md.[a]", "md.a", False),
    ],
)
def test_a_star_stands_for_any_text_and_nothing_else_is_special(pattern, name, covers):
    """As in subscriptions on Redis, as far as the system uses them."""
    assert topics.matches(pattern, name) is covers
    assert topics.covered(["none", pattern], name) is covers
    assert not topics.covered([], name)


@pytest.mark.parametrize(
    ("instance", "name", "owns"),
    [
        ("md_ingest.BTCUSDT", "md.trades.BTC/USDT", True),
        ("md_ingest.BTCUSDT", "clock.market.BTC/USDT", True),
        ("md_ingest.BTCUSDT", "md.trades.ETH/USDT", False),
        ("md_ingest.BTCUSDT", "control.dead_letter.md_ingest.BTCUSDT", True),
        ("md_ingest.BTCUSDT", "control.dead_letter.risk_engine.main", False),
        ("risk_engine.main", "risk.decisions", True),
        ("risk_engine.main", "orders.accepted", True),
        ("risk_engine.main", "strat.intent", False),
        ("strategy_runner.main", "strat.intent", True),
        ("paper_trader.main", "fills.new", True),
        ("portfolio_manager.main", "portfolio.pnl_day", True),
        ("risk_engine.main", "whatever.else", True),
        ("paper_trader.main", "whatever.else", False),
        ("bus.abc", "whatever.else", False),
    ],
)
def test_every_name_has_one_owner(instance, name, owns):
    """Whoever owns a name writes its journal."""
    assert topics.owns(instance, name) is owns


@pytest.mark.parametrize(
    ("service", "name", "says"),
    [
        ("risk_engine", "risk.decisions", True),
        ("risk_engine", "control.dead_letter.risk_engine.main", True),
        ("risk_engine", "control.dead_letter.paper_trader.main", False),
        ("risk_engine", "control.halt.risk_engine.main", False),
        ("risk_engine", "control.state.risk_engine.main", False),
        ("risk_engine", "fills.new", False),
        ("risk_engine", "unknown", False),
        ("md_ingest", "md.trades.BTC/USDT", False),
    ],
)
def test_a_replay_compares_only_what_a_handler_says(service, name, says):
    """Sources, observations and records of the shell are no outputs."""
    assert topics.says(service, f"{service}.main", name) is says
