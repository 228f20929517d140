"""The portfolio manager: what the account is worth, and what signals become, over one view of the books."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from core import topics
from core.contracts import Event
from core.handler import At, Content, Handler, Service, State
from core.ledger.exact import decimal_price
from portfolio.account import Account
from portfolio.settings import ManagerSettings, settings_from
from portfolio.sizer import Sizer
from portfolio.tracker import PortfolioTracker
from portfolio.volatility import TIMEFRAME


class PortfolioManager:
    """Handler: the tracker books and reports, then the sizer decides; so a signal sees every fill before it.

    Attributes:
        tracker: equity, capital and snapshots.
    """

    def __init__(self, settings: ManagerSettings) -> None:
        """
        Args:
            settings: capital, policy and instruments.
        """
        symbols = [instrument.symbol for instrument in settings.instruments]
        self._account = Account(settings.quote, _plain(settings.portfolio.total_capital), symbols)
        self._sizer = Sizer(settings, self._account)
        self.tracker = PortfolioTracker(self._account, settings.portfolio, settings.policy)

    def on_event(self, event: Event, at: At) -> Sequence[Event]:
        """Follow whatever there is, then answer it.

        Raises:
            LedgerError: a fill cannot be booked, or the books do not add up.
        """
        told = self.tracker.on_event(event, at)
        said = self._sizer.on_event(event, at)
        return (*told, *said) if said else told

    def snapshot(self) -> State:
        """The books, the day and the orders."""
        return {**self._account.snapshot(), **self.tracker.snapshot(), "sizer": self._sizer.snapshot()}

    def restore(self, state: State) -> None:
        """Become what `snapshot` described; a memory from before there was a sizer has no orders.

        Raises:
            LedgerError: the books do not add up.
        """
        self._account.restore(state)
        self.tracker.restore(state)
        if "sizer" in state:
            self._sizer.restore(state["sizer"])


def _plain(amount: float) -> Decimal:
    """An amount of the configuration as money, without the zeros behind the point that a float is written with."""
    return Decimal(f"{decimal_price(amount).normalize():f}")


def _build(content: Content) -> Handler:
    return PortfolioManager(settings_from(content))


SERVICE = Service(
    name="portfolio_manager",
    inputs=lambda content: (
        topics.FILLS_NEW.pattern,
        topics.MD_TRADES.pattern,
        topics.CLOCK_MARKET.pattern,
        topics.STRAT_SIGNAL.pattern,
        topics.RISK_DECISIONS.pattern,
        topics.ORDERS_UPDATES.pattern,
        topics.MD_OHLCV.name.format(timeframe=TIMEFRAME, symbol="*"),
        topics.VALUATION.pattern,
    ),
    build=_build,
)
