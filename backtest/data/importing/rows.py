"""What bars and trades have in common on the way from a table: symbols, times, rows that are wrong."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.data.columns import Flags, Ints
from backtest.data.importing.options import Options, Problem
from backtest.data.importing.roles import Roles
from backtest.data.importing.sheet import Sheet, Table, numbers_of, texts_of
from backtest.data.importing.times import BadTime, Times, times_of
from core.contracts.instrument import file_symbol
from core.errors import DataError

SHOWN = 5
"""How many wrong rows an error names."""

_MAX_BAD_TIMES = 100
"""A table with more rows whose time cannot be read is not what it was taken for."""


@dataclass
class Rows:
    """A table whose columns have a meaning.

    Attributes:
        table: where it came from.
        roles: what its columns are.
        options: what was asked for.
        sheet: its rows; those of other symbols are left out.
        problems: rows that are wrong.
        notes: what a trader should know.
    """

    table: Table
    roles: Roles
    options: Options
    sheet: Sheet
    problems: list[Problem]
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, table: Table, roles: Roles, options: Options) -> Rows:
        """Read a table.

        Raises:
            DataError: it has no rows of the symbol.
        """
        time = roles.columns["time"]
        clock = "clock" in roles.columns
        cells = table.head.cells(time)
        counts = bool(cells) and not clock and all(cell.replace(".", "", 1).isdecimal() for cell in cells)
        numbers = sorted({*roles.numbers(), *([time] if counts and _plain_count(cells) else [])})
        texts = [column for column in {time, *roles.texts()} if column not in numbers]
        sheet = table.load(numbers, sorted(texts))
        made = cls(table, roles, options, sheet, list(sheet.problems))
        if "symbol" in roles.columns:
            made._only_symbol()
        return made

    def __len__(self) -> int:
        return len(self.sheet.lines)

    def has(self, role: str) -> bool:
        """Whether there is such a column."""
        return role in self.roles.columns

    def label(self, role: str) -> str:
        """The column in errors."""
        label = self.table.head.label(self.roles.columns[role])
        return f"column {label}" if self.table.head.names else label

    def array(self, role: str) -> Any:
        """A column as an Arrow array."""
        return self.sheet.arrays[self.roles.columns[role]]

    def texts(self, role: str) -> list[str]:
        """A column as texts."""
        return texts_of(self.array(role))

    def numbers(self, role: str) -> NDArray[np.float64]:
        """A column as numbers; cells that are none become problems."""
        values, bad = numbers_of(self.array(role), self.label(role))
        self.problems += [Problem(int(self.sheet.lines[row]), text) for row, text in bad.items()]
        return values

    def place(self, row: int) -> str:
        """A row in errors."""
        return f"{self.table.head.source}, {self.sheet.word} {self.sheet.lines[row]}"

    def keep(self, rows: Flags) -> None:
        """Leave all other rows out."""
        import pyarrow as pa

        mask = pa.array(rows)
        arrays = {column: array.filter(mask) for column, array in self.sheet.arrays.items()}
        self.sheet = Sheet(arrays, self.sheet.lines[rows], self.sheet.word)

    def reorder(self, order: Ints) -> None:
        """Put the rows into another order."""
        import pyarrow as pa

        places = pa.array(order)
        arrays = {column: array.take(places) for column, array in self.sheet.arrays.items()}
        self.sheet = Sheet(arrays, self.sheet.lines[order], self.sheet.word)

    def times(self) -> Times:
        """The times of all rows; those that have none are left out first, where that was asked for.

        Raises:
            DataError: a time cannot be read.
        """
        for _ in range(_MAX_BAD_TIMES):
            self._require_rows()
            try:
                return times_of(self._time_array(), self._time_options(), self._time_place)
            except BadTime as error:
                if not self.options.skip_bad:
                    raise
                self.problems.append(Problem(int(self.sheet.lines[error.row]), str(error).split(", ", 2)[-1]))
                rows = np.ones(len(self), np.bool_)
                rows[error.row] = False
                self.keep(rows)
        raise DataError(
            f"{self.table.head.source}: {_MAX_BAD_TIMES} rows have no time that can be read: {self._shown()}"
        )

    def without_problems(self, wrong: Flags) -> Flags:
        """Which rows may stay, once wrong ones are told.

        Raises:
            DataError: some are wrong and that was not to be passed over; the first are named.
        """
        if self.problems and not self.options.skip_bad:
            count = len({each.line for each in self.problems})
            raise DataError(
                f"{self.table.head.source}: {count} rows are wrong, nothing was taken in; "
                f"--skip-bad leaves them out:\n  {self._shown()}"
            )
        lines = {problem.line for problem in self.problems}
        return ~(wrong | np.isin(self.sheet.lines, list(lines)))

    def skipped(self) -> tuple[str, ...]:
        """What was left out, in the order of the file."""
        return tuple(f"{self.sheet.word} {line}: {text}" for line, text in sorted(set(self.problems)))

    def _shown(self) -> str:
        told = self.skipped()
        more = [f"and {len(told) - SHOWN} more"] if len(told) > SHOWN else []
        return "\n  ".join([*told[:SHOWN], *more])

    def _require_rows(self) -> None:
        if not len(self):
            shown = f":\n  {self._shown()}" if self.problems else ""
            raise DataError(f"{self.table.head.source} has no rows{shown}")

    def _time_array(self) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        if not self.has("clock"):
            return self.array("time")
        parts = [pc.utf8_trim_whitespace(pc.cast(self.array(role), pa.string())) for role in ("time", "clock")]
        return pc.binary_join_element_wise(*parts, " ")

    def _time_options(self) -> Options:
        """Our own exports, which carry a time frame, count ns: also before 2000, where no count is taken for a time."""
        ours = self.has("timeframe") and self.label("time") == 'column "ts_open"'
        return replace(self.options, time_unit="ns") if ours and self.options.time_unit == "auto" else self.options

    def _time_place(self, row: int) -> str:
        return f"{self.place(row)}, {self.label('time')}"

    def _only_symbol(self) -> None:
        """Leave the rows of other symbols out.

        Raises:
            DataError: none is of the symbol.
        """
        spelled = self.texts("symbol")
        wanted = self.options.symbol
        names = {
            wanted.upper(),
            *(_bare(each) for each in (wanted, wanted.partition(":")[0], wanted.partition("/")[0])),
        }
        mine = np.array([each == wanted or each.upper() in names or _bare(each) in names for each in spelled], np.bool_)
        if not mine.any():
            found = ", ".join(sorted(set(spelled))[:SHOWN])
            raise DataError(f"{self.table.head.source} is of {found}; --symbol is {wanted}")
        if not mine.all():
            self.notes.append(f"{int((~mine).sum())} rows of other symbols were left out")
            self.keep(mine)


def _plain_count(cells: list[str]) -> bool:
    """Whether times are counts, and not dates such as 20230801, which read as texts are exact too."""
    return not all(len(cell) in (8, 14) for cell in cells)


def _bare(symbol: str) -> str:
    return file_symbol(symbol.upper()).replace("-", "").replace("_", "")
