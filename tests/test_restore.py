"""njord_restore: from the journals back to a cell that goes on as if nothing had happened."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from backtest import parity
from backtest.journals import read_record
from backtest.restoration import cut_journals, plan
from core import codec
from core.errors import ConfigError, JournalError
from core.sequencer.memory import MemoryServer, _Instance
from core.sequencer.records import SavedState
from tests.trading_floor import INGEST, Floor, contents, market, recorded

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """The journals of a whole session with a kill in its middle."""
    return asyncio.run(recorded(tmp_path_factory.mktemp("session"), killed="risk_engine"))


@pytest.fixture
def journals(session, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(session, tmp_path / "journals")


def everything(folder):
    """All lines by number."""
    return {line.header.seq: line for line in read_record([folder]).lines}


def drop(folder, gone):
    """Take lines out of the journals."""
    for path in folder.glob("*.ndjson"):
        lines = path.read_bytes().splitlines()
        path.write_bytes(b"".join(line + b"\n" for line in lines if not gone(codec.seq_of(line))))


def loaded(content):
    """A server in memory that holds what njord_restore would load."""
    server = MemoryServer(lambda: server.data.seq * 1_000_000)
    data = server.data
    data.epoch, data.seq, data.ts_us = 2, content.seq, content.ts_ns // 1000
    data.streams = {name: [(codec.seq_of(line), line) for line in lines] for name, lines in content.streams.items()}
    data.last = dict(content.last)
    data.states = dict(content.states)
    for name, place in content.instances.items():
        data.instances[name] = _Instance(n=place.n, in_seq=place.in_seq, obs_seq=place.obs_seq)
    return server


def traded(folder):
    """What a session has come to: every fill and the last equity."""
    fills = [codec.payload_of(line) for line in (folder / "fills.BTCUSDT.ndjson").read_bytes().splitlines()]
    last = (folder / "portfolio.ndjson").read_bytes().splitlines()[-1]
    snapshot = codec.payload_of(last)
    return [(each["side"], each["qty"], each["price"]) for each in fills], snapshot["total_equity"]


def test_whole_journals_give_the_whole_history(session):
    """Nothing is cut; every topic ends where its journal ends, every instance stands where it stood."""
    planned = plan([session], [], {})
    lines = everything(session)
    assert (planned.content.seq, planned.cut, planned.journal_top) == (max(lines), [], max(lines))
    assert planned.content.ts_ns == lines[max(lines)].header.ts
    for topic, last in planned.content.last.items():
        assert last == max(seq for seq, line in lines.items() if line.topic == topic)
        assert codec.seq_of(planned.content.streams[topic][-1]) == last
    for name, place in planned.content.instances.items():
        assert place.n == max(line.header.n for line in lines.values() if line.header.src == name)


LINES = 118
ENDS = [pytest.param(end, marks=[] if end % 8 == 3 else pytest.mark.processes) for end in range(1, LINES)]
"""Every place; a sample of them among the fast tests."""


@pytest.mark.parametrize("end", ENDS)
async def test_whatever_was_saved_the_session_goes_on_from_there(session, journals, end):
    """Only the first lines have survived: restored, started again and fed the rest, it trades as if undisturbed."""
    assert max(everything(session)) == LINES
    drop(journals, lambda seq: seq > end)
    planned = plan([journals], [], {})
    assert planned.content.seq <= end
    cut_journals([journals], planned.content.seq)
    floor = Floor(journals.parent, server=loaded(planned.content))
    try:
        done = sum(line.header.src == INGEST for line in everything(journals).values()) if planned.content.seq else 0
        await floor.open()
        await floor.feed(market()[done:])
        await floor.leave()
    finally:
        await floor.close()
    report = parity.check([journals], contents())
    assert report.ok, parity.describe(report)
    assert traded(journals) == traded(session)


# -- what is cut


def multiple(lines, topic):
    """The first commit of several lines that begins on this topic."""
    return next(seq for seq, line in lines.items() if line.topic == topic and line.header.more)


def test_a_hole_ends_the_history_and_loses_no_line(journals):
    """Everything behind the missing line goes to side files; journals and side files together hold what there was."""
    lines = everything(journals)
    gone = len(lines) // 2
    drop(journals, lambda seq: seq == gone)
    planned = plan([journals], [], {})
    end = planned.content.seq
    assert end < gone
    assert [line.header.seq for line in planned.cut] == [seq for seq in lines if seq > end and seq != gone]
    moved = cut_journals([journals], end)
    assert moved == len(planned.cut)
    assert read_record([journals]).findings == []
    aside = [raw for path in journals.glob("*.cut") for raw in path.read_bytes().splitlines()]
    assert sorted(map(codec.seq_of, aside)) == [seq for seq in lines if seq > end and seq != gone]
    assert set(aside) <= {line.raw for line in lines.values()}


def test_a_commit_is_kept_whole_or_not_at_all(journals):
    """A decision without the order that was committed with it is cut as well."""
    lines = everything(journals)
    decision = multiple(lines, "risk.decisions")
    drop(journals, lambda seq: seq > decision)
    planned = plan([journals], [], {})
    assert planned.content.seq == decision - 1
    assert [line.header.seq for line in planned.cut] == [decision]
    assert "risk.decisions" not in planned.content.last


def test_the_server_fills_what_the_journals_have_not_got_yet(session, journals):
    """A crash between publishing and journalling: the server still holds the newest lines."""
    lines = everything(session)
    top = max(lines)
    drop(journals, lambda seq: seq > top - 12)
    held = [line for seq, line in lines.items() if seq > top - 30]
    planned = plan([journals], held, {})
    assert (planned.content.seq, planned.cut, planned.journal_top) == (top, [], top - 12)


def test_a_server_of_another_history_is_not_believed(session):
    """Its lines up to the first contradiction count, its memories not at all."""
    lines = everything(session)
    top = max(lines)
    held = list(lines.values())
    held[-1] = held[-1]._replace(raw=held[-1].raw.replace(b'"_n":', b'"_n":9'))
    foreign = {"risk_engine.main": SavedState(b'{"observed":0}', 3, 1)}
    planned = plan([session], held, foreign)
    assert planned.content.seq == top
    assert planned.content.states["risk_engine.main"] != foreign["risk_engine.main"]


def test_a_memory_of_what_is_cut_is_not_used(session, journals):
    """The server's memory may reflect outputs behind the hole; the one in the journals does not."""
    lines = everything(session)
    decision = multiple(lines, "risk.decisions")
    intent = lines[decision].header.cause
    drop(journals, lambda seq: seq == decision + 1)
    held = [line for seq, line in lines.items() if seq > decision + 1]
    later = {"risk_engine.main": SavedState(b'{"observed":0}', intent, lines[decision].header.n)}
    planned = plan([journals], held, later)
    assert planned.content.seq == decision - 1
    assert planned.content.instances["risk_engine.main"].in_seq < intent
    assert planned.content.states["risk_engine.main"].in_seq < intent


def test_memories_of_the_server_are_used_where_nothing_is_cut(session):
    """They are younger than those in the journals: less has to be handled again."""
    lines = everything(session)
    young = {"risk_engine.main": SavedState(b'{"observed":4}', max(lines), 10_000)}
    planned = plan([session], lines.values(), young)
    assert planned.content.states["risk_engine.main"] == young["risk_engine.main"]
    assert planned.content.instances["risk_engine.main"].n == 10_000


def test_journals_of_two_hosts_are_put_together(session, tmp_path):
    """A service that has moved left its older lines on the first host."""
    lines = everything(session)
    middle = len(lines) // 2
    for name, gone in (("h1", lambda seq: seq > middle), ("h2", lambda seq: seq <= middle)):
        shutil.copytree(session, tmp_path / name)
        drop(tmp_path / name, gone)
    planned = plan([tmp_path / "h1", tmp_path / "h2"], [], {})
    assert (planned.content.seq, planned.cut) == (max(lines), [])
    assert plan([tmp_path / "h1"], [], {}).content.seq <= middle
    with pytest.raises(ConfigError):
        plan([tmp_path / "h3"], [], {})


def test_journals_that_contradict_each_other_are_for_a_person(journals, tmp_path):
    """No program can know which of two different lines was published."""
    other = shutil.copytree(journals, tmp_path / "other")
    path = other / "fills.BTCUSDT.ndjson"
    path.write_bytes(path.read_bytes().replace(b'"side":"buy"', b'"side":"sell"', 1))
    with pytest.raises(JournalError, match="decide by hand"):
        plan([journals, other], [], {})


@pytest.mark.parametrize("junk", [b"hello", b"", b'{"_seq":}', b"\xff\xfe"])
def test_what_is_no_line_is_moved_aside(journals, junk):
    """A journal with junk in its middle is readable afterwards, and the junk is kept for whoever wants to look."""
    path = journals / "risk.decisions.ndjson"
    first, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + junk + b"\n" + b"".join(rest))
    planned = plan([journals], [], {})
    cut_journals([journals], planned.content.seq)
    assert read_record([journals]).findings == []
    assert (journals / "risk.decisions.cut").read_bytes() == junk + b"\n"
    assert path.read_bytes() == first + b"".join(rest)


def test_cutting_twice_adds_to_the_side_file(journals):
    """Nothing that was once set aside is overwritten by a second restore."""
    top = max(everything(journals))
    assert cut_journals([journals], top - 3) == 3
    assert cut_journals([journals], top - 3) == 0
    assert cut_journals([journals], top - 5) == 2
    aside = [raw for path in journals.glob("*.cut") for raw in path.read_bytes().splitlines()]
    assert sorted(map(codec.seq_of, aside)) == list(range(top - 4, top + 1))


def test_what_people_log_is_no_journal(journals):
    """app.ndjson is neither read nor cut."""
    (journals / "app.ndjson").write_text('{"event":"hello"}\n')
    planned = plan([journals], [], {})
    cut_journals([journals], planned.content.seq - 10)
    assert (journals / "app.ndjson").read_text() == '{"event":"hello"}\n'


def test_streams_hold_what_somebody_has_to_handle_again(session):
    """Every line behind the oldest memory, and the newest ones of every topic in any case."""
    lines = everything(session)
    content = plan([session], [], {}).content
    lowest = min(state.in_seq for state in content.states.values())
    for topic, stream in content.streams.items():
        assert {seq for seq, line in lines.items() if line.topic == topic and seq > lowest} <= set(
            map(codec.seq_of, stream)
        )
        assert [codec.seq_of(line) for line in stream] == sorted(map(codec.seq_of, stream))
