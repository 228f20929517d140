"""What may be ordered: the venue's grid of prices and quantities."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Context, Decimal, localcontext

from core.contracts.base import refuse, require_text, set_decimal
from core.contracts.enums import Side


@dataclass(frozen=True, slots=True)
class Instrument:
    """A tradable symbol with its rules.

    Attributes:
        symbol: ccxt unified symbol, "BTC/USDT".
        tick_size: smallest step of a price, quote units.
        lot_size: smallest step of a quantity, base units.
        min_notional: smallest price times quantity, quote units.
    """

    symbol: str
    tick_size: Decimal
    lot_size: Decimal
    min_notional: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        require_text(self, "symbol", self.symbol)
        if self.symbol.count("/") != 1:
            raise refuse(self, "symbol", self.symbol, "BASE/QUOTE, such as BTC/USDT")
        for name in ("tick_size", "lot_size", "min_notional"):
            set_decimal(self, name)
        if self.tick_size <= 0:
            raise refuse(self, "tick_size", self.tick_size, "above 0")
        if self.lot_size <= 0:
            raise refuse(self, "lot_size", self.lot_size, "above 0")
        if self.min_notional < 0:
            raise refuse(self, "min_notional", self.min_notional, "0 or more")

    @property
    def base(self) -> str:
        """The asset that is bought and sold."""
        return self.symbol.split("/")[0]

    @property
    def quote(self) -> str:
        """The asset that prices are in; "BTC/USDT:USDT" settles in it too."""
        return quote_of(self.symbol)

    def quantize_qty(self, qty: Decimal) -> Decimal:
        """Round down to the lot: never more than was asked for.

        >>> Instrument("BTC/USDT", Decimal("0.01"), Decimal("0.001")).quantize_qty(Decimal("0.0129"))
        Decimal('0.012')
        """
        return _on_grid(qty, self.lot_size, ROUND_DOWN)

    def quantize_price(self, price: Decimal, side: Side) -> Decimal:
        """Round to the tick, never to a worse price: a buy down, a sell up."""
        return _on_grid(price, self.tick_size, ROUND_FLOOR if side == "buy" else ROUND_CEILING)


def _on_grid(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    with localcontext(Context(prec=_DIGITS, rounding=rounding)):  # the division too is rounded towards the right side
        return (value / step).to_integral_value() * step


def quote_of(symbol: str) -> str:
    """The asset that prices of a symbol are in; empty for a symbol that names none.

    >>> quote_of("BTC/USDT"), quote_of("BTC/USDT:USDT")
    ('USDT', 'USDT')
    """
    return symbol.partition("/")[2].partition(":")[0]


def file_symbol(symbol: str) -> str:
    """The symbol as file names and instance names carry it: at most 64 letters, digits, dots, dashes, underscores.

    >>> file_symbol("ATOM/USDT"), file_symbol("BTC/USDT:USDT")
    ('ATOMUSDT', 'BTCUSDT_USDT')
    """
    return _NOT_IN_FILES.sub("_", symbol.replace("/", ""))[:_FILE_SYMBOL_MAX]


_NOT_IN_FILES = re.compile(r"[^\w.-]", re.ASCII)
_FILE_SYMBOL_MAX = 64
_DIGITS = 1000
"""As many as money has: a grid must not depend on what the process, or a strategy in it, has set its decimals to."""
