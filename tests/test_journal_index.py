"""Finding lines in the journals: by id, type, cause and time, whatever has become of the files meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backtest.journal_index import JournalIndex
from backtest.journals import Line, read_record
from core import codec
from core.errors import JournalError
from core.journal_files import dated_name
from scripts import njord_index
from tests.trading_floor import recorded

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    """The journals of a session in which orders were filled."""
    return asyncio.run(recorded(tmp_path_factory.mktemp("session")))


@pytest.fixture
def journals(session, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(session, tmp_path / "journals"))


def opened(journals: Path) -> JournalIndex:
    """The index of a folder, up to date."""
    index = JournalIndex(journals / ".index.sqlite", [journals])
    index.update()
    return index


def every_line(journals: Path) -> list[Line]:
    """What the journals hold, read without an index."""
    return read_record([journals]).lines


def an_intent_that_was_filled(journals: Path) -> tuple[str, int]:
    """The id of one, and the number of its first cause."""
    fill = next(line for line in every_line(journals) if line.header.type == "FillEvent")
    order_id = codec.payload_of(fill.raw)["order_id"]
    for line in every_line(journals):
        if line.header.type == "OrderEvent" and codec.payload_of(line.raw)["order_id"] == order_id:
            return codec.payload_of(line.raw)["intent_id"], line.header.root
    raise AssertionError("a fill without an order")


def test_an_intent_is_found_with_what_became_of_it(journals):
    """By its id: the intent, the decision about it and the order; with what has the same cause, also fill and trade."""
    intent_id, root = an_intent_that_was_filled(journals)
    index = opened(journals)
    kinds = [found.header.type for found in index.find(id=intent_id)]
    assert kinds[:3] == ["OrderIntent", "RiskDecision", "OrderEvent"]
    followed = list(index.find(id=intent_id, correlated=True))
    assert followed == list(index.find(root=root))
    expected = [line.raw for line in every_line(journals) if line.header.root == root]
    assert [found.line for found in followed] == expected
    assert {"OrderIntent", "RiskDecision", "OrderEvent", "FillEvent", "PositionSnapshot"} <= {
        found.header.type for found in followed
    }


def test_every_line_is_indexed_once_and_found_as_it_stands(journals):
    """In the order in which it happened, over all journals."""
    index = opened(journals)
    expected = every_line(journals)
    assert index.update() == (index.update().files, len(expected), 0)
    assert [found.line for found in index.find()] == [line.raw for line in expected]
    assert [found.header.seq for found in index.find(limit=3)] == [line.header.seq for line in expected[:3]]


@pytest.mark.parametrize("type_", ["TradeEvent", "OrderIntent", "FillEvent", "NoSuchEvent"])
def test_lines_are_found_by_their_type_and_their_source(journals, type_):
    """All of them, and no others."""
    index = opened(journals)
    expected = [line for line in every_line(journals) if line.header.type == type_]
    assert [found.line for found in index.find(type=type_)] == [line.raw for line in expected]
    for source in {line.header.src for line in expected}:
        own = [line.raw for line in expected if line.header.src == source]
        assert [found.line for found in index.find(type=type_, source=source)] == own


def test_a_window_of_time_holds_its_start_and_not_its_end(journals):
    """To the nanosecond of the sequencer, at every time at which something was published."""
    index = opened(journals)
    lines = every_line(journals)
    times = sorted({line.header.ts for line in lines})
    for start_ns, end_ns in [(times[0], times[-1]), (times[3], times[7]), (times[5], times[5] + 1), (0, times[0])]:
        expected = [line.raw for line in lines if start_ns <= line.header.ts < end_ns]
        assert [found.line for found in index.find(start_ns=start_ns, end_ns=end_ns)] == expected


def test_a_journal_that_has_grown_is_followed(journals):
    """Only what is new is added; a torn last line waits until it is whole."""
    path = journals / "risk.decisions.ndjson"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]) + lines[-2][:10])
    index = opened(journals)
    before = len(list(index.find()))
    path.write_bytes(b"".join(lines))
    assert index.update().added == 2
    assert len(list(index.find())) == before + 2


def test_rotation_compression_and_a_move_to_the_archive_lose_nothing(journals, tmp_path):
    """The same lines are found behind each of them, and nothing is indexed twice."""
    index = JournalIndex(tmp_path / "index.sqlite", [journals, tmp_path / "archive"])
    index.update()
    expected = [found.line for found in index.find()]
    path = journals / "risk.decisions.ndjson"
    dated = path.rename(journals / dated_name("risk.decisions", "20240809", 0))
    assert index.update().added == 0
    assert [found.line for found in index.find()] == expected
    packed = dated.with_name(dated.name + ".gz")
    packed.write_bytes(gzip.compress(dated.read_bytes()))
    dated.unlink()
    assert index.update().added == 0
    assert [found.line for found in index.find()] == expected
    (tmp_path / "archive").mkdir()
    packed.rename(tmp_path / "archive" / packed.name)
    assert index.update().added == 0
    assert [found.line for found in index.find()] == expected


def test_a_number_that_stands_in_another_file_after_a_restore_is_found_there(journals):
    """The last line of the order is cut from its journal; the new history gives its number to a line of another one."""
    index = opened(journals)
    top = every_line(journals)[-1]
    files = sorted(path for path in journals.glob("*.ndjson") if path.stat().st_size)
    (cut,) = (path for path in files if top.raw + b"\n" in path.read_bytes())
    assert files.index(cut) > 0
    cut.write_bytes(cut.read_bytes().replace(top.raw + b"\n", b""))
    old = files[0].read_bytes().splitlines(keepends=True)[-1]
    with files[0].open("ab") as journal:
        journal.write(old.replace(b'"_seq":%d,' % codec.seq_of(old), b'"_seq":%d,' % top.header.seq))
    index.update()
    assert [found.line for found in index.find()] == [line.raw for line in every_line(journals)]


UPDATE = """
import sys
from pathlib import Path
from backtest.journal_index import JournalIndex
folder = Path(sys.argv[1])
index = JournalIndex(folder / ".index.sqlite", [folder])
index.update()
print(len(list(index.find())))
"""


@pytest.mark.processes
def test_several_processes_make_one_index_at_once(journals):
    """Four searches of people who do not know of each other, with no index, an empty one and no index again."""
    count = len(every_line(journals))
    for _ in range(3):
        running = [
            subprocess.Popen([sys.executable, "-c", UPDATE, str(journals)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        assert [process.communicate(timeout=60)[0] for process in running] == [f"{count}\n"] * 4
        (journals / ".index.sqlite").unlink()


def test_a_limit_holds_for_all_causes_together(journals):
    """The first three lines, however many causes an id has, and however few lines are fetched at a time."""
    index = opened(journals)
    intent_id, _ = an_intent_that_was_filled(journals)
    followed = list(index.find(id=intent_id, correlated=True))
    assert list(index.find(id=intent_id, correlated=True, limit=3)) == followed[:3]


def test_a_broken_first_line_hides_no_other(journals):
    """A person has edited a journal: what can still be read is found."""
    path = journals / "risk.decisions.ndjson"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"edited\n" + b"".join(lines[1:]))
    found = [each.line + b"\n" for each in opened(journals).find(type="RiskDecision")]
    assert found == [line for line in lines[1:] if b'"_type":"RiskDecision"' in line]
    assert found


def test_a_file_that_was_rewritten_is_indexed_again(journals):
    """As after a restore that has cut its end; what is gone is found no more."""
    index = opened(journals)
    path = journals / "risk.decisions.ndjson"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-3]))
    index.update()
    found = [each.line + b"\n" for each in index.find(type="RiskDecision")]
    assert found == lines[:-3]
    path.unlink()
    index.update()
    assert list(index.find(type="RiskDecision")) == []


def test_a_journal_that_changed_behind_the_index_is_not_believed(journals):
    """Whoever asks without bringing it up to date is told so, instead of getting another line."""
    index = opened(journals)
    path = journals / "risk.decisions.ndjson"
    path.write_bytes(path.read_bytes().replace(b"\n", b" \n"))
    with pytest.raises(JournalError, match=r"risk\.decisions\.ndjson has changed"):
        list(index.find(type="RiskDecision"))


@pytest.mark.parametrize("content", [b"", b"no database at all", b"SQLite format 3\0 but broken" * 100])
def test_an_index_that_is_none_is_made_anew(journals, content):
    """It holds nothing that the journals do not say."""
    file = journals / ".index.sqlite"
    file.write_bytes(content)
    assert len(list(opened(journals).find())) == len(every_line(journals))


def test_a_rebuilt_index_is_the_same(journals):
    """Also behind files that have come and gone."""
    index = opened(journals)
    before = [found.line for found in index.find()]
    assert index.rebuild().lines == len(before)
    assert [found.line for found in index.find()] == before


@pytest.fixture
def home(journals, tmp_path) -> list[str]:
    """A configuration whose journals are these; the options that name it."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(
        "app: {env: paper}\n"
        "instruments: [{symbol: BTC/USDT, tick_size: '0.01', lot_size: '0.00001'}]\n"
        f"paths: {{journal_dir: {journals}}}\n"
    )
    return ["--config-root", str(tmp_path)]


def test_the_command_prints_lines_as_they_stand(journals, home, capsys):
    """What led to an intent and came of it, from the trade to the position."""
    intent_id, root = an_intent_that_was_filled(journals)
    assert njord_index.main([*home, "find", "--id", intent_id, "--correlated"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [line.raw.decode() for line in every_line(journals) if line.header.root == root]
    assert njord_index.main([*home, "rebuild", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lines"] == len(every_line(journals))


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["find", "--id", "i-nobody"], 1, "nothing found"),
        (["find", "--correlated"], 2, "allowed: with --id"),
        (["find", "--start", "noon"], 2, "--start is 'noon'"),
        (["find", "--start", "2025-09-30", "--end", "2025-09-29"], 2, "--end is '2025-09-29'"),
    ],
)
def test_a_search_without_result_or_sense_says_so(home, capsys, options, code, says):
    """With the exit code that belongs to it."""
    assert njord_index.main([*home, *options]) == code
    assert says in capsys.readouterr().err
