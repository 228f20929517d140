"""Import market data: CSV, Parquet, Arrow/Feather, HDF5 and JSON files of other tools, and journals.

What the columns are, how times count and how long bars are is found out and told in one line per file. Where a file can
be read in several ways it is refused, and the message says which option decides. Bars that are there already and are
the same are counted; ones that differ are refused unless --on-conflict says otherwise.

    python -m backtest.data import BTCUSDT-1m-2023-08.csv --symbol BTC/USDT
    python -m backtest.data import AAPL.csv --symbol AAPL/USD --asset-class equity
    python -m backtest.data import var/log/njord --dataset recorded
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import time_ns

from backtest.data.importing.importer import Imported, Options, import_file
from backtest.data.importing.options import DATE_ORDERS, FORMATS, KINDS, TIME_UNITS
from backtest.data.importing.spelling import DECIMALS
from backtest.data.merging import CONFLICTS
from backtest.data.store import Dataset, History
from core import cli
from core.codec import encode_pretty
from core.contracts.moments import iso

NAME = "import"

_SHOWN = 20
"""Most rows that were left out that are printed."""


def add_options(to: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add = to.add_argument
    add("files", nargs="+", type=Path, metavar="FILE", help="files, zip archives, or folders of journals")
    add("--symbol", default="", metavar="BASE/QUOTE", help="whose prices; journals and our exports say it themselves")
    add("--timeframe", default="", metavar="LENGTH", help="of the bars; else found by their spacing")
    add("--dataset", default="imported", metavar="NAME", help="where it goes (default: imported)")
    add("--format", choices=FORMATS, default="auto", help="else found by the content")
    add("--kind", choices=KINDS, default="auto", help="else found by the columns")
    add("--columns", default="", metavar="NAMES", help="what the columns are: time,open,high,low,close,volume,-")
    add("--time-unit", choices=TIME_UNITS, default="auto", help="of times that are numbers; else by their size")
    add("--timezone", default="UTC", metavar="ZONE", help="of times that name none (default: UTC)")
    add("--date-order", choices=DATE_ORDERS, default="auto", help="of dates such as 1/2/2020")
    add("--decimal", choices=DECIMALS, default="auto", help="of numbers such as 1,234, which may be 1234 or 1.234")
    add("--asset-class", default="crypto", metavar="CLASS", help="crypto, equity ... (default: crypto)")
    add("--on-conflict", choices=CONFLICTS, default="refuse", help="of rows that differ from those that are there")
    add("--skip-bad", action="store_true", help="leave out rows that are wrong, and say which")
    add("--dry-run", action="store_true", help="change nothing, say what would be done")
    add("--json", action="store_true", help="the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Take the files in, one after the other; the exit code."""
    dataset = History(cli.config_of(args).paths.history_dir).dataset(args.dataset)
    dataset.manifest.require("")
    options = Options(
        symbol=args.symbol, now_ns=time_ns(), timeframe=args.timeframe, kind=args.kind, format=args.format,
        time_unit=args.time_unit, timezone=args.timezone, date_order=args.date_order,
        columns=tuple(name.strip() for name in args.columns.split(",") if args.columns),
        decimal=args.decimal, asset_class=args.asset_class, conflict=args.on_conflict, skip_bad=args.skip_bad,
        dry_run=args.dry_run,
    )  # fmt: skip
    every: list[Imported] = []
    for path in args.files:
        for made in import_file(dataset, path, options):
            every.append(made)
            if not args.json:
                sys.stdout.write(_told(made, dataset, dry=args.dry_run))
    if args.json:
        sys.stdout.write(encode_pretty([made.to_dict() for made in every]).decode())
    return 0


def _told(made: Imported, dataset: Dataset, *, dry: bool) -> str:
    added, series = made.added, made.series
    what = f"{series.timeframe} bars" if series.timeframe else series.kind
    would = "would be " if dry else ""
    lines = [f"{made.source}: {made.explained}"]
    lines += [f"  {note}" for note in made.notes]
    lines += [f"  left out, {each}" for each in made.skipped[:_SHOWN]]
    if len(made.skipped) > _SHOWN:
        lines.append(f"  and {len(made.skipped) - _SHOWN:,} more")
    lines.append(
        f"  {made.rows:,} {what} of {series.symbol}, {iso(made.first_ns)} to {iso(made.last_ns)}: "
        f"{would}{added.new:,} new, {added.same:,} there already, {added.replaced:,} replaced, {added.kept:,} kept as "
        f"they were; files {would}written in {dataset.folder}: {added.files:,}"
    )
    return "\n".join(lines) + "\n"
