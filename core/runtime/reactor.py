"""Runs a handler: inputs in the total order, outputs and memory committed with the position that they belong to."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from core import codec, topics
from core.contracts import DeadLetter, Event, SessionStarted, StateObserved
from core.errors import BusUnavailable, CodecError, ReplayMismatch, SequenceGap
from core.runner import Item, Message, Runner, item_of, readable
from core.runtime.committer import Committer
from core.runtime.observers import Settings, Watch
from core.runtime.reload import Place, Reload
from core.runtime.repetition import first_difference
from core.runtime.status import Status
from core.sequencer.port import Cell, Inbox
from core.sequencer.records import Lease
from core.topics import RELOAD

FLUSH_ITEMS = 64
POSITION_EVERY = 500
STATE_EVERY_S = 1.0
READ_WINDOW = 20_000
FOREVER = 1 << 53
SHELLS = "control"
"""How the topics begin that a shell listens to for itself."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Timing:
    """How often, in seconds: state to the journal, settings looked at again, watches asked while nothing comes."""

    state_journal_s: float = 60.0
    reload_s: float = 5.0
    watch_s: float = 1.0


class Reactor:
    """The driver of a handler."""

    def __init__(
        self,
        cell: Cell,
        runner: Runner,
        committer: Committer,
        *,
        settings: Settings,
        status: Status,
        watches: Sequence[Watch] = (),
        timing: Timing | None = None,
        after_commit: Callable[[Sequence[Item]], Awaitable[None]] | None = None,
    ) -> None:
        """
        Args:
            cell: the connection.
            runner: the handler with its market time.
            committer: its commits.
            settings: where its configuration comes from.
            status: what it says of itself.
            watches: what it must observe of the outside.
            timing: how often.
            after_commit: told of everything that was committed; a mirror for others, nothing is decided on it.
        """
        self._cell, self._runner, self._committer = cell, runner, committer
        self._settings, self._status, self._watches = settings, status, watches
        self._timing = timing or Timing()
        self._reload = Reload(cell, self, settings, status, every_s=self._timing.reload_s)
        self._after_commit = after_commit
        self._outputs: list[Item] = []
        self._untold: list[Item] = []
        self._chain: dict[str, int] = {}
        self._base = 0
        self._last_seen: Message | None = None
        self._inbox: Inbox | None = None
        self._stopping = self._dirty = False
        self._committed_in = 0
        self._watch_due = self._state_due = self._journal_due = 0.0

    @property
    def runner(self) -> Runner:
        """The handler with what it runs with."""
        return self._runner

    @property
    def in_seq(self) -> int:
        """The last input handled."""
        return self._committer.in_seq

    @property
    def last_seen(self) -> Message | None:
        """The newest line received."""
        return self._last_seen

    def stop(self) -> None:
        """Finish the event in hand, commit and leave."""
        self._stopping = True
        self.nudge()

    def reload(self) -> None:
        """Look at the settings now."""
        self._reload.look()
        self.nudge()

    def nudge(self) -> None:
        """Let the loop look at the clock."""
        if self._inbox is not None:
            self._inbox.wake()

    # -- recovery

    async def recover(self, lease: Lease, seq: int) -> None:
        """Restore the state, handle again what had been handled behind it, and compare with what was published.

        Raises:
            ReplayMismatch: the same code and configuration gave other outputs.
            SequenceGap: the streams no longer hold what must be handled again.
            BusUnavailable: the connection is lost, or `stop` was called before everything had been handled again.
        """
        self._settings.changed()  # it may have waited long for its lease
        self._runner = runner = Runner(self._runner.service, self._runner.instance, self._settings.content)
        self._chain, self._base = {}, 0
        committer = self._committer
        upto_in, upto_obs = lease.in_seq, lease.obs_seq
        if lease.n == 0:
            upto_in = self._base = seq  # a new service starts now: it does not trade on history
        saved = await self._cell.saved_state(runner.instance)
        if saved is not None:
            runner.restore(codec.decode_json(saved.state))
            self._base = saved.in_seq
        committer.in_seq, committer.obs_seq = self._base, runner.observed
        produced: list[Item] = []
        replayed = 0
        async for topic, line in self._history(upto_in, upto_obs):
            produced += self._step(topic, line, self._next(topic, line, caught_up=False))
            replayed += 1
        if self._stopping:
            raise BusUnavailable("stopped while recovering")  # half a repetition proves nothing and is not to be kept
        new_segment = not await self._repeats(produced, saved.n if saved else 0)
        await self._hear_last_observations()
        new_segment = new_segment or runner.outdated
        await self._reload.start()
        await self._commit([item_of(SessionStarted(runner.instance, committer.host, replayed, new_segment))])
        await self._record_state()
        log.info("recovered", replayed=replayed, outputs=len(produced), new_segment=new_segment, seq=committer.in_seq)

    async def _hear_last_observations(self) -> None:
        """Those committed in the last moment of the process before, whose consequences nobody has committed."""
        for topic, line in await self._own_observations(FOREVER):
            self._outputs += self._step(topic, line, codec.header_of(line))
        await self._flush()

    async def _repeats(self, produced: list[Item], saved_n: int) -> bool:
        """Whether it has said the same again; with other code it need not.

        Raises:
            ReplayMismatch: it has not, under the same code.
        """
        runner = self._runner
        if runner.outdated:
            return False
        what = await first_difference(self._cell, runner, produced, after=self._base, saved_n=saved_n)
        if what and (
            runner.config is None or runner.config.code_hash == self._settings.code_hash(runner.config.content)
        ):
            raise ReplayMismatch(f"{runner.instance} does not repeat itself: {what}")
        if what:
            log.warning("new_segment", reason="the code has changed since", difference=what)
        return not what

    async def _history(self, upto_in: int, upto_obs: int) -> AsyncIterator[Message]:
        """Inputs and own observations behind the position, each in its place, as far as the streams hold them."""
        for topic, line in await self._own_observations(upto_obs):
            before = codec.before_seq_of(line)
            async for message in self._inputs_upto(min(before - 1, upto_in)):
                yield message
            yield topic, line
        async for message in self._inputs_upto(upto_in):
            yield message

    async def _own_observations(self, upto: int) -> list[Message]:
        """In the order of their places, which is also that of their numbers."""
        names = [name for name in await self._cell.last_seqs() if self._runner.is_observation(name)]
        return await self._cell.read(names, self._runner.observed, upto)

    async def _inputs_upto(self, upto: int) -> AsyncIterator[Message]:
        while (after := self._committer.in_seq) < upto and not self._stopping:
            window = min(upto, after + READ_WINDOW)
            inputs = self._runner.inputs
            names = [n for n in await self._cell.last_seqs() if n == RELOAD.name or topics.covered(inputs, n)]
            for message in await self._cell.read(names, after, window):
                yield message
                if self._stopping:
                    return
                if self._runner.inputs != inputs:
                    break  # read on from here, with the new ones
            else:
                self._committer.in_seq = max(self._committer.in_seq, window)

    # -- live

    async def live(self) -> None:
        """Subscribe, catch up to the fence, then handle what comes until `stop`."""
        self._committed_in = self._committer.in_seq
        await self._tell()
        while not self._stopping:
            patterns = self._runner.inputs
            self._inbox = await self._cell.subscribe((*patterns, *self._reload.topics))
            fence = (await self._cell.meta()).seq
            async for topic, line in self._history(fence, fence):
                await self._observe_before([(topic, line)])
                header = self._next(topic, line, caught_up=False)
                if topic == RELOAD.name:
                    await self._reload.switch(Place(topic, line, header))
                else:
                    self._outputs += self._step(topic, line, header)
                if len(self._outputs) >= FLUSH_ITEMS:
                    await self._flush()
            await self._flush()
            await self._reload.caught_up()
            self._status.enter("live")
            while self._runner.inputs == patterns and not self._stopping:
                await self._turn(await self._inbox.take(), fence)
        await self._flush()
        await self._record_state()

    async def _turn(self, messages: list[Message], fence: int) -> None:
        """Handle everything that has come, then look at the clock."""
        inputs = self._runner.inputs
        careful = await self._observe_before(messages)
        for topic, line in messages:
            if careful:
                await self._observe_before([(topic, line)])
            if topic.startswith(SHELLS):
                await self._hear(topic, line, fence)
                careful = await self._observe_before(messages)
            else:
                self._receive(topic, line, fence)
            if len(self._outputs) >= FLUSH_ITEMS:
                await self._flush()
                await self._observe_before(messages)  # the server may have taken its time: what was seen is old
            if self._stopping or self._runner.inputs != inputs:
                break  # what is left is read again, with what the new inputs hold
        await self._flush()
        self._status.in_seq = self._committer.in_seq  # also what has led to nothing yet
        await self._chores()

    async def _hear(self, topic: str, line: bytes, fence: int) -> None:
        """Take a message of those topics that shells listen to as well."""
        if topic == RELOAD.name:
            if (header := self._due(topic, line, fence)) is not None:
                await self._reload.switch(Place(topic, line, header))
        elif not self._reload.rang(topic):
            self._receive(topic, line, fence)

    def _receive(self, topic: str, line: bytes, fence: int) -> None:
        if (header := self._due(topic, line, fence)) is not None:
            self._outputs += self._step(topic, line, header)

    def _due(self, topic: str, line: bytes, fence: int) -> codec.Header | None:
        """The header of a line that has not been handled yet."""
        try:
            header = codec.header_of(line)
        except CodecError as error:
            self.dead_letter(topic, line, error)
            return None
        new = header.seq > fence and header.seq > self._committer.in_seq
        return self._next(topic, line, header, caught_up=True) if new else None

    def _next(self, topic: str, line: bytes, header: codec.Header | None = None, *, caught_up: bool) -> codec.Header:
        """The header of the line that continues its topic.

        Raises:
            BusUnavailable: one is missing on a live connection; the next one catches up from the streams.
            SequenceGap: one is missing in the streams themselves.
        """
        header = header or codec.header_of(line)
        before = self._chain.get(topic)
        first = before is None and header.prev <= self._base
        if not (first or header.prev == before or self._runner.is_observation(topic)):
            missing = f"{topic}: line {header.seq} follows {header.prev}, the last one here was {before}"
            raise BusUnavailable(f"gap on {missing}") if caught_up else SequenceGap(missing)
        return header

    def _step(self, topic: str, line: bytes, header: codec.Header) -> list[Item]:
        committer, runner = self._committer, self._runner
        inputs = runner.inputs if runner.is_observation(topic) else None
        outputs = [] if topic == RELOAD.name else runner.step(topic, line, header)
        if inputs is not None:
            committer.obs_seq = header.seq
            if runner.inputs != inputs:
                self._follow(runner.inputs)
        else:
            self._chain[topic] = committer.in_seq = header.seq
        if header.seq > committer.seen:
            committer.seen, self._last_seen = header.seq, (topic, line)
        self._dirty = True
        return outputs

    def _follow(self, inputs: tuple[str, ...]) -> None:
        """New inputs count from here on; one given up may come back later, with lines that nobody asked for."""
        self._base = self._committer.in_seq
        self._chain = {topic: seq for topic, seq in self._chain.items() if topics.covered(inputs, topic)}

    def dead_letter(self, topic: str, raw: bytes, error: CodecError) -> None:
        """Put aside what cannot be read."""
        self._status.dead_letters += 1
        log.warning("dead_letter", topic=topic, error=str(error))
        self._outputs.append(item_of(DeadLetter(self._runner.instance, topic, str(error), readable(raw))))

    # -- commits

    async def _flush(self) -> None:
        """Commit what the handler has said, then its memory when that is due."""
        outputs, self._outputs = self._outputs, []
        if outputs:
            self._status.dead_letters += sum(item.type == "DeadLetter" and item.cause > 0 for item in outputs)
            await self._commit(outputs)
        state = self._due_state()  # apart, because writing a memory down takes longer than an order should wait
        moved = self._committer.in_seq - self._committed_in
        if state is not None or moved >= POSITION_EVERY:
            await self._commit([], state)

    async def _commit(self, items: list[Item], state: bytes | None = None) -> int:
        self._committed_in = self._committer.in_seq
        self._untold = items
        reply = await self._committer.commit(items, state)
        status, committer = self._status, self._committer
        status.seq, status.in_seq, status.commits = committer.seen, committer.in_seq, committer.commits
        await self._tell()
        return reply.first

    async def _tell(self) -> None:
        """Let the mirror know what has been committed, also where the answer came only with the next connection."""
        items, self._untold = self._untold, []
        if self._after_commit is not None and items:
            await self._after_commit(items)

    def _due_state(self) -> bytes | None:
        now = time.monotonic()
        if not self._dirty or now < self._state_due:
            return None
        self._dirty, self._state_due = False, now + STATE_EVERY_S
        return codec.encode_state(self._runner.snapshot())

    async def _record_state(self) -> None:
        """Commit the memory and let the journals have it too."""
        committer = self._committer
        snapshot = self._runner.snapshot()
        seen = StateObserved(
            self._runner.instance, committer.in_seq, self._runner.observed, committer.n + 1, snapshot
        )  # fmt: skip
        self._dirty, self._journal_due = False, time.monotonic() + self._timing.state_journal_s
        await self._commit([item_of(seen)], codec.encode_state(snapshot))

    # -- the world outside the log

    async def _chores(self) -> None:
        now = time.monotonic()
        if now >= self._watch_due:
            self._watch_due = now + self._timing.watch_s
            for watch in self._watches:
                await self._ask(watch)
        await self._reload.poll(now)
        if now >= self._journal_due and self._dirty:
            await self._flush()
            await self._record_state()

    async def _observe_before(self, messages: Sequence[Message]) -> bool:
        """Ask the watches that must be asked before these inputs; whether one has yet to see them one by one."""
        names = {topic for topic, _ in messages} if self._watches else set()
        for watch in self._watches:
            if any(topics.covered(watch.before, n) for n in names) and (len(messages) == 1 or not watch.careful()):
                await self._ask(watch, messages)
        return any(watch.careful() for watch in self._watches)

    async def _ask(self, watch: Watch, coming: Sequence[Message] = ()) -> None:
        while (event := await watch.observe(self._committer.in_seq + 1, coming)) is not None:
            await self.observe(event)
            watch.told(event)

    async def say(self, event: Event) -> None:
        """Publish what the shell has to say, behind what the handler has said."""
        await self._flush()
        await self._commit([item_of(event)])

    def pass_by(self, place: Place) -> None:
        """Count a line as handled that is none of the handler's."""
        self._step(*place)

    async def observe(self, event: Event, place: Place | None = None) -> None:
        """Commit an observation, then hand it to the handler: nothing outside the log is acted upon unrecorded.

        A line that is passed by with it is in the same commit: no restart comes between the two.
        """
        await self._flush()
        if place is not None:
            self.pass_by(place)
        item = item_of(event)
        seq = await self._commit([item])
        line = await self._cell.entry(item.topic, seq)
        if line is None:
            raise SequenceGap(f"{item.topic} does not hold line {seq}, which was just committed")
        self._outputs += self._step(item.topic, line, codec.header_of(line))
        await self._flush()
