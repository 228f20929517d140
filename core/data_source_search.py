"""Why there are no bars: what was searched, what is nearest, and the command that fetches what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from core.contracts.instrument import file_symbol
from core.contracts.moments import FOREVER, iso
from core.data_source import DataSource, Series
from core.data_source_bars import BarQuery

_NEAREST = 3
_ALIKE = 0.7


def explanation(sources: Mapping[str, DataSource], query: BarQuery, start_ns: int, end_ns: int) -> str:
    """Several lines for people; see `DataSources.explain`."""
    wanted = f"{query.timeframe} bars of {query.symbol}"
    until = f" to {iso(end_ns)}" if end_ns < FOREVER else ""
    lines = [f"{wanted} from {iso(start_ns)}{until}: not all of them are there"]
    for name, source in sources.items():
        there = [each for known, each in query.series if known == name]
        lines.append(f"  searched {name}: {_listed(there) or 'none of this symbol'}")
        lines += [f"    nearest: {_listed([each])}" for each in ([] if there else _near(query.symbol, source.series()))]
    lines.append(f"  to fetch them: {download_command(query.symbol, query.timeframe, start_ns, end_ns)}")
    return "\n".join(lines)


def download_command(symbol: str, timeframe: str, start_ns: int, end_ns: int) -> str:
    """The command that fetches whole UTC days around a range; what ends at `FOREVER` is fetched up to now.

    >>> download_command("BTC/USDT", "1m", 1_759_190_400_000_000_000, 1_759_276_800_000_000_000)
    'python -m backtest.data download --symbol BTC/USDT --timeframe 1m --start 2025-09-30 --end 2025-09-30'
    """
    end = f" --end {iso(max(start_ns, end_ns - 1))[:10]}" if end_ns < FOREVER else ""
    return (
        f"python -m backtest.data download --symbol {symbol} --timeframe {timeframe} --start {iso(start_ns)[:10]}{end}"
    )


def _listed(series: Iterable[Series]) -> str:
    return "; ".join(
        f"{each.timeframe} bars of {each.symbol} from {iso(each.first_ns)} to {iso(each.last_ns)}" for each in series
    )


def _near(symbol: str, series: Iterable[Series]) -> list[Series]:
    """Bars of symbols that are spelled like this one: of the same letters first."""
    bars = [each for each in series if each.kind == "bars"]
    by_letters: dict[str, list[Series]] = {}
    for each in bars:
        by_letters.setdefault(file_symbol(each.symbol).upper(), []).append(each)
    names = get_close_matches(file_symbol(symbol).upper(), by_letters, _NEAREST, _ALIKE)
    return [each for name in names for each in by_letters[name]][:_NEAREST]
