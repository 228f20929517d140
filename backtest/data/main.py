"""Market history: import and download it, look at it, check it, export it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from core import cli

COMMANDS: tuple[str, ...] = (
    "importing", "listing", "info", "raw", "export", "check", "cache_info", "download", "update", "book", "generate",
    "actions",
)  # fmt: skip
"""Modules of `backtest.data.commands`, one per sub-command, in the order of the help."""


class Command(Protocol):
    """What such a module has besides its docstring, which is the sub-command's help.

    Attributes:
        NAME: the sub-command.
    """

    NAME: str

    def add_options(self, to: argparse.ArgumentParser) -> None:
        """Declare the sub-command's options; those for the configuration are there already."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; the exit code. Errors of the project's kind become one line and an exit code."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m backtest.data",
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cli.add_places(parser)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = import_module(f"backtest.data.commands.{name}")
        command = cast("Command", module)
        about = module.__doc__ or ""
        added = commands.add_parser(
            command.NAME,
            help=about.split(":", 1)[0].split("\n", 1)[0].rstrip("."),
            description=about,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        cli.add_places(added, argparse.SUPPRESS)
        command.add_options(added)
        added.set_defaults(run=command.run, name=command.NAME)
    args = parser.parse_args(argv)
    return cli.guarded(f"backtest.data {args.name}", lambda: args.run(args))
