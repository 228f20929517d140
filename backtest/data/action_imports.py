"""Corporate actions out of files: LEAN's factor files, and plain tables."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from core import codec
from core.contracts import CorporateAction, moment
from core.contracts.moments import DAY_NS
from core.errors import ContractError, DataError

FORMATS = ("lean", "csv")

_COLUMNS = ("symbol", "kind", "ts_effective", "ratio", "amount", "currency", "new_symbol")
_REQUIRED = ("kind", "ts_effective")
_NEEDED = {"split": "ratio", "dividend": "amount", "symbol_change": "new_symbol"}
_PLACES = 12
_LAST_DIGIT = Fraction(1, 10**7)
"""Of a factor: some are rounded to it, some cut off."""


class _Factors(NamedTuple):
    """A row of a factor file: factors of all days up to and including its own."""

    line: int
    day_ns: int
    price: Decimal
    split: Decimal
    reference: Decimal


def read_lean(path: Path, symbol: str) -> list[CorporateAction]:
    """The splits and dividends behind a LEAN factor file, oldest first.

    A row is date, price factor, split factor, reference price (the last close before the action, as it was paid), and
    holds up to and including its date. Between a row and the next lies an action from the day behind it on: a dividend
    of reference price x (1 - price factor / next price factor), a split of next split factor / split factor. The
    factors are rounded, so each amount is the one of the fewest digits that they allow.

    Raises:
        DataError: the file cannot be read or a line is none; names file and line.
    """
    rows = [_factors(path, number, cells) for number, cells in _rows(path)]
    actions: list[CorporateAction] = []
    for row, after in pairwise(rows):
        if after.day_ns <= row.day_ns:
            raise DataError(f"{path}, line {after.line}: its date is not behind that of line {row.line}")
        at_ns = row.day_ns + DAY_NS
        if after.split != row.split:
            ratio = _shortest(*_ratio(after.split, row.split))
            actions.append(CorporateAction(symbol, "split", at_ns, ratio=ratio))
        if after.price != row.price:
            kept, error = _ratio(row.price, after.price)
            if kept >= 1 or row.reference <= 0:
                raise DataError(f"{path}, line {row.line}: no dividend makes its price factor and the next one")
            reference = Fraction(row.reference)
            amount = _shortest(reference * (1 - kept), reference * error)
            actions.append(CorporateAction(symbol, "dividend", at_ns, amount=amount))
    return actions


def read_table(path: Path, symbol: str) -> list[CorporateAction]:
    """The actions of a CSV file with the columns kind, ts_effective and what they need: ratio, amount, currency,
    new_symbol; and symbol, if it is of several.

    Args:
        path: of the file.
        symbol: whose actions they are where there is no such column; empty if there is.

    Raises:
        DataError: the file cannot be read or a line is none; names file and line.
    """
    rows = list(_rows(path))
    heads = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    required = (*_REQUIRED, *(() if symbol else ("symbol",)))
    missing, unknown = sorted(set(required) - set(heads)), sorted(set(heads) - set(_COLUMNS))
    if missing or unknown:
        what = f"columns missing: {missing}, unknown: {unknown}; allowed: {', '.join(_COLUMNS)}"
        raise DataError(f"{path}, line 1: {what}")
    found: list[CorporateAction] = []
    for number, cells in rows[1:]:
        if len(cells) != len(heads):
            raise DataError(f"{path}, line {number}: {len(cells)} cells; allowed: {len(heads)}")
        given = {head: cell.strip() for head, cell in zip(heads, cells, strict=True) if cell.strip()}
        try:
            found.append(action_of({"symbol": symbol, **given}))
        except ContractError as error:
            raise DataError(f"{path}, line {number}: {error}") from None
    return found


def action_of(given: Mapping[str, str]) -> CorporateAction:
    """An action out of texts by field; `ts_effective` is a date or a time.

    Raises:
        ContractError: one is missing or not what it should be.
    """
    for name in _REQUIRED:
        if name not in given:
            raise ContractError(f"{name} is missing; needed: {', '.join(_REQUIRED)}")
    kind = given["kind"]
    if kind not in _NEEDED:
        raise ContractError(f"kind is {kind!r}; allowed: {', '.join(_NEEDED)}")
    if _NEEDED[kind] not in given:
        raise ContractError(f"{_NEEDED[kind]} is missing; needed for a {kind}")
    values: dict[str, Any] = {name: text for name, text in given.items() if name != "ts_effective"}
    values["ts_effective_ns"] = moment(given["ts_effective"], "ts_effective")
    return codec.from_dict(CorporateAction, values)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Lines that hold something, by their number."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: it cannot be read: {error}") from None
    reader = csv.reader(text.splitlines())
    return ((reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells))


def _factors(path: Path, number: int, cells: list[str]) -> _Factors:
    try:
        day, price, split, reference = (cell.strip() for cell in cells)
        row = _Factors(number, moment(day, "date"), Decimal(price), Decimal(split), Decimal(reference))
    except (ValueError, InvalidOperation) as error:
        what = "date, price factor, split factor, reference price"
        raise DataError(f"{path}, line {number}: {','.join(cells)!r} is not {what}: {error}") from None
    if not all(value.is_finite() and value > 0 for value in (row.price, row.split)) or not row.reference.is_finite():
        raise DataError(f"{path}, line {number}: a factor is not above 0")
    return row


def _ratio(above: Decimal, below: Decimal) -> tuple[Fraction, Fraction]:
    """The ratio of two factors, and by how much it may be wrong."""
    ratio = Fraction(above) / Fraction(below)
    return ratio, ratio * (_LAST_DIGIT / Fraction(above) + _LAST_DIGIT / Fraction(below))


def _shortest(value: Fraction, error: Fraction) -> Decimal:
    """The decimal of the fewest places that is no further from the value than the error."""
    places = 0
    while not round(value, places) or (places < _PLACES and abs(round(value, places) - value) > error):
        places += 1
    rounded = round(value, places)
    return Decimal(rounded.numerator) / Decimal(rounded.denominator)
