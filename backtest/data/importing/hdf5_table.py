"""Tables of HDF5 files: the columns of one group, and what its attributes say of all rows."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from backtest.data.importing.files import Content
from backtest.data.importing.tables import ArrowTable
from core.errors import DataError


def hdf5_table(content: Content) -> ArrowTable:
    """The table of the one group that holds columns; attributes that are texts count as columns of one value.

    Raises:
        DataError: it is damaged, holds several tables or none, or a column has values that no table holds.
    """
    import h5py
    import pyarrow as pa

    try:
        with h5py.File(BytesIO(content.data), "r") as file:
            groups = [file, *_groups(file)]
            found = [group for group in groups if any(_is_column(each) for each in group.values())]
            if len(found) != 1:
                told = ", ".join(group.name for group in found) or "none"
                raise DataError(
                    f"{content.name}: groups with columns are {told}; allowed: one, such as our exports have"
                )
            columns = {name: _values(each) for name, each in found[0].items() if _is_column(each)}
            size = max(map(len, columns.values()))
            words = {name: [word] * size for name, word in found[0].attrs.items() if isinstance(word, str)}
        return ArrowTable(content.name, pa.table(columns | words), content.format)
    except (OSError, KeyError, RuntimeError, TypeError, pa.ArrowException) as error:
        raise DataError(f"{content.name} is no HDF5 file that is read: {error}") from None


def _groups(file: Any) -> list[Any]:
    import h5py

    found: list[Any] = []
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Group) else None)
    return found


def _is_column(item: Any) -> bool:
    import h5py

    return isinstance(item, h5py.Dataset) and item.ndim == 1 and item.dtype.names is None


def _values(column: Any) -> Any:
    import h5py

    return column.asstr()[:] if h5py.check_string_dtype(column.dtype) else column[:]
