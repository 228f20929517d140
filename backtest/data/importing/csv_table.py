"""Text files with columns: which character parts them, where the header is, and what the cells are."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO, TextIOWrapper
from typing import Any

import numpy as np

from backtest.data.importing.files import Content
from backtest.data.importing.options import Problem
from backtest.data.importing.sheet import SAMPLE, Head, Sheet
from backtest.data.importing.spelling import Spelling, spelling_of
from core.errors import DataError

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*", re.ASCII)
_TIME = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b.*", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Form:
    """How a text file is laid out.

    Attributes:
        delimiter: parts the cells of a line.
        before: lines in front of the first row, the header's included.
        numbers: how they are spelled.
    """

    delimiter: str
    before: int
    numbers: Spelling


class CsvTable:
    """A text file with columns."""

    format = "csv"

    def __init__(self, content: Content, decimal: str = "auto") -> None:
        """
        Args:
            content: the text.
            decimal: see `Options`.

        Raises:
            DataError: it has no rows, or no text, or its numbers can be read in two ways.
        """
        self._data = content.data
        self._source = content.name
        self.head, self._form = _look(content, decimal)

    def load(self, numbers: Sequence[int], texts: Sequence[int]) -> Sheet:
        """All rows of some columns; in one go if nothing is odd, else line by line, which finds what it is."""
        import pyarrow as pa

        try:
            table = self._read(numbers, texts)
        except pa.ArrowInvalid:
            return self._careful(numbers, texts)
        arrays = {column: table.column(str(column)).combine_chunks() for column in [*numbers, *texts]}
        blank = self._data.count(b"\n") > self._form.before + table.num_rows  # blank lines shift the numbers
        if blank:
            return Sheet(arrays, np.array([line for line, _ in self._rows()], np.int64), "line")
        return Sheet(arrays, np.arange(table.num_rows) + self._form.before + 1, "line")

    def _read(self, numbers: Sequence[int], texts: Sequence[int]) -> Any:
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        types = {str(column): self._number_type(column) for column in numbers}
        types |= {str(column): pa.string() for column in texts}
        return arrow_csv.read_csv(
            BytesIO(self._data),
            read_options=arrow_csv.ReadOptions(
                column_names=[str(column) for column in range(self.head.width)], skip_rows=self._form.before
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=self._form.delimiter),
            convert_options=arrow_csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                decimal_point=self._form.numbers.decimal,
                null_values=[""],
                strings_can_be_null=True,
            ),
        )

    def _number_type(self, column: int) -> Any:
        """Whole numbers stay exact: a time in ns has more digits than a float."""
        import pyarrow as pa

        whole = all(re.fullmatch(r"\s*\d+\s*", cell, re.ASCII) for cell in self.head.cells(column))
        return pa.int64() if whole and max(map(len, self.head.cells(column)), default=0) > 8 else pa.float64()

    def _careful(self, numbers: Sequence[int], texts: Sequence[int]) -> Sheet:
        import pyarrow as pa

        cells: dict[int, list[str]] = {column: [] for column in [*numbers, *texts]}
        lines, problems = [], []
        for line, row in self._rows():
            if len(row) != self.head.width:
                problems.append(Problem(line, f"{len(row)} cells; allowed: {self.head.width}, as in the lines before"))
                continue
            lines.append(line)
            for column in cells:
                cell = row[column].strip()
                cells[column].append(self._form.numbers.plain(cell) if column in numbers else cell)
        arrays = {column: pa.array(values, pa.string()) for column, values in cells.items()}
        return Sheet(arrays, np.array(lines, np.int64), "line", problems)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """The rows with the lines that they are in; blank lines are none."""
        text = TextIOWrapper(BytesIO(self._data), "utf-8", errors="replace", newline="")
        reader = csv.reader(text, delimiter=self._form.delimiter)
        for row in reader:
            if reader.line_num > self._form.before and row:
                yield reader.line_num, row


def _look(content: Content, decimal: str) -> tuple[Head, _Form]:
    text = content.data[: 1 << 16].decode("utf-8", errors="replace")
    lines = text.splitlines()[: SAMPLE + 20]
    if len(content.data) > 1 << 16:
        lines = lines[:-1]  # may be cut
    delimiter = _delimiter(lines)
    parsed = list(csv.reader(StringIO("\n".join(lines)), delimiter=delimiter))
    width = Counter(len(row) for row in parsed if row).most_common(1)[0][0] if any(parsed) else 0
    start = next((number for number, row in enumerate(parsed) if len(row) == width), 0)
    if width < 2:
        raise DataError(f"{content.name} has no columns: its first line is {lines[0] if lines else ''!r:.80}")
    named = not any(map(_is_value, parsed[start]))
    rows = [row for row in parsed[start + named :] if len(row) == width][:SAMPLE]
    if not rows:
        raise DataError(f"{content.name} has no rows behind its header {parsed[start]}")
    numbers = spelling_of([cell for row in rows for cell in row], decimal, content.name)
    said = f"CSV with {_DELIMITERS[delimiter]}s" + numbers.said
    said += f", header in line {start + 1}" if named else ", no header"
    cells = tuple(tuple(numbers.plain(cell.strip()) for cell in row) for row in rows)
    names = tuple(name.strip() for name in parsed[start]) if named else ()
    return Head(content.name, names, width, cells, said), _Form(delimiter, start + named, numbers)


def _delimiter(lines: list[str]) -> str:
    """The one that parts most lines into the same number of cells, at least two."""

    def agreement(delimiter: str) -> tuple[int, int]:
        counts = Counter(line.count(delimiter) for line in lines if delimiter in line)
        return max(((times, count) for count, times in counts.items()), default=(0, 0))

    decimals = sum(bool(re.search(r"\d;\d|\d\t\d", line)) for line in lines)
    if decimals:  # commas within numbers agree as well as semicolons between them
        return max((";", "\t"), key=agreement)
    return max(_DELIMITERS, key=agreement)


def _is_value(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell) or _TIME.fullmatch(cell.strip()))
