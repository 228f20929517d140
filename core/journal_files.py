"""Which files a journal consists of: the one that is written, and those of the days before, plain or compressed.

`ohlcv.1m.ATOMUSDT.ndjson` is being written. `ohlcv.1m.ATOMUSDT.20250930.ndjson` holds one UTC day and is never written
again; where a day needed several files, the second and later ones are `ohlcv.1m.ATOMUSDT.20250930.1.ndjson` and so on.
In a dataset of market history a file of bars of an hour or longer holds a UTC year, and the year's first day is in its
name. Compression appends `.gz`. From when a compressed file is complete until the plain one is removed there are both,
with the same content: the plain one counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from core.contracts.moments import DAY_NS, FOREVER, moment
from core.errors import ContractError

LOG = "app"
"""The one file of this form that is no journal."""

_NAME = re.compile(r"(?P<journal>[^.].*?)(?:\.(?P<day>\d{8})(?:\.(?P<part>\d+))?)?\.ndjson(?P<gz>\.gz)?", re.ASCII)


class JournalFile(NamedTuple):
    """One file of a journal.

    Attributes:
        journal: its name without day and ending, "ohlcv.1m.ATOMUSDT".
        day: UTC day of its lines, "20250930"; empty for the one that is being written.
        part: place among the files of that day, from 0.
        path: where it is.
    """

    journal: str
    day: str
    part: int
    path: Path

    @property
    def active(self) -> bool:
        """Whether it may be being written."""
        return not self.day

    @property
    def compressed(self) -> bool:
        """Whether it is gzip."""
        return self.path.name.endswith(".gz")

    @property
    def end_ns(self) -> int:
        """When its day ends, ns UTC; `FOREVER` for the one that is being written, or where there is no such day."""
        return end_of_day(self.day)

    @property
    def age(self) -> tuple[str, int]:
        """Sorts the files of one journal, oldest first."""
        return self.day or "~", self.part


def parse(path: Path) -> JournalFile | None:
    """What a file name says; None for one of another form, such as a hidden one that is being made.

    >>> parse(Path("ohlcv.1m.ATOMUSDT.20250930.ndjson.gz"))[:3]
    ('ohlcv.1m.ATOMUSDT', '20250930', 0)
    """
    found = _NAME.fullmatch(path.name)
    if found is None:
        return None
    return JournalFile(found["journal"], found["day"] or "", int(found["part"] or 0), path)


def end_of_day(day: str) -> int:
    """When a day as file names carry it ends, ns UTC; `FOREVER` for what is none.

    >>> end_of_day("20250930"), end_of_day("20250931") == FOREVER
    (1759276800000000000, True)
    """
    try:
        return moment(f"{day[:4]}-{day[4:6]}-{day[6:]}") + DAY_NS
    except ContractError:
        return FOREVER


def dated_name(journal: str, day: str, part: int) -> str:
    """Name of the plain file of a day.

    >>> dated_name("ohlcv.1m.ATOMUSDT", "20250930", 0), dated_name("fills.BTCUSDT", "20250930", 2)
    ('ohlcv.1m.ATOMUSDT.20250930.ndjson', 'fills.BTCUSDT.20250930.2.ndjson')
    """
    return f"{journal}.{day}.{part}.ndjson" if part else f"{journal}.{day}.ndjson"


def journals_in(directory: Path) -> dict[str, list[JournalFile]]:
    """All journals of a folder by name, each with its files from the oldest to the one being written.

    Of a file that is there plain and compressed, only the plain one is listed. A folder that is missing holds none.
    """
    return grouped(directory.iterdir()) if directory.is_dir() else {}


def files_of(directory: Path, journal: str) -> list[JournalFile]:
    """The files of one journal, oldest first."""
    found = grouped(directory.glob(f"{_literal(journal)}.*"))
    return found.get(journal, [])


def grouped(paths: Iterable[Path]) -> dict[str, list[JournalFile]]:
    """Files by journal, each once, oldest first; what is no journal is left out."""
    found: dict[str, dict[tuple[str, int], JournalFile]] = {}
    for path in sorted(paths):  # the plain one comes before its .gz
        file = parse(path)
        if file is not None and file.journal != LOG:
            found.setdefault(file.journal, {}).setdefault(file.age, file)
    return {journal: sorted(files.values(), key=lambda file: file.age) for journal, files in sorted(found.items())}


def _literal(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)
