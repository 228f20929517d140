"""One run from its first process to its last: start, watch, end in order, and say what came of it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field

from apps.run.archive import Note, prepare, read_note, write_note
from apps.run.daemon import Daemon
from apps.run.follow import Follower
from apps.run.leftovers import end_leftovers, require_alone
from apps.run.market import Market, started_at
from apps.run.picture import Picture
from apps.run.server import Server, choose_server
from apps.run.summary import Chapter, Summary
from apps.run.supervisor import SERVICE_ORDER, Supervisor
from apps.run.view import View
from core.config import Config, safe_url
from core.contracts import Instrument
from core.errors import ConfigError, NjordError
from core.topics import ingest_of

REFRESH_S = 0.25
TEND_S = 0.1
CATCH_UP = 30.0, 1.0
"""At the end of a capture: the longest wait for the services, and how long nothing new must have come, s."""
CATCH_UP_STOPPED = 3.0, 0.3
"""The same where somebody waits for the end."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run.

    Attributes:
        config: of every process.
        place: the options that tell every process where the configuration is, and its profile.
        instrument: what is traded.
        market: where its data come from.
        host: the option that names this machine; empty for its own name.
        identity: what makes this run the one that can be gone on with.
        fresh: start over in any case.
        seconds: how long; None for no end.
    """

    config: Config
    place: tuple[str, ...]
    instrument: Instrument
    market: Market
    host: tuple[str, ...]
    identity: dict[str, str]
    fresh: bool = False
    seconds: float | None = None


@dataclass(slots=True)
class Outcome:
    """How it went.

    Attributes:
        why: what ended it, in words.
        ended: whether it was the end of the market.
        failure: the error that ended it; empty for none.
        refused: whether that was a configuration or an option that a process cannot run with.
        summary: its figures; None if it never began.
        restarts: how often a process or the server had to be started again.
        hung: processes that had to be killed at the end.
        remarks: what the user was told on the way.
    """

    why: str = ""
    ended: bool = False
    failure: str = ""
    refused: bool = False
    summary: Summary | None = None
    restarts: int = 0
    hung: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


class Session:
    """The life of one run."""

    def __init__(self, plan: Plan, view: View, picture: Picture) -> None:
        """
        Args:
            plan: what to run.
            view: shows it.
            picture: what is shown.
        """
        self._plan, self._view, self._picture = plan, view, picture
        self._outcome = Outcome()
        self._note = Note(ended=False)
        self._stop = asyncio.Event()
        self._looked = 0.0

    async def run(self) -> Outcome:
        """All of it; whatever fails on the way, what was started is ended.

        Raises:
            ConfigError: it cannot begin.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup means it
                loop.add_signal_handler(number, self._stop.set)
        config = self._plan.config
        last = read_note(config)
        left = await end_leftovers(config, last)
        if left:
            self._remark(f"ended what a killed run had left: {', '.join(left)}")
        server = await choose_server(config, os.environ)
        self._note.arguments = {**self._plan.identity, "server": "own" if server.owned else safe_url(server.url)}
        if server.remark:
            self._remark(server.remark)
        if server.owned:
            require_alone(config)
            done = prepare(config, last, self._note.arguments, fresh=self._plan.fresh)
            if done:
                self._remark(done)
        else:
            ignored = "; --fresh is for a Redis of our own" if self._plan.fresh else ""
            self._remark(f"using the {server.text}: what it holds goes on, nothing is put aside{ignored}")
        await self._with_server(server)
        return self._outcome

    def _remark(self, text: str) -> None:
        self._outcome.remarks.append(text)
        self._picture.tell("note", text)
        self._refresh()

    def _refresh(self) -> None:
        try:
            self._view.refresh(self._picture)
        except OSError:  # nobody reads it any more
            self._stop.set()

    async def _with_server(self, server: Server) -> None:
        config, picture = self._plan.config, self._picture
        chapter = Chapter(config.paths.journal_dir)
        supervisor = self._supervisor(server)
        follower = Follower(server.url, config.redis.cell, picture)
        try:
            await server.start()
            self._save(server, supervisor)
            await follower.poll()
            await self._with_processes(server, supervisor, follower)
        except NjordError as error:
            self._outcome.failure, self._outcome.refused = str(error), isinstance(error, ConfigError)
        finally:
            await supervisor.stop()
            await follower.poll()
            self._refresh()
            await follower.close()
            await server.stop()
        self._outcome.summary = chapter.summarize(picture.instrument.symbol)
        self._outcome.restarts, self._outcome.hung = supervisor.restarts, supervisor.hung
        self._note.pids, self._note.server_pid, self._note.server_url = {}, 0, ""
        write_note(config, self._note)

    def _supervisor(self, server: Server) -> Supervisor:
        plan = self._plan
        environment = {**os.environ, "NJORD__REDIS__URL": server.url}  # wins over REDIS_URL
        run_dir = plan.config.paths.run_dir
        place = (*plan.place, *plan.host)
        market = plan.market
        begun_ns = started_at(plan.instrument.symbol, plan.config.paths.journal_dir, market.times)
        exchange = (*plan.place, *market.exchange, "--started-at", str(begun_ns))
        return Supervisor(
            plan.config,
            server,
            self._picture,
            services=[Daemon(f"{name}.main", place, run_dir, environment) for name in SERVICE_ORDER],
            ingest=Daemon(ingest_of(plan.instrument.symbol), (*place, *market.ingest), run_dir, environment),
            exchange=Daemon("sim_exchange.main", exchange, run_dir, environment) if market.exchange else None,
        )

    def _save(self, server: Server, supervisor: Supervisor) -> None:
        """Note who runs, for the run after one that is killed."""
        self._note.pids = supervisor.pids
        self._note.server_url, self._note.server_pid = (server.url, server.pid) if server.owned else ("", 0)
        write_note(self._plan.config, self._note)

    async def _with_processes(self, server: Server, supervisor: Supervisor, follower: Follower) -> None:
        showing = asyncio.create_task(self._show(supervisor, follower))
        showing.add_done_callback(lambda _: self._stop.set())  # a run that nobody sees ends
        try:
            await supervisor.start(lambda: self._save(server, supervisor), self._stop.is_set)
            await self._watch(server, supervisor)
            await supervisor.stop_source()
            await self._catch_up(supervisor, follower)
        finally:
            showing.cancel()
            with suppress(asyncio.CancelledError):
                await showing

    async def _show(self, supervisor: Supervisor, follower: Follower) -> None:
        while True:
            await self._look(supervisor, follower)
            self._refresh()
            await asyncio.sleep(REFRESH_S)

    async def _look(self, supervisor: Supervisor, follower: Follower) -> None:
        await follower.poll()
        await supervisor.look(follower.lasts)
        self._looked = time.monotonic()

    async def _watch(self, server: Server, supervisor: Supervisor) -> None:
        """Until the market ends, somebody says stop, or the time is over."""
        deadline = None if self._plan.seconds is None else time.monotonic() + self._plan.seconds
        while not supervisor.finished:
            if self._stop.is_set() or (deadline is not None and time.monotonic() > deadline):
                self._outcome.why = "stopped" if self._stop.is_set() else "the time is over"
                return
            before = supervisor.restarts
            await supervisor.tend()
            if supervisor.restarts != before:
                self._save(server, supervisor)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), TEND_S)
        self._outcome.why = "the capture has ended"
        self._outcome.ended = self._note.ended = True

    async def _catch_up(self, supervisor: Supervisor, follower: Follower) -> None:
        """Let the services handle everything: until all have, and nothing new has come for a while."""
        limit_s, quiet_s = CATCH_UP_STOPPED if self._stop.is_set() else CATCH_UP
        deadline = time.monotonic() + limit_s
        quiet_since, upto = time.monotonic(), 0
        while time.monotonic() < deadline:
            await supervisor.tend()
            now = max(follower.lasts.values(), default=0)
            if now != upto or not supervisor.caught_up(follower.lasts):
                quiet_since, upto = time.monotonic(), now
            elif min(time.monotonic(), self._looked) - quiet_since > quiet_s:
                return
            await asyncio.sleep(TEND_S)
        self._remark(f"the services have not caught up within {limit_s:g} s")
