"""The deterministic part of a shell: lines in, items to commit out.

Live, kernel and parity run handlers through this class and nothing else, so that decoding, market time, causes and the
change of configuration cannot differ between them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from core import codec, topics
from core.contracts import ConfigChanged, DeadLetter, Event, Malformed, TradeEvent, Watermark
from core.contracts.market import BookEvent, OHLCVBar, TickerEvent
from core.errors import CodecError, OutdatedConfig
from core.handler import At, Content, Handler, Service

RAW_MAX = 2000

Message = tuple[str, bytes]
"""Topic and line, or whatever else somebody has published there."""


class Item(NamedTuple):
    """One line to be committed: where to, what, and why.

    Attributes:
        topic: the channel.
        type: the event's class name.
        cause: `_seq` of the input it answers, 0 for none.
        root: `_seq` of the first cause, 0 if it is one itself.
        root_ts: sequencer time of the first cause, ns UTC, 0 likewise.
        body: the event, encoded.
    """

    topic: str
    type: str
    cause: int
    root: int
    root_ts: int
    body: bytes


def item_of(event: Event, cause: codec.Header | None = None) -> Item:
    """The item that publishes an event."""
    root = (cause.seq, cause.root, cause.root_ts) if cause else (0, 0, 0)
    return Item(topics.topic_of(event), type(event).__name__, *root, codec.encode(event))


class Runner:
    """A service's handler with its market time and its configuration."""

    def __init__(self, service: Service, instance: str, instead: Content | None = None) -> None:
        """
        Args:
            service: what to run.
            instance: "risk_engine.main"; names its observations and dead letters.
            instead: what to run with where the code cannot run with a recorded configuration; without it that is
                an OutdatedConfig.
        """
        self.service = service
        self.instance = instance
        self.market_ns = 0
        self.observed = 0
        """`_seq` of the last own observation that the handler has seen."""
        self.config: ConfigChanged | None = None
        self.handler: Handler | None = None
        self.inputs: tuple[str, ...] = ()
        """The subscriptions that the configuration asks for."""
        self.outdated = False
        """Whether a recorded configuration had to be replaced: what was said under it cannot be repeated."""
        self._instead = instead
        self._observations = topics.observations_of(instance)

    def is_observation(self, topic: str) -> bool:
        """Whether a channel carries what this instance's own shell observed."""
        return topic in self._observations

    def step(self, topic: str, line: bytes, header: codec.Header) -> list[Item]:
        """Handle one line; what cannot be read becomes a dead letter, and the handler is told."""
        try:
            event = codec.decode_line(line, header)
        except CodecError as error:
            return self._malformed(topic, line, header, error)
        if self.is_observation(topic):
            self.observed = header.seq
        return self._handle(event, header)

    def _handle(self, event: Event, header: codec.Header) -> list[Item]:
        if isinstance(event, ConfigChanged) and event.instance == self.instance:
            self._configure(event)
        self._hear(event)
        if self.handler is None:
            return []
        at = At(header.seq, header.ts, self.market_ns, header.root, header.root_ts)
        outputs = self.handler.on_event(event, at)
        return [item_of(output, header) for output in outputs] if outputs else []

    def _hear(self, event: Event) -> None:
        """Move the market time on to what an event of the market proves."""
        self.market_ns = max(self.market_ns, market_time(event))

    def _configure(self, change: ConfigChanged) -> None:
        handler, content = self._built(change.content)
        if self.handler is not None:
            handler.restore(self.handler.snapshot())
        self.config, self.handler = change, handler
        self.inputs = tuple(self.service.inputs(content))

    def _built(self, content: Content) -> tuple[Handler, Content]:
        """A handler for a recorded configuration, with what it was built from.

        Raises:
            OutdatedConfig: the code cannot run with it, and nothing was given to run with instead.
        """
        try:
            return self.service.build(content), content
        except Exception as error:  # a content of other code may lack anything
            if self._instead is None:
                raise OutdatedConfig(f"{self.instance} cannot run with its recorded configuration: {error}") from error
            self.outdated = True
            return self.service.build(self._instead), self._instead

    def _malformed(self, topic: str, line: bytes, header: codec.Header, error: CodecError) -> list[Item]:
        letter = DeadLetter(self.instance, topic, str(error), readable(codec.body_of(line)))
        items = [item_of(letter, header)]
        return items + self._handle(Malformed(topic, str(error), _own_id(topic, line)), header)

    def snapshot(self) -> dict[str, Any]:
        """Everything that a later `step` depends on."""
        return {
            "config": codec.to_dict(self.config) if self.config else None,
            "handler": self.handler.snapshot() if self.handler else None,
            "market_ns": self.market_ns,
            "observed": self.observed,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `snapshot` described."""
        self.market_ns, self.observed = state["market_ns"], state["observed"]
        if state["config"] is not None:
            self._configure(codec.from_dict(ConfigChanged, state["config"]))
        if self.handler is not None and state["handler"] is not None:
            self.handler.restore(state["handler"])


def market_time(event: Event) -> int:
    """The venue's time that an event proves to be reached, ns UTC; 0 for one that proves none."""
    if isinstance(event, TradeEvent):
        return event.ts
    if isinstance(event, Watermark):
        return event.market_ns
    if isinstance(event, (BookEvent, TickerEvent)):
        return event.ts_exchange_ns
    return event.ts_close if isinstance(event, OHLCVBar) else 0


def readable(raw: bytes) -> str:
    """The beginning of some bytes as text that JSON can carry."""
    return raw[:RAW_MAX].decode("utf-8", "backslashreplace")


def _own_id(topic: str, line: bytes) -> str:
    """The id of what was to be a signal or an intent; empty if none can be read."""
    name = "signal_id" if topic == topics.STRAT_SIGNAL.name else "intent_id"
    value = codec.payload_of(line).get(name, "")
    return value if isinstance(value, str) else ""
