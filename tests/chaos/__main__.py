"""Run the installation under random faults, then check everything.

Phases: start; random faults; the server comes back with older data (a fork): everybody must notice, nobody may publish,
scripts/njord_restore.py repairs it; more faults; quiet; orderly stop; oracles. Exit code 0 if all of them hold, else 1.
The seed is printed; the same seed makes the same faults in the same order.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from core.capture import CaptureSource
from core.config import load_config
from core.market.source import Source
from core.market.synthetic import SyntheticSource
from core.market.synthetic_market import SyntheticMarket, usual_price
from core.sequencer.records import Meta
from core.sequencer.redis import RedisCell
from tests.chaos import oracle
from tests.chaos.faults import pick
from tests.chaos.world import JOURNAL_BYTES, ROOT, Ingest, World

CAPTURE = ROOT.parent / "shared" / "data" / "captures" / "binance_spot" / "btcusdt_20240808.gz"
CAPTURE_SECONDS = 346.0

LIVE = "ETH/USDT"
EXCHANGE_SPEED = "20"
EXCHANGE_FAULTS = """\
- {kind: drop, where: "*@trade", probability: 0.01, times: 0}
- {kind: double, where: "*@trade", probability: 0.01, times: 0}
- {kind: swap, where: "*@*", probability: 0.01, times: 0}
- {kind: drop, where: "*@depth*", probability: 0.01, times: 0}
- {kind: garbage, where: "*@trade", form: truncated, probability: 0.001, times: 0}
- {kind: disconnect, where: "*@bookTicker", probability: 0.0005, times: 0}
- {kind: mute, where: "*@trade", probability: 0.0005, seconds: 6, times: 0}
- {kind: hold, where: "*@trade", probability: 0.0005, seconds: 2, times: 0}
- {kind: status, where: "GET /api/v3/*", probability: 0.05, status: 503, times: 0}
- {kind: garbage, where: "GET /api/v3/*", form: html, probability: 0.03, times: 0}
- {kind: disconnect, where: "GET /api/v3/*", probability: 0.02, times: 0}
"""
"""What the simulated exchange does to its clients, besides being killed."""

T = TypeVar("T")


def main(argv: list[str] | None = None) -> int:
    """Run once; the exit code."""
    args = _parser().parse_args(argv)
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1 << 30)
    folder = Path(args.folder or tempfile.mkdtemp(prefix="njord-chaos-"))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    fork = not args.no_fork
    report = run(folder, seconds=args.seconds, seed=seed, loss=args.loss, fork=fork, journal_bytes=args.journal_bytes)
    print(json.dumps(report, indent=1))
    if report["wrong"]:
        print(f"chaos: failed; again with --seed {seed}; everything is in {folder}", file=sys.stderr)
        return 1
    if not args.folder:
        shutil.rmtree(folder)
    return 0


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    made.add_argument("--seconds", type=float, default=60.0, help="how long faults are made (default: 60)")
    made.add_argument("--seed", type=int, help="of the faults; random and printed if not given")
    made.add_argument("--loss", type=float, default=0.002, help="probability of a lost reply (default: 0.002)")
    made.add_argument("--folder", help="where to run; kept. A temporary one is removed after success")
    made.add_argument(
        "--journal-bytes", type=int, default=JOURNAL_BYTES, help=f"size of a journal's file (default: {JOURNAL_BYTES})"
    )
    made.add_argument("--no-fork", action="store_true", help="leave out the server with older data")
    return made


def run(
    folder: Path, *, seconds: float, seed: int, loss: float, fork: bool, journal_bytes: int = JOURNAL_BYTES
) -> dict[str, object]:
    """One run in an empty folder; what was done and what is wrong."""
    config = load_config(ROOT)
    atom = next(each for each in config.instruments if each.symbol == "ATOM/USDT")
    btc = next(each for each in config.instruments if each.symbol == "BTC/USDT")
    speed = CAPTURE_SECONDS / max(seconds * 0.8, 10)
    recorded = CAPTURE.is_file()
    synthetic = ("--synthetic", "--speed", "5")
    capture = ("--capture", str(CAPTURE), "--speed", f"{speed:.2f}")
    feed = "lean" if seed % 2 else "ccxt"
    port = _free_port()
    live = ("--venue", "binanceus", "--feed", feed, "--endpoint", f"http://127.0.0.1:{port}")
    ingests = (
        Ingest("BTC/USDT", capture if recorded else synthetic),
        Ingest("ATOM/USDT", ("--synthetic", "--seed", str(seed), "--speed", "5")),
        Ingest(LIVE, live),
    )
    recording: tuple[Source, bool] = (
        (CaptureSource(CAPTURE, "BTC/USDT"), True)
        if recorded
        else (SyntheticSource(SyntheticMarket(btc, 7, usual_price("BTC/USDT"))), False)
    )
    sources = {
        "BTC/USDT": recording,
        "ATOM/USDT": (SyntheticSource(SyntheticMarket(atom, seed, usual_price("ATOM/USDT"))), False),
    }
    eth = next(each for each in config.instruments if each.symbol == LIVE)
    market = SyntheticMarket(eth, seed, usual_price(LIVE))
    world = World(folder, ingests, loss=loss, seed=seed, journal_bytes=journal_bytes)
    faults = folder / "exchange_faults.yaml"
    faults.write_text(EXCHANGE_FAULTS)
    done: list[str] = []
    wrong: list[str] = []
    try:
        daemons = world.services
        world.open_exchange(
            "--synthetic", "--seed", str(seed), "--symbol", LIVE, "--speed", EXCHANGE_SPEED, "--port", str(port),
            "--faults", str(faults), "--weight-limit", "12000",
        )  # fmt: skip
        world.start(*daemons)
        if not world.wait(30, lambda: world.live(*daemons)):
            return {"seed": seed, "wrong": ["the services did not start"], "exits": world.exits}
        world.start(*world.sources)
        choice = random.Random(seed)
        halfway = time.monotonic() + seconds / 2
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            world.wait(choice.uniform(0.3, 1.5))
            if fork and time.monotonic() > halfway:
                fork = False
                wrong += older_server(world, choice)
                done.append("older server, restore")
            done.append(pick(choice)(world, choice))
            if _meta(world).forked:
                wrong += repair(world)
                done.append("the server's log was behind, restore")
        wrong += quiet(world)
        hung = world.terminate()
        wrong += [f"{instance} did not leave when asked" for instance in hung]
        wrong += oracle.check(world, sources, {LIVE: market})
        return {
            "seed": seed,
            "seconds": seconds,
            "feed": feed,
            "faults": done,
            "replies lost": world.proxy.losses,
            "exits": world.exits,
            "lines": oracle.counts(world.journals),
            "journal files": oracle.file_counts(world.journals),
            "wrong": wrong[:50],
        }
    finally:
        world.close()


def older_server(world: World, choice: random.Random) -> list[str]:
    """The server comes back as it was some seconds ago: all must notice and stop, a restore must repair it."""
    copy = world.folder / "older"
    world.copy_server_data(copy)
    world.wait(choice.uniform(2.5, 4))
    world.restart_server(copy)
    return repair(world)


def repair(world: World) -> list[str]:
    """Wait until all have stopped, restore the server from the journals, and start all again.

    A server that is killed may by itself come back with older data: while the disk is slow, its log waits in memory.
    """
    noticed = world.wait(15, lambda: _meta(world).forked != "" and not _running_any(world), restart=False)
    before = _meta(world)
    wrong = [] if noticed else [f"not everybody noticed the fork: {_running(world)}, {before}"]
    world.reap(restart=False)
    for process in world.processes.values():
        if process.poll() is None:
            process.kill()
        process.wait()
    h2 = world.folder / "h2/var/log/njord"
    more = ["--journal-dir", str(h2)] if h2.is_dir() else []
    restored = world.run_script("njord_restore.py", "--json", *more)
    if restored.returncode != 0:
        return [*wrong, f"restore failed: {restored.stdout}{restored.stderr}"]
    if _meta(world).epoch != before.epoch + 1:
        wrong.append("the restore did not raise the epoch")
    world.start(*world.instances)
    if not world.wait(30, lambda: world.live(*world.services)):
        wrong.append(f"not live after the restore: {_running(world)}")
    return wrong


def _running_any(world: World) -> bool:
    return any(process.poll() is None for process in world.processes.values())


def _running(world: World) -> dict[str, object]:
    return {name: world.health(name).get("state", process.poll()) for name, process in world.processes.items()}


def _ask(world: World, question: Callable[[RedisCell], Awaitable[T]]) -> T:
    async def ask() -> T:
        cell = RedisCell(world.server.url)
        await cell.connect()
        try:
            return await question(cell)
        finally:
            await cell.close()

    return asyncio.run(ask())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _meta(world: World) -> Meta:
    return _ask(world, RedisCell.meta)


def _positions(world: World) -> dict[str, int]:
    return _ask(world, RedisCell.positions)


def quiet(world: World) -> list[str]:
    """Leave them alone until the capture has ended, then stop the sources and let the services catch up."""
    capture = world.sources[0]
    if not world.wait(120, lambda: world.processes[capture].poll() == 0) and "--capture" in world.ingests[0].arguments:
        return [f"the capture has not ended: {world.health(capture)}"]
    world.restart_server()  # although a source has ended and cannot speak for itself
    going = [name for name in world.instances if world.processes[name].poll() is None]
    world.wait(30, lambda: world.live(*going) or _meta(world).forked != "", restart=False)
    wrong = repair(world) if _meta(world).forked else []
    if not world.wait(30, lambda: world.live(*going)):
        return [f"not live after the last start of the server: {_running(world)}"]
    for instance in world.sources:
        if world.processes[instance].poll() is None:
            world.processes[instance].terminate()
            world.processes[instance].wait(20)
    world.proxy.heal()
    settled = world.wait(40, lambda: world.live(*world.services) and _settled(world))
    return wrong if settled else [f"the services did not catch up: {_running(world)}, {_positions(world)}"]


def _settled(world: World) -> bool:
    """Whether for four seconds nobody has published anything, nor moved on."""
    before = (_meta(world).seq, _positions(world))
    time.sleep(4)
    return before == (_meta(world).seq, _positions(world))


if __name__ == "__main__":
    sys.exit(main())
