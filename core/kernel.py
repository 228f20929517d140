"""The same handlers in one process: offline runs, replays and parity.

`Kernel.publish` is the sequencer of an offline run: it numbers events itself and lets every answer follow its cause.
`Kernel.deliver` hands over one line that already has its number, and leaves the answers to the caller: that is how a
recorded session is executed again.

Functions may listen beside the services, and see what is about to be published. As with handlers, a run can only be
repeated if they are deterministic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from core import codec, topics
from core.contracts import ConfigChanged, Event
from core.errors import CodecError
from core.handler import Content, Service
from core.runner import Item, Message, Runner, item_of
from core.warm_up import LastBars, answer, due


class Produced(NamedTuple):
    """What one instance has answered to one line."""

    instance: str
    items: list[Item]


class Token(NamedTuple):
    """Stands for one subscription of a kernel; what `unsubscribe` takes.

    Attributes:
        number: in the order of subscribing, from 1.
    """

    number: int


Listener = Callable[[Event, codec.Header], Sequence[Event]]
"""Hears an event with its header; what it returns is published as its answer."""

Middleware = Callable[[str, Event], Event | None]
"""Sees who is about to publish what: returns the event to let it pass, another one in its place, or None to drop it."""


@dataclass(frozen=True, slots=True)
class _Hearer:
    token: Token
    instance: str
    priority: int
    inputs: Callable[[], Iterable[str]]
    step: Callable[[str, bytes, codec.Header], list[Item]]


class Kernel:
    """Several services over one order of events.

    Attributes:
        runners: by instance.
        tokens: the subscriptions of the services, by instance.
        seq: last number given by `publish`.
        dropped: how many events a middleware has kept from being published.
    """

    def __init__(
        self,
        services: Iterable[Service],
        ts_ns: Callable[[int], int] = lambda seq: seq * 1000,
        *,
        priorities: Mapping[str, int] | None = None,
        history: LastBars | None = None,
    ) -> None:
        """
        Args:
            services: what to run; each as its instance "main".
            ts_ns: the sequencer's time of a number, ns UTC; never falling.
            priorities: by service name, 0 where missing. Of those that listen to an event the one with the highest
                hears it first, and its answers come first; among equals, whoever was there first.
            history: where handlers get the bars that they want from before the run; without it they get none.
        """
        self.runners = {f"{service.name}.main": Runner(service, f"{service.name}.main") for service in services}
        self.seq = 0
        self.dropped = 0
        self._ts_ns = ts_ns
        self._n: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._given = 0
        self._hearers: list[_Hearer] = []
        self._middleware: dict[Token, Middleware] = {}
        self._history = history
        self.tokens: dict[str, Token] = {}
        for instance, runner in self.runners.items():
            token, priority = self._token(), (priorities or {}).get(runner.service.name, 0)
            self.tokens[instance] = token
            self._add(_Hearer(token, instance, priority, _inputs_of(runner), runner.step))

    # -- who listens

    def subscribe(self, pattern: str, listener: Listener, *, priority: int = 0) -> Token:
        """Let a function hear a topic, or all that match a pattern, from the next line on.

        Its answers are published by "listener.<number of its token>". A line that is no event is not handed to it.
        """
        token = self._token()
        self._add(_Hearer(token, f"listener.{token.number}", priority, lambda: (pattern,), _answering(listener)))
        return token

    def intercept(self, middleware: Middleware) -> Token:
        """Let a function see every event before `publish` numbers it, in the order of these calls.

        Sources, answers, configuration: whatever has a topic. What it puts in an event's place keeps the cause.
        """
        token = self._token()
        self._middleware[token] = middleware
        return token

    def unsubscribe(self, token: Token) -> None:
        """End a subscription or a middleware with the next line; one that has ended already is left alone."""
        self._middleware.pop(token, None)
        self._hearers = [hearer for hearer in self._hearers if hearer.token != token]
        for instance in [name for name, given in self.tokens.items() if given == token]:
            del self.tokens[instance], self.runners[instance]

    def _token(self) -> Token:
        self._given += 1
        return Token(self._given)

    def _add(self, hearer: _Hearer) -> None:
        self._hearers = sorted([*self._hearers, hearer], key=lambda each: -each.priority)  # equals stay in their order

    # -- the order

    def deliver(self, topic: str, line: bytes) -> list[Produced]:
        """Hand a numbered line to everybody who listens; what they answer, nothing where nobody does."""
        header = codec.header_of(line)
        answers = []
        for hearer in self._hearers:
            if topics.covered(hearer.inputs(), topic):
                items = hearer.step(topic, line, header)
                if items:
                    answers.append(Produced(hearer.instance, items))
        return answers

    def configure(self, contents: Mapping[str, Content]) -> list[Message]:
        """Give every service its configuration, by service name; what that publishes."""
        published: list[Message] = []
        for instance, runner in tuple(self.runners.items()):
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
                for instance, warm_up in self._warm_ups(message):
                    published.append(warm_up)
                    waiting.extend(self._observed(instance, *warm_up))
                waiting.extend(self._observed(commit.instance, *message))
                waiting.extend(self.deliver(*message))
        return published

    def _warm_ups(self, message: Message) -> Iterator[tuple[str, Message]]:
        """What handlers want from before this line, numbered behind it and to be handed over before it."""
        if self._history is None:
            return
        seq = codec.seq_of(message[1])
        for instance, runner in tuple(self.runners.items()):
            heard = [message] if topics.covered(runner.inputs, message[0]) else []
            for need, now_ns in due(runner.handler, heard, seq):
                event = answer(instance, need, self._history, now_ns, seq)
                for warm_up in self._number(Produced(instance, [item_of(event)])):
                    yield instance, warm_up

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
        items = self._passed(commit)
        if not items:
            return []
        n = self._n[commit.instance] = self._n.get(commit.instance, 0) + 1
        lines: list[Message] = []
        for index, item in enumerate(items):
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
                    more=len(items) - index - 1,
                ),
                item.body,
            )
            self._last[item.topic] = self.seq
            lines.append((item.topic, line))
        return lines

    def _passed(self, commit: Produced) -> list[Item]:
        """What the middleware leaves of a commit."""
        if not self._middleware:
            return commit.items
        passed = [self._pass(commit.instance, item) for item in commit.items]
        return [item for item in passed if item is not None]

    def _pass(self, source: str, item: Item) -> Item | None:
        kind = topics.event_type(item.type)
        if kind is None:
            return item  # a free payload is no event
        event = original = codec.decode(item.body, kind)
        for middleware in tuple(self._middleware.values()):
            passed = middleware(source, event)
            if passed is None:
                self.dropped += 1
                return None
            event = passed
        if event is original:
            return item
        return item_of(event)._replace(cause=item.cause, root=item.root, root_ts=item.root_ts)


def _inputs_of(runner: Runner) -> Callable[[], Iterable[str]]:
    return lambda: runner.inputs  # another configuration asks for others


def _answering(listener: Listener) -> Callable[[str, bytes, codec.Header], list[Item]]:
    def step(topic: str, line: bytes, header: codec.Header) -> list[Item]:
        try:
            event = codec.decode_line(line, header)
        except CodecError:
            return []
        return [item_of(answer, header) for answer in listener(event, header)]

    return step
