"""What a cell must hold according to its journals: the longest whole history without a hole."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from backtest.journals import Line, read_record
from core import codec, topics
from core.contracts import StateObserved
from core.errors import JournalError
from core.journal import folder_lock, is_line, sync_folder
from core.journal_compression import LEVEL, hidden
from core.journal_files import JournalFile, journals_in
from core.journal_lines import read_lines
from core.journal_retention import cleared_ns
from core.sequencer.records import CellContent, Lease, SavedState

STREAM_KEEP = 1100
"""Newest lines that a stream gets in any case: a source finds its last trades there."""


class Plan(NamedTuple):
    """The outcome of reading the journals.

    Attributes:
        content: what to load.
        cut: lines behind the last whole commit without a hole before it; they are lost to the new history.
        journal_top: highest number in the journals.
    """

    content: CellContent
    cut: list[Line]
    journal_top: int


def plan(directories: Iterable[Path], held: Iterable[Line], states: dict[str, SavedState]) -> Plan:
    """Work out the history to go on from.

    Args:
        directories: every folder with journals of the cell.
        held: what the server still holds; used as far as it does not contradict the journals.
        states: memories that the server still holds.

    Raises:
        ConfigError: there are no journals.
        JournalError: two journals hold different lines under one number: no program can know which is true. Or the
            beginning of the history is in none of the folders, although nobody has let it be deleted.
    """
    directories = list(directories)
    record = read_record(directories)
    differing = [finding for finding in record.findings if "differs" in finding.what]
    if differing:
        raise JournalError(f"{differing[0].file}: {differing[0].what}; decide by hand which one is true")
    union = {line.header.seq: line for line in record.lines}
    served = sorted(held, key=lambda line: line.header.seq)
    agreeing = _agreeing(served, union)
    for line in agreeing:
        union.setdefault(line.header.seq, line)
    end = _end(union, _beginning(union, cleared_ns(directories)))
    kept = [union[seq] for seq in sorted(union) if seq <= end]
    cut = [union[seq] for seq in sorted(union) if seq > end]
    # A memory may reflect any line that its server has given out; where one of them is cut, none can be trusted.
    trusted = states if len(agreeing) == len(served) and all(line.header.seq <= end for line in served[-1:]) else {}
    return Plan(_content(kept, trusted), cut, record.lines[-1].header.seq)


def _agreeing(served: list[Line], union: dict[int, Line]) -> list[Line]:
    """The server's lines before the first that contradicts a journal."""
    for index, line in enumerate(served):
        if line.header.seq in union and union[line.header.seq].raw != line.raw:
            return served[:index]
    return served


def _beginning(union: dict[int, Line], cleared: int) -> int:
    """The first number from which nothing may be missing: 1, unless the oldest journals were deleted on purpose."""
    if cleared:  # of older days quiet journals still have their lines
        return min((seq for seq, line in union.items() if line.header.ts >= cleared), default=max(union))
    if 1 not in union:
        raise JournalError(
            f"the oldest line of all journals is {min(union)}, not 1: the folder with the older ones is missing; name"
            " it with --journal-dir"
        )
    return 1


def _end(union: dict[int, Line], first: int) -> int:
    """The last number up to which nothing is missing and where a commit is whole."""
    end = seq = first - 1
    while (line := union.get(seq + 1)) is not None:
        seq += 1
        if line.header.more == 0:
            end = seq
    return end


def _content(lines: list[Line], states: dict[str, SavedState]) -> CellContent:
    end = lines[-1].header.seq if lines else 0
    known = dict(states)
    for line in lines:
        if line.header.type == StateObserved.__name__:
            seen = codec.decode(line.raw, StateObserved)
            if seen.instance not in known or known[seen.instance].n < seen.n:
                known[seen.instance] = SavedState(codec.encode_state(seen.state), seen.in_seq, seen.n)
    last = {line.topic: line.header.seq for line in lines}
    return CellContent(
        seq=end,
        ts_ns=lines[-1].header.ts if lines else 0,
        streams=_streams(lines, known),
        last=last,
        instances=_places(lines, known),
        states=known,
    )


def _places(lines: list[Line], states: dict[str, SavedState]) -> dict[str, Lease]:
    """Where each instance stood: its last number, and the last input and observation that its lines prove handled."""
    n = {name: state.n for name, state in states.items()}
    handled = {name: state.in_seq for name, state in states.items()}
    heard = {name: codec.decode_json(state.state).get("observed", 0) for name, state in states.items()}
    observations: dict[str, list[tuple[int, int]]] = {}
    own: set[int] = set()
    for line in lines:
        header, name = line.header, line.header.src
        topic = topics.find(line.topic)
        n[name] = max(n.get(name, 0), header.n)
        if topic is not None and topic.role is topics.Role.OBSERVATION:
            own.add(header.seq)
            before = codec.before_seq_of(line.raw)
            observations.setdefault(name, []).append((before, header.seq))
            handled[name] = max(handled.get(name, 0), before - 1)  # what came before it had been handled
        else:
            reached = heard if header.cause in own else handled
            reached[name] = max(reached.get(name, 0), header.cause)
    places = {}
    for name in n:
        in_seq = handled.get(name, 0)
        # An observation was heard before any input at its place or behind it was handled.
        passed = max((seq for before, seq in observations.get(name, []) if before <= in_seq), default=0)
        places[name] = Lease(n[name], in_seq, max(passed, heard.get(name, 0)))
    return places


def _streams(lines: list[Line], states: dict[str, SavedState]) -> dict[str, list[bytes]]:
    """The lines that somebody may still have to handle again, and the newest of every topic."""
    lowest = min((state.in_seq for state in states.values()), default=0)
    streams: dict[str, list[bytes]] = {}
    for line in reversed(lines):
        stream = streams.setdefault(line.topic, [])
        if line.header.seq > lowest or len(stream) < STREAM_KEEP:
            stream.append(line.raw)
    return {topic: stream[::-1] for topic, stream in streams.items()}


def cut_journals(directories: Iterable[Path], end: int) -> int:
    """Move every line behind `end`, and what is no line, from the journals to side files `<journal>.cut`; how many.

    Whatever happens in between, each line is in a journal, or in a side file, or in both; it can be done again.
    """
    moved = 0
    for directory in directories:
        if any(_behind(file, end) for file in _files(directory)):  # where nothing is, nothing need be writable
            with folder_lock(directory):
                moved += sum(_cut(file, end) for file in _files(directory))
    return moved


def _files(directory: Path) -> list[JournalFile]:
    return [file for files in journals_in(directory).values() for file in files]


def _behind(file: JournalFile, end: int) -> list[bytes]:
    return [raw + b"\n" for raw in read_lines(file.path) if not _stays(raw, end)]


def _cut(file: JournalFile, end: int) -> int:
    """Of a file whose compressed form is there too, both are the same; only what remains is kept, once."""
    path = file.path
    behind = _behind(file, end)
    if not behind:
        return 0
    with path.with_name(f"{file.journal}.cut").open("ab") as aside:
        aside.writelines(behind)
        aside.flush()
        os.fsync(aside.fileno())  # behind a power cut each must be in one file or the other
    with hidden(path) as rest:
        with rest.open("wb") as out:
            kept = (raw + b"\n" for raw in read_lines(path) if _stays(raw, end))
            if file.compressed:
                with gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=out, mtime=0) as packed:
                    packed.writelines(kept)
            else:
                out.writelines(kept)
            out.flush()
            os.fsync(out.fileno())
        if not file.compressed:
            path.with_name(path.name + ".gz").unlink(missing_ok=True)
        rest.replace(path)  # in one step, whatever happens in between
    sync_folder(path.parent)
    return len(behind)


def _stays(raw: bytes, end: int) -> bool:
    return is_line(raw) and codec.seq_of(raw) <= end
