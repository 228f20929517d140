"""What checks find in market data, and the report made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from backtest.data.columns import Ints
from backtest.data.coverage import Coverage
from backtest.data.table import counted, table
from core.contracts.moments import iso

Severity = Literal["error", "warning"]

KINDS: dict[str, tuple[Severity, str]] = {
    "ohlc": ("error", "a high below, or a low above, another price of the bar"),
    "value": ("error", "a price of 0 or less, a negative amount, or no number"),
    "grid": ("error", "a bar that opens beside the grid of its timeframe"),
    "line": ("error", "a line that is no bar at all"),
    "timeframe": ("error", "a line of another length than its file is for"),
    "conflict": ("error", "two different bars for one time"),
    "fill_qty": ("error", "a fill of no or of less than no quantity"),
    "duplicate": ("warning", "the same line again"),
    "order": ("warning", "a line older than the one before it in its file"),
    "gap": ("warning", "bars that are missing"),
    "incomplete": ("warning", "a bar that says that trades of it are missing"),
    "spike": ("warning", "a price far out of what the bars before moved by"),
    "volume": ("warning", "a volume far above that of the bars before"),
    "flat": ("warning", "one close, again and again, although something traded"),
    "quiet": ("warning", "bar after bar without any volume"),
    "trades": ("warning", "a bar that is not what its trades add up to"),
    "fill_price": ("warning", "a fill at a price that its minute did not have"),
    "fill_fee": ("warning", "a fill without a fee"),
    "fill_time": ("warning", "a fill at a time of which there is no bar"),
}
"""What can be found: how bad it is, and what it means. What cannot be true is an error, what may be is a warning."""


@dataclass(frozen=True, slots=True)
class Found:
    """All findings of one kind, as arrays.

    Attributes:
        kind: a key of `KINDS`.
        starts: where each begins, ns UTC.
        ends: where each ends, ns UTC, exclusive.
        bars: how many bars (lines, fills) each is about.
        describe: what there is to say about the one at a position.
    """

    kind: str
    starts: Ints
    ends: Ints
    bars: Ints
    describe: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One of them, for people.

    Attributes:
        kind: a key of `KINDS`.
        severity: "error" or "warning".
        start_ns: where it begins, ns UTC.
        end_ns: where it ends, ns UTC, exclusive.
        bars: how many bars (lines, fills) it is about.
        detail: the figures.
    """

    kind: str
    severity: Severity
    start_ns: int
    end_ns: int
    bars: int
    detail: str


@dataclass(frozen=True, slots=True)
class Count:
    """How much there is of one kind.

    Attributes:
        findings: how many.
        bars: bars (lines, fills) in all of them.
        longest: most in one of them.
        first_ns: where the first begins, ns UTC.
    """

    findings: int
    bars: int
    longest: int
    first_ns: int


@dataclass(slots=True)
class QualityReport:
    """What was checked and what was found.

    Attributes:
        coverage: asked, found, missing.
        figures: what is worth knowing and no finding: rows, bars without volume, lines read.
        counts: by kind, only those that were found.
        findings: the first of each kind, oldest first.
    """

    coverage: Coverage
    figures: dict[str, int] = field(default_factory=dict)
    counts: dict[str, Count] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def errors(self) -> int:
        """Findings that cannot be true."""
        return self._total("error")

    @property
    def warnings(self) -> int:
        """Findings that somebody should look at."""
        return self._total("warning")

    def add(self, found: Sequence[Found], shown: int) -> None:
        """Take findings over, the first `shown` of each kind with their figures."""
        for each in found:
            if not len(each.starts):
                continue
            self.counts[each.kind] = Count(
                len(each.starts), int(each.bars.sum()), int(each.bars.max()), int(each.starts[0])
            )
            severity = KINDS[each.kind][0]
            for at in range(min(shown, len(each.starts))):
                start, end, bars = int(each.starts[at]), int(each.ends[at]), int(each.bars[at])
                self.findings.append(Finding(each.kind, severity, start, end, bars, each.describe(at)))

    def text(self) -> str:
        """Coverage, a table of what was found, and the findings."""
        parts = [self.coverage.text(), "  " + ", ".join(f"{value:,} {name}" for name, value in self.figures.items())]
        if not self.counts:
            return "\n".join([*parts, "", "nothing found"])
        summary = [
            [kind, KINDS[kind][0], count.findings, count.bars, count.longest, iso(count.first_ns)]
            for kind, count in self.counts.items()
        ]
        parts += ["", table(["finding", "severity", "times", "bars", "longest", "first"], summary), ""]
        for kind, count in self.counts.items():
            shown = [finding for finding in self.findings if finding.kind == kind]
            parts.append(f"{kind}: {KINDS[kind][1]}")
            parts.append(table(["  from", "bars", "what"], [_row(finding) for finding in shown]))
            if count.findings > len(shown):
                parts.append(f"  and {count.findings - len(shown):,} more")
        return "\n".join([*parts, "", f"{counted(self.errors, 'error')}, {counted(self.warnings, 'warning')}"])

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        cover = self.coverage
        return {
            "symbol": cover.symbol,
            "timeframe": cover.timeframe,
            "source": cover.source,
            "start_ns": cover.start_ns,
            "end_ns": cover.end_ns,
            "asked": cover.asked,
            "found": cover.found,
            "missing": cover.missing,
            "fill_commands": cover.commands(),
            "errors": self.errors,
            "warnings": self.warnings,
            "figures": self.figures,
            "counts": {kind: asdict(count) for kind, count in self.counts.items()},
            "findings": [asdict(finding) for finding in self.findings],
        }

    def _total(self, severity: Severity) -> int:
        return sum(count.findings for kind, count in self.counts.items() if KINDS[kind][0] == severity)


def _row(finding: Finding) -> list[object]:
    return ["  " + iso(finding.start_ns), finding.bars, finding.detail]


def runs(of: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[Ints, Ints]:
    """Where stretches of True begin, and where they end (exclusive).

    >>> [part.tolist() for part in runs(np.array([False, True, True, False, True]))]
    [[1, 4], [3, 5]]
    """
    edges = np.diff(np.concatenate([[0], of.astype(np.int8), [0]]))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
