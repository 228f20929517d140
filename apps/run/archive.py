"""What earlier runs have left: going on with it, or putting it aside. Nothing is ever deleted.

A note in the state folder says what runs, or what ran last and whether it came to its end. The kill switch and its
audit file are in the same folder and belong to no run: they stay where they are.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from apps.run.server import data_dir
from core import codec
from core.config import Config
from core.errors import CodecError, ConfigError
from core.journal import is_line
from core.journal_files import journals_in, parse
from core.journal_lines import read_lines

NOTE = "run.json"


@dataclass(slots=True)
class Note:
    """What is known of a run after it, however it ended.

    Attributes:
        arguments: what makes it this run and no other: market, seed, profile, cell.
        ended: whether it came to its end; what was interrupted can go on.
        pids: its processes.
        server_url: its own server; empty without one.
        server_pid: process id of that.
    """

    arguments: dict[str, str] = field(default_factory=dict)
    ended: bool = True
    pids: dict[str, int] = field(default_factory=dict)
    server_url: str = ""
    server_pid: int = 0


def read_note(config: Config) -> Note:
    """The note of the last run; an empty one without it, or where it cannot be read."""
    try:
        return codec.convert(codec.decode_json((config.paths.state_dir / NOTE).read_bytes()), Note)
    except (OSError, CodecError):
        return Note()


def write_note(config: Config, note: Note) -> None:
    """Replace the note, whole or not at all."""
    path = config.paths.state_dir / NOTE
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_bytes(codec.encode_state(codec.to_builtins(note)))
    os.replace(beside, path)


def prepare(config: Config, last: Note, arguments: dict[str, str], *, fresh: bool) -> str:
    """Leave what the same run has left, put anything else aside; what was done, in words, empty if nothing.

    For runs with a server of their own: what somebody else's server holds goes on.

    Raises:
        ConfigError: the kill switch lies in what would be put aside.
    """
    journals, data = _files_in(config.paths.journal_dir), data_dir(config)
    begun = data.is_dir() and bool(journals)
    if begun and not fresh and not last.ended and last.arguments == arguments:
        return "going on where the last run stopped; FRESH=1 or --fresh starts over"
    if not journals and not data.is_dir():
        return ""
    if config.kill_switch_file.resolve().is_relative_to(data.resolve()):
        raise ConfigError(f"risk.kill_switch_file is inside {data}; allowed: a place that no run puts aside")
    write_note(config, Note())  # from here on nothing can go on, also if this is interrupted
    aside = _new_folder(config.paths.state_dir.parent / "runs")
    for path in journals:
        shutil.move(path, aside / "journals" / path.name)
    if data.is_dir():
        shutil.move(data, aside / data.name)
    return f"the data of the run before are now in {aside}"


def _files_in(folder: Path) -> list[Path]:
    """The files of all journals in a folder, compressed ones too: of sequenced lines, whatever else lies there."""
    names = {name for name, files in journals_in(folder).items() if any(_holds_lines(file.path) for file in files)}
    named = [(path, parse(path)) for path in sorted(folder.iterdir())] if names else []
    return [path for path, file in named if file is not None and file.journal in names]


def _holds_lines(path: Path) -> bool:
    return is_line(next(read_lines(path), b""))


def _new_folder(parent: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%SZ")
    for number in range(1, 1000):
        folder = parent / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            (folder / "journals").mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise ConfigError(f"{parent} holds too many folders of {stamp}")
