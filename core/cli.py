"""What all command lines share: where the configuration is, no abbreviations, and what the exit codes mean."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from core.config import Config, load_config
from core.errors import ConfigError, NjordError

EXIT_FAILED = 1
EXIT_USAGE = 2

BASE = Path("config/base.yaml")


def parser(prog: str, about: str | None) -> argparse.ArgumentParser:
    """A parser with the options that name the configuration.

    Args:
        prog: how the command is called.
        about: the module's docstring, shown as it is written.
    """
    made = argparse.ArgumentParser(
        prog=prog, description=about, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_places(made)
    return made


def add_places(to: argparse.ArgumentParser, default: str | None = None) -> None:
    """Where the configuration is.

    Args:
        to: gets the options.
        default: of each; argparse.SUPPRESS for a sub-command whose parent has them too.
    """
    place = to.add_mutually_exclusive_group()
    place.add_argument("--config", metavar="FILE", default=default, help="the base file (default: ./config/base.yaml)")
    place.add_argument("--config-root", metavar="DIR", default=default, help="the folder that holds config/base.yaml")
    to.add_argument("--profile", metavar="NAME", default=default, help="config/NAME.yaml is laid over the base file")


def config_of(args: argparse.Namespace) -> Config:
    """The configuration that the options name.

    Raises:
        ConfigError: it is wrong; every mistake is named.
    """
    return load_config(place_of(args), args.profile)


def place_of(args: argparse.Namespace) -> str | Path:
    """The base file or root folder that the options name."""
    place: str | Path = args.config or args.config_root or BASE
    return place


def guarded(name: str, work: Callable[[], int]) -> int:
    """Do a command's work; an error of ours is one line on standard error, and its exit code."""
    try:
        code = work()
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever reads has seen enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except ConfigError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return EXIT_USAGE
    except NjordError as error:
        sys.stderr.write(f"{name}: {type(error).__name__}: {error}\n")
        return EXIT_FAILED
    except OSError as error:  # a folder that may not be read, a full disk
        sys.stderr.write(f"{name}: {error}\n")
        return EXIT_FAILED
