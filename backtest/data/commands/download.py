"""Download history from a venue: only what is not there yet, and it goes on where it was stopped.

Without --end it fetches up to now, whole closed bars only. Holes that the venue itself has are named and not asked for
again; --force-reprime asks for everything. With --trades it fetches single trades, and bars only if --timeframe is
given too. Nothing is filled in. Where a venue wants a key for old trades, it is read from the environment, such as
BINANCEUS_API_KEY.

    python -m backtest.data download --symbol BTC/USDT --timeframe 1m --start 2024-01-01 --venue binanceus
    python -m backtest.data download --symbol BTC/USDT --start 2024-01-01 --endpoint http://127.0.0.1:8090
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from core import cli, codec
from core.contracts.moments import moment, period
from core.errors import ConfigError, ContractError, DataError, NjordError

if TYPE_CHECKING:
    from backtest.data.download.outcome import Outcome
    from backtest.data.download.progress import Progress
    from backtest.data.download.run import Wish
    from backtest.data.store import History

NAME = "download"
VENUE = "binanceus"
TIMEFRAME = "1m"


def add_options(to: argparse.ArgumentParser) -> None:
    """Declare the options."""
    to.add_argument("--symbol", action="append", required=True, metavar="SYMBOL", help="BTC/USDT; may be repeated")
    to.add_argument("--timeframe", metavar="LENGTH", help=f"of the bars (default: {TIMEFRAME})")
    to.add_argument("--trades", action="store_true", help="single trades")
    to.add_argument("--start", required=True, metavar="TIME", help="2024-01-01, or an ISO time; UTC")
    to.add_argument("--end", metavar="TIME", help="a date belongs to it as a whole (default: now)")
    to.add_argument("--venue", default=VENUE, metavar="NAME", help=f"an id of ccxt's (default: {VENUE})")
    to.add_argument("--dataset", metavar="NAME", help="where to keep it (default: the venue's name)")
    to.add_argument(
        "--endpoint", default="", metavar="URL",
        help="another host that speaks Binance's protocol, such as http://127.0.0.1:8090 of apps.sim_exchange",
    )  # fmt: skip
    add_ways(to)


def add_ways(to: argparse.ArgumentParser) -> None:
    """Declare the options that `update` has too."""
    to.add_argument("--dry-run", action="store_true", help="only say what would be fetched; asks nobody anything")
    to.add_argument("--force-reprime", action="store_true", help="fetch everything again, and replace what differs")
    to.add_argument("--json", action="store_true", help="a list of results for programs, and no progress")


def run(args: argparse.Namespace) -> int:
    """Download."""
    from backtest.data.store import History

    history = History(cli.config_of(args).paths.history_dir)
    return carry_out(args, history, list(_wishes(args)))


def carry_out(args: argparse.Namespace, history: History, wishes: list[Wish]) -> int:
    """Plan or fetch, and say what came of it."""
    from backtest.data.download.progress import progress_for
    from backtest.data.download.run import plan

    if args.dry_run:
        _tell(plan(history, wishes), as_json=args.json)
        return 0
    failed: list[str] = []
    done: list[Outcome] = []
    try:
        with progress_for(quiet=args.json) as progress:
            done.extend(_fetched(history, wishes, progress, failed))
    except KeyboardInterrupt:
        failed.append("stopped; what was fetched is kept, and the same command goes on there")
    finally:
        _tell(done, as_json=args.json)
    sys.stderr.writelines(f"backtest.data {args.name}: {line}\n" for line in failed)
    return cli.EXIT_FAILED if failed else 0


def _fetched(history: History, wishes: list[Wish], progress: Progress, failed: list[str]) -> Iterator[Outcome]:
    """What comes of each wish; a venue that fails is asked no more, others are."""
    from backtest.data.download.run import Downloads

    downloads, given_up = Downloads(history, progress), set[tuple[str, str]]()
    for wish in wishes:
        if wish.place in given_up:
            failed.append(f"{wish.label}: not asked for, {wish.venue} has failed before")
            continue
        try:
            yield downloads.fetch(wish)
        except ConfigError:
            raise
        except NjordError as error:
            failed.append(f"{wish.label}: {type(error).__name__}: {error}")
            if not isinstance(error, DataError):
                given_up.add(wish.place)


def _wishes(args: argparse.Namespace) -> Iterator[Wish]:
    from backtest.data.download.run import NOW, Wish

    try:
        if args.end:
            start_ns, end_ns = period(args.start, args.end)
        else:
            start_ns, end_ns = moment(args.start, "start"), NOW
    except ContractError as error:
        raise ConfigError(f"--{error}") from None
    timeframes = [args.timeframe] if args.timeframe else [] if args.trades else [TIMEFRAME]
    for symbol in dict.fromkeys(args.symbol):
        for timeframe in [*timeframes, *([""] if args.trades else [])]:
            yield Wish(
                args.dataset or args.venue, args.venue, args.endpoint.rstrip("/"), symbol, timeframe, start_ns, end_ns,
                args.force_reprime,
            )  # fmt: skip


def _tell(outcomes: Iterable[Outcome], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(codec.encode_pretty([outcome.values() for outcome in outcomes]).decode())
        return
    for outcome in outcomes:
        sys.stdout.write(outcome.text() + "\n")
