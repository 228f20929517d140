"""Bars of one series as columns: what arrays, frames, checks and caches work on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from core.contracts import OHLCVBar, quote_of, timeframe_ns
from core.errors import ContractError

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

PRICES = ("open", "high", "low", "close")
DTYPES: dict[str, type[Any]] = {"ts_open": np.int64, "trade_count": np.int64, "complete": np.bool_}
"""Of the columns that are not float64."""


@dataclass(frozen=True, eq=False)
class BarColumns:
    """Bars of one symbol and timeframe, one array per field, all of one length, rising by time.

    Attributes:
        symbol: ccxt unified symbol.
        timeframe: of every bar.
        ts_open: start of each, ns UTC, strictly rising.
        open: first price, quote units per base unit.
        high: highest price.
        low: lowest price.
        close: last price.
        volume: base units traded.
        vwap: mean price by quantity; NaN where it is not known.
        turnover: quote units traded; 0 where it is not known.
        trade_count: how many trades; 0 where it is not known.
        complete: False where trades are known to be missing.
        split_factor: see `core.contracts.OHLCVBar`.
        return_factor: see `core.contracts.OHLCVBar`.
        asset_class: "crypto", "equity" ...
        currency: the asset that prices are in.
    """

    symbol: str
    timeframe: str
    ts_open: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    vwap: Floats
    turnover: Floats
    trade_count: Ints
    complete: Flags
    split_factor: Floats
    return_factor: Floats
    asset_class: str = "crypto"
    currency: str = ""

    def __len__(self) -> int:
        return len(self.ts_open)

    @property
    def ts_close(self) -> Ints:
        """End of each bar, ns UTC, exclusive."""
        return self.ts_open + timeframe_ns(self.timeframe)

    @classmethod
    def of(
        cls,
        symbol: str,
        timeframe: str,
        arrays: dict[str, Any],
        *,
        asset_class: str = "crypto",
        currency: str | None = None,
    ) -> Self:
        """Build from what is known: `ts_open`, the prices, and any other column; the rest gets its default.

        Raises:
            ContractError: a column is missing or unknown, their lengths differ, or `ts_open` does not rise.
        """
        timeframe_ns(timeframe)
        unknown = sorted(set(arrays) - set(ARRAYS))
        missing = [name for name in ("ts_open", *PRICES) if name not in arrays]
        if unknown or missing:
            raise ContractError(f"bars of {symbol}: columns unknown: {unknown}, missing: {missing}; allowed: {ARRAYS}")
        size = len(arrays["ts_open"])
        made = {name: _array(name, arrays.get(name), size) for name in ARRAYS}
        lengths = {name: len(array) for name, array in made.items()}
        if set(lengths.values()) != {size}:
            raise ContractError(f"bars of {symbol}: columns of different lengths: {lengths}")
        if size > 1 and not (np.diff(made["ts_open"]) > 0).all():
            raise ContractError(f"bars of {symbol} {timeframe}: ts_open does not rise strictly")
        quote = quote_of(symbol) if currency is None else currency
        return cls(symbol, timeframe, **made, asset_class=asset_class, currency=quote)

    @classmethod
    def from_bars(cls, symbol: str, timeframe: str, bars: Iterable[OHLCVBar]) -> Self:
        """Columns of events of one series, oldest first.

        Raises:
            ContractError: they do not rise by time.
        """
        listed = list(bars)
        arrays: dict[str, Any] = {name: [getattr(bar, name) for bar in listed] for name in ARRAYS if name != "vwap"}
        arrays["vwap"] = [np.nan if bar.vwap is None else bar.vwap for bar in listed]
        like = listed[-1] if listed else None
        return cls.of(
            symbol,
            timeframe,
            arrays,
            asset_class=like.asset_class if like else "crypto",
            currency=like.currency if like else None,
        )

    @classmethod
    def empty(cls, symbol: str, timeframe: str) -> Self:
        """No bars of a series."""
        return cls.of(symbol, timeframe, dict.fromkeys(("ts_open", *PRICES), ()))

    def __getitem__(self, rows: slice | Ints | Flags) -> Self:
        """Some of the bars: a slice, a mask or rising positions."""
        return replace(self, **{name: getattr(self, name)[rows] for name in ARRAYS})

    def between(self, start_ns: int, end_ns: int) -> Self:
        """The bars that open in `[start_ns, end_ns)`; no array is copied."""
        first, last = np.searchsorted(self.ts_open, [start_ns, end_ns])
        return self[slice(int(first), int(last))]

    def bars(self) -> Iterator[OHLCVBar]:
        """The bars as events, oldest first.

        Raises:
            ContractError: one of them is none, such as a high below its low.
        """
        length = timeframe_ns(self.timeframe)
        columns = [getattr(self, name).tolist() for name in ARRAYS]
        for row in zip(*columns, strict=True):
            ts_open, first, high, low, last, volume, vwap, turnover, count, complete, split, total = row
            yield OHLCVBar(
                self.symbol,
                self.timeframe,
                ts_open,
                ts_open + length,
                first,
                high,
                low,
                last,
                volume,
                None if vwap != vwap else vwap,
                turnover,
                count,
                complete,
                self.asset_class,
                self.currency,
                split,
                total,
            )

    def to_frame(self) -> pd.DataFrame:
        """A frame as Python's backtesters know it: UTC index of opening times, Open, High, Low, Close, Volume."""
        import pandas as pd

        index = pd.DatetimeIndex(pd.to_datetime(self.ts_open, unit="ns", utc=True), name="time")
        columns = {name.capitalize(): getattr(self, name) for name in (*PRICES, "volume")}
        return pd.DataFrame(columns, index=index)

    def equals(self, other: BarColumns) -> bool:
        """Whether all columns and words are the same, NaN counting as equal to NaN."""
        same_words = (self.symbol, self.timeframe, self.asset_class, self.currency) == (
            other.symbol,
            other.timeframe,
            other.asset_class,
            other.currency,
        )
        return same_words and all(
            np.array_equal(getattr(self, name), getattr(other, name), equal_nan=name == "vwap") for name in ARRAYS
        )


ARRAYS: tuple[str, ...] = tuple(
    each.name for each in fields(BarColumns) if each.name not in ("symbol", "timeframe", "asset_class", "currency")
)
"""Names of the array columns, in their order."""

DEFAULTS = {"volume": 0.0, "vwap": np.nan, "turnover": 0.0, "trade_count": 0, "complete": True}


def _array(name: str, values: Any, size: int) -> NDArray[Any]:
    dtype = DTYPES.get(name, np.float64)
    if values is None:
        return np.full(size, DEFAULTS.get(name, 1.0), dtype)
    return np.ascontiguousarray(values, dtype)
