"""What the gate has answered: the same intent gets the same stored answer, never a second order."""

from __future__ import annotations

from typing import Any

from core.contracts import DenialReason, RiskCheck, RiskDecision

DECISIONS_MAX = 256

_Frame = tuple[tuple[tuple[str, str], ...], tuple[str, ...], tuple[str, ...]]


class DecisionMemory:
    """The latest decisions by intent id, at most `DECISIONS_MAX`.

    The oldest of the more numerous kind goes first, so that a flood of denials leaves at least half of the room to
    the decisions that became orders.
    """

    def __init__(self) -> None:
        self._allowed: dict[str, RiskDecision] = {}
        self._denied: dict[str, RiskDecision] = {}

    def get(self, intent_id: str) -> RiskDecision | None:
        """The decision on an intent; None if there was none, or long ago."""
        return self._allowed.get(intent_id) or self._denied.get(intent_id)

    def put(self, decision: RiskDecision) -> None:
        """Remember a decision on a new intent."""
        kind = self._allowed if decision.allowed else self._denied
        kind[decision.intent_id] = decision
        if len(self._allowed) + len(self._denied) > DECISIONS_MAX:
            larger = max(self._denied, self._allowed, key=len)
            del larger[next(iter(larger))]

    def snapshot(self) -> dict[str, Any]:
        """All decisions, oldest first, each in one row; what most of them share is written once, in a frame."""
        frames: dict[_Frame, int] = {}
        rows = [_row(decision, frames) for kind in (self._denied, self._allowed) for decision in kind.values()]
        return {"frames": list(frames), "rows": rows}

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `snapshot` described."""
        self._allowed.clear()
        self._denied.clear()
        for row in state["rows"]:
            decision = _decision(row, state["frames"])
            (self._allowed if decision.allowed else self._denied)[decision.intent_id] = decision


def _row(decision: RiskDecision, frames: dict[_Frame, int]) -> list[Any]:
    # caps as pairs: a state is written with sorted keys, and a decision must keep its bytes
    caps = tuple(decision.caps.items())
    frame = (caps, tuple(check.name for check in decision.checks), tuple(check.limit for check in decision.checks))
    number = frames.setdefault(frame, len(frames))
    values = [check.value for check in decision.checks]
    failed = [place for place, check in enumerate(decision.checks) if not check.passed]
    return [number, decision.intent_id, decision.strategy_id, decision.symbol, decision.reason, values, failed]


def _decision(row: list[Any], frames: list[Any]) -> RiskDecision:
    number, intent_id, strategy_id, symbol, reason, values, failed = row
    caps, names, limits = frames[number]
    checks = tuple(
        RiskCheck(name, place not in failed, value, limit)
        for place, (name, value, limit) in enumerate(zip(names, values, limits, strict=True))
    )
    return RiskDecision(
        intent_id=intent_id,
        allowed=reason is None,
        reason=None if reason is None else DenialReason(reason),
        caps={name: cap for name, cap in caps},
        checks=checks,
        strategy_id=strategy_id,
        symbol=symbol,
    )
