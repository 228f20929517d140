"""The union of the journals of a session: every line of the total order, once, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from core import codec, topics
from core.contracts import Event
from core.errors import CodecError, ConfigError
from core.journal import is_line
from core.journal_files import journals_in
from core.journal_lines import journal_lines

FINDINGS_MAX = 1000


class Line(NamedTuple):
    """A recorded line with what it says of itself.

    Attributes:
        topic: the channel it was published on.
        header: the sequencer's part.
        raw: all of it.
    """

    topic: str
    header: codec.Header
    raw: bytes


class Finding(NamedTuple):
    """Something wrong with the record.

    Attributes:
        seq: where in the total order; for a line missing, its number.
        file: the journal, empty where a line is missing.
        what: in words.
    """

    seq: int
    file: str
    what: str


@dataclass(slots=True)
class Record:
    """A recorded session.

    Attributes:
        lines: by number.
        findings: holes, doubles, broken lines and breaks of order.
        files: how many files were read.
    """

    lines: list[Line] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    files: int = 0


def read_record(directories: Iterable[Path]) -> Record:
    """Read every journal of some folders, with its files of earlier days; the same line in two folders counts once.

    While files are moved from one of the folders to another, it is read again: one that is on its way has no hole.

    Raises:
        ConfigError: a folder is missing, or none of them holds a journal.
    """
    folders = list(directories)
    for directory in folders:
        if not directory.is_dir():
            raise ConfigError(f"{directory}: there is no such folder; give the one that holds the journals")
    while True:
        places = _places(folders)
        record = _read(folders)
        if _places(folders) == places:
            break
    if not record.lines:
        named = ", ".join(map(str, folders))
        raise ConfigError(f"{named}: no journal holds a line")
    record.findings += _holes(record.lines)
    record.findings.sort()
    del record.findings[FINDINGS_MAX:]
    return record


_Place = tuple[Path, str, tuple[str, int]]


def _places(folders: list[Path]) -> set[_Place]:
    """Where which finished files are."""
    return {
        (folder, journal, file.age)
        for folder in folders
        for journal, files in journals_in(folder).items()
        for file in files
        if not file.active
    }


def _read(folders: list[Path]) -> Record:
    record = Record()
    union: dict[int, Line] = {}
    for directory in folders:
        for journal, files in journals_in(directory).items():
            record.files += len(files)
            _read_journal(directory, journal, union, record)
    record.lines = [union[seq] for seq in sorted(union)]
    return record


def _read_journal(directory: Path, journal: str, union: dict[int, Line], record: Record) -> None:
    last = 0
    for path, number, raw in journal_lines(directory, journal):
        line = _parse(journal, raw)
        if line is None:
            record.findings.append(Finding(last, path.name, f"line {number} cannot be read"))
            continue
        seq = line.header.seq
        if seq <= last:
            what = "doubled" if seq == last else "out of order"
            record.findings.append(Finding(seq, path.name, f"line {number} is {what}"))
        elif seq in union and union[seq].raw != raw:
            record.findings.append(Finding(seq, path.name, f"line {number} differs from the same number elsewhere"))
        last = max(last, seq)
        union.setdefault(seq, line)


def _parse(journal: str, raw: bytes) -> Line | None:
    if not is_line(raw):
        return None
    try:
        header = codec.header_of(raw)
        event = topics.event_type(header.type)
        if event is None:
            return Line(topics.stray_topic(f"{journal}.ndjson"), header, raw)
        return Line(_topic(event, raw), header, raw)
    except CodecError:
        return None


def _topic(event: type[Event], raw: bytes) -> str:
    topic = topics.TOPIC_OF_EVENT[event]
    return topic.of(codec.decode(raw, event)) if "{" in topic.name else topic.name


def _holes(lines: list[Line]) -> list[Finding]:
    """Numbers that no journal holds; the record begins with 1 and ends with a whole commit."""
    findings: list[Finding] = []
    heirs = {line.header.prev: line.topic for line in lines}
    if lines[0].header.seq != 1:
        findings.append(_missing(0, lines[0], heirs))
    for before, after in pairwise(lines):
        if after.header.seq != before.header.seq + 1:
            findings.append(_missing(before.header.seq, after, heirs))
    left = lines[-1].header.more
    if left:
        findings.append(Finding(lines[-1].header.seq + 1, "", f"missing: {left} more lines of the last commit"))
    return findings


def _missing(after: int, line: Line, heirs: dict[int, str]) -> Finding:
    """A hole; each line names the one before it on its topic, so most holes have a name."""
    first, last = after + 1, line.header.seq - 1
    if first < last:
        return Finding(first, "", f"missing: {first} to {last}")
    topic = heirs.get(first)
    return Finding(first, "", f"missing: {first}" + (f" on {topic}" if topic else ""))
