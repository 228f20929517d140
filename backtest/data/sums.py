"""Exact sums of runs of floats, each counted as the decimal that it is written as, by the million.

What `core.market.amounts` does one by one. A float with at most 15 digits is a whole number of some power of ten, and
no other decimal of at most 15 digits is the same float, so that whole number is what its shortest repr says. Whole
floats below 2 to the 53 add up exactly in any order, and dividing one by a power of ten up to 10 to the 22, itself
exact, gives the nearest float. Runs for which that does not hold are summed as decimals.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from core.market.amounts import nearest, total_of

Floats = NDArray[np.float64]

_DIGITS = 1e15
_WHOLE = 2.0**53
_PLACES = 16


@dataclass(frozen=True, eq=False)
class RunSums:
    """The sum of each run.

    Attributes:
        values: as the nearest floats.
        whole: the sums as whole numbers of 10 to the `-places`; where `slow` has another, meaningless.
        places: digits behind the point.
        slow: exact sums by run, of those that needed decimals.
    """

    values: Floats
    whole: Floats
    places: int
    slow: dict[int, Decimal]

    def exact(self, run: int) -> Decimal:
        """The sum of a run as a decimal."""
        found = self.slow.get(run)
        return Decimal(int(self.whole[run])).scaleb(-self.places) if found is None else found


def run_sums(numbers: Floats, starts: NDArray[np.intp]) -> RunSums:
    """The exact sum of each run.

    Args:
        numbers: finite, 0 or more.
        starts: where each run begins, rising from 0; each goes on to the next one or to the end.
    """
    if not len(starts):
        return RunSums(np.zeros(0), np.zeros(0), 0, {})
    places, whole, fits = _whole_numbers(numbers)
    sums = np.add.reduceat(whole, starts)
    easy = np.logical_and.reduceat(fits, starts) & (sums < _WHOLE)
    values = sums / 10.0**places
    ends = np.append(starts[1:], len(numbers))
    slow: dict[int, Decimal] = {}
    for run in np.flatnonzero(~easy).tolist():
        slow[run] = total_of(numbers[starts[run] : ends[run]].tolist())
        values[run] = nearest(slow[run])
    return RunSums(values, sums, places, slow)


def _whole_numbers(numbers: Floats) -> tuple[int, Floats, NDArray[np.bool_]]:
    """The fewest decimal places that suit the most numbers, the numbers without them, and which of them that suits."""
    best, best_count = 0, -1
    for places in range(_PLACES):
        count = int(np.count_nonzero(_scaled(numbers, places)[1]))
        if count > best_count:
            best, best_count = places, count
        if count == len(numbers):
            break
    whole, fits = _scaled(numbers, best)
    return best, np.where(fits, whole, 0.0), fits


def _scaled(numbers: Floats, places: int) -> tuple[Floats, NDArray[np.bool_]]:
    power = 10.0**places
    with np.errstate(over="ignore", invalid="ignore"):
        whole = np.rint(numbers * power)
        return whole, (whole < _DIGITS) & (whole / power == numbers)
