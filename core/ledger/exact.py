"""Money arithmetic that never rounds: sums and products are exact, or an error.

Python's default decimal context silently rounds to 28 digits, also in a unary minus. A trade price is a float of at
most 17 digits, so a thousand digits hold every sum and product of realistic prices, quantities and fees; what
does not fit is refused instead of rounded. Divisions belong to views alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import ROUND_HALF_EVEN, Context, Decimal, DecimalException, Inexact, InvalidOperation, localcontext

from core.errors import LedgerError

ZERO = Decimal(0)

_EXACT = Context(prec=1000, rounding=ROUND_HALF_EVEN, traps=[Inexact, InvalidOperation])
_VIEW = Context(prec=28, rounding=ROUND_HALF_EVEN)


@contextmanager
def exact() -> Iterator[None]:
    """Compute without rounding inside the block, or inside the function it decorates.

    Raises:
        LedgerError: a result needs more than a thousand digits, or is no number.
    """
    with localcontext(_EXACT):
        try:
            yield
        except DecimalException as error:
            raise LedgerError(f"money arithmetic is not exact: {type(error).__name__}") from error


def decimal_price(price: float) -> Decimal:
    """A market price as money: the shortest decimal that reads back as the same float."""
    return Decimal(repr(float(price)))


def ratio(numerator: Decimal, denominator: Decimal) -> Decimal:
    """A quotient of 28 digits, for views only; the denominator is not zero."""
    return _VIEW.divide(numerator, denominator)
