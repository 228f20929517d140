"""Write a series into a file that other programs read: csv, parquet, arrow, feather, hdf5, json, ndjson.

Each number comes back to the last bit. Times are ns UTC (ts_open, ts); csv says it in words too, as utc. A timeframe
that is not there is made of shorter bars, like the longer bars of a running system, and that is said. ndjson is a
journal: copied into a folder it is a dataset.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from backtest.data.columns import BarColumns
from backtest.data.exporting import COMPRESSIONS, DataExporter, Exported, format_of
from backtest.data.resample import resample
from backtest.data.selection import add_range, add_series, chosen, range_of, source_bars, the_one
from backtest.data.series import BARS, TRADES
from backtest.data.table import size_text
from backtest.data.trades import TradeColumns
from core import codec
from core.contracts.moments import iso
from core.errors import DataError

NAME = "export"


def add_options(to: argparse.ArgumentParser) -> None:
    """Which series, which part of it, and into what."""
    add_series(to, (BARS, TRADES), sources=True)
    add_range(to)
    to.add_argument("--out", type=Path, default=Path(), metavar="PATH", help="a file, or a folder (default: this one)")
    to.add_argument("--format", choices=COMPRESSIONS, help="default: what the ending of --out says, or csv")
    to.add_argument("--compression", choices=("none", "gzip", "zstd"), help="default: the format's own")
    to.add_argument("--force", action="store_true", help="replace a file that is there")
    to.add_argument("--json", action="store_true", help="say what was written as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Write it."""
    exporter = _exporter(args)
    data, made_of = _data(args)
    if not len(data):
        raise DataError(f"nothing to write: {data.symbol} has nothing in the range that was asked for")
    done = exporter.write(data, args.out)
    if made_of:
        sys.stderr.write(f"{args.timeframe} bars are not there; made of {made_of} bars\n")
    sys.stdout.write(_json(done, data) if args.json else _text(done, data))
    return 0


def _exporter(args: argparse.Namespace) -> DataExporter:
    name, compression = args.format, args.compression
    if name is None and not args.out.is_dir():
        name, by_name = format_of(args.out)
        compression = compression or by_name
    return DataExporter(name or "csv", compression, force=args.force)


def _data(args: argparse.Namespace) -> tuple[BarColumns | TradeColumns, str]:
    """What is to be written, and the timeframe of the bars that it was made of, if it is not there."""
    if args.source:
        return source_bars(args), ""
    place, series = (of := the_one(args, chosen(args, or_shorter=True))).place, of.series
    start_ns, end_ns = range_of(args)
    if series.kind == TRADES:
        return place.data.trades(series.symbol, start_ns, end_ns), ""
    bars = place.data.bars(series.symbol, series.timeframe, start_ns, end_ns)
    if args.timeframe in (None, series.timeframe):
        return bars, ""
    return resample(bars, args.timeframe), series.timeframe


def _text(done: Exported, data: BarColumns | TradeColumns) -> str:
    times = data.ts_open if isinstance(data, BarColumns) else data.ts
    span = f"{iso(int(times[0]))} to {iso(int(times[-1]))}"
    return f"{done.path}: {done.rows:,} rows, {span}, {size_text(done.size)}\n"


def _json(done: Exported, data: BarColumns | TradeColumns) -> str:
    what = {"path": str(done.path), "rows": done.rows, "size": done.size, "symbol": data.symbol}
    return codec.encode_pretty(what).decode()
