"""Whole lines of journal files: blocks, gzip, torn ends, and files that are renamed while they are read."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import JournalError
from core.journal_lines import LineReader, journal_lines, read_lines

JOURNAL = "ohlcv.1m.ATOMUSDT"
ACTIVE = JOURNAL + ".ndjson"
DATED = JOURNAL + ".20250930.ndjson"


@pytest.mark.parametrize("packed", [False, True])
def test_whole_lines_come_out_and_a_torn_one_is_told(tmp_path, packed):
    """Two whole lines and half a third: two are read, the half is named with its number."""
    path = tmp_path / (ACTIVE + (".gz" if packed else ""))
    content = b'{"a":1}\n{"a":2}\n{"a":'
    path.write_bytes(gzip.compress(content) if packed else content)
    told = []
    assert list(read_lines(path, lambda *torn: told.append(torn))) == [b'{"a":1}', b'{"a":2}']
    assert told == [(path, 3, b'{"a":')]


@pytest.mark.parametrize("packed", [False, True])
def test_nothing_is_told_of_a_file_that_ends_with_a_newline(tmp_path, packed):
    """A whole file has no torn line, an empty line is a line, and an empty file has none."""
    told = []
    for content, lines in ((b"x\n\ny\n", [b"x", b"", b"y"]), (b"\n", [b""]), (b"", [])):
        path = tmp_path / (ACTIVE + (".gz" if packed else ""))
        path.write_bytes(gzip.compress(content) if packed else content)
        assert list(read_lines(path, lambda *torn: told.append(torn))) == lines
    assert told == []


def test_lines_end_at_newlines_only(tmp_path):
    """A carriage return belongs to its line, as do other characters that some programs take for line ends."""
    path = tmp_path / ACTIVE
    path.write_bytes(b"a\r\nb\x0bc\x1cd\ne\rf\n")
    assert list(read_lines(path)) == [b"a\r", b"b\x0bc\x1cd", b"e\rf"]


@given(
    content=st.binary(max_size=300).map(lambda data: bytes(b"\nab"[byte % 3] for byte in data)),
    size=st.integers(8, 64),
    members=st.integers(1, 4),
    cut=st.integers(0, 40),
)
def test_blocks_of_any_size_hold_the_same_lines(tmp_path_factory, content, size, members, cut):
    """However the blocks fall, however many gzip members: the lines are those of the bytes, less what was cut off."""
    folder = tmp_path_factory.mktemp("blocks")
    plain, packed = folder / ACTIVE, folder / (ACTIVE + ".gz")
    step = len(content) // (1 if cut else members) + 1  # a cut between two members is none
    plain.write_bytes(content)
    data = b"".join(gzip.compress(content[start : start + step]) for start in range(0, len(content) + 1, step))
    packed.write_bytes(data[: len(data) - min(cut, len(data))] if cut else data + b"\0" * 512)
    whole = content[: content.rfind(b"\n") + 1]
    with LineReader(plain) as file:
        assert b"".join(file.blocks(size)) == whole
        assert (file.rest, file.torn) == (content[len(whole) :], content != whole)
    with LineReader(packed) as file:
        found = b"".join(file.blocks(size))
        assert found == whole if not cut else content.startswith(found)
        assert found[-1:] in (b"", b"\n")
        assert file.torn or content[len(found) :] == b""


@given(lines=st.lists(st.sampled_from([b"", b" ", b"a", b"b" * 5000, b"\r"])), tail=st.sampled_from([b"", b"c", b" "]))
def test_the_ends_of_a_file(tmp_path_factory, lines, tail):
    """First and last line, plain or compressed, whatever blank or torn lines are around them, also very long ones."""
    folder = tmp_path_factory.mktemp("ends")
    content = b"".join(line + b"\n" for line in lines) + tail
    written = [line for line in lines if line.strip()] or [b""]
    for name, data in ((ACTIVE, content), (ACTIVE + ".gz", gzip.compress(content))):
        (folder / name).write_bytes(data)
        with LineReader(folder / name) as file:
            assert (file.first_line(), file.last_line()) == (written[0], written[-1])


def test_every_place_where_a_gzip_stream_breaks_off(tmp_path):
    """At whatever byte a crash cut a compressed file: whole lines from its beginning, then it is told."""
    lines = [b'{"symbol":"ATOM/USDT","ts_open":%d}' % (number * 977) for number in range(50)]
    data = gzip.compress(b"".join(line + b"\n" for line in lines))
    path = tmp_path / (ACTIVE + ".gz")
    most = 0
    for size in range(len(data)):
        path.write_bytes(data[:size])
        told: list[tuple[Path, int, bytes]] = []
        found = list(read_lines(path, lambda *torn, told=told: told.append(torn)))
        assert found == lines[: len(found)]
        assert [(place, number) for place, number, _ in told] == [(path, len(found) + 1)]
        most = max(most, len(found))
    assert most == 50  # all lines are there although the checksum behind them is not


def test_a_damaged_gzip_stream_is_an_error(tmp_path):
    """Bytes that changed on the disk are no torn end: the file is named."""
    data = bytearray(gzip.compress(b"".join(b"line %d\n" % number for number in range(1000))))
    data[len(data) // 2] ^= 0xFF
    path = tmp_path / (ACTIVE + ".gz")
    path.write_bytes(data)
    with pytest.raises(JournalError, match=f"journal {path} cannot be read"):
        list(read_lines(path))
    path.write_bytes(b"no gzip\n")
    with pytest.raises(JournalError, match=f"journal {path} cannot be read"):
        list(read_lines(path))


def test_a_plain_file_that_was_compressed_meanwhile_is_read_as_that(tmp_path):
    """Between listing and opening, `X.ndjson` became `X.ndjson.gz`: its lines are there, under its new name."""
    packed = tmp_path / (DATED + ".gz")
    packed.write_bytes(gzip.compress(b"1\n2\n3"))
    told = []
    assert list(read_lines(tmp_path / DATED, lambda *torn: told.append(torn))) == [b"1", b"2"]
    assert told == [(packed, 3, b"3")]


@pytest.mark.parametrize("name", [ACTIVE, ACTIVE + ".gz"])
def test_a_file_that_is_not_there_is_named(tmp_path, name):
    """Neither plain nor compressed: an error with the path; so for a link to nothing, and for a folder."""
    with pytest.raises(JournalError, match=f"journal {tmp_path / name} cannot be read: there is no such file"):
        list(read_lines(tmp_path / name))
    (tmp_path / name).symlink_to(tmp_path / "gone")
    with pytest.raises(JournalError, match="cannot be read"):
        list(read_lines(tmp_path / name))
    with pytest.raises(JournalError, match="cannot be read"):
        list(journal_lines(tmp_path, JOURNAL))
    with pytest.raises(JournalError, match="cannot be read"):
        list(read_lines(tmp_path))


def test_a_journal_is_read_from_its_oldest_file_to_the_one_being_written(tmp_path):
    """Days, their parts, then the active file, each line with its file and number; other journals are others."""
    names = [f"{JOURNAL}.20250929.ndjson.gz", DATED, f"{JOURNAL}.20250930.1.ndjson", ACTIVE]
    for number, name in enumerate(names):
        content = b"%d\n%d\n" % (number, number)
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (tmp_path / "ohlcv.1m.ATOMUSDTX.ndjson").write_bytes(b"other\n")
    (tmp_path / (DATED + ".gz")).write_bytes(gzip.compress(b"1\n1\n"))  # compressed, the plain one not yet removed
    expected = [(tmp_path / name, line, b"%d" % number) for number, name in enumerate(names) for line in (1, 2)]
    assert list(journal_lines(tmp_path, JOURNAL)) == expected
    assert list(journal_lines(tmp_path, "fills.ATOMUSDT")) == []
    assert list(journal_lines(tmp_path / "none", JOURNAL)) == []


class Rotating:
    """A journal that is written, rotated and compressed at given moments."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0
        self.part = 0
        self.write(3)

    def write(self, count: int) -> None:
        with (self.folder / ACTIVE).open("ab") as file:
            for _ in range(count):
                self.number += 1
                file.write(b"%d\n" % self.number)

    def rotate(self) -> None:
        name = f"{JOURNAL}.20250930.{self.part}.ndjson" if self.part else DATED
        (self.folder / ACTIVE).rename(self.folder / name)
        self.part += 1
        self.write(2)

    def compress(self) -> None:
        for path in self.folder.glob("*.20250930*.ndjson"):
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()


@given(moves=st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["rotate", "compress", "write"])), max_size=8))
def test_no_rotation_while_reading_loses_or_doubles_a_line(tmp_path_factory, moves):
    """Between any two lines the journal may be rotated and compressed: what is read is 1, 2, 3 ... without a hole."""
    journal = Rotating(tmp_path_factory.mktemp("rotating"))
    journal.rotate()
    before = journal.number
    found = []
    lines = journal_lines(journal.folder, JOURNAL)
    for steps, move in moves:
        found += [int(line) for _, (_, _, line) in zip(range(steps), lines, strict=False)]
        if move == "write":
            journal.write(2)
        else:
            getattr(journal, move)()
    found += [int(line) for _, _, line in lines]
    assert found == list(range(1, len(found) + 1))
    assert len(found) >= before


class BusyFolder(type(Path())):  # type: ignore[misc]  # which class it is depends on the machine
    """A folder in which something happens right before or right behind each look at its files."""

    before: list[Callable[[], None]]
    behind: list[Callable[[], None]]

    def glob(self, pattern: str) -> Iterator[Path]:
        if self.before:
            self.before.pop(0)()
        found = list(Path(self).glob(pattern))
        if self.behind:
            self.behind.pop(0)()
        return iter(found)


def nothing() -> None:
    """Leave the folder as it is."""


@given(data=st.data())
def test_no_rotation_around_a_listing_loses_or_doubles_a_line(tmp_path_factory, data):
    """The active file is renamed and compressed right after the folder was listed, or before it is again."""
    journal = Rotating(tmp_path_factory.mktemp("busy"))
    moves = st.lists(st.sampled_from([journal.rotate, journal.compress, nothing]), max_size=5)
    folder = BusyFolder(journal.folder)
    folder.before, folder.behind = data.draw(moves), data.draw(moves)
    before = journal.number
    found = [int(line) for _, _, line in journal_lines(folder, JOURNAL)]
    assert found == list(range(1, len(found) + 1))
    assert len(found) >= before
