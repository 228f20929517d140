"""Which data a command is about: the options that name a series, and what they mean on this machine."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from backtest.data.columns import BarColumns
from backtest.data.series import BARS, SeriesName
from backtest.data.store import Dataset, History
from core import cli
from core.config_errors import did_you_mean
from core.contracts import timeframe_ns
from core.contracts.instrument import file_symbol
from core.contracts.moments import FOREVER, iso, moment, period
from core.data_source import TOPICS, Kind
from core.data_source_files import MADE_UP
from core.data_source_loading import load_sources
from core.data_source_search import download_command
from core.errors import ConfigError, ContractError, DataError

RECORDED = "recorded"
"""What the journals of this system are called among the datasets."""

_NEAREST = 4


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of market data.

    Attributes:
        name: how people call it.
        data: its contents.
        is_dataset: whether what is downloaded can be put into it.
    """

    name: str
    data: Dataset
    is_dataset: bool = False

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.data.folder

    def download_options(self) -> tuple[str, ...] | None:
        """What tells the download command to put something in here; None where nobody knows whose market this is.

        Raises:
            DataError: the dataset's own file is broken.
        """
        if not self.is_dataset:
            return ()
        venue = self.data.manifest.venue
        if venue in ("", MADE_UP):
            return None
        return (f"--venue {venue}", *(() if self.name == venue else (f"--dataset {self.name}",)))


@dataclass(frozen=True, slots=True)
class Chosen:
    """A series and where it is."""

    place: Place
    series: SeriesName

    def __str__(self) -> str:
        return f"{self.series} in {self.place.name!r}"


def add_places(to: argparse.ArgumentParser) -> None:
    """Options that name folders of market data."""
    where = to.add_mutually_exclusive_group()
    where.add_argument("--dataset", metavar="NAME", help=f"a dataset, or {RECORDED!r} for the journals of this system")
    where.add_argument("--folder", metavar="DIR", type=Path, help="any folder of journals instead of a dataset")


def add_series(to: argparse.ArgumentParser, kinds: Sequence[Kind] = (BARS,), *, sources: bool = False) -> None:
    """Options that name a series, and where it is: with `sources` also one that only the configuration knows."""
    add_places(to)
    if sources:
        to.add_argument("--source", metavar="ID", help="bars of a source of config/data_sources.yaml instead")
    to.add_argument("--symbol", metavar="SYMBOL", help="such as BTC/USDT")
    to.add_argument("--timeframe", metavar="LENGTH", help="of the bars, such as 1m")
    if len(kinds) > 1:
        to.add_argument("--kind", choices=kinds, default=kinds[0], help=f"default: {kinds[0]}")


def add_range(to: argparse.ArgumentParser) -> None:
    """Options that name a range of time."""
    to.add_argument("--start", metavar="TIME", help="first moment, UTC: 2025-01-01 or 2025-01-01T12:00:00Z")
    to.add_argument("--end", metavar="TIME", help="end; a date belongs to the range as a whole day")


def range_of(args: argparse.Namespace) -> tuple[int, int]:
    """The range that the options name, half open, ns UTC; open ends reach as far as time does.

    Raises:
        ConfigError: a time is none, or the end is not behind the start.
    """
    try:
        if args.end is None:
            return (moment(args.start, "start") if args.start else 0), FOREVER
        return period(args.start or "1970-01-01", args.end)
    except ContractError as error:
        raise ConfigError(str(error)) from None


def places_of(args: argparse.Namespace) -> list[Place]:
    """The folders that the options name: one, or all of this machine.

    Raises:
        ConfigError: there is no such dataset or folder.
    """
    if args.folder is not None:
        if not args.folder.is_dir():
            raise ConfigError(f"--folder is {str(args.folder)!r}; allowed: a folder that is there")
        return [Place(str(args.folder), Dataset(args.folder))]
    paths = cli.config_of(args).paths
    history = History(paths.history_dir)
    known = {name: Place(name, history.dataset(name), True) for name in history.names()}
    if paths.journal_dir.is_dir():
        known.setdefault(RECORDED, Place(RECORDED, Dataset(paths.journal_dir)))
    if args.dataset is None:
        return list(known.values())
    if args.dataset not in known:
        raise ConfigError(
            f"--dataset is {args.dataset!r}, which is not in {history.folder}; {did_you_mean(args.dataset, known)}"
        )
    return [known[args.dataset]]


def all_of(places: Iterable[Place]) -> list[Chosen]:
    """Every series of some places.

    Raises:
        JournalError: a file cannot be read.
    """
    return [Chosen(place, SeriesName(*each[:3])) for place in places for each in place.data.series()]


def chosen(args: argparse.Namespace, *, or_shorter: bool = False) -> list[Chosen]:
    """The series that the options name, of the kind that they name.

    Args:
        args: the options.
        or_shorter: where no bars have the timeframe, in each dataset the longest that it can be made of.

    Raises:
        ConfigError: a dataset or timeframe is none.
        DataError: there is no such series; says where was looked, what is nearest, and the command that fetches it.
        JournalError: a file cannot be read.
    """
    kind: Kind = getattr(args, "kind", BARS)
    places = places_of(args)
    there = [each for each in all_of(places) if each.series.kind == kind]
    symbol = _spelled(args.symbol, there) if args.symbol else None
    found = [each for each in there if _fits(each.series, symbol, args.timeframe)]
    if not found and or_shorter and args.timeframe and kind == BARS:
        found = _shorter([each for each in there if _fits(each.series, symbol, None)], _length(args.timeframe))
    if not found:
        raise DataError(_not_there(args, kind, places, there))
    return found


def source_bars(args: argparse.Namespace) -> BarColumns:
    """The bars of a configured source that the options name, made of shorter ones where it has none of the timeframe.

    Raises:
        ConfigError: there is no such source, or the options do not say which bars.
        DataError: it has none in the range, or does not give them as it must.
    """
    if not args.symbol or not args.timeframe or args.dataset or args.folder:
        raise ConfigError("--source needs --symbol and --timeframe, and no --dataset or --folder")
    _length(args.timeframe)
    start_ns, end_ns = range_of(args)
    sources = load_sources(cli.config_of(args))
    bars = sources.bars(args.symbol, args.timeframe, start_ns, end_ns, source=args.source)
    made = BarColumns.from_bars(args.symbol, args.timeframe, bars)
    if not len(made):
        raise DataError(f"source {args.source!r} has no {args.timeframe} bars of {args.symbol} in the range")
    return made


def the_one(args: argparse.Namespace, found: Sequence[Chosen]) -> Chosen:
    """The only one of the series that the options leave.

    Raises:
        ConfigError: they leave several; says what would tell them apart.
    """
    if len(found) > 1:
        options = [
            option
            for option, values in (
                ("--dataset", {each.place.name for each in found}),
                ("--symbol", {each.series.symbol for each in found}),
                ("--timeframe", {each.series.timeframe for each in found}),
            )
            if len(values) > 1
        ]
        listed = "; ".join(str(each) for each in found[:_NEAREST])
        raise ConfigError(f"{len(found)} series fit: {listed}; say {' and '.join(options)}")
    return found[0]


def _fits(series: SeriesName, symbol: str | None, timeframe: str | None) -> bool:
    return symbol in (None, series.symbol) and (timeframe in (None, series.timeframe) or not series.timeframe)


def _shorter(there: Sequence[Chosen], length: int) -> list[Chosen]:
    """By place and symbol, the longest bars that divide a length."""
    found: dict[tuple[str, str], Chosen] = {}
    for each in sorted(there, key=lambda each: timeframe_ns(each.series.timeframe)):
        if length % timeframe_ns(each.series.timeframe) == 0:
            found[each.place.name, each.series.symbol] = each
    return list(found.values())


def _length(timeframe: str) -> int:
    try:
        return timeframe_ns(timeframe)
    except ContractError as error:
        raise ConfigError(str(error)) from None


def _spelled(symbol: str, there: Sequence[Chosen]) -> str:
    """The symbol as it is there, of one that is written without its slash."""
    symbols = {each.series.symbol for each in there}
    if symbol in symbols or "/" in symbol:
        return symbol
    meant = sorted(each for each in symbols if _letters(each) == _letters(symbol))
    if len(meant) != 1:
        return symbol
    sys.stderr.write(f"symbol {symbol!r} is taken for {meant[0]!r}\n")
    return meant[0]


def _letters(symbol: str) -> str:
    return re.sub(r"[^0-9a-z]", "", symbol.lower())


def _not_there(args: argparse.Namespace, kind: Kind, places: Sequence[Place], there: Sequence[Chosen]) -> str:
    """Where was looked, what is nearest, and the command that fetches what is missing."""
    wanted = " ".join(word for word in (args.timeframe, kind) if word)
    lines = [f"no {wanted}{f' of {args.symbol}' * bool(args.symbol)}"]
    pattern = _pattern(kind, args.symbol, args.timeframe)
    lines += [f"  searched {place.name!r}: {place.folder / pattern}" for place in places[:_NEAREST]]
    if not places:
        lines.append("  there is no dataset yet")
    others = [
        f"{each.kind} of {each.symbol} in {place.name!r}"
        for place in places
        for each in place.data.series()
        if each.kind != kind
    ]
    if others:
        lines.append(f"  of other kinds: {'; '.join(others[:_NEAREST])}")
    if near := _near(args.symbol, there):
        lines.append(f"  nearest: {'; '.join(str(each) for each in near)}")
    if args.symbol and kind == BARS:
        lines.append(f"  to fetch it: {_fetch(args)}")
    return "\n".join(lines)


def _pattern(kind: Kind, symbol: str | None, timeframe: str | None) -> str:
    name = file_symbol(symbol) if symbol else "*"
    return TOPICS[kind].journal.format(symbol=name, timeframe=timeframe or "*") + ".*"


def _near(symbol: str | None, there: Sequence[Chosen]) -> list[Chosen]:
    """The same symbol first, then those that are spelled alike."""
    if symbol is None:
        return list(there[:_NEAREST])
    spelled = {_letters(each.series.symbol) for each in there}
    order = get_close_matches(_letters(symbol), spelled, _NEAREST)
    return [each for name in order for each in there if _letters(each.series.symbol) == name][:_NEAREST]


def _fetch(args: argparse.Namespace) -> str:
    """The command that fetches what was asked for; with open ends where it was."""
    timeframe = args.timeframe or "1m"
    _length(timeframe)
    start, end = range_of(args) if "start" in args else (0, FOREVER)
    if start and end < FOREVER:
        return download_command(args.symbol, timeframe, start, end)
    first = iso(start)[:10] if start else "2025-01-01"
    return f"python -m backtest.data download --symbol {args.symbol} --timeframe {timeframe} --start {first}"
