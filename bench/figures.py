"""What a measurement gives, and how it is shown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value.

    Attributes:
        name: what was measured.
        value: in `unit`; the median of the rounds where there are several.
        unit: "1/s", "us", "s", "MB", "events" or "x".
        ratio: relative to what `against` names in the same run; None where the value stands alone.
        against: what the ratio divides by.
        target: what is wanted of the ratio, or of the value where there is none: ">= 0.6", "<= 60".
        note: how to read it; the spread of the rounds.
    """

    name: str
    value: float
    unit: str
    ratio: float | None = None
    against: str = ""
    target: str = ""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if not self.target:
            return None
        sign, wanted = self.target.split()
        judged = self.value if self.ratio is None else self.ratio
        return judged >= float(wanted) if sign == ">=" else judged <= float(wanted)


@dataclass(slots=True)
class Outcome:
    """What one measurement gives.

    Attributes:
        figures: its values.
        remarks: what the values do not say.
        skipped: why it was not made; empty if it was.
    """

    figures: list[Figure] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    skipped: str = ""

    def add(self, name: str, value: float, unit: str, **more: Any) -> None:
        """Add a figure; `more` are its other fields."""
        self.figures.append(Figure(name, value, unit, **more))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        figures = [{**asdict(figure), "met": figure.met} for figure in self.figures]
        return {"figures": figures, "remarks": self.remarks, "skipped": self.skipped}


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which this share of the values lies, nearest rank; NaN-free input, at least one value.

    >>> percentile([4, 1, 3, 2], 0.5), percentile(range(100), 0.99)
    (3, 99)
    """
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]


def median(values: Sequence[float]) -> float:
    """The middle one of some rounds."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> str:
    """The lowest and the highest of some rounds."""
    return f"rounds {brief(min(values))} to {brief(max(values))}"


def brief(value: float) -> str:
    """A number in as many digits as matter.

    >>> brief(123456.7), brief(12.34), brief(0.1234), brief(0.0)
    ('123,457', '12.3', '0.123', '0')
    """
    if abs(value) >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


HEADER = ("", "value", "", "ratio", "of", "target", "", "")


def table(outcomes: dict[str, Outcome]) -> str:
    """All outcomes as one table."""
    rows: list[tuple[str, ...]] = [HEADER]
    for name, outcome in outcomes.items():
        rows.append((name, *[""] * 6, f"skipped: {outcome.skipped}" if outcome.skipped else ""))
        rows += [_row(figure) for figure in outcome.figures]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER) - 1)]
    lines = [_line(row, widths) for row in rows]
    for name, outcome in outcomes.items():
        lines += [f"{name}: {remark}" for remark in outcome.remarks]
    return "\n".join(lines)


def _row(figure: Figure) -> tuple[str, ...]:
    verdict = {None: "", True: "ok", False: "MISSED"}[figure.met]
    ratio = "" if figure.ratio is None else f"{figure.ratio:.3g}"
    value = brief(figure.value)
    return ("  " + figure.name, value, figure.unit, ratio, figure.against, figure.target, verdict, figure.note)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    numbers = (1, 3)
    cells = [
        cell.rjust(width) if column in numbers else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=False))
    ]
    return "  ".join([*cells, row[-1]]).rstrip()
