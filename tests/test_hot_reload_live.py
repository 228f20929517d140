"""Real processes, a market that runs, and a cap and a parameter that are changed together in the files."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from backtest import parity
from core import codec
from core.config import content_for, load_config
from core.contracts import ConfigChanged, OrderIntent, RiskDecision
from tests.installation import SERVICES, Installation, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.redis, pytest.mark.slow]

PROFILE = """\
strategies:
  sma_cross_v1:
    enabled: true
    symbols: ["BTC/USDT"]
    params: {{fast: {fast}, slow: 6, qty: {qty}}}
risk:
  per_order_usd_cap: {cap}
  orders_per_min_cap: 600
runtime:
  reload_every_s: 0.2
"""
OLD = {"fast": 2, "qty": "0.001", "cap": 100}
NEW = {"fast": 2, "qty": "0.0005", "cap": 80}
"""Both quantities pass both caps, at some 60,000 USD: trading goes on whichever counts."""


class Trading(Installation):
    """All services and a synthetic market, in a cell of their own."""

    def __init__(self, folder, url):
        super().__init__(folder, url)
        self.extra = {"NJORD__REDIS__CELL": folder.name}
        self.profile = folder / "config" / "hot.yaml"
        self.write(OLD)
        self.daemons = {service: self.start(service, "--profile", "hot") for service in SERVICES}
        wait_for(self.live(*(f"{service}.main" for service in SERVICES)))
        self.start("md_ingest", "--symbol", "BTC/USDT", "--synthetic", "--speed", "20", "--profile", "hot")
        wait_for(lambda: len(self.decisions()) >= 3)

    def write(self, values):
        """Replace the file in one step, as an editor does."""
        new = self.profile.with_suffix(".new")
        new.write_text(PROFILE.format(**values))
        new.replace(self.profile)

    def decisions(self):
        """Place of the intent, and the cap that it was decided under."""
        decided = [
            (codec.header_of(line).cause, codec.decode(line, RiskDecision)) for line in self.lines("risk.decisions")
        ]
        return [(cause, decision.caps["per_order_usd_cap"]) for cause, decision in decided]

    def buys(self):
        """Place of the trade, and the quantity asked for; a sale is of what was bought before, whenever that was."""
        asked = [(codec.header_of(line).cause, codec.decode(line, OrderIntent)) for line in self.lines("strat.intent")]
        return [(cause, str(intent.qty)) for cause, intent in asked if intent.side == "buy"]

    def changes(self, service):
        """Where each configuration of a service begins."""
        lines = self.lines(f"control.config.{service}.main")
        return [codec.decode(line, ConfigChanged).before_seq for line in lines]

    def reloads(self):
        return [codec.header_of(line).seq for line in self.lines("control.reload")]

    def config_error(self, service):
        return self.health(f"{service}.main")[1].get("config_error", "")

    def trades_with(self, values, more=3):
        """Whether so many decisions and purchases have been made under these values, and nobody waits for anything."""
        return (
            len([1 for _, cap in self.decisions() if cap == str(values["cap"])]) >= more
            and len([1 for _, qty in self.buys() if qty == values["qty"]]) >= more
            and not any(self.config_error(service) for service in SERVICES)
        )

    def proven(self):
        """End everything in order; what parity says of the session and of the configuration that is on disk."""
        assert set(self.stop()) == {0}
        config = load_config(self.folder, "hot", environ={})
        return parity.check([self.journals], {service: content_for(service, config) for service in SERVICES})


@pytest.fixture
def place(tmp_path, redis_url) -> Iterator[Trading]:
    made = None
    try:
        made = Trading(tmp_path, redis_url)
        yield made
    finally:
        if made is not None:
            made.close()


def split(pairs, place):
    """The values before a line, and those behind it."""
    return {value for cause, value in pairs if cause < place}, {value for cause, value in pairs if cause > place}


def test_cap_and_parameter_change_behind_one_line(place):
    """Before it everything is old, behind it everything is new, and parity is 0 across it."""
    place.write(NEW)
    wait_for(lambda: place.trades_with(NEW), 60)
    report = place.proven()
    [line] = place.reloads()
    assert [place.changes(service)[1:] for service in ("risk_engine", "strategy_runner")] == [[line + 1]] * 2
    assert [len(place.changes(service)) for service in SERVICES] == [1, 2, 2, 1, 1]
    assert split(place.decisions(), line) == ({"100"}, {"80"})
    assert split(place.buys(), line) == ({"0.001"}, {"0.0005"})
    assert (report.ok, report.differences, report.data) == (True, 0, [])


@pytest.mark.parametrize("victim", ["risk_engine", "strategy_runner"])
def test_a_kill_in_the_middle_of_a_change(place, victim):
    """Killed right behind the edit and started again: all end with the new one, and behind the line nothing is old."""
    place.write(NEW)
    place.daemons[victim].send_signal(signal.SIGKILL)
    place.daemons[victim].wait()
    place.processes.remove(place.daemons[victim])
    place.start(victim, "--profile", "hot")
    wait_for(lambda: place.trades_with(NEW), 60)
    report = place.proven()
    [line] = place.reloads()
    other = "strategy_runner" if victim == "risk_engine" else "risk_engine"
    assert place.changes(other)[1:] == [line + 1]
    assert len(place.changes(victim)) == 2
    assert split(place.decisions(), line)[1] == {"80"}
    assert split(place.buys(), line)[1] == {"0.0005"}
    assert (report.ok, report.differences, report.data) == (True, 0, [])


def test_one_invalid_part_holds_back_all_until_it_is_mended(place):
    """The strategy refuses its parameters: the lower cap waits too, and everybody says for whom."""
    place.write({**NEW, "fast": 60})
    wait_for(lambda: "fast" in place.config_error("strategy_runner"))
    wait_for(lambda: "strategy_runner.main refuses it" in place.config_error("risk_engine"))
    decided = len(place.decisions())
    wait_for(lambda: len(place.decisions()) >= decided + 2, 60)
    assert (place.reloads(), {cap for _, cap in place.decisions()}) == ([], {"100"})
    place.write(NEW)
    wait_for(lambda: place.trades_with(NEW), 60)
    report = place.proven()
    [line] = place.reloads()
    assert [place.changes(service)[1:] for service in ("risk_engine", "strategy_runner")] == [[line + 1]] * 2
    assert (report.ok, report.differences, report.data) == (True, 0, [])
