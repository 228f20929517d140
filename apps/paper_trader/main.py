"""Simulated trading at market prices: accepted orders in, order updates, fills and positions out.

Only one executor works on an account at a time, this one or a live broker.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.execution.paper import SERVICE
from core.runtime.process import serve


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop; the exit code."""
    return serve(SERVICE, argv, about=__doc__)
