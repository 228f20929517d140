"""What happens when something is added to what is there: the same, new, or another value for the same moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.contracts.moments import iso
from core.errors import ConfigError, DataError

Conflict = Literal["refuse", "keep", "replace"]
CONFLICTS: tuple[Conflict, ...] = ("refuse", "keep", "replace")
SHOWN = 3
"""How many conflicts an error names."""

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Added:
    """What adding did, or would do.

    Attributes:
        new: rows that were not there.
        same: rows that were there already; they may know less than what is there, such as no turnover.
        replaced: rows that took the place of others.
        kept: rows that were left out for those that were there.
        files: how many were written; of a dry run, would have been.
    """

    new: int
    same: int
    replaced: int
    kept: int
    files: int

    def __add__(self, other: Added) -> Added:
        return Added(
            self.new + other.new,
            self.same + other.same,
            self.replaced + other.replaced,
            self.kept + other.kept,
            self.files + other.files,
        )


NOTHING = Added(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Matched:
    """How the rows that are added relate to those that are there.

    Attributes:
        old: for each added row the row there of the same key, -1 where there is none.
        agrees: whether they say nothing different.
        equal: whether they say exactly the same.
    """

    old: NDArray[np.int64]
    agrees: NDArray[np.bool_]
    equal: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Decided:
    """What is to be done.

    Attributes:
        take: rows of the added ones that go in.
        drop: rows of the old ones that go out.
        added: the counts, without files.
    """

    take: NDArray[np.bool_]
    drop: NDArray[np.int64]
    added: Added


def decide(matched: Matched, conflict: Conflict, named: Callable[[int], str]) -> Decided:
    """What goes in and what goes out.

    Args:
        matched: how the rows relate.
        conflict: what to do about rows that differ: refuse all, keep what is there, or replace it. A row that only
            knows less or more than what is there is no conflict: it counts as the same, except where it replaces.
        named: an added row and the one that it differs from, for the error.

    Raises:
        DataError: rows differ and `conflict` is "refuse"; the first ones are named.
        ConfigError: `conflict` is none of the three.
    """
    if conflict not in CONFLICTS:
        raise ConfigError(f"conflict is {conflict!r}; allowed: {', '.join(CONFLICTS)}")
    there = matched.old >= 0
    differ = there & ~matched.agrees
    if conflict == "refuse" and differ.any():
        rows = np.flatnonzero(differ)
        first = "\n  ".join(named(int(row)) for row in rows[:SHOWN])
        more = f"\n  and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
        raise DataError(
            f"{len(rows)} of {len(differ)} rows differ from what is there; "
            f"nothing was changed, keep or replace decides:\n  {first}{more}"
        )
    replaces = there & ~matched.equal if conflict == "replace" else np.zeros_like(there)
    kept = differ & ~replaces
    same = there & ~differ & ~replaces
    added = Added(int((~there).sum()), int(same.sum()), int(replaces.sum()), int(kept.sum()), 0)
    return Decided(~there | replaces, matched.old[replaces], added)


def same_values(old: NDArray[Any], new: NDArray[Any]) -> NDArray[np.bool_]:
    """Which are equal, NaN counting as equal to NaN."""
    equal: NDArray[np.bool_] = old == new
    if old.dtype == np.float64:
        equal |= np.isnan(old) & np.isnan(new)
    return equal


def spelled(ts_ns: int, old: Sequence[object], new: Sequence[object]) -> str:
    """One conflict for people."""
    return f"{iso(ts_ns)}: there {', '.join(map(str, old))}; added {', '.join(map(str, new))}"
