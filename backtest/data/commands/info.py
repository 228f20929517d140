"""Show all about one series: span, gaps, files, where it came from, cache, ranges of prices and volumes.

Without --timeframe or --dataset the series that fits, if there is only one.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from backtest.data.overview import details
from backtest.data.selection import add_series, chosen, the_one
from backtest.data.series import BARS, KINDS
from backtest.data.table import counted, size_text
from core import codec
from core.contracts.moments import iso

NAME = "info"


def add_options(to: argparse.ArgumentParser) -> None:
    """Which one."""
    add_series(to, KINDS)
    to.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """Show it."""
    known = details(the_one(args, chosen(args)))
    sys.stdout.write(codec.encode_pretty(known).decode() if args.json else _text(known) + "\n")
    return 0


def _text(known: dict[str, Any]) -> str:
    gaps = f"{counted(known['gaps'], 'gap')}, {counted(known['missing'], 'bar')} missing in them"
    lines = [
        ("series", f"{known['timeframe'] or known['kind']} of {known['symbol']} in {known['dataset']!r}"),
        ("folder", known["folder"]),
        ("venue", known["venue"] or "not said"),
        ("span", f"{iso(known['first_ns'])} to {iso(known['last_ns'])}" if known["rows"] else "nothing there"),
        ("rows", f"{known['rows']:,}" + (f", {gaps}" if known["kind"] == BARS else "")),
        ("files", f"{known['files']:,}, {known['compressed']:,} of them gzip, {size_text(known['size'])}"),
        *((f"{name}s", f"{low:g} to {high:g}") for name, (low, high) in known.get("ranges", {}).items()),
    ]
    if known["kind"] == BARS:
        lines += [
            ("asset", f"{known['asset_class']}, prices in {known['currency'] or 'an asset that is not said'}"),
            ("bars", f"{known['without_volume']:,} without volume, {known['incomplete']:,} not complete"),
            ("cache", "; ".join(f"{each['state']}, {size_text(each['size'])}" for each in known["cache"]) or "none"),
        ]
    lines += [("origin", _origin(each)) for each in known["origins"]]
    return "\n".join(f"{name:<8} {text}" for name, text in lines)


def _origin(origin: dict[str, Any]) -> str:
    when = iso(origin["imported_ns"])[:10]
    return f"{origin['source']} ({origin['format']}), {origin['rows']:,} rows, taken in on {when}"
