"""What a replay says when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.contracts import timeframe_ns
from core.contracts.moments import iso
from core.replay_data import Wanted
from core.runtime.replayer import Tally
from core.topics import MD_OHLCV

_SECOND_NS = 1_000_000_000


def progress(tally: Tally, wanted: Wanted) -> str:
    """How far it is, in one line.

    Args:
        tally: what has been published.
        wanted: what was asked for.
    """
    share = (tally.last_ns - wanted.start_ns) / (wanted.end_ns - wanted.start_ns) if tally.last_ns else 0.0
    reached = iso(tally.last_ns // _SECOND_NS * _SECOND_NS) if tally.last_ns else "nothing was due yet"
    return f"{reached} ({min(max(share, 0.0), 1.0):.0%}), {tally.lines.total():,} lines"


def described(tally: Tally, wanted: Wanted, torn: Sequence[str] = ()) -> list[str]:
    """The summary, line by line: lines per channel, span, wall time and rate, what was missing and what was left out.

    Args:
        tally: what has been published.
        wanted: what was asked for.
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
    if tally.finished and not tally.before:
        said += _missing(tally, wanted)
    said += [f"left out: {place}, a last line without its end" for place in torn]
    if not tally.finished:
        said.append("stopped before the end: the same command goes on behind these")
    return said


def _missing(tally: Tally, wanted: Wanted) -> Iterator[str]:
    """What a replay of bars lacks; it plays what there is, and says what there was not."""
    for symbol in wanted.symbols if "bars" in wanted.kinds else ():
        for timeframe in wanted.timeframes:
            length_ns = timeframe_ns(timeframe)
            asked = -(-wanted.end_ns // length_ns) - -(-wanted.start_ns // length_ns)
            there = tally.lines[MD_OHLCV.name.format(timeframe=timeframe, symbol=symbol)]
            if there < asked:
                say = f"python -m backtest.data check --symbol {symbol} --timeframe {timeframe}"
                yield f"missing: {asked - there:,} of {asked:,} bars of {symbol} {timeframe}; {say} says which"
