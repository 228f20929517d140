"""The lean client against ccxt: a venue that never pauses, on a socket of this machine, to events ready to commit.

Each client is a process of its own that hears the same trades; the venue is another one.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import uvloop

from bench.figures import Outcome, median, spread
from bench.lab import ROOT, memory_mb
from core.adapters.venues import live_feeds
from core.contracts import Event, TradeEvent
from core.market.source import Tails

TRADES = 100_000
CLIENT_LIMIT_S = 120.0
LEAN, CCXT = "lean", "ccxt"
MESSAGES, COST = "messages", "CPU per 1,000 messages"


def measure(folder: Path, rounds: int) -> Outcome:
    """Messages per second and CPU per thousand of them, of both clients in interleaved rounds."""
    heard: dict[str, list[dict[str, Any]]] = {LEAN: [], CCXT: []}
    for _ in range(rounds):
        for client, rows in heard.items():
            with _venue() as endpoint:
                rows.append(_hear(client, endpoint))
    outcome = Outcome()
    lean = heard[LEAN]
    for client, rows in heard.items():
        rates, costs = [row["rate"] for row in rows], [row["cpu_us"] for row in rows]
        faster = [mine["rate"] / theirs["rate"] for mine, theirs in zip(rows, lean, strict=True)]
        dearer = [mine["cpu_us"] / theirs["cpu_us"] for mine, theirs in zip(rows, lean, strict=True)]
        for name, values, unit, ratios in ((MESSAGES, rates, "1/s", faster), (COST, costs, "us", dearer)):
            against = {} if client == LEAN else {"ratio": median(ratios), "against": f"{LEAN}: {name}"}
            outcome.add(f"{client}: {name}", median(values), unit, note=spread(values), **against)
        outcome.add(f"{client}: memory of the client's process", median([row["rss_mb"] for row in rows]), "MB")
        asked = max(row["back_filled"] for row in rows)
        outcome.remarks.append(f"{client}: of {TRADES:,} trades at most {asked:.0f} were lost on the way and asked for")
    return outcome


@contextmanager
def _venue() -> Iterator[str]:
    command = [sys.executable, "-m", "bench.venue", str(TRADES)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def _hear(client: str, endpoint: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.feeds", client, endpoint]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=CLIENT_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(str(error)) from None
    if done.returncode:
        raise OSError(f"{client} ended with {done.returncode}: {done.stderr[-300:]}")
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


class _Meter:
    """An outlet that counts; the clock runs from the first trade to the last."""

    full = False

    def __init__(self) -> None:
        self.trades = 0
        self.begun = (0.0, 0.0)
        self.ended = asyncio.Event()

    def push(self, events: Iterable[Event]) -> None:
        """Count the trades among these."""
        for event in events:
            if isinstance(event, TradeEvent):
                if self.trades == 0:
                    self.begun = (time.perf_counter(), time.process_time())
                self.trades += 1
        if self.trades >= TRADES:
            self.ended.set()

    async def room(self) -> None:
        """There always is."""


async def _run(client: str, endpoint: str) -> dict[str, float]:
    feed = live_feeds("binanceus", ["BTC/USDT"], feed=client, endpoint=endpoint)[0]
    meter = _Meter()
    running = asyncio.create_task(feed.run(Tails(), meter))
    await meter.ended.wait()
    wall, cpu = time.perf_counter() - meter.begun[0], time.process_time() - meter.begun[1]
    rss_mb = memory_mb(os.getpid())
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return {
        "rate": TRADES / wall,
        "cpu_us": cpu * 1e6 / (TRADES / 1000),
        "rss_mb": rss_mb,
        "back_filled": feed.counts.back_filled,
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_run(sys.argv[1], sys.argv[2]))))
