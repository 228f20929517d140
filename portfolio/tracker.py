"""What the account is worth: cash, positions at the market's prices, and the profit of the day.

The books are the account's. The day is the UTC day of the market clock, so a replay of last year's market has last
year's days.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from core.contracts import (
    Event,
    FillEvent,
    PnlDay,
    PortfolioConfig,
    PortfolioSnapshot,
    TradeEvent,
    ValuationTrigger,
    Watermark,
)
from core.handler import At, State
from core.ledger import exact
from core.ledger.exact import decimal_price
from core.risk.capital import allocation_of, drift, strategy_capital
from core.risk.policy import RiskPolicy
from portfolio.account import Account

_SECOND_NS = 1_000_000_000
_HOUR_NS = 3_600 * _SECOND_NS
_QUIET_NS_MAX = 60 * _SECOND_NS
_DAY_NS = 86_400 * _SECOND_NS
_EPOCH = date(1970, 1, 1).toordinal()


class PortfolioTracker:
    """Handler: fills, trades and the market clock in; portfolio snapshots and the profit of the day out.

    It speaks after every fill, when it is asked, and on the market clock at most once per second if the equity has
    changed. A new day is announced with the first event that belongs to it, before that event counts.
    """

    def __init__(self, account: Account, config: PortfolioConfig, policy: RiskPolicy) -> None:
        """
        Args:
            account: the books; this handler is the one that writes them.
            config: name, capital and shares.
            policy: its budgets, and what calls for a rebalance.
        """
        self._account = account
        self._config = config
        self._policy = policy
        self._market_ns = 0
        self._day: int | None = None  # days since 1970; None before the market's first event
        self._equity_open = account.equity()
        self._published: Decimal | None = None  # equity in the last snapshot
        self._second = -1  # market second of the last snapshot that the clock caused
        self._told_ns = 0  # market time of the last profit of the day
        self._balanced_ns = 0  # market time of the last report in which no strategy had drifted; at first, the opening

    def on_event(self, event: Event, at: At) -> Sequence[Event]:
        """Follow a fill, a trade or the clock; answer whoever asks for the value.

        Raises:
            LedgerError: a fill cannot be booked in the portfolio's quote asset, or the books do not add up.
        """
        self._market_ns = at.market_ns
        opening = self._open_day()
        if isinstance(event, TradeEvent):
            self._account.hear(event)
            return opening
        if isinstance(event, FillEvent):
            self.on_fill(event)
            return (*opening, *self._report())
        if isinstance(event, Watermark):
            return (*opening, *self._report_on_clock())
        if isinstance(event, ValuationTrigger):
            return (*opening, *self._report())
        return opening

    def on_fill(self, fill: FillEvent) -> None:
        """Book a fill.

        Raises:
            LedgerError: it is priced in another asset than the portfolio's, or has a fee in another. The books are left
                as they were.
        """
        self._account.book(fill)
        self._account.see_peak()

    def get_total_equity(self) -> float:
        """Cash plus positions at their marks, quote units."""
        return float(self._account.equity())

    def get_strategy_capital(self, strategy_id: str) -> float:
        """Quote units that a strategy may use now; 0 for one without an allocation where there are allocations."""
        allocation = allocation_of(self._config, strategy_id)
        if allocation is None and self._config.allocations:
            return 0.0
        with exact():
            budget = self._account.equity() * self._policy.budgets.capital_share
        return float(strategy_capital(allocation, budget))

    def get_snapshot(self) -> PortfolioSnapshot:
        """The account at the market time of the last event; positions by name, without flat symbols."""
        ledger, quote = self._account.ledger, self._account.quote
        # sorted, because restored books are, and a report must not tell whether there was a restart
        held = {symbol: float(held.book.qty) for symbol, held in sorted(ledger.positions.items()) if held.book.lots}
        equities = self._equities()
        drifts = drift(self._config, equities, self._account.equity())
        return PortfolioSnapshot(
            portfolio_id=self._config.portfolio_id,
            timestamp_ns=self._market_ns,
            total_equity=self.get_total_equity(),
            strategy_allocations={strategy_id: float(equity) for strategy_id, equity in equities.items()},
            drift_from_target=drifts,
            needs_rebalance=self._needs_rebalance(drifts),
            cash=float(ledger.cash[quote]),
            realized_pnl=float(ledger.realized_pnl(quote)),
            unrealized_pnl=float(ledger.unrealized_pnl(quote, self._account.marks())),
            fees=float(ledger.fees.get(quote, 0)),
            positions=held,
        )

    @exact()
    def _equities(self) -> dict[str, Decimal]:
        """Each strategy's share of the starting cash and what it has gained with it since."""
        starting = self._account.ledger.starting[self._account.quote]
        return {
            each.strategy_id: starting * decimal_price(each.target_weight) + self._account.gained(each.strategy_id)
            for each in self._config.allocations
        }

    def _needs_rebalance(self, drifts: dict[str, float]) -> bool:
        most = max(map(abs, drifts.values()), default=0.0)
        due_ns = self._balanced_ns + self._config.rebalance_frequency_hours * _HOUR_NS
        rules = self._policy.rebalancing
        drifted = rules.on_drift and most > self._config.rebalance_threshold
        return drifted or (rules.on_schedule and most > 0.0 and self._market_ns >= due_ns)

    def _open_day(self) -> tuple[PnlDay, ...]:
        """Begin the day of the market time if it is a new one; the first one began with the starting cash."""
        day = self._market_ns // _DAY_NS
        if day == self._day or not self._market_ns:
            return ()
        if self._day is None:
            self._balanced_ns = self._balanced_ns or self._market_ns
        else:
            self._equity_open = self._account.equity()
        self._day = day
        return (self._pnl_day(day),)

    def _report_on_clock(self) -> tuple[Event, ...]:
        """News at most once a second; the profit of the day at least once a minute, so that its age means something."""
        second = self._market_ns // _SECOND_NS
        if second <= self._second:
            return ()
        if self._account.equity() == self._published:
            quiet = self._market_ns - self._told_ns < _QUIET_NS_MAX
            return () if quiet or self._day is None else (self._pnl_day(self._day),)
        self._second = second
        self._account.see_peak()
        return self._report()

    def _report(self) -> tuple[Event, ...]:
        self._published = self._account.equity()
        snapshot = self.get_snapshot()
        if not any(snapshot.drift_from_target.values()):
            self._balanced_ns = self._market_ns
        today = () if self._day is None else (self._pnl_day(self._day),)
        return (snapshot, *today)

    @exact()
    def _pnl_day(self, day: int) -> PnlDay:
        equity, self._told_ns = self._account.equity(), self._market_ns
        return PnlDay(
            day=date.fromordinal(_EPOCH + day).isoformat(),
            pnl=equity - self._equity_open,
            equity=equity,
            equity_open=self._equity_open,
            market_ns=self._market_ns,
        )

    def snapshot(self) -> State:
        """The day, and what was said last; the books are the account's."""
        return {
            "market_ns": self._market_ns,
            "day": self._day,
            "equity_open": str(self._equity_open),
            "published": None if self._published is None else str(self._published),
            "second": self._second,
            "told_ns": self._told_ns,
            "balanced_ns": self._balanced_ns,
        }

    def restore(self, state: State) -> None:
        """Become what `snapshot` described."""
        self._market_ns = state["market_ns"]
        self._day = state["day"]
        self._equity_open = Decimal(state["equity_open"])
        self._published = None if state["published"] is None else Decimal(state["published"])
        self._second = state["second"]
        self._told_ns = state["told_ns"]
        self._balanced_ns = state.get("balanced_ns", 0)
