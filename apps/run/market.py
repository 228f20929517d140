"""Which market a run trades: a simulated exchange of its own, a recorded stream, or a real venue's public data."""

from __future__ import annotations

import argparse
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from core import codec, topics
from core.adapters.venues import feed_of
from core.contracts import Watermark
from core.errors import ConfigError
from core.journal import last_lines
from core.market.synthetic_market import START_NS
from core.runtime.process import speed

SPEED = "10"
SIMULATED_VENUE = "binanceus"


@dataclass(frozen=True, slots=True)
class Market:
    """Where the data of a run come from.

    Attributes:
        ingest: the options that tell md_ingest.
        exchange: the options of the simulated exchange that runs beside it; empty for none.
        times: market seconds per second of that exchange.
        identity: what makes this market the one that a run can be gone on with.
        source: origin and speed, in words.
    """

    ingest: tuple[str, ...]
    exchange: tuple[str, ...]
    identity: dict[str, str]
    source: str
    times: float = 1.0


def market_of(args: argparse.Namespace) -> Market:
    """The market that the options ask for.

    Raises:
        ConfigError: the capture or the venue is not there, or an option means nothing for this market.
    """
    if args.capture:
        return _recorded(args)
    if args.venue:
        return _venue(args)
    return _simulated(args)


def _recorded(args: argparse.Namespace) -> Market:
    if not args.capture.is_file():
        raise ConfigError(f"--capture is {str(args.capture)!r}; allowed: a recorded stream, and there is no such file")
    if args.feed:
        raise ConfigError(f"--feed is {args.feed!r} with --capture; allowed: none, a recording needs no client")
    pace = args.speed or SPEED
    return Market(
        ingest=("--symbol", args.symbol, "--capture", str(args.capture), "--speed", pace),
        exchange=(),
        identity={"capture": str(args.capture.resolve()), "bytes": str(args.capture.stat().st_size)},
        source=f"{args.capture.name} at {_times(pace)}",
    )


def _venue(args: argparse.Namespace) -> Market:
    if args.speed:
        raise ConfigError(f"--speed is {args.speed!r} with --venue; allowed: none, a real market has its own")
    feed = args.feed or "auto"
    feed_of(args.venue, feed)  # md_ingest checks it again; a mistake should be found before anything has started
    return Market(
        ingest=("--symbol", args.symbol, "--venue", args.venue, "--feed", feed),
        exchange=(),
        identity={"venue": args.venue},
        source=f"public data of {args.venue}",
    )


def _simulated(args: argparse.Namespace) -> Market:
    pace = args.speed or SPEED
    times = speed(pace)
    if times is None:
        raise ConfigError("--speed is 'max' for the simulated exchange; allowed: a number, or max with --capture")
    port = _free_port()
    return Market(
        ingest=(
            "--symbol", args.symbol, "--venue", SIMULATED_VENUE, "--feed", args.feed or "ccxt",
            "--endpoint", f"http://127.0.0.1:{port}",
        ),
        exchange=(
            "--synthetic", "--seed", str(args.seed), "--symbol", args.symbol, "--speed", pace, "--port", str(port),
        ),
        identity={"exchange": "simulated", "seed": str(args.seed)},
        source=f"simulated exchange, seed {args.seed}, at {_times(pace)}",
        times=times,
    )  # fmt: skip


def started_at(symbol: str, journals: Path, times: float) -> int:
    """When the simulated market must have begun, ns UTC, for it to stand now where the journals end.

    So a run that is gone on with finds the market where it left it, and not hours ahead.
    """
    elapsed_ns = max(0, _last_second(symbol, journals) - START_NS)
    return time.time_ns() - int(elapsed_ns / times)


def _last_second(symbol: str, journals: Path) -> int:
    name = topics.CLOCK_MARKET.journal_name(topics.CLOCK_MARKET.name.format(symbol=symbol)).removesuffix(".ndjson")
    return max((codec.decode(last.line, Watermark).market_ns for last in last_lines(journals, name)), default=0)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _times(pace: str) -> str:
    return pace if pace == "max" else pace.removesuffix("x") + "x"
