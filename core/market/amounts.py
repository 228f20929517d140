"""Sums of amounts as decimals of the shortest repr of each number: exactly what a venue's own strings add up to.

Addition is exact, so the order of the summands does not matter. What is published is the float nearest to a sum.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from decimal import Context, Decimal
from functools import reduce

_SUM = Context(prec=1000)
"""Holds every sum and product of real amounts; a context of its own, because a process may have set its decimals."""

_VIEW = Context(prec=34)
_FLOAT_MAX = Decimal(sys.float_info.max)

plus = _SUM.add
"""The exact sum of two amounts."""

times = _SUM.multiply
"""The exact product of two amounts."""


def decimal_of(number: float) -> Decimal:
    """The decimal that a float is written as."""
    return Decimal(repr(float(number)))


def total_of(numbers: Iterable[float]) -> Decimal:
    """The exact sum of floats, each as it is written; 0 of none.

    >>> total_of([0.1, 0.2])
    Decimal('0.3')
    """
    return reduce(plus, map(decimal_of, numbers), Decimal(0))


def nearest(total: Decimal) -> float:
    """The nearest float; nonsense beyond all floats counts as the largest."""
    return float(min(total, _FLOAT_MAX))


def mean_price(turnover: Decimal, volume: Decimal, low: float, high: float) -> float:
    """Mean price by quantity, quote units, within the range of prices; the volume is above 0."""
    return min(max(float(_VIEW.divide(turnover, volume)), low), high)
