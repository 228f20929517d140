"""What a replay says when it ends."""

from __future__ import annotations

from collections.abc import Sequence

from core.contracts.moments import iso
from core.runtime.replayer import Tally


def described(tally: Tally, torn: Sequence[str] = ()) -> list[str]:
    """The summary, line by line: lines per channel, span, wall time and rate, and what was left out.

    Args:
        tally: what has been published.
        torn: places of last lines that have no end.
    """
    total = tally.lines.total()
    said = [f"  {channel:32} {count:>11,}" for channel, count in sorted(tally.lines.items())]
    if total:
        said.append(f"market time: {iso(tally.first_ns)} to {iso(tally.last_ns)}")
    if tally.before:
        said.append(f"{tally.before:,} lines had been published before")
    rate = f", {tally.rate:,.0f} a second" if total else ""
    said.append(f"{total:,} lines in {tally.wall_s:.1f} s{rate}")
    said += [f"left out: {place}, a last line without its end" for place in torn]
    if not tally.finished:
        said.append("stopped before the end: the same command goes on behind these")
    return said
