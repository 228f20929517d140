"""Publish recorded market data again: bars, trades, book and best prices, on the topics and in the order of a market.

Daemons hear what they would hear live, with the market's clock between: the same bytes behind the header, and the same
sequence in every run and at every speed. It never publishes among live data: where a live session has published, or
somebody else makes the same data, it refuses and says where else to go.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from apps.replay_engine.options import command_line, wanted_by
from apps.replay_engine.summary import described, progress
from core import topics
from core.cli import config_of
from core.config import Config
from core.config_places import elsewhere
from core.data_source import DataSource
from core.data_source_files import JournalSource
from core.data_source_loading import load_sources
from core.errors import ConfigError, InstanceBusy
from core.market.replay import lines
from core.replay_data import Wanted, torn, tracks
from core.runtime.admission import HINT, admit_replay, places_taken
from core.runtime.committer import Committer
from core.runtime.process import Parts, assemble, guarded
from core.runtime.replayer import Program, Replayer, Tally
from core.runtime.status import Status
from core.sequencer.redis import RedisCell


def main(argv: Sequence[str] | None = None) -> int:
    """Run until everything is published or it is told to stop; the exit code."""
    args = command_line(__doc__).parse_args(argv)
    instance = topics.REPLAY_BARS if "bars" in args.topics else topics.REPLAY_TICKS
    played: list[tuple[Replayer, Mapping[str, DataSource]]] = []

    def made(config: Config) -> list[Parts]:
        sources = _sources(config_of(args), config, args)
        parts, replayer = _shell(config, args, instance, _program(sources, config, args))
        played.append((replayer, sources))
        return [parts]

    code = guarded(instance, args, made, lambda args: placed(config_of(args), args))
    if code == 0:
        replayer, sources = played[0]
        sys.stdout.write("\n".join(described(replayer.tally, wanted_by(args), torn(sources))) + "\n")
        sys.stdout.flush()
    return code


def placed(config: Config, args: argparse.Namespace) -> Config:
    """The configuration of where it publishes.

    Raises:
        ConfigError: that is no place, or one where orders are for real.
    """
    if config.app.env == "live" and args.cell is None and args.redis_url is None:
        raise ConfigError(f"app.env is 'live', where a replay would be traded with real money; {HINT}")
    return elsewhere(config, cell=args.cell, url=args.redis_url)


def _program(sources: Mapping[str, DataSource], config: Config, args: argparse.Namespace) -> Program:
    """What is to be replayed.

    Raises:
        ConfigError: a symbol is none, or options do not fit together.
        DataError: of something there is nothing.
    """
    wanted = wanted_by(args)
    _require_instruments(config, wanted)
    found = tracks(sources, wanted)
    content = {
        "topics": list(wanted.kinds),
        "symbols": list(wanted.symbols),
        "timeframes": list(wanted.timeframes),
        "start_ns": wanted.start_ns,
        "end_ns": wanted.end_ns,
        "sources": list(sources),
    }
    return Program(
        content=content,
        lines=lambda: lines(found, wanted.start_ns, wanted.end_ns),
        channels=[track.channel for track in found],
        symbols=wanted.symbols,
        start_ns=wanted.start_ns,
    )


def _require_instruments(config: Config, wanted: Wanted) -> None:
    known = [instrument.symbol for instrument in config.instruments]
    for symbol in wanted.symbols:
        if symbol not in known:
            raise ConfigError(f"--symbol is {symbol!r}; allowed (config: instruments): {', '.join(known)}")


def _sources(home: Config, config: Config, args: argparse.Namespace) -> Mapping[str, DataSource]:
    """Where the data come from: never the journals that this replay writes itself.

    Args:
        home: of the system whose data they are.
        config: of the place where it publishes.
        args: the command line.

    Raises:
        ConfigError: there is no such source, or it is those journals.
    """
    own = config.paths.journal_dir.resolve()
    if args.folder is not None:
        if not args.folder.is_dir():
            raise ConfigError(f"--from is {str(args.folder)!r}; allowed: a folder of journals")
        if args.folder.resolve() == own:
            raise ConfigError(f"--from is {str(args.folder)!r}, where this replay keeps its own journals; {HINT}")
        return {str(args.folder.resolve()): JournalSource(args.folder)}
    configured = load_sources(home)
    found = {name: configured.source(name) for name in ([args.source] if args.source else configured.names)}
    others = {name: source for name, source in found.items() if not _lies_in(source, own)}
    if not others:
        raise ConfigError(f"{', '.join(found)}: that is where this replay keeps its own journals; {HINT}")
    return others


def _lies_in(source: DataSource, folder: Path) -> bool:
    return isinstance(source, JournalSource) and source.folder.resolve() == folder


def _shell(config: Config, args: argparse.Namespace, instance: str, program: Program) -> tuple[Parts, Replayer]:
    cell = RedisCell(config.redis.url, config.redis.cell)
    status = Status(instance)
    committer = Committer(cell, instance, config.runtime.lease_ttl_ms, host=args.host)

    def tell(tally: Tally) -> None:
        sys.stderr.write(progress(tally, wanted_by(args)) + "\n")

    replayer = Replayer(
        cell,
        program,
        committer,
        speed=args.speed,
        status=status,
        lag_max=config.runtime.catch_up_max_lag,
        progress=tell,
    )
    place = f"cell {config.redis.cell!r}" if config.redis.cell else "the cell without a name"
    taken = places_taken(instance, tuple(each.symbol for each in config.instruments))
    try:
        parts = assemble(
            config, replayer, committer, status,
            exclusive=taken, admit=lambda: admit_replay(cell, instance, place),
        )  # fmt: skip
    except InstanceBusy as error:
        raise InstanceBusy(f"{error}; {HINT}") from None
    return parts, replayer
