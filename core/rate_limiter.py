"""So many orders per minute, for code that awaits; the gate itself uses the bucket directly, on market time."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.contracts.base import refuse, require_text
from core.risk.bucket import Bucket


class RateLimiter:
    """A token bucket for one symbol: up to `cap_per_min` at once, refilled at that rate per minute."""

    def __init__(self, symbol: str, cap_per_min: int, *, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        """
        Args:
            symbol: what it limits; a name for people.
            cap_per_min: 1 or more.
            now_ns: a clock in nanoseconds; one that runs backwards only delays the refill.

        Raises:
            ContractError: no symbol, or a cap below 1.
        """
        self.symbol = symbol
        self.cap_per_min = cap_per_min
        require_text(self, "symbol", symbol)
        if cap_per_min < 1:
            raise refuse(self, "cap_per_min", cap_per_min, "1 or more")
        self._now_ns = now_ns
        self._bucket = Bucket.full(cap_per_min)

    async def acquire(self) -> bool:
        """Take one permission; False where none is left, without waiting for one."""
        self._bucket.refill(self._now_ns())
        return self._bucket.take()
