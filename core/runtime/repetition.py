"""Whether a handler that handles its inputs again says what it has said."""

from __future__ import annotations

from collections.abc import Sequence

from core import codec, topics
from core.runner import Item, Runner
from core.sequencer.port import Cell

EVER = 1 << 53


async def first_difference(cell: Cell, runner: Runner, produced: Sequence[Item], *, after: int, saved_n: int) -> str:
    """The first output that is not what was published, in words; empty if there is none.

    Args:
        cell: where it was published.
        runner: who has handled its inputs again.
        produced: what it has said now.
        after: place of its saved memory.
        saved_n: number of the commit that saved it.
    """
    published = await _published(cell, runner, after, saved_n)
    made = [(item.topic, item.cause, item.root, item.body) for item in produced]
    if made == published:
        return ""
    pairs = zip([*made, None], [*published, None], strict=False)
    index, (mine, theirs) = next((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1])
    return f"output {index} is now {mine!r}, was published as {theirs!r}"


async def _published(cell: Cell, runner: Runner, after: int, saved_n: int) -> list[tuple[str, int, int, bytes]]:
    """What this instance's handler has published behind its saved memory."""
    service, instance = runner.service.name, runner.instance
    names = [name for name in await cell.last_seqs() if topics.says(service, instance, name)]
    published = []
    for name, line in await cell.read(names, after, EVER):
        header = codec.header_of(line)
        if header.src == instance and header.n > saved_n and header.cause:
            published.append((name, header.cause, header.root, codec.body_of(line)))
    return published
