"""What a series of market data is called, and the journal that holds it."""

from __future__ import annotations

from typing import NamedTuple

from core.codec import decode_rows
from core.contracts import quote_of
from core.contracts.instrument import file_symbol
from core.data_source import TOPICS, Kind
from core.errors import ContractError, JournalError
from core.journal_files import JournalFile
from core.journal_lines import read_lines
from core.topics import undated

BARS: Kind = "bars"
TRADES: Kind = "trades"
BOOKS: Kind = "books"
TICKERS: Kind = "tickers"
ACTIONS: Kind = "actions"
KINDS: tuple[Kind, ...] = (BARS, TRADES, BOOKS, TICKERS, ACTIONS)


class SeriesName(NamedTuple):
    """Records of one kind and symbol; `core.data_source.Series` says from when to when as well.

    Attributes:
        kind: "bars", "trades", "books", "tickers" or "actions".
        symbol: ccxt unified symbol.
        timeframe: of bars; empty for the rest.
    """

    kind: Kind
    symbol: str
    timeframe: str = ""

    @property
    def journal(self) -> str:
        """Name of the journal that holds it, without day and ending; two symbols may share one."""
        name = TOPICS[self.kind].journal.format(timeframe=self.timeframe, symbol=file_symbol(self.symbol))
        return undated(name)

    @property
    def quote(self) -> str:
        """The asset that its prices are in, by its symbol."""
        return quote_of(self.symbol)

    def __str__(self) -> str:
        return f"{self.timeframe or self.kind} of {self.symbol}"


def named_in(kind: Kind, files: list[JournalFile]) -> SeriesName | None:
    """The series of the first line of a journal; None for one without lines.

    Raises:
        JournalError: a file cannot be read, or the line is not what its kind says.
    """
    for file in files:
        if line := next(read_lines(file.path), b""):
            try:
                row = decode_rows(line, TOPICS[kind].event)[0]
            except ContractError as error:
                raise JournalError(f"{file.path}, line 1: {error}") from None
            return SeriesName(kind, row.symbol, getattr(row, "timeframe", ""))
    return None
