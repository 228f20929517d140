"""What a run has led to, counted in its journals: what is not in there has not happened."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

from apps.run.picture import Picture, utc
from core import codec, topics
from core.contracts import Event, PortfolioSnapshot, PositionSnapshot, RiskDecision, Watermark
from core.contracts.instrument import file_symbol
from core.journal import is_line, last_lines
from core.journal_files import files_of, journals_in
from core.journal_lines import read_lines

E = TypeVar("E", bound=Event)


@dataclass(slots=True)
class Summary:
    """The figures of one run.

    Attributes:
        trades: published.
        books: published.
        tickers: published.
        first_ns: first second of the market, ns UTC; 0 without any.
        last_ns: last second of the market, ns UTC.
        intents: of all strategies.
        allowed: intents that became orders.
        denied: intents refused, by reason.
        orders: accepted.
        fills: executions.
        positions: the newest by symbol and strategy.
        portfolio: the newest; None if there is none.
        dead_letters: messages that could not be read.
    """

    trades: int = 0
    books: int = 0
    tickers: int = 0
    first_ns: int = 0
    last_ns: int = 0
    intents: int = 0
    allowed: int = 0
    denied: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    fills: int = 0
    positions: dict[tuple[str, str], PositionSnapshot] = field(default_factory=dict)
    portfolio: PortfolioSnapshot | None = None
    dead_letters: int = 0

    @property
    def published(self) -> int:
        """Everything that the market has sent."""
        return self.trades + self.books + self.tickers


class Chapter:
    """The part of the journals that a run writes: what lies behind their ends as they are now."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: of the journals; need not exist yet.
        """
        self._folder = folder
        self._before = {last.file.journal: codec.seq_of(last.line) for last in last_lines(folder) if is_line(last.line)}
        files = [file for each in journals_in(folder).values() for file in each]
        self._finished = {(file.journal, file.age) for file in files if not file.active}

    def summarize(self, symbol: str) -> Summary:
        """Read it.

        Args:
            symbol: whose market data to count.
        """
        decisions = Counter(
            "" if each.allowed else str(each.reason) for each in self._events("risk.decisions", RiskDecision)
        )
        seconds = [each.market_ns for each in self._ends(f"clock.market.{file_symbol(symbol)}", Watermark)]
        positions = self._matching(topics.POSITIONS_SNAPSHOT.journal)
        accounts = self._ends(topics.PORTFOLIO_SNAPSHOT.journal, PortfolioSnapshot)
        return Summary(
            trades=self._count(f"md.trades.{file_symbol(symbol)}"),
            books=self._count(f"md.book.{file_symbol(symbol)}"),
            tickers=self._count(f"md.ticker.{file_symbol(symbol)}"),
            first_ns=seconds[0] if seconds else 0,
            last_ns=seconds[-1] if seconds else 0,
            intents=self._count("strat.intent"),
            allowed=decisions.pop("", 0),
            denied=decisions,
            orders=self._count("orders.accepted"),
            fills=sum(map(self._count, self._matching(topics.FILLS_NEW.journal))),
            positions={
                (each.symbol, each.strategy_id): each
                for name in positions
                for each in self._events(name, PositionSnapshot)
            },
            portfolio=accounts[-1] if accounts else None,
            dead_letters=sum(map(self._count, self._matching(topics.DEAD_LETTER.journal))),
        )

    def _matching(self, template: str) -> list[str]:
        pattern = template.replace("{symbol}", "*").replace("{instance}", "*")
        return [name for name in journals_in(self._folder) if fnmatchcase(name, pattern)]

    def _count(self, name: str) -> int:
        return sum(1 for _ in self._lines(name))

    def _lines(self, name: str) -> Iterator[bytes]:
        """What this run has added: its numbers are higher than any that was there."""
        before = self._before.get(name, 0)
        for file in files_of(self._folder, name):
            if (name, file.age) not in self._finished:
                lines = read_lines(file.path)
                yield from (line for line in lines if is_line(line) and codec.seq_of(line) > before)

    def _events(self, name: str, kind: type[E]) -> Iterator[E]:
        return (codec.decode(line, kind) for line in self._lines(name))

    def _ends(self, name: str, kind: type[E]) -> list[E]:
        """The first and the last event; none where there is none."""
        first = last = b""
        for line in self._lines(name):
            first, last = first or line, line
        return [codec.decode(line, kind) for line in (first, last) if line]


def shown(path: Path | str) -> str:
    """A path as the user would write it: relative where it lies below."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def describe(summary: Summary, picture: Picture) -> list[str]:
    """The figures in words, one line each.

    Args:
        summary: the figures.
        picture: the last one shown; it knows how prices are written.
    """
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(summary.denied.items()))
    denied = f"{summary.denied.total():,} denied" + (f" ({reasons})" if reasons else "")
    when = f"{utc(summary.first_ns)} to {utc(summary.last_ns)} UTC" if summary.last_ns else "nothing came"
    lines = [
        f"market     {when}",
        f"published  {summary.trades:,} trades, {summary.books:,} books, {summary.tickers:,} tickers",
        f"intents    {summary.intents:,}: {summary.allowed:,} allowed, {denied}",
        f"orders     {summary.orders:,}, fills {summary.fills:,}",
    ]
    held = [each for each in summary.positions.values() if each.strategy_id] or list(summary.positions.values())
    lines += [f"position   {picture.position_text(each)}" for each in held] or ["position   none was taken"]
    account = summary.portfolio
    if account is not None:
        lines.append(
            f"account    equity {account.total_equity:,.2f}, realized {account.realized_pnl:+,.2f},"
            f" unrealized {account.unrealized_pnl:+,.2f}, fees {account.fees:,.2f}"
        )
    return lines
