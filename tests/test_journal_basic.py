"""Journals: append-only files of whole lines, whatever ends the process that writes them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import JournalError
from core.journal import TAIL_BYTES, NdjsonJournal, is_line, last_lines
from core.journal_lines import read_lines

ROOT = Path(__file__).resolve().parents[1]
LONG = b"y" * (5 * TAIL_BYTES)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "folder" / "journal.ndjson"


def test_lines_are_appended_each_with_its_newline(path):
    """Text or bytes, in their order; the folder is made."""
    journal = NdjsonJournal(path)
    journal.write_lines(['{"a":1}', b'{"b":2}'])
    journal.write_lines([])
    journal.write_lines(['{"c":"ż"}'])
    journal.close()
    assert path.read_bytes() == '{"a":1}\n{"b":2}\n{"c":"ż"}\n'.encode()


def test_a_line_is_visible_at_once(path):
    """Whoever follows the file sees it before anything is closed or synced."""
    journal = NdjsonJournal(path)
    for number in range(3):
        journal.write_lines([f'{{"n":{number}}}'])
        assert len(path.read_bytes().splitlines()) == number + 1
    journal.sync()
    journal.close()


def test_a_journal_goes_on_where_it_ended(path):
    """Opening again neither truncates nor repeats anything."""
    for number in range(3):
        journal = NdjsonJournal(path)
        journal.write_lines([str(number)])
        journal.close()
        journal.close()
    assert path.read_bytes() == b"0\n1\n2\n"


@pytest.mark.parametrize(
    ("before", "after", "last"),
    [
        (b"", b"", b""),
        (b"torn", b"", b""),
        (b"\n", b"\n", b""),
        (b"one\n", b"one\n", b"one"),
        (b"one\ntwo", b"one\n", b"one"),
        (b"one\n\ntorn", b"one\n\n", b""),
        (b"one\n" + b"x" * (3 * TAIL_BYTES), b"one\n", b"one"),
        (b"one\n" + b"x" * (TAIL_BYTES - 4), b"one\n", b"one"),
        (LONG + b"\n", LONG + b"\n", LONG),
        (b"one\n" + LONG + b"\n", b"one\n" + LONG + b"\n", LONG),
    ],
    ids=["empty", "torn", "newline", "whole", "torn end", "blank", "long torn", "torn at edge", "long", "longer"],
)  # fmt: skip
def test_a_torn_last_line_is_cut_and_the_last_whole_one_found(tmp_path, before, after, last):
    """Files of any shape, with lines longer than what is read at once."""
    path = tmp_path / "journal.ndjson"
    path.write_bytes(before)
    read_only = [found.line for found in last_lines(tmp_path)]
    assert path.read_bytes() == before
    assert read_only == ([last] if last else [])
    assert list(read_lines(path)) == after.splitlines()
    journal = NdjsonJournal(path)
    assert path.read_bytes() == after
    assert journal.last_line() == last
    journal.write_lines(["next"])
    assert journal.last_line() == b"next"
    journal.close()
    assert path.read_bytes() == after + b"next\n"


def test_the_last_lines_of_several_journals(tmp_path):
    """Only those that match; a journal without a line is left out."""
    for name, text in (("a.ndjson", "1\n2\n"), ("b.ndjson", ""), ("c.ndjson", "3\ntorn"), ("d.txt", "4\n")):
        (tmp_path / name).write_text(text)
    found = {last.file.path: last.line for last in last_lines(tmp_path)}
    assert found == {tmp_path / "a.ndjson": b"2", tmp_path / "c.ndjson": b"3"}
    assert [last.file.journal for last in last_lines(tmp_path, "c")] == ["c"]
    assert last_lines(tmp_path / "none") == []


def test_a_folder_that_is_a_file_is_named(tmp_path):
    """The error says which journal cannot be opened."""
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match=r"file/journal\.ndjson"):
        NdjsonJournal(tmp_path / "file" / "journal.ndjson")
    (tmp_path / "journal.ndjson").mkdir()
    with pytest.raises(JournalError, match="cannot be opened"):
        NdjsonJournal(tmp_path / "journal.ndjson")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(tmp_path):
    """Without the right to write there is no journal."""
    tmp_path.chmod(0o500)
    with pytest.raises(JournalError, match="cannot be opened"):
        NdjsonJournal(tmp_path / "journal.ndjson")
    tmp_path.chmod(0o700)


LIMITED = """
import resource, signal, sys
from core.errors import JournalError
from core.journal import NdjsonJournal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
journal = NdjsonJournal(sys.argv[1])
written = 0
try:
    while True:
        journal.write_lines(["x" * 99 if written < 9 else "y" * 149])
        written += 1
except JournalError as error:
    print(written, error)
try:
    journal.write_lines(["z" * 40])
    print("the journal goes on")
except JournalError as error:
    print("refused", error)
"""


def test_a_file_that_may_not_grow_keeps_only_whole_lines(tmp_path):
    """Nine lines of 100 bytes fit below 1,000; of the tenth, 150 long, nothing stays, and a shorter one still fits."""
    path = tmp_path / "journal.ndjson"
    shown = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert shown[0].startswith(f"9 journal {path} cannot be written")
    assert shown[1] == "the journal goes on"
    assert path.read_bytes() == (b"x" * 99 + b"\n") * 9 + b"z" * 40 + b"\n"


KILLED = """
import sys
from core.journal import NdjsonJournal
journal = NdjsonJournal(sys.argv[1])
print("ready", flush=True)
number = 0
while True:
    journal.write_lines([f'{{"_seq":{number},"text":"{"x" * 2000}"}}'])
    number += 1
"""


def test_a_killed_writer_leaves_whole_lines(tmp_path):
    """kill -9 in the middle of writing: everything before the torn line, if there is one, is whole and in order."""
    path = tmp_path / "journal.ndjson"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    while not path.exists() or path.stat().st_size < 500_000:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    NdjsonJournal(path).close()
    lines = list(read_lines(path))
    assert [int(line[8 : line.index(b",")]) for line in lines] == list(range(len(lines)))
    assert path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        (b'{"_seq":1,"_ts":2}', True),
        (b'{"_seq":0,"_ts":2}', False),
        (b'{"_seq":-1,"_ts":2}', False),
        (b'{"_seq":}', False),
        (b'{"_seq":x,"y":1}', False),
        (b'{"event":"started"}', False),
        (b"", False),
        (b"{}", False),
    ],
)
def test_a_sequenced_line_is_known_by_its_beginning(line, is_one):
    """Cheap, for telling journals from other files."""
    assert is_line(line) is is_one
