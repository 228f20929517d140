"""A cell in memory with real shells in it, around a handler that counts: what tests of the runtime share."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from core import codec
from core.bus import InMemoryBus
from core.contracts import DenialReason, Event, Halt, Malformed, OrderIntent, Resume, RiskDecision, TradeEvent
from core.errors import BusUnavailable
from core.handler import At, Content, Service, State
from core.runner import Item, Runner
from core.runtime.archive import Archive
from core.runtime.committer import Committer
from core.runtime.observers import Settings, Watch
from core.runtime.reactor import Reactor, Timing
from core.runtime.shell import Pulse, Shell
from core.runtime.status import Status
from core.sequencer.memory import MemoryCell, MemoryServer
from core.sequencer.records import Commit, Committed

QUICK = Pulse(beat=0.002, ping=0.01, silence=5.0, tail=0.002, sync=0.004, trim=1e9, leave=10.0, backoff_max=0.02)
BTC = "BTC/USDT"


class Tally:
    """Answers every intent with how many it has heard, what it was last told, and the market's time."""

    def __init__(self, content: Content) -> None:
        self.factor = content.get("factor", 1)
        self.count = self.broken = self.trades = 0
        self.told = "nothing"

    def on_event(self, event: Event, at: At) -> Sequence[Event]:
        if isinstance(event, (Halt, Resume)):
            self.told = event.reason
        elif isinstance(event, Malformed):
            self.broken += 1
        elif isinstance(event, TradeEvent):
            self.trades += 1
        elif isinstance(event, OrderIntent):
            self.count += 1
            return (RiskDecision(event.intent_id, False, DenialReason.HALTED, self.caps(at)),)
        return ()

    def caps(self, at: At) -> dict[str, str]:
        return {
            "count": str(self.count * self.factor),
            "told": self.told,
            "trades": str(self.trades),
            "broken": str(self.broken),
            "market_ns": str(at.market_ns),
        }

    def snapshot(self) -> State:
        return {"count": self.count, "told": self.told, "trades": self.trades, "broken": self.broken}

    def restore(self, state: State) -> None:
        self.count, self.told = state["count"], state["told"]
        self.trades, self.broken = state["trades"], state["broken"]


class OtherTally(Tally):
    """Counts from another number: what changed code looks like."""

    def caps(self, at: At) -> dict[str, str]:
        return {**super().caps(at), "count": str(self.count + 1000)}


def tally(kind: Callable[[Content], Tally] = Tally, name: str = "risk_engine", exclusive: str = "") -> Service:
    """A service of that handler."""
    return Service(
        name=name,
        inputs=lambda content: content.get("inputs", ["strat.intent"]),
        build=kind,
        exclusive=lambda content: (exclusive,) if exclusive else (),
    )


class Crash(Exception):
    """The process is gone."""


class FaultyCell(MemoryCell):
    """A connection that fails when a test says so.

    Attributes:
        before: called with every commit before it is sent; may raise.
        after: called with every commit that has been answered; may raise.
        gate: calls hang while it is not set.
        acquired: how often it has asked for a lease.
    """

    def __init__(self, server: MemoryServer) -> None:
        super().__init__(server)
        self.before: Callable[[Commit], None] = lambda commit: None
        self.after: Callable[[Commit], None] = lambda commit: None
        self.gate = asyncio.Event()
        self.gate.set()
        self.acquired = 0

    async def acquire(self, instance, *, token, host, ttl_ms, register):
        self.acquired += 1
        return await super().acquire(instance, token=token, host=host, ttl_ms=ttl_ms, register=register)

    async def connect(self) -> None:
        await self.gate.wait()
        await super().connect()

    async def ping(self) -> None:
        await self.gate.wait()
        await super().ping()

    async def renew(self, instance, *, token, ttl_ms):
        await self.gate.wait()
        return await super().renew(instance, token=token, ttl_ms=ttl_ms)

    async def commit(self, commit: Commit) -> Committed:
        await self.gate.wait()
        self.before(commit)
        reply = await super().commit(commit)
        self.after(commit)
        return reply


class Process:
    """One service in its shell."""

    def __init__(
        self, lab: Lab, service: Service, content: Content, *, host: str, watches, timing, pulse, plugins
    ) -> None:
        self.lab, self.service = lab, service.name
        self.instance = f"{service.name}.main"
        lab.write({service.name: content})
        self.mirrored: list[Item] = []
        self.cell = FaultyCell(lab.server)
        self.status = Status(self.instance)
        self.committer = Committer(self.cell, self.instance, 3000, host=host)
        self.reactor = Reactor(
            self.cell,
            Runner(service, self.instance),
            self.committer,
            settings=Settings(service.name, lab.read, service.build, files=lambda: [lab.file], plugins=plugins),
            status=self.status,
            watches=watches,
            timing=timing,
            after_commit=self.mirror,
        )
        self.archive = Archive(self.cell, self.instance, lab.journals, lambda name: name not in lab.gone)
        self.shell = Shell(
            self.cell,
            self.reactor,
            self.committer,
            self.archive,
            status=self.status,
            exclusive=tuple(
                Committer(self.cell, name, 3000, host=host, register=False) for name in service.exclusive(content)
            ),
            pulse=pulse,
        )

    def write(self, content: Content) -> None:
        """Change its part of the configuration on disk."""
        self.lab.write({self.service: content})

    async def mirror(self, items: Sequence[Item]) -> None:
        self.mirrored += items

    async def start(self) -> Process:
        """Run and wait until it is live and has said what it makes of its configuration."""
        said = len(self.lab.lines(f"control.ready.{self.instance}"))
        self.run()
        await eventually(
            lambda: (
                (self.status.state == "live" and len(self.lab.lines(f"control.ready.{self.instance}")) > said)
                or self.task.done()
            )
        )
        if self.task.done():
            self.task.result()
        return self

    def run(self) -> None:
        self.task = asyncio.create_task(self.shell.run())

    async def stop(self) -> None:
        """Ask it to leave and wait until it has."""
        self.shell.stop()
        await asyncio.wait_for(self.task, 10)

    async def kill(self) -> None:
        """End it without letting it say anything."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def ended(self) -> BaseException | None:
        """What ended it."""
        await asyncio.wait([self.task], timeout=10)
        return self.task.exception()


class Lab:
    """The server, the journals, a bus to publish on, and the processes that a test has started."""

    def __init__(
        self, folder: Path, clock_ns: Callable[[], int] | None = None, server: MemoryServer | None = None
    ) -> None:
        self.server = server or MemoryServer(clock_ns)
        self.journals = folder / "journals"
        folder.mkdir(exist_ok=True)
        self.file = folder / "settings.json"
        self.bus = InMemoryBus(self.server)
        self.processes: list[Process] = []
        self.gone: set[str] = set()
        """Instances whose process is known to have ended."""
        self.sent = 0

    def process(
        self,
        service: Service | None = None,
        content: Content | None = None,
        *,
        host: str = "h1",
        watches: Sequence[Watch] = (),
        timing: Timing | None = None,
        pulse: Pulse = QUICK,
        plugins: Callable[[Content], Iterable[str]] = lambda content: (),
    ) -> Process:
        """One more process, not started."""
        made = Process(
            self, service or tally(), content or {}, host=host, watches=watches,
            timing=timing or Timing(reload_s=0.0, watch_s=0.0), pulse=pulse, plugins=plugins,
        )  # fmt: skip
        self.processes.append(made)
        return made

    def write(self, contents: dict[str, Content]) -> None:
        """Change the configuration on disk: the parts of these services."""
        known = self.read()
        written = self.file.stat().st_mtime_ns + 1 if known else 1  # every change is one that can be seen
        self.file.write_bytes(codec.encode_state({**known, **contents}))
        os.utime(self.file, ns=(written, written))

    def read(self) -> dict[str, Content]:
        """The configuration on disk."""
        contents: dict[str, Content] = codec.decode_json(self.file.read_bytes()) if self.file.exists() else {}
        return contents

    async def send(self, count: int = 1) -> None:
        """Publish intents i-1, i-2 and so on."""
        for _ in range(count):
            self.sent += 1
            await self.bus.publish_json("strat.intent", intent(self.sent))

    async def trade(self, ts: int, symbol: str = BTC) -> None:
        """Publish a trade."""
        await self.bus.publish_json(
            f"md.trades.{symbol}", {"symbol": symbol, "price": 1.0, "qty": 1.0, "side": "buy", "ts": ts}
        )

    def lines(self, topic: str) -> list[bytes]:
        """What the server holds of a topic."""
        return [line for _, line in self.server.data.streams.get(topic, [])]

    def decisions(self, *keys: str) -> list[tuple[str, ...]]:
        """Every decision: which intent, and what it says under these keys."""
        decided = [codec.decode(line, RiskDecision) for line in self.lines("risk.decisions")]
        return [(one.intent_id, *(one.caps[key] for key in keys or ("count",))) for one in decided]

    async def decided(self, count: int) -> None:
        """Wait for so many decisions."""
        await eventually(lambda: len(self.lines("risk.decisions")) >= count or self.running()[-1].task.done())

    def running(self) -> list[Process]:
        return [process for process in self.processes if hasattr(process, "task")]

    async def close(self) -> None:
        """End whatever still runs."""
        for process in self.running():
            await process.kill()
        await self.bus.close()


def intent(number: int) -> dict[str, Any]:
    """A whole intent as a payload."""
    return {
        "strategy_id": "s", "symbol": BTC, "side": "buy", "type": "market", "qty": "1", "intent_id": f"i-{number}"
    }  # fmt: skip


def counted(first: int, last: int) -> list[tuple[str, str]]:
    """The decisions that a Tally gives to the intents `first` to `last`."""
    return [(f"i-{number}", str(number)) for number in range(first, last + 1)]


async def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something holds, which it must."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError("it never came to hold")
        await asyncio.sleep(0.001)


class Faults:
    """Raises at the chosen commit of a process, once."""

    def __init__(self, at: int, error: Exception) -> None:
        self.left, self.error = at, error

    def __call__(self, commit: Commit) -> None:
        self.left -= 1
        if self.left == 0:
            raise self.error


def lost() -> BusUnavailable:
    return BusUnavailable("connection lost by the test")
