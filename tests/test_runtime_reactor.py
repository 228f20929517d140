"""The shell around a handler: nothing lost, nothing doubled, whatever happens to process, connection or server."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from backtest.journals import read_record
from backtest.reexecution import Reexecution
from core import codec
from core.bus import item_for
from core.contracts import ConfigChanged, DeadLetter, Halt, OrderIntent, Resume, SessionStarted, StateObserved
from core.errors import (
    CellMissing,
    ConfigError,
    EpochChanged,
    HistoryForked,
    LeaseLost,
    ReplayMismatch,
    SequenceGap,
)
from core.runner import Item
from core.runtime.committer import Committer
from core.runtime.reactor import FLUSH_ITEMS, Timing
from core.sequencer.memory import MemoryCell
from tests.contract.test_cell import Instance
from tests.runtime_lab import QUICK, Crash, Faults, Lab, OtherTally, Tally, counted, eventually, intent, lost, tally

ME = "risk_engine.main"


@pytest.fixture
def code(monkeypatch):
    """The hash of the code as the shells see it; a test may change it."""
    now = ["code-1"]

    class Code:
        def __init__(self, plugins):
            self.reload(plugins)

        def reload(self, plugins):
            self.hash = now[0]

        def hash_with(self, plugins):
            return now[0]

    monkeypatch.setattr("core.runtime.observers.LoadedCode", Code)
    return now


@pytest.fixture
async def lab(tmp_path, code):
    made = Lab(tmp_path)
    yield made
    await made.close()


def sessions(lab):
    return [codec.decode(line, SessionStarted) for line in lab.lines(f"control.session.{ME}")]


def reexecuted(lab):
    """How much of the journals was compared, and what differs from what the handler makes of them now."""
    record = read_record([lab.journals])
    run = Reexecution([tally()], record.lines)
    run.run()
    own = [finding for finding in record.findings if not finding.what.startswith("missing")]
    return run.compared, run.differences, own


class Scripted:
    """A watch whose world is a list of words."""

    before = ("strat.intent",)

    def __init__(self, word="open"):
        self.word, self.known, self.asked = word, None, 0

    def careful(self):
        return False

    async def observe(self, before_seq, coming):
        self.asked += 1
        if self.word == self.known:
            return None
        kind = Halt if self.word.startswith("halt") else Resume
        return kind(ME, self.word, before_seq)

    def told(self, event):
        if isinstance(event, (Halt, Resume)):
            self.known = event.reason


# -- restarts


async def test_an_orderly_restart_goes_on_where_it_was(lab):
    """After a stop nothing has to be handled again, and the count goes on."""
    first = await lab.process().start()
    await lab.send(3)
    await lab.decided(3)
    await first.stop()
    await (await lab.process().start()).stop()
    await lab.send(1)
    await lab.process().start()
    await lab.decided(4)
    assert lab.decisions() == counted(1, 4)
    assert [session.replayed for session in sessions(lab)] == [0, 0, 0]


async def test_a_killed_process_handles_its_inputs_again_and_publishes_nothing_twice(lab):
    """Decisions whose memory was not saved are worked out again, in silence, and the count goes on."""
    first = await lab.process().start()
    for number in range(1, 6):
        await lab.send()
        await lab.decided(number)
    saved = json.loads((await lab_state(lab)).state)["handler"]["count"]
    await first.kill()
    await lab.process().start()
    await lab.send()
    await lab.decided(6)
    assert lab.decisions() == counted(1, 6)
    assert sessions(lab)[-1].replayed == 5 - saved
    assert not sessions(lab)[-1].new_segment


async def lab_state(lab):
    await lab.processes[0].cell.ping()
    return await lab.processes[0].cell.saved_state(ME)


async def crash_with_replay_due(lab, service=None):
    """A process killed with three decisions behind the start of its memory."""
    process = await lab.process(service).start()
    before = await process.cell.saved_state(ME)
    await lab.send(3)
    await lab.decided(3)
    await process.kill()
    lab.server.data.states[ME] = before


async def test_a_handler_that_changed_its_mind_is_stopped(lab):
    """Same code, same configuration, other answers: it may not go on."""
    await crash_with_replay_due(lab)
    with pytest.raises(ReplayMismatch, match="does not repeat itself"):
        await lab.process(tally(OtherTally)).start()
    assert lab.decisions() == counted(1, 3)


async def test_changed_code_opens_a_new_segment(lab, code):
    """Other code may answer otherwise; the record says from where on."""
    await crash_with_replay_due(lab)
    code[0] = "code-2"
    await lab.process(tally(OtherTally)).start()
    await lab.send()
    await lab.decided(4)
    assert lab.decisions() == [*counted(1, 3), ("i-4", "1004")]
    assert sessions(lab)[-1].new_segment


@pytest.mark.parametrize("now", ["code-1", "code-2"])
async def test_one_told_to_leave_while_it_recovers_keeps_nothing_of_that(lab, code, now):
    """Half a repetition is neither a mismatch nor a place to go on from: i-4 to i-6 are not decided again."""
    first = await lab.process().start()
    first.reactor._state_due = float("inf")
    await lab.send(6)
    await lab.decided(6)
    await first.kill()
    code[0] = now

    class Leaving(Tally):
        def on_event(self, event, at):
            if isinstance(event, OrderIntent) and event.intent_id == "i-3":
                second.shell.stop()
            return super().on_event(event, at)

    second = lab.process(tally(Leaving))
    second.run()
    assert await second.ended() is None
    await lab.process().start()
    await lab.send()
    await lab.decided(7)
    assert lab.decisions() == counted(1, 7)


async def test_a_service_new_to_a_cell_does_not_act_on_history(lab):
    """What was published before it existed is not traded upon."""
    await lab.bus.publish_json("strat.intent", intent(0))
    await lab.process().start()
    await lab.send()
    await lab.decided(1)
    assert lab.decisions() == counted(1, 1)


@pytest.mark.parametrize("kind", ["kill before", "kill after", "lost before", "lost after"])
async def test_a_fault_at_any_commit_changes_nothing(tmp_path, code, kind):
    """Whichever commit fails, in whatever way, every intent gets its one decision and the count is right."""
    at = 0
    reached = True
    while reached:
        at += 1
        lab = Lab(tmp_path / str(at))
        try:
            reached = await one_faulty_run(lab, kind, at)
        finally:
            await lab.close()
    assert at > 6  # the first commits are configuration, session and state; decisions follow


async def one_faulty_run(lab, kind, at):
    faults = Faults(at, Crash() if kind.startswith("kill") else lost())
    process = lab.process(watches=[Scripted()])
    setattr(process.cell, kind.split()[1], faults)
    process.run()
    for number in range(1, 5):
        process = await alive(lab, process)
        await lab.send()
        await lab.decided(number)
        process = await alive(lab, process)
        await lab.decided(number)
    process.shell.stop()
    await process.ended()
    await (await lab.process(watches=[Scripted()]).start()).stop()
    assert lab.decisions("count", "told") == [(*one, "open") for one in counted(1, 4)]
    compared, differences, findings = reexecuted_own(lab)
    assert (compared >= 4, differences, findings) == (True, [], [])
    return faults.left <= 0


async def alive(lab, process):
    """The process once it is live, or its successor if it has been killed."""
    await eventually(lambda: process.status.state == "live" or process.task.done())
    if not process.task.done():
        return process
    assert isinstance(process.task.exception(), Crash)
    return await lab.process(watches=[Scripted()]).start()


def reexecuted_own(lab):
    """As `reexecuted`, over journals that also hold the intents and trades."""
    for topic in ("strat.intent", "md.trades.BTC/USDT"):
        name = topic.replace("/", "") + ".ndjson"
        (lab.journals / name).write_bytes(b"".join(line + b"\n" for line in lab.lines(topic)))
    return reexecuted(lab)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_connection_lost_during_recovery_starts_the_recovery_over(lab, when, at):
    """Inputs are handled again from the saved memory, not from where the first attempt got to."""
    await crash_with_replay_due(lab)
    process = lab.process()
    setattr(process.cell, when, Faults(at, lost()))
    await process.start()
    await lab.send()
    await lab.decided(4)
    assert lab.decisions() == counted(1, 4)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_mirror_is_told_of_everything_that_was_committed(lab, when):
    """Also of a commit whose answer came only with the next connection."""
    process = await lab.process().start()
    setattr(process.cell, when, Faults(1, lost()))
    await lab.send(2)
    await lab.decided(2)
    await eventually(lambda: sum(item.type == "RiskDecision" for item in process.mirrored) >= 2)
    assert [item.body for item in process.mirrored if item.type == "RiskDecision"] == [
        codec.body_of(line) for line in lab.lines("risk.decisions")
    ]


# -- observations


async def test_what_a_shell_observes_is_recorded_before_the_handler_acts_on_it(lab):
    """An observation has its number and names the input it came before; the answer to that input shows it."""
    world = Scripted("open")
    process = await lab.process(watches=[world]).start()
    await lab.send()
    await lab.decided(1)
    world.word = "halt: drill"
    await lab.send()
    await lab.decided(2)
    await process.stop()
    assert lab.decisions("told") == [("i-1", "open"), ("i-2", "halt: drill")]
    halt = codec.decode(lab.lines(f"control.halt.{ME}")[0], Halt)
    second = codec.header_of(lab.lines("strat.intent")[1]).seq
    assert halt.before_seq <= second
    assert reexecuted_own(lab)[1:] == ([], [])


async def test_a_long_batch_is_not_decided_on_an_old_look(lab):
    """200 intents arrive at once; the switch trips while the first decisions are committed and stops the rest."""
    world = Scripted("open")
    process = await lab.process(watches=[world]).start()

    def trip(commit):
        if any(item.type == "RiskDecision" for item in commit.items):
            world.word = "halt: drill"

    process.cell.before = trip
    sender = await Instance(MemoryCell(lab.server), "bus.batch").start(register=False)
    await sender.commit(*[item_for("strat.intent", intent(number)) for number in range(1, 201)])
    await lab.decided(200)
    told = [said for _, said in lab.decisions("told")]
    assert told == ["open"] * FLUSH_ITEMS + ["halt: drill"] * (200 - FLUSH_ITEMS)


async def test_an_observation_is_heard_again_at_its_place(lab):
    """Killed behind an observation, the next process hears it between the same two inputs."""
    world = Scripted("open")
    process = await lab.process(watches=[world]).start()
    before = await process.cell.saved_state(ME)
    await lab.send(2)
    await lab.decided(2)
    world.word = "halt: drill"
    await lab.send(2)
    await lab.decided(4)
    await process.kill()
    lab.server.data.states[ME] = before
    await lab.process(watches=[Scripted("halt: drill")]).start()
    await lab.send()
    await lab.decided(5)
    assert lab.decisions("count", "told") == [
        ("i-1", "1", "open"), ("i-2", "2", "open"), ("i-3", "3", "halt: drill"), ("i-4", "4", "halt: drill"),
        ("i-5", "5", "halt: drill"),
    ]  # fmt: skip


async def test_an_observation_recorded_in_the_last_moment_is_not_overtaken_by_a_new_configuration(lab):
    """Killed right behind a halt, started with another configuration: the halt is heard first, as the record says."""
    world = Scripted("open")
    process = await lab.process(watches=[world]).start()
    await lab.send()
    await lab.decided(1)
    world.word = "halt: drill"
    process.cell.after = lambda commit: _raise_on(commit, "Halt")
    await lab.send()
    assert isinstance(await process.ended(), Crash)
    again = await lab.process(content={"factor": 10}, watches=[Scripted("halt: drill")]).start()
    await lab.decided(2)
    await again.stop()
    assert lab.decisions("count", "told") == [("i-1", "1", "open"), ("i-2", "20", "halt: drill")]
    assert reexecuted_own(lab)[1:] == ([], [])


def _raise_on(commit, kind):
    if any(item.type == kind for item in commit.items):
        raise Crash


# -- configuration


async def test_a_changed_configuration_is_taken_up_without_a_restart(lab):
    """The new factor counts from one intent to the next; the count itself is kept."""
    process = await lab.process(content={"factor": 1}).start()
    await lab.send(2)
    await lab.decided(2)
    process.write({"factor": 10})
    await eventually(lambda: len(lab.lines(f"control.config.{ME}")) == 2)
    await lab.send()
    await lab.decided(3)
    await process.stop()
    assert lab.decisions() == [("i-1", "1"), ("i-2", "2"), ("i-3", "30")]
    assert codec.decode(lab.lines(f"control.config.{ME}")[-1], ConfigChanged).content == {"factor": 10}
    assert reexecuted_own(lab)[1:] == ([], [])


async def test_a_wrong_configuration_is_refused_and_the_old_one_stays(lab):
    """A file that does not fit is reported; trading goes on with what was read before, and a right one is taken."""

    def picky(content):
        if content.get("factor", 1) < 1:
            raise ConfigError("factor is 0; allowed: 1 or more")
        return tally().build(content)

    process = await lab.process(replace(tally(), build=picky)).start()
    process.write({"factor": 0})
    await lab.send(2)
    await lab.decided(2)
    process.write({"factor": 10})
    await eventually(lambda: len(lab.lines(f"control.config.{ME}")) == 2)
    await lab.send()
    await lab.decided(3)
    assert lab.decisions() == [("i-1", "1"), ("i-2", "2"), ("i-3", "30")]


async def test_new_inputs_are_heard_from_the_change_on_without_a_hole(lab):
    """Trades published while the subscription changes are all heard, those before the change are not."""
    process = await lab.process(content={"inputs": ["strat.intent"]}).start()
    await lab.trade(1)
    await lab.send()
    await lab.decided(1)
    process.write({"inputs": ["strat.intent", "md.trades.*"]})
    stamp = 10
    while len(lab.lines(f"control.config.{ME}")) < 2:
        stamp += 1
        await lab.trade(stamp)
        await asyncio.sleep(0)
    for _ in range(20):
        stamp += 1
        await lab.trade(stamp)
        await asyncio.sleep(0)
    await lab.send()
    await lab.decided(2)
    await process.stop()
    change = codec.decode(lab.lines(f"control.config.{ME}")[1], ConfigChanged).before_seq
    behind = [line for line in lab.lines(f"md.trades.{'BTC/USDT'}") if codec.seq_of(line) >= change]
    assert len(behind) >= 20
    assert lab.decisions("trades") == [("i-1", "0"), ("i-2", str(len(behind)))]
    assert lab.decisions("market_ns")[1] == ("i-2", str(stamp))


async def test_an_input_given_up_and_taken_up_again_is_no_gap(lab):
    """What was published on it in between was not asked for, and nothing is missing."""
    process = await lab.process(content={"inputs": ["strat.intent", "md.trades.*"]}).start()
    await lab.trade(1)
    await lab.send()
    await lab.decided(1)
    process.write({"inputs": ["strat.intent"]})
    await eventually(lambda: len(lab.lines(f"control.config.{ME}")) == 2)
    await lab.trade(2)
    await lab.send()
    await lab.decided(2)
    process.write({"inputs": ["strat.intent", "md.trades.*"]})
    await eventually(lambda: len(lab.lines(f"control.config.{ME}")) == 3)
    await lab.trade(3)
    await lab.send()
    await lab.decided(3)
    assert lab.decisions("trades") == [("i-1", "1"), ("i-2", "1"), ("i-3", "2")]
    assert process.status.reconnects == 0


# -- bad input


DEEP = b'{"a":' + b"[" * 100_000


@pytest.mark.parametrize(
    "raw",
    [b"", b"hello", b"[]", b"{", b'{"price":1}', b'{"_seq":"one"}', b"\xff\xfe", b"null", DEEP],
    ids=["empty", "word", "list", "torn", "headerless", "header", "bytes", "null", "deep"],
)
async def test_what_is_no_line_is_put_aside_and_counted(lab, raw):
    """Somebody publishes by hand: a dead letter keeps it, and intents before and behind it are decided."""
    process = await lab.process().start()
    await lab.send()
    lab.server.publish("strat.intent", raw)
    await lab.send()
    await lab.decided(2)
    await eventually(lambda: process.status.dead_letters == 1)
    letter = codec.decode(lab.lines(f"control.dead_letter.{ME}")[0], DeadLetter)
    assert (letter.topic, letter.raw[:20]) == ("strat.intent", raw[:20].decode("utf-8", "backslashreplace"))
    assert lab.decisions() == counted(1, 2)


async def test_a_line_that_is_not_its_event_is_put_aside_and_the_handler_is_told(lab):
    """A sequenced line of a broken intent: one dead letter with its cause, and the handler counts it."""
    process = await lab.process().start()
    cell = lab.process().cell
    await cell.connect()
    stranger = Committer(cell, "stranger.x", 3000, register=False)
    await stranger.join(await cell.meta())
    await stranger.commit([Item("strat.intent", "OrderIntent", 0, 0, 0, b'{"intent_id":"i-x","qty":"NaN"}')])
    lab.processes.pop()
    await lab.send()
    await lab.decided(1)
    await process.stop()
    assert lab.decisions("count", "broken") == [("i-1", "1", "1")]
    assert process.status.dead_letters == 1
    assert codec.header_of(lab.lines(f"control.dead_letter.{ME}")[0]).cause == 4 + 1
    assert reexecuted_own(lab)[1:] == ([], [])


# -- gaps and other histories


async def test_a_message_lost_on_a_live_connection_is_fetched_from_the_stream(lab):
    """The chain of numbers shows the hole; the service connects again and misses nothing."""
    process = await lab.process().start()
    await lab.send()
    await lab.decided(1)
    publish, lab.server.publish = lab.server.publish, lambda topic, line: None
    await lab.send()
    lab.server.publish = publish
    await lab.send()
    await lab.decided(3)
    assert lab.decisions() == counted(1, 3)
    assert process.status.reconnects == 1


async def test_inputs_that_the_stream_has_dropped_stop_the_service(lab):
    """What cannot be handled must not be passed over."""
    process = await lab.process().start()
    await lab.send()
    await lab.decided(1)
    await process.stop()
    await lab.send(3)
    del lab.server.data.streams["strat.intent"][1]
    with pytest.raises(SequenceGap, match=r"strat\.intent"):
        await lab.process().start()


async def test_a_server_with_older_data_stops_everybody(lab):
    """One of the two has seen what the server has lost; both end, and the cell stays closed."""
    ahead = await lab.process().start()
    behind = await lab.process(tally(name="portfolio_manager"), {"inputs": ["md.ticker.*"]}).start()
    await lab.send()
    await lab.decided(1)
    disk = lab.server.copy_of_disk()
    await lab.send(2)
    await lab.decided(3)
    lab.server.restart(disk)
    ends = [await process.ended() for process in (ahead, behind)]
    assert [type(end) for end in ends] == [HistoryForked, HistoryForked]
    assert "njord_restore" in str(ends[1])
    assert lab.server.data.forked
    with pytest.raises(HistoryForked):
        await lab.process().start()


async def test_a_restored_cell_refuses_a_process_from_before(lab):
    """The epoch has changed under it: it must be started again."""
    process = await lab.process().start()
    disk = lab.server.copy_of_disk()
    disk.epoch += 1
    lab.server.restart(disk)
    assert isinstance(await process.ended(), EpochChanged)


async def test_an_empty_server_beside_journals_is_no_new_beginning(lab):
    """Journals prove that there was a history: only njord_restore may give it back."""
    process = await lab.process().start()
    await lab.send()
    await lab.decided(1)
    await process.stop()
    lab.server.restart(type(lab.server)().copy_of_disk())
    with pytest.raises(CellMissing, match="njord_restore"):
        await lab.process().start()


# -- who may run


async def test_another_host_stands_by_and_takes_over_when_the_lease_runs_out(tmp_path, code):
    """The first host hangs; the second waits until the lease is over; the first finds out and ends."""
    now = [10**18]
    lab = Lab(tmp_path, lambda: now[0])
    try:
        first = await lab.process().start()
        await lab.send()
        await lab.decided(1)
        first.cell.gate.clear()
        second = lab.process(host="h2")
        second.run()
        await eventually(lambda: second.status.state == "waiting")
        assert "running on h1" in second.status.detail
        now[0] += 2_999_000_000
        tried = second.cell.acquired
        await eventually(lambda: second.cell.acquired >= tried + 2)
        assert second.status.state == "waiting"
        now[0] += 2_000_000
        await eventually(lambda: second.status.state == "live")
        await lab.send()
        await lab.decided(2)
        first.cell.gate.set()
        assert isinstance(await first.ended(), LeaseLost)
        assert lab.decisions() == counted(1, 2)
    finally:
        await lab.close()


async def test_one_executor_per_account(lab):
    """A second venue of the same account waits, whatever it is called, until the first has left."""
    paper = await lab.process(tally(name="paper_trader", exclusive="executor:main")).start()
    live = lab.process(tally(name="broker", exclusive="executor:main"), host="h2")
    live.run()
    await eventually(lambda: live.status.state == "waiting")
    assert "executor:main is running on h1" in live.status.detail
    other = await lab.process(tally(name="portfolio_manager", exclusive="executor:second"), host="h2").start()
    await paper.stop()
    await eventually(lambda: live.status.state == other.status.state == "live")


# -- leaving


async def test_it_leaves_in_order_with_everything_in_the_journals(lab):
    """After a stop the journals end with the memory, and the lease is free for any host."""
    process = await lab.process().start()
    await lab.send(3)
    await lab.decided(3)
    await process.stop()
    states = lab.lines(f"control.state.{ME}")
    assert codec.decode(states[-1], StateObserved).state["handler"]["count"] == 3
    for topic in ("risk.decisions", f"control.state.{ME}"):
        assert (lab.journals / f"{topic}.ndjson").read_bytes() == b"".join(line + b"\n" for line in lab.lines(topic))
    await lab.process(host="h2").start()


async def test_it_leaves_although_the_server_is_away(lab):
    """A stop while nobody answers ends the process all the same."""
    process = await lab.process().start()
    lab.server.stop()
    await eventually(lambda: process.status.state == "waiting")
    await process.stop()
    assert process.task.done()


@pytest.mark.parametrize("frozen", ["while live", "before it was live"])
async def test_it_leaves_although_the_server_hangs(lab, frozen):
    """A server that takes connections and never answers cannot hold a process that was told to leave."""
    process = lab.process(pulse=replace(QUICK, silence=0.2, leave=0.2))
    if frozen == "while live":
        await process.start()
        process.cell.gate.clear()
    else:
        process.cell.gate.clear()
        process.run()
        await asyncio.sleep(0)
    await process.stop()
    assert process.task.done()


async def test_it_leaves_although_the_server_hangs_over_trimming(lab):
    """Whatever the heartbeat waits for, silence is noticed."""
    process = lab.process(pulse=replace(QUICK, trim=0.01, silence=0.02, leave=0.1))
    hangs = asyncio.Event()

    async def trim(topics, keep):
        hangs.set()
        await asyncio.Event().wait()

    process.cell.trim = trim
    await process.start()
    await lab.send()
    await hangs.wait()
    process.cell.gate.clear()
    await process.stop()


async def test_memory_is_saved_every_second_in_which_it_changed(lab, monkeypatch):
    """A clock that the test moves: unchanged memory is not saved again, changed memory is after one second."""
    clock = [100.0]

    class Clock:
        monotonic = staticmethod(lambda: clock[0])

    monkeypatch.setattr("core.runtime.reactor.time", Clock)
    process = await lab.process(timing=Timing(reload_s=1e9, watch_s=1e9)).start()

    async def saved():
        return (await process.cell.saved_state(ME)).n

    start = await saved()
    clock[0] += 1.0
    await lab.send()
    await lab.decided(1)
    first = await saved()
    assert first > start
    await lab.send()
    await lab.decided(2)
    assert await saved() == first
    clock[0] += 1.0
    await eventually(lambda: lab.server.data.states[ME].n > first)
    second = await saved()
    clock[0] += 5.0
    for _ in range(20):
        await asyncio.sleep(0.002)
    assert await saved() == second
    assert json.loads((await process.cell.saved_state(ME)).state)["handler"]["count"] == 2
