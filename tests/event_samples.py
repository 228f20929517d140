"""Strategies for hypothesis: any event of any type that the constructors accept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from decimal import Decimal
from typing import Any, get_args, get_type_hints

from hypothesis import strategies as st

from core.contracts import CorporateAction, Event, OHLCVBar, OrderStatus, RiskCheck, TradeGap, WarmUp
from core.contracts.base import Event as Base
from core.contracts.timeframe import timeframe_ns
from core.topics import TOPICS

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
WHOLE = st.integers(min_value=-(2**63), max_value=2**63 - 1)
POSITIVE = st.floats(min_value=1e-12, max_value=1e15, allow_nan=False)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
MONEY = st.decimals(allow_nan=False, allow_infinity=False)
MONEY_ABOVE_0 = st.decimals(min_value=Decimal("1E-18"), max_value=Decimal("1E18"), allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | FINITE | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
LEVELS = st.lists(st.tuples(POSITIVE, FINITE), max_size=4).map(tuple)

TIMEFRAMES = ("1m", "5m", "15m", "1h", "4h", "1d")
COUNT = st.integers(min_value=0, max_value=2**63 - 1)

NARROWER: dict[tuple[str, str], st.SearchStrategy[Any]] = {
    ("FillEvent", "qty"): MONEY_ABOVE_0,
    ("FillEvent", "price"): MONEY_ABOVE_0,
    ("Signal", "price"): st.none() | MONEY_ABOVE_0,
    ("Signal", "stop_loss"): st.none() | MONEY_ABOVE_0,
    ("Signal", "take_profit"): st.none() | MONEY_ABOVE_0,
    ("Signal", "confidence"): st.floats(min_value=0.0, max_value=1.0, exclude_min=True),
    ("SizingDecision", "intent_ids"): st.lists(TEXTS, max_size=3).map(tuple),
    ("BarCorrection", "timeframe"): st.sampled_from(TIMEFRAMES),
    ("OHLCVBar", "timeframe"): st.sampled_from(TIMEFRAMES),
    ("OHLCVBar", "ts_open"): st.integers(min_value=0, max_value=2**62),
    ("TradeGap", "after_ns"): COUNT,
    ("TradeGap", "before_ns"): COUNT,
    ("TradeGap", "missing"): COUNT,
    ("CorporateAction", "ratio"): MONEY_ABOVE_0,
    ("CorporateAction", "amount"): MONEY_ABOVE_0,
    ("WarmUp", "timeframe"): st.sampled_from(TIMEFRAMES),
    ("WarmUp", "bars"): st.lists(st.tuples(POSITIVE, POSITIVE), max_size=3),
}
"""Fields that hold less than their type does."""
EVENTS = tuple(topic.event for topic in TOPICS)


def any_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Any event of a type."""
    hints = get_type_hints(kind)
    given = {field.name: of_field(kind, field.name, hints[field.name]) for field in fields(kind)}  # type: ignore[arg-type]
    required = {field.name for field in fields(kind) if field.default is field.default_factory is MISSING}  # type: ignore[arg-type]
    required |= {name for name in ("amount", "new_symbol") if kind is CorporateAction}  # its kind may need them
    return st.fixed_dictionaries(
        {name: each for name, each in given.items() if name in required},
        optional={name: each for name, each in given.items() if name not in required},
    ).map(lambda values: kind(**fitting(kind, values)))


def fitting(kind: type[Event], values: dict[str, Any]) -> dict[str, Any]:
    """The values with those that depend on each other brought into line."""
    if kind is OHLCVBar:
        low, *inside, high = sorted(values[name] for name in ("low", "open", "close", "high"))
        ts_close = values["ts_open"] + timeframe_ns(values["timeframe"])
        return {**values, "low": low, "open": inside[0], "close": inside[1], "high": high, "ts_close": ts_close}
    if kind is TradeGap:
        after_ns, before_ns = sorted((values["after_ns"], values["before_ns"]))
        return {**values, "after_ns": after_ns, "before_ns": before_ns}
    if kind is CorporateAction:
        return {
            name: value for name, value in values.items() if name not in _BELONGS or _BELONGS[name] == values["kind"]
        }
    if kind is WarmUp:
        return {**values, "bars": tuple(_bars(values["symbol"], values["timeframe"], values["bars"]))}
    return values


_BELONGS = {"ratio": "split", "amount": "dividend", "new_symbol": "symbol_change"}
"""What only one kind of corporate action has."""


def _bars(symbol: str, timeframe: str, closes: list[tuple[float, float]]) -> Iterator[OHLCVBar]:
    length = timeframe_ns(timeframe)
    for index, (close, volume) in enumerate(closes):
        start = index * length
        yield OHLCVBar(symbol, timeframe, start, start + length, close, close, close, close, volume)


def of_field(kind: type[Event], name: str, hint: Any) -> st.SearchStrategy[Any]:
    """Any value of one of its fields."""
    if (kind.__name__, name) in NARROWER:
        return NARROWER[kind.__name__, name]
    choices = get_args(hint)
    if str(hint).startswith("typing.Literal"):
        return st.sampled_from(choices)
    if type(None) in choices:
        return st.none() | of_field(kind, name, next(choice for choice in choices if choice is not type(None)))
    if isinstance(hint, type) and issubclass(hint, str) and hint is not str:
        return st.sampled_from(list(hint))  # type: ignore[call-overload]
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: NAMES, int: WHOLE, bool: st.booleans(), Decimal: MONEY, float: POSITIVE,
        dict[str, Any]: st.dictionaries(TEXTS, JSON, max_size=4),
        dict[str, str]: st.dictionaries(TEXTS, TEXTS, max_size=4),
        dict[str, float]: st.dictionaries(TEXTS, FINITE, max_size=4),
    }  # fmt: skip
    if hint in plain:
        return plain[hint]
    if name in ("bids", "asks"):
        return LEVELS
    return st.lists(st.builds(RiskCheck, NAMES, st.booleans(), TEXTS, TEXTS), max_size=3).map(tuple)


__all__ = ["EVENTS", "JSON", "NAMES", "Base", "OrderStatus", "any_of"]
