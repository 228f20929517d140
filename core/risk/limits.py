"""What no opening order may exceed: small functions of one signature, in the order of `LIMITS`.

Each says how much of a quantity it leaves: all of it, a part, or nothing, never more. What is on its way counts as if
it were filled at its worst price, so that several signals in one bar cannot each spend the same room. Orders that close
or protect a position never come here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple

from core.contracts import RiskCheck, SizingReason
from core.ledger.exact import ZERO, exact, ratio
from core.risk.opening import Exposure, Opening, quantity


class Allowance(NamedTuple):
    """What one limit leaves of a quantity.

    Attributes:
        reason: which limit; the reason of a refusal where it leaves nothing.
        qty: base units, 0 to what was asked for.
        limit: what is allowed and what of it is used, as a text for people.
    """

    reason: SizingReason
    qty: Decimal
    limit: str

    @property
    def check(self) -> RiskCheck:
        """As a line of the decision: passed if anything is left."""
        return RiskCheck(self.reason.value, self.qty > 0, f"{self.qty:f}", self.limit)


Limit = Callable[[Opening, Decimal], Allowance]


def limit_shorting(opening: Opening, qty: Decimal) -> Allowance:
    """All of a long position; a short one only where the policy allows it."""
    allowed = opening.long or opening.policy.limits.shorting.allowed
    text = "long and short" if opening.policy.limits.shorting.allowed else "long only"
    return Allowance(SizingReason.SHORTING, qty if allowed else ZERO, text)


@exact()
def limit_drawdown(opening: Opening, qty: Decimal) -> Allowance:
    """All up to the throttle, nothing from the stop on, a falling share between the two."""
    controls, account = opening.policy.drawdown_controls, opening.account
    lost = max(account.peak - account.equity, ZERO)
    text = f"lost less than {controls.stop_at} of the peak {account.peak:f}, lost {lost:f}"
    if lost <= controls.throttle_from * account.peak:
        return Allowance(SizingReason.DRAWDOWN, qty, text)
    left = controls.stop_at * account.peak - lost
    if left <= 0:
        return Allowance(SizingReason.DRAWDOWN, ZERO, text)
    share = ratio(left, (controls.stop_at - controls.throttle_from) * account.peak)
    return Allowance(SizingReason.DRAWDOWN, qty * share, text)


@exact()
def limit_capital(opening: Opening, qty: Decimal) -> Allowance:
    """What the strategy's own positions leave of its capital."""
    own = (each for each in opening.account.exposures if each.strategy_id == opening.signal.strategy_id)
    allowed = opening.capital * opening.policy.strategy_limits.leverage
    return _room(opening, qty, SizingReason.CAPITAL, allowed=allowed, used=_gross(own))


@exact()
def limit_concentration(opening: Opening, qty: Decimal) -> Allowance:
    """What everybody's positions in the symbol leave of its share of the equity."""
    same = (each for each in opening.account.exposures if each.symbol == opening.signal.symbol)
    allowed = opening.account.equity * opening.policy.limits.concentration.max_share
    return _room(opening, qty, SizingReason.CONCENTRATION, allowed=allowed, used=_gross(same))


@exact()
def limit_gross_leverage(opening: Opening, qty: Decimal) -> Allowance:
    """What all positions, long and short added up, leave."""
    allowed = opening.account.equity * opening.policy.limits.leverage.gross
    used = _gross(opening.account.exposures)
    return _room(opening, qty, SizingReason.GROSS_LEVERAGE, allowed=allowed, used=used)


@exact()
def limit_net_leverage(opening: Opening, qty: Decimal) -> Allowance:
    """What long less short, or short less long, leaves; an order on its way counts only if it goes the same way.

    So does one that closes: a short that is being bought back makes no room for a long.
    """
    allowed = opening.account.equity * opening.policy.limits.leverage.net
    sign = 1 if opening.long else -1
    one_way = (
        each.notional * sign for each in opening.account.exposures if not each.pending or _same_way(opening, each)
    )
    return _room(opening, qty, SizingReason.NET_LEVERAGE, allowed=allowed, used=sum(one_way, ZERO))


@exact()
def limit_cash(opening: Opening, qty: Decimal) -> Allowance:
    """What the buffer, purchases on their way and the buying back of short positions leave of the cash."""
    if not opening.long:
        return Allowance(SizingReason.CASH_BUFFER, qty, "any for a sale")
    exposures = opening.account.exposures
    owed = sum((-each.notional for each in exposures if each.notional < 0 and not each.pending), ZERO)
    bought = (each.notional for each in exposures if each.notional > 0 and each.pending and not each.closing)
    coming = sum(bought, ZERO)
    buffer = opening.policy.cash_management.buffer * opening.account.equity
    allowed = opening.account.cash - buffer
    return _room(opening, qty, SizingReason.CASH_BUFFER, allowed=allowed, used=owed + coming)


LIMITS: tuple[Limit, ...] = (
    limit_shorting,
    limit_drawdown,
    limit_capital,
    limit_concentration,
    limit_gross_leverage,
    limit_net_leverage,
    limit_cash,
)


def allowances(opening: Opening, qty: Decimal) -> tuple[Allowance, ...]:
    """What every limit leaves of a quantity, base units above 0; the least of them is what may be ordered."""
    return tuple(limit(opening, qty) for limit in LIMITS)


def _room(opening: Opening, qty: Decimal, reason: SizingReason, *, allowed: Decimal, used: Decimal) -> Allowance:
    left = quantity(allowed - used, opening.worst_price)
    return Allowance(reason, min(qty, left), f"{allowed:f}, used {used:f}")


def _gross(exposures: Iterable[Exposure]) -> Decimal:
    return sum((abs(each.notional) for each in exposures if not each.closing), ZERO)


def _same_way(opening: Opening, exposure: Exposure) -> bool:
    return (exposure.notional > 0) is opening.long
