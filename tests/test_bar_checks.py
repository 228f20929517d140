"""Bars and trades check all of their numbers in one go; that must take exactly what checking one by one takes."""

from __future__ import annotations

from decimal import Decimal
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.contracts import OHLCVBar, TradeEvent
from core.contracts.base import require_in, require_positive, require_text
from core.contracts.enums import SIDES
from core.errors import ContractError


class Name(str):
    """A text of a kind of its own."""


ODD: list[Any] = [
    0.0, -0.0, 1.0, 2.0, 3.0, 1.5, -1.0, nan, inf, -inf, 1e308, 1.7e308, 5e-324, 1, 2, 0, True, False, None, "1",
    10**400, Decimal(1), Decimal("NaN"), np.float64(1.0), np.float32(1.0), np.int64(1), np.float64("nan"), 1j, [1.0],
]  # fmt: skip
NUMBERS = st.sampled_from(ODD)
WORDS = st.sampled_from(["BTC/USDT", "", Name("BTC/USDT"), Name(""), np.str_("BTC"), None, 1, b"BTC", ["BTC"]])
FRAMES = st.sampled_from(["1m", "5m", "1h", "7m", "", None, 1, Name("1m"), ["1m"]])


def outcome(call: Any) -> str:
    """ "ok", or how it was refused."""
    try:
        call()
    except ContractError as error:
        return str(error)
    except (TypeError, ValueError, OverflowError, ArithmeticError) as error:
        return type(error).__name__
    return "ok"


def slow(event: OHLCVBar) -> None:
    """Every check by itself."""
    event._check()


def slow_trade(event: TradeEvent) -> None:
    """Every check by itself."""
    require_text(event, "symbol", event.symbol)
    require_positive(event, "price", event.price)
    require_positive(event, "qty", event.qty)
    require_in(event, "side", event.side, SIDES)


def unchecked(kind: type[Any], **values: Any) -> Any:
    """An event that nobody has checked."""
    made = object.__new__(kind)
    for name, field in kind.__dataclass_fields__.items():
        object.__setattr__(made, name, values.get(name, field.default))
    return made


BARS = st.fixed_dictionaries(
    {
        "symbol": WORDS, "timeframe": FRAMES,
        "ts_open": st.sampled_from([0, 60_000_000_000, True, 0.0, np.int64(0)]),
        "ts_close": st.sampled_from([60_000_000_000, 300_000_000_000, 120_000_000_000, 6e10, np.int64(60_000_000_000)]),
        "open": NUMBERS, "high": NUMBERS, "low": NUMBERS, "close": NUMBERS, "volume": NUMBERS,
    },
    optional={"vwap": NUMBERS, "turnover": NUMBERS, "split_factor": NUMBERS, "return_factor": NUMBERS},
)  # fmt: skip
GOOD = {
    "symbol": "BTC/USDT", "timeframe": "1m", "ts_open": 0, "ts_close": 60_000_000_000,
    "open": 2.0, "high": 3.0, "low": 1.0, "close": 2.0, "volume": 1.0,
}  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(BARS)
def test_any_bar_is_taken_or_refused_as_by_single_checks(values):
    """Whatever stands in its fields, at once."""
    assert outcome(lambda: OHLCVBar(**values)) == outcome(lambda: slow(unchecked(OHLCVBar, **values)))


@pytest.mark.parametrize(
    "field",
    ["open", "high", "low", "close", "volume", "vwap", "turnover", "split_factor", "return_factor"],
)
@pytest.mark.parametrize("value", ODD, ids=repr)
def test_one_odd_number_in_a_good_bar(field, value):
    """Every number that is none, too small, too big or of another kind, in every field."""
    values = {**GOOD, field: value}
    assert outcome(lambda: OHLCVBar(**values)) == outcome(lambda: slow(unchecked(OHLCVBar, **values)))


@settings(max_examples=1000, deadline=None)
@given(WORDS, NUMBERS, NUMBERS, st.sampled_from(["buy", "sell", Name("buy"), "BUY", "", None, 1, ["buy"]]))
@example("BTC/USDT", 1.7e308, 1.7e308, "buy")
def test_any_trade_is_taken_or_refused_as_by_single_checks(symbol, price, qty, side):
    """Whatever stands in its fields, at once."""
    values = {"symbol": symbol, "price": price, "qty": qty, "side": side, "ts": 1}
    assert outcome(lambda: TradeEvent(**values)) == outcome(lambda: slow_trade(unchecked(TradeEvent, **values)))
