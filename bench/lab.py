"""A whole installation in a temporary folder: server, configuration, real processes, and what they use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import uvloop

from core.contracts import TradeEvent
from core.embedded import EmbeddedServer
from core.errors import NjordError
from core.runner import Item, item_of
from core.runtime.committer import Committer
from core.sequencer.redis import RedisCell

ROOT = Path(__file__).resolve().parents[1]
CAPTURES = ROOT.parent / "shared" / "data" / "captures"
SERVICES = ("strategy_runner", "risk_engine", "paper_trader", "portfolio_manager", "ohlcv_aggregator")
INSTANCES = tuple(f"{service}.main" for service in SERVICES)
START_LIMIT_S = 30.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

PROFILE = """\
risk:
  per_order_usd_cap: 1000000
  daily_loss_usd_cap: 1000000000
  orders_per_min_cap: 1000000
  max_intent_age_s: 600
  max_price_age_s: 600
"""

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run on the event loop that the services use."""
    return uvloop.run(coroutine)


def trade(number: int, *, price: float = 60123.45) -> TradeEvent:
    """The n-th trade of BTC/USDT, a millisecond of market time behind the one before."""
    ts = 1_723_161_255_000_000_000 + number * 1_000_000
    return TradeEvent("BTC/USDT", price, 0.0123, "buy", ts, str(3_700_000_000 + number), ts + 41_234_567)


def trade_items(count: int, first: int = 0) -> list[Item]:
    """Trades as they are committed; a body has about 180 bytes."""
    return [item_of(trade(first + number)) for number in range(count)]


class Lab:
    """A server and an installation on it; a context manager that ends everything it has started."""

    def __init__(self, folder: Path, *, profile: str = PROFILE, strategies: str = "") -> None:
        """
        Args:
            folder: empty; everything is in here.
            profile: laid over the shipped configuration.
            strategies: instead of the shipped strategies.yaml.
        """
        self.folder = folder
        self.journals = folder / "var" / "log" / "njord"
        self.server = EmbeddedServer(folder / "redis")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        shutil.copytree(ROOT / "config", folder / "config")
        (folder / "config" / "bench.yaml").write_text(profile)
        if strategies:
            (folder / "config" / "portfolio.yaml").unlink()  # it gives the shipped strategies their capital
            (folder / "config" / "strategies.yaml").write_text(strategies)

    def __enter__(self) -> Self:
        self.server.start()
        self._out = (self.folder / "out.log").open("ab")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.server.kill()
        self._out.close()

    # -- processes

    def start(self, instance: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a service's process; its configuration is this installation's."""
        service = instance.partition(".")[0]
        command = [sys.executable, "-m", f"apps.{service}", "--config-root", str(self.folder), "--profile", "bench"]
        environment = {**os.environ, "REDIS_URL": self.server.url}
        process = subprocess.Popen(
            [*command, *arguments], cwd=ROOT, env=environment, stdout=self._out, stderr=self._out
        )
        self.processes[instance] = process
        return process

    def start_services(self) -> None:
        """Start all services and wait until they are live."""
        for instance in INSTANCES:
            self.start(instance)
        for instance in INSTANCES:
            self.wait_until(partial(self.is_live, instance), f"{instance} is live")

    def is_live(self, instance: str) -> bool:
        """Whether this process, not an earlier one of its name, says that it is live."""
        try:
            note = json.loads((self.folder / "var" / "run" / f"{instance}.json").read_bytes())
            if note["pid"] != self.processes[instance].pid:
                return False
            with urllib.request.urlopen(note["health"], timeout=2) as answer:
                return bool(json.loads(answer.read())["state"] == "live")
        except (OSError, ValueError):
            return False

    def wait_until(self, condition: Callable[[], bool], what: str, *, every_s: float = 0.01) -> None:
        """Wait for a condition.

        Raises:
            NjordError: it did not come, or a process has ended meanwhile; its last words are repeated.
        """
        deadline = time.monotonic() + START_LIMIT_S
        while not condition():
            failed = [name for name, process in self.processes.items() if process.poll() not in (None, 0)]
            if failed or time.monotonic() > deadline:
                words = (self.folder / "out.log").read_text()[-500:]
                raise NjordError(f"waited in vain until {what}; ended: {', '.join(failed) or 'none'}; {words}")
            time.sleep(every_s)

    def terminate(self) -> None:
        """Ask all processes to leave, and wait for them."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(30)

    # -- the sequencer

    @asynccontextmanager
    async def cell(self) -> AsyncIterator[RedisCell]:
        """A connection."""
        cell = RedisCell(self.server.url)
        await cell.connect()
        try:
            yield cell
        finally:
            await cell.close()

    async def committer(self, cell: RedisCell, instance: str) -> Committer:
        """An instance of ours on the cell, which is made if there is none; it holds its lease."""
        await cell.create()
        meta = await cell.meta()
        await cell.attest(instance, meta.run_id)
        committer = Committer(cell, instance, 60_000, register=False)
        await committer.join(meta)
        return committer


# -- what a process uses


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def memory_mb(pid: int, field: str = "VmRSS") -> float:
    """Resident memory of a process in MB; "VmHWM" is its peak."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def has_proc() -> bool:
    """Whether this system says in /proc what a process uses."""
    return Path("/proc/self/stat").exists()
