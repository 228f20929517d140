"""What a folder of journals holds of the market: which symbols, and bars of which length."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from core.codec import decode_rows
from core.contracts import quote_of
from core.contracts.instrument import file_symbol
from core.errors import ContractError, JournalError
from core.journal_files import JournalFile, journals_in
from core.journal_lines import read_lines
from core.topics import MD_ACTIONS, MD_OHLCV, MD_TRADES, Topic, undated

BARS = "bars"
TRADES = "trades"
ACTIONS = "actions"

_TOPICS: dict[str, Topic[Any]] = {BARS: MD_OHLCV, TRADES: MD_TRADES, ACTIONS: MD_ACTIONS}


class Series(NamedTuple):
    """Records of one kind and symbol.

    Attributes:
        kind: "bars", "trades" or "actions".
        symbol: ccxt unified symbol.
        timeframe: of bars; empty for the rest.
    """

    kind: str
    symbol: str
    timeframe: str = ""

    @property
    def journal(self) -> str:
        """Name of the journal that holds it, without day and ending; two symbols may share one."""
        name = _TOPICS[self.kind].journal.format(timeframe=self.timeframe, symbol=file_symbol(self.symbol))
        return undated(name)

    @property
    def quote(self) -> str:
        """The asset that its prices are in, by its symbol."""
        return quote_of(self.symbol)

    def __str__(self) -> str:
        return f"{self.timeframe or self.kind} of {self.symbol}"


def series_in(folder: Path) -> list[Series]:
    """The series of a folder by kind, symbol and timeframe; the first line of a journal says whose it is.

    Raises:
        JournalError: a file cannot be read, or does not hold what its name says.
    """
    found: set[Series] = set()
    for journal, files in journals_in(folder).items():
        for kind, topic in _TOPICS.items():
            if journal.startswith(topic.journal.partition("{")[0]) and (named := named_in(kind, files)):
                found.add(named)
    return sorted(found)


def named_in(kind: str, files: list[JournalFile]) -> Series | None:
    """The series of the first line of a journal; None for one without lines.

    Raises:
        JournalError: a file cannot be read, or the line is not what its kind says.
    """
    for file in files:
        if line := next(read_lines(file.path), b""):
            try:
                row = decode_rows(line, _TOPICS[kind].event)[0]
            except ContractError as error:
                raise JournalError(f"{file.path}, line 1: {error}") from None
            return Series(kind, row.symbol, getattr(row, "timeframe", ""))
    return None
