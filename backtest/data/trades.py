"""Trades of one symbol as columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from backtest.data.columns import Flags, Floats, Ints
from core.contracts import TradeEvent
from core.errors import ContractError

Texts = NDArray[np.object_]

TRADE_ARRAYS = ("ts", "price", "qty", "buy", "trade_id")
"""Names of the array columns, in their order."""

_DTYPES: dict[str, Any] = {"ts": np.int64, "buy": np.bool_, "trade_id": np.object_}
"""Of the columns that are not float64."""


@dataclass(frozen=True, eq=False)
class TradeColumns:
    """Trades of one symbol, one array per field, all of one length, never falling by time.

    Attributes:
        symbol: ccxt unified symbol.
        ts: the venue's time of each, ns UTC.
        price: quote units per base unit, above 0.
        qty: base units, above 0.
        buy: True where the taker bought, False where he sold.
        trade_id: the venue's id as text; empty where it gives none.
    """

    symbol: str
    ts: Ints
    price: Floats
    qty: Floats
    buy: Flags
    trade_id: Texts

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def side(self) -> NDArray[np.str_]:
        """What the taker did, as trades say it: "buy" or "sell"."""
        return np.where(self.buy, "buy", "sell")

    @classmethod
    def of(cls, symbol: str, arrays: dict[str, Any]) -> Self:
        """Build from the columns; `trade_id` may be left out.

        Raises:
            ContractError: a column is missing or unknown, their lengths differ, or time falls.
        """
        wrong = sorted(set(arrays) - set(TRADE_ARRAYS)) + sorted({"ts", "price", "qty", "buy"} - set(arrays))
        if wrong:
            raise ContractError(f"trades of {symbol}: columns unknown or missing: {wrong}; allowed: {TRADE_ARRAYS}")
        size = len(arrays["ts"])
        given = {"trade_id": np.full(size, "", np.object_), **arrays}
        made = {name: np.ascontiguousarray(given[name], _DTYPES.get(name, np.float64)) for name in TRADE_ARRAYS}
        lengths = {name: len(array) for name, array in made.items()}
        if set(lengths.values()) != {size}:
            raise ContractError(f"trades of {symbol}: columns of different lengths: {lengths}")
        if (np.diff(made["ts"]) < 0).any():
            raise ContractError(f"trades of {symbol}: ts falls")
        return cls(symbol, **made)

    @classmethod
    def from_trades(cls, symbol: str, trades: Iterable[TradeEvent]) -> Self:
        """Columns of events, oldest first; when they were received and whether they were late is not kept.

        Raises:
            ContractError: their time falls.
        """
        listed = list(trades)
        return cls.of(
            symbol,
            {
                "ts": [trade.ts for trade in listed],
                "price": [trade.price for trade in listed],
                "qty": [trade.qty for trade in listed],
                "buy": [trade.side == "buy" for trade in listed],
                "trade_id": np.array([trade.trade_id for trade in listed], np.object_),
            },
        )

    def __getitem__(self, rows: slice | Ints | Flags) -> Self:
        """Some of the trades: a slice, a mask or rising positions."""
        return replace(self, **{name: getattr(self, name)[rows] for name in TRADE_ARRAYS})

    def between(self, start_ns: int, end_ns: int) -> Self:
        """The trades in `[start_ns, end_ns)`; no array is copied."""
        first, last = np.searchsorted(self.ts, [start_ns, end_ns])
        return self[slice(int(first), int(last))]

    def trades(self) -> Iterator[TradeEvent]:
        """The trades as events, oldest first.

        Raises:
            ContractError: one of them is none, such as one with a price of 0.
        """
        columns = [getattr(self, name).tolist() for name in TRADE_ARRAYS]
        for ts, price, qty, buy, trade_id in zip(*columns, strict=True):
            yield TradeEvent(self.symbol, price, qty, "buy" if buy else "sell", ts, trade_id)

    def equals(self, other: TradeColumns) -> bool:
        """Whether symbol and all columns are the same."""
        return self.symbol == other.symbol and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in TRADE_ARRAYS
        )
