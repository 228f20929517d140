"""An instance's journals: it appends to them what the streams of its topics hold behind the files' last numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from core import codec, topics
from core.contracts import Event
from core.errors import CodecError, ForeignCell, HistoryForked, JournalError, SequenceGap
from core.journal import LastLine, is_line, last_lines, note_cell, noted_cell
from core.journal_rotation import RotatingJournal
from core.runtime.upkeep import Upkeep
from core.sequencer.port import Cell
from core.topics import Topic

log = structlog.get_logger()

BATCH = 2000
SUFFIX = ".ndjson"
COMPRESS_AFTER_HOURS = 24.0
TRIM_KEEP = 1100
"""Entries that a stream always keeps: a source finds its last trades there."""


class Archive:
    """The journals of one instance.

    Attributes:
        lines: how many lines this process has written.
        synced: per topic, how far it is safe on disk.
    """

    def __init__(
        self,
        cell: Cell,
        instance: str,
        directory: Path,
        is_running: Callable[[str], bool] = lambda name: True,
        *,
        upkeep: Upkeep | None = None,
    ) -> None:
        """
        Args:
            cell: where the streams are.
            instance: whose topics.
            directory: where the journals are.
            is_running: whether a process of an instance lives on this host.
            upkeep: compresses its finished files; by default after a day.
        """
        self._is_running = is_running
        self._cell = cell
        self._instance = instance
        self._directory = directory
        self._upkeep = upkeep or Upkeep(directory, COMPRESS_AFTER_HOURS)
        self._journals: dict[str, RotatingJournal] = {}
        self._last: dict[str, int] = {}
        self._dirty: set[str] = set()
        self._unsynced: dict[str, int] = {}
        self._owners: set[str] = set()
        self._owned: set[str] = set()
        self._busy = asyncio.Lock()
        self.lines = 0
        self.synced: dict[str, int] = {}

    def is_empty(self) -> bool:
        """Whether no journal here, of any instance, holds a line; only then may a server without a cell get one."""
        return not any(is_line(last.line) for last in last_lines(self._directory))

    def claim(self, cell_id: str) -> None:
        """Make the journals here those of a cell; a folder without any may change hands.

        Raises:
            ForeignCell: they are those of another one. That is a wrong address, no fork: that cell stays as it is.
            JournalError: the note of it cannot be written.
        """
        noted = noted_cell(self._directory)
        if cell_id in ("", noted):  # a cell that was made without an identity is taken as it is
            return
        if noted and not self.is_empty():
            raise ForeignCell(
                f"the journals in {self._directory} belong to cell {noted}, the server holds cell {cell_id}: redis.url,"
                " redis.cell or paths.journal_dir is wrong, or scripts/njord_restore.py --force must rebuild the server"
            )
        note_cell(self._directory, cell_id)

    async def compare(self) -> None:
        """Compare the end of every journal here, whosever it is, with its stream.

        Raises:
            HistoryForked: the server holds another line under that number, or less than the journal.
        """
        for last in last_lines(self._directory):
            topic = _topic_of(last)
            if topic is None or await holds(self._cell, topic, last.line):
                continue
            top, seq = (await self._cell.last_seqs()).get(topic, 0), codec.seq_of(last.line)
            found = f"journal {last.file.path.name} ends with line {seq}, the server is at {top} and does not hold it"
            await self._cell.mark_forked(f"{self._instance}: {found}")
            raise HistoryForked(f"{found}; run scripts/njord_restore.py")

    async def vouch(self, host: str, run_id: str) -> None:
        """Attest for those instances of this host that do not run; call it after `compare`.

        All that they could compare if they were started are these journals, so whoever has compared them may say it
        in their place. One that runs, or hangs, remembers more than its journals and must speak for itself.
        """
        for name, home in (await self._cell.homes()).items():
            if home == host and name != self._instance and not self._is_running(name):
                await self._cell.attest(name, run_id)

    async def tail(self) -> int:
        """Write what is new; the number of lines written.

        Raises:
            JournalError: a file cannot be written.
            SequenceGap: a stream does not continue its journal.
            HistoryForked: because it is being replaced.
        """
        async with self._busy:  # the last call of a session meets the periodic one
            before = self.lines
            lasts = await self._cell.last_seqs()
            for topic in [*self._own(lasts), *await self._strays(lasts)]:
                while self._position(topic) < lasts[topic]:
                    await self._append(topic, lasts[topic])
            return self.lines - before

    def _own(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if topics.owns(self._instance, name)]

    async def _strays(self, names: Iterable[str]) -> list[str]:
        """The topics that this instance keeps because their owner is not registered in the cell.

        Once an owner is, it begins its journal with the stream; a line in two journals is no harm, one in none is.
        """
        if not self._instance.startswith(topics.STRAY_OWNER + "."):
            return []
        owners = set(await self._cell.positions())
        if owners != self._owners:  # also when one has been taken off the list
            self._owners, self._owned = owners, set()
        unknown = [name for name in names if name not in self._owned]
        self._owned.update(name for name in unknown if any(topics.owns(owner, name) for owner in owners))
        return [name for name in unknown if name not in self._owned]

    async def _append(self, topic: str, upto: int) -> None:
        after = self._position(topic)
        lines = [line for _, line in await self._cell.read([topic], after, upto, BATCH)]
        if not lines:
            forked = (await self._cell.meta()).forked
            if forked:  # a restore begins like this
                raise HistoryForked(f"the cell is closed by a fork: {forked}; run scripts/njord_restore.py")
            raise SequenceGap(f"the stream of {topic} does not hold its own last line, {upto}")
        if codec.header_of(lines[0]).prev != after:
            await self._accept_gap(topic, after, codec.seq_of(lines[0]))
        for name, group in self._by_file(topic, lines):
            self._journal(name).write_lines(group)
            self._dirty.add(name)
        self._last[topic] = self._unsynced[topic] = codec.seq_of(lines[-1])
        self.lines += len(lines)

    async def _accept_gap(self, topic: str, after: int, seq: int) -> None:
        """A stream is trimmed only behind a journal: what is missing here is in the journal of another host.

        Raises:
            SequenceGap: the stream was not trimmed; its own lines do not follow each other.
        """
        if await self._cell.first_seq(topic) != seq:
            raise SequenceGap(f"the stream of {topic} holds no line between {after} and {seq}")
        log.warning("journal_continues_elsewhere", topic=topic, ends_with=after, goes_on_with=seq)

    def _by_file(self, topic: str, lines: list[bytes]) -> list[tuple[str, list[bytes]]]:
        """Runs of lines for one journal, in the order of the stream."""
        declared = self._declared(topic)
        if declared is None or not declared.split_by_symbol:
            return [(self._name(topic), lines)]
        runs: list[tuple[str, list[bytes]]] = []
        for line in lines:
            name = declared.journal_name(topic, codec.symbol_of(line)).removesuffix(SUFFIX)
            if not runs or runs[-1][0] != name:
                runs.append((name, []))
            runs[-1][1].append(line)
        return runs

    def _declared(self, topic: str) -> Topic[Event] | None:
        """The topic where its journal is this instance's; None for a stray."""
        return topics.find(topic) if topics.owns(self._instance, topic) else None

    def _name(self, topic: str) -> str:
        """The journal of a topic; a pattern where there is one for each symbol."""
        declared = self._declared(topic)
        if declared is None:
            return topics.stray_journal(topic).removesuffix(SUFFIX)
        if declared.split_by_symbol:
            return declared.journal.replace("{symbol}", "*")
        return declared.journal_name(topic).removesuffix(SUFFIX)

    def _journal(self, name: str) -> RotatingJournal:
        if name not in self._journals:
            self._journals[name] = RotatingJournal(self._directory, name)
        return self._journals[name]

    def _position(self, topic: str) -> int:
        """The number behind which the journal goes on; found in the files at first."""
        if topic not in self._last:
            found = last_lines(self._directory, self._name(topic))
            for file, line in found:
                self._journal(file.journal)  # opening cuts a torn line
                if not is_line(line):
                    raise JournalError(f"journal {file.path} ends with what is no line: {line[:80]!r}")
            self._last[topic] = max((codec.seq_of(last.line) for last in found), default=0)
        return self._last[topic]

    async def sync(self) -> None:
        """Bring everything written to the disk and say so; many lines share one flush."""
        async with self._busy:
            if self._dirty:
                journals = [self._journals[name] for name in sorted(self._dirty)]
                await asyncio.get_running_loop().run_in_executor(None, _sync_all, journals)
                self.synced.update(self._unsynced)
                await self._cell.journalled(self._unsynced)
                self._dirty.clear()
                self._unsynced.clear()

    async def compress(self) -> None:
        """Compress files that have long been finished, for as long as this is awaited."""
        await self._upkeep.run(lambda: tuple(self._journals))

    async def trim(self) -> int:
        """Drop from the own streams what is on disk and behind every stored state; how many entries."""
        return await self._cell.trim(sorted(self.synced), TRIM_KEEP) if self.synced else 0

    def close(self) -> None:
        """Close the files."""
        for journal in self._journals.values():
            journal.close()
        self._journals.clear()


async def holds(cell: Cell, topic: str, line: bytes) -> bool:
    """Whether the server holds this line, byte for byte, or has trimmed it since."""
    seq = codec.seq_of(line)
    held = await cell.entry(topic, seq)
    return held == line or (held is None and await cell.first_seq(topic) > seq)


def _topic_of(last: LastLine) -> str | None:
    """The topic of a journal by its last line; None for a file that is no journal.

    Raises:
        JournalError: the line begins like one of a journal and is none.
    """
    file, line = last
    if not is_line(line):
        return None
    try:
        event = topics.event_type(codec.header_of(line).type)
        if event is None:
            return topics.stray_topic(file.journal + SUFFIX)
        return topics.TOPIC_OF_EVENT[event].of(codec.decode(line, event))
    except CodecError as error:
        raise JournalError(f"journal {file.path} ends with what cannot be read: {error}") from None


def _sync_all(journals: list[RotatingJournal]) -> None:
    for journal in journals:
        journal.sync()
