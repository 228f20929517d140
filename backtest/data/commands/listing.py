"""Show which market data there are: all series of all datasets, and of what this system has recorded.

Per series: first and last, rows, gaps between bars with the bars missing in them, bytes on the disk. A dataset that
cannot be read is named on standard error, the rest is shown, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from backtest.data.overview import Overview, overview
from backtest.data.selection import add_series, all_of, places_of
from backtest.data.table import size_text, table
from core import cli, codec
from core.contracts.moments import iso
from core.errors import JournalError

NAME = "list"

_NOTHING_YET = "no market data are here yet; `generate` makes some up, `download` and `import` bring real ones"


def add_options(to: argparse.ArgumentParser) -> None:
    """Which of them."""
    add_series(to)
    to.add_argument("--json", action="store_true", help="one JSON array")


def run(args: argparse.Namespace) -> int:
    """Show them."""
    places = places_of(args)
    found: list[Overview] = []
    broken = False
    for place in places:
        try:
            for each in all_of([place]):
                if args.symbol in (None, each.series.symbol) and args.timeframe in (None, each.series.timeframe):
                    found.append(overview(each))
        except JournalError as error:
            sys.stderr.write(f"{place.name}: {error}\n")
            broken = True
    if args.json:
        sys.stdout.write(codec.encode_pretty([asdict(each) for each in found]).decode())
    elif found:
        sys.stdout.write(_text(found) + "\n")
    else:
        where = ", ".join(str(place.folder) for place in places)
        sys.stdout.write(f"nothing found; searched: {where}\n" if where else f"{_NOTHING_YET}\n")
    return cli.EXIT_FAILED if broken else 0


def _text(found: list[Overview]) -> str:
    heads = ["dataset", "symbol", "data", "first", "last", "rows", "gaps", "missing", "size"]
    rows = [
        [
            each.dataset,
            each.symbol,
            each.timeframe or each.kind,
            _minute(each.first_ns),
            _minute(each.last_ns),
            each.rows,
            each.gaps,
            each.missing,
            size_text(each.size),
        ]
        for each in found
    ]
    return table(heads, rows)


def _minute(ns: int) -> str:
    return iso(ns)[:16].replace("T", " ")
