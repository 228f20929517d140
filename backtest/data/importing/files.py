"""What a file is, by its content: its name decides nothing."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from core.errors import ConfigError, DataError

_BINARY = (
    (b"PAR1", "parquet"),
    (b"ARROW1", "feather"),
    (b"\xff\xff\xff\xff", "feather"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
)
_TEXTS = ("csv", "json", "ndjson")


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a file, or in one member of an archive.

    Attributes:
        path: the file.
        name: the file's name, with the member's behind it.
        format: "csv", "parquet", "feather", "hdf5", "json" or "ndjson".
        data: decompressed; UTF-8 without a byte-order mark where it is text.
        sha256: of the file as it is on disk.
    """

    path: Path
    name: str
    format: str
    data: bytes
    sha256: str


def contents_of(path: Path, asked: str) -> Iterator[Content]:
    """What a file holds, member by member for a zip archive.

    Args:
        path: the file.
        asked: its format, or "auto".

    Raises:
        ConfigError: there is no such file.
        DataError: it is empty, damaged, or of a format that is not read.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path} is not there; allowed: files, or folders of journals") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    mark = sha256(raw).hexdigest()
    try:
        for member, data in _members(raw):
            name = f"{path}:{member}" if member else str(path)
            kind = _format(name, data) if asked == "auto" else asked
            text = _utf8(name, data) if kind in _TEXTS else data
            yield Content(path, name, kind, text, mark)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is damaged: {error}") from None


def _members(raw: bytes) -> Iterator[tuple[str, bytes]]:
    if raw[:2] == b"\x1f\x8b":
        yield "", gzip.decompress(raw)
    elif raw[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(BytesIO(raw)) as archive:
            for member in archive.namelist():
                if not member.endswith("/") and not member.startswith("__MACOSX/"):
                    yield member, archive.read(member)
    else:
        yield "", raw


def _format(name: str, data: bytes) -> str:
    for start, kind in _BINARY:
        if data.startswith(start):
            return kind
    text = _utf8(name, data[:4096]).lstrip()
    if not text:
        raise DataError(f"{name} is empty")
    if text[:1] == b"[":
        return "json"
    if text[:1] == b"{":
        return "ndjson"
    if b"\0" in text:
        allowed = "CSV, Parquet, Arrow/Feather, HDF5, JSON, journals (NDJSON), each also in gzip or zip"
        raise DataError(f"{name} begins with {data[:8]!r}, which is no format that is read; allowed: {allowed}")
    return "csv"


def _utf8(name: str, data: bytes) -> bytes:
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(mark):
            try:
                return data[2 : len(data) // 2 * 2].decode(encoding).encode()
            except UnicodeDecodeError as error:
                raise DataError(f"{name} begins as UTF-16 and is not: {error}") from None
    return data.removeprefix(b"\xef\xbb\xbf")
