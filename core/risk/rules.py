"""The checks between an intent and an order: small functions of one signature, in the order of `RULES`.

Each compares one observation with one limit and is named after the reason it denies with. What a check needs and
does not have fails it: unknown is denied. All run for every intent; the first that failed gives the reason.

What limits how much is put at stake binds no order that takes stake away: an order that closes (see `closes`) passes
the cap per order and the caps on the day's loss at any value. Everything else holds for it too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import NamedTuple

from core.contracts import DenialReason, Instrument, OrderIntent, RiskCheck
from core.handler import At
from core.risk.settings import GateSettings

DAY_NS = 86_400_000_000_000
CLOSES = "any: it only closes"
"""The limit of a check that does not bind an order that closes."""
_TEXT_MAX = 120

# Intents come with numbers of any size, and nothing here may raise; whatever can pass the checks is computed exactly.
_ARITHMETIC = Context(prec=64, traps=[])


class LastTrade(NamedTuple):
    """The last public trade of a symbol.

    Attributes:
        price: quote units per base unit, above 0.
        ts_ns: the venue's time of it, ns UTC.
        heard_ns: sequencer time at which it was published, ns UTC; 0 for one that came late, which is never fresh.
    """

    price: float
    ts_ns: int
    heard_ns: int


class PnlNow(NamedTuple):
    """The latest profit of the day.

    Attributes:
        pnl: quote units; a loss is negative.
        market_ns: market time of it, ns UTC.
    """

    pnl: Decimal
    market_ns: int


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that the rules may look at.

    Attributes:
        intent: the wish.
        at: its place and times.
        settings: the caps in force.
        halted: why trading is halted; empty while it is not.
        instrument: the grid of the symbol; None for a symbol that is not configured.
        trade: the last trade of the symbol, if any was heard.
        pnl: the latest profit of the day, if any was heard.
        tokens: orders of this symbol that the rate cap still lets pass; those that close are counted apart.
        reducible: base units that an order of this side could close of the strategy's position; 0 if none.
    """

    intent: OrderIntent
    at: At
    settings: GateSettings
    halted: str
    instrument: Instrument | None
    trade: LastTrade | None
    pnl: PnlNow | None
    tokens: int
    reducible: Decimal

    @property
    def closes(self) -> bool:
        """Whether the order can only make the position smaller, in its whole quantity."""
        return closes(self.intent, self.reducible)

    @property
    def ref_price(self) -> Decimal | None:
        """Price of the last trade, else the limit price of a limit buy; None where neither is known.

        A limit price on a market order binds nobody, and that of a sell only says how little it may bring: 25,000
        coins offered at 0.01 are worth what the market pays. Neither is a price to size an order by.
        """
        if self.trade is not None:
            return Decimal(repr(self.trade.price))
        intent, limit_price = self.intent, self.intent.limit_price
        if intent.type == "limit" and intent.side == "buy" and limit_price is not None and limit_price > 0:
            return limit_price
        return None

    @property
    def own_price(self) -> Decimal | None:
        """Price that a venue values the order by: its limit or stop, or the market's for a market order."""
        price = own_price_of(self.intent)
        return self.ref_price if price is None else price

    @property
    def worst_price(self) -> Decimal | None:
        """What a unit may cost: a buy with its limit or stop above the market may pay that; else the market's price."""
        ref_price, own_price = self.ref_price, self.own_price
        if ref_price is None or own_price is None or self.intent.side == "sell":
            return ref_price
        return max(ref_price, own_price)

    @property
    def pnl_today(self) -> Decimal:
        """Profit of the current UTC day of the market clock; 0 where only an earlier day is known, or nothing."""
        if self.pnl is None or self.pnl.market_ns // DAY_NS < self.at.market_ns // DAY_NS:
            return Decimal(0)
        return self.pnl.pnl

    def notional(self, price: Decimal | None) -> Decimal | None:
        """Quote units of the whole order at a price."""
        return None if price is None else _ARITHMETIC.multiply(self.intent.qty, price)


def closes(intent: OrderIntent, reducible: Decimal) -> bool:
    """Whether an intent can only make its strategy's position smaller, in its whole quantity.

    One that says so but is larger than the position reduces too, and the venue cuts it; but since only a part of it
    is a close, the limits of any other order hold for it. One that does not say so may open.
    """
    return intent.reduce_only and 0 < intent.qty <= reducible


def own_price_of(intent: OrderIntent) -> Decimal | None:
    """The price that an order's type goes by: the limit of a limit order, the stop of a stop order."""
    prices = {"limit": intent.limit_price, "stop": intent.stop_price}
    return prices.get(intent.type)


Rule = Callable[[Case], RiskCheck]


def check_halted(case: Case) -> RiskCheck:
    """The kill switch has been observed, and is clear."""
    return _check(DenialReason.HALTED, not case.halted, case.halted or "clear", "clear")


def check_symbol(case: Case) -> RiskCheck:
    """The symbol is configured."""
    known = case.instrument is not None
    return _check(DenialReason.UNKNOWN_SYMBOL, known, case.intent.symbol, "a configured symbol")


def check_qty(case: Case) -> RiskCheck:
    """The quantity is above 0 and a multiple of the lot."""
    qty, grid = case.intent.qty, case.instrument
    passed = grid is not None and qty > 0 and _on_grid(qty, grid.lot_size)
    return _check(DenialReason.INVALID_QTY, passed, qty, _steps(grid.lot_size if grid else None))


def check_price(case: Case) -> RiskCheck:
    """A limit or stop order has its price, above 0 and a multiple of the tick; a market order needs none.

    A price that the type does not know is refused, because whoever set it counts on it: a stop price makes no stop of
    a market or limit order, and a stop with a limit is another type of order. Only the limit price of a market order
    is let pass and dropped.
    """
    intent, grid = case.intent, case.instrument
    stray = intent.limit_price if intent.type == "stop" else intent.stop_price
    if stray is not None:
        return _check(DenialReason.INVALID_PRICE, False, stray, f"no such price on a {intent.type} order")
    if intent.type == "market":
        return _check(DenialReason.INVALID_PRICE, True, intent.limit_price, "any")
    price = own_price_of(intent)
    passed = grid is not None and price is not None and price > 0 and _on_grid(price, grid.tick_size)
    return _check(DenialReason.INVALID_PRICE, passed, price, _steps(grid.tick_size if grid else None))


def check_intent_age(case: Case) -> RiskCheck:
    """What caused the intent is news: a service that was down for an hour must not trade the hour's intents."""
    age_ns, age_max_ns = case.at.ts_ns - case.at.root_ts_ns, case.settings.risk.max_intent_age_ns
    return _check(DenialReason.STALE_INTENT, age_ns <= age_max_ns, _seconds(age_ns), _seconds(age_max_ns))


def check_reduce_only(case: Case) -> RiskCheck:
    """An order that may only reduce has a position of its own strategy against it; the value is how much of one."""
    if not case.intent.reduce_only:
        return _check(DenialReason.REDUCE_ONLY, True, None, "any")
    return _check(DenialReason.REDUCE_ONLY, case.reducible > 0, case.reducible, "above 0")


def check_price_known(case: Case) -> RiskCheck:
    """There is a price to value the order by."""
    return _check(DenialReason.NO_PRICE, case.ref_price is not None, case.ref_price, "known")


def check_price_age(case: Case) -> RiskCheck:
    """The last trade is fresh, by the market's clock and by ours; a limit price used for want of a trade has no age.

    The market's clock stands still when the feed dies, and would call its last trade fresh for ever.
    """
    age_max_ns = case.settings.risk.max_price_age_ns
    if case.trade is None:
        return _check(DenialReason.STALE_PRICE, True, None, _seconds(age_max_ns))
    age_ns = max(case.at.market_ns - case.trade.ts_ns, case.at.ts_ns - case.trade.heard_ns)
    return _check(DenialReason.STALE_PRICE, age_ns <= age_max_ns, _seconds(age_ns), _seconds(age_max_ns))


def check_min_notional(case: Case) -> RiskCheck:
    """The order is worth what the venue takes at least, at its own price; a close too, or the venue would refuse it."""
    notional, grid = case.notional(case.own_price), case.instrument
    passed = grid is not None and notional is not None and notional >= grid.min_notional
    return _check(DenialReason.MIN_NOTIONAL, passed, notional, grid.min_notional if grid else None)


def check_order_cap(case: Case) -> RiskCheck:
    """The order is worth no more than the cap, at the worst price it can pay; one that closes may be worth anything."""
    notional, cap = case.notional(case.worst_price), case.settings.risk.per_order_usd_cap
    if case.closes:
        return _check(DenialReason.PER_ORDER_CAP, True, notional, CLOSES)
    return _check(DenialReason.PER_ORDER_CAP, notional is not None and notional <= cap, notional, cap)


def check_pnl_known(case: Case) -> RiskCheck:
    """Where real money is put at stake, the profit of the day is known and fresh."""
    age_ns = None if case.pnl is None else case.at.market_ns - case.pnl.market_ns
    age_max_ns = case.settings.risk.max_pnl_age_ns
    value = None if age_ns is None else _seconds(age_ns)
    if case.closes or not case.settings.live:
        return _check(DenialReason.NO_PNL, True, value, CLOSES if case.closes else "any")
    passed = age_ns is not None and age_ns <= age_max_ns
    return _check(DenialReason.NO_PNL, passed, value, _seconds(age_max_ns))


def check_daily_loss(case: Case) -> RiskCheck:
    """The day's loss has not reached the cap; what closes may end the day."""
    floor = -case.settings.risk.daily_loss_usd_cap
    if case.closes:
        return _check(DenialReason.DAILY_LOSS_CAP, True, case.pnl_today, CLOSES)
    return _check(DenialReason.DAILY_LOSS_CAP, case.pnl_today > floor, case.pnl_today, floor)


def check_rate(case: Case) -> RiskCheck:
    """There is a token left; the value is how many, the limit how many a minute brings."""
    cap = case.settings.risk.orders_per_min_cap
    return _check(DenialReason.RATE_LIMIT, case.tokens > 0, case.tokens, cap)


RULES: tuple[Rule, ...] = (
    check_halted,
    check_symbol,
    check_qty,
    check_price,
    check_intent_age,
    check_reduce_only,
    check_price_known,
    check_price_age,
    check_min_notional,
    check_order_cap,
    check_pnl_known,
    check_daily_loss,
    check_rate,
)


def _check(reason: DenialReason, passed: bool, value: object, limit: object) -> RiskCheck:
    return RiskCheck(reason.value, passed, brief(value), brief(limit))


def brief(value: object) -> str:
    """A value as a short text; empty for None."""
    text = "" if value is None else str(value)
    return text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 3] + "..."


def _on_grid(value: Decimal, step: Decimal) -> bool:
    return _ARITHMETIC.remainder(value, step).is_zero()  # NaN, and so off the grid, for a number out of all proportion


def _steps(step: Decimal | None) -> str | None:
    return None if step is None else f"above 0, in steps of {step}"


def _seconds(ns: int) -> str:
    return f"{Decimal(ns).scaleb(-9):f}"
