"""A source in its shell: each trade once and in order, whatever happens to process, connection or server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from core import codec
from core.contracts import DeadLetter, TradeEvent, Watermark
from core.errors import ConfigError, HistoryForked
from core.market.source import PAUSE, Counts, Due
from core.runtime.archive import Archive
from core.runtime.committer import Committer
from core.runtime.feeder import Feeder
from core.runtime.intake import LiveIntake, PacedIntake
from core.runtime.shell import Shell
from core.runtime.status import Status
from core.sequencer.memory import MemoryServer
from tests.runtime_lab import BTC, QUICK, Crash, Faults, FaultyCell, eventually, lost

ME = "md_ingest.BTCUSDT"
TRADES = 24


class Numbers:
    """Trades 1 to 24 with a watermark behind every eighth, a broken message before the fifth, in commits of three."""

    def __init__(self):
        self.counts = Counts()

    def records(self, resume):
        done = int(resume.trades[-1].trade_id) if resume.trades else 0
        marked = resume.watermarks[-1].market_ns // 10**9 if resume.watermarks else 0
        for number in range(1, TRADES + 1):
            if number == 5 and not resume.dead_letters:
                yield Due(number, (), DeadLetter(ME, "capture", "torn", "{"))
            if number > done:
                yield Due(number, (TradeEvent(BTC, 100.0, 1.0, "buy", number, str(number)),))
            if number % 8 == 0 and number // 8 > marked:
                yield Due(number, (Watermark(BTC, number // 8 * 10**9),))
            if number % 3 == 0:
                yield PAUSE


class Ingest:
    """One feeder in its shell."""

    def __init__(self, server, folder, *, speed=None, lag_max=1000, host="h1", source=Numbers):
        self.cell = FaultyCell(server)
        self.status = Status(ME)
        committer = Committer(self.cell, ME, 3000, host=host)
        self.feeder = Feeder(
            self.cell, PacedIntake(source, speed), committer, symbol=BTC, status=self.status, lag_max=lag_max
        )  # fmt: skip
        archive = Archive(self.cell, ME, folder)
        self.shell = Shell(self.cell, self.feeder, committer, archive, status=self.status, pulse=QUICK)

    async def run(self):
        """Until it ends; what ended it."""
        try:
            await asyncio.wait_for(self.shell.run(), 20)
        except (Crash, HistoryForked, ConfigError) as error:
            return error
        return None


def trades(server):
    return [codec.decode(line, TradeEvent).trade_id for _, line in server.data.streams.get("md.trades.BTC/USDT", [])]


def others(server):
    watermarks = [codec.decode(line, Watermark) for _, line in server.data.streams["clock.market.BTC/USDT"]]
    letters = server.data.streams[f"control.dead_letter.{ME}"]
    return [mark.market_ns // 10**9 for mark in watermarks], len(letters)


ALL = [str(number) for number in range(1, TRADES + 1)]


@pytest.mark.parametrize("kind", ["kill before", "kill after", "lost before", "lost after"])
async def test_a_fault_at_any_commit_loses_and_doubles_no_trade(tmp_path, kind):
    """Whichever commit fails, in whatever way, the stream and the journal hold every trade once and in order."""
    at, reached = 0, True
    while reached:
        at += 1
        server, folder = MemoryServer(), tmp_path / str(at)
        first = Ingest(server, folder)
        faults = Faults(at, Crash() if kind.startswith("kill") else lost())
        setattr(first.cell, kind.split()[1], faults)
        ended = await first.run()
        reached = faults.left <= 0
        if ended is not None:
            assert isinstance(ended, Crash)
            assert trades(server) == ALL[: len(trades(server))]
            assert await Ingest(server, folder).run() is None
        assert trades(server) == ALL
        assert others(server) == ([1, 2, 3], 1)
        journal = (folder / "md.trades.BTCUSDT.ndjson").read_bytes().splitlines()
        assert journal == [line for _, line in server.data.streams["md.trades.BTC/USDT"]]
    assert at > 8


async def test_a_finished_source_started_again_publishes_nothing(tmp_path):
    """The capture has ended; starting it again finds everything published."""
    server = MemoryServer()
    for _ in range(3):
        assert await Ingest(server, tmp_path).run() is None
    assert trades(server) == ALL
    assert others(server) == ([1, 2, 3], 1)


async def test_a_server_restart_in_the_middle_loses_and_doubles_no_trade(tmp_path):
    """The server goes away with a commit unanswered and comes back with all its data."""
    server = MemoryServer()
    ingest = Ingest(server, tmp_path)
    restarts: list[int] = []

    def restart(commit):
        if len(restarts) < 3 and len(trades(server)) > 6 * len(restarts):
            restarts.append(len(trades(server)))
            server.restart()
            raise lost()

    ingest.cell.after = restart
    assert await ingest.run() is None
    assert len(restarts) == 3
    assert trades(server) == ALL


async def test_a_server_with_older_data_stops_the_source(tmp_path):
    """What was published is gone: the source must not publish behind it as if nothing had happened."""
    server = MemoryServer()
    ingest = Ingest(server, tmp_path)
    disk: list[Any] = []

    def restart(commit):
        if not disk and len(trades(server)) > 6:
            disk.append(server.copy_of_disk())
        elif disk and len(trades(server)) > 12:
            server.restart(disk[0])
            raise lost()

    ingest.cell.after = restart
    assert isinstance(await ingest.run(), HistoryForked)
    assert server.data.forked


async def test_a_source_that_cannot_be_opened_ends_the_process_with_the_reason(tmp_path):
    """A missing capture is no reason to try for ever."""

    def missing():
        raise ConfigError("capture: there is no such file")

    ended = await Ingest(MemoryServer(), tmp_path, source=missing).run()
    assert isinstance(ended, ConfigError)


async def test_at_full_speed_it_waits_for_the_slowest_service(tmp_path, monkeypatch):
    """A registered service that handles nothing holds the source back until it has caught up."""
    monkeypatch.setattr("core.runtime.publishing.LAG_EVERY", 1)
    server = MemoryServer()
    slow = FaultyCell(server)
    await slow.connect()
    await slow.create()
    reader = Committer(slow, "risk_engine.main", 3_600_000)
    await reader.join(await slow.meta())
    ingest = Ingest(server, tmp_path, lag_max=6)
    run = asyncio.create_task(ingest.run())
    seen = 0
    while not run.done():
        behind = len(trades(server))
        if behind == seen:  # it has stopped: the service moves on
            reader.in_seq = server.data.seq
            await reader.commit([])
        assert server.data.seq - reader.in_seq <= 6 + 3 + 1 + 8  # the lag, one commit, its session, up to a watermark
        seen = behind
        for _ in range(20):
            await asyncio.sleep(0.0005)
    assert await run is None
    assert trades(server) == ALL


class Unheard:
    """Thirty lines that cannot be read, and nothing else."""

    counts = Counts()

    def records(self, resume):
        for number in range(len(resume.dead_letters), 30):
            yield Due(number, (), DeadLetter(ME, "capture", "torn", "{"))
            yield PAUSE


async def test_at_full_speed_lines_that_no_service_hears_hold_nobody_up(tmp_path, monkeypatch):
    """A capture full of broken lines ends: a service does not move on by what it does not hear."""
    monkeypatch.setattr("core.runtime.publishing.LAG_EVERY", 1)
    server = MemoryServer()
    idle = FaultyCell(server)
    await idle.connect()
    await idle.create()
    reader = Committer(idle, "risk_engine.main", 3_600_000)
    await reader.join(await idle.meta())
    assert await Ingest(server, tmp_path, lag_max=6, source=Unheard).run() is None
    assert len(server.data.streams[f"control.dead_letter.{ME}"]) == 30


async def test_a_stop_in_the_middle_leaves_with_whole_commits(tmp_path):
    """Told to stop, it commits what is at hand; the next start gives the rest."""
    server = MemoryServer()
    ingest = Ingest(server, tmp_path)

    def stop(commit):
        if len(trades(server)) >= 9:
            ingest.shell.stop()

    ingest.cell.after = stop
    assert await ingest.run() is None
    assert trades(server) == ALL[: len(trades(server))]
    assert 9 <= len(trades(server)) < TRADES
    assert await Ingest(server, tmp_path).run() is None
    assert trades(server) == ALL


async def test_pacing_goes_by_the_recording(tmp_path):
    """At a thousandth of a nanosecond per second nothing behind the first trade comes due."""
    server = MemoryServer()
    ingest = Ingest(server, tmp_path, speed=1e-12)
    run = asyncio.create_task(ingest.run())
    await eventually(lambda: ingest.status.state == "live" and len(trades(server)) == 1)
    ingest.shell.stop()
    assert await run is None
    assert trades(server) == ["1"]


class Farewell:
    """A live source that brings nothing and takes its time to leave."""

    counts = Counts()

    def __init__(self):
        self.running, self.leave, self.left = asyncio.Event(), asyncio.Event(), False

    async def run(self, resume, outlet):
        try:
            self.running.set()
            await asyncio.Event().wait()
        finally:
            leaving = asyncio.create_task(self.leave.wait())
            while not leaving.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.shield(leaving)
            self.left = True


@pytest.mark.parametrize("cancels", [0, 1, 2])
async def test_a_live_source_is_waited_for_and_no_cancel_is_lost(cancels):
    """What it has to let go of is let go of, and whoever canceled this hears of it: also in the midst of leaving."""
    source, stop = Farewell(), asyncio.Event()

    async def session():
        async with LiveIntake(source).running(asyncio.Event()):
            await stop.wait()

    task = asyncio.create_task(session())
    await source.running.wait()
    stop.set()
    for _ in range(cancels):
        for _ in range(10):
            await asyncio.sleep(0)
        task.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()
    source.leave.set()
    await asyncio.wait([task])
    assert source.left
    assert task.cancelled() == (cancels > 0)
