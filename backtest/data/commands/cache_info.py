"""Show what is cached of the bars, and whether it is what the journals say.

The cache beside the journals of a dataset makes and repairs itself when bars are read; nothing is lost with it.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from backtest.data.cache import CacheInfo, cache_info, drop_cache
from backtest.data.overview import state_of
from backtest.data.selection import Place, add_places, all_of, places_of
from backtest.data.series import BARS
from backtest.data.table import counted, size_text, table
from core import codec

NAME = "cache-info"


def add_options(to: argparse.ArgumentParser) -> None:
    """Of what, and what to do with it."""
    add_places(to)
    what = to.add_mutually_exclusive_group()
    what.add_argument("--rebuild", action="store_true", help="delete it and read all journals again")
    what.add_argument("--drop", action="store_true", help="delete it")
    to.add_argument("--json", action="store_true", help="one JSON array")


def run(args: argparse.Namespace) -> int:
    """Show it, when it is as it was asked for."""
    places = places_of(args)
    if args.drop or args.rebuild:
        dropped = sum(drop_cache(place.folder) for place in places)
        sys.stderr.write(f"{counted(dropped, 'file')} deleted\n")
    if args.rebuild:
        for each in all_of(places):
            if each.series.kind == BARS:
                each.place.data.bars(each.series.symbol, each.series.timeframe)
    cached = [_Cache(place, info) for place in places for info in cache_info(place.folder)]
    if args.json:
        sys.stdout.write(codec.encode_pretty([each.as_json() for each in cached]).decode())
    else:
        sys.stdout.write((_text(cached) if cached else "nothing is cached") + "\n")
    return 0


@dataclass(frozen=True, slots=True)
class _Cache:
    place: Place
    info: CacheInfo

    def as_json(self) -> dict[str, str | int]:
        """For other programs."""
        info = self.info
        return {
            "dataset": self.place.name,
            "symbol": info.symbol,
            "timeframe": info.timeframe,
            "state": state_of(info),
            "rows": info.rows,
            "files": info.sources,
            "size": info.size,
            "path": str(info.path),
        }


def _text(cached: list[_Cache]) -> str:
    rows = [
        [
            each.place.name,
            each.info.symbol,
            each.info.timeframe,
            state_of(each.info),
            each.info.rows,
            each.info.sources,
            size_text(each.info.size),
        ]
        for each in cached
    ]
    return table(["dataset", "symbol", "timeframe", "state", "rows", "files", "size"], rows)
