"""Look at the cell on the Redis server, or stop waiting for an instance that is gone for good.

After every start of the server the cell stays closed until each registered instance has compared its history with it.
`deregister` takes one off that list. Exit codes: 0 done or open, 1 closed, forked or failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, from whatever directory

from core import cli
from core.config import Config
from core.sequencer.redis import RedisCell


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    args = _parser().parse_args(argv)
    return cli.guarded("njord_cell", lambda: asyncio.run(_run(cli.config_of(args), args)))


def _parser() -> argparse.ArgumentParser:
    made = cli.parser("njord_cell.py", __doc__)
    commands = made.add_subparsers(dest="command", required=True)
    status = commands.add_parser("status", help="epoch, last number, and who has yet to attest", allow_abbrev=False)
    gone = commands.add_parser("deregister", help="stop waiting for an instance", allow_abbrev=False)
    gone.add_argument("instance", help="its name, such as md_ingest.BTCUSDT")
    for command in (status, gone):
        cli.add_places(command, default=argparse.SUPPRESS)
    return made


async def _run(config: Config, args: argparse.Namespace) -> int:
    cell = RedisCell(config.redis.url, config.redis.cell)
    await cell.connect()
    try:
        if args.command == "deregister":
            if await cell.deregister(args.instance):
                print(f"{args.instance} is not waited for any more")
                return 0
            known = ", ".join(sorted(await cell.positions())) or "none"
            print(f"njord_cell: {args.instance} is not registered; registered: {known}", file=sys.stderr)
            return 1
        return await _status(cell)
    finally:
        await cell.close()


async def _status(cell: RedisCell) -> int:
    meta = await cell.meta()
    attested = await cell.attested()
    said = {
        "epoch": meta.epoch,
        "seq": meta.seq,
        "open": meta.open,
        "forked": meta.forked,
        "instances": {
            name: {"in_seq": in_seq, "attested": meta.open or name in attested}
            for name, in_seq in sorted((await cell.positions()).items())
        },
    }
    print(json.dumps(said, indent=2))
    return 0 if meta.epoch and meta.open and not meta.forked else 1


if __name__ == "__main__":
    sys.exit(main())
