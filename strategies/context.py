"""What a strategy sees of the world besides the event in hand; data only, kept up to date by the host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Unpack

from core.contracts import Event, PositionSnapshot, SignalIntention
from strategies.signals import Terms, signal_of


class StrategyBus(Protocol):
    """The part of a bus that a strategy may use; what it publishes is committed with the answer to the event."""

    def publish(self, event: Event) -> None:
        """Say the same as by yielding it."""
        ...

    def publish_json(self, topic: str, payload: Mapping[str, Any]) -> Awaitable[None]:
        """Say it as a payload; needs no await."""
        ...

    def subscribe(self, topic: str) -> AsyncIterator[dict[str, Any]]:
        """Refused: events come by `on_event`."""
        ...


@dataclass(frozen=True, slots=True)
class StrategyContext:
    """The injected view of one strategy.

    Attributes:
        strategy_id: the `id` of its entry in strategies.yaml.
        bus: collects what it publishes.
        positions: its own holdings by symbol, from its own fills; a symbol it never traded is missing.
        prices: last trade price by symbol, quote units per base unit; already that of the trade in hand.
        config: its `params` as they were written.
    """

    strategy_id: str
    bus: StrategyBus
    positions: Mapping[str, PositionSnapshot]
    prices: Mapping[str, float]
    config: Mapping[str, Any]

    def emit_signal(self, symbol: str, intention: SignalIntention | str, **terms: Unpack[Terms]) -> None:
        """Say the same as by yielding a signal: `price`, `confidence`, `stop_loss`, `take_profit` are optional.

        Raises:
            ContractError: as `signal_of`.
        """
        self.bus.publish(signal_of(self.strategy_id, symbol, intention, **terms))
