"""Tables that know their columns' types: Parquet, Arrow and Feather files, frames; and JSON arrays."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.data.importing.files import Content
from backtest.data.importing.sheet import SAMPLE, Head, Sheet
from core.codec import decode_json
from core.errors import CodecError, DataError

if TYPE_CHECKING:
    import pandas as pd

_FILES = {"parquet": "Parquet", "feather": "Arrow", "hdf5": "HDF5", "json": "JSON"}


class ArrowTable:
    """An Arrow table, wherever it came from."""

    def __init__(self, source: str, table: Any, form: str, *, named: bool = True) -> None:
        """
        Args:
            source: the file, for errors.
            table: a `pyarrow.Table`.
            form: what kind of file it is.
            named: whether its columns have names of their own.

        Raises:
            DataError: it has no rows or no columns.
        """
        if not table.num_rows or table.num_columns < 2:
            raise DataError(f"{source} has {table.num_rows} rows and {table.num_columns} columns")
        self.format = form
        self._table = table
        rows = table.slice(0, SAMPLE).to_pylist() if len(set(table.column_names)) == table.num_columns else []
        cells = tuple(tuple("" if cell is None else str(cell) for cell in row.values()) for row in rows)
        said = _FILES.get(form, form) + ("" if named else ", no names of columns")
        self.head = Head(source, tuple(table.column_names) if named else (), table.num_columns, cells, said)

    def load(self, numbers: Sequence[int], texts: Sequence[int]) -> Sheet:
        """All rows of some columns."""
        import pyarrow as pa

        arrays = {}
        for column in [*numbers, *texts]:
            array = self._table.column(column).combine_chunks()
            arrays[column] = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        return Sheet(arrays, np.arange(self._table.num_rows) + 1, "row")


def arrow_table(content: Content) -> ArrowTable:
    """The table of a Parquet, Arrow or Feather file.

    Raises:
        DataError: it is damaged, or has no rows.
    """
    import pyarrow as pa
    from pyarrow import feather, parquet

    try:
        if content.format == "parquet":
            table = parquet.read_table(BytesIO(content.data))
        elif content.data.startswith(b"\xff\xff\xff\xff"):
            table = pa.ipc.open_stream(BytesIO(content.data)).read_all()
        else:
            table = feather.read_table(BytesIO(content.data))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{content.name} is no {_FILES[content.format]} file: {error}") from None
    return ArrowTable(content.name, table, content.format)


def json_table(content: Content) -> ArrowTable:
    """The table of a JSON array: of arrays, as exchanges answer, or of objects.

    Raises:
        DataError: it is something else.
    """
    import pyarrow as pa

    try:
        rows = decode_json(content.data)
    except CodecError as error:
        raise DataError(f"{content.name}: {error}") from None
    first = rows[0] if isinstance(rows, list) and rows else None
    if not isinstance(first, (list, dict)) or not all(type(row) is type(first) for row in rows):
        raise DataError(f"{content.name} is no table; allowed: a JSON array of arrays, or of objects")
    try:
        if isinstance(first, dict):
            names = list(dict.fromkeys(name for row in rows for name in row))
            columns = [[row.get(name) for row in rows] for name in names]
            return ArrowTable(content.name, pa.table(dict(zip(names, map(pa.array, columns), strict=True))), "json")
        if len({len(row) for row in rows}) > 1:
            raise DataError(f"{content.name}: its arrays are of different lengths")
        arrays = [pa.array(list(column)) for column in zip(*rows, strict=True)]
        return ArrowTable(
            content.name, pa.table(arrays, names=[str(each) for each in range(len(arrays))]), "json", named=False
        )  # fmt: skip
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"{content.name}: a column mixes kinds of values: {error}") from None


def frame_table(frame: pd.DataFrame | Any) -> ArrowTable:
    """The table of a pandas frame, its index included where it is no mere count, or of a `pyarrow.Table`.

    Raises:
        DataError: it is empty, or a column has values that no table holds.
    """
    import pandas as pd
    import pyarrow as pa

    if isinstance(frame, pd.DataFrame):
        keep = not isinstance(frame.index, pd.RangeIndex)
        whole = frame.reset_index() if keep else frame
        named = whole.set_axis([str(name) for name in whole.columns], axis=1)
        try:
            frame = pa.Table.from_pandas(named, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(f"the frame is no table: {error}") from None
    return ArrowTable("frame", frame, "frame")
