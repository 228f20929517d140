"""What the account is worth: cash, positions at the market's prices, and the profit of the day.

The books are the ledger's; the prices are the last public trades. A symbol that has not traded yet is marked at its
last fill. The day is the UTC day of the market clock, so a replay of last year's market has last year's days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from core import codec, topics
from core.contracts import Event, FillEvent, PnlDay, PortfolioSnapshot, TradeEvent, Watermark, quote_of
from core.errors import LedgerError
from core.handler import At, Content, Service, State
from core.ledger import Ledger, check_invariants, exact
from core.ledger.exact import decimal_price
from core.ledger.positions import fee_asset_of
from core.ledger.settings import PortfolioSettings

_SECOND_NS = 1_000_000_000
_QUIET_NS_MAX = 60 * _SECOND_NS
_DAY_NS = 86_400 * _SECOND_NS
_EPOCH = date(1970, 1, 1).toordinal()


class PortfolioTracker:
    """Handler: fills, trades and the market clock in; portfolio snapshots and the profit of the day out.

    It speaks after every fill, and on the market clock at most once per second if the equity has changed. A new day
    is announced with the first event that belongs to it, before that event counts.
    """

    def __init__(self, settings: PortfolioSettings) -> None:
        self._id = settings.id
        self._quote = settings.quote
        self._ledger = Ledger({settings.quote: settings.starting_cash})
        self._trade_prices: dict[str, float] = {}
        self._fill_prices: dict[str, Decimal] = {}
        self._market_ns = 0
        self._day: int | None = None  # days since 1970; None before the market's first event
        self._equity_open = settings.starting_cash
        self._published: Decimal | None = None  # equity in the last snapshot
        self._second = -1  # market second of the last snapshot that the clock caused
        self._told_ns = 0  # market time of the last profit of the day

    def on_event(self, event: Event, at: At) -> Sequence[Event]:
        """Follow a fill, a trade or the clock.

        Raises:
            LedgerError: a fill cannot be booked in the portfolio's quote asset, or the books do not add up.
        """
        self._market_ns = at.market_ns
        opening = self._open_day()
        if isinstance(event, TradeEvent):
            self._trade_prices[event.symbol] = event.price
            return opening
        if isinstance(event, FillEvent):
            self.on_fill(event)
            return (*opening, *self._report())
        if isinstance(event, Watermark):
            return (*opening, *self._report_on_clock())
        return opening

    def on_fill(self, fill: FillEvent) -> None:
        """Book a fill.

        Raises:
            LedgerError: it is priced in another asset than the portfolio's, or has a fee in another: its value would
                need an exchange rate. The books are left as they were.
        """
        fee_asset = fee_asset_of(fill) if fill.fee else self._quote
        for what, asset in (("priced", quote_of(fill.symbol)), ("charged", fee_asset)):
            if asset != self._quote:
                raise LedgerError(f"fill {fill.fill_id} of {fill.symbol} is {what} in {asset}; allowed: {self._quote}")
        self._ledger.apply_fill(fill)
        check_invariants(self._ledger)
        self._fill_prices[fill.symbol] = fill.price

    def get_total_equity(self) -> float:
        """Cash plus positions at their marks, quote units."""
        return float(self._equity())

    def get_snapshot(self) -> PortfolioSnapshot:
        """The account at the market time of the last event; flat symbols are left out of the positions."""
        ledger, quote = self._ledger, self._quote
        held = {symbol: float(held.book.qty) for symbol, held in ledger.positions.items() if held.book.lots}
        return PortfolioSnapshot(
            portfolio_id=self._id,
            timestamp_ns=self._market_ns,
            total_equity=self.get_total_equity(),
            cash=float(ledger.cash[quote]),
            realized_pnl=float(ledger.realized_pnl(quote)),
            unrealized_pnl=float(ledger.unrealized_pnl(quote, self._marks())),
            fees=float(ledger.fees.get(quote, 0)),
            positions=held,
        )

    def _open_day(self) -> tuple[PnlDay, ...]:
        """Begin the day of the market time if it is a new one; the first one began with the starting cash."""
        day = self._market_ns // _DAY_NS
        if day == self._day or not self._market_ns:
            return ()
        if self._day is not None:
            self._equity_open = self._equity()
        self._day = day
        return (self._pnl_day(day),)

    def _report_on_clock(self) -> tuple[Event, ...]:
        """News at most once a second; the profit of the day at least once a minute, so that its age means something."""
        second = self._market_ns // _SECOND_NS
        if second <= self._second:
            return ()
        if self._equity() == self._published:
            quiet = self._market_ns - self._told_ns < _QUIET_NS_MAX
            return () if quiet or self._day is None else (self._pnl_day(self._day),)
        self._second = second
        return self._report()

    def _report(self) -> tuple[Event, ...]:
        self._published = self._equity()
        today = () if self._day is None else (self._pnl_day(self._day),)
        return (self.get_snapshot(), *today)

    @exact()
    def _pnl_day(self, day: int) -> PnlDay:
        equity, self._told_ns = self._equity(), self._market_ns
        return PnlDay(
            day=date.fromordinal(_EPOCH + day).isoformat(),
            pnl=equity - self._equity_open,
            equity=equity,
            equity_open=self._equity_open,
            market_ns=self._market_ns,
        )

    def _equity(self) -> Decimal:
        return self._ledger.equity(self._quote, self._marks())

    def _marks(self) -> dict[str, Decimal]:
        return {symbol: self._mark(symbol) for symbol in self._ledger.positions}

    def _mark(self, symbol: str) -> Decimal:
        traded = self._trade_prices.get(symbol)
        return self._fill_prices[symbol] if traded is None else decimal_price(traded)

    def snapshot(self) -> State:
        """Books, prices, and what was said last."""
        return {
            "quote": self._quote,
            "ledger": self._ledger.get_snapshot(),
            "trade_prices": dict(self._trade_prices),
            "fill_prices": {symbol: str(price) for symbol, price in self._fill_prices.items()},
            "market_ns": self._market_ns,
            "day": self._day,
            "equity_open": str(self._equity_open),
            "published": None if self._published is None else str(self._published),
            "second": self._second,
            "told_ns": self._told_ns,
        }

    def restore(self, state: State) -> None:
        """Become what `snapshot` described; starting cash and quote asset are facts of the account's history.

        Raises:
            LedgerError: the books do not add up.
        """
        self._quote = state["quote"]
        self._ledger.restore_from_snapshot(state["ledger"])
        check_invariants(self._ledger)
        self._trade_prices = dict(state["trade_prices"])
        self._fill_prices = {symbol: Decimal(price) for symbol, price in state["fill_prices"].items()}
        self._market_ns = state["market_ns"]
        self._day = state["day"]
        self._equity_open = Decimal(state["equity_open"])
        self._published = None if state["published"] is None else Decimal(state["published"])
        self._second = state["second"]
        self._told_ns = state["told_ns"]


@dataclass(frozen=True, slots=True)
class _TrackerContent:
    portfolio: PortfolioSettings


def _build(content: Content) -> PortfolioTracker:
    return PortfolioTracker(codec.convert(content, _TrackerContent).portfolio)


SERVICE = Service(
    name="portfolio_manager",
    inputs=lambda content: (topics.FILLS_NEW.pattern, topics.MD_TRADES.pattern, topics.CLOCK_MARKET.pattern),
    build=_build,
)
