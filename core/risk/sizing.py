"""How large a position is meant to be: one function per method of the policy, none of them knows a limit.

Each takes an opening and returns base units for a full size, before confidence and multiplier, not rounded to a lot.
Where a position of any size would be a guess the answer is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from math import fsum, isfinite, sqrt
from types import MappingProxyType

from core.ledger.exact import decimal_price, exact
from core.risk.opening import Opening, quantity
from core.risk.policy import SizingMethod

_MINUTES_PER_DAY = 1_440

Method = Callable[[Opening], Decimal | None]


@exact()
def fixed_fraction(opening: Opening) -> Decimal:
    """A share of the strategy's capital."""
    return quantity(opening.capital * opening.policy.sizing.fraction, opening.price)


def fixed_equity(opening: Opening) -> Decimal:
    """The same amount of quote units each time."""
    return quantity(opening.policy.sizing.equity, opening.price)


@exact()
def equal_weight(opening: Opening) -> Decimal:
    """The strategy's capital, divided into so many equal positions."""
    return quantity(opening.capital, opening.price * opening.policy.sizing.positions)


@exact()
def volatility_target(opening: Opening) -> Decimal | None:
    """As much as moves a given share of the capital on an ordinary day; None while the volatility is not known."""
    volatility = opening.daily_volatility
    if volatility is None:
        return None
    return quantity(opening.capital * opening.policy.sizing.daily_volatility, opening.price * volatility)


METHODS: Mapping[SizingMethod, Method] = MappingProxyType(
    {
        "fixed_fraction": fixed_fraction,
        "fixed_equity": fixed_equity,
        "equal_weight": equal_weight,
        "volatility_target": volatility_target,
    }
)


@exact()
def size(opening: Opening) -> Decimal | None:
    """Base units by the policy's method, times the signal's confidence and the strategy's multiplier.

    Not rounded to a lot and not limited; None where the method needs a volatility that is not known.
    """
    full = METHODS[opening.policy.sizing.method](opening)
    if full is None:
        return None
    return full * decimal_price(opening.signal.confidence) * opening.risk_multiplier


def daily_volatility(closes: Sequence[float]) -> Decimal | None:
    """Standard deviation of a day's return, from the closes of one-minute bars without a hole, as a fraction.

    The sample deviation of the minutes' returns, times the square root of the minutes in a day. None where it cannot be
    known or would be 0: fewer than three closes, or a market that does not move.

    >>> daily_volatility([100.0, 101.0, 100.0, 101.0]) is not None, daily_volatility([100.0] * 60)
    (True, None)
    """
    returns = [later / earlier - 1.0 for earlier, later in pairwise(closes)]
    if len(returns) < 2:
        return None
    mean = fsum(returns) / len(returns)
    variance = fsum((value - mean) ** 2 for value in returns) / (len(returns) - 1)
    volatility = sqrt(variance * _MINUTES_PER_DAY)
    return decimal_price(volatility) if volatility > 0.0 and isfinite(volatility) else None
