"""Compress the journals and logs of finished days, and with --retention also move and delete what is old.

A file is compressed when nobody has written it for some time: to <name>.gz beside it, which is read back before the
plain one is removed. What is being written is never touched. It may run while the system runs, be interrupted at any
point, and run twice. --retention moves old journals to paths.archive_dir and deletes old logs, as the section
`retention` of the configuration says. Exit codes: 0 done, 1 something could not be done, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, from whatever directory

from core import cli
from core.config import Config
from core.errors import NjordError
from core.journal_compression import compress, finished_files
from core.journal_retention import archive, archive_folder, delete, old_archived, old_journals, old_logs


@dataclass(slots=True)
class Done:
    """What was done, or would be.

    Attributes:
        compressed: files that are .gz now, by the names they had.
        bytes_before: what they held as plain files.
        bytes_after: what they hold now; 0 in a dry run.
        archived: journal files that were moved.
        deleted: logs and archived journals that are gone.
        failed: what could not be done, in words.
    """

    compressed: list[str] = field(default_factory=list)
    bytes_before: int = 0
    bytes_after: int = 0
    archived: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; the exit code."""
    args = _parser().parse_args(argv)
    return cli.guarded("compress_journals", lambda: _run(cli.config_of(args), args))


def _parser() -> argparse.ArgumentParser:
    made = cli.parser("compress_journals.py", __doc__)
    made.add_argument(
        "--older-than-hours", type=_hours, metavar="HOURS",
        help="since the last write (default: retention.compress_after_hours)",
    )  # fmt: skip
    made.add_argument("--retention", action="store_true", help="also move old journals, delete old logs")
    made.add_argument("--dry-run", action="store_true", help="only say what would be done")
    made.add_argument("--json", action="store_true", help="say it as one JSON object")
    return made


def _hours(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: a number of hours, 0 or more")
    return value


def _run(config: Config, args: argparse.Namespace) -> int:
    done = Done()
    hours = config.retention.compress_after_hours if args.older_than_hours is None else args.older_than_hours
    _compress(config, hours, done, dry=args.dry_run)
    if args.retention:
        _retain(config, done, dry=args.dry_run)
    if args.json:
        print(json.dumps(asdict(done)))
    else:
        _say(done, dry=args.dry_run)
    for problem in done.failed:
        print(f"compress_journals: {problem}", file=sys.stderr)
    return 1 if done.failed else 0


def _compress(config: Config, hours: float, done: Done, *, dry: bool) -> None:
    for folder in sorted({config.paths.journal_dir, config.paths.log_dir}):
        for file in finished_files(folder, older_than_hours=hours, now_ns=time.time_ns()):
            if not dry:
                _attempt(partial(_replace, file.path, done), done)
            elif file.path.exists():
                done.compressed.append(str(file.path))
                done.bytes_before += file.path.stat().st_size


def _replace(path: Path, done: Done) -> None:
    made = compress(path)
    if made is not None:
        done.compressed.append(str(path))
        done.bytes_before += made.before
        done.bytes_after += made.after


def _retain(config: Config, done: Done, *, dry: bool) -> None:
    paths, now_ns = config.paths, time.time_ns()
    to = archive_folder(paths.archive_dir, paths.journal_dir)
    for path in old_journals(paths.journal_dir, days=config.retention.archive_after_days, now_ns=now_ns):
        if dry or _attempt(partial(archive, path, to), done):
            done.archived.append(str(path))
    for path in (
        *old_logs(paths.log_dir, days=config.retention.logs_days, now_ns=now_ns),
        *old_archived(paths.archive_dir, days=config.retention.delete_archived_after_days, now_ns=now_ns),
    ):
        if dry or _attempt(partial(delete, path), done):
            done.deleted.append(str(path))


def _attempt(work: Callable[[], object], done: Done) -> bool:
    """Do one thing; what fails does not keep the others from being done."""
    try:
        work()
    except NjordError as error:
        done.failed.append(str(error))
        return False
    return True


def _say(done: Done, *, dry: bool) -> None:
    would = "would be " if dry else ""
    size = f"{done.bytes_before / 1e6:,.1f} MB"
    if done.bytes_after:
        size += f" to {done.bytes_after / 1e6:,.1f} MB, {done.bytes_after / done.bytes_before:.1%} of it"
    print(f"{len(done.compressed)} files {would}compressed, {size}")
    for what, names in (("archived", done.archived), ("deleted", done.deleted)):
        for name in names:
            print(f"{would}{what}: {name}")


if __name__ == "__main__":
    sys.exit(main())
