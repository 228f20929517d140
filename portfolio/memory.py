"""What the sizer has answered: the same signal gets the same stored answer, never a second order.

An id is one strategy's word, as an idempotency key is at the gate: two strategies may use the same one for opinions
that have nothing in common.
"""

from __future__ import annotations

from typing import Any

from core import codec
from core.contracts import SizingDecision

DECISIONS_MAX = 128


class SizingMemory:
    """The latest decisions by strategy and signal id, at most `DECISIONS_MAX`.

    The oldest of the more numerous kind goes first, so that a flood of refusals leaves at least half of the room to the
    decisions that became orders.
    """

    def __init__(self) -> None:
        self._accepted: dict[tuple[str, str], SizingDecision] = {}
        self._refused: dict[tuple[str, str], SizingDecision] = {}

    def get(self, strategy_id: str, signal_id: str) -> SizingDecision | None:
        """The decision on a strategy's signal; None if there was none, or long ago."""
        key = (strategy_id, signal_id)
        return self._accepted.get(key) or self._refused.get(key)

    def find(self, signal_id: str) -> SizingDecision | None:
        """A decision on anybody's signal with this id, for what does not say whose it is."""
        kept = (*self._accepted.values(), *self._refused.values())
        return next((decision for decision in kept if decision.signal_id == signal_id), None)

    def put(self, decision: SizingDecision) -> None:
        """Remember a decision on a new signal."""
        kind = self._accepted if decision.accepted else self._refused
        kind[decision.strategy_id, decision.signal_id] = decision
        if len(self._accepted) + len(self._refused) > DECISIONS_MAX:
            larger = max(self._refused, self._accepted, key=len)
            del larger[next(iter(larger))]

    def snapshot(self) -> list[Any]:
        """All decisions as JSON values, the oldest of each kind first."""
        return [codec.to_dict(decision) for kind in (self._refused, self._accepted) for decision in kind.values()]

    def restore(self, state: list[Any]) -> None:
        """Become what `snapshot` described."""
        self._accepted.clear()
        self._refused.clear()
        for row in state:
            decision = codec.from_dict(SizingDecision, row)
            kind = self._accepted if decision.accepted else self._refused
            kind[decision.strategy_id, decision.signal_id] = decision
