"""Executes a recorded session again and compares every output and every memory with what was recorded.

Sources, watermarks and observations are inputs. Every other event is an output: it is compared, and handed on at its
recorded place with its *re-executed* content, so that a difference shows in all that follows from it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from backtest.journals import Line
from core import codec, topics
from core.contracts import ConfigChanged, SessionStarted, StateObserved
from core.errors import CodecError, OutdatedConfig
from core.handler import Content, Service
from core.runner import Item, Runner

DIFFERENCES_KEPT = 100


class Difference(NamedTuple):
    """One output or memory that is not what was recorded.

    Attributes:
        seq: place of the recorded line; of its cause where there is none.
        instance: whose it is.
        topic: of the recorded line.
        recorded: what the journal holds; empty if it holds nothing.
        executed: what the re-execution gave; empty if it gave nothing.
    """

    seq: int
    instance: str
    topic: str
    recorded: str
    executed: str


@dataclass
class Replica:
    """An instance executed again.

    Attributes:
        runner: its handler.
        observations: what its shell had observed and its handler has not heard yet, with the place of each.
        checkpoints: recorded memories that are still to be compared; True where it starts anew from that memory.
        produced: outputs by the number of their cause, that the record has not shown yet.
        handled: how far the record proves that it had handled its inputs.
        outdated: why it is not executed here: the code cannot run with the configuration of that part of the record.
            What it said counts as it stands, until the record starts it anew from a recorded memory.
    """

    runner: Runner
    observations: deque[tuple[int, Line]] = field(default_factory=deque)
    checkpoints: deque[tuple[StateObserved, Line, bool]] = field(default_factory=deque)
    produced: dict[int, deque[Item]] = field(default_factory=dict)
    handled: int = 0
    outdated: str = ""

    def step(self, topic: str, raw: bytes, header: codec.Header) -> None:
        """Hear a line, as far as the code can run with what is recorded."""
        try:
            self.keep(self.runner.step(topic, raw, header))
        except OutdatedConfig as error:
            self._leave_out(error)

    def start_anew(self, state: StateObserved) -> None:
        """Go on from a recorded memory, whatever was executed before."""
        self.produced.clear()
        self.runner = Runner(self.runner.service, self.runner.instance)
        self.outdated = ""
        try:
            self.runner.restore(state.state)
        except OutdatedConfig as error:
            self._leave_out(error)
        self.runner.observed = state.obs_seq

    def _leave_out(self, error: OutdatedConfig) -> None:
        observed = self.runner.observed
        self.produced.clear()
        self.runner = Runner(self.runner.service, self.runner.instance)
        self.runner.observed, self.outdated = observed, str(error)

    def keep(self, items: Iterable[Item]) -> None:
        """Remember outputs until the record shows them."""
        for item in items:
            self.produced.setdefault(item.cause, deque()).append(item)

    def take(self, cause: int) -> Item | None:
        """The next output that answers this cause."""
        waiting = self.produced.get(cause)
        if not waiting:
            return None
        item = waiting.popleft()
        if not waiting:
            del self.produced[cause]
        return item


class Reexecution:
    """One pass over a record.

    Attributes:
        compared: how many outputs and memories.
        differences: the first of them.
        count: all of them.
        replicas: by instance.
        left_out: what could not be executed, and from where on, in words.
    """

    def __init__(
        self, services: Iterable[Service], lines: list[Line], substitutes: Mapping[str, Content] | None = None
    ) -> None:
        """
        Args:
            services: what to execute.
            lines: the record, by number.
            substitutes: configurations by service, in place of the recorded ones.
        """
        self.compared = self.count = 0
        self.differences: list[Difference] = []
        self.left_out: list[str] = []
        self._lines = lines
        known = {line.header.seq for line in lines}
        self._missing = set(range(1, lines[-1].header.seq if lines else 1)) - known
        self._substitutes = substitutes or {}
        self._services = {service.name: service for service in services}
        self.replicas: dict[str, Replica] = {}
        self._index()

    def _index(self) -> None:
        """Collect every instance with its observations and recorded memories."""
        anew: set[str] = set()
        for line in self._lines:
            name = line.header.src
            service = self._services.get(name.partition(".")[0])
            if service is None:
                continue
            replica = self.replicas.setdefault(name, Replica(Runner(service, name)))
            replica.handled = max(replica.handled, line.header.cause)
            if replica.runner.is_observation(line.topic):
                replica.observations.append((codec.before_seq_of(line.raw), line))
            elif line.header.type == SessionStarted.__name__:
                if codec.decode(line.raw, SessionStarted).new_segment:
                    anew.add(name)
            elif line.header.type == StateObserved.__name__:
                state = codec.decode(line.raw, StateObserved)
                replica.checkpoints.append((state, line, name in anew))
                replica.handled = max(replica.handled, state.in_seq)
                anew.discard(name)

    def run(self) -> None:
        """Execute and compare everything."""
        for line in self._lines:
            raw = self._compare_output(line)
            for replica in self.replicas.values():
                self._advance(replica, line.header.seq)
                if topics.covered(replica.runner.inputs, line.topic):
                    self._step(replica, line, raw)
        for replica in self.replicas.values():
            self._advance(replica, 1 << 62)
            self._report_unpublished(replica)

    def _compare_output(self, line: Line) -> bytes:
        """Compare a recorded output with the re-executed one; the line to hand on."""
        header, replica = line.header, self.replicas.get(line.header.src)
        topic = topics.find(line.topic)
        if replica is None or not header.cause or topic is None or topic.role is not topics.Role.OUTPUT:
            return line.raw
        if replica.outdated:
            return line.raw
        self.compared += 1
        item = replica.take(header.cause)
        while item is not None and item.topic != line.topic and header.seq - 1 in self._missing:
            # The record has a hole right here: what was said there is not to be taken for this line.
            self._differ(header.seq - 1, header.src, item.topic, b"", item.body)
            item = replica.take(header.cause)
        body = codec.body_of(line.raw)
        if item is None:
            self._differ(header.seq, header.src, line.topic, body, b"")
            return line.raw
        if (item.topic, item.root, item.body) != (line.topic, header.root, body):
            self._differ(header.seq, header.src, line.topic, body, item.body)
        return codec.line_of(header, item.body) if item.type == header.type else line.raw

    def _advance(self, replica: Replica, seq: int) -> None:
        """Before the input `seq`: hear the observations that belong before it, compare the memories of that place."""
        while True:
            observation = replica.observations[0] if replica.observations else None
            due = observation is not None and observation[0] <= seq
            if replica.checkpoints and self._reached(replica, seq, observation[1] if observation and due else None):
                self._compare_memory(replica, *replica.checkpoints.popleft())
            elif observation is not None and due:
                replica.observations.popleft()
                line = observation[1]
                if replica.outdated:
                    replica.runner.observed = line.header.seq
                else:
                    self._step(replica, line, self._substituted(line))
            else:
                return

    def _step(self, replica: Replica, line: Line, raw: bytes) -> None:
        replica.step(line.topic, raw, line.header)
        self._note(replica, line)

    def _note(self, replica: Replica, line: Line) -> None:
        if replica.outdated:
            self.left_out.append(f"from {line.header.seq} on: {replica.outdated}")

    @staticmethod
    def _reached(replica: Replica, seq: int, observation: Line | None) -> bool:
        state = replica.checkpoints[0][0]
        heard = observation is None or observation.header.seq > state.obs_seq
        return state.in_seq < seq and heard and replica.runner.observed >= state.obs_seq

    def _compare_memory(self, replica: Replica, state: StateObserved, line: Line, anew: bool) -> None:
        if anew:
            replica.start_anew(state)
            self._note(replica, line)
            return
        if replica.outdated:
            return
        self.compared += 1
        recorded, executed = codec.encode_state(state.state), codec.encode_state(replica.runner.snapshot())
        if recorded != executed and not self._substitutes:
            self._differ(line.header.seq, state.instance, line.topic, *_first_change(recorded, executed))

    def _substituted(self, line: Line) -> bytes:
        content = self._substitutes.get(line.header.src.partition(".")[0])
        if content is None or line.header.type != ConfigChanged.__name__:
            return line.raw
        recorded = codec.decode(line.raw, ConfigChanged)
        change = ConfigChanged(
            recorded.instance, content, codec.content_hash(content), recorded.code_hash, recorded.before_seq
        )
        return codec.line_of(line.header, codec.encode(change))

    def _report_unpublished(self, replica: Replica) -> None:
        """Outputs that the record should hold, because it shows that their cause had been handled.

        Where the record ends with a part that cannot be executed, that itself is a difference: nothing was proven.
        """
        if replica.outdated:
            place = self._lines[-1].header.seq
            self._differ(place, replica.runner.instance, "", b"", replica.outdated.encode())
        for cause, items in sorted(replica.produced.items()):
            if cause <= replica.handled:
                for item in items:
                    self.compared += 1
                    self._differ(cause, replica.runner.instance, item.topic, b"", item.body)

    def _differ(self, seq: int, instance: str, topic: str, recorded: bytes, executed: bytes) -> None:
        self.count += 1
        if len(self.differences) < DIFFERENCES_KEPT:
            self.differences.append(Difference(seq, instance, topic, recorded.decode(), executed.decode()))


def _first_change(recorded: bytes, executed: bytes, around: int = 120) -> tuple[bytes, bytes]:
    """The surroundings of the first byte that differs between two memories."""
    same = next((i for i, pair in enumerate(zip(recorded, executed, strict=False)) if pair[0] != pair[1]), 0)
    start = max(0, same - around // 2)
    return _piece(recorded, start, around), _piece(executed, start, around)


def _piece(data: bytes, start: int, length: int) -> bytes:
    return data[start : start + length].decode("utf-8", "replace").encode()


def recorded_configs(lines: Iterable[Line]) -> dict[str, list[ConfigChanged]]:
    """The configurations that each instance ran with, one after the other."""
    found: dict[str, list[ConfigChanged]] = {}
    for line in lines:
        if line.header.type == ConfigChanged.__name__:
            try:
                found.setdefault(line.header.src, []).append(codec.decode(line.raw, ConfigChanged))
            except CodecError:
                continue
    return found
