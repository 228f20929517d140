"""The nearest of the known names, for a message about an unknown one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def hint(given: str, known: Iterable[str]) -> str:
    """Say what was probably meant, and what is allowed.

    >>> hint("fsat", ["fast", "slow"])
    "did you mean 'fast'? allowed: fast, slow"
    """
    names = list(known)
    near = get_close_matches(given, names, 1)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return f"{guess}allowed: {', '.join(names) or 'none'}"
