"""The one interface: events in, events out.

A handler is deterministic: no clock, no input or output, no logging, no randomness. What it must know of
the world outside comes to it as an event; when and why it is called comes with `At`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from core.contracts import Event

Content = dict[str, Any]
"""A service's part of the configuration, as JSON values; recorded in full with every change."""

State = dict[str, Any]
"""A handler's memory, as JSON values."""


class At(NamedTuple):
    """Where in the total order an event stands.

    Attributes:
        seq: its place, from 1.
        ts_ns: the sequencer's time, ns UTC; orders the plumbing, never a decision about the market.
        market_ns: the venue's time as far as this service has heard, ns UTC, never falling; 0 before the first.
        root: `seq` of the first cause.
        root_ts_ns: the sequencer's time of the first cause, ns UTC.
    """

    seq: int
    ts_ns: int
    market_ns: int
    root: int
    root_ts_ns: int


class Handler(Protocol):
    """A deterministic reactor."""

    def on_event(self, event: Event, at: At) -> Sequence[Event]:
        """Answer one event; an empty tuple when there is nothing to say."""
        ...

    def snapshot(self) -> State:
        """Everything that a later `on_event` depends on."""
        ...

    def restore(self, state: State) -> None:
        """Become what `snapshot` described, also one taken under another configuration."""
        ...


@dataclass(frozen=True, slots=True)
class Service:
    """A handler with its place in the system; live, offline and in a replay the same value.

    Attributes:
        name: the service's name, "risk_engine".
        inputs: the subscriptions it needs under a configuration.
        build: makes the handler for a configuration; raises ConfigError or ContractError for a bad one.
        exclusive: names of leases that only one process of any service may hold, "executor:main".
    """

    name: str
    inputs: Callable[[Content], Sequence[str]]
    build: Callable[[Content], Handler]
    exclusive: Callable[[Content], Sequence[str]] = lambda content: ()
