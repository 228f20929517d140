"""The bus as a strategy sees it: it collects, and the host takes the collection along with the answer to the event.

A strategy that published by itself would act outside of the one commit per input, and a replay could not follow it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Mapping
from typing import Any

from core import codec, topics
from core.contracts import CancelIntent, Event, OrderIntent, Signal
from core.errors import ContractError
from strategies.base import Wish

WISHES_MAX = 1000
"""So many in answer to one event; a generator without an end must not take the others down with it."""

_ALLOWED = "OrderIntent, CancelIntent, Signal"
_TOPICS = (topics.STRAT_INTENT, topics.ORDERS_CANCEL, topics.STRAT_SIGNAL)


class _Done:
    """Awaitable that has already happened, so that `publish_json` works with and without `await`."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


class Outbox:
    """Collects the wishes of one strategy."""

    def __init__(self) -> None:
        self._wishes: list[Wish] = []

    def publish(self, event: Event) -> None:
        """Collect a wish.

        Raises:
            ContractError: it is none, or one too many.
            ValueError: it holds a text that cannot be written.
        """
        if not isinstance(event, (OrderIntent, CancelIntent, Signal)):
            raise ContractError(f"a strategy said {type(event).__name__}; allowed: {_ALLOWED}")
        if len(self._wishes) >= WISHES_MAX:
            raise ContractError(f"a strategy said more to one event than allowed: {WISHES_MAX:,}")
        codec.encode(event)  # what cannot be written fails here and not in the commit of everybody's answers
        self._wishes.append(event)

    def publish_json(self, topic: str, payload: Mapping[str, Any]) -> _Done:
        """Collect a wish that is written as a payload.

        Raises:
            ContractError: the topic takes no wishes, or the payload is none.
        """
        for kind in _TOPICS:
            if topic == kind.name:
                self.publish(codec.from_dict(kind.event, payload))
                return _Done()
        allowed = ", ".join(kind.name for kind in _TOPICS)
        raise ContractError(f"a strategy published on {topic!r}; allowed: {allowed}")

    def subscribe(self, topic: str) -> AsyncIterator[dict[str, Any]]:
        """Refuse: a strategy hears what its entry lists under `events`.

        Raises:
            ContractError: always.
        """
        raise ContractError(f"a strategy cannot subscribe to {topic!r}; list it under `events` in strategies.yaml")

    @property
    def filled(self) -> bool:
        """Whether there is anything to hand over."""
        return bool(self._wishes)

    def drain(self) -> list[Wish]:
        """Hand over what was collected, in order, and forget it."""
        wishes, self._wishes = self._wishes, []
        return wishes
