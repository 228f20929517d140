"""Where the data of a dataset came from: `dataset.json`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from backtest.data.day_files import write_whole
from core import codec
from core.data_source_files import MADE_UP, MANIFEST
from core.errors import ContractError, DataError


@dataclass(frozen=True, slots=True)
class Origin:
    """One thing that was taken in.

    Attributes:
        source: the file, or the venue and what it was asked for.
        symbol: what it was taken in as.
        timeframe: of its bars; empty for trades and actions.
        rows: how many it gave.
        first_ns: time of the first, ns UTC.
        last_ns: time of the last, ns UTC.
        imported_ns: when it was taken in, ns UTC.
        format: what kind of file it was, "csv", "parquet", "download" ...
        times: how its times were read, "ms since 1970" ...
        sha256: of the file; empty where there is none.
    """

    source: str
    symbol: str
    timeframe: str
    rows: int
    first_ns: int
    last_ns: int
    imported_ns: int
    format: str
    times: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known of a dataset besides its data.

    Attributes:
        name: of the dataset.
        venue: whose market it is; empty if that was never said.
        origins: all that was taken in, oldest first.
    """

    name: str
    venue: str = ""
    origins: tuple[Origin, ...] = ()

    def with_origin(self, origin: Origin, venue: str) -> Manifest:
        """The same with one origin more; one that was taken in before takes the place of the older entry.

        Raises:
            DataError: it comes from another venue than the rest.
        """
        self.require(venue)
        key = _key(origin)
        kept = tuple(each for each in self.origins if _key(each) != key)
        return replace(self, venue=self.venue or venue, origins=(*kept, origin))

    def require(self, venue: str) -> None:
        """See that data of a venue, or of an unknown one, may join those that are there.

        Raises:
            DataError: those are of another venue, or one of both was made up.
        """
        if venue and self.venue and venue != self.venue:
            raise DataError(f"dataset {self.name!r} is of venue {self.venue!r}, not {venue!r}; use a dataset per venue")
        if self.origins and (venue == MADE_UP) != (self.venue == MADE_UP):
            raise DataError(f"dataset {self.name!r} holds {self._kind} data; what was made up has datasets of its own")

    @property
    def _kind(self) -> str:
        return "made-up" if self.venue == MADE_UP else "real"


def read(folder: Path) -> Manifest:
    """The manifest of a folder; one without the file is named after the folder.

    Raises:
        DataError: the file is broken.
    """
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Manifest(folder.name)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    try:
        return codec.convert(codec.decode_json(data), Manifest)
    except ContractError as error:
        raise DataError(f"{path}: {error}; it can be deleted, the data are not in it") from None


def write(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of a folder.

    Raises:
        DataError: the disk refuses.
    """
    write_whole(folder / MANIFEST, codec.encode_pretty(manifest))


def _key(origin: Origin) -> tuple[str, ...]:
    return origin.source, origin.sha256, origin.symbol, origin.timeframe
