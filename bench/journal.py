"""Journal lines per second: one write per line, from stream to file, and back into memory."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from backtest.journals import read_record
from bench.commit import BATCH, INSTANCE
from bench.figures import Outcome, median, spread
from bench.lab import Lab, run, trade_items
from core.codec import Header, line_of
from core.journal_rotation import RotatingJournal
from core.runtime.archive import Archive

LINES = 20_000
SYNC_LINES = 500
"""Lines that share one fsync in the group commit; what a source of 5,000 lines a second writes in 0.1 s."""

PLAIN = "os.write of a line"
HEADER = Header(
    seq=1_234_567, ts=1_723_161_255_000_000_000, prev=1_234_566, src=INSTANCE, cause=0, root=1_234_567,
    root_ts=1_723_161_255_000_000_000, type="TradeEvent", v=1, n=1_234_567, more=0,
)  # fmt: skip


def measure(folder: Path, rounds: int) -> Outcome:
    """Lines per second of a journal against bare writes, then of an archive from its stream, then of reading back."""
    lines = [line_of(HEADER, item.body) for item in trade_items(LINES)]
    rates: dict[str, list[float]] = {}
    for number in range(rounds):
        for name, work in _works(folder / f"plain{number}", lines).items():
            rates.setdefault(name, []).append(_rate(work))
    with Lab(folder / "lab") as lab:
        for number in range(rounds):
            archived, read = run(_archive(lab, number))
            rates.setdefault("stream to file and disk (Archive)", []).append(archived)
            rates.setdefault("journals read back and checked (backtest.journals)", []).append(read)
    outcome = Outcome()
    for name, values in rates.items():
        ratios = [mine / plain for mine, plain in zip(values, rates[PLAIN], strict=True)]
        if name == PLAIN:
            outcome.add(name, median(values), "1/s", note=spread(values))
        else:
            outcome.add(name, median(values), "1/s", ratio=median(ratios), against=PLAIN, note=spread(ratios))
    outcome.remarks.append(f"{len(lines[0])} bytes a line; files in {folder.parent}")
    return outcome


def _rate(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return LINES / (time.perf_counter() - start)


def _works(folder: Path, lines: list[bytes]) -> dict[str, Callable[[], None]]:
    folder.mkdir(parents=True)

    def plain() -> None:
        fd = os.open(folder / "bare.ndjson", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for line in lines:
            os.write(fd, line + b"\n")
        os.close(fd)

    def journal() -> None:
        written = RotatingJournal(folder, "journal")
        written.write_lines(lines)
        written.close()

    def synced() -> None:
        written = RotatingJournal(folder, "synced")
        for start in range(0, LINES, SYNC_LINES):
            written.write_lines(lines[start : start + SYNC_LINES])
            written.sync()
        written.close()

    return {PLAIN: plain, "journal, one write per line": journal, f"journal, fsync every {SYNC_LINES} lines": synced}


async def _archive(lab: Lab, number: int) -> tuple[float, float]:
    """Commit trades, then write what their stream holds to a new journal, then read that: lines per second of both."""
    folder = lab.folder / f"journals{number}"
    async with lab.cell() as cell:
        committer = await lab.committer(cell, INSTANCE)
        for first in range(0, LINES, BATCH):
            await committer.commit(trade_items(BATCH, number * LINES + first))
        archive = Archive(cell, INSTANCE, folder)
        start = time.perf_counter()
        await archive.tail()
        await archive.sync()
        written = time.perf_counter()
        archive.close()
    record = await asyncio.to_thread(read_record, [folder])
    read = time.perf_counter()
    return archive.lines / (written - start), len(record.lines) / (read - written)
