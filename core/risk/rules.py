"""The checks between an intent and an order: small functions of one signature, in the order of `RULES`.

Each compares one observation with one limit and is named after the reason it denies with. What a check needs and
does not have fails it: unknown is denied. All run for every intent; the first that failed gives the reason.
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
_TEXT_MAX = 120

# Intents come with numbers of any size, and nothing here may raise; whatever can pass the checks is computed exactly.
_ARITHMETIC = Context(prec=64, traps=[])


class LastTrade(NamedTuple):
    """The last public trade of a symbol.

    Attributes:
        price: quote units per base unit, above 0.
        ts_ns: the venue's time of it, ns UTC.
        heard_ns: sequencer time at which it was published, ns UTC.
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
        tokens: orders of this symbol that the rate cap still lets pass.
    """

    intent: OrderIntent
    at: At
    settings: GateSettings
    halted: str
    instrument: Instrument | None
    trade: LastTrade | None
    pnl: PnlNow | None
    tokens: int

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
        """Price that a venue values the order by: its limit, or the market's for a market order."""
        if self.intent.type == "limit" and self.intent.limit_price is not None:
            return self.intent.limit_price
        return self.ref_price

    @property
    def worst_price(self) -> Decimal | None:
        """What a unit may cost: a limit buy above the market can pay its limit; anything else the market's price."""
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
    """A limit order has a price, above 0 and a multiple of the tick; a market order needs none."""
    price, grid = case.intent.limit_price, case.instrument
    if case.intent.type == "market":
        return _check(DenialReason.INVALID_PRICE, True, price, "any")
    passed = grid is not None and price is not None and price > 0 and _on_grid(price, grid.tick_size)
    return _check(DenialReason.INVALID_PRICE, passed, price, _steps(grid.tick_size if grid else None))


def check_intent_age(case: Case) -> RiskCheck:
    """What caused the intent is news: a service that was down for an hour must not trade the hour's intents."""
    age_ns, age_max_ns = case.at.ts_ns - case.at.root_ts_ns, case.settings.risk.max_intent_age_ns
    return _check(DenialReason.STALE_INTENT, age_ns <= age_max_ns, _seconds(age_ns), _seconds(age_max_ns))


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
    """The order is worth what the venue takes at least, at its own price."""
    notional, grid = case.notional(case.own_price), case.instrument
    passed = grid is not None and notional is not None and notional >= grid.min_notional
    return _check(DenialReason.MIN_NOTIONAL, passed, notional, grid.min_notional if grid else None)


def check_order_cap(case: Case) -> RiskCheck:
    """The order is worth no more than the cap, at the worst price it can pay."""
    notional, cap = case.notional(case.worst_price), case.settings.risk.per_order_usd_cap
    return _check(DenialReason.PER_ORDER_CAP, notional is not None and notional <= cap, notional, cap)


def check_pnl_known(case: Case) -> RiskCheck:
    """Where real money is at stake, the profit of the day is known and fresh."""
    age_ns = None if case.pnl is None else case.at.market_ns - case.pnl.market_ns
    age_max_ns = case.settings.risk.max_pnl_age_ns
    value = None if age_ns is None else _seconds(age_ns)
    if not case.settings.live:
        return _check(DenialReason.NO_PNL, True, value, "any")
    passed = age_ns is not None and age_ns <= age_max_ns
    return _check(DenialReason.NO_PNL, passed, value, _seconds(age_max_ns))


def check_daily_loss(case: Case) -> RiskCheck:
    """The day's loss has not reached the cap."""
    floor = -case.settings.risk.daily_loss_usd_cap
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
