"""One series' columns as an Arrow file: written at once, mapped when it is read, worthless when anything is odd."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from threading import get_native_id
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from backtest.data.columns import ARRAYS, DEFAULTS, DTYPES, PRICES
from backtest.data.parsing import Arrays
from backtest.data.series import SeriesName
from core import codec
from core.errors import ContractError

FOLDER = ".cache"

_KEY = b"njord"
_FORMAT = 2
"""Of the file; one of another number is made anew."""

_NEEDED = ("ts_open", *PRICES)
"""Columns that are in the file whatever they hold; another one that is its default throughout is not."""

Seen = tuple[str, int, int, int]
"""Name, number in its file system, size and time of change of a file: what tells that it is the same."""


@dataclass(frozen=True, slots=True)
class Source:
    """A journal file as it was read.

    Attributes:
        name: of the file.
        number: that it has in its file system; a file that takes another one's place has another.
        size: bytes.
        changed_ns: its time of change.
        rows: how many bars it held.
        asset_class: of its last bar; empty where there is none.
        currency: of its last bar; empty where it names none.
    """

    name: str
    number: int
    size: int
    changed_ns: int
    rows: int
    asset_class: str
    currency: str

    @property
    def seen(self) -> Seen:
        """What tells that a file is the same."""
        return self.name, self.number, self.size, self.changed_ns


@dataclass(frozen=True)
class Cached:
    """Bars of several files, one file's behind the other's.

    Attributes:
        series: whose.
        sources: the files, in order.
        arrays: by column name, of one length.
    """

    series: SeriesName
    sources: tuple[Source, ...]
    arrays: Arrays

    @cached_property
    def rising(self) -> bool:
        """Whether time rises strictly from file to file, as it does within each."""
        opens = self.arrays["ts_open"]
        edges = np.cumsum([source.rows for source in self.sources], dtype=np.int64)[:-1]
        inner = edges[(edges > 0) & (edges < len(opens))]
        return bool((opens[inner] > opens[inner - 1]).all())

    def parts(self) -> Iterator[tuple[Seen, tuple[Source, slice]]]:
        """Each file with its rows."""
        start = 0
        for source in self.sources:
            yield source.seen, (source, slice(start, start + source.rows))
            start += source.rows


@dataclass(frozen=True, slots=True)
class _Meta:
    format: int
    symbol: str
    timeframe: str
    first_ns: int
    last_ns: int
    sources: tuple[Source, ...]


class CacheFile:
    """The cache of one series."""

    def __init__(self, folder: Path, series: SeriesName) -> None:
        """
        Args:
            folder: holds the journals.
            series: whose bars; two that share journal files have a cache each.
        """
        mark = sha256(series.symbol.encode()).hexdigest()[:8]
        self._path = folder / FOLDER / f"{series.journal}.{mark}.arrow"
        self._series: SeriesName | None = series

    @classmethod
    def at(cls, path: Path) -> Self:
        """A file, of whatever series."""
        made = cls.__new__(cls)
        made._path, made._series = path, None
        return made

    def read(self) -> Cached | None:
        """What it holds, mapped; None if there is none, it is broken, of another format or of another series."""
        import pyarrow as pa

        try:
            with pa.memory_map(os.fspath(self._path)) as file:
                batch = pa.ipc.open_file(file).get_batch(0)
            meta = codec.convert(codec.decode_json(batch.schema.metadata[_KEY]), _Meta)
            return self._checked(meta, batch)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ContractError, OSError, KeyError, TypeError, IndexError):
            return None

    def write(self, cached: Cached) -> None:
        """Replace it at once; where that is not allowed there is none."""
        import pyarrow as pa

        opens = cached.arrays["ts_open"]
        first, last = (int(opens[0]), int(opens[-1])) if len(opens) else (0, 0)
        series = cached.series
        meta = _Meta(_FORMAT, series.symbol, series.timeframe, first, last, cached.sources)
        told = {name: array for name, array in cached.arrays.items() if not _is_default(name, array)}
        columns = [pa.array(array.view(np.uint8) if array.dtype == np.bool_ else array) for array in told.values()]
        batch = pa.record_batch(columns, names=list(told)).replace_schema_metadata({_KEY: codec.encode_state(meta)})
        scratch = self._path.with_name(f"{self._path.name}.{os.getpid()}.{get_native_id()}.tmp")
        try:
            self._path.parent.mkdir(exist_ok=True)
            with pa.OSFile(os.fspath(scratch), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
                writer.write_batch(batch)
            scratch.replace(self._path)
        except OSError:
            with suppress(OSError):
                scratch.unlink(missing_ok=True)

    def _checked(self, meta: _Meta, batch: Any) -> Cached | None:
        """None if the parts do not fit each other."""
        series = SeriesName("bars", meta.symbol, meta.timeframe)
        size = sum(source.rows for source in meta.sources)
        arrays: Arrays = {name: _column(batch, name, size) for name in ARRAYS}
        opens = arrays["ts_open"]
        ends = (int(opens[0]), int(opens[-1])) if size else (0, 0)
        fits = meta.format == _FORMAT and self._series in (None, series) and ends == (meta.first_ns, meta.last_ns)
        whole = all(len(array) == size for array in arrays.values())
        return Cached(series, meta.sources, arrays) if fits and whole else None


def _column(batch: Any, name: str, size: int) -> NDArray[Any]:
    """A column of the file without a copy; one that is not in it is its default throughout."""
    dtype = np.dtype(DTYPES.get(name, np.float64))
    if name not in batch.schema.names and name not in _NEEDED:
        return np.broadcast_to(np.array(DEFAULTS.get(name, 1.0), dtype), (size,))
    array: NDArray[Any] = batch.column(name).to_numpy()
    if array.dtype != (np.uint8 if dtype == np.bool_ else dtype):
        raise TypeError(f"column {name} is {array.dtype}")
    return array.view(dtype)


def _is_default(name: str, array: NDArray[Any]) -> bool:
    if name in _NEEDED:
        return False
    default = DEFAULTS.get(name, 1.0)
    return bool((np.isnan(array) if default != default else array == default).all())
