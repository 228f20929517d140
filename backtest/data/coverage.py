"""What of an asked range of bars is there, what is missing, and the command that fetches it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from backtest.data.columns import BarColumns, Ints
from backtest.data.table import counted
from core.contracts import timeframe_ns
from core.contracts.moments import DAY_NS, iso
from core.data_source_search import download_command

_ALWAYS_OPEN = "crypto"
_COMMANDS = 3
"""So many holes get a command each; more are one command over all of them, which leaves out what is there."""


class BarSource(Protocol):
    """Anything that has bars, such as a dataset."""

    @property
    def name(self) -> str:
        """How people call it."""
        ...

    def bars(self, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> BarColumns:
        """The bars that open in `[start_ns, end_ns)`."""
        ...


@dataclass(frozen=True, slots=True)
class Hole:
    """Bars that are not there, one behind another.

    Attributes:
        start_ns: where the first of them would open, ns UTC.
        end_ns: end of the last of them, ns UTC, exclusive.
        missing: how many bars of open market.
    """

    start_ns: int
    end_ns: int
    missing: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a range is there.

    Attributes:
        symbol: ccxt unified symbol.
        timeframe: of the bars.
        start_ns: start of the asked range, ns UTC.
        end_ns: its end, exclusive.
        found: bars that are there.
        first_ns: opening time of the first of them; 0 without any.
        last_ns: end of the last of them, exclusive; 0 without any.
        holes: what is missing, oldest first.
        source: where was looked.
        into: options of the download command that say where to fetch from, and into which dataset; None where nobody
            knows whose market this is: bars of another one would be no repair.
    """

    symbol: str
    timeframe: str
    start_ns: int
    end_ns: int
    found: int
    first_ns: int
    last_ns: int
    holes: tuple[Hole, ...]
    source: str = ""
    into: tuple[str, ...] | None = ()

    @property
    def missing(self) -> int:
        """Bars that are not there."""
        return sum(hole.missing for hole in self.holes)

    @property
    def asked(self) -> int:
        """Bars that the range has while the market is open."""
        return self.found + self.missing

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.holes

    @property
    def longest(self) -> Hole | None:
        """The hole with the most bars, the first of equals; None where nothing is missing."""
        return max(self.holes, key=lambda hole: hole.missing, default=None)

    def commands(self) -> list[str]:
        """What to type so that the holes are filled; nothing where nobody can know."""
        if self.into is None:
            return []
        spans = [(hole.start_ns, hole.end_ns) for hole in self.holes]
        if len(spans) > _COMMANDS:
            spans = [(spans[0][0], spans[-1][1])]
        return [
            " ".join([download_command(self.symbol, self.timeframe, start, end), *self.into]) for start, end in spans
        ]

    def text(self) -> str:
        """A few lines for people: asked, found, missing, and how to get it."""
        where = f" in {self.source!r}" if self.source else ""
        lines = [
            f"{self.symbol} {self.timeframe}{where}",
            f"  asked    {counted(self.asked, 'bar')}, {iso(self.start_ns)} -> {iso(self.end_ns)}",
            f"  found    {counted(self.found, 'bar')}"
            + (f", {iso(self.first_ns)} -> {iso(self.last_ns)}" * bool(self.found)),
        ]
        longest = self.longest
        if longest is None:
            return "\n".join([*lines, "  missing  nothing"])
        holes = f"in {counted(len(self.holes), 'hole')}"
        where = f"the longest {counted(longest.missing, 'bar')} from {iso(longest.start_ns)}"
        share = f"{self.missing / self.asked:.2%}"
        lines += [f"  missing  {counted(self.missing, 'bar')} ({share}) {holes}, {where}", "  to fill it:"]
        if self.into is None:
            return "\n".join([*lines, "    import what is missing: whose market this is was never said"])
        return "\n".join([*lines, *(f"    {command.replace(' --start', _FOLD)}" for command in self.commands())])


_FOLD = " \\\n      --start"
"""A command over two lines, as a shell takes it: one would be wider than a terminal."""


def coverage(
    of: BarColumns | BarSource,
    symbol: str,
    timeframe: str,
    start_ns: int,
    end_ns: int,
    *,
    source: str = "",
    into: tuple[str, ...] | None = (),
) -> Coverage:
    """How much of `[start_ns, end_ns)` is there.

    A bar belongs to the range if it opens in it. Markets of `asset_class` "crypto" never close; others are taken to be
    open from Monday to Friday, so a daily bar of a weekend is not missing, while one of a holiday is; of their shorter
    bars only those between two bars of one UTC day can be missing.

    Args:
        of: the bars, or what has them.
        symbol: ccxt unified symbol.
        timeframe: of the bars.
        start_ns: ns UTC.
        end_ns: ns UTC.
        source: how the place is called; the source's own name unless given.
        into: see `Coverage`.

    Raises:
        ContractError: no timeframe.
    """
    if isinstance(of, BarColumns):
        bars, name = of.between(start_ns, end_ns), source
    else:
        bars, name = of.bars(symbol, timeframe, start_ns, end_ns), source or of.name
    step = timeframe_ns(timeframe)
    holes = holes_of(bars.ts_open, step, (start_ns, end_ns), always_open=bars.asset_class == _ALWAYS_OPEN)
    first, last = (int(bars.ts_open[0]), int(bars.ts_open[-1]) + step) if len(bars) else (0, 0)
    return Coverage(symbol, timeframe, start_ns, end_ns, len(bars), first, last, holes, name, into)


def span_of(bars: BarColumns) -> tuple[int, int]:
    """The range that bars take: from the first to the end of the last; (0, 0) without any."""
    return (int(bars.ts_open[0]), int(bars.ts_close[-1])) if len(bars) else (0, 0)


def holes_of(ts_open: Ints, step: int, span: tuple[int, int], *, always_open: bool = True) -> tuple[Hole, ...]:
    """The holes between the start of a range, the bars in it, and its end.

    Args:
        ts_open: opening times, rising, ns UTC; one off the grid counts for the place on the grid before it.
        step: length of a bar, ns.
        span: the range, half open, ns UTC.
        always_open: False for a market that closes at night and over the weekend.
    """
    start, end = -(-span[0] // step), -(-span[1] // step)
    slots = np.concatenate([[start - 1], np.unique(ts_open // step), [end]])
    before = np.flatnonzero(np.diff(slots) > 1)
    firsts, ends = slots[before] + 1, slots[before + 1]
    if always_open:
        missing = ends - firsts
    elif step >= DAY_NS:
        missing = _weekdays(firsts, ends)
    else:
        inside = (before > 0) & (before < len(slots) - 2) & (slots[before] * step // DAY_NS == ends * step // DAY_NS)
        missing = np.where(inside, ends - firsts, 0)
    return tuple(
        Hole(int(first) * step, int(last) * step, int(count))
        for first, last, count in zip(firsts, ends, missing, strict=True)
        if count
    )


def _weekdays(firsts: Ints, ends: Ints) -> Ints:
    return np.asarray(np.busday_count(firsts.astype("datetime64[D]"), ends.astype("datetime64[D]")), np.int64)
