"""The gate between strategies and venues: every intent gets a decision, an allowed one becomes an order.

The kill switch is observed before every intent and once a second; unreadable means tripped.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.rate_limiter import RateLimiter as RateLimiter  # the gate's own bucket, for use outside a handler
from core.risk.gate import SERVICE
from core.runtime.process import Extras, serve


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop; the exit code."""
    return serve(SERVICE, argv, about=__doc__, extras=Extras(kill_switch=True))
