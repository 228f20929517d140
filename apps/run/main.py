"""Run the whole system on paper: a Redis, every daemon as its own process, and a view of what they do.

The market is a simulated exchange, reached through the same client as a real one; with --venue the public data of a
real one; with --capture a recorded Binance stream. Ctrl-C, the end of the capture or --for ends everything in order,
with a summary. A run that was interrupted goes on when it is started again with the same
market; otherwise the data of the run before are put aside. Exit code 0; 1 if a process failed; 2 for wrong usage or
configuration.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from apps.run.leftovers import OWN_LOCK
from apps.run.market import market_of
from apps.run.picture import Picture
from apps.run.session import Outcome, Plan, Session
from apps.run.summary import describe, shown
from apps.run.view import open_view
from core.cli import EXIT_FAILED, EXIT_USAGE, config_of
from core.config import Config
from core.errors import ConfigError, NjordError
from core.runtime.locks import InstanceLock
from core.runtime.process import parser, speed


def main(argv: Sequence[str] | None = None) -> int:
    """Run until it ends or is told to stop; the exit code."""
    args = _parser().parse_args(argv)
    try:
        plan = plan_of(args, config_of(args))
        lock = InstanceLock(plan.config.paths.run_dir / "locks", OWN_LOCK)
    except NjordError as error:
        _complain(str(error))
        return EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED
    try:
        return _run(plan, args)
    finally:
        lock.release()


def _parser() -> argparse.ArgumentParser:
    made = parser("apps.run", __doc__)
    made.set_defaults(profile="demo")
    made.add_argument("--symbol", default="BTC/USDT", help="what to trade (default: BTC/USDT)")
    market = made.add_mutually_exclusive_group()
    market.add_argument("--capture", type=Path, metavar="FILE", help="a recorded Binance stream")
    market.add_argument("--venue", metavar="NAME", help="a real exchange's public data, such as binanceus; on paper")
    made.add_argument("--feed", choices=("auto", "ccxt", "lean"), help="client for a venue or the simulated exchange")
    made.add_argument("--speed", type=_speed_text, metavar="N", help="market seconds per second, or max (default: 10)")
    made.add_argument("--seed", type=int, default=7, help="of the simulated market (default: 7)")
    made.add_argument("--fresh", action="store_true", help="start over, even if the last run could go on")
    made.add_argument("--plain", action="store_true", help="plain lines, also on a terminal")
    made.add_argument("--for", type=_seconds, dest="seconds", metavar="SECONDS", help="stop after so long")
    return made


def _speed_text(text: str) -> str:
    speed(text)  # md_ingest reads it again; a mistake should be found before anything has started
    return text


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: a number of seconds above 0")
    return value


def plan_of(args: argparse.Namespace, config: Config) -> Plan:
    """What the options ask for.

    Raises:
        ConfigError: the symbol is not configured, or the market cannot be had.
    """
    instrument = next((each for each in config.instruments if each.symbol == args.symbol), None)
    if instrument is None:
        known = ", ".join(each.symbol for each in config.instruments)
        raise ConfigError(f"--symbol is {args.symbol!r}; allowed (config: instruments): {known}")
    market = market_of(args)
    place = ("--config", args.config) if args.config else ("--config-root", args.config_root or ".")
    profile = ("--profile", args.profile) if args.profile else ()
    host = ("--host", args.host) if args.host else ()
    return Plan(
        config=config,
        place=(*place, *profile),
        host=host,
        instrument=instrument,
        market=market,
        identity={"symbol": args.symbol, **market.identity, "profile": args.profile or "", "cell": config.redis.cell},
        fresh=args.fresh,
        seconds=args.seconds,
    )


def _run(plan: Plan, args: argparse.Namespace) -> int:
    picture = Picture(plan.instrument, plan.market.source)
    picture.tell("note", f"{plan.instrument.symbol}, {plan.market.source}, on paper")
    if not any(plan.instrument.symbol in each["symbols"] for each in plan.config.strategy_entries if each["enabled"]):
        picture.tell(
            "note", f"no enabled strategy trades {plan.instrument.symbol}; see config/strategies.yaml", good=False
        )
    try:
        with closing(open_view(plain=args.plain)) as view:
            outcome = asyncio.run(Session(plan, view, picture).run())
    except NjordError as error:
        _complain(str(error))
        return EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED
    if view.keeps_lines:
        outcome.remarks.clear()  # they are there to read
    sys.stdout.write("\n".join(_report(outcome, plan, picture)) + "\n")
    sys.stdout.flush()
    if outcome.failure:
        _complain(outcome.failure)
        return EXIT_USAGE if outcome.refused else EXIT_FAILED
    return 0


def _report(outcome: Outcome, plan: Plan, picture: Picture) -> list[str]:
    """The summary."""
    said = [f"run: {remark}" for remark in outcome.remarks]
    summary = outcome.summary
    if summary is None or (outcome.failure and not summary.published):
        return said  # the failure says it all
    said.append(f"run: {outcome.why or 'failed'}")
    if outcome.ended and not summary.trades:
        said.append(f"  no trade of {plan.instrument.symbol} came: the capture has none, or the cell has them already")
    said += [f"  {alert}" for alert in picture.alerts]
    said += [f"  {line}" for line in describe(summary, picture)]
    hung = f"; had to be killed: {', '.join(outcome.hung)}" if outcome.hung else ""
    said.append(f"  trouble    {summary.dead_letters:,} dead letters, {outcome.restarts:,} restarts{hung}")
    journals = shown(plan.config.paths.journal_dir)
    said.append(f"  journals   {journals}")
    place = " ".join(plan.place).removeprefix("--config-root . ")  # where it looks anyway
    said += ["  prove it with", f"  {shown(sys.executable)} -m backtest.parity --journal-dir {journals} {place}"]
    return said


def _complain(text: str) -> None:
    sys.stderr.write(f"run: {text}\n")
    sys.stderr.flush()
