"""Finished files become gzip, bit for bit: never one that is being written, never over another, whatever is killed."""

from __future__ import annotations

import asyncio
import fcntl
import gzip
import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.config import load_config
from core.errors import ConfigError, JournalError
from core.journal import folder_lock
from core.journal_compression import CHUNK, Stopped, compress, finished_files
from core.journal_files import parse
from core.journal_lines import read_lines
from core.journal_retention import archive, cleared_ns, delete, journal_folders, old_archived, old_journals, old_logs
from core.runtime.upkeep import Pace, Upkeep
from scripts import compress_journals
from tests.runtime_lab import eventually

ROOT = Path(__file__).resolve().parents[1]
HOUR = 3_600_000_000_000
DAY = 24 * HOUR
SEP_30 = 1_759_190_400_000_000_000
"""2025-09-30T00:00:00Z"""
BARS = [
    b'{"_seq":%d,"_ts":%d,"symbol":"ATOM/USDT","timeframe":"1m","open":%.3f,"close":%.3f}'
    % (n, SEP_30 + n, n / 7, n / 3)
    for n in range(1, 4000)
]
TEXT = b"".join(line + b"\n" for line in BARS)
NAME = "ohlcv.1m.ATOMUSDT.20250930.ndjson"


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """The file of a day, last written at noon."""
    path = tmp_path / NAME
    path.write_bytes(TEXT)
    os.utime(path, ns=(SEP_30 + 12 * HOUR, SEP_30 + 12 * HOUR))
    return path


def names(folder: Path) -> set[str]:
    """Everything in a folder but the lock."""
    return {path.name for path in folder.iterdir() if path.name != ".journals.lock"}


# -- one file


def test_a_file_becomes_gzip_of_half_its_size_bit_for_bit(day: Path) -> None:
    """The roadmap's name, level 6, the same bytes every time, the plain file gone, its age kept."""
    done = compress(day)
    assert done is not None
    assert names(day.parent) == {NAME + ".gz"}
    assert gzip.decompress(done.path.read_bytes()) == TEXT
    assert (done.before, done.after) == (len(TEXT), done.path.stat().st_size)
    assert done.after < 0.5 * done.before
    assert done.path.read_bytes()[:9] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00"  # no name, no time
    assert done.path.stat().st_mtime_ns == SEP_30 + 12 * HOUR
    assert list(read_lines(done.path)) == BARS
    first = done.path.read_bytes()
    done.path.unlink()
    day.write_bytes(TEXT)
    compress(day)
    assert done.path.read_bytes() == first


def test_an_empty_file_is_a_file_too(day: Path) -> None:
    """Nothing in, nothing out."""
    day.write_bytes(b"")
    done = compress(day)
    assert done is not None
    assert gzip.decompress(done.path.read_bytes()) == b""


@pytest.mark.parametrize("name", ["ohlcv.1m.ATOMUSDT.ndjson", "app.ndjson", NAME + ".gz", "notes.txt", f"{NAME}.cut"])
def test_only_finished_files_are_compressed(tmp_path: Path, name: str) -> None:
    """One that is being written has no day in its name; it is refused, however old it is."""
    path = tmp_path / name
    path.write_bytes(TEXT)
    os.utime(path, ns=(0, 0))
    assert finished_files(tmp_path, older_than_hours=0, now_ns=time.time_ns()) == []
    with pytest.raises(JournalError, match="allowed: a plain file with a day in its name"):
        compress(path)
    assert path.read_bytes() == TEXT


def test_what_is_due_is_what_was_not_written_for_so_long(day: Path) -> None:
    """Noon of the 30th and 24 hours: not before noon of the next day; oldest first; a missing folder holds none."""
    late = SEP_30 + 36 * HOUR
    assert finished_files(day.parent, older_than_hours=24, now_ns=late - 1) == []
    assert [file.path for file in finished_files(day.parent, older_than_hours=24, now_ns=late)] == [day]
    older = day.with_name("fills.BTCUSDT.20250929.1.ndjson")
    older.write_bytes(b"")
    os.utime(older, ns=(SEP_30, SEP_30))
    assert [file.path for file in finished_files(day.parent, older_than_hours=0, now_ns=late)] == [older, day]
    assert finished_files(day.parent / "none", older_than_hours=0, now_ns=late) == []


def test_a_second_run_changes_nothing(day: Path) -> None:
    """What is compressed stays as it is; the plain file that is gone is no error."""
    compress(day)
    before = {path: path.read_bytes() for path in day.parent.iterdir()}
    assert compress(day) is None
    assert finished_files(day.parent, older_than_hours=0, now_ns=time.time_ns()) == []
    assert {path: path.read_bytes() for path in day.parent.iterdir()} == before


def test_both_forms_of_a_file_after_a_crash(day: Path) -> None:
    """The same content: the plain one goes. Other content, or a broken one: both are named, both stay."""
    both = day.with_name(day.name + ".gz")
    both.write_bytes(gzip.compress(TEXT, 1))
    assert compress(day) is not None
    assert names(day.parent) == {both.name}
    day.write_bytes(TEXT + b"more\n")
    for content in (both.read_bytes(), both.read_bytes()[:-20], b"no gzip"):
        both.write_bytes(content)
        with pytest.raises(JournalError) as told:
            compress(day)
        assert str(day) in str(told.value)
        assert str(both) in str(told.value)
        assert (day.read_bytes(), both.read_bytes()) == (TEXT + b"more\n", content)


def test_what_an_interrupted_run_has_left_is_replaced(day: Path) -> None:
    """Half a file under a hidden name, which no reader looks at."""
    beside = day.with_name(f".{day.name}.gz.new")
    beside.write_bytes(b"\x1f\x8b half")
    assert parse(beside) is None
    compress(day)
    assert names(day.parent) == {day.name + ".gz"}


@pytest.mark.parametrize("pieces", [0, 1, 2])
def test_work_that_is_stopped_leaves_no_trace(day: Path, pieces: int) -> None:
    """Before the first piece, between two, and while it is read back."""
    day.write_bytes(TEXT[:CHUNK] + b"x" * 10)
    left = [pieces]

    def pause() -> bool:
        left[0] -= 1
        return left[0] >= 0

    with pytest.raises(Stopped):
        compress(day, pause=pause)
    assert names(day.parent) == {day.name}


def test_a_file_that_is_written_all_the_same_stays(day: Path) -> None:
    """A program that knows nothing of days adds to a finished file while it is compressed."""

    def pause() -> bool:
        if day.stat().st_size == len(TEXT):
            with day.open("ab") as file:
                file.write(b"late\n")
        return True

    with pytest.raises(JournalError, match="is being written although it is finished"):
        compress(day, pause=pause)
    assert names(day.parent) == {day.name}
    assert day.read_bytes().endswith(b"late\n")


def test_a_folder_is_worked_on_by_one(day: Path) -> None:
    """While another holds the lock, whoever does not want to wait does nothing."""
    with folder_lock(day.parent) as held:
        assert held
        assert compress(day, wait=False) is None
    assert names(day.parent) == {day.name}
    assert compress(day, wait=False) is not None


def test_a_log_that_is_just_being_written_waits(tmp_path: Path) -> None:
    """A line of the log may come behind its renaming: its writer holds the file."""
    path = tmp_path / "app.20250930.ndjson"
    path.write_bytes(b"{}\n")
    with path.open("ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_SH)
        assert compress(path) is None
        assert names(tmp_path) == {path.name}
    assert compress(path) is not None


# -- while the system runs


def test_a_service_compresses_its_own_files_and_the_log(day: Path) -> None:
    """Those of another instance are left to it; what cannot be compressed keeps nothing else from being."""
    other, log = day.with_name("fills.BTCUSDT.20250930.ndjson"), day.with_name("app.20250930.ndjson")
    bad = day.with_name("ohlcv.1m.ATOMUSDT.20250929.ndjson")
    for path in (other, log, bad):
        path.write_bytes(TEXT)
        os.utime(path, ns=(SEP_30, SEP_30))
    bad.with_name(bad.name + ".gz").write_bytes(b"no gzip")
    upkeep = Upkeep(day.parent, 24)
    upkeep.compress(frozenset({"ohlcv.1m.ATOMUSDT"}), Pace(0.0))
    assert names(day.parent) == {
        other.name, log.name + ".gz", day.name + ".gz", bad.name, bad.name + ".gz",
    }  # fmt: skip


async def test_it_happens_by_itself(day: Path) -> None:
    """Looked at again and again, off the event loop, until the process leaves."""
    running = asyncio.create_task(Upkeep(day.parent, 24).run(lambda: {"ohlcv.1m.ATOMUSDT"}, 0.001))
    await eventually(lambda: names(day.parent) == {day.name + ".gz"})
    day.with_name("ohlcv.1m.ATOMUSDT.20250929.ndjson").write_bytes(TEXT)
    os.utime(day.with_name("ohlcv.1m.ATOMUSDT.20250929.ndjson"), ns=(SEP_30, SEP_30))
    await eventually(lambda: all(name.endswith(".gz") for name in names(day.parent)))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_a_process_that_leaves_does_not_wait_for_it(day: Path) -> None:
    """Between two pieces the work is given up."""
    pace = Pace()
    pace.stop()
    Upkeep(day.parent, 0).compress(frozenset({"ohlcv.1m.ATOMUSDT"}), pace)
    assert names(day.parent) == {day.name}


# -- retention


def dated(folder: Path, *wanted: str) -> list[Path]:
    """Empty journal files of these names."""
    folder.mkdir(exist_ok=True)
    made = [folder / name for name in wanted]
    for path in made:
        path.write_bytes(b"")
    return made


def test_logs_are_kept_for_so_many_days(tmp_path: Path) -> None:
    """7 days behind the end of the 1st is the end of the 8th; journals and the file being written are no logs."""
    old, young, *_ = dated(tmp_path, "app.20251001.ndjson.gz", "app.20251002.ndjson", "app.ndjson", "x.20250101.ndjson")
    end_of_8th = SEP_30 + 9 * DAY
    assert old_logs(tmp_path, days=7, now_ns=end_of_8th - 1) == []
    assert old_logs(tmp_path, days=7, now_ns=end_of_8th) == [old]
    assert old_logs(tmp_path, days=7, now_ns=end_of_8th + DAY) == [old, young]


def test_a_journal_s_newest_day_is_never_archived(tmp_path: Path) -> None:
    """From its last line the journal goes on, also where a crash has left no file that is being written."""
    old, *_ = dated(
        tmp_path, "x.20240101.ndjson.gz", "x.20240102.ndjson", "x.20240102.1.ndjson", "y.20240101.ndjson", "z.ndjson",
        "app.20240101.ndjson", "app.20240102.ndjson",
    )  # fmt: skip
    assert old_journals(tmp_path, days=90, now_ns=SEP_30) == [old]
    ends = SEP_30 - SEP_30 % DAY
    assert old_journals(tmp_path, days=10_000, now_ns=ends) == []


def test_a_file_is_moved_to_the_archive_compressed(day: Path, tmp_path: Path) -> None:
    """Another folder, perhaps another disk; doing it again changes nothing; another content there is an error."""
    to = tmp_path / "archive" / "cell"
    moved = archive(day, to)
    assert moved == to / (NAME + ".gz")
    assert moved is not None
    assert gzip.decompress(moved.read_bytes()) == TEXT
    assert names(tmp_path) == {"archive"}
    assert names(to) == {moved.name}
    assert archive(day, to) is None
    day.write_bytes(TEXT)
    assert archive(day, to) == moved  # as after a crash between the copy and the removal
    assert names(tmp_path) == {"archive"}
    day.write_bytes(TEXT + b"more\n")
    with pytest.raises(JournalError, match=f"{NAME}.gz and .*{NAME}.gz differ"):
        archive(day, to)
    assert names(tmp_path) == {"archive", NAME + ".gz"}


@pytest.mark.parametrize("cut", [4, 40])
def test_a_damaged_file_is_not_moved_and_named(tmp_path: Path, cut: int) -> None:
    """Its end is missing, or most of it: whoever reads the message can look at it where it was."""
    path = tmp_path / "journals" / (NAME + ".gz")
    path.parent.mkdir()
    path.write_bytes(gzip.compress(TEXT)[:-cut])
    with pytest.raises(JournalError, match=re.escape(str(path))):
        archive(path, tmp_path / "archive")
    assert path.exists()
    assert names(tmp_path / "archive") == set()


def test_a_folder_is_no_archive_of_itself(day: Path, tmp_path: Path) -> None:
    """Also by another name: the file stays."""
    link = tmp_path / "link"
    link.symlink_to(day.parent)
    with pytest.raises(JournalError, match="that is the folder where it is"):
        archive(day, link)
    assert gzip.decompress(day.with_name(day.name + ".gz").read_bytes()) == TEXT


def test_a_name_that_is_no_day_is_never_old(tmp_path: Path) -> None:
    """The 31st of September: a person has made that name; nothing else is kept from being moved or deleted."""
    dated(tmp_path, "fills.X.20250931.ndjson", "fills.X.20250930.ndjson", "fills.X.20251002.ndjson")
    assert [path.name for path in old_journals(tmp_path, days=1, now_ns=SEP_30 + 9 * DAY)] == [
        "fills.X.20250930.ndjson"
    ]


@pytest.mark.parametrize("text", ["", "20250931\n", "\0\0\0"])
def test_a_note_of_what_was_deleted_that_says_nothing_is_an_error(tmp_path: Path, text: str) -> None:
    """A restore must not take all holes for deleted days."""
    (tmp_path / "cleared.day").write_text(text)
    with pytest.raises(JournalError, match=r"cleared\.day holds .*; allowed: the day"):
        cleared_ns([tmp_path])


def test_a_service_survives_a_folder_that_cannot_be_listed(day: Path) -> None:
    """Too many files are open for a moment: it says so and goes on; the next look compresses."""
    upkeep = Upkeep(day.parent, 0)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        upkeep.compress(frozenset({"ohlcv.1m.ATOMUSDT"}), Pace())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert day.read_bytes() == TEXT
    upkeep.compress(frozenset({"ohlcv.1m.ATOMUSDT"}), Pace())
    assert names(day.parent) == {NAME + ".gz"}


def test_archived_files_are_deleted_only_after_their_time_and_never_at_0(tmp_path: Path) -> None:
    """In the folders of all cells; up to which day is noted, since a history without its beginning is incomplete."""
    (old,) = dated(tmp_path, "x.20240928.ndjson.gz")
    (other,) = dated(tmp_path / "cell", "x.20240929.ndjson.gz")
    dated(tmp_path / "cell", "x.20240930.ndjson.gz", "notes.txt")
    assert old_archived(tmp_path, days=0, now_ns=SEP_30) == []
    assert old_archived(tmp_path, days=365, now_ns=SEP_30) == [other, old]
    delete(other)
    delete(other)
    assert names(tmp_path / "cell") == {"x.20240930.ndjson.gz", "notes.txt", "cleared.day"}
    assert cleared_ns([tmp_path / "cell", tmp_path]) == SEP_30 - 365 * DAY


def test_the_archive_of_another_cell_is_not_this_one_s(tmp_path: Path) -> None:
    """One folder per cell: the records of two systems never mix."""
    journals, kept = tmp_path / "journals", tmp_path / "archive"
    dated(journals, "x.ndjson")
    (journals / "cell.id").write_text("aa11\n")
    dated(tmp_path / "archive")
    dated(kept / "bb22", "x.20240101.ndjson.gz")
    assert journal_folders(kept, journals) == [journals]
    dated(kept / "aa11", "x.20240101.ndjson.gz")
    assert journal_folders(kept, journals) == [kept / "aa11", journals]


@pytest.mark.parametrize("days", [1, 364])
def test_less_than_a_year_is_refused(tmp_path: Path, days: int) -> None:
    """Who trades must be able to show what was done."""
    key = "NJORD__RETENTION__DELETE_ARCHIVED_AFTER_DAYS"
    with pytest.raises(ConfigError, match=rf"delete_archived_after_days.* is {days}.*at least 365"):
        load_config(ROOT, environ={key: str(days)})
    assert load_config(ROOT, environ={key: "365"}).retention.delete_archived_after_days == 365
    assert (load_config(ROOT, environ={}).retention.logs_days, load_config(ROOT, "dev").retention.logs_days) == (30, 7)


# -- the command


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Journals of an installation: an old day, yesterday, and what is being written."""
    for key in ("JOURNAL", "LOG"):
        monkeypatch.setenv(f"NJORD__PATHS__{key}_DIR", str(tmp_path / "journals"))
    monkeypatch.setenv("NJORD__PATHS__ARCHIVE_DIR", str(tmp_path / "archive"))
    folder = tmp_path / "journals"
    dated(folder, NAME, "ohlcv.1m.ATOMUSDT.20251001.ndjson", "ohlcv.1m.ATOMUSDT.ndjson", "app.20250930.ndjson")
    (folder / NAME).write_bytes(TEXT)
    for path in folder.iterdir():
        os.utime(path, ns=(SEP_30, SEP_30))
    young = folder / "fills.BTCUSDT.20251001.ndjson"
    young.write_bytes(b"x\n")
    return folder


def command(*words: str) -> int:
    """Run it with the shipped configuration."""
    return compress_journals.main([*words, "--config-root", str(ROOT)])


def test_a_dry_run_only_says_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every file, and its bytes; nothing is changed."""
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    assert command("--dry-run", "--json", "--retention") == 0
    said = json.loads(capsys.readouterr().out)
    assert [Path(name).name for name in said["compressed"]] == [
        "app.20250930.ndjson", NAME, "ohlcv.1m.ATOMUSDT.20251001.ndjson",
    ]  # fmt: skip
    assert (said["bytes_before"], said["bytes_after"]) == (len(TEXT), 0)
    assert [Path(name).name for name in said["archived"]] == [NAME]
    assert [Path(name).name for name in said["deleted"]] == ["app.20250930.ndjson"]
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


def test_the_command_does_it_and_nothing_the_second_time(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Compressed, then with --retention moved and deleted; a file written today stays plain."""
    assert command() == 0
    assert capsys.readouterr().out.startswith("3 files compressed, 0.4 MB to 0.0 MB, ")
    plain = {"ohlcv.1m.ATOMUSDT.ndjson", "fills.BTCUSDT.20251001.ndjson"}
    packed = {NAME + ".gz", "ohlcv.1m.ATOMUSDT.20251001.ndjson.gz", "app.20250930.ndjson.gz"}
    assert names(place) == plain | packed
    assert command() == 0
    assert capsys.readouterr().out == "0 files compressed, 0.0 MB\n"
    assert command("--retention") == 0
    assert names(place) == plain | {"ohlcv.1m.ATOMUSDT.20251001.ndjson.gz"}
    assert names(place.parent / "archive") == {NAME + ".gz"}
    assert command("--older-than-hours", "0") == 0
    assert "fills.BTCUSDT.20251001.ndjson.gz" in names(place)


def test_what_cannot_be_done_is_said_and_the_rest_is_done(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1; the files that differ are named."""
    (place / (NAME + ".gz")).write_bytes(gzip.compress(b"other"))
    assert command("--json") == 1
    said = capsys.readouterr()
    assert len(json.loads(said.out)["compressed"]) == 2
    assert f"{NAME} and " in said.err
    assert (place / NAME).read_bytes() == TEXT


@pytest.mark.parametrize("words", [("--older-than-hours", "-1"), ("--older-than-hours", "nan"), ("--older", "1")])
def test_wrong_usage_is_refused(words: tuple[str, ...]) -> None:
    """With exit code 2."""
    with pytest.raises(SystemExit, match="2"):
        command(*words)


@pytest.mark.processes
def test_two_commands_at_once(place: Path) -> None:
    """Each file is compressed once, both end with 0."""
    for number in range(1, 40):
        (place / f"fills.BTCUSDT.20250930.{number}.ndjson").write_bytes(TEXT)
    words = [sys.executable, "scripts/compress_journals.py", "--older-than-hours", "0", "--json"]
    running = [subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outs = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    done = [name for out in outs for name in json.loads(out)["compressed"]]
    assert len(done) == len(set(done)) == 43
    assert all(gzip.decompress(path.read_bytes()) == TEXT for path in place.glob("fills.BTCUSDT.20250930.*.gz"))
    assert list(place.glob("*.2*.ndjson")) == []
