"""Rebuild the cell on a Redis server from the journals, after its history was lost or forked.

Stop all services first. The history goes on behind the longest whole part of the journals without a hole; lines behind
it are moved to `<journal>.cut`. The epoch is raised, so a process that was forgotten somewhere can publish nothing.
Exit codes: 0 done, 1 failed or nothing to restore, 2 wrong usage or configuration.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, from whatever directory

from backtest.journals import Line
from backtest.restoration import Plan, cut_journals, plan
from core import cli, codec
from core.config import Config
from core.journal import noted_cell
from core.journal_retention import journal_folders
from core.sequencer.records import SavedState
from core.sequencer.redis import RedisCell

EVER = 1 << 53


def main(argv: Sequence[str] | None = None) -> int:
    """Restore the cell that the command line names; the exit code."""
    args = _parser().parse_args(argv)
    return cli.guarded("njord_restore", lambda: asyncio.run(_restore(cli.config_of(args), args)))


def _parser() -> argparse.ArgumentParser:
    made = cli.parser("njord_restore.py", __doc__)
    made.add_argument(
        "--journal-dir", type=Path, action="append", metavar="DIR",
        help="another folder with journals of this cell, from another host; repeatable",
    )  # fmt: skip
    made.add_argument("--force", action="store_true", help="also a cell that is neither forked nor missing")
    made.add_argument("--dry-run", action="store_true", help="only say what would be done")
    made.add_argument("--json", action="store_true", help="say it as one JSON object")
    return made


async def _restore(config: Config, args: argparse.Namespace) -> int:
    cell = RedisCell(config.redis.url, config.redis.cell)
    await cell.connect()
    try:
        meta = await cell.meta()
        if meta.epoch and not meta.forked and not (args.force or args.dry_run):
            print("njord_restore: the cell is whole; --force restores it all the same", file=sys.stderr)
            return 1
        noted = noted_cell(config.paths.journal_dir)
        if meta.cell_id not in ("", noted or meta.cell_id) and not (args.force or args.dry_run):
            print(f"njord_restore: the server holds cell {meta.cell_id}, the journals are of {noted}", file=sys.stderr)
            return 1
        own = journal_folders(config.paths.archive_dir, config.paths.journal_dir)
        folders = [*own, *(args.journal_dir or [])]
        planned = plan(folders, await _held(cell), await _states(cell))
        moved = 0
        if not args.dry_run:
            moved = cut_journals(folders, planned.content.seq)
            await cell.load(planned.content, noted or meta.cell_id or secrets.token_hex(8))
        _say(planned, moved, (await cell.meta()).epoch, as_json=args.json)
        return 0
    finally:
        await cell.close()


async def _held(cell: RedisCell) -> list[Line]:
    messages = await cell.read(list(await cell.last_seqs()), 0, EVER)
    return [Line(topic, codec.header_of(raw), raw) for topic, raw in messages]


async def _states(cell: RedisCell) -> dict[str, SavedState]:
    found = {}
    for instance in await cell.positions():
        state = await cell.saved_state(instance)
        if state is not None:
            found[instance] = state
    return found


def _say(planned: Plan, moved: int, epoch: int, *, as_json: bool) -> None:
    said = {
        "restored_to": planned.content.seq,
        "journals_reached": planned.journal_top,
        "lines_cut": len(planned.cut),
        "lines_moved_to_side_files": moved,
        "instances": {name: place.in_seq for name, place in sorted(planned.content.instances.items())},
        "epoch": epoch,
    }
    if as_json:
        print(json.dumps(said))
        return
    for name, value in said.items():
        print(f"{name.replace('_', ' '):26} {value}")


if __name__ == "__main__":
    sys.exit(main())
