"""Publish the market data of one symbol: trades, book and best prices, and how far the market's time has come.

The data come from a recorded Binance stream (--capture) or from a seeded synthetic market (--synthetic). Started again
after whatever ended it, it goes on behind what was published: no trade is lost and none comes twice.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from core.capture import CaptureSource
from core.config import Config
from core.errors import ConfigError
from core.market.source import Source
from core.market.synthetic import SyntheticSource
from core.market.synthetic_market import SyntheticMarket
from core.runtime.committer import Committer
from core.runtime.feeder import Feeder, instance_of
from core.runtime.process import Parts, assemble, guarded, parser, speed
from core.runtime.status import Status
from core.sequencer.redis import RedisCell

START_PRICES = {"BTC/USDT": 60_000.0, "ETH/USDT": 2_500.0, "ATOM/USDT": 8.0}
START_PRICE = 100.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run until the capture ends or it is told to stop; the exit code."""
    args = _parser().parse_args(argv)
    return guarded(instance_of(args.symbol), args, lambda config: _assemble(config, args))


def _parser() -> argparse.ArgumentParser:
    made = parser("apps.md_ingest", __doc__)
    made.add_argument("--symbol", required=True, help="BTC/USDT")
    source = made.add_mutually_exclusive_group(required=True)
    source.add_argument("--capture", type=Path, metavar="FILE", help="a recorded Binance stream, gzipped or plain")
    source.add_argument("--synthetic", action="store_true", help="a seeded market that never ends")
    made.add_argument("--seed", type=int, default=7, help="of the synthetic market (default: 7)")
    made.add_argument(
        "--start-price", type=float, metavar="PRICE", help="of the synthetic market (default: a usual one)"
    )
    made.add_argument("--speed", type=speed, default=1.0, help="market seconds per second, or max (default: 1)")
    return made


def _assemble(config: Config, args: argparse.Namespace) -> Parts:
    instrument = next((each for each in config.instruments if each.symbol == args.symbol), None)
    if instrument is None:
        known = ", ".join(each.symbol for each in config.instruments)
        raise ConfigError(f"--symbol is {args.symbol!r}; allowed (config: instruments): {known}")
    instance = instance_of(args.symbol)
    price = args.start_price or START_PRICES.get(args.symbol, START_PRICE)
    opened: Callable[[], Source] = (
        (lambda: SyntheticSource(SyntheticMarket(instrument, args.seed, price)))
        if args.synthetic
        else (lambda: CaptureSource(args.capture, args.symbol))
    )
    opened()  # what cannot be opened is said before anybody waits for this instance
    cell = RedisCell(config.redis.url, config.redis.cell)
    status = Status(instance)
    committer = Committer(cell, instance, config.runtime.lease_ttl_ms, host=args.host)
    feeder = Feeder(
        cell,
        opened,
        committer,
        symbol=args.symbol,
        speed=args.speed,
        status=status,
        lag_max=config.runtime.catch_up_max_lag,
    )
    return assemble(config, feeder, committer, status)
