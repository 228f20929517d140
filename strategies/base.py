"""What every strategy is: something that answers events with wishes to trade."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Self

from core.contracts import CancelIntent, OHLCVBar, OrderIntent, Signal
from strategies.state import Stateful

if TYPE_CHECKING:
    from strategies.context import StrategyContext

Wish = OrderIntent | CancelIntent | Signal
"""What a strategy may say; none of it is an order until the gate has spoken, and for a signal first the sizer."""


class StrategyBase(Stateful, ABC):
    """A plugin: deterministic, no clock, no input or output; what it assigns to `self` is remembered over a restart.

    Attributes:
        strategy_id: on the class its name in the registry, on an instance the `id` of its entry in strategies.yaml.
        context: what the host lets it see; set by `create`.
    """

    transient: ClassVar[frozenset[str]] = frozenset({"context", "params", "strategy_id"})
    strategy_id: str
    context: StrategyContext

    def warmup(self) -> int:
        """How many bars it wants to see before its first event, of each series that it lists with its length.

        None by default. At most 5,000 come, and fewer where history has no more.
        """
        return 0

    def on_warmup(self, bar: OHLCVBar) -> None:
        """Learn from a bar of the past, oldest first; there is nothing to trade on, so there is nothing to return."""

    @abstractmethod
    def on_event(self, event: Any) -> Iterable[Wish]:
        """Answer one event with zero or more wishes; a tuple, a list or a generator."""

    @classmethod
    def create(cls, context: StrategyContext) -> Self:
        """Make one for a context; called by the host."""
        strategy = cls()
        strategy.context = context
        strategy.strategy_id = context.strategy_id
        return strategy
