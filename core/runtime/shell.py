"""The one asyncio shell: connection, attestation, lease, journals, heartbeat, signals, around any driver.

A session lasts as long as its connection. Losing it ends everything that hangs on it; the next session compares
histories again before it publishes anything.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog

from core import codec
from core.errors import BusUnavailable, CellMissing, EpochChanged, ForeignCell, HistoryForked, InstanceBusy
from core.runtime.archive import Archive, holds
from core.runtime.committer import Committer
from core.runtime.driver import Driver
from core.runtime.status import Status
from core.runtime.systemd import Notifier
from core.sequencer.port import Cell
from core.sequencer.records import Meta

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pulse:
    """How often and how long, in seconds.

    Attributes:
        beat: the heartbeat, which also wakes the driver.
        ping: proof of both connections, and renewal of the leases.
        silence: a server that does not answer for so long counts as lost.
        tail: journals look at their streams if this process has committed.
        look: they look although it has not: others may have published on names that nobody has declared.
        sync: journals go to the disk.
        trim: streams are trimmed.
        leave: after `stop` it leaves within this, whatever hangs.
        backoff_max: longest wait between two attempts to connect.
    """

    beat: float = 0.25
    ping: float = 1.0
    silence: float = 3.0
    tail: float = 0.02
    look: float = 0.25
    sync: float = 0.1
    trim: float = 30.0
    leave: float = 4.0
    backoff_max: float = 2.0


class Shell:
    """One process's life."""

    def __init__(
        self,
        cell: Cell,
        driver: Driver,
        committer: Committer,
        archive: Archive,
        *,
        status: Status,
        exclusive: tuple[Committer, ...] = (),
        notifier: Notifier | None = None,
        pulse: Pulse | None = None,
    ) -> None:
        """
        Args:
            cell: the connection.
            driver: what runs.
            committer: its commits.
            archive: its journals.
            status: what it says of itself.
            exclusive: leases that it holds besides its own and never commits under.
            notifier: tells systemd.
            pulse: how often.
        """
        self._cell, self._driver, self._committer, self._archive = cell, driver, committer, archive
        self._status, self._exclusive = status, exclusive
        self._notifier = notifier or Notifier({})
        self._pulse = pulse or Pulse()
        self._stop_at: float | None = None
        self._stopped = asyncio.Event()
        self._epoch, self._cell_id = 0, ""
        self._recovered = self._joined = self._complained = False

    def stop(self) -> None:
        """Finish the event in hand, commit and leave; called by signals."""
        if self._stop_at is None:
            self._stop_at = time.monotonic() + self._pulse.leave
            self._status.enter("stopping")
            self._notifier.stopping()
        self._stopped.set()
        self._driver.stop()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop_at is not None

    async def run(self) -> None:
        """Live until stopped or until the driver is done.

        Raises:
            NjordError: it cannot go on; the message says why.
        """
        backoff = 0.02
        try:
            while True:
                try:
                    await self._session()
                    return
                except BusUnavailable as error:
                    if self._recovered:
                        self._status.reconnects += 1
                    self._status.enter("stopping" if self.stopping else "waiting", str(error))
                    log.warning("bus_unavailable", error=str(error))
                    self._complain(str(error))
                if self.stopping:
                    return  # what was committed is safe, and nothing else can be
                self._beat()
                await self._sleep(backoff)
                backoff = min(2 * backoff, self._pulse.backoff_max) if not self._recovered else 0.05
        finally:
            self._archive.close()
            await self._cell.close()

    def _complain(self, reason: str) -> None:
        """Once, on standard error, while it has not begun: whoever has just started it does not look into the log."""
        if not (self._recovered or self._complained or self.stopping):
            self._complained = True
            sys.stderr.write(f"njord: {self._committer.instance} waits: {reason}\n")
            sys.stderr.flush()

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not past a `stop`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()

    async def _session(self) -> None:
        """One connection: the heartbeat bounds every step that waits for the server."""
        self._joined = False
        await self._answered(self._cell.connect())
        await self._until_first(self._life(), self._heartbeat())

    async def _life(self) -> None:
        meta = await self._welcome()
        await self._archive.compare()
        await self._attest(meta)
        await self._join(meta)
        self._epoch, self._cell_id, self._joined = meta.epoch, meta.cell_id, True
        if self.stopping and not self._recovered:
            return
        await self._until_first(self._work(), self._keep_journals(), self._archive.compress())

    async def _work(self) -> None:
        await self._committer.settle()
        if not self._recovered:
            self._status.enter("recovering")
            await self._driver.recover(await self._committer.renew(), (await self._cell.meta()).seq)
            self._recovered = True
            self._notifier.ready()
        await self._driver.live()
        await self._finish()

    async def _finish(self) -> None:
        """Everything that is ours to the journals and the disk, then let go."""
        while await self._archive.tail():
            pass
        await self._archive.sync()
        self._joined = False  # a heartbeat between two releases must not take back what has been let go
        for lease in (*self._exclusive, self._committer):
            await lease.release()

    async def _welcome(self) -> Meta:
        """Look at the cell before saying anything.

        Raises:
            CellMissing: the server is empty, and journals say that it should not be.
            ForeignCell: it is another cell than that of the journals here, or of this process.
            HistoryForked, EpochChanged: it is not the history that this process knows.
        """
        meta = await self._cell.meta()
        if meta.epoch == 0 and self._epoch == 0 and self._archive.is_empty():
            await self._cell.create()
            meta = await self._cell.meta()
        if meta.epoch == 0:
            raise CellMissing("the server holds no cell although journals exist: run scripts/njord_restore.py")
        if meta.cell_id != (self._cell_id or meta.cell_id):
            raise ForeignCell(f"the server now holds cell {meta.cell_id}, this process belongs to {self._cell_id}")
        self._archive.claim(meta.cell_id)
        if meta.forked:
            raise HistoryForked(f"the cell is closed by a fork: {meta.forked}; run scripts/njord_restore.py")
        if self._epoch and meta.epoch != self._epoch:
            raise EpochChanged(f"the cell is in epoch {meta.epoch}, this process started in {self._epoch}")
        await self._compare_memory(meta)
        return meta

    async def _compare_memory(self, meta: Meta) -> None:
        """The newest line that this process has seen must be there, byte for byte."""
        found = ""
        if self._committer.seen > meta.seq:
            found = f"{self._committer.instance} has seen {self._committer.seen}, the server only has {meta.seq}"
        elif self._driver.last_seen is not None and not await holds(self._cell, *self._driver.last_seen):
            topic, line = self._driver.last_seen
            found = f"{self._committer.instance} has seen another line {codec.seq_of(line)} on {topic}"
        if found:
            await self._cell.mark_forked(found)
            raise HistoryForked(f"{found}; run scripts/njord_restore.py")

    async def _attest(self, meta: Meta) -> None:
        """Say that the history agrees, and wait until every registered instance has said so."""
        complain_at = time.monotonic() + 2.0
        while not await self._cell.attest(self._committer.instance, meta.run_id):
            await self._archive.vouch(self._committer.host, meta.run_id)
            self._status.enter("waiting", "for every registered instance to attest this server start")
            if time.monotonic() > complain_at:
                log.warning("waiting_for_attestation", hint="scripts/njord_cell.py status names who is missing")
                complain_at += 10.0
            self._leave_if_stopping()
            await asyncio.sleep(0.02)
            meta = await self._welcome()

    async def _join(self, meta: Meta) -> None:
        said = False
        while True:
            try:
                for lease in (*self._exclusive, self._committer):
                    await lease.join(meta)
            except InstanceBusy as error:
                if not said:
                    log.warning("standing_by", reason=str(error))
                    self._complain(str(error))
                said = True
                self._status.enter("waiting", str(error))
                self._leave_if_stopping()
                await asyncio.sleep(0.1)
            else:
                return

    def _leave_if_stopping(self) -> None:
        if self.stopping:
            raise BusUnavailable("stopped before it could start")

    def _beat(self) -> None:
        self._status.beat = time.monotonic()
        self._status.journalled = self._archive.lines
        self._notifier.alive()

    async def _heartbeat(self) -> None:
        ping_at = time.monotonic() + self._pulse.ping
        trim_at = time.monotonic() + self._pulse.trim
        while True:
            await asyncio.sleep(self._pulse.beat)
            self._beat()
            self._driver.nudge()
            now = time.monotonic()
            if self._stop_at is not None and now > self._stop_at:
                raise BusUnavailable("the server was too slow for an orderly stop")
            if now >= ping_at:
                ping_at = now + self._pulse.ping
                await self._answered(self._ping())
            if now >= trim_at:
                trim_at = now + self._pulse.trim
                await self._answered(self._archive.trim())

    async def _ping(self) -> None:
        await self._cell.ping()
        for lease in (*self._exclusive, self._committer):
            if self._joined:
                await lease.renew()

    async def _answered(self, call: Coroutine[Any, Any, object]) -> None:
        """Await what a living server answers soon; while stopping there is only what is left of the time.

        Raises:
            BusUnavailable: it did not.
        """
        patience = self._pulse.silence
        if self._stop_at is not None:
            patience = min(patience, max(0.0, self._stop_at - time.monotonic()))
        try:
            async with asyncio.timeout(patience):
                await call
        except TimeoutError:
            raise BusUnavailable(f"Redis has been silent for {patience:.1f} s") from None

    async def _keep_journals(self) -> None:
        sync_at = look_at = 0.0
        tailed = 0
        while True:
            await asyncio.sleep(self._pulse.tail)
            if self._committer.commits != tailed or time.monotonic() >= look_at:
                tailed, look_at = self._committer.commits, time.monotonic() + self._pulse.look
                await self._archive.tail()
            if time.monotonic() >= sync_at:
                sync_at = time.monotonic() + self._pulse.sync
                await self._archive.sync()

    @staticmethod
    async def _until_first(*work: Coroutine[Any, Any, None]) -> None:
        """Run all; when the first of them ends or fails, end the others and pass on how it went."""
        tasks = [asyncio.create_task(each) for each in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError, BusUnavailable):
                    await task
        for task in done:
            task.result()
