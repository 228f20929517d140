"""Splits, dividends and new names of what a dataset holds: add them, import them, look at them.

A price in history is the one that was paid. What is written down here makes the factors that take splits and dividends
out of it. A time is a date or an ISO time, UTC: the first moment from which prices are without the action.

    python -m backtest.data actions add --dataset us --symbol AAPL/USD --kind split --effective 2020-08-31 --ratio 4
    python -m backtest.data actions add --dataset us --symbol AAPL/USD --kind dividend \\
        --effective 2020-11-06 --amount 0.205
    python -m backtest.data actions add --dataset us --symbol FB/USD --kind symbol_change \\
        --effective 2022-06-09 --new-symbol META/USD
    python -m backtest.data actions import aapl.csv --format lean --dataset us --symbol AAPL/USD
    python -m backtest.data actions list --dataset us

A LEAN factor file is date, price factor, split factor, reference price. A CSV file names its columns: kind,
ts_effective, and what its kinds need: ratio, amount, currency, new_symbol; and symbol, unless --symbol says whose.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from backtest.data.action_imports import FORMATS, action_of, read_lean, read_table
from backtest.data.merging import CONFLICTS, Added
from backtest.data.series import ACTIONS
from backtest.data.store import Dataset, History, Origin
from backtest.data.table import table
from core import cli, codec
from core.contracts import CorporateAction, iso
from core.contracts.enums import ActionKind
from core.errors import ConfigError, ContractError, DataError

NAME = "actions"


def add_options(to: argparse.ArgumentParser) -> None:
    """`add`, `import` and `list`."""
    works = to.add_subparsers(required=True, metavar="add|import|list")
    add = _work(works, "add", "write one action down")
    add.add_argument("--kind", required=True, choices=get_args(ActionKind))
    add.add_argument("--effective", required=True, metavar="TIME", help="from when on prices are without it")
    add.add_argument("--ratio", metavar="N", help="of a split: new units per old unit, 4 for 4:1, 0.1 for 1:10")
    add.add_argument("--amount", metavar="N", help="of a dividend: quote units per unit held at that time")
    add.add_argument("--currency", metavar="ASSET", help="that a dividend is paid in (default: that of the prices)")
    add.add_argument("--new-symbol", metavar="SYMBOL", help="of a symbol_change")
    add.set_defaults(work=_add)
    taken = _work(works, "import", "read the actions of a file")
    taken.add_argument("file", metavar="FILE", type=Path)
    taken.add_argument("--format", required=True, choices=FORMATS)
    taken.set_defaults(work=_import)
    for each in (add, taken):
        each.add_argument(
            "--on-conflict", choices=CONFLICTS, default="refuse", help="where others are written down already"
        )
        each.add_argument("--dry-run", action="store_true", help="only say what would happen")
    shown = _work(works, "list", "show what is written down")
    shown.add_argument("--json", action="store_true", help="as JSON")
    shown.set_defaults(work=_list)


def run(args: argparse.Namespace) -> int:
    """Do the work that was named."""
    dataset = History(cli.config_of(args).paths.history_dir).dataset(args.dataset)
    code: int = args.work(dataset, args)
    return code


def _work(works: argparse._SubParsersAction[argparse.ArgumentParser], name: str, about: str) -> argparse.ArgumentParser:
    made = works.add_parser(name, help=about, description=about, allow_abbrev=False)
    cli.add_places(made, argparse.SUPPRESS)
    made.add_argument("--dataset", required=True, metavar="NAME", help="of market history")
    made.add_argument("--symbol", required=name == "add", default="", help="ccxt unified symbol, such as AAPL/USD")
    return made


def _add(dataset: Dataset, args: argparse.Namespace) -> int:
    """One action out of options."""
    names = ("symbol", "kind", "ratio", "amount", "currency", "new_symbol")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    try:
        action = action_of({**given, "ts_effective": args.effective})
    except ContractError as error:
        raise ConfigError(str(error)) from None
    _say(dataset.add_actions([action], conflict=args.on_conflict, dry_run=args.dry_run), args.dry_run)
    return 0


def _import(dataset: Dataset, args: argparse.Namespace) -> int:
    """Those of a file."""
    if args.format == "lean" and not args.symbol:
        raise ConfigError("--symbol is missing; a LEAN factor file does not say whose it is")
    path: Path = args.file
    found = (read_lean if args.format == "lean" else read_table)(path, args.symbol)
    if not found:
        raise DataError(f"{path}: it holds no action")
    added = dataset.add_actions(found, conflict=args.on_conflict, dry_run=args.dry_run)
    if not args.dry_run:
        for symbol in sorted({action.symbol for action in found}):
            own = [action for action in found if action.symbol == symbol]
            dataset.note_origin(_origin(path, args.format, own))
    _say(added, args.dry_run)
    return 0


def _origin(path: Path, kind: str, actions: Sequence[CorporateAction]) -> Origin:
    times = [action.ts_effective_ns for action in actions]
    return Origin(
        source=str(path),
        symbol=actions[0].symbol,
        timeframe="",
        rows=len(actions),
        first_ns=min(times),
        last_ns=max(times),
        imported_ns=time.time_ns(),
        format=f"actions {kind}",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _say(added: Added, dry_run: bool) -> None:
    counts = f"{added.new} new, {added.same} there already, {added.replaced} replaced, {added.kept} kept as they were"
    sys.stdout.write(f"{'would be: ' if dry_run else ''}{counts}\n")


def _list(dataset: Dataset, args: argparse.Namespace) -> int:
    """All of them by symbol and time."""
    held = sorted({series.symbol for series in dataset.series() if series.kind == ACTIONS})
    symbols = [args.symbol] if args.symbol else held
    actions = [action for symbol in symbols for action in dataset.actions(symbol)]
    if args.json:
        sys.stdout.write(codec.encode_pretty([codec.to_dict(action) for action in actions]).decode())
        return 0
    if not actions:
        sys.stdout.write(
            f"dataset {dataset.name} holds no corporate actions{f' of {args.symbol}' * bool(args.symbol)}\n"
        )
        return 0
    rows = [(action.symbol, iso(action.ts_effective_ns), action.kind, _what(action)) for action in actions]
    sys.stdout.write(table(("symbol", "effective", "kind", "what"), rows) + "\n")
    return 0


def _what(action: CorporateAction) -> str:
    if action.kind == "split":
        return f"{action.ratio} for 1"
    return f"{action.amount} {action.currency}".strip() if action.kind == "dividend" else f"now {action.new_symbol}"
