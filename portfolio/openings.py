"""May this signal open a position, and how large? One decision, with everything that was looked at.

A position is opened at the market. A strategy that holds a symbol the other way round must close it first: an order
that does both could not be told from one that was meant to reduce.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from core.contracts import (
    Instrument,
    PortfolioConfig,
    RiskCheck,
    Side,
    Signal,
    SignalIntention,
    SizingDecision,
    SizingReason,
)
from core.ledger.exact import decimal_price, exact
from core.risk.capital import allocation_of, strategy_capital
from core.risk.limits import allowances
from core.risk.opening import AccountView, Opening
from core.risk.policy import RiskPolicy
from core.risk.rules import brief
from core.risk.sizing import size
from portfolio.account import Account
from portfolio.answer import Answer
from portfolio.settings import ManagerSettings
from portfolio.volatility import MinuteCloses
from portfolio.working import Role, WorkingOrder, WorkingOrders

COUNTED: frozenset[Role] = frozenset({"open", "close"})
"""Roles of the orders on their way that count in the limits; a protection may rest for days without being reached."""

PRICE_MAX = Decimal("1e18")
"""No price that anybody means is higher."""


class Openings:
    """Sizes openings by the policy, within the limits of the account and of the strategy's capital."""

    def __init__(
        self, settings: ManagerSettings, account: Account, working: WorkingOrders, closes: MinuteCloses
    ) -> None:
        self._config: PortfolioConfig = settings.portfolio
        self._policy: RiskPolicy = settings.policy
        self._instruments = {instrument.symbol: instrument for instrument in settings.instruments}
        self._account = account
        self._working = working
        self._closes = closes
        self._objections: tuple[Callable[[Signal, int], RiskCheck | None], ...] = (
            self._unknown_symbol,
            self._no_allocation,
            self._no_price,
            self._stale_price,
            self._invalid_stop,
            self._not_flat,
        )

    def decide(self, signal: Signal, answer: Answer) -> tuple[SizingDecision, WorkingOrder | None]:
        """The decision on a signal to open, and the order that it leads to if it is accepted."""
        for objection in self._objections:
            check = objection(signal, answer.at.market_ns)
            if check is not None:
                return refusal(signal, SizingReason(check.name), (check,)), None
        opening, instrument = self._opening(signal), self._instruments[signal.symbol]
        asked = size(opening)
        if opening.capital <= 0:
            return refusal(signal, SizingReason.CAPITAL, (_check(SizingReason.CAPITAL, "0", "above 0"),)), None
        if asked is None:
            check = _check(SizingReason.NO_VOLATILITY, "", f"{self._policy.sizing.volatility_bars} returns that vary")
            return refusal(signal, SizingReason.NO_VOLATILITY, (check,)), None
        left = allowances(opening, asked)
        qty = instrument.quantize_qty(min(each.qty for each in left))
        minimum = _minimum(instrument, qty, _lowest(opening, instrument))
        checks = (*(each.check for each in left), minimum)
        reason = next((SizingReason(check.name) for check in checks if not check.passed), None)
        if reason is not None:
            return refusal(signal, reason, checks), None
        order = self._order(signal, opening, qty, answer.next_id(signal.strategy_id))
        return acceptance(signal, order, checks), order

    def _opening(self, signal: Signal) -> Opening:
        account, last = self._account, self._account.last_trade(signal.symbol)
        assert last is not None, "a signal without a price is refused"
        allocation = allocation_of(self._config, signal.strategy_id)
        equity = account.equity()
        with exact():
            budget = equity * self._policy.budgets.capital_share
        pending = (order.exposure(account.mark(order.symbol)) for order in self._working if order.role in COUNTED)
        return Opening(
            signal=signal,
            policy=self._policy,
            price=last.price,
            account=AccountView(
                equity=equity,
                peak=max(account.peak, equity),
                cash=account.ledger.cash[account.quote],
                exposures=(*account.exposures(), *pending),
            ),
            capital=strategy_capital(allocation, budget),
            risk_multiplier=decimal_price(allocation.risk_multiplier if allocation else 1.0),
            daily_volatility=self._closes.daily(signal.symbol),
        )

    def _order(self, signal: Signal, opening: Opening, qty: Decimal, intent_id: str) -> WorkingOrder:
        instrument, side = self._instruments[signal.symbol], _side(signal)
        return WorkingOrder(
            intent_id=intent_id,
            strategy_id=signal.strategy_id,
            symbol=signal.symbol,
            side=side,
            qty=qty,
            role="open",
            price=opening.worst_price,
            signal_id=signal.signal_id,
            stop_loss=_closing_price(signal.stop_loss, instrument, side),
            take_profit=_closing_price(signal.take_profit, instrument, side),
        )

    def _unknown_symbol(self, signal: Signal, market_ns: int) -> RiskCheck | None:
        instrument = self._instruments.get(signal.symbol)
        if instrument is not None and instrument.quote == self._account.quote:
            return None
        allowed = f"a configured symbol, priced in {self._account.quote}"
        return _check(SizingReason.UNKNOWN_SYMBOL, signal.symbol, allowed)

    def _no_allocation(self, signal: Signal, market_ns: int) -> RiskCheck | None:
        if not self._config.allocations or allocation_of(self._config, signal.strategy_id):
            return None
        return _check(SizingReason.NO_ALLOCATION, signal.strategy_id, "a strategy with a share of the portfolio")

    def _no_price(self, signal: Signal, market_ns: int) -> RiskCheck | None:
        if self._account.last_trade(signal.symbol) is not None:
            return None
        return _check(SizingReason.NO_PRICE, "", "known")

    def _stale_price(self, signal: Signal, market_ns: int) -> RiskCheck | None:
        last, age_max_ns = self._account.last_trade(signal.symbol), self._policy.execution_controls.max_price_age_ns
        age_ns = market_ns - last.ts_ns if last else age_max_ns + 1
        if age_ns <= age_max_ns:
            return None
        return _check(SizingReason.STALE_PRICE, _seconds(age_ns), _seconds(age_max_ns))

    def _invalid_stop(self, signal: Signal, market_ns: int) -> RiskCheck | None:
        """A stop must lie where the position loses, a target where it gains, both also after rounding to the tick."""
        last, instrument = self._account.last_trade(signal.symbol), self._instruments[signal.symbol]
        assert last is not None, "a signal without a price is refused"
        long = _opens_long(signal)
        for price, below in ((signal.stop_loss, long), (signal.take_profit, not long)):
            if price is None:
                continue
            rounded = _closing_price(price, instrument, _side(signal)) if price <= PRICE_MAX else None
            if rounded is None or not rounded > 0 or (rounded < last.price) is not below or rounded == last.price:
                text = f"{'below' if below else 'above'} {last.price:f}"
                return _check(SizingReason.INVALID_STOP, brief(price), text)
        return None

    def _not_flat(self, signal: Signal, market_ns: int) -> RiskCheck | None:
        """A strategy has one position per symbol, in one direction; larger only where the policy allows it."""
        key = (signal.strategy_id, signal.symbol)
        held, orders = self._account.held(*key), self._working.of(key)
        if any(order.role == "close" for order in orders):
            return _check(SizingReason.ALREADY_CLOSING, f"{held:f}", "no close on its way")
        directions = {order.side == "buy" for order in orders if order.role == "open"} | ({held > 0} if held else set())
        same = directions <= {_opens_long(signal)}
        if not directions or (same and self._policy.execution_controls.pyramiding):
            return None
        return _check(SizingReason.ALREADY_OPEN, f"{held:f}", "flat, and no opening order on its way")


def acceptance(signal: Signal, order: WorkingOrder, checks: tuple[RiskCheck, ...] = ()) -> SizingDecision:
    """The decision that leads to an order."""
    return SizingDecision(
        signal_id=signal.signal_id,
        accepted=True,
        qty=order.qty,
        intent_ids=(order.intent_id,),
        checks=checks,
        strategy_id=signal.strategy_id,
        symbol=signal.symbol,
    )


def refusal(signal: Signal, reason: SizingReason, checks: tuple[RiskCheck, ...] = ()) -> SizingDecision:
    """The decision that leads to none."""
    return SizingDecision(
        signal_id=signal.signal_id,
        accepted=False,
        reason=reason,
        checks=checks,
        strategy_id=signal.strategy_id,
        symbol=signal.symbol,
    )


def _opens_long(signal: Signal) -> bool:
    return signal.intention is SignalIntention.OPEN_LONG


def _side(signal: Signal) -> Side:
    return "buy" if _opens_long(signal) else "sell"


def _closing_price(price: Decimal | None, instrument: Instrument, side: Side) -> Decimal | None:
    """A stop or a target of a position opened on this side, on the tick: a stop is reached early rather than late."""
    if price is None:
        return None
    return instrument.quantize_price(price, "sell" if side == "buy" else "buy")


def _lowest(opening: Opening, instrument: Instrument) -> Decimal:
    """The lowest price that one of its orders may have: a stop that the venue would find too small protects nobody."""
    signal, side = opening.signal, _side(opening.signal)
    closing = (_closing_price(price, instrument, side) for price in (signal.stop_loss, signal.take_profit))
    return min((opening.price, *(price for price in closing if price is not None)))


@exact()
def _minimum(instrument: Instrument, qty: Decimal, price: Decimal) -> RiskCheck:
    """At least one lot, worth at least what the venue takes, also where a stop or a target would close it."""
    passed = qty > 0 and qty * price >= instrument.min_notional
    limit = f"{instrument.lot_size} or more, worth {instrument.min_notional} or more at {price:f}"
    return RiskCheck(SizingReason.BELOW_MINIMUM.value, passed, f"{qty:f}", limit)


def _check(reason: SizingReason, value: str, allowed: str) -> RiskCheck:
    return RiskCheck(reason.value, False, brief(value), brief(allowed))


def _seconds(ns: int) -> str:
    return f"{Decimal(ns).scaleb(-9):f}"
