"""An index over journals: finds lines by id, by type, by what caused them and by time, without reading everything.

It is a SQLite file that holds where each line is, and nothing that the journals do not say: it can be deleted and is
made again. It follows files that have grown, were rotated, compressed or moved to the archive; a file whose content is
another one is indexed again. What is found is read from the journals and compared with what the index says of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from core import codec, topics
from core.contracts.moments import FOREVER
from core.errors import CodecError, JournalError
from core.journal_files import JournalFile, journals_in
from core.journal_lines import LineReader

VERSION = 1
BATCH = 20_000
WAIT_S = 60.0
"""For another process that updates the same index."""

IDS = ("intent_id", "intent_ids", "order_id", "signal_id", "fill_id", "idempotency_key")
"""Fields of events that hold the id of something that a person may look for."""

_SCHEMA = """
CREATE TABLE files (
  id INTEGER PRIMARY KEY, journal TEXT NOT NULL, first_seq INTEGER NOT NULL, path TEXT NOT NULL,
  stamp TEXT NOT NULL, bytes INTEGER NOT NULL, UNIQUE (journal, first_seq)
);
CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);
CREATE TABLE lines (
  seq INTEGER PRIMARY KEY, ts INTEGER NOT NULL, type INTEGER NOT NULL, src INTEGER NOT NULL, cause INTEGER NOT NULL,
  root INTEGER NOT NULL, file INTEGER NOT NULL, place INTEGER NOT NULL, length INTEGER NOT NULL
);
CREATE TABLE ids (word TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (word, seq)) WITHOUT ROWID;
CREATE INDEX lines_type ON lines (type, seq);
CREATE INDEX lines_root ON lines (root);
CREATE INDEX lines_file ON lines (file);
"""


class Found(NamedTuple):
    """A line that was asked for.

    Attributes:
        header: the sequencer's part.
        path: the file that holds it.
        line: all of it.
    """

    header: codec.Header
    path: Path
    line: bytes


class Updated(NamedTuple):
    """What an update has changed.

    Attributes:
        files: how many files are indexed.
        lines: how many lines are.
        added: how many of them were not before.
    """

    files: int
    lines: int
    added: int


class JournalIndex:
    """The index of the journals of some folders."""

    def __init__(self, file: Path, folders: Sequence[Path]) -> None:
        """
        Args:
            file: where the index is; made if missing, made anew where it is none or that of another version.
            folders: those with journals; those that are not there hold none.

        Raises:
            JournalError: the index cannot be written there.
        """
        self._file, self._folders = file, tuple(folders)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._db = _opened(file)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"index {file} cannot be opened: {error}") from None
        self._words: dict[str, int] = {}

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # -- making it

    def rebuild(self) -> Updated:
        """Forget everything and index all journals.

        Raises:
            JournalError: as `update`.
        """
        return self._brought_up_to_date(anew=True)

    def update(self) -> Updated:
        """Index what is new, and forget files that are gone.

        Raises:
            JournalError: a journal cannot be read, or the index cannot be written.
        """
        return self._brought_up_to_date(anew=False)

    def _brought_up_to_date(self, *, anew: bool) -> Updated:
        """All of it or nothing, by one process at a time."""
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._words.clear()  # another process may have made all of them anew
                if anew:
                    for table in ("files", "lines", "ids", "words"):
                        self._db.execute(f"DELETE FROM {table}")
                before = self._count("lines")
                self._follow([file for folder in self._folders for file in _files(folder)])
                lines = self._count("lines")
                return Updated(self._count("files"), lines, lines - before)
        except sqlite3.Error as error:
            raise JournalError(f"index {self._file} cannot be written: {error}") from None

    def _count(self, table: str) -> int:
        count: int = self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return count

    def _follow(self, files: list[JournalFile]) -> None:
        """Forget what is no more before anything is read: after a restore its numbers stand in other files."""
        present: set[int] = set()
        changed: list[tuple[JournalFile, str]] = []
        for file in files:
            stamp = _stamp(file.path)
            number = self._unchanged(file, stamp)
            if number is None:
                changed.append((file, stamp))
            present.add(self._continued(file) if number is None else number)
        for (gone,) in self._db.execute("SELECT id FROM files").fetchall():
            if gone not in present:
                self._forget(gone)
        for file, stamp in changed:
            with suppress(FileNotFoundError):  # moved just now; the next update finds it there
                self._read(file, stamp)

    def _unchanged(self, file: JournalFile, stamp: str) -> int | None:
        row = self._db.execute("SELECT id FROM files WHERE path = ? AND stamp = ?", (str(file.path), stamp)).fetchone()
        return int(row[0]) if row else None

    def _continued(self, file: JournalFile) -> int:
        """What is indexed of a file's content, wherever that was then; 0 for nothing that it goes on with."""
        try:
            with LineReader(file.path) as reader:
                known = self._known(file, _first_seq(reader))
            return known[0] if known and self._continues(*known, file.path) else 0
        except FileNotFoundError:  # moved to the archive just now; the next update finds it there
            row = self._db.execute("SELECT id FROM files WHERE path = ?", (str(file.path),)).fetchone()
            return int(row[0]) if row else 0

    def _known(self, file: JournalFile, first: int | None) -> tuple[int, int] | None:
        """Number of a file in the index, and how many of its bytes are indexed."""
        row: tuple[int, int] | None = self._db.execute(
            "SELECT id, bytes FROM files WHERE journal = ? AND first_seq = ?", (file.journal, first)
        ).fetchone()
        return row

    def _continues(self, number: int, size: int, path: Path) -> bool:
        """Whether what is indexed of a file is still what it begins with, as its last indexed line shows."""
        last = self._db.execute(
            "SELECT seq, ts, place, length FROM lines WHERE file = ? ORDER BY seq DESC LIMIT 1", (number,)
        ).fetchone()
        if last is None:
            return size == 0
        line = next(_lines_at(path, [(last[2], last[3])]), b"")
        return line.startswith(b'{"_seq":%d,"_ts":%d,' % (last[0], last[1]))

    def _read(self, file: JournalFile, stamp: str) -> None:
        """Index the lines of a file that are not yet."""
        with LineReader(file.path) as reader:
            first = _first_seq(reader)
            if first is None:
                return
            self._db.execute(
                "INSERT OR IGNORE INTO files (journal, first_seq, path, stamp, bytes) VALUES (?, ?, ?, '', 0)",
                (file.journal, first, str(file.path)),
            )
            number, start = self._known(file, first) or (0, 0)
            size = self._read_lines(number, reader, start)
        update = "UPDATE files SET path = ?, stamp = ?, bytes = ? WHERE id = ?"
        self._db.execute(update, (str(file.path), stamp, size, number))

    def _read_lines(self, number: int, reader: LineReader, start: int) -> int:
        """Index the whole lines behind a place; where the last of them ends."""
        rows: list[tuple[int, ...]] = []
        ids: list[tuple[str, int]] = []
        place = 0
        for lines in reader.lines():
            for line in lines:
                if place >= start:
                    self._note(number, place, line, rows, ids)
                place += len(line) + 1
            if len(rows) >= BATCH:
                self._store(rows, ids)
        self._store(rows, ids)
        return place

    def _note(
        self, file: int, place: int, line: bytes, rows: list[tuple[int, ...]], ids: list[tuple[str, int]]
    ) -> None:
        try:
            header = codec.header_of(line)
        except CodecError:
            return  # a line without a place in the order; whoever reads the journal is told
        kind, source = self._word(header.type), self._word(header.src)
        rows.append((header.seq, header.ts, kind, source, header.cause, header.root, file, place, len(line)))
        if header.type not in _MARKET:
            ids += [(each, header.seq) for each in _ids_of(line)]

    def _store(self, rows: list[tuple[int, ...]], ids: list[tuple[str, int]]) -> None:
        self._db.executemany("INSERT OR IGNORE INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._db.executemany("INSERT OR IGNORE INTO ids VALUES (?, ?)", ids)
        rows.clear()
        ids.clear()

    def _word(self, word: str) -> int:
        if word not in self._words:
            self._db.execute("INSERT OR IGNORE INTO words (word) VALUES (?)", (word,))
            self._words[word] = self._db.execute("SELECT id FROM words WHERE word = ?", (word,)).fetchone()[0]
        return self._words[word]

    def _forget(self, file: int) -> None:
        self._db.execute("DELETE FROM ids WHERE seq IN (SELECT seq FROM lines WHERE file = ?)", (file,))
        self._db.execute("DELETE FROM lines WHERE file = ?", (file,))
        self._db.execute("DELETE FROM files WHERE id = ?", (file,))

    # -- asking it

    def find(
        self,
        *,
        id: str = "",
        correlated: bool = False,
        type: str = "",
        source: str = "",
        root: int = 0,
        start_ns: int = 0,
        end_ns: int = FOREVER,
        limit: int = 0,
    ) -> Iterator[Found]:
        """The lines for which everything holds that is asked, in their order.

        Args:
            id: of an intent, order, signal or fill, or an idempotency key: lines that name it.
            correlated: also those that have a first cause in common with one that names it.
            type: class name of the event, "FillEvent".
            source: instance that published it, "paper_trader.main".
            root: `_seq` of a first cause: it and everything that followed from it.
            start_ns: the sequencer's time from which on, ns UTC.
            end_ns: before which.
            limit: at most so many; 0 is all.

        Raises:
            JournalError: a journal has changed since the last `update`.
        """
        naming = "seq IN (SELECT seq FROM ids WHERE word = ?)"
        asked: list[tuple[str, Any]] = [
            (f"root IN (SELECT root FROM lines WHERE {naming})" if correlated else naming, id),
            ("type = (SELECT id FROM words WHERE word = ?)", type),
            ("src = (SELECT id FROM words WHERE word = ?)", source),
            ("root = ?", root),
        ]
        where = " AND ".join([clause for clause, value in asked if value] + ["seq >= ?", "seq < ?"])
        values = [value for _, value in asked if value]
        query = f"SELECT seq, file, place, length FROM lines WHERE {where} ORDER BY seq LIMIT ?"
        first, end, left = self._seq_at(start_ns), self._seq_at(end_ns), limit or self._count("lines")
        while rows := self._db.execute(query, (*values, first, end, min(left, BATCH))).fetchall():
            yield from self._fetched(rows)  # between two queries another process may update
            first, left = rows[-1][0] + 1, left - len(rows)

    def _seq_at(self, ts_ns: int) -> int:
        """The first number at or behind a time; the sequencer's time never falls, so halving finds it."""
        low = 0
        high = (self._db.execute("SELECT max(seq) FROM lines").fetchone()[0] or 0) + 1
        while low < high:
            middle = (low + high) // 2
            row = self._db.execute("SELECT seq, ts FROM lines WHERE seq >= ? LIMIT 1", (middle,)).fetchone()
            if row is None or row[1] >= ts_ns:
                high = middle
            else:
                low = row[0] + 1
        return low

    def _fetched(self, rows: Iterable[tuple[int, int, int, int]]) -> list[Found]:
        """Read lines file by file, each file once, and put them back into their order."""
        by_file: dict[int, list[tuple[int, int, int]]] = {}
        for seq, file, place, length in rows:
            by_file.setdefault(file, []).append((place, length, seq))
        found: list[Found] = []
        for file, places in by_file.items():
            path = Path(self._db.execute("SELECT path FROM files WHERE id = ?", (file,)).fetchone()[0])
            places.sort()
            lines = _lines_at(path, [(place, length) for place, length, _ in places])
            for (_, _, seq), line in zip(places, lines, strict=True):
                if not line.startswith(b'{"_seq":%d,' % seq):
                    raise JournalError(f"journal {path} has changed: line {seq} is not where the index says; update it")
                found.append(Found(codec.header_of(line), path, line))
        return sorted(found, key=lambda each: each.header.seq)


_MARKET = {topic.event.__name__ for topic in topics.TOPICS if topic.name.startswith(("md.", "clock."))}
"""Types of events that name no intent, order, signal or fill."""


def _opened(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, timeout=WAIT_S)
    try:
        _prepare(db)
    except sqlite3.OperationalError:  # in use for too long, or not to be written
        db.close()
        raise
    except sqlite3.DatabaseError:  # no database
        db.close()
        file.unlink()
        db = sqlite3.connect(file, timeout=WAIT_S)
        _prepare(db)
    return db


def _prepare(db: sqlite3.Connection) -> None:
    """Make the tables if they are not there, in one step for whoever opens it at the same time."""
    version = "PRAGMA user_version"
    if db.execute(version).fetchone()[0] == VERSION:
        return
    with db:
        db.execute("BEGIN IMMEDIATE")
        if db.execute(version).fetchone()[0] == VERSION:
            return
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            db.execute(f'DROP TABLE "{table}"')
        for statement in _SCHEMA.split(";"):
            db.execute(statement)
        db.execute(f"{version} = {VERSION}")


def _files(folder: Path) -> Iterator[JournalFile]:
    for files in journals_in(folder).values():
        yield from files


def _stamp(path: Path) -> str:
    """Changes whenever the file does."""
    try:
        stat = path.stat()
    except OSError:  # compressed or moved just now; found there
        return ""
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _first_seq(reader: LineReader) -> int | None:
    """Number of a file's first sequenced line; None if there is none among the first lines."""
    for line in next(reader.lines(), []):
        with suppress(CodecError):
            return codec.header_of(line).seq
    return None


def _ids_of(line: bytes) -> Iterator[str]:
    payload = codec.payload_of(line)
    for name in IDS:
        value = payload.get(name)
        for each in value if isinstance(value, list) else [value]:
            if each and isinstance(each, str):
                yield each


def _lines_at(path: Path, places: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """The lines at rising places of a file, by offset and length in its plain content; empty where it ends before."""
    wanted = iter(places)
    place, length = next(wanted)
    start = 0
    with LineReader(path) as reader:
        for block in reader.blocks():
            while place < start + len(block):
                yield block[place - start : place - start + length]
                following = next(wanted, None)
                if following is None:
                    return
                place, length = following
            start += len(block)
    yield b""
    for _ in wanted:
        yield b""
