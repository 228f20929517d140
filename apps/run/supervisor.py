"""Starts the processes in the order of their dependence, keeps them alive, ends them in the right order.

A process that was killed is started again: it recovers exactly. One that has given up says why, and starting it again
would only repeat it: everything ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apps.run.alerts import Alerts
from apps.run.daemon import Daemon
from apps.run.picture import Picture, Row
from apps.run.server import Server
from backtest.services import SERVICES
from core import topics
from core.cli import EXIT_USAGE
from core.config import Config, content_for
from core.errors import ConfigError, NjordError

SERVICE_ORDER = ("portfolio_manager", "paper_trader", "risk_engine", "strategy_runner", "ohlcv_aggregator")
LIVE_S = 60.0
RESTARTS_MAX = 5
POLL_S = 0.05
AGREE_S = 2.0
"""How long the services take to agree on a changed configuration, after the last of them has looked at it."""


class Supervisor:
    """The processes of one run.

    Attributes:
        services: the daemons that react, in their order.
        ingest: the source.
        exchange: the simulated exchange; None without one.
        restarts: how often anything had to be started again.
        hung: who had to be killed at the end.
    """

    def __init__(
        self,
        config: Config,
        server: Server,
        picture: Picture,
        *,
        services: Sequence[Daemon],
        ingest: Daemon,
        exchange: Daemon | None = None,
    ) -> None:
        """
        Args:
            config: of the run.
            server: its Redis.
            picture: where to tell what happens.
            services: in the order in which they start.
            ingest: started behind them.
            exchange: the venue that the ingest reads from, started first; None where it is somebody else's.
        """
        self.services, self.ingest, self.exchange = tuple(services), ingest, exchange
        self.restarts = 0
        self.hung: list[str] = []
        self._server, self._picture = server, picture
        self._stopping: set[str] = set()
        self._health: dict[str, dict[str, Any]] = {}
        self._known: dict[str, dict[str, Any]] = {}
        self._alerts = Alerts(picture, ingest.instance, patience_s=config.runtime.reload_every_s + AGREE_S)
        self._inputs = {
            f"{service.name}.main": tuple(service.inputs(content_for(service.name, config))) for service in SERVICES
        }

    @property
    def daemons(self) -> tuple[Daemon, ...]:
        """All, in the order in which they start."""
        first = () if self.exchange is None else (self.exchange,)
        return (*first, *self.services, self.ingest)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by instance."""
        return {daemon.instance: daemon.pid for daemon in self.daemons if daemon.started}

    @property
    def finished(self) -> bool:
        """Whether the source has come to its end."""
        return self.ingest.code == 0

    # -- starting

    async def start(self, started: Callable[[], None], stopping: Callable[[], bool]) -> None:
        """Start all, each when those before it are live; returns when all are.

        A process that waits does not hold up the others: on a server that was started again, each waits for all.

        Args:
            started: called after each start.
            stopping: whether to give up.

        Raises:
            NjordError: one of them has ended or does not become live.
        """
        for states in (("live", "waiting"), ("live",)):
            for daemon in self.daemons:
                if not daemon.started:
                    daemon.start()
                    started()
                await self._wait_for(daemon, states, stopping)
                if stopping():
                    return

    async def _wait_for(self, daemon: Daemon, states: Sequence[str], stopping: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIVE_S
        said: dict[str, Any] = {}
        while not stopping() and not (daemon is self.ingest and self.finished):
            await self.tend()
            said = await daemon.health() or said
            if said.get("state") in states:
                return
            if time.monotonic() > deadline:
                state = f"{said.get('state', 'silent')} {said.get('detail', '')}".strip()
                raise NjordError(f"{daemon.instance} is not live after {LIVE_S:g} s: {state}")
            await asyncio.sleep(POLL_S)

    # -- keeping alive

    async def tend(self) -> None:
        """Start again whoever was killed.

        Raises:
            ConfigError: somebody cannot run with the configuration or its options.
            NjordError: somebody has given up for another reason, or is killed too often.
        """
        if self._server.dead:
            self._picture.tell("process", "Redis was killed; starting it again on its data", good=False)
            self._count("Redis", await self._server.restart())
        for daemon in self.daemons:
            if daemon.code is not None and daemon.instance not in self._stopping:
                self._revive(daemon)

    def _revive(self, daemon: Daemon) -> None:
        if not daemon.ended_by:
            if daemon is self.ingest and daemon.code == 0:
                return
            text = f"{daemon.instance} has stopped (exit {daemon.code}): {daemon.last_error()}"
            raise ConfigError(text) if daemon.code == EXIT_USAGE else NjordError(text)
        self._picture.tell(
            "process", f"{daemon.instance} was killed ({daemon.ended_by}); starting it again", good=False
        )
        self._count(daemon.instance, daemon.restart())

    def _count(self, name: str, lately: int) -> None:
        self.restarts += 1
        if lately > RESTARTS_MAX:
            raise NjordError(f"{name} was killed {lately} times in 60 s; starting it again does not help")

    # -- looking

    async def look(self, lasts: Mapping[str, int]) -> None:
        """Ask all for their health and put it into the picture.

        Args:
            lasts: every topic with its last number, taken before.
        """
        asked = await asyncio.gather(*(daemon.health() for daemon in self.daemons))
        self._health = {daemon.instance: report for daemon, report in zip(self.daemons, asked, strict=True)}
        self._known.update({name: report for name, report in self._health.items() if report})
        self._alerts.look(time.monotonic(), self._known)
        self._picture.rows = [self._row(daemon, lasts) for daemon in self.daemons]
        self._picture.server = self._server.text + (f", restarts {n}" if (n := len(self._server.restarts)) else "")

    def _row(self, daemon: Daemon, lasts: Mapping[str, int]) -> Row:
        said = self._known.get(daemon.instance, {})  # the last figures of one that has ended stay
        if not daemon.started:
            state = "-"
        elif daemon.code is not None:
            ended = "stopped" if daemon.instance in self._stopping else "finished"
            state = ended if daemon.code == 0 else "down"
        else:
            state = self._health[daemon.instance].get("state", "silent" if said else "starting")
        return Row(
            daemon.instance, state, said.get("seq", 0), self._lag(daemon.instance, said, lasts),
            said.get("journalled", 0), said.get("dead_letters", 0), len(daemon.restarts),
        )  # fmt: skip

    def _lag(self, instance: str, said: Mapping[str, Any], lasts: Mapping[str, int]) -> int:
        patterns = self._inputs.get(instance, ())
        due = max((seq for name, seq in lasts.items() if topics.covered(patterns, name)), default=0)
        return max(0, due - said["in_seq"]) if "in_seq" in said else 0

    def caught_up(self, lasts: Mapping[str, int]) -> bool:
        """Whether every service has handled everything that it listens to, as of the last look."""
        reports = {daemon.instance: self._health.get(daemon.instance, {}) for daemon in self.services if daemon.started}
        return all(
            report.get("state") == "live" and not self._lag(instance, report, lasts)
            for instance, report in reports.items()
        )

    # -- ending

    async def stop_source(self) -> None:
        """End the source alone."""
        await self._stop(self.ingest)

    async def stop(self) -> None:
        """End everybody, those first on whom nobody waits any more."""
        for daemon in reversed(self.daemons):
            await self._stop(daemon)

    async def _stop(self, daemon: Daemon) -> None:
        self._stopping.add(daemon.instance)
        if not await daemon.stop():
            self.hung.append(daemon.instance)
