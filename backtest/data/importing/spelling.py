"""How the numbers of a text file are spelled: 1234.5, 1234,5, 1,234.5 or 1.234,5; never 1000 times off by a guess."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import DataError

DECIMALS = ("auto", ".", ",")

_OTHER = {".": ",", ",": "."}
_SIGN = r"\s*[-+]?"
_END = r"([eE][-+]?\d+)?\s*"


def _pattern(decimal: str, body: str) -> re.Pattern[str]:
    group = re.escape(_OTHER[decimal])
    return re.compile(_SIGN + body.format(g=group, d=re.escape(decimal)) + _END, re.ASCII)


_GROUPED = {decimal: _pattern(decimal, r"\d{{1,3}}({g}\d{{3}})+({d}\d*)?") for decimal in _OTHER}
"""Numbers with thousands set apart."""

_FORMS = (
    r"\d*{d}(?!\d{{3}}\b)\d*",  # a fraction of other than three digits
    r"(0*|\d{{4,}}){d}\d+",  # no thousands begin so
    r"\d{{1,3}}({g}\d{{3}})+{d}\d*",
    r"\d{{1,3}}({g}\d{{3}}){{2,}}",
)
_SURE = {decimal: _pattern(decimal, f"({'|'.join(_FORMS)})") for decimal in _OTHER}
"""Numbers that can be read in one way only; 1,234 and 1.234 are none."""

_WITH_COMMA = re.compile(_SIGN + r"[\d.]*,[\d.,]*" + _END, re.ASCII)


@dataclass(frozen=True, slots=True)
class Spelling:
    """How numbers are spelled.

    Attributes:
        decimal: parts a number from its fraction: "." or ",".
        grouped: whether the other one may part thousands.
    """

    decimal: str
    grouped: bool = True

    @property
    def said(self) -> str:
        """What is worth telling about it."""
        return ", decimal commas" if self.decimal == "," else ""

    def plain(self, cell: str) -> str:
        """A cell as Python reads numbers; what is no number so spelled stays as it is.

        >>> Spelling(",").plain("1.234,50"), Spelling(".").plain("1,234.5"), Spelling(",").plain("1,5 m")
        ('1234.50', '1234.5', '1,5 m')
        """
        if self.grouped and _GROUPED[self.decimal].fullmatch(cell):
            cell = cell.replace(_OTHER[self.decimal], "")
        elif self.decimal != "," or (not _SURE[","].fullmatch(cell) and not _GROUPED["."].fullmatch(cell)):
            return cell
        return cell.replace(",", ".")


def spelling_of(cells: Sequence[str], asked: str, source: str) -> Spelling:
    """How the numbers among some cells are spelled.

    Args:
        cells: of the first rows.
        asked: "." or ",", or "auto": as the cells say.
        source: the file, for errors.

    Raises:
        DataError: they do not say it: each comma could part thousands, or a fraction; or both are there.
    """
    if asked != "auto":
        return Spelling(asked)
    commas = [cell for cell in cells if _WITH_COMMA.fullmatch(cell)]
    if not commas:
        return Spelling(".", grouped=False)
    sure = {decimal: next((cell for cell in cells if _SURE[decimal].fullmatch(cell)), "") for decimal in _OTHER}
    found = [decimal for decimal, cell in sure.items() if cell]
    if len(found) == 1:
        return Spelling(found[0])
    why = f"{sure['.']!r} and {sure[',']!r} contradict each other" if found else f"{commas[0]!r} can be both"
    raise DataError(f"{source}: is a comma the decimal point, or does it part thousands? {why}; --decimal ,|. decides")
