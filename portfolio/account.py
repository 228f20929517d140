"""The one view of the account that reporting and sizing share: the books, each strategy's part of them, and prices."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import NamedTuple

from core.contracts import FillEvent, TradeEvent, quote_of
from core.errors import LedgerError
from core.handler import State
from core.ledger import Ledger, Position, PositionBook, check_invariants, exact
from core.ledger.exact import ZERO, decimal_price
from core.ledger.positions import fee_asset_of
from core.risk.opening import Exposure


class LastTrade(NamedTuple):
    """The last public trade of a symbol.

    Attributes:
        price: quote units per base unit, above 0.
        ts_ns: the venue's time of it, ns UTC; 0 where it is not known any more.
    """

    price: Decimal
    ts_ns: int


class Account:
    """Books and marks in one quote asset; exact.

    A symbol is marked at its last public trade, or at its last fill as long as it has not traded yet.

    Attributes:
        quote: the asset that everything is priced, paid and reported in.
        ledger: the books of the whole account.
        strategies: the positions of each strategy; what was held before they were kept apart belongs to "".
        peak: the highest equity that was seen, quote units.
    """

    def __init__(self, quote: str, starting_cash: Decimal, symbols: Collection[str] = ()) -> None:
        """
        Args:
            quote: the asset of the books.
            starting_cash: quote units.
            symbols: whose prices are remembered, besides those that are held; all if none is named.
        """
        self.quote = quote
        self.ledger = Ledger({quote: starting_cash})
        self.strategies = PositionBook()
        self.peak = starting_cash
        self._symbols = frozenset(symbols)
        self._trade_prices: dict[str, float] = {}
        self._trade_times: dict[str, int] = {}
        self._fill_prices: dict[str, Decimal] = {}

    def hear(self, trade: TradeEvent) -> None:
        """Remember the last trade of a symbol that matters here."""
        symbol = trade.symbol
        if not self._symbols or symbol in self._symbols or symbol in self.ledger.positions:
            self._trade_prices[symbol] = trade.price
            self._trade_times[symbol] = trade.ts

    def book(self, fill: FillEvent) -> None:
        """Book a fill for the account and for its strategy.

        Raises:
            LedgerError: it is priced in another asset than the books, or has a fee in another: its value would need an
                exchange rate. The books are left as they were.
        """
        fee_asset = fee_asset_of(fill) if fill.fee else self.quote
        for what, asset in (("priced", quote_of(fill.symbol)), ("charged", fee_asset)):
            if asset != self.quote:
                raise LedgerError(f"fill {fill.fill_id} of {fill.symbol} is {what} in {asset}; allowed: {self.quote}")
        self.ledger.apply_fill(fill)
        check_invariants(self.ledger)
        self.strategies.apply(fill)
        self._fill_prices[fill.symbol] = fill.price

    def equity(self) -> Decimal:
        """Cash plus positions at their marks, quote units."""
        return self.ledger.equity(self.quote, self.marks())

    def see_peak(self) -> None:
        """Remember the equity if there was never more."""
        self.peak = max(self.peak, self.equity())

    def marks(self) -> dict[str, Decimal]:
        """Quote units per base unit of every symbol that was ever held."""
        return {symbol: self.mark(symbol) for symbol in self.ledger.positions}

    def mark(self, symbol: str) -> Decimal:
        """What a unit is worth; of a symbol that has traded or was held."""
        traded = self._trade_prices.get(symbol)
        return self._fill_prices[symbol] if traded is None else decimal_price(traded)

    def last_trade(self, symbol: str) -> LastTrade | None:
        """The last public trade of a symbol; None before the first."""
        price = self._trade_prices.get(symbol)
        return None if price is None else LastTrade(decimal_price(price), self._trade_times.get(symbol, 0))

    def held(self, strategy_id: str, symbol: str) -> Decimal:
        """Base units that a strategy holds; negative is short."""
        position = self.strategies.positions.get((strategy_id, symbol))
        return ZERO if position is None else position.book.qty

    def exposures(self) -> Iterator[Exposure]:
        """Every position of every strategy, at its mark."""
        for (strategy_id, symbol), position in self.strategies.positions.items():
            if position.book.lots:
                with exact():
                    notional = position.book.qty * self.mark(symbol)
                yield Exposure(strategy_id, symbol, notional)

    @exact()
    def gained(self, strategy_id: str) -> Decimal:
        """Quote units that a strategy has gained, realized and not, after fees; a loss is negative."""
        total = ZERO
        for (owner, symbol), position in self.strategies.positions.items():
            if owner == strategy_id:
                unrealized = position.book.unrealized_pnl(self.mark(symbol)) if position.book.lots else ZERO
                total += position.book.realized_pnl + unrealized - position.fees
        return total

    def snapshot(self) -> State:
        """Books and prices."""
        return {
            "quote": self.quote,
            "ledger": self.ledger.get_snapshot(),
            "strategies": self.strategies.snapshot(),
            "peak": str(self.peak),
            "trade_prices": dict(self._trade_prices),
            "trade_times": dict(self._trade_times),
            "fill_prices": {symbol: str(price) for symbol, price in self._fill_prices.items()},
        }

    def restore(self, state: State) -> None:
        """Become what `snapshot` described; starting cash and quote asset are facts of the account's history.

        Raises:
            LedgerError: the books do not add up.
        """
        self.quote = state["quote"]
        self.ledger.restore_from_snapshot(state["ledger"])
        check_invariants(self.ledger)
        self._trade_prices = dict(state["trade_prices"])
        self._trade_times = dict(state.get("trade_times", {}))
        self._fill_prices = {symbol: Decimal(price) for symbol, price in state["fill_prices"].items()}
        if "strategies" in state:
            self.strategies.restore(state["strategies"])
        else:
            held = self.ledger.positions.items()
            self.strategies.positions = {("", symbol): Position.restored(each.snapshot()) for symbol, each in held}
        self.peak = Decimal(state["peak"]) if "peak" in state else self.equity()
