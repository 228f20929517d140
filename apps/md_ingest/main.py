"""Publish the market data of symbols: trades, book and best prices, and how far the market's time has come.

The data come from a venue as it happens (--venue), from a recorded Binance stream (--capture) or from a seeded
synthetic market (--synthetic). Started again after whatever ended it, it goes on behind what was published: no trade
is lost and none comes twice. What a venue's stream left out is asked for; what it will not give is published as a gap.

Several symbols of a venue may share one process: each is an instance of its own, with its own journals and health.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from core.adapters.venues import FEEDS, live_feeds
from core.capture import CaptureSource
from core.config import Config
from core.contracts import Instrument
from core.errors import ConfigError
from core.market.source import Source
from core.market.synthetic import SyntheticSource
from core.market.synthetic_market import SyntheticMarket, usual_price
from core.runtime.admission import admit_ingest
from core.runtime.committer import Committer
from core.runtime.feeder import Feeder
from core.runtime.intake import Intake, LiveIntake, PacedIntake
from core.runtime.process import Parts, assemble, guarded, parser, speed
from core.runtime.status import Status
from core.runtime.systemd import Notifier
from core.sequencer.redis import RedisCell
from core.topics import ingest_of


def main(argv: Sequence[str] | None = None) -> int:
    """Run until the capture ends or it is told to stop; the exit code."""
    args = _parser().parse_args(argv)
    return guarded(_name(args.symbol), args, lambda config: _assemble(config, args))


def _parser() -> argparse.ArgumentParser:
    made = parser("apps.md_ingest", __doc__)
    made.add_argument(
        "--symbol", required=True, action="append", help="BTC/USDT; with --venue it may be repeated"
    )  # fmt: skip
    source = made.add_mutually_exclusive_group(required=True)
    source.add_argument("--venue", metavar="NAME", help="a venue as it happens: binanceus, or another that ccxt knows")
    source.add_argument("--capture", type=Path, metavar="FILE", help="a recorded Binance stream, gzipped or plain")
    source.add_argument("--synthetic", action="store_true", help="a seeded market that never ends")
    made.add_argument(
        "--feed", choices=FEEDS, help="client of the venue (default: auto, which is lean for Binance's protocol)"
    )
    made.add_argument(
        "--endpoint", metavar="URL", help="another host that speaks Binance's protocol, such as apps.sim_exchange"
    )
    made.add_argument("--seed", type=int, default=7, help="of the synthetic market (default: 7)")
    made.add_argument(
        "--start-price", type=float, metavar="PRICE", help="of the synthetic market (default: a usual one)"
    )
    made.add_argument("--speed", type=speed, default=1.0, help="market seconds per second, or max (default: 1)")
    return made


def _name(symbols: Sequence[str]) -> str:
    """What this process is called in its log: its instance, or all of them."""
    return ",".join(dict.fromkeys(ingest_of(symbol) for symbol in symbols))


def _assemble(config: Config, args: argparse.Namespace) -> list[Parts]:
    instruments = [_instrument(config, symbol) for symbol in dict.fromkeys(args.symbol)]
    intakes = _live(args) if args.venue else _paced(args, instruments)
    notifier = Notifier(os.environ, len(instruments))
    return [
        _shell(config, args.host, instrument.symbol, intake, notifier)
        for instrument, intake in zip(instruments, intakes, strict=True)
    ]


def _instrument(config: Config, symbol: str) -> Instrument:
    instrument = next((each for each in config.instruments if each.symbol == symbol), None)
    if instrument is None:
        known = ", ".join(each.symbol for each in config.instruments)
        raise ConfigError(f"--symbol is {symbol!r}; allowed (config: instruments): {known}")
    return instrument


def _live(args: argparse.Namespace) -> list[Intake]:
    symbols = list(dict.fromkeys(args.symbol))
    feeds = live_feeds(args.venue, symbols, feed=args.feed or FEEDS[0], endpoint=args.endpoint or "")
    return [LiveIntake(feed) for feed in feeds]


def _paced(args: argparse.Namespace, instruments: Sequence[Instrument]) -> list[Intake]:
    for option in ("feed", "endpoint"):
        if getattr(args, option) is not None:
            raise ConfigError(f"--{option} is {getattr(args, option)!r}; allowed: with --venue only")
    if len(instruments) > 1:
        raise ConfigError(f"--symbol is {', '.join(args.symbol)}; allowed without --venue: one per process")
    instrument = instruments[0]
    price = args.start_price or usual_price(instrument.symbol)
    opened: Callable[[], Source] = (
        (lambda: SyntheticSource(SyntheticMarket(instrument, args.seed, price)))
        if args.synthetic
        else (lambda: CaptureSource(args.capture, instrument.symbol))
    )
    opened()  # what cannot be opened is said before anybody waits for this instance
    return [PacedIntake(opened, args.speed)]


def _shell(config: Config, host: str, symbol: str, intake: Intake, notifier: Notifier) -> Parts:
    instance = ingest_of(symbol)
    cell = RedisCell(config.redis.url, config.redis.cell)
    status = Status(instance)
    place = f"cell {config.redis.cell!r}" if config.redis.cell else "the cell without a name"
    committer = Committer(
        cell, instance, config.runtime.lease_ttl_ms, host=host, admit=lambda: admit_ingest(cell, place)
    )  # fmt: skip
    feeder = Feeder(
        cell, intake, committer, symbol=symbol, status=status, lag_max=config.runtime.catch_up_max_lag
    )  # fmt: skip
    return assemble(config, feeder, committer, status, notifier=notifier)
