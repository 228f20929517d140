"""Show the order book of a recorded market at a moment: best prices, spread, depth, imbalance, levels.

It is rebuilt out of the journal md.book.<symbol>: the newest snapshot before that moment and every change since. With
--holes it lists where changes are missing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from backtest.order_book import missing_changes, recorded_book
from core import codec
from core.cli import config_of
from core.contracts import BookEvent, iso, moment
from core.contracts.moments import FOREVER
from core.data_source_files import JournalSource
from core.data_source_loading import load_sources
from core.errors import ConfigError, ContractError
from core.market.order_book import BookView

NAME = "book"
PERCENT = 0.001


def add_options(to: argparse.ArgumentParser) -> None:
    """Declare the options."""
    to.add_argument("--symbol", required=True, help="BTC/USDT")
    what = to.add_mutually_exclusive_group(required=True)
    what.add_argument("--at", metavar="TIME", help="venue time, 2024-08-09T00:00:00Z")
    what.add_argument("--holes", action="store_true", help="list where changes are missing")
    to.add_argument("--levels", type=int, default=10, metavar="N", help="levels of each side (default: 10)")
    where = to.add_mutually_exclusive_group()
    where.add_argument("--source", metavar="ID", help="of config/data_sources.yaml (default: the first that has it)")
    where.add_argument("--folder", type=Path, metavar="DIR", help="any folder of journals instead")
    to.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> int:
    """Print what is asked."""
    if args.levels < 1:
        raise ConfigError(f"--levels is {args.levels}; allowed: 1 or more")
    if args.holes:
        return _holes(args)
    try:
        at_ns = moment(args.at, "--at")
    except ContractError as error:
        raise ConfigError(str(error)) from None
    view = recorded_book(_books(args), at_ns)
    if args.json:
        sys.stdout.write(codec.encode_state(_figures(view, args.symbol, at_ns, args.levels)).decode() + "\n")
    else:
        sys.stdout.writelines(line + "\n" for line in _table(view, args.symbol, at_ns, args.levels))
    return 0


def _books(args: argparse.Namespace) -> Callable[[int, int], Iterator[BookEvent]]:
    """Events of the symbol in a range."""
    if args.folder is not None:
        if not args.folder.is_dir():
            raise ConfigError(f"--from is {str(args.folder)!r}; allowed: a folder of journals")
        return partial(JournalSource(args.folder).books, args.symbol)
    return partial(load_sources(config_of(args)).books, args.symbol, source=args.source)


def _holes(args: argparse.Namespace) -> int:
    found = missing_changes(_books(args)(0, FOREVER))
    if args.json:
        rows = [{"ts_ns": ts_ns, "after_id": hole.after_id, "before_id": hole.before_id} for ts_ns, hole in found]
        sys.stdout.write(codec.encode_state(rows).decode() + "\n")
        return 0
    sys.stdout.write(f"{args.symbol}: {len(found)} places where changes of the book are missing\n")
    for ts_ns, hole in found:
        sys.stdout.write(f"  {iso(ts_ns)}  after {hole.after_id}, before {hole.before_id}\n")
    return 0


def _figures(view: BookView, symbol: str, at_ns: int, levels: int) -> dict[str, Any]:
    bid_qty, ask_qty = view.depth(PERCENT)
    return {
        "symbol": symbol,
        "at_ns": at_ns,
        "last_update_id": view.last_update_id,
        "best_bid": view.best_bid,
        "best_ask": view.best_ask,
        "spread": view.spread,
        "mid": view.mid,
        "known": [view.lowest, view.highest],
        "imbalance": view.imbalance(levels),
        "depth_0.1_percent": {"bids": bid_qty, "asks": ask_qty},
        "bids": view.bids[:levels],
        "asks": view.asks[:levels],
    }


def _table(view: BookView, symbol: str, at_ns: int, levels: int) -> Iterator[str]:
    figures = _figures(view, symbol, at_ns, levels)
    depth = figures["depth_0.1_percent"]
    yield f"{symbol} at {iso(at_ns)}, change {view.last_update_id}: {len(view.bids)} bids, {len(view.asks)} asks"
    yield f"levels are known from {_number(view.lowest)} to {_number(view.highest)}; beyond, only what has changed"
    yield f"best {_number(view.best_bid)} / {_number(view.best_ask)}, spread {_number(view.spread)}"
    yield f"within 0.1 % of the mid: {depth['bids']:.8g} bid, {depth['asks']:.8g} asked"
    yield f"imbalance of {levels} levels: {_number(figures['imbalance'])}"
    yield f"{'bid qty':>16} {'bid':>16} | {'ask':<16} {'ask qty':<16}"
    empty = ("", "")
    for index in range(min(levels, max(len(view.bids), len(view.asks)))):
        bid = view.bids[index] if index < len(view.bids) else empty
        ask = view.asks[index] if index < len(view.asks) else empty
        yield f"{bid[1]:>16} {bid[0]:>16} | {ask[0]:<16} {ask[1]:<16}".rstrip()


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.10g}"
