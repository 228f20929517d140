"""Find lines in the journals by id, by type, by what caused them, by time: who decided what, when, and why.

What is found is printed as it stands in the journals, one JSON object per line, in the order in which it happened. The
index is a file beside the journals, brought up to date by every search; it can be deleted, `rebuild` makes it anew.

  scripts/njord_index.py find --id i-3f2a9c --correlated      everything that led to an intent and came of it
  scripts/njord_index.py find --type FillEvent --start 2025-09-30 --end 2025-09-30
  scripts/njord_index.py find --type RiskDecision --limit 20
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, from whatever directory

from backtest.journal_index import Found, JournalIndex, Updated
from core import cli
from core.config import Config
from core.contracts import moment, period
from core.contracts.moments import FOREVER
from core.errors import ConfigError, ContractError
from core.journal_retention import journal_folders

FILE = ".index.sqlite"


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    args = _parser().parse_args(argv)
    return cli.guarded("njord_index", lambda: _run(cli.config_of(args), args))


def _parser() -> argparse.ArgumentParser:
    made = cli.parser("njord_index.py", __doc__)
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, about in (("update", "index what is new"), ("rebuild", "index everything anew")):
        added = commands.add_parser(name, help=about, description=about, allow_abbrev=False)
        cli.add_places(added, argparse.SUPPRESS)
        added.add_argument("--json", action="store_true", help="say it as one JSON object")
    find = commands.add_parser("find", help="print lines", description="print lines", allow_abbrev=False)
    cli.add_places(find, argparse.SUPPRESS)
    find.add_argument("--id", default="", help="of an intent, order, signal or fill, or an idempotency key")
    find.add_argument(
        "--correlated", action="store_true", help="with --id: also everything else that has the same first cause"
    )
    find.add_argument("--type", default="", metavar="NAME", help="class name of the event, FillEvent")
    find.add_argument("--source", default="", metavar="INSTANCE", help="who published it, paper_trader.main")
    find.add_argument("--root", type=int, default=0, metavar="SEQ", help="number of the first cause")
    find.add_argument("--start", metavar="TIME", help="published from then on; 2025-09-30 or 2025-09-30T12:00:00Z")
    find.add_argument("--end", metavar="TIME", help="published before; a date belongs to it as a whole day")
    find.add_argument("--limit", type=int, default=0, metavar="N", help="at most so many (default: all)")
    return made


def _run(config: Config, args: argparse.Namespace) -> int:
    folders = journal_folders(config.paths.archive_dir, config.paths.journal_dir)
    index = JournalIndex(config.paths.journal_dir / FILE, folders)
    try:
        if args.command != "find":
            return _say(index.rebuild() if args.command == "rebuild" else index.update(), as_json=args.json)
        if args.correlated and not args.id:
            raise ConfigError("--correlated says which lines belong to an id; allowed: with --id")
        index.update()
        count = 0
        for found in _found(index, args):
            sys.stdout.write(found.line.decode() + "\n")
            count += 1
        if not count:
            sys.stderr.write("njord_index: nothing found\n")
        return 0 if count else cli.EXIT_FAILED
    finally:
        index.close()


def _say(updated: Updated, *, as_json: bool) -> int:
    text = f"{updated.files} files, {updated.lines:,} lines, {updated.added:+,} since the last time"
    sys.stdout.write((json.dumps(updated._asdict()) if as_json else text) + "\n")
    return 0


def _found(index: JournalIndex, args: argparse.Namespace) -> Iterator[Found]:
    start_ns, end_ns = _window(args)
    return index.find(
        id=args.id,
        correlated=args.correlated,
        type=args.type,
        source=args.source,
        root=args.root,
        start_ns=start_ns,
        end_ns=end_ns,
        limit=max(args.limit, 0),
    )


def _window(args: argparse.Namespace) -> tuple[int, int]:
    try:
        if args.end:
            return period(args.start or "1970-01-01", args.end)
        return (moment(args.start, "start") if args.start else 0), FOREVER
    except ContractError as error:
        raise ConfigError(f"--{error}") from None


if __name__ == "__main__":
    sys.exit(main())
