"""A whole installation in a folder: server, services, journals; everything in it can be killed and started again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.embedded import EmbeddedServer
from tests.chaos.proxy import LossyProxy

ROOT = Path(__file__).resolve().parents[2]
DAEMONS = ("strategy_runner", "risk_engine", "paper_trader", "portfolio_manager", "ohlcv_aggregator")
BEHIND_PROXY = ("strategy_runner.main", "md_ingest.BTCUSDT", "paper_trader.main", "portfolio_manager.main")

CHAOS_PROFILE = """\
risk:
  per_order_usd_cap: 1000
  daily_loss_usd_cap: 5000
  max_intent_age_s: 600
  max_price_age_s: 600
  orders_per_min_cap: {cap}
runtime:
  state_journal_every_s: 5
  reload_every_s: 1
  kill_switch_every_s: 0.5
strategies:
  sma_cross_v1:
    enabled: true
    symbols: ["BTC/USDT"]
    params: {{fast: {fast}, slow: 60, qty: 0.001}}
  trendline_break_v1:
    enabled: true
    symbols: ["ATOM/USDT"]
    params: {{lookback_periods: 20, breakout_threshold: 0.0002, qty: 1.0}}
  momentum_v1:
    enabled: true
    symbols: ["ETH/USDT"]
    events: ["md.ohlcv.1m.*"]
    params: {{lookback_periods: 1, entry_return: 0.0001, stop_distance: 0.0008, target_distance: 0.0008, retry_s: 1}}
portfolio: {{allocations: []}}
retention: {{compress_after_hours: 0}}
"""
JOURNAL_BYTES = 50_000


@dataclass(frozen=True, slots=True)
class Ingest:
    """A source of market data with the arguments of its process."""

    symbol: str
    arguments: tuple[str, ...]

    @property
    def instance(self) -> str:
        return "md_ingest." + self.symbol.replace("/", "")


@dataclass
class World:
    """The installation.

    Attributes:
        folder: everything is in here.
        ingests: sources.
        loss: probability that the proxy loses a piece of a reply.
        seed: of the proxy's choice.
        journal_bytes: at which a journal begins a new file.
        exits: how often each process ended with which code.
    """

    folder: Path
    ingests: tuple[Ingest, ...]
    loss: float = 0.0
    seed: int = 1
    journal_bytes: int = JOURNAL_BYTES
    exits: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _noted: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home("h1")
        self.server = EmbeddedServer(self.folder / "redis")
        self.server.start()
        self.proxy = LossyProxy(self.server.port, probability=self.loss, seed=self.seed)
        self.out = (self.folder / "out.log").open("ab")
        self.exchange: subprocess.Popen[bytes] | None = None
        self.exchange_command: list[str] = []

    def home(self, host: str) -> Path:
        """The folder of one host, with the shipped configuration and the profile of this test."""
        home = self.folder / host
        if not home.exists():
            shutil.copytree(ROOT / "config", home / "config")
            self.configure(home)
        return home

    def configure(self, home: Path, *, fast: int = 20, cap: int = 600) -> None:
        """Write the profile of this test, whole or not at all: a parameter of a strategy, and a cap of the gate."""
        file = home / "config" / "chaos.yaml"
        beside = file.with_suffix(".new")
        beside.write_text(CHAOS_PROFILE.format(fast=fast, cap=cap))
        beside.replace(file)

    @property
    def journals(self) -> Path:
        return self.home("h1") / "var" / "log" / "njord"

    @property
    def services(self) -> list[str]:
        return [f"{name}.main" for name in DAEMONS]

    @property
    def sources(self) -> list[str]:
        return [ingest.instance for ingest in self.ingests]

    @property
    def instances(self) -> list[str]:
        return self.services + self.sources

    def spawn(self, instance: str, host: str = "h1") -> subprocess.Popen[bytes]:
        """Start one process."""
        service = instance.partition(".")[0]
        ingest = next((each for each in self.ingests if each.instance == instance), None)
        arguments = ["--symbol", ingest.symbol, *ingest.arguments] if ingest else []
        home = self.home(host)
        port = self.proxy.port if instance in BEHIND_PROXY and host == "h1" and self.loss else self.server.port
        # A shared kill switch file: both hosts see the same one.
        environment = {
            **os.environ,
            "REDIS_URL": f"redis://127.0.0.1:{port}/0",
            "NJORD__RISK__KILL_SWITCH_FILE": str(self.folder / "halt"),
        }
        command = [sys.executable, "-m", "tests.chaos.service", str(self.journal_bytes), f"apps.{service}"]
        command += ["--config-root", str(home), "--profile", "chaos", "--host", host, *arguments]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=self.out, stderr=self.out)

    def open_exchange(self, *arguments: str) -> None:
        """Start the simulated exchange; killed and started again it stands where a real one would."""
        module = [sys.executable, "-m", "apps.sim_exchange", "--config-root", str(self.home("h1"))]
        self.exchange_command = [*module, *arguments, "--started-at", str(time.time_ns())]
        self.restart_exchange()

    def restart_exchange(self) -> None:
        """Kill it without warning, if it runs, and start it again."""
        if self.exchange is not None:
            self.exchange.kill()
            self.exchange.wait()
        self.exchange = subprocess.Popen(self.exchange_command, cwd=ROOT, stdout=self.out, stderr=self.out)

    def start(self, *instances: str) -> None:
        """Start processes and keep them."""
        for instance in instances:
            self.processes[instance] = self.spawn(instance)

    def kill(self, *instances: str) -> None:
        """End processes without warning and start them again."""
        for instance in instances:
            self.processes[instance].kill()
            self.processes[instance].wait()
            self.start(instance)

    def reap(self, *, restart: bool = True) -> None:
        """Note who has ended, and start them again."""
        for instance, process in self.processes.items():
            code = process.poll()
            if code is not None and process is not self._noted.get(instance):
                self._noted[instance] = process
                self.exits[f"{instance}:{code}"] = self.exits.get(f"{instance}:{code}", 0) + 1
                if restart and not (code == 0 and instance.startswith("md_ingest")):
                    self.processes[instance] = self.spawn(instance)

    def wait(self, seconds: float, until: Callable[[], bool] = lambda: False, *, restart: bool = True) -> bool:
        """Let time pass, restarting who ends, until a condition holds; whether it did."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.reap(restart=restart)
            if until():
                return True
            time.sleep(0.05)
        return until()

    def health(self, instance: str) -> dict[str, Any]:
        """What a process says of itself; empty if it says nothing."""
        try:
            note = json.loads((self.home("h1") / "var" / "run" / f"{instance}.json").read_bytes())
            with urllib.request.urlopen(note["health"], timeout=2) as answer:
                report: dict[str, Any] = json.loads(answer.read())
                return report
        except urllib.error.HTTPError as not_healthy:
            report = json.loads(not_healthy.read())
            return report
        except (OSError, ValueError):
            return {}

    def live(self, *instances: str) -> bool:
        """Whether these say that they are live."""
        return all(self.health(instance).get("state") == "live" for instance in instances or self.processes)

    def restart_server(self, copy: Path | None = None, *, pause_s: float = 0.0) -> None:
        """Kill the server and start it again, on an older copy of its data if given."""
        self.server.kill()
        if copy is not None:
            shutil.rmtree(self.server.directory)
            shutil.copytree(copy, self.server.directory)
        time.sleep(pause_s)
        self.server.start()

    def copy_server_data(self, to: Path) -> None:
        """Keep a copy of the server's files as they are now."""
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.server.directory, to)

    def run_script(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts against this installation."""
        command, environment = self._script(name, *arguments)
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    def kill_script(self, name: str, *arguments: str, after_s: float) -> None:
        """Run one of the scripts, and end it without warning if it has not ended by then."""
        command, environment = self._script(name, *arguments)
        process = subprocess.Popen(command, env=environment, stdout=self.out, stderr=self.out)
        try:
            code = process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        self.exits[f"{name}:{code}"] = self.exits.get(f"{name}:{code}", 0) + 1

    def _script(self, name: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
        command = [sys.executable, str(ROOT / "scripts" / name), "--config-root", str(self.home("h1")), *arguments]
        return command, {**os.environ, "REDIS_URL": self.server.url}

    def terminate(self, seconds: float = 20.0) -> list[str]:
        """Ask all to leave; who did not."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        hung = []
        deadline = time.monotonic() + seconds
        for instance, process in self.processes.items():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                hung.append(instance)
                process.kill()
                process.wait()
        return hung

    def close(self) -> None:
        """End everything, whatever state it is in."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        if self.exchange is not None:
            self.exchange.send_signal(signal.SIGCONT)
            self.exchange.kill()
            self.exchange.wait()
        self.server.send(signal.SIGCONT)
        self.server.kill()
        self.proxy.close()
        self.out.close()
