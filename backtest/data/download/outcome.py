"""What a download asked for, got, and did not get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from backtest.data.coverage import Hole
from core.contracts.moments import iso

SHOWN = 5
"""Holes that a summary names; all are in its JSON."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One series.

    Attributes:
        symbol: ccxt unified.
        timeframe: of its bars; empty for trades.
        dataset: where it is kept.
        start_ns: of what was asked for, ns UTC.
        end_ns: its end, exclusive; no later than the venue's last closed bar.
        had: rows of that range which were there before.
        new: rows that were fetched and were not there.
        replaced: rows that were there and differed; only when all was fetched again.
        missing: bars that are still not there, the venue's own holes among them; numbers that are missing among trades.
        own: how many of those the venue itself does not have.
        holes: where bars are missing, oldest first.
        checked: bars that were asked for a second time, and were the same.
        requests: how many it took, those that failed among them.
        planned: whether nothing was fetched: `new` is then what would be asked for at most, `requests` about how often.
    """

    symbol: str
    timeframe: str
    dataset: str
    start_ns: int
    end_ns: int
    had: int
    new: int = 0
    replaced: int = 0
    missing: int = 0
    own: int = 0
    holes: tuple[Hole, ...] = ()
    checked: int = 0
    requests: int = 0
    planned: bool = False

    @property
    def label(self) -> str:
        """The series for people."""
        return f"{self.symbol} {self.timeframe or 'trades'}"

    def values(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)

    def text(self) -> str:
        """A few lines for people."""
        return "\n".join(self._planned() if self.planned else self._done())

    def _planned(self) -> list[str]:
        lines = [
            f"{self.label} -> {self.dataset}: {iso(self.start_ns)} -> {iso(self.end_ns)}, {self.had:,} rows are there"
        ]
        if not self.holes:
            return [*lines, "  nothing to fetch"]
        about = f"{self.new:,} bars at most, about" if self.timeframe else "trades, one request per thousand, at least"
        lines.append(f"  would fetch {about} {self.requests:,} requests:")
        return lines + _named(self.holes)

    def _done(self) -> list[str]:
        lines = [
            f"{self.label} -> {self.dataset}",
            f"  asked    {iso(self.start_ns)} -> {iso(self.end_ns)}",
            f"  there    {self.had:,} before, {self.new:,} new" + f", {self.replaced:,} replaced" * bool(self.replaced),
        ]
        if not self.timeframe:
            lines.append(f"  missing  {self.missing:,} numbers" if self.missing else "  missing  nothing")
        elif not self.missing:
            lines.append("  missing  nothing")
        else:
            lines.append(f"  missing  {self.missing:,} bars{_whose(self)}:")
            lines += _named(self.holes)
        checked = f", {self.checked:,} bars asked for twice: the same" if self.checked else ""
        return [*lines, f"  requests {self.requests:,}{checked}"]


def _whose(outcome: Outcome) -> str:
    if not outcome.own:
        return ""
    which = "which" if outcome.own == outcome.missing else f"{outcome.own:,} of which"
    return f", {which} the venue itself does not have"


def _named(holes: Sequence[Hole]) -> list[str]:
    largest = sorted(sorted(holes, key=lambda hole: -hole.missing)[:SHOWN], key=lambda hole: hole.start_ns)
    lines = [
        f"    {iso(hole.start_ns)} -> {iso(hole.end_ns)}" + f"  {hole.missing:,} bars" * bool(hole.missing)
        for hole in largest
    ]
    return lines + [f"    and {len(holes) - SHOWN:,} shorter ones"] * (len(holes) > SHOWN)
