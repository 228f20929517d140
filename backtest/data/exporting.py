"""Market data as files that other programs read; every number comes back to the last bit.

What a file holds beside the columns of `BarColumns` or `TradeColumns`: symbol, timeframe, asset class and currency, as
columns of one value (in HDF5 as attributes), and in CSV `utc`, the moment as people read it. Times are whole numbers
of ns UTC. A vwap that is not known is an empty field, a null, or in HDF5 NaN. `ndjson` is a journal: every reader of
journals takes it. `json` is one array of the same objects.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtest.data.columns import ARRAYS, BarColumns
from backtest.data.lines import bar_lines, trade_lines
from backtest.data.trades import TradeColumns
from core import topics
from core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pyarrow as pa

COMPRESSIONS: dict[str, tuple[str, ...]] = {
    "csv": ("none", "gzip", "zstd"),
    "json": ("none", "gzip", "zstd"),
    "ndjson": ("none", "gzip", "zstd"),
    "parquet": ("zstd", "gzip", "none"),
    "arrow": ("none", "zstd"),
    "feather": ("none", "zstd"),
    "hdf5": ("gzip", "none"),
}
"""Formats, and how the files of each can be compressed; the first counts unless another is asked for."""

ENDINGS = {"hdf5": ".h5"} | {name: f".{name}" for name in COMPRESSIONS if name != "hdf5"}
"""How the name of a file of each format ends."""

_OUTER = {"gzip": ".gz", "zstd": ".zst"}
"""Endings of text that is compressed as a whole."""

_TEXTS = ("csv", "json", "ndjson")
_ROWS = 1 << 16
"""Rows that are turned into text at once."""


class Exported(NamedTuple):
    """A file that was written.

    Attributes:
        path: where.
        rows: how many.
        size: its bytes.
    """

    path: Path
    rows: int
    size: int


class DataExporter:
    """Writes bars and trades as files of one format."""

    def __init__(self, format: str, compression: str | None = None, *, force: bool = False) -> None:
        """
        Args:
            format: a key of `COMPRESSIONS`.
            compression: one of the format's; its first unless given.
            force: whether a file that is there may be replaced.

        Raises:
            ConfigError: no such format, or not with this compression.
        """
        if format not in COMPRESSIONS:
            raise ConfigError(f"format is {format!r}; allowed: {', '.join(COMPRESSIONS)}")
        allowed = COMPRESSIONS[format]
        self.format = format
        self.compression = compression or allowed[0]
        self._force = force
        if self.compression not in allowed:
            raise ConfigError(f"compression of {format} is {compression!r}; allowed: {', '.join(allowed)}")

    @property
    def ending(self) -> str:
        """How the names of its files end: ".csv.gz"."""
        outer = _OUTER.get(self.compression, "") if self.format in _TEXTS else ""
        return ENDINGS[self.format] + outer

    def name_of(self, data: BarColumns | TradeColumns) -> str:
        """The name that a file gets in a folder, as a journal's: "ohlcv.1m.BTCUSDT.csv"."""
        topic = topics.MD_OHLCV if isinstance(data, BarColumns) else topics.MD_TRADES
        timeframe = data.timeframe if isinstance(data, BarColumns) else ""
        channel = topic.name.format(symbol=data.symbol, timeframe=timeframe)
        return topic.journal_name(channel).removesuffix(".ndjson") + self.ending

    def write(self, data: BarColumns | TradeColumns, to: Path) -> Exported:
        """Write one file, whole or not at all.

        Args:
            data: of one series.
            to: the file, or a folder for one named by `name_of`.

        Raises:
            DataError: there is such a file already and `force` was not said, or the disk refuses.
        """
        path = to / self.name_of(data) if to.is_dir() else to
        if path.exists() and not self._force:
            raise DataError(f"{path} is there already; --force replaces it")
        try:
            with _whole(path) as scratch:
                _WRITERS[self.format](_sheet_of(data), scratch, self.compression)
            return Exported(path, len(data), path.stat().st_size)
        except OSError as error:
            raise DataError(f"{path} cannot be written: {error}") from None


def format_of(path: Path) -> tuple[str, str | None]:
    """Format and compression that the name of a file says; None where it leaves the compression open.

    >>> format_of(Path("bars.csv.gz")), format_of(Path("bars.parquet"))
    (('csv', 'gzip'), ('parquet', None))

    Raises:
        ConfigError: the ending is none of ours.
    """
    outer = {ending: name for name, ending in _OUTER.items()}.get(path.suffix)
    ending = path.with_suffix("").suffix if outer else path.suffix
    found = next((name for name, known in ENDINGS.items() if known == ending), None)
    if found is None or (outer and found not in _TEXTS):
        allowed = ", ".join([*ENDINGS.values(), *(ENDINGS[name] + end for name in _TEXTS for end in _OUTER.values())])
        raise ConfigError(f"{path.name} has no ending that says its format; allowed: {allowed}, or --format")
    return found, outer or ("none" if found in _TEXTS else None)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What a file is made of.

    Attributes:
        kind: "bars" or "trades".
        words: what is the same in all rows.
        arrays: the columns.
        time: name of the column that holds the time.
        lines: some of the rows as lines of a journal.
        size: number of rows.
    """

    kind: str
    words: dict[str, str]
    arrays: dict[str, NDArray[Any]]
    time: str
    lines: Callable[[slice], bytes]
    size: int

    def slices(self) -> Iterator[slice]:
        """Parts that fit into memory as text."""
        return (slice(start, start + _ROWS) for start in range(0, self.size, _ROWS))


def _sheet_of(data: BarColumns | TradeColumns) -> _Sheet:
    if isinstance(data, BarColumns):
        words = {name: getattr(data, name) for name in ("symbol", "timeframe", "asset_class", "currency")}
        arrays = {name: getattr(data, name) for name in ARRAYS}
        return _Sheet("bars", words, arrays, "ts_open", lambda rows: bar_lines(data[rows]), len(data))
    arrays = {name: getattr(data, name) for name in ("ts", "price", "qty", "side", "trade_id")}
    return _Sheet("trades", {"symbol": data.symbol}, arrays, "ts", lambda rows: trade_lines(data[rows]), len(data))


def _table(sheet: _Sheet, rows: slice = slice(None), *, readable: bool = False) -> pa.Table:
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for name, array in sheet.arrays.items():
        part = array[rows]
        columns[name] = pa.array(part.tolist(), pa.string()) if part.dtype.kind in "OU" else _numbers(part)
    if readable:
        columns = {"utc": _readable(columns[sheet.time]), **columns}
    size = len(columns[sheet.time])
    for name, word in sheet.words.items():
        codes, words = pa.array(np.zeros(size, np.int8)), pa.array([word])
        columns[name] = pa.repeat(word, size) if readable else pa.DictionaryArray.from_arrays(codes, words)
    return pa.table(columns)


def _numbers(values: NDArray[Any]) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, mask=np.isnan(values) if values.dtype.kind == "f" else None)


def _readable(times: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = (np.asarray(times) % 1_000_000_000 == 0).all()
    shown = times.cast(pa.timestamp("ns", "UTC")).cast(pa.timestamp("s" if whole else "ns", "UTC"), safe=False)
    return pc.strftime(shown, format="%Y-%m-%dT%H:%M:%SZ")


def _write_csv(sheet: _Sheet, path: Path, compression: str) -> None:
    from pyarrow.csv import CSVWriter

    head = _table(sheet, slice(0), readable=True)
    with _stream(path, compression) as out, CSVWriter(out, head.schema) as writer:
        for rows in sheet.slices():
            writer.write_table(_table(sheet, rows, readable=True))


def _write_ndjson(sheet: _Sheet, path: Path, compression: str) -> None:
    with _stream(path, compression) as out:
        for rows in sheet.slices():
            out.write(sheet.lines(rows))


def _write_json(sheet: _Sheet, path: Path, compression: str) -> None:
    with _stream(path, compression) as out:
        before = b"[\n"
        for rows in sheet.slices():
            out.write(before + sheet.lines(rows)[:-1].replace(b"\n", b",\n"))
            before = b",\n"
        out.write(b"\n]\n" if sheet.size else b"[]\n")


def _write_parquet(sheet: _Sheet, path: Path, compression: str) -> None:
    import pyarrow.parquet as pq

    pq.write_table(_table(sheet), path, compression=compression)


def _write_arrow(sheet: _Sheet, path: Path, compression: str) -> None:
    import pyarrow as pa

    table = _table(sheet)
    options = pa.ipc.IpcWriteOptions(compression=None if compression == "none" else compression)
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_file(out, table.schema, options=options) as writer:
        writer.write_table(table)


def _write_hdf5(sheet: _Sheet, path: Path, compression: str) -> None:
    import h5py

    packed = {"compression": "gzip", "shuffle": True} if compression == "gzip" and sheet.size else {}
    with h5py.File(path, "w") as file:
        group = file.create_group(sheet.kind)
        group.attrs.update(sheet.words)
        for name, array in sheet.arrays.items():
            text = array.dtype.kind in "OU"
            kind = h5py.string_dtype() if text else array.dtype
            group.create_dataset(name, data=array.astype(object) if text else array, dtype=kind, **packed)


def _stream(path: Path, compression: str) -> Any:
    import pyarrow as pa

    return pa.output_stream(str(path), None if compression == "none" else compression)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file to write beside this one, which takes its place when it is complete."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield scratch
        with scratch.open("rb") as file:
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


_WRITERS: dict[str, Callable[[_Sheet, Path, str], None]] = {
    "csv": _write_csv,
    "json": _write_json,
    "ndjson": _write_ndjson,
    "parquet": _write_parquet,
    "arrow": _write_arrow,
    "feather": _write_arrow,
    "hdf5": _write_hdf5,
}
