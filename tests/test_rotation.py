"""Journals in files of one day each: no line is lost, doubled or in the wrong day, whatever dies in between."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.run.archive import Note, prepare
from apps.run.summary import Chapter
from backtest import parity
from backtest.journals import read_record
from backtest.restoration import cut_journals, plan
from core import codec
from core.config import load_config
from core.contracts.moments import DAY_NS
from core.errors import HistoryForked, JournalError
from core.journal import last_lines
from core.journal_compression import compress, finished_files
from core.journal_files import files_of, journals_in, parse
from core.journal_lines import journal_lines, read_lines
from core.journal_retention import delete
from core.journal_rotation import RotatingJournal
from core.log_file import LogFile
from core.runtime.archive import Archive
from core.sequencer.memory import MemoryCell, MemoryServer
from tests.trading_floor import Floor, contents, market

ROOT = Path(__file__).resolve().parents[1]
SEP_30 = 1_759_190_400_000_000_000
"""2025-09-30T00:00:00Z: 20,361 days behind 1970."""
BARS = "ohlcv.1m.ATOMUSDT"


def line(seq: int, ts: int, pad: int = 0) -> bytes:
    """A sequenced line as the archive gets it, as long as needed."""
    return b'{"_seq":%d,"_ts":%d,"_prev":0,"x":"%s"}' % (seq, ts, b"x" * pad)


def names(folder: Path) -> list[str]:
    """The files of all journals."""
    return sorted(path.name for path in folder.iterdir() if parse(path))


def held(folder: Path, journal: str = BARS) -> list[bytes]:
    """Every line of a journal, oldest file first."""
    return [raw for _, _, raw in journal_lines(folder, journal)]


# -- days and sizes


def test_a_day_ends_with_the_first_line_of_the_next(tmp_path):
    """The last nanosecond of the 30th stays in its file; midnight UTC begins another. The names are the roadmap's."""
    journal = RotatingJournal(tmp_path, BARS)
    lines = [line(1, SEP_30), line(2, SEP_30 + DAY_NS - 1), line(3, SEP_30 + DAY_NS), line(4, SEP_30 + 3 * DAY_NS)]
    journal.write_lines(lines[:2])
    assert names(tmp_path) == ["ohlcv.1m.ATOMUSDT.ndjson"]
    journal.write_lines(lines[2:])
    journal.close()
    assert names(tmp_path) == [
        "ohlcv.1m.ATOMUSDT.20250930.ndjson", "ohlcv.1m.ATOMUSDT.20251001.ndjson", "ohlcv.1m.ATOMUSDT.ndjson",
    ]  # fmt: skip
    assert (tmp_path / "ohlcv.1m.ATOMUSDT.20250930.ndjson").read_bytes() == lines[0] + b"\n" + lines[1] + b"\n"
    assert journal.rotations == 2
    assert held(tmp_path) == lines


def test_a_file_that_would_be_too_large_is_finished_before_that_line(tmp_path):
    """Lines of 100 bytes with their newline, a limit of 250: two to a file, the parts of a day numbered."""
    journal = RotatingJournal(tmp_path, BARS, max_bytes=250)
    pad = 100 - len(line(1, SEP_30)) - 1
    lines = [line(seq, SEP_30 + seq, pad) for seq in range(1, 8)]
    assert {len(each) + 1 for each in lines} == {100}
    journal.write_lines(lines[:3])
    journal.write_lines(lines[3:])
    journal.close()
    assert [path.stat().st_size for path in sorted(tmp_path.iterdir())] == [200, 200, 200, 100]
    assert names(tmp_path) == [f"{BARS}.20250930.1.ndjson", f"{BARS}.20250930.2.ndjson",
                               f"{BARS}.20250930.ndjson", f"{BARS}.ndjson"]  # fmt: skip
    assert held(tmp_path) == lines


def test_a_file_that_is_exactly_full_stays(tmp_path):
    """The limit itself is allowed; a single line that is longer has a file of its own."""
    journal = RotatingJournal(tmp_path, BARS, max_bytes=200)
    pad = 100 - len(line(1, SEP_30)) - 1
    journal.write_lines([line(1, SEP_30, pad), line(2, SEP_30, pad)])
    assert journal.rotations == 0
    journal.write_lines([line(3, SEP_30, 1000)])
    journal.write_lines([line(4, SEP_30, pad)])
    journal.close()
    assert journal.rotations == 2
    assert [codec.seq_of(raw) for raw in held(tmp_path)] == [1, 2, 3, 4]


def test_parts_go_on_behind_those_that_are_compressed_or_gone(tmp_path):
    """A number that was used once is not used again: order would be lost."""
    (tmp_path / f"{BARS}.20250930.ndjson").write_bytes(line(1, SEP_30) + b"\n")
    (tmp_path / f"{BARS}.20250930.4.ndjson.gz").write_bytes(gzip.compress(line(2, SEP_30) + b"\n"))
    journal = RotatingJournal(tmp_path, BARS)
    journal.write_lines([line(3, SEP_30), line(4, SEP_30 + DAY_NS)])
    journal.close()
    assert (tmp_path / f"{BARS}.20250930.5.ndjson").exists()
    assert [codec.seq_of(raw) for raw in held(tmp_path)] == [1, 2, 3, 4]


def test_only_files_of_the_journal_count(tmp_path):
    """A journal whose name begins alike, a log, a folder, notes: none is touched, none changes a part's number."""
    others = ["portfolio.pnl_day.20250930.ndjson", "app.20250930.ndjson", "portfolio.20250930.notes", "portfolio.ndjso"]
    for name in others:
        (tmp_path / name).write_text("mine\n")
    journal = RotatingJournal(tmp_path, "portfolio")
    journal.write_lines([line(1, SEP_30), line(2, SEP_30 + DAY_NS)])
    journal.close()
    assert {path.name for path in tmp_path.iterdir()} == {*others, "portfolio.20250930.ndjson", "portfolio.ndjson"}
    assert {(tmp_path / name).read_text() for name in others} == {"mine\n"}


def test_what_is_no_line_is_refused(tmp_path):
    """Its day cannot be known."""
    journal = RotatingJournal(tmp_path, BARS)
    with pytest.raises(JournalError, match="no line: b'hello'"):
        journal.write_lines([b"hello"])
    (tmp_path / "x.ndjson").write_text("hello\n")
    with pytest.raises(JournalError, match=r"x\.ndjson"):
        RotatingJournal(tmp_path, "x")


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, DAY_NS), st.integers(0, 80), st.booleans()), min_size=1, max_size=40
    )
)
def test_any_lines_are_held_once_in_order_one_day_to_a_file(tmp_path_factory, steps):
    """Whole days and parts of days between lines of any length, in batches, over restarts."""
    folder = tmp_path_factory.mktemp("journals")
    journal = RotatingJournal(folder, BARS, max_bytes=200)
    ts, lines, batch = SEP_30, [], []
    for seq, (days, ns, pad, restart) in enumerate(steps, 1):
        ts += days * DAY_NS if days == 3 else ns
        batch.append(line(seq, ts, pad))
        lines.append(batch[-1])
        if restart:
            journal.write_lines(batch)
            batch = []
            journal.close()
            journal = RotatingJournal(folder, BARS, max_bytes=200)
    journal.write_lines(batch)
    journal.close()
    assert held(folder) == lines
    for file in files_of(folder, BARS):
        inside = list(read_lines(file.path))
        days = {datetime.fromtimestamp(codec.ts_of(raw) // 10**9, UTC).strftime("%Y%m%d") for raw in inside}
        assert len(inside) == 1 or file.path.stat().st_size <= 200
        assert len(days) == 1
        assert file.active or days == {file.day}


# -- a process that died in the middle of a rotation


@pytest.mark.parametrize("active", [None, b"", b'{"_seq":3,"_ts"'], ids=["none", "empty", "torn"])
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gz"])
def test_without_a_line_in_the_file_being_written_the_newest_dated_one_counts(tmp_path, active, compressed):
    """Killed between the rename and the first line behind it: the journal ends with line 2, and goes on with 3."""
    journal = RotatingJournal(tmp_path, BARS)
    journal.write_lines([line(1, SEP_30), line(2, SEP_30 + DAY_NS)])
    journal.close()
    newest = tmp_path / f"{BARS}.20251001.ndjson"
    (tmp_path / f"{BARS}.ndjson").rename(newest)
    if compressed:
        compress(newest)
    if active is not None:
        (tmp_path / f"{BARS}.ndjson").write_bytes(active)
    (last,) = last_lines(tmp_path)
    assert (last.file.day, last.line) == ("20251001", line(2, SEP_30 + DAY_NS))
    again = RotatingJournal(tmp_path, BARS)
    again.write_lines([line(3, SEP_30 + DAY_NS), line(4, SEP_30 + 2 * DAY_NS)])
    again.close()
    assert [codec.seq_of(raw) for raw in held(tmp_path)] == [1, 2, 3, 4]
    assert (tmp_path / f"{BARS}.20251001.1.ndjson").exists()


@pytest.mark.parametrize("opened_before", [False, True])
def test_a_journal_that_a_person_has_compressed_goes_on(tmp_path, opened_before):
    """`gzip fills.BTCUSDT.ndjson` while nothing ran: lines 1 and 2 are not hidden by the file that begins with 3."""
    packed = tmp_path / f"{BARS}.ndjson.gz"
    packed.write_bytes(gzip.compress(line(1, SEP_30) + b"\n" + line(2, SEP_30 + 1) + b"\n"))
    if opened_before:
        (tmp_path / f"{BARS}.ndjson").touch()
    journal = RotatingJournal(tmp_path, BARS)
    journal.write_lines([line(3, SEP_30 + 2)])
    journal.close()
    assert [codec.seq_of(raw) for raw in held(tmp_path)] == [1, 2, 3]
    assert names(tmp_path) == [f"{BARS}.20250930.ndjson.gz", f"{BARS}.ndjson"]


def test_a_compressed_copy_of_what_is_being_written_is_left_alone(tmp_path):
    """`gzip -k`: the same lines twice would be doubled lines."""
    journal = RotatingJournal(tmp_path, BARS)
    journal.write_lines([line(1, SEP_30)])
    journal.close()
    copy = tmp_path / f"{BARS}.ndjson.gz"
    copy.write_bytes(gzip.compress(line(1, SEP_30) + b"\n"))
    RotatingJournal(tmp_path, BARS).close()
    assert copy.exists()
    assert held(tmp_path) == [line(1, SEP_30)]


VANISHED = """
import os, sys
from pathlib import Path
from core.journal import last_lines
folder, gone = Path(sys.argv[1]), []

def move(event, args):
    if event == "open" and str(args[0]).endswith(".20251002.ndjson.gz") and not gone:
        gone.append(os.unlink(args[0]))

sys.addaudithook(move)
print([last.line for last in last_lines(folder)])
"""


def test_a_file_that_is_taken_away_while_the_end_is_looked_for(tmp_path):
    """Compressed, listed, and moved to an archive before it is opened: the folder is looked at again, nobody fails."""
    write = {"20251001": line(1, SEP_30 + DAY_NS) + b"\n", "20251002": b""}
    for day, content in write.items():
        (tmp_path / f"{BARS}.{day}.ndjson.gz").write_bytes(gzip.compress(content))
    done = subprocess.run(
        [sys.executable, "-c", VANISHED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (f"{[line(1, SEP_30 + DAY_NS)]}\n", "")


# -- a whole system


def _days_server() -> MemoryServer:
    """A server whose time makes a day of every thirty lines."""
    server = MemoryServer(lambda: SEP_30 + server.data.seq // 30 * DAY_NS + server.data.seq * 1_000_000)
    return server


async def _session(folder: Path) -> Floor:
    floor = await Floor(folder, server=_days_server()).open()
    events = market()
    await floor.feed(events[:20])
    for archive in (floor.archive, *(process.archive for process in floor.services.values())):
        await archive.tail()
    await floor.restart("risk_engine")
    await floor.feed(events[20:])
    await floor.leave()
    return floor


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Journals of a session of several days, one service killed in its middle."""

    async def play():
        floor = await _session(tmp_path_factory.mktemp("days"))
        await floor.close()
        return floor

    return asyncio.run(play())


@pytest.fixture
def journals(session, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(session.journals, tmp_path / "journals")


def pack(folder: Path) -> int:
    """Compress everything that is finished; how many files."""
    files = finished_files(folder, older_than_hours=0, now_ns=time.time_ns())
    return sum(compress(file.path) is not None for file in files)


def test_a_session_of_several_days_is_repeated_exactly_from_all_its_files(journals):
    """Parity is 0 over plain files, over compressed ones, over both of a file, and over an archive beside them."""
    files = journals_in(journals)
    assert len({file.day for each in files.values() for file in each}) >= 4
    plain = parity.check([journals], contents())
    assert plain.ok, parity.describe(plain)
    both = next(iter(finished_files(journals, older_than_hours=0, now_ns=time.time_ns()))).path
    kept = both.read_bytes()
    assert pack(journals) > 20
    both.write_bytes(kept)
    assert both.with_name(both.name + ".gz").exists()
    packed = parity.check([journals], contents())
    assert packed.ok, parity.describe(packed)
    assert (packed.lines, packed.files, packed.compared) == (plain.lines, plain.files, plain.compared)
    archive = journals.parent / "archive"
    archive.mkdir()
    for path in sorted(journals.glob("*.gz"))[:9]:
        path.rename(archive / path.name)
    both.unlink()
    assert parity.check([archive, journals], contents()).ok


async def test_a_rotated_and_compressed_journal_goes_on_after_a_restart(tmp_path):
    """Every service finds its place, also where nothing but compressed files is left of a journal."""
    floor = await _session(tmp_path)
    try:
        assert pack(floor.journals) > 20
        bare = floor.journals / "risk.decisions.ndjson"
        os.utime(bare)
        bare.rename(floor.journals / "risk.decisions.20261231.ndjson")
        assert pack(floor.journals) == 1
        for name in list(floor.services):
            await floor.start(name)
        await floor.bus.publish_json("alerts", {"n": 1})
        await floor.settle()
        for process in floor.services.values():
            await process.archive.tail()
            await process.stop()
    finally:
        await floor.close()
    record = read_record([floor.journals])
    assert record.findings == []
    assert len(record.lines) == floor.server.data.seq
    assert {codec.seq_of(raw) for topic in floor.server.data.streams for raw in floor.lines(topic)} <= {
        each.header.seq for each in record.lines
    }


async def test_a_fork_is_found_in_a_compressed_file(tmp_path):
    """The newest file of each journal is compared with the server, whatever its form; older ones are not read."""
    floor = await _session(tmp_path)
    await floor.close()
    bare = floor.journals / "risk.decisions.ndjson"
    changed = bare.read_bytes().replace(b'"limit":"30"', b'"limit":"31"')
    (floor.journals / "risk.decisions.20261231.ndjson.gz").write_bytes(gzip.compress(changed))
    bare.unlink()
    cell = MemoryCell(floor.server)
    await cell.connect()
    archive = Archive(cell, "risk_engine.main", floor.journals)
    assert not archive.is_empty()
    with pytest.raises(HistoryForked, match=r"risk\.decisions\.20261231\.ndjson\.gz"):
        await archive.compare()


@pytest.mark.parametrize("packed", [False, True])
def test_a_history_is_restored_from_all_its_files(journals, packed):
    """Cut in the middle of a finished day: files keep their form, side files hold the rest, nothing is lost."""
    before = {each.header.seq: each.raw for each in read_record([journals]).lines}
    if packed:
        pack(journals)
    top = max(before)
    assert plan([journals], [], {}).content.seq == top
    forms = {path.name for path in journals.iterdir()}
    end = top // 2
    assert cut_journals([journals], end) == top - end
    assert cut_journals([journals], end) == 0
    aside = [raw for path in journals.glob("*.cut") for raw in path.read_bytes().splitlines()]
    after = read_record([journals])
    assert {each.header.seq: each.raw for each in after.lines} == {seq: before[seq] for seq in range(1, end + 1)}
    assert {codec.seq_of(raw): raw for raw in aside} == {seq: before[seq] for seq in range(end + 1, top + 1)}
    assert len(aside) == top - end
    assert {path.name for path in journals.iterdir() if path.suffix != ".cut"} - forms <= {".journals.lock"}


def test_a_cut_leaves_no_second_form_of_a_file(journals):
    """Plain and compressed at once, as a crash leaves them: what was cut must not come back from the other."""
    path = max(journals.glob("md.trades.BTCUSDT.2*.ndjson"))
    both = path.with_name(path.name + ".gz")
    both.write_bytes(gzip.compress(path.read_bytes()))
    first = min(codec.seq_of(raw) for raw in read_lines(path))
    cut_journals([journals], first)
    assert not both.exists()
    assert [codec.seq_of(raw) for raw in read_lines(path)] == [first]


def test_a_history_without_its_beginning_is_not_restored(journals):
    """Files that were taken elsewhere are missing: nothing may be cut because of that."""
    (first,) = (
        file.path
        for files in journals_in(journals).values()
        for file in files
        if any(codec.seq_of(raw) == 1 for raw in read_lines(file.path))
    )
    first.unlink()
    with pytest.raises(JournalError, match="the oldest line of all journals is 2, not 1"):
        plan([journals], [], {})


MOVED = """
import os, sys
from pathlib import Path
from backtest.journals import read_record
journals, archive, at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
listings = []

def move(event, args):
    if event == "os.listdir" and str(args[0]) == str(journals):
        listings.append(1)
        if len(listings) == at:
            path = min(journals.glob("md.trades.BTCUSDT.2*.ndjson"))
            os.rename(path, archive / path.name)

sys.addaudithook(move)
record = read_record([archive, journals])
print(record.findings, len(record.lines))
"""


@pytest.mark.parametrize("listing", [1, 2, 3])
def test_a_file_that_is_archived_while_a_record_is_read_is_no_hole(journals, listing):
    """Right before the journals' folder is listed, behind the archive: a restore would have cut all that came later."""
    count = len(read_record([journals]).lines)
    archive = journals.parent / "archive"
    archive.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", MOVED, str(journals), str(archive), str(listing)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (f"[] {count}\n", "")
    assert list(archive.iterdir())


def test_a_history_whose_oldest_days_were_deleted_on_purpose_is_restored(journals):
    """The days that retention has deleted are noted; from the first line behind them nothing may be missing."""
    whole = plan([journals], [], {}).content
    for path in sorted(journals.glob("*.20250930.ndjson")):
        delete(path)
    left = plan([journals], [], {})
    assert (left.content.seq, left.cut) == (whole.seq, [])
    assert left.content.instances.keys() == whole.instances.keys()


def test_a_summary_counts_what_a_run_has_added_over_midnight(tmp_path):
    """Lines of earlier days, and of the file in which the run began, are not counted, whatever becomes of the files."""
    name = "md.trades.BTCUSDT"
    journal = RotatingJournal(tmp_path, name)
    journal.write_lines([line(1, SEP_30), line(2, SEP_30 + DAY_NS), line(3, SEP_30 + DAY_NS)])
    chapter = Chapter(tmp_path)
    journal.write_lines([line(seq, SEP_30 + seq * DAY_NS // 4) for seq in range(4, 12)])
    journal.close()
    assert pack(tmp_path) > 0
    assert chapter.summarize("BTC/USDT").trades == 8


def test_a_new_run_puts_every_file_of_a_journal_aside(tmp_path):
    """Finished, compressed, both, and a file being written that has no line yet; nothing else."""
    root = tmp_path / "root"
    shutil.copytree(ROOT / "config", root / "config")
    config = load_config(root, environ={})
    folder = config.paths.journal_dir
    journal = RotatingJournal(folder, BARS)
    journal.write_lines([line(1, SEP_30), line(2, SEP_30 + DAY_NS), line(3, SEP_30 + 2 * DAY_NS)])
    journal.close()
    kept = (folder / f"{BARS}.20250930.ndjson").read_bytes()
    pack(folder)
    (folder / f"{BARS}.20250930.ndjson").write_bytes(kept)
    (folder / f"{BARS}.ndjson").write_bytes(b"")
    (folder / "app.20250930.ndjson").write_bytes(b"{}\n")
    wanted = set(names(folder)) - {"app.20250930.ndjson"}
    assert len(wanted) == 4
    assert prepare(config, Note(), {}, fresh=True)
    assert names(folder) == ["app.20250930.ndjson"]
    (aside,) = (config.paths.state_dir.parent / "runs").iterdir()
    assert {path.name for path in (aside / "journals").iterdir()} == wanted


# -- the log of all processes


def test_the_log_begins_a_file_every_day(tmp_path):
    """Two writers over three days: the first line of a day renames, the other follows at its next line."""
    now = [datetime(2025, 9, 30, 12, tzinfo=UTC)]
    first, second = LogFile(tmp_path, lambda: now[0]), LogFile(tmp_path, lambda: now[0])
    first.msg(b"a1\n")
    second.msg(b"b1\n")
    now[0] = datetime(2025, 10, 1, 0, 0, 1, tzinfo=UTC)
    second.msg(b"b2\n")
    first.msg(b"a2\n")
    now[0] = datetime(2025, 10, 2, tzinfo=UTC)
    first.msg(b"a3\n")
    first.msg(b"a4\n")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "app.20250930.ndjson": b"a1\nb1\n",
        "app.20251001.ndjson": b"b2\na2\n",
        "app.ndjson": b"a3\na4\n",
    }


def test_a_log_overwrites_nothing(tmp_path):
    """What lies at the names of earlier days is left alone; the next free part is taken."""
    now = [datetime(2025, 9, 30, 12, tzinfo=UTC)]
    log = LogFile(tmp_path, lambda: now[0])
    log.msg(b"1\n")
    (tmp_path / "app.20250930.ndjson").mkdir()
    for part in range(1, 3):
        (tmp_path / f"app.20250930.{part}.ndjson").mkdir()
    now[0] = datetime(2025, 10, 1, tzinfo=UTC)
    log.msg(b"2\n")
    assert (tmp_path / "app.20250930.3.ndjson").read_bytes() == b"1\n"
    assert (tmp_path / "app.ndjson").read_bytes() == b"2\n"


LOGGER = """
import sys, threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from core.log_file import LogFile
number, count = int(sys.argv[2]), int(sys.argv[3])
state = [datetime(2025, 9, 30, tzinfo=UTC)]
log = LogFile(Path(sys.argv[1]), lambda: state[0])
for n in range(count):
    state[0] = datetime(2025, 9, 30, tzinfo=UTC) + timedelta(days=n // 10)
    log.msg(b'{"from":%d,"n":%d}\\n' % (number, n))
"""


@pytest.mark.processes
def test_no_line_of_the_log_is_lost_when_many_write_over_many_midnights(tmp_path):
    """Four processes, thirty days of ten lines each, while finished files are compressed at once."""
    running = [
        subprocess.Popen([sys.executable, "-c", LOGGER, str(tmp_path), str(number), "300"], cwd=ROOT)
        for number in range(4)
    ]
    while any(process.poll() is None for process in running):
        for file in finished_files(tmp_path, older_than_hours=0, now_ns=time.time_ns()):
            compress(file.path)
    assert [process.returncode for process in running] == [0] * 4
    pack(tmp_path)
    found = [path for path in tmp_path.iterdir() if parse(path)]
    lines = [json.loads(raw) for path in found for raw in read_lines(path)]
    assert sorted((each["from"], each["n"]) for each in lines) == [(p, n) for p in range(4) for n in range(300)]
    assert len(found) > 10


# -- torture

TORTURE = r"""
import os, random, signal, sys, time
from pathlib import Path
from core.codec import seq_of
from core.journal import last_lines
from core.journal_compression import compress, finished_files
from core.journal_lines import journal_lines
from core.journal_retention import delete
from core.contracts.moments import DAY_NS
from core.journal_rotation import RotatingJournal

FOLDER, SEED, ROUNDS = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
NAME = "fills.BTCUSDT"
STEPS = {"open", "os.rename", "os.remove", "os.utime", "fcntl.flock"}
START = 1_759_190_400_000_000_000


def line(seq):
    ts = START + seq // 40 * DAY_NS + seq
    return b'{"_seq":%d,"_ts":%d,"_prev":0,"x":"%s"}' % (seq, ts, b"x" * (seq * 37 % 90))


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def mortal(steps):
    # Dies right before the chosen step of those that change what is in the folder.
    left = [steps]
    def hook(event, args):
        if event in STEPS:
            left[0] -= 1
            if left[0] == 0:
                die()
    sys.addaudithook(hook)


def write(luck):
    mortal(luck.randrange(3, 40))
    last = last_lines(FOLDER, NAME)
    seq = seq_of(last[0].line) if last else 0
    journal = RotatingJournal(FOLDER, NAME, max_bytes=600)
    end = seq + luck.randrange(1, 60)
    while seq < end:
        count = luck.randrange(1, 6)
        journal.write_lines([line(seq + n) for n in range(1, count + 1)])
        seq += count
    with journal.path.open("ab") as torn:
        torn.write(line(seq + 1)[: luck.randrange(60)])
    die()


def pack(luck):
    mortal(luck.randrange(3, 60))
    while True:
        for file in finished_files(FOLDER, older_than_hours=0, now_ns=time.time_ns()):
            compress(file.path, pause=lambda: luck.random() > 0.02 or die())


def forked(work, luck):
    pid = os.fork()
    if pid:
        return pid
    try:
        work(luck)
    except BaseException as error:
        print("child failed:", repr(error), flush=True)
    os._exit(1)


def seqs():
    return [seq_of(raw) for _, _, raw in journal_lines(FOLDER, NAME)]


luck = random.Random(SEED)
kills = 0
for number in range(ROUNDS):
    writer = forked(write, random.Random(luck.random()))
    packers = [forked(pack, random.Random(luck.random())) for _ in range(2)]
    while not os.waitpid(writer, os.WNOHANG)[0]:
        if number % 10 == 0:  # whoever reads meanwhile sees no hole either
            seen = seqs()
            assert seen == list(range(1, len(seen) + 1)), seen
    for pid in packers:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    kills += 3
    if number % 20 == 0:
        seen = seqs()
        assert seen == list(range(1, len(seen) + 1)), seen
RotatingJournal(FOLDER, NAME).close()
print("kills", kills, flush=True)
"""


def torture_line(seq: int) -> bytes:
    """What line `seq` is, whoever writes it and however often its writer dies."""
    ts = SEP_30 + seq // 40 * DAY_NS + seq
    return b'{"_seq":%d,"_ts":%d,"_prev":0,"x":"%s"}' % (seq, ts, b"x" * (seq * 37 % 90))


@pytest.mark.processes
@pytest.mark.parametrize("seed", [4, 7])
def test_rotation_compression_and_kill_meet_at_any_point(tmp_path, seed):
    """130 rounds of a writer and two compressors, each killed at a chosen step or at any: every line is there once."""
    done = subprocess.run(
        [sys.executable, "-c", TORTURE, str(tmp_path), str(seed), "130"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "kills 390\n"), done.stdout + done.stderr
    forms = {(file.day, file.compressed) for file in journals_in(tmp_path)["fills.BTCUSDT"]}
    assert len({day for day, compressed in forms if compressed}) > 10
    lines = held(tmp_path, "fills.BTCUSDT")
    assert len(lines) > 1000
    assert lines == [torture_line(seq) for seq in range(1, len(lines) + 1)]
    pack(tmp_path)
    assert held(tmp_path, "fills.BTCUSDT") == lines
    kept = [path for path in tmp_path.iterdir() if path.name != ".journals.lock"]
    assert all(parse(path) or path.name.endswith(".new") for path in kept)
    assert sum(path.name.endswith(".ndjson") for path in kept) == 1
