"""A changed configuration counts for all services behind one line of the order, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import replace
from decimal import Decimal

import pytest

from backtest.journals import read_record
from backtest.reexecution import Reexecution
from core import codec
from core.contracts import (
    CancelIntent,
    ConfigApplied,
    ConfigChanged,
    ConfigReady,
    DenialReason,
    PnlDay,
    RiskDecision,
    SessionStarted,
    TradeEvent,
)
from core.errors import ConfigError
from core.handler import Service
from core.runner import Item, item_of
from core.runtime.observers import Settings
from core.runtime.reactor import Timing
from core.sequencer.memory import MemoryCell
from core.source_code import LoadedCode
from tests.contract.test_cell import Instance
from tests.runtime_lab import BTC, Crash, Faults, Lab, eventually, lost

GATE, STRATEGIES, MANAGER = "risk_engine", "strategy_runner", "portfolio_manager"
SAID = {GATE: "risk.decisions", STRATEGIES: "orders.cancel", MANAGER: "portfolio.pnl_day"}
OLD = {GATE: {"factor": 1}, STRATEGIES: {"factor": 2}, MANAGER: {"factor": 3}}
NEW = {GATE: {"factor": 10}, STRATEGIES: {"factor": 20}, MANAGER: {"factor": 30}}


class Stamp:
    """Answers every trade with the factor that it runs with, and how many trades it has heard."""

    def __init__(self, name, content):
        self.name, self.factor, self.count = name, content["factor"], 0
        if not 0 < self.factor < 1000:
            raise ConfigError(f"factor is {self.factor}; allowed: 1 to 999")

    def on_event(self, event, at):
        if not isinstance(event, TradeEvent):
            return ()
        self.count += 1
        if self.name == GATE:
            return (RiskDecision(str(event.ts), False, DenialReason.HALTED, {"factor": str(self.factor)}),)
        if self.name == STRATEGIES:
            return (CancelIntent(str(self.factor), str(event.ts), BTC),)
        return (PnlDay(str(self.factor), Decimal(self.count), Decimal(0), Decimal(0), at.market_ns),)

    def snapshot(self):
        return {"count": self.count}

    def restore(self, state):
        self.count = state["count"]


def stamping(name):
    return Service(
        name=name,
        inputs=lambda content: content.get("inputs", ["md.trades.*"]),
        build=lambda content: Stamp(name, content),
    )


SERVICES = [stamping(name) for name in SAID]


def factor_of(line):
    said = codec.payload_of(line)
    return int(said.get("caps", {}).get("factor") or said.get("strategy_id") or said["day"])


class Desk(Lab):
    """Three services, and a market that goes on for as long as a test needs it."""

    def __init__(self, folder, clock_ns=None, server=None):
        super().__init__(folder, clock_ns, server)
        self.write(OLD)
        self.alive = {}
        self.trades = 0

    async def open(self, *names):
        for name in names or SAID:
            await self.begin(name)
        return self

    async def begin(self, name, timing=None):
        """Start a service with what is on disk."""
        self.alive[name] = await self.process(stamping(name), self.read()[name], timing=timing).start()
        return self.alive[name]

    async def trade_on(self, count=1):
        for _ in range(count):
            self.trades += 1
            await self.trade(self.trades)
            await asyncio.sleep(0)

    async def trade_until(self, holds):
        """Trade while something is on its way."""

        def so_far():
            return self.trades > 5000 or holds()

        while not so_far():
            await self.trade_on()
            await asyncio.sleep(0.001)
        assert holds()

    def reloads(self):
        return [codec.header_of(line).seq for line in self.lines("control.reload")]

    def changes(self, name):
        """Where each configuration of a service begins, with its factor."""
        lines = [codec.decode(line, ConfigChanged) for line in self.lines(f"control.config.{name}.main")]
        return [(change.before_seq, change.content["factor"]) for change in lines]

    def runs_with(self, contents):
        """Whether all run with this, and nobody knows of anything else."""
        return all(
            self.lines(f"control.ready.{name}.main")
            and codec.decode(self.lines(f"control.ready.{name}.main")[-1], ConfigReady).in_force
            and self.changes(name)[-1][1] == contents[name]["factor"]
            for name in self.alive
        )

    async def heard(self):
        """Until everybody has answered every trade."""
        await eventually(lambda: all(len(self.lines(SAID[name])) == self.trades for name in self.alive))

    def factors(self, name):
        """What a service has answered with: the place of the trade, and the factor."""
        return [(codec.header_of(line).cause, factor_of(line)) for line in self.lines(SAID[name])]

    def wrong(self):
        """What parity has against the session, with all services stopped."""
        for topic in (f"md.trades.{BTC}",):
            name = topic.replace("/", "") + ".ndjson"
            (self.journals / name).write_bytes(b"".join(line + b"\n" for line in self.lines(topic)))
        record = read_record([self.journals])
        run = Reexecution(SERVICES, record.lines)
        run.run()
        assert run.compared > len(SAID) * self.trades // 2
        return run.differences, [each for each in record.findings if not each.what.startswith("missing")]

    async def leave(self):
        for process in self.alive.values():
            await process.stop()


@pytest.fixture
def code(monkeypatch):
    """The code is what it is, whoever edits it while the tests run."""
    same = LoadedCode()
    monkeypatch.setattr("core.runtime.observers.LoadedCode", lambda plugins: same)


@pytest.fixture
async def desk(tmp_path, code):
    made = Desk(tmp_path)
    yield made
    await made.close()


# -- all at one place


async def test_all_services_change_right_behind_one_line(desk):
    """Three parts are changed together: up to the line all answer with the old factor, behind it with the new."""
    await desk.open()
    await desk.trade_on(20)
    desk.write(NEW)
    await desk.trade_until(lambda: desk.runs_with(NEW))
    await desk.trade_on(20)
    await desk.heard()
    await desk.leave()
    [place] = desk.reloads()
    for name in SAID:
        assert desk.changes(name)[1:] == [(place + 1, NEW[name]["factor"])]
        answered = desk.factors(name)
        assert {factor for cause, factor in answered if cause < place} == {OLD[name]["factor"]}
        assert {factor for cause, factor in answered if cause > place} == {NEW[name]["factor"]}
    assert desk.wrong() == ([], [])


async def test_who_has_nothing_new_agrees_and_goes_on(desk):
    """One part is changed: one service changes, and the two others record nothing."""
    await desk.open()
    desk.write({GATE: NEW[GATE]})
    await desk.trade_until(lambda: desk.runs_with({**OLD, GATE: NEW[GATE]}))
    [place] = desk.reloads()
    assert [len(desk.changes(name)) for name in SAID] == [2, 1, 1]
    assert desk.changes(GATE)[1] == (place + 1, 10)
    applied = codec.decode(desk.lines("control.reload")[0], ConfigApplied)
    assert applied.contents == {**OLD, GATE: NEW[GATE]}
    assert applied.config_hash == codec.content_hash(applied.contents)


async def test_one_that_refuses_holds_back_all_and_is_named(desk):
    """The strategies cannot run with theirs: nobody changes; once it is mended, all do."""
    await desk.open()
    desk.write({**NEW, STRATEGIES: {"factor": 0}})
    complaints = {name: process.status for name, process in desk.alive.items()}
    await desk.trade_until(
        lambda: (
            "factor is 0" in complaints[STRATEGIES].config_error
            and f"{STRATEGIES}.main refuses it" in complaints[GATE].config_error
            and f"{STRATEGIES}.main refuses it" in complaints[MANAGER].config_error
        )
    )
    await desk.trade_on(20)
    await desk.heard()
    assert desk.reloads() == []
    assert {name: {factor for _, factor in desk.factors(name)} for name in SAID} == {
        GATE: {1},
        STRATEGIES: {2},
        MANAGER: {3},
    }
    desk.write(NEW)
    await desk.trade_until(lambda: desk.runs_with(NEW) and not any(each.config_error for each in complaints.values()))
    await desk.heard()
    await desk.leave()
    assert {before for name in SAID for before, _ in desk.changes(name)[1:]} == {desk.reloads()[0] + 1}
    assert desk.wrong() == ([], [])


async def test_a_change_that_is_taken_back_changes_nothing(desk):
    """Refused, then as it was before: no line, no complaint left."""
    await desk.open()
    desk.write({GATE: {"factor": 0}})
    gate = desk.alive[GATE].status
    await desk.trade_until(lambda: "factor is 0" in gate.config_error)
    desk.write(OLD)
    await desk.trade_until(lambda: desk.runs_with(OLD) and not gate.config_error)
    assert (desk.reloads(), [len(desk.changes(name)) for name in SAID]) == ([], [1, 1, 1])


async def test_hosts_that_read_different_files_do_not_change(tmp_path, code):
    """The other host's files are still the old ones: it is named, and the change waits for it."""
    desk = Desk(tmp_path / "h1")
    elsewhere = Desk(tmp_path / "h2", server=desk.server)
    try:
        await desk.open(GATE, STRATEGIES)
        await elsewhere.open(MANAGER)
        desk.write(NEW)
        gate = desk.alive[GATE].status
        await eventually(lambda: f"{MANAGER}.main reads another configuration" in gate.config_error)
        assert desk.reloads() == []
        elsewhere.write(NEW)
        await eventually(lambda: desk.runs_with(NEW) and elsewhere.runs_with(NEW))
        assert len(desk.reloads()) == 1
    finally:
        await elsewhere.close()
        await desk.close()


@pytest.mark.parametrize("raw", [b"now", b"", b'{"reason":"edited"}'])
async def test_a_message_lets_all_look_at_once(desk, raw):
    """Nobody would look at its files within the next hours; a plain PUBLISH on controller.reload makes all do so."""
    for name in SAID:
        await desk.begin(name, Timing(reload_s=1e9, watch_s=1e9))
    desk.write(NEW)
    await desk.trade_on(5)
    await desk.heard()
    assert desk.reloads() == []
    desk.server.publish("controller.reload", raw)
    await eventually(lambda: desk.runs_with(NEW))
    assert [process.status.dead_letters for process in desk.alive.values()] == [0, 0, 0]


async def test_only_the_gate_can_change_the_configuration(desk):
    """What others publish on control.reload changes nothing: neither a whole record nor junk."""
    await desk.open()
    await desk.bus.publish(ConfigApplied(codec.content_hash(NEW), NEW))
    stranger = await Instance(MemoryCell(desk.server), "stranger.x").start(register=False)
    await stranger.commit(Item("control.reload", "ConfigApplied", 0, 0, 0, b'{"contents":7}'))
    desk.server.publish("control.reload", b"now")
    await desk.trade_on(10)
    await desk.heard()
    assert {name: {factor for _, factor in desk.factors(name)} for name in SAID} == {
        GATE: {1},
        STRATEGIES: {2},
        MANAGER: {3},
    }
    await eventually(lambda: [process.status.dead_letters for process in desk.alive.values()] == [2, 2, 2])
    assert [len(desk.changes(name)) for name in SAID] == [1, 1, 1]
    desk.write(NEW)
    await desk.trade_until(lambda: desk.runs_with(NEW))


WIDER = {MANAGER: {"factor": 30, "inputs": ["md.trades.*"]}}
NARROW = {MANAGER: {"factor": 3, "inputs": [f"md.trades.{BTC}"]}}


async def agreed_by_hand(desk, contents):
    """Publish a decision in the place of the gate."""
    gate = await Instance(MemoryCell(desk.server), f"{GATE}.main").start()
    await gate.commit(item_of(ConfigApplied(codec.content_hash(contents), contents)))


@pytest.mark.parametrize("where", ["live", "catching up"])
async def test_inputs_that_a_change_adds_are_heard_from_its_line_on(desk, where):
    """Trades of ETH come right behind the line, between those of BTC: none is missed, live or after a start."""
    desk.write(NARROW)
    manager = await desk.begin(MANAGER)
    if where == "live":
        manager.cell.gate.clear()  # it hangs in its answer to the first trade, and finds all the rest at once
    else:
        await manager.stop()
    await desk.trade(1)
    await asyncio.sleep(0)
    desk.write(WIDER)
    await agreed_by_hand(desk, WIDER)
    for number, symbol in enumerate(["ETH/USDT", BTC, "ETH/USDT", BTC], 2):
        await desk.trade(number, symbol)
    manager.cell.gate.set()
    if where == "catching up":
        await desk.begin(MANAGER)
    await eventually(lambda: len(desk.lines(SAID[MANAGER])) == 5)
    assert [factor for _, factor in desk.factors(MANAGER)] == [3, 30, 30, 30, 30]
    assert [codec.payload_of(line)["pnl"] for line in desk.lines(SAID[MANAGER])] == ["1", "2", "3", "4", "5"]


# -- while somebody is away


async def test_without_the_gate_nothing_changes(desk):
    """The others say whom they wait for; once it is started with what is on disk, they follow."""
    await desk.open(STRATEGIES, MANAGER)
    desk.write(NEW)
    statuses = [process.status for process in desk.alive.values()]
    await desk.trade_until(lambda: all("risk_engine is not running" in each.config_error for each in statuses))
    assert desk.reloads() == []
    await desk.begin(GATE)
    await desk.trade_until(lambda: desk.runs_with(NEW) and not any(each.config_error for each in statuses))
    [place] = desk.reloads()
    assert [desk.changes(name)[1:] for name in (STRATEGIES, MANAGER)] == [[(place + 1, 20)], [(place + 1, 30)]]
    assert [factor for _, factor in desk.changes(GATE)] == [10]


async def test_one_that_was_away_changes_at_the_place_where_the_others_did(desk):
    """Stopped before the change, started behind it: each trade is answered under the configuration of its place."""
    await desk.open()
    await desk.trade_on(5)
    await desk.heard()
    away = desk.alive.pop(MANAGER)
    await away.stop()
    await desk.trade_on(5)
    desk.write(NEW)
    await desk.trade_until(lambda: desk.runs_with(NEW))
    await desk.trade_on(5)
    await desk.begin(MANAGER)
    await desk.heard()
    await desk.leave()
    [place] = desk.reloads()
    assert desk.changes(MANAGER)[1:] == [(place + 1, 30)]
    answered = desk.factors(MANAGER)
    assert {factor for cause, factor in answered if cause < place} == {3}
    assert {factor for cause, factor in answered if cause > place} == {30}
    assert desk.wrong() == ([], [])


async def test_one_that_was_away_during_two_changes_runs_with_what_is_on_disk(desk):
    """The first was agreed upon, the second is only on disk: both count, each from its place on."""
    await desk.open()
    await desk.alive.pop(MANAGER).stop()
    desk.write(NEW)
    await desk.trade_until(lambda: desk.runs_with(NEW))
    newest = {**NEW, MANAGER: {"factor": 300}, STRATEGIES: {"factor": 0}}
    desk.write(newest)
    await desk.trade_until(lambda: "refuses it" in desk.alive[GATE].status.config_error)
    await desk.begin(MANAGER)
    await desk.trade_on(5)
    await desk.heard()
    assert [factor for _, factor in desk.changes(MANAGER)] == [3, 30, 300]
    assert desk.changes(MANAGER)[1][0] == desk.reloads()[0] + 1


async def test_a_gate_that_starts_does_not_wait_for_the_others(desk):
    """They hold back a lowered cap; started again, the gate has it at once: never looser than what is on disk."""
    await desk.open()
    desk.write({GATE: {"factor": 5}, STRATEGIES: {"factor": 0}})
    await desk.trade_until(lambda: "refuses it" in desk.alive[GATE].status.config_error)
    await desk.alive[GATE].stop()
    await desk.trade_on(3)
    await desk.begin(GATE)
    await desk.heard()
    assert [factor for _, factor in desk.factors(GATE)][-3:] == [5, 5, 5]


async def test_one_that_is_dead_holds_nobody_back_for_long(tmp_path, code):
    """Killed and not started again: once its lease is over, the others change without it."""
    now = [10**18]
    desk = Desk(tmp_path, lambda: now[0])
    try:
        await desk.open()
        await desk.alive.pop(MANAGER).kill()
        desk.write(NEW)
        await desk.trade_until(lambda: f"{MANAGER}.main" in desk.alive[GATE].status.config_error)
        assert desk.reloads() == []
        now[0] += 3_001_000_000
        for process in desk.alive.values():
            await process.committer.renew()
        await desk.trade_until(lambda: desk.runs_with(NEW))
    finally:
        await desk.close()


async def test_a_start_reads_the_files_when_it_begins_to_work(desk):
    """A process may stand by for long: what it has read before is not what it starts with."""
    desk.write(OLD)
    process = desk.process(stamping(GATE), OLD[GATE])
    desk.write(NEW)
    await process.start()
    assert [factor for _, factor in desk.changes(GATE)] == [10]


async def test_a_start_on_files_that_are_wrong_by_then_keeps_what_is_recorded(desk):
    """What was right when the process was made was never agreed upon, and what is there now cannot be read."""
    await desk.open(GATE)
    await desk.alive[GATE].stop()
    process = desk.process(stamping(GATE), NEW[GATE])
    desk.write({GATE: {"factor": 0}})
    await process.start()
    assert [factor for _, factor in desk.changes(GATE)] == [1]
    assert "factor is 0" in process.status.config_error


# -- whatever fails


@pytest.mark.parametrize("name", [GATE, STRATEGIES])
@pytest.mark.parametrize("kind", ["kill before", "kill after", "lost before", "lost after"])
async def test_a_fault_at_any_commit_ends_with_all_on_one_configuration(tmp_path, code, name, kind):
    """Whoever fails at whichever commit behind the change, all end with the new configuration, and parity is 0."""
    for at in range(1, 12):
        desk = Desk(tmp_path / str(at))
        try:
            assert await one_faulty_change(desk, name, kind, at)
        finally:
            await desk.close()


async def one_faulty_change(desk, name, kind, at):
    await desk.open()
    await desk.trade_on(3)
    await desk.heard()
    process = desk.alive[name]
    faults = Faults(at, Crash() if kind.startswith("kill") else lost())
    setattr(process.cell, kind.split()[1], faults)
    desk.write(NEW)
    while not (desk.runs_with(NEW) and faults.left <= 0) and desk.trades < 60:
        await desk.trade_on()
        await asyncio.sleep(0.001)
        await revive(desk, name)
    if kind.startswith("kill"):
        await process.ended()
    await revive(desk, name)
    await eventually(lambda: desk.runs_with(NEW))
    await desk.trade_on(3)
    await desk.heard()
    await desk.leave()
    places = [place + 1 for place in desk.reloads()]
    for other in SAID:
        assert [factor for _, factor in desk.changes(other)] == [OLD[other]["factor"], NEW[other]["factor"]]
        if other != name or kind.startswith("lost"):
            assert desk.changes(other)[1][0] in places
        assert {factor for cause, factor in desk.factors(other) if cause > places[-1]} == {NEW[other]["factor"]}
    assert desk.wrong() == ([], [])
    return faults.left <= 0


async def revive(desk, name):
    """Start a service again if it has been killed."""
    task = desk.alive[name].task
    if task.done():
        assert isinstance(task.exception(), Crash)
        await desk.begin(name)


# -- a recorded configuration that the code cannot run with


def renamed(name=GATE):
    """The service after a setting has got another name."""

    def build(content):
        if "times" not in content:
            raise ConfigError("times is missing")
        return Stamp(name, {"factor": content["times"]})

    return replace(stamping(name), build=build)


@pytest.mark.parametrize("ended", ["stop", "kill"])
async def test_code_that_refuses_the_recorded_configuration_runs_with_the_present_one(desk, ended):
    """A setting was renamed: the service keeps its memory, and parity goes on from the segment that begins."""
    await desk.open(GATE)
    before = await desk.alive[GATE].cell.saved_state(f"{GATE}.main")
    await desk.trade_on(5)
    await desk.heard()
    await getattr(desk.alive[GATE], ended)()
    if ended == "kill":
        desk.server.data.states[f"{GATE}.main"] = before  # the five trades are to be handled again
    await desk.trade_on(2)
    started = await desk.process(renamed(), {"times": 7}).start()
    await desk.trade_on(3)
    await eventually(lambda: len(desk.lines(SAID[GATE])) == 10)
    await started.stop()
    assert [factor for _, factor in desk.factors(GATE)] == [1] * 5 + [7] * 5
    sessions = [codec.decode(line, SessionStarted) for line in desk.lines(f"control.session.{GATE}.main")]
    assert [session.new_segment for session in sessions] == [False, True]
    assert codec.decode_json(desk.server.data.states[f"{GATE}.main"].state)["handler"] == {"count": 10}
    run = executed(desk, renamed())
    assert (run.differences, run.compared) == ([], 5 + 1)  # five answers behind the new segment, and the last memory
    assert run.left_out == [f"from 1 on: {GATE}.main cannot run with its recorded configuration: times is missing"]


@pytest.mark.parametrize("refused", ["recorded and agreed", "agreed"])
async def test_a_change_agreed_upon_under_other_code_does_not_stop_a_service(desk, refused):
    """It was away meanwhile and comes back with code that needs another setting: it runs with what is on disk."""
    await desk.open(GATE, STRATEGIES)
    await desk.alive.pop(STRATEGIES).stop()
    desk.write(NEW)
    await desk.trade_until(lambda: desk.runs_with(NEW))
    later = renamed(STRATEGIES)
    if refused == "agreed":  # 2 was recorded, 20 was agreed upon
        later = replace(
            later, build=lambda content: Stamp(STRATEGIES, {"factor": content.get("times") or content["factor"] % 20})
        )
    await desk.process(later, {"times": 7}).start()
    await desk.trade_on()
    await eventually(lambda: len(desk.lines(SAID[STRATEGIES])) == desk.trades)
    assert {factor for _, factor in desk.factors(STRATEGIES)} == {7}
    sessions = [codec.decode(line, SessionStarted) for line in desk.lines(f"control.session.{STRATEGIES}.main")]
    assert sessions[-1].new_segment is (refused != "agreed")


async def test_a_configuration_recorded_in_the_last_moment_by_other_code(desk):
    """Killed right behind its first record: the next one begins a new segment, and parity goes on from there."""
    first = desk.process(stamping(GATE), OLD[GATE])
    first.cell.after = Faults(1, Crash())
    first.run()
    assert isinstance(await first.ended(), Crash)
    started = await desk.process(renamed(), {"times": 7}).start()
    await desk.trade_on(3)
    await eventually(lambda: len(desk.lines(SAID[GATE])) == 3)
    await started.stop()
    [session] = [codec.decode(line, SessionStarted) for line in desk.lines(f"control.session.{GATE}.main")]
    assert session.new_segment
    run = executed(desk, renamed())
    assert (run.differences, run.compared) == ([], 3 + 1)


async def test_a_record_that_ends_where_it_cannot_be_executed_proves_nothing(desk):
    """Only the old part is there: that is a difference, not silence."""
    await desk.open(GATE)
    await desk.trade_on(5)
    await desk.heard()
    await desk.alive[GATE].stop()
    run = executed(desk, renamed())
    [difference] = run.differences
    assert (difference.instance, run.compared) == (f"{GATE}.main", 0)
    assert "times is missing" in difference.executed


def executed(desk, service):
    topic = f"md.trades.{BTC}"
    (desk.journals / "md.trades.BTCUSDT.ndjson").write_bytes(b"".join(line + b"\n" for line in desk.lines(topic)))
    run = Reexecution([service], read_record([desk.journals]).lines)
    run.run()
    return run


# -- plugins


def test_a_plugin_that_cannot_be_loaded_again_is_refused_until_it_can(tmp_path, monkeypatch):
    """Looked at twice, it is wrong twice; the code that is recorded is the code that is loaded."""
    file = tmp_path / "hot_plugin.py"
    file.write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    hot_plugin = importlib.import_module("hot_plugin")

    settings = Settings(GATE, lambda: {GATE: {}}, lambda content: None, plugins=lambda content: ["hot_plugin"])
    first = settings.code_hash({})
    file.write_text("VALUE = (\n")
    for _ in range(2):
        assert not settings.changed()
        assert "hot_plugin cannot be loaded again" in settings.complaint
        assert settings.code_hash({}) == first
    file.write_text("VALUE = 22\n")
    assert settings.changed()
    assert (settings.complaint, hot_plugin.VALUE) == ("", 22)
    assert settings.code_hash({}) != first
