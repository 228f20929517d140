"""The same handlers in one process: offline runs, replays and parity.

`Kernel.publish` is the sequencer of an offline run: it numbers events itself and lets every answer follow its cause.
`Kernel.deliver` hands over one line that already has its number, and leaves the answers to the caller: that is how a
recorded session is executed again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from core import codec, topics
from core.contracts import ConfigChanged, Event
from core.handler import Content, Service
from core.runner import Item, Message, Runner, item_of


class Produced(NamedTuple):
    """What one instance has answered to one line."""

    instance: str
    items: list[Item]


class Kernel:
    """Several services over one order of events.

    Attributes:
        runners: by instance, in the order in which they hear of an event.
        seq: last number given by `publish`.
    """

    def __init__(self, services: Iterable[Service], ts_ns: Callable[[int], int] = lambda seq: seq * 1000) -> None:
        """
        Args:
            services: what to run; each as its instance "main".
            ts_ns: the sequencer's time of a number, ns UTC; never falling.
        """
        self.runners = {f"{service.name}.main": Runner(service, f"{service.name}.main") for service in services}
        self.seq = 0
        self._ts_ns = ts_ns
        self._n: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def deliver(self, topic: str, line: bytes) -> list[Produced]:
        """Hand a numbered line to everybody who listens; what they answer, nothing where nobody does."""
        header = codec.header_of(line)
        answers = []
        for instance, runner in self.runners.items():
            if topics.covered(runner.inputs, topic):
                items = runner.step(topic, line, header)
                if items:
                    answers.append(Produced(instance, items))
        return answers

    def configure(self, contents: Mapping[str, Content]) -> list[Message]:
        """Give every service its configuration, by service name; what that publishes."""
        published: list[Message] = []
        for instance, runner in self.runners.items():
            content = contents[runner.service.name]
            change = ConfigChanged(instance, content, codec.content_hash(content), "", self.seq + 1)
            published += self.publish(instance, [item_of(change)])
        return published

    def publish(self, source: str, items: Iterable[Item]) -> list[Message]:
        """Number the lines of one commit, hand them over, and do the same with every answer.

        Returns all lines in their order.
        """
        waiting = deque([Produced(source, list(items))])
        published: list[Message] = []
        while waiting:
            commit = waiting.popleft()
            for message in self._number(commit):
                published.append(message)
                waiting.extend(self._observed(commit.instance, *message))
                waiting.extend(self.deliver(*message))
        return published

    def feed(self, source: str, events: Iterable[Event]) -> list[Message]:
        """Publish events of a source, each with everything that follows from it before the next one."""
        published: list[Message] = []
        for event in events:
            published += self.publish(source, [item_of(event)])
        return published

    def _observed(self, instance: str, topic: str, line: bytes) -> list[Produced]:
        runner = self.runners.get(instance)
        if runner is None or not runner.is_observation(topic):
            return []
        items = runner.step(topic, line, codec.header_of(line))
        return [Produced(instance, items)] if items else []

    def _number(self, commit: Produced) -> list[Message]:
        n = self._n[commit.instance] = self._n.get(commit.instance, 0) + 1
        lines: list[Message] = []
        for index, item in enumerate(commit.items):
            self.seq += 1
            line = codec.line_of(
                codec.Header(
                    seq=self.seq,
                    ts=self._ts_ns(self.seq),
                    prev=self._last.get(item.topic, 0),
                    src=commit.instance,
                    cause=item.cause,
                    root=item.root or self.seq,
                    root_ts=item.root_ts or self._ts_ns(self.seq),
                    type=item.type,
                    v=1,
                    n=n,
                    more=len(commit.items) - index - 1,
                ),
                item.body,
            )
            self._last[item.topic] = self.seq
            lines.append((item.topic, line))
        return lines
