"""How long journals and logs are kept where: journals move to an archive, what is old enough may be deleted.

A journal's newest day always stays with its writer, however old it is: from its last line the journal goes on. The
archive has one folder per cell, so the records of two systems never mix.
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterable
from pathlib import Path

from core.contracts.moments import DAY_NS, FOREVER
from core.errors import JournalError
from core.journal import folder_lock, noted_cell, sync_folder
from core.journal_compression import compress, digest_of, hidden, require_same
from core.journal_files import LOG, JournalFile, end_of_day, journals_in, parse

CLEARED_NOTE = "cleared.day"


def archive_folder(archive_dir: Path, journal_dir: Path) -> Path:
    """Where the old journals of the cell are whose journals a folder holds."""
    return archive_dir / noted_cell(journal_dir)


def journal_folders(archive_dir: Path, journal_dir: Path) -> list[Path]:
    """Every folder with journals of a cell on this host, oldest first; an archive that is not there is left out."""
    old = archive_folder(archive_dir, journal_dir)
    return [old, journal_dir] if journals_in(old) else [journal_dir]


def old_logs(log_dir: Path, *, days: int, now_ns: int) -> list[Path]:
    """Finished files of the log of all processes whose day ended so many days ago."""
    return sorted(file.path for file in _dated(log_dir) if file.journal == LOG and _is_over(file, days, now_ns))


def old_journals(journal_dir: Path, *, days: int, now_ns: int) -> list[Path]:
    """Journal files to be archived: their day ended so many days ago, and the journal has finished a later one."""
    return [
        file.path
        for files in journals_in(journal_dir).values()
        for file in files
        if file.day < max(each.day for each in files) and not file.active and _is_over(file, days, now_ns)
    ]


def old_archived(archive_dir: Path, *, days: int, now_ns: int) -> list[Path]:
    """Archived journal files of any cell whose day ended so many days ago; none at 0, which stands for never."""
    if not days:
        return []
    folders = [archive_dir, *(path for path in _listed(archive_dir) if path.is_dir())]
    return sorted(file.path for folder in folders for file in _dated(folder) if _is_over(file, days, now_ns))


def _is_over(file: JournalFile, days: int, now_ns: int) -> bool:
    return file.end_ns + days * DAY_NS <= now_ns


def _dated(directory: Path) -> Iterable[JournalFile]:
    found = (parse(path) for path in _listed(directory))
    return (file for file in found if file is not None and not file.active)


def _listed(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []


def archive(path: Path, to: Path) -> Path | None:
    """Move a finished journal file to another folder, which may be on another disk, compressed; where it is then.

    It is copied, brought to the disk, read back and renamed there before it is removed here.

    Args:
        path: plain or compressed.
        to: made if missing.

    Returns:
        None if it is gone, or in use.

    Raises:
        JournalError: there is one of that name with other content; a disk refuses.
    """
    if not path.name.endswith(".gz"):
        made = compress(path)
        if made is None:
            return None
        path = made.path
    target = to / path.name
    try:
        to.mkdir(parents=True, exist_ok=True)
        if to.samefile(path.parent):
            raise JournalError(f"{path} cannot be moved to {to}: that is the folder where it is")
        with folder_lock(path.parent), folder_lock(to):
            if not path.exists():
                return None
            if target.exists():  # an earlier run died before it could remove the one here
                require_same(path, target)
            else:
                _copy(path, target)
            sync_folder(to)
            path.unlink()
            sync_folder(path.parent)
    except (OSError, EOFError, zlib.error) as error:
        raise JournalError(f"{path} cannot be moved to {to}: {error}") from None
    return target


def _copy(path: Path, target: Path) -> None:
    with hidden(target) as beside:
        shutil.copy2(path, beside)
        with beside.open("rb") as copied:
            os.fsync(copied.fileno())
        if digest_of(beside) != digest_of(path):
            raise JournalError(f"{beside} does not hold what was copied to it from {path}: nothing was changed")
        os.rename(beside, target)


def delete(path: Path) -> None:
    """Remove a finished file; of an archived journal it is noted first up to when its folder has been cleared.

    Raises:
        JournalError: a disk refuses.
    """
    file = parse(path)
    try:
        if file is not None and file.journal != LOG and file.end_ns > cleared_ns([path.parent]):
            _note_cleared(path.parent, file.day)
        path.unlink(missing_ok=True)
    except OSError as error:
        raise JournalError(f"{path} cannot be deleted: {error}") from None


def _note_cleared(directory: Path, day: str) -> None:
    beside = directory / f".{CLEARED_NOTE}.new"
    with beside.open("w", encoding="ascii") as note:
        note.write(day + "\n")
        note.flush()
        os.fsync(note.fileno())
    beside.replace(directory / CLEARED_NOTE)
    sync_folder(directory)  # the note must be there when the file is gone


def cleared_ns(directories: Iterable[Path]) -> int:
    """Up to when lines may have been deleted from some folders, ns UTC; 0 where nothing was ever deleted.

    Raises:
        JournalError: a note of it says no day.
    """
    notes = (directory / CLEARED_NOTE for directory in directories)
    return max((_noted_end(note) for note in notes if note.exists()), default=0)


def _noted_end(note: Path) -> int:
    text = note.read_text("ascii", "replace").strip()
    end = end_of_day(text)
    if end == FOREVER:
        raise JournalError(f"{note} holds {text!r}; allowed: the day up to which files here were deleted, as 20250930")
    return end
