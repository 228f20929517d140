"""What a careless strategy may do to the others under its host: nothing."""

from __future__ import annotations

import sys
from decimal import Decimal

import pytest

from core import codec
from core.contracts import StrategyFailed
from core.errors import ConfigError
from strategies.indicators import Sma
from strategies.outbox import WISHES_MAX
from strategies.strategy import Strategy
from tests.strategy_desk import BTC, Desk, content, entry, intents, second, trade
from tests.strategy_probes import Plain


class Forgetful(Strategy):
    """Buys 1 at every trade; from a price of 100 on it holds what cannot be written down."""

    strategy_id = "forgetful"

    def on_trade(self, trade):
        self.spread = 0.0 if trade.price < 100 else float("nan")
        return [self.buy(trade.symbol, Decimal(1))]


class _Untold(Exception):
    def __str__(self):
        raise RuntimeError("not even this")


class Careless(Strategy):
    """Does one of several things that end a process or a commit."""

    strategy_id = "careless"

    def on_trade(self, trade):
        if trade.price == 1:
            sys.exit(3)
        if trade.price == 2:
            raise _Untold
        if trade.price == 3:
            raise ValueError("\ud800")
        if trade.price == 4:
            return [self.buy("\ud800", Decimal(1))]
        return self._for_ever(trade)

    def _for_ever(self, trade):
        while True:
            yield self.buy(trade.symbol, Decimal(1))


class Averaging(Strategy):
    """Keeps an average and buys 1."""

    strategy_id = "averaging"

    def __init__(self, context):
        super().__init__(context)
        self.average = Sma(3)

    def on_trade(self, trade):
        return [self.buy(trade.symbol, Decimal(1))]


class Many(Strategy):
    """As many wishes as the price says."""

    strategy_id = "many"

    def on_trade(self, trade):
        return [self.buy(trade.symbol, Decimal(1))] * int(trade.price)


class Eager(Strategy):
    """Trades in its constructor."""

    strategy_id = "eager"

    def __init__(self, context):
        super().__init__(context)
        context.bus.publish(self.buy(BTC, Decimal(1)))


class Spoiler(Strategy):
    """Writes into its parameters."""

    strategy_id = "spoiler"

    def on_trade(self, trade):
        self.context.config["levels"].append(trade.price)
        return [self.buy(trade.symbol, Decimal(len(self.context.config["levels"])))]


@pytest.mark.parametrize(
    ("price", "error"),
    [
        (1, "SystemExit: 3"),
        (2, "_Untold: its text cannot be made"),
        (3, "ValueError: ?"),
        (4, "UnicodeEncodeError"),
        (5, f"ContractError: a strategy said more to one event than allowed: {WISHES_MAX:,}"),
    ],
)
def test_whatever_it_does_it_is_counted_and_the_others_go_on(price, error):
    """A call of exit, an error whose text cannot be made or written, a wish that cannot, wishes without end."""
    desk = Desk(content(entry("bad", Careless), entry("good", Plain)))
    said = desk.see(trade(price))
    failed = said[0]
    assert isinstance(failed, StrategyFailed)
    assert failed.error.startswith(error)
    assert (failed.errors, failed.quarantined) == (1, False)
    assert list(intents(said)) == [("good", "buy", "1")]
    assert all(codec.encode(event) for event in said)


def test_so_many_wishes_are_allowed():
    """The bound itself is not too many."""
    desk = Desk(content(entry("many", Many)))
    assert len(desk.see(trade(WISHES_MAX))) == WISHES_MAX
    assert isinstance(desk.see(trade(WISHES_MAX + 1))[0], StrategyFailed)


@pytest.mark.parametrize("restarted", [False, True])
def test_what_cannot_be_remembered_quarantines_one_and_not_all(restarted):
    """The memory of the others can be written at any moment, and the next second of the market names the culprit.

    Killed in between, it has lost its memory and says nothing any more.
    """
    desk = Desk(content(entry("bad", Forgetful), entry("good", Plain)))
    assert list(intents(desk.see(trade(99)))) == [("bad", "buy", "1"), ("good", "buy", "1")]
    assert desk.see(second(1)) == []
    desk.see(trade(100))
    assert codec.encode_state(desk.host.snapshot())
    if restarted:
        desk = desk.restarted()
        assert list(intents(desk.see(trade(99)))) == [("good", "buy", "1")]
        desk = desk.restarted()
    [failed] = desk.see(second(2))
    assert isinstance(failed, StrategyFailed)
    assert (failed.strategy_id, failed.errors, failed.quarantined) == ("bad", 1, True)
    assert "cannot be remembered" in failed.error
    for again in (desk, desk.restarted()):
        assert list(intents(again.see(trade(99)))) == [("good", "buy", "1")]
        assert again.see(second(3)) == []


def test_a_changed_entry_brings_back_one_that_lost_its_memory():
    """It starts fresh."""
    desk = Desk(content(entry("bad", Forgetful)))
    desk.see(trade(100))
    mended = desk.restarted(content(entry("bad", Forgetful, params={"note": "mended"})))
    assert list(intents(mended.see(trade(99)))) == [("bad", "buy", "1")]
    assert mended.see(second(1)) == []


def test_nobody_trades_in_a_constructor():
    """Every restart would send the order again."""
    with pytest.raises(ConfigError, match=r"'e' cannot be made.*before it is started; allowed: from on_start on"):
        Desk(content(entry("e", Eager)))


def test_parameters_stay_what_was_configured():
    """Writing into them changes neither the configuration nor what a restart compares it with."""
    settings = content(entry("s", Spoiler, params={"levels": []}))
    desk = Desk(settings)
    assert list(intents(desk.see(trade(1)))) == [("s", "buy", "1")]
    assert settings["strategies"][0]["params"] == {"levels": []}
    assert desk.host.snapshot()["strategies"][0]["entry"]["params"] == {"levels": []}


def test_a_memory_that_does_not_fit_edited_code_is_dropped(monkeypatch):
    """The same entry, but the class has lost an indicator since: it starts fresh, and the others do not notice."""
    settings = content(entry("edited", Averaging), entry("good", Plain))
    desk = Desk(settings)
    desk.see(trade(1))
    monkeypatch.setattr(Averaging, "__init__", Strategy.__init__)
    again = desk.restarted()
    assert list(intents(again.see(trade(1)))) == [("edited", "buy", "1"), ("good", "buy", "1")]
