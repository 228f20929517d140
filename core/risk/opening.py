"""Everything that sizing and limits may look at when a signal wants to open a position."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal

from core.contracts import Signal, SignalIntention
from core.ledger.exact import ZERO, exact
from core.risk.policy import RiskPolicy

_DOWN = Context(prec=28, rounding=ROUND_FLOOR)


@dataclass(frozen=True, slots=True)
class Exposure:
    """What one strategy holds of a symbol, or what an order on its way may add to it.

    Attributes:
        strategy_id: whose.
        symbol: ccxt unified symbol.
        notional: quote units; negative is short.
        pending: True for an order that has not ended; it counts at the worst price it may get.
        closing: True for one that takes away from a position which is counted as it is: it frees no room before it has
            filled, but it may end the balance of long and short.
    """

    strategy_id: str
    symbol: str
    notional: Decimal
    pending: bool = False
    closing: bool = False


@dataclass(frozen=True, slots=True)
class AccountView:
    """The account at the moment of the decision.

    Attributes:
        equity: cash plus marked positions, quote units.
        peak: the highest equity so far, quote units.
        cash: quote units; the proceeds of short sales are in it.
        exposures: everything held and everything on its way.
    """

    equity: Decimal
    peak: Decimal
    cash: Decimal
    exposures: tuple[Exposure, ...] = ()


@dataclass(frozen=True, slots=True)
class Opening:
    """One signal to open a position, and the world in which it is to be sized.

    Attributes:
        signal: OPEN_LONG or OPEN_SHORT.
        policy: the rules.
        price: the last trade, quote units per base unit, above 0.
        account: what is held and on its way, of everybody.
        capital: quote units that the strategy may use.
        risk_multiplier: factor on its size.
        daily_volatility: standard deviation of a day's return as a fraction; None while it is not known.
    """

    signal: Signal
    policy: RiskPolicy
    price: Decimal
    account: AccountView
    capital: Decimal
    risk_multiplier: Decimal = Decimal(1)
    daily_volatility: Decimal | None = None

    @property
    def long(self) -> bool:
        """Whether it buys."""
        return self.signal.intention is SignalIntention.OPEN_LONG

    @property
    def worst_price(self) -> Decimal:
        """At what price the order counts until it is filled: the last trade and the policy's reserve.

        Also for a sale: what it leaves behind is worth more when the price rises.
        """
        return with_reserve(self.price, self.policy)


@exact()
def with_reserve(price: Decimal, policy: RiskPolicy) -> Decimal:
    """A price with the policy's room for slippage and fees."""
    return price * (1 + policy.execution_controls.price_reserve)


def quantity(amount: Decimal, price: Decimal) -> Decimal:
    """How many base units an amount of quote units pays for; rounded down, and never below 0.

    >>> quantity(Decimal(10_000), Decimal(60_000))
    Decimal('0.1666666666666666666666666666')
    """
    return _DOWN.divide(amount, price) if amount > 0 else ZERO
