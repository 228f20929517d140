"""Invent bars: a seeded market with clusters of volatility, trends and rough volume, for tests and demonstrations.

The same options give the same bars on every machine. No result over them says anything about a market, so no warm-up,
replay or backtest takes them for one: they are used where their dataset is named (--source synthetic).

    python -m backtest.data generate --symbol ATOM/USDT --start 2025-01-01 --end 2025-09-30 --seed 7
    python -m backtest.data generate --symbol X/USDT --timeframe 1h --start 2024-01-01 --end 2024-12-31 --model ou \\
        --tick 0.01 --lot 0.001
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from decimal import Decimal, InvalidOperation

from backtest.data.columns import BarColumns
from backtest.data.generate import MODELS, Market, generate
from backtest.data.merging import CONFLICTS, Added
from backtest.data.store import Dataset, History, Origin
from core import cli, codec
from core.config import Config
from core.contracts import iso, period
from core.data_source_files import MADE_UP
from core.errors import ConfigError, ContractError, DataError

NAME = "generate"


def add_options(to: argparse.ArgumentParser) -> None:
    """What to invent, and where to put it."""
    to.add_argument("--symbol", required=True, help="ccxt unified symbol, such as ATOM/USDT")
    to.add_argument("--timeframe", default="1m", help="of the bars (default: %(default)s)")
    to.add_argument("--start", required=True, metavar="TIME", help="a date or an ISO time, UTC")
    to.add_argument("--end", required=True, metavar="TIME", help="the same; a date belongs to it, as a whole day")
    to.add_argument("--seed", type=int, default=1, help="another one gives another market (default: %(default)s)")
    to.add_argument("--model", choices=MODELS, default="gbm", help="gbm wanders off, ou comes back (default: gbm)")
    numbers = (
        ("volatility", "of returns, per square root of a year: 0.8 is 80 %%"),
        ("drift", "mean return per year"),
        ("trend", "drift of a trend, as a share of a bar's deviation; 0 for none"),
        ("half-life-days", "of ou: half of the way back"),
        ("price", "the first one"),
        ("volume", "mean per bar, base units"),
    )
    for name, about in numbers:
        default = getattr(Market, name.replace("-", "_"))
        to.add_argument(f"--{name}", type=float, default=default, metavar="N", help=f"{about} (default: {default})")
    for name, about in (("tick", "smallest step of a price"), ("lot", "smallest step of a volume")):
        to.add_argument(f"--{name}", metavar="N", help=f"{about} (default: that of `instruments` in the configuration)")
    to.add_argument("--dataset", default="synthetic", metavar="NAME", help="gets the bars (default: %(default)s)")
    to.add_argument("--on-conflict", choices=CONFLICTS, default="refuse", help="where the dataset has other bars")
    to.add_argument("--dry-run", action="store_true", help="only say what would happen")
    to.add_argument("--json", action="store_true", help="the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Invent the bars and put them into the dataset."""
    config = cli.config_of(args)
    market = _market(args, config)
    try:
        columns = generate(market, *period(args.start, args.end))
    except ContractError as error:
        raise ConfigError(str(error)) from None
    if not len(columns):
        raise DataError(f"no bar of {args.timeframe} opens between {args.start} and {args.end}")
    dataset = History(config.paths.history_dir).dataset(args.dataset)
    dataset.manifest.require(MADE_UP)
    added = dataset.add(columns, conflict=args.on_conflict, dry_run=args.dry_run)
    first_ns, last_ns = int(columns.ts_open[0]), int(columns.ts_open[-1])
    if not args.dry_run:
        dataset.note_origin(
            Origin(
                source=f"invented: {market}",
                symbol=market.symbol,
                timeframe=market.timeframe,
                rows=len(columns),
                first_ns=first_ns,
                last_ns=last_ns,
                imported_ns=time.time_ns(),
                format="generate",
            ),
            venue=MADE_UP,
        )
    sys.stdout.write(_json(dataset, columns, added) if args.json else _text(dataset, columns, added, args.dry_run))
    return 0


def _text(dataset: Dataset, columns: BarColumns, added: Added, dry_run: bool) -> str:
    counts = f"{added.new} new, {added.same} there already, {added.replaced} replaced, {added.kept} kept as they were"
    span = f"{iso(int(columns.ts_open[0]))} to {iso(int(columns.ts_open[-1]))}"
    what = f"{len(columns)} bars of {columns.symbol} {columns.timeframe}, {span}"
    return f"{'would be: ' if dry_run else ''}{what}, dataset {dataset.name}: {counts}\n"


def _json(dataset: Dataset, columns: BarColumns, added: Added) -> str:
    known = {
        "dataset": dataset.name,
        "symbol": columns.symbol,
        "timeframe": columns.timeframe,
        "rows": len(columns),
        "first_ns": int(columns.ts_open[0]),
        "last_ns": int(columns.ts_open[-1]),
    }
    return codec.encode_pretty(known | asdict(added)).decode()


def _market(args: argparse.Namespace, config: Config) -> Market:
    """The market that the options ask for; its grid is the instrument's where none is given."""
    known = next((each for each in config.instruments if each.symbol == args.symbol), None)
    tick = _step(args.tick, "tick", known.tick_size if known else None)
    lot = _step(args.lot, "lot", known.lot_size if known else None)
    if tick is None or lot is None:
        raise ConfigError(f"{args.symbol} is not among `instruments`; give --tick and --lot")
    names = (
        "symbol",
        "timeframe",
        "seed",
        "model",
        "volatility",
        "drift",
        "trend",
        "half_life_days",
        "price",
        "volume",
    )
    try:
        return Market(**{name: getattr(args, name) for name in names}, tick=tick, lot=lot)
    except ContractError as error:
        raise ConfigError(str(error)) from None


def _step(text: str | None, name: str, default: Decimal | None) -> Decimal | None:
    try:
        return Decimal(text) if text is not None else default
    except InvalidOperation:
        raise ConfigError(f"--{name} is {text!r}; allowed: a number") from None
