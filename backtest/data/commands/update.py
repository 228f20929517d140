"""Fetch what is new of everything that was downloaded before: each series from its start up to now.

Only what is missing is asked for, holes in the middle too, but for those that the venue itself has. What was downloaded
through --endpoint is asked for there.

    python -m backtest.data update --dry-run
    python -m backtest.data update --dataset binanceus
"""

from __future__ import annotations

import argparse

from backtest.data.commands.download import add_ways, carry_out
from core import cli

NAME = "update"


def add_options(to: argparse.ArgumentParser) -> None:
    """Declare the options."""
    to.add_argument("--dataset", default="", metavar="NAME", help="only this one (default: all)")
    add_ways(to)


def run(args: argparse.Namespace) -> int:
    """Bring up to date."""
    from backtest.data.download.run import wishes_again
    from backtest.data.store import History

    history = History(cli.config_of(args).paths.history_dir)
    return carry_out(args, history, wishes_again(history, dataset=args.dataset, again=args.force_reprime))
