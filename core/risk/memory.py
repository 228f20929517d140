"""What the gate has answered: the same intent gets the same stored answer, never a second order."""

from __future__ import annotations

from typing import Any

from core.contracts import DenialReason, RiskCheck, RiskDecision

DECISIONS_MAX = 256

_ROW = 7
"""Length of a row without the key."""

_Frame = tuple[tuple[tuple[str, str], ...], tuple[str, ...], tuple[str, ...]]


class DecisionMemory:
    """The latest decisions by intent id and by idempotency key, at most `DECISIONS_MAX`.

    A key is one strategy's word: two strategies may use the same one for wishes that have nothing in common. The
    oldest of the more numerous kind goes first, so that a flood of denials leaves at least half of the room to the
    decisions that became orders.
    """

    def __init__(self) -> None:
        self._allowed: dict[str, RiskDecision] = {}
        self._denied: dict[str, RiskDecision] = {}
        self._ids: dict[tuple[str, str], str] = {}  # strategy and key -> intent id
        self._keys: dict[str, str] = {}  # intent id -> key, where it has one

    def get(self, intent_id: str) -> RiskDecision | None:
        """The decision on an intent; None if there was none, or long ago."""
        return self._allowed.get(intent_id) or self._denied.get(intent_id)

    def get_by_key(self, strategy_id: str, key: str) -> RiskDecision | None:
        """The decision on the strategy's first intent with this key; None without a key, or if there was none."""
        return self.get(self._ids.get((strategy_id, key), "")) if key else None

    def put(self, decision: RiskDecision, key: str = "") -> None:
        """Remember a decision on a new intent, under its idempotency key too if it has one."""
        kind = self._allowed if decision.allowed else self._denied
        kind[decision.intent_id] = decision
        if key:
            self._ids[decision.strategy_id, key] = decision.intent_id
            self._keys[decision.intent_id] = key
        if len(self._allowed) + len(self._denied) > DECISIONS_MAX:
            self._forget_one()

    def _forget_one(self) -> None:
        larger = max(self._denied, self._allowed, key=len)
        forgotten = larger.pop(next(iter(larger)))
        key = self._keys.pop(forgotten.intent_id, None)
        if key is not None:
            del self._ids[forgotten.strategy_id, key]

    def snapshot(self) -> dict[str, Any]:
        """All decisions, oldest first, each in one row; what most of them share is written once, in a frame."""
        frames: dict[_Frame, int] = {}
        decisions = (*self._denied.values(), *self._allowed.values())
        rows = [[*_row(decision, frames), self._keys.get(decision.intent_id, "")] for decision in decisions]
        return {"frames": list(frames), "rows": rows}

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `snapshot` described."""
        for memory in (self._allowed, self._denied, self._ids, self._keys):
            memory.clear()
        for row in state["rows"]:
            self.put(_decision(row[:_ROW], state["frames"]), *row[_ROW:])  # rows had no key once


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
