"""A simulated exchange on 127.0.0.1 that speaks Binance's spot protocol: public REST routes and streams.

The market comes from recorded Binance streams (--capture, played one behind the other) or is synthetic (--synthetic).
It runs with the wall clock from --started-at on, whether or not anybody is connected: started again with the same
options, it stands where a real exchange would. At --speed max it waits for its listeners instead, and begins at the
beginning.

What it knows of the past: all candles and the newest million trades since it was started; of a synthetic market also
the hour before that, and older trades by their id; with --history also the recorded minutes of a dataset, as candles of
every length, behind which a synthetic market begins. Faults are rules in a file of JSON or YAML, or come by POST
/sim/fault; GET /sim/state counts what they did, and GET /sim/trades is the truth to compare with.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvloop
import yaml
from aiohttp import web

from apps.sim_exchange.history import read_history
from apps.sim_exchange.player import catch_up, play
from apps.sim_exchange.server import INSTANCE, Server
from apps.sim_exchange.sockets import Hub
from core import cli, codec
from core.capture import Line, read_capture
from core.config import Config
from core.contracts import Instrument
from core.errors import ConfigError, ContractError, NjordError
from core.logging import setup_json_logging
from core.market.binance import Decoder
from core.market.records import Record
from core.market.synthetic_market import START_NS, SyntheticMarket, usual_price
from core.runtime.locks import InstanceLock
from core.runtime.process import speed
from core.sim.clock import VirtualClock
from core.sim.exchange import Exchange, Tape
from core.sim.faults import Fault, FaultPlan, faults_of
from core.sim.history import MinuteHistory
from core.sim.klines import NS_PER_MINUTE
from core.sim.limits import Weights
from core.sim.market import NoPast
from core.sim.tape import SyntheticPast, entered_at, snapshot_first

log = structlog.get_logger()

WEIGHT_LIMIT = 1200
PORT_MAX = 65_535


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until it is told to stop; the exit code."""
    args = _parser().parse_args(argv)
    return cli.guarded("sim_exchange", lambda: _serve(args))


def _parser() -> argparse.ArgumentParser:
    made = cli.parser("python -m apps.sim_exchange", __doc__)
    source = made.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--capture", type=Path, action="append", metavar="FILE", help="a recorded Binance stream; may be repeated"
    )
    source.add_argument("--synthetic", action="store_true", help="a seeded market that never ends")
    made.add_argument("--seed", type=int, default=7, help="of the synthetic market and of the faults (default: 7)")
    made.add_argument(
        "--symbol", action="append", metavar="SYMBOL", help="BTC/USDT; may be repeated (default: the first instrument)"
    )
    made.add_argument("--speed", type=speed, default=1.0, help="market seconds per second, or max (default: 1)")
    made.add_argument("--port", type=int, default=8090, help="on 127.0.0.1; 0 for any (default: 8090)")
    made.add_argument("--faults", type=Path, metavar="FILE", help="a list of rules for what goes wrong, JSON or YAML")
    made.add_argument(
        "--history", type=Path, metavar="FOLDER", help="a dataset whose minutes are the candles of the time before"
    )
    made.add_argument(
        "--started-at", type=int, metavar="NS", help="wall clock of the market's beginning, ns UTC (default: now)"
    )
    made.add_argument(
        "--weight-limit", type=int, default=WEIGHT_LIMIT, metavar="N",
        help=f"request weight per minute (default: {WEIGHT_LIMIT})",
    )  # fmt: skip
    return made


@dataclass(frozen=True, slots=True)
class Site:
    """What is served.

    Attributes:
        exchange: the market.
        hub: its listeners.
        server: its routes.
        clock: its time; None for as fast as possible.
    """

    exchange: Exchange
    hub: Hub
    server: Server
    clock: VirtualClock | None


def build(config: Config, args: argparse.Namespace) -> Site:
    """Everything but the port; what had happened by now has been played.

    Raises:
        ConfigError: an option, the capture or the plan of faults is wrong.
    """
    hub = Hub(FaultPlan(_faults(args.faults), args.seed))
    if args.weight_limit < 1:
        raise ConfigError(f"--weight-limit is {args.weight_limit}; allowed: above 0")
    started_ns = time.time_ns() if args.started_at is None else args.started_at
    exchange, first_ns = _exchange(_instruments(config, args.symbol), args, hub, started_ns)
    clock = None if args.speed is None else VirtualClock(first_ns, started_ns, args.speed)
    catch_up(exchange, clock)
    return Site(exchange, hub, Server(exchange, hub, Weights(args.weight_limit), clock), clock)


def _instruments(config: Config, symbols: Sequence[str] | None) -> list[Instrument]:
    known = {instrument.symbol: instrument for instrument in config.instruments}
    for symbol in symbols or ():
        if symbol not in known:
            raise ConfigError(f"--symbol is {symbol!r}; allowed (config: instruments): {', '.join(known)}")
    return [known[symbol] for symbol in symbols] if symbols else [config.instruments[0]]


def _exchange(
    instruments: Sequence[Instrument], args: argparse.Namespace, hub: Hub, started_ns: int
) -> tuple[Exchange, int]:
    """The exchange, and the time of the market at which it begins."""
    past = read_history(args.history, instruments) if args.history else {}
    if args.synthetic:
        markets = _synthetic(instruments, args.seed, past)
        first_ns = markets[0].start_ns
        now_ns = first_ns
        if args.speed is not None:
            now_ns = VirtualClock(first_ns, started_ns, args.speed).market_ns(time.time_ns())
        tapes = [
            Tape(each.instrument, entered_at(each, now_ns), SyntheticPast(each), past.get(each.instrument.symbol))
            for each in markets
        ]
        return Exchange(tapes, hub.wanted), first_ns
    for path in args.capture:
        read_capture(path)  # what cannot be opened is said at once
    tapes = [
        Tape(each, snapshot_first(_recorded(args.capture, each.symbol)), NoPast(), past.get(each.symbol))
        for each in instruments
    ]
    exchange = Exchange(tapes, hub.wanted)
    return exchange, exchange.first_ns


def _synthetic(
    instruments: Sequence[Instrument], seed: int, past: Mapping[str, MinuteHistory]
) -> list[SyntheticMarket]:
    """Markets that begin together; where there is a past, behind its last minute and at its last price."""
    last_ns = max((each.last_ns for each in past.values()), default=-1)
    start_ns = last_ns + NS_PER_MINUTE if last_ns >= 0 else START_NS
    prices = {each.symbol: past[each.symbol].last_price if past else 0.0 for each in instruments}
    return [
        SyntheticMarket(each, seed, prices[each.symbol] or usual_price(each.symbol), start_ns) for each in instruments
    ]


def _recorded(paths: Sequence[Path], symbol: str) -> Iterator[Record]:
    """The records of a symbol in some captures; what cannot be read is left out."""
    decoder = Decoder(symbol)
    for path in paths:
        for line in read_capture(path):
            if not isinstance(line, Line):
                continue
            try:
                record = decoder.decode(line.message, line.recv_ns)
            except ContractError:
                continue
            if record is not None:
                yield record


def _faults(path: Path | None) -> list[Fault]:
    if path is None:
        return []
    try:
        return faults_of(yaml.safe_load(path.read_text("utf-8")))
    except OSError as error:
        raise ConfigError(f"--faults {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"--faults {path} is neither YAML nor JSON: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"--faults {path}: {error}") from None


def _serve(args: argparse.Namespace) -> int:
    config = cli.config_of(args)
    run_dir = config.paths.run_dir
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        setup_json_logging(str(config.paths.log_dir), INSTANCE)
    except OSError as error:
        raise NjordError(f"paths.run_dir or paths.log_dir cannot be made: {error}") from None
    lock = InstanceLock(run_dir / "locks", INSTANCE)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(config, args))
    finally:
        lock.release()
    log.info("stopped")
    return 0


async def _run(config: Config, args: argparse.Namespace) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    site = build(config, args)
    runner = web.AppRunner(site.server.application(), handler_cancellation=True, access_log=None, shutdown_timeout=0.5)
    url = await open_port(runner, args.port)
    note = config.paths.run_dir / f"{INSTANCE}.json"
    body = {"pid": os.getpid(), "health": f"{url}/health", "instance": INSTANCE, "url": url}
    note.write_bytes(codec.encode_state(body))
    log.info("started", url=url)
    sys.stderr.write(f"sim_exchange: {', '.join(site.exchange.markets)} on {url}\n")
    playing = asyncio.create_task(play(site.exchange, site.hub, site.clock))
    playing.add_done_callback(lambda task: None if task.cancelled() or not task.exception() else stop.set())
    try:
        await stop.wait()
    finally:
        note.unlink(missing_ok=True)
        site.hub.kick(1001, "*")
        await runner.cleanup()
    if playing.done():
        playing.result()
    else:
        playing.cancel()


async def open_port(runner: web.AppRunner, port: int) -> str:
    """Listen on loopback; the URL.

    Raises:
        ConfigError: the port cannot be used.
    """
    if not 0 <= port <= PORT_MAX:
        raise ConfigError(f"--port is {port}; allowed: 0 to {PORT_MAX}")
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(f"--port is {port}: {error.strerror}; allowed: a free port, or 0 for any") from None
    return f"http://127.0.0.1:{runner.addresses[0][1]}"
