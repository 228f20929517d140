"""Tables without names of columns that are known all the same, by what their cells must be."""

from __future__ import annotations

import re
from dataclasses import dataclass

from backtest.data.importing.sheet import Head

_DATE = re.compile(r"(19|20)\d{6}", re.ASCII)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?", re.ASCII)
_SHORT = re.compile(r"\d{1,7}(\.\d+)?", re.ASCII)
"""Numbers that are no times."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A form that files without a header have.

    Attributes:
        name: whose it is.
        kind: "bars" or "trades".
        roles: of the columns, "-" for one that is left out.
    """

    name: str
    kind: str
    roles: tuple[str, ...]

    def fits(self, head: Head, kind: str) -> bool:
        """Whether the first rows can be that."""
        if kind not in ("auto", self.kind) or head.width != len(self.roles) or not head.rows:
            return False
        return all(_can_be(role, head.cells(place)) for place, role in enumerate(self.roles)) and self._ordered(head)

    def _ordered(self, head: Head) -> bool:
        """Whether no price is above the high or below the low."""
        if self.kind != "bars":
            return True
        places = [self.roles.index(role) for role in ("open", "high", "low", "close")]
        rows = [
            [float(row[place]) for place in places]
            for row in head.rows
            if all(_NUMBER.fullmatch(row[place]) for place in places)
        ]
        return sum(low <= min(first, last) and max(first, last) <= high for first, high, low, last in rows) * 2 > len(
            rows
        )


LAYOUTS = (
    Layout(
        "klines of Binance", "bars",
        ("time", "open", "high", "low", "close", "volume", "-", "turnover", "trade_count", "-", "-", "-"),
    ),
    Layout(
        "klines of Binance without the last one", "bars",
        ("time", "open", "high", "low", "close", "volume", "-", "turnover", "trade_count", "-", "-"),
    ),
    Layout("time, open, high, low, close, volume", "bars", ("time", "open", "high", "low", "close", "volume")),
    Layout("time, open, high, low, close", "bars", ("time", "open", "high", "low", "close")),
    Layout("aggregated trades of Binance", "trades", ("trade_id", "price", "qty", "-", "-", "time", "maker", "-")),
    Layout("aggregated trades of Binance futures", "trades", ("trade_id", "price", "qty", "-", "-", "time", "maker")),
    Layout("trades of Binance", "trades", ("trade_id", "price", "qty", "-", "time", "maker", "-")),
    Layout("trades of Binance futures", "trades", ("trade_id", "price", "qty", "-", "time", "maker")),
)  # fmt: skip
"""Tried in this order."""


def refused_layout(head: Head) -> str:
    """Why a table without names is known to be no market data; empty if it is not."""
    if head.width == 4 and all(map(_DATE.fullmatch, head.cells(0))):
        factors = [cell for place in (1, 2) for cell in head.cells(place)]
        if all(_NUMBER.fullmatch(cell) and 0 < float(cell) <= 1 for cell in factors):
            return (
                "is a factor file of LEAN (date, price factor, split factor, reference price), no prices; "
                "its splits and dividends are taken in by: python -m backtest.data actions"
            )
    return ""


def _can_be(role: str, cells: list[str]) -> bool:
    if role in ("-", "trade_id"):
        return True
    if role == "maker":
        return bool(cells) and all(cell.lower() in ("true", "false") for cell in cells)
    if role == "time":
        return bool(cells) and all(cell[0].isdecimal() and not _SHORT.fullmatch(cell) for cell in cells)
    return sum(bool(_NUMBER.fullmatch(cell)) for cell in cells) * 2 > len(cells)  # a wrong one is named later
