"""Who may use how much of the capital, and what the portfolio says about it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core import codec
from core.contracts import (
    Event,
    FillEvent,
    PnlDay,
    PortfolioConfig,
    PortfolioSnapshot,
    StrategyAllocation,
    TradeEvent,
    ValuationTrigger,
    Watermark,
)
from core.errors import ContractError
from core.handler import At
from portfolio.manager import SERVICE, PortfolioManager
from portfolio.settings import ManagerSettings, settings_from
from tests.sizing_desk import BTC, NOON_NS, S

THREE = [
    {"strategy_id": "rsi_tema_bb_v1", "target_weight": 0.4, "min_capital": 5_000.0, "max_capital": 25_000.0},
    {"strategy_id": "trendline_break_v1", "target_weight": 0.35, "min_capital": 5_000.0, "max_capital": 20_000.0},
    {"strategy_id": "momentum_v1", "target_weight": 0.25, "min_capital": 5_000.0, "max_capital": 15_000.0},
]
EXAMPLE = {
    "portfolio_id": "multi_strategy_v1",
    "total_capital": 50_000.0,
    "allocations": THREE,
    "rebalance_threshold": 0.05,
    "rebalance_frequency_hours": 24,
}


def manager(policy: dict[str, Any] | None = None, **portfolio: Any) -> PortfolioManager:
    """A portfolio manager as its service builds it."""
    built = SERVICE.build({"portfolio": {**EXAMPLE, **portfolio}, "quote": "USDT", "policy": policy or {}})
    assert isinstance(built, PortfolioManager)
    return built


def tell(handler: PortfolioManager, event: Event, seconds: float = 0) -> list[Event]:
    """Let an event happen at a market time."""
    at = At(seq=1, ts_ns=1, market_ns=NOON_NS + round(seconds * S), root=1, root_ts_ns=1)
    return list(handler.on_event(event, at))


def fill(strategy_id: str, side: Any, qty: str, price: str, fee: str = "0") -> FillEvent:
    """A fill of one strategy in BTC/USDT."""
    return FillEvent("o-1", BTC, side, qty, price, fee, NOON_NS, strategy_id=strategy_id)  # type: ignore[arg-type]


def trade(price: float) -> TradeEvent:
    """A public trade."""
    return TradeEvent(BTC, price, 1.0, "buy", NOON_NS)


def test_the_shipped_kind_of_portfolio() -> None:
    """50,000 in three parts of 40, 35 and 25 percent; to JSON values and back it is the same."""
    config = codec.convert(EXAMPLE, PortfolioConfig)
    assert [each.target_weight for each in config.allocations] == [0.4, 0.35, 0.25]
    assert config.allocations[0].risk_multiplier == 1.0
    assert codec.convert(codec.to_builtins(config), PortfolioConfig) == config


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"total_capital": 0.0}, "total_capital"),
        ({"total_capital": float("nan")}, "total_capital"),
        ({"rebalance_threshold": 0.0}, "rebalance_threshold"),
        ({"rebalance_frequency_hours": 0}, "rebalance_frequency_hours"),
        ({"portfolio_id": ""}, "portfolio_id"),
        ({"allocations": THREE[:2]}, "allocations"),
        ({"allocations": [*THREE, THREE[0]]}, "allocations"),
    ],
)
def test_portfolios_that_make_no_sense(change: dict[str, Any], field: str) -> None:
    """Capital above 0, weights that add up to 1, each strategy once."""
    with pytest.raises(ContractError, match=field):
        codec.convert({**EXAMPLE, **change}, PortfolioConfig)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"target_weight": 1.1}, "target_weight"),
        ({"target_weight": -0.1}, "target_weight"),
        ({"min_capital": 30_000.0}, "min_capital"),
        ({"min_capital": -1.0}, "min_capital"),
        ({"max_capital": float("inf")}, "max_capital"),
        ({"risk_multiplier": 0.0}, "risk_multiplier"),
        ({"strategy_id": ""}, "strategy_id"),
    ],
)
def test_shares_that_make_no_sense(change: dict[str, Any], field: str) -> None:
    """A weight from 0 to 1, the least below the most, a multiplier above 0."""
    with pytest.raises(ContractError, match=field):
        StrategyAllocation(**{**THREE[0], **change})


def test_each_strategy_has_an_equity_of_its_own() -> None:
    """1 BTC bought at 20,000 by the first, marked at 21,000, with a fee of 20: its 20,000 are 20,980 of 50,980.

    Its share is 41.15 % where 40 % is due: 2.88 % too much. The others' 34.33 % and 24.52 % are 1.92 % too little.
    """
    handler = manager()
    tell(handler, trade(21_000.0))
    snapshot = tell(handler, fill("rsi_tema_bb_v1", "buy", "1", "20000", "20"))[-2]
    assert isinstance(snapshot, PortfolioSnapshot)
    assert (snapshot.portfolio_id, snapshot.total_equity) == ("multi_strategy_v1", 50_980.0)
    assert snapshot.strategy_allocations == {
        "rsi_tema_bb_v1": 20_980.0,
        "trendline_break_v1": 17_500.0,
        "momentum_v1": 12_500.0,
    }
    assert snapshot.drift_from_target == pytest.approx(
        {
            "rsi_tema_bb_v1": 20_980 / 50_980 / 0.4 - 1,
            "trendline_break_v1": 17_500 / 50_980 / 0.35 - 1,
            "momentum_v1": 12_500 / 50_980 / 0.25 - 1,
        }
    )
    assert sum(snapshot.strategy_allocations.values()) == snapshot.total_equity
    assert not snapshot.needs_rebalance


def test_a_drift_beyond_the_threshold_calls_for_a_rebalance() -> None:
    """At 26,000 the first has 26,000 of 56,000: 46.4 % where 40 % is due, 16 % too much, and 5 % is the threshold."""
    handler = manager()
    tell(handler, trade(20_000.0))
    tell(handler, fill("rsi_tema_bb_v1", "buy", "1", "20000"))
    tell(handler, trade(26_000.0))
    snapshot = tell(handler, Watermark(BTC, NOON_NS), 1)[0]
    assert isinstance(snapshot, PortfolioSnapshot)
    assert snapshot.drift_from_target["rsi_tema_bb_v1"] == pytest.approx(26 / 56 / 0.4 - 1)
    assert snapshot.needs_rebalance


@pytest.mark.parametrize(
    ("rules", "early", "late"),
    [
        ({}, False, False),
        ({"on_drift": False, "on_schedule": True}, False, True),
        ({"on_drift": True, "on_schedule": True}, False, True),
    ],
)
def test_a_small_drift_waits_for_the_schedule(rules: dict[str, Any], early: bool, late: bool) -> None:
    """A gain of 2 % of one strategy is below the threshold; after 24 hours it counts where the policy says so."""
    handler = manager({"rebalancing": rules})
    tell(handler, trade(20_000.0))
    tell(handler, fill("momentum_v1", "buy", "1", "20000"), 60)
    tell(handler, trade(20_250.0), 61)
    hours = 3_600
    said = [tell(handler, ValuationTrigger("test"), second) for second in (62, 24 * hours + 59, 24 * hours + 60)]
    needed = [event.needs_rebalance for each in said for event in each if isinstance(event, PortfolioSnapshot)]
    assert needed == [early, early, late]


def test_without_shares_there_is_no_drift() -> None:
    """The whole equity is everybody's; nothing can drift from a share that nobody has."""
    handler = manager(allocations=[])
    tell(handler, trade(100.0))
    snapshot = tell(handler, fill("a", "buy", "1", "100"))[0]
    assert isinstance(snapshot, PortfolioSnapshot)
    assert (snapshot.strategy_allocations, snapshot.drift_from_target, snapshot.needs_rebalance) == ({}, {}, False)
    assert handler.tracker.get_strategy_capital("a") == 50_000.0


def test_whoever_asks_gets_the_value_at_once() -> None:
    """A trigger between two seconds is answered with the account and the profit of the day as they are now."""
    handler = manager()
    tell(handler, trade(100.0))
    tell(handler, fill("momentum_v1", "buy", "1", "100"))
    tell(handler, Watermark(BTC, NOON_NS))
    tell(handler, trade(107.0), 0.5)
    snapshot, today = tell(handler, ValuationTrigger("end of the trading day"), 0.6)
    assert isinstance(snapshot, PortfolioSnapshot)
    assert isinstance(today, PnlDay)
    assert (snapshot.total_equity, today.pnl) == (50_007.0, Decimal(7))
    assert len(tell(handler, ValuationTrigger("again"), 0.6)) == 2


def test_capital_follows_the_equity() -> None:
    """40 % of 50,000; of 70,000 no more than the maximum of 25,000; of 4,000 none, which is below the minimum."""
    handler = manager()
    capital = handler.tracker.get_strategy_capital
    assert capital("rsi_tema_bb_v1") == 20_000.0
    tell(handler, trade(100.0))
    tell(handler, fill("momentum_v1", "buy", "100", "100"))
    tell(handler, trade(300.0))
    assert (handler.tracker.get_total_equity(), capital("rsi_tema_bb_v1")) == (70_000.0, 25_000.0)
    tell(handler, fill("momentum_v1", "sell", "100", "300", "66000"))
    assert (handler.tracker.get_total_equity(), capital("rsi_tema_bb_v1")) == (4_000.0, 0.0)
    assert capital("a stranger") == 0.0


def test_a_part_recorded_before_there_were_shares_is_understood() -> None:
    """Its session can be restored: the account at its opening, with the shipped policy and nobody's shares."""
    settings = settings_from({"portfolio": {"id": "old", "starting_cash": "12345.67", "quote": "EUR"}})
    assert (settings.portfolio.portfolio_id, settings.portfolio.total_capital) == ("old", 12_345.67)
    assert (settings.quote, settings.portfolio.allocations, settings.instruments) == ("EUR", (), ())
    assert settings_from({}) == ManagerSettings()


def test_a_memory_from_before_there_was_a_sizer_is_understood() -> None:
    """What was held then belongs to no strategy: it is in the equity and counts for every limit, but is nobody's."""
    old = manager(allocations=[])
    tell(old, trade(100.0))
    tell(old, fill("a", "buy", "2", "100"))
    saved = old.snapshot()
    for name in ("sizer", "strategies", "peak", "trade_times", "balanced_ns"):
        del saved[name]
    new = manager(allocations=[])
    new.restore(codec.decode_json(codec.encode_state(saved)))
    assert new.tracker.get_total_equity() == 50_000.0
    assert new.snapshot()["strategies"]["positions"][0][:2] == ["", BTC]
    new.restore(codec.decode_json(codec.encode_state(new.snapshot())))


def test_instruments_are_named_once() -> None:
    """Two grids for one symbol are a mistake, and so is a portfolio without an asset."""
    grid = {"symbol": BTC, "tick_size": "0.01", "lot_size": "0.01"}
    with pytest.raises(ContractError, match="instruments"):
        codec.convert({"instruments": [grid, grid]}, ManagerSettings)
    with pytest.raises(ContractError, match="quote"):
        ManagerSettings(quote="")
