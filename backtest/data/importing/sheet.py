"""A table as it was found: columns without a meaning yet, and where each row came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from backtest.data.columns import Ints
from backtest.data.importing.options import Problem

SAMPLE = 200
"""Rows that are looked at before a table is read."""


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a table.

    Attributes:
        source: the file, for errors.
        names: of the columns as the file has them; empty where it has none.
        width: how many columns.
        rows: the first rows as texts; empty for a cell without a value.
        said: what was found about the form of the file.
    """

    source: str
    names: tuple[str, ...]
    width: int
    rows: tuple[tuple[str, ...], ...]
    said: str

    def label(self, column: int) -> str:
        """A column in errors and explanations."""
        return f'"{self.names[column]}"' if self.names else f"column {column + 1}"

    def cells(self, column: int) -> list[str]:
        """What the first rows have in a column, those without a value left out."""
        return [row[column] for row in self.rows if row[column]]


@dataclass(frozen=True)
class Sheet:
    """Some columns of a table, as Arrow arrays of one length.

    Attributes:
        arrays: by their place in the table.
        lines: of each row.
        word: what `lines` count: "line" or "row".
        problems: rows that could not be read at all and are not in the arrays.
    """

    arrays: dict[int, Any]
    lines: Ints
    word: str
    problems: list[Problem] = field(default_factory=list)


class Table(Protocol):
    """Something that has rows and columns.

    Attributes:
        head: its beginning.
        format: what kind of file it is.
    """

    head: Head
    format: str

    def load(self, numbers: Sequence[int], texts: Sequence[int]) -> Sheet:
        """All rows of some columns: `numbers` as numbers if they are all that, `texts` as they are."""
        ...


def numbers_of(array: Any, label: str) -> tuple[NDArray[np.float64], dict[int, str]]:
    """A column as float64, NaN where it has no number, and what those cells are.

    Texts count as the numbers that they spell; the nearest float64 is taken.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        made = pc.cast(array, pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        made = pa.array([_number(cell) for cell in array.to_pylist()], pa.float64())
    values: NDArray[np.float64] = made.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    finite = np.isfinite(values)
    bad = {}
    if not finite.all():
        for row in np.flatnonzero(~finite).tolist():
            cell = array[row].as_py()
            shown = "is empty" if cell is None or cell != cell or cell == "" else f"is {cell!r}"
            bad[row] = f"{label} {shown}; allowed: a number"
    return values, bad


def texts_of(array: Any) -> list[str]:
    """A column as texts, empty where there is nothing."""
    return ["" if cell is None else str(cell).strip() for cell in array.to_pylist()]


def _number(cell: object) -> float | None:
    try:
        return float(str(cell)) if "_" not in str(cell) else None
    except ValueError:
        return None
