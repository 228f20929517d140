"""The command line of a replay."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.contracts import timeframe_ns
from core.contracts.moments import moment, period
from core.data_source import Kind
from core.errors import ConfigError, ContractError
from core.replay_data import KINDS, Wanted
from core.runtime.process import parser, speed

NAMES: dict[str, Kind] = {"bars": "bars", "trades": "trades", "book": "books", "ticker": "tickers"}
TIMEFRAME = "1m"

EXAMPLES = """\
examples:
  # a month of bars at ten times the market's speed
  python -m apps.replay_engine --symbol ATOM/USDT --timeframe 1m \\
      --start 2025-09-01T00:00:00Z --end 2025-09-30T23:59:59Z --speed 10x

  # a recorded session with two symbols, as fast as the services take it, beside the live system
  for name in ohlcv_aggregator strategy_runner risk_engine paper_trader portfolio_manager; do
      python -m apps.$name --profile replay &
  done
  python -m apps.replay_engine --cell replay --symbol BTC/USDT --symbol ETH/USDT --topics trades,book,ticker \\
      --start 2025-09-30 --end 2025-09-30 --speed max

  # bars out of one folder of journals; any length, if it is stored or can be made of shorter ones
  python -m apps.replay_engine --symbol ATOM/USDT --timeframe 1m --timeframe 1h --from var/log/old \\
      --start 2025-09-01 --end 2025-09-30 --speed 100x

Times are UTC unless they have an offset. A date as --end is that whole day, a time as --end is exclusive; a bar belongs
to the range if it opens in it. A replay that was interrupted goes on when it is started again with the same options
but --speed. The services of a cell NAME have its name and folders by REPLAY_CELL=NAME and --profile replay; on another
server they also need REDIS_URL. Exit codes: 0 done, or told to stop; 1 refused, no data or failed; 2 wrong usage.
"""


def command_line(about: str | None) -> argparse.ArgumentParser:
    """All options; what can be wrong with one alone is refused by it."""
    made = parser("apps.replay_engine", about)
    made.epilog = EXAMPLES
    made.add_argument("--symbol", required=True, action="append", help="BTC/USDT; repeatable, and then in this order")
    made.add_argument(
        "--timeframe", action="append", type=_timeframe, metavar="LENGTH",
        help=f"of bars, repeatable: 1m, 5m, 15m, 1h, 4h, 1d ... (default: {TIMEFRAME})",
    )  # fmt: skip
    made.add_argument("--start", required=True, type=_time, metavar="TIME", help="2025-09-01 or 2025-09-01T00:00:00Z")
    made.add_argument("--end", required=True, type=_time, metavar="TIME", help="the same; a date is that whole day")
    made.add_argument(
        "--speed",
        type=speed,
        default=1.0,
        help="market seconds per second: 1x, 10x, 100x, any number, max (default: 1x)",
    )
    made.add_argument(
        "--topics", type=_kinds, default=("bars",), metavar="LIST",
        help=f"any of {','.join(NAMES)}, with commas between them (default: bars)",
    )  # fmt: skip
    data = made.add_mutually_exclusive_group()
    data.add_argument(
        "--source", metavar="NAME", help="only this one of config/data_sources.yaml (default: all of them)"
    )
    data.add_argument("--from", dest="folder", type=Path, metavar="FOLDER", help="only the journals in this folder")
    place = made.add_mutually_exclusive_group()
    place.add_argument("--cell", metavar="NAME", help="publish into this cell (default: redis.cell)")
    place.add_argument("--redis-url", metavar="URL", help="publish to this server (default: redis.url)")
    return made


def wanted_by(args: argparse.Namespace) -> Wanted:
    """What the options ask for.

    Raises:
        ConfigError: they do not fit together.
    """
    if args.timeframe and "bars" not in args.topics:
        raise ConfigError(f"--timeframe is {args.timeframe[0]}; allowed: only with bars in --topics")
    try:
        start_ns, end_ns = period(args.start, args.end)
    except ContractError as error:
        raise ConfigError(f"--{error}") from None
    timeframes = tuple(dict.fromkeys(args.timeframe or (TIMEFRAME,))) if "bars" in args.topics else ()
    return Wanted(args.topics, tuple(dict.fromkeys(args.symbol)), timeframes, start_ns, end_ns)


def _timeframe(text: str) -> str:
    try:
        timeframe_ns(text)
    except ContractError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _time(text: str) -> str:
    try:
        moment(text)
    except ContractError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _kinds(text: str) -> tuple[Kind, ...]:
    """In the order of KINDS, each once, however they are written."""
    asked = [part.strip() for part in text.split(",")]
    if unknown := [part for part in asked if part not in NAMES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r}; allowed: {', '.join(NAMES)}, with commas between them")
    return tuple(kind for kind in KINDS if kind in {NAMES[part] for part in asked})
