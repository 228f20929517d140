"""Check market data: gaps, doubled and unordered lines, impossible bars, spikes, flat lines, volumes, suspicious fills.

Every line of the journals is looked at as it stands there. Where a dataset has the trades of a symbol too, bars are
held against what their trades add up to; --fills holds our own fills against the bars. Each report begins with what was
asked, found and missing, and the command that fetches what is missing.

Exit code 1 if there is an error: something that cannot be true, such as a high below a low, or two different bars for
one time. Gaps and what is merely strange are warnings, and count only with --strict.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from backtest.data.adjust import with_factors
from backtest.data.bar_checks import Limits
from backtest.data.columns import BarColumns
from backtest.data.coverage import span_of
from backtest.data.findings import QualityReport
from backtest.data.line_checks import read_bar_lines
from backtest.data.quality import SHOWN, DataValidator
from backtest.data.selection import RECORDED, Chosen, add_range, add_series, chosen, range_of, source_bars
from backtest.data.series import TRADES
from core import cli, codec, topics
from core.contracts.moments import FOREVER
from core.errors import CodecError, ConfigError, ContractError, JournalError
from core.journal_lines import journal_lines

NAME = "check"

_LIMITS = (
    ("--window", "window", "bars before a bar that say what is usual"),
    ("--spike-z", "spike_z", "deviations from the close before that make a spike"),
    ("--spike-move", "spike_move", "no smaller move is a spike, as a share of the price"),
    ("--volume-z", "volume_z", "deviations that make a volume worth a look"),
    ("--flat-bars", "flat_bars", "equal closes, or bars without volume, in a row"),
)


def add_options(to: argparse.ArgumentParser) -> None:
    """What to check, and how strictly."""
    add_series(to, sources=True)
    add_range(to)
    for option, name, about in _LIMITS:
        usual = getattr(Limits(), name)
        to.add_argument(option, type=type(usual), default=usual, metavar="N", help=f"{about} (default: {usual})")
    to.add_argument(
        "--fills", nargs="?", const="", metavar="DIR",
        help="also check the fills in a folder of journals (default: those of the configuration)",
    )  # fmt: skip
    to.add_argument("--shown", type=int, default=SHOWN, metavar="N", help=f"findings of each kind (default: {SHOWN})")
    to.add_argument("--strict", action="store_true", help="exit code 1 for warnings too")
    to.add_argument("--json", action="store_true", help="one JSON array, one report per series")


def run(args: argparse.Namespace) -> int:
    """Check each series."""
    try:
        limits = Limits(**{name: getattr(args, name) for _, name, _ in _LIMITS})
    except ContractError as error:
        raise ConfigError(str(error)) from None
    reports = _reports(args, DataValidator(limits, args.shown))
    if args.json:
        sys.stdout.write(codec.encode_pretty([report.as_json() for report in reports]).decode())
    else:
        sys.stdout.write("\n\n".join(report.text() for report in reports) + "\n")
    wrong = any(report.errors or (args.strict and report.warnings) for report in reports)
    return cli.EXIT_FAILED if wrong else 0


def _reports(args: argparse.Namespace, validator: DataValidator) -> list[QualityReport]:
    if not args.source:
        return [_report(args, each, validator) for each in chosen(args)]
    bars = source_bars(args)
    return [validator.check(bars, span=_span(bars, *range_of(args)), source=args.source)]


def _report(args: argparse.Namespace, each: Chosen, validator: DataValidator) -> QualityReport:
    start_ns, end_ns = range_of(args)
    series, place = each.series, each.place
    lines = read_bar_lines(place.folder, series.symbol, series.timeframe, start_ns, end_ns)
    if actions := place.data.actions(series.symbol):  # a known split is no spike
        lines = replace(lines, bars=with_factors(lines.bars, actions))
    has_trades = any((other.kind, other.symbol) == (TRADES, series.symbol) for other in place.data.series())
    return validator.check(
        lines,
        span=_span(lines.bars, start_ns, end_ns),
        trades=place.data.trades(series.symbol, start_ns, end_ns) if has_trades else None,
        fills=_fills(args, each, (start_ns, end_ns)),
        source=place.name,
        into=place.download_options(),
    )


def _span(bars: BarColumns, start_ns: int, end_ns: int) -> tuple[int, int]:
    """The asked range; an open end of it is where the bars begin or end."""
    first, last = span_of(bars)
    return start_ns or first, last if end_ns == FOREVER else end_ns


def _fills(args: argparse.Namespace, each: Chosen, span: tuple[int, int]) -> Iterator[dict[str, Any]] | None:
    """The fills of the symbol in the range; None if they are not to be checked."""
    if args.fills is None and each.place.name != RECORDED:
        return None
    folder = Path(args.fills) if args.fills else cli.config_of(args).paths.journal_dir
    return _fills_in(folder, each.series.symbol, span)


def _fills_in(folder: Path, symbol: str, span: tuple[int, int]) -> Iterator[dict[str, Any]]:
    journal = topics.FILLS_NEW.journal_name(topics.FILLS_NEW.name, symbol).removesuffix(".ndjson")
    for path, number, line in journal_lines(folder, journal):
        try:
            fill = codec.decode_json(line)
        except CodecError as error:
            raise JournalError(f"{path}, line {number}: {error}") from None
        if (
            isinstance(fill, dict)
            and fill.get("symbol") == symbol
            and span[0] <= (fill.get("ts_fill_ns") or 0) < span[1]
        ):
            yield fill
