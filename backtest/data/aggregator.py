"""Frames of bars: made longer, given indicators, put side by side."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.data.columns import ARRAYS, PRICES, BarColumns, Ints
from backtest.data.resample import resample
from core.contracts import iso, timeframe_ns
from core.errors import ContractError
from core.market.resample import Incomplete
from strategies import indicators

if TYPE_CHECKING:
    import pandas as pd

_INPUTS = {"x": "close", "high": "high", "low": "low", "close": "close", "volume": "volume", "ts_ns": "ts_open"}
"""What an indicator's parameters are called, and the column that each gets."""

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_NS = 1_000_000_000


class DataAggregator:
    """Works on frames as `BarColumns.to_frame` gives them, or on those columns themselves.

    A frame has a time index, which counts as UTC where it names no zone, and a column for each of open, high, low and
    close, in any case; volume, vwap, turnover, trade_count and complete where they are known. None is changed: each
    method gives a new frame, with its times in UTC.
    """

    def resample_ohlcv(
        self, frame: pd.DataFrame | BarColumns, timeframe: str, *, source: str = "", incomplete: Incomplete = "keep"
    ) -> pd.DataFrame:
        """Bars of a longer timeframe; see `backtest.data.resample.resample`.

        Args:
            frame: of the shorter timeframe, rising by time.
            timeframe: of the result.
            source: of the frame; by default the shortest distance of two of its bars.
            incomplete: "keep" or "drop" the bars that lack some of their source bars.

        Raises:
            ContractError: the frame holds what is no bar, or no such bars can be made of it.
        """
        import pandas as pd

        if isinstance(frame, BarColumns):
            return resample(frame, timeframe, incomplete=incomplete).to_frame()
        times, labels = _times(frame), _labels(frame)
        if unknown := sorted(set(labels) - set(ARRAYS)):
            raise ContractError(f"columns of the frame that no longer bar can have: {unknown}; leave them out")
        arrays = {"ts_open": times, **{name: _values(frame, label, name) for name, label in labels.items()}}
        made = resample(
            BarColumns.of("of the frame", source or _timeframe(times), arrays), timeframe, incomplete=incomplete
        )
        index = pd.DatetimeIndex(pd.to_datetime(made.ts_open, unit="ns", utc=True), name=frame.index.name)
        return pd.DataFrame({label: getattr(made, name) for name, label in labels.items()}, index=index)

    def add_indicators(
        self, frame: pd.DataFrame | BarColumns, wanted: Sequence[str] | Mapping[str, indicators.Indicator]
    ) -> pd.DataFrame:
        """The frame with a column per figure, each fed bar by bar as a strategy would: no row knows a later one.

        Columns are called as asked for; an indicator of several figures has one for each, such as `macd_signal`. They
        are NaN where the indicator has not seen enough yet.

        Args:
            frame: of bars, rising by time.
            wanted: names with settings in their order, such as "sma_20", "bollinger_20_2.5", "macd", "rolling_vwap_50";
                or indicators by column name, fresh ones.

        Raises:
            ContractError: there is no such indicator, its settings are wrong, or the frame lacks what it needs.
        """
        known = frame.to_frame() if isinstance(frame, BarColumns) else frame
        times, labels = _times(known), _labels(known)
        made = dict(wanted) if isinstance(wanted, Mapping) else {name: indicator_of(name) for name in wanted}
        result = known.copy()
        result.index = _index(known)
        for name, indicator in made.items():
            update = _update_of(indicator)
            inputs = [_input(known, labels, parameter, times) for parameter in _parameters(update)]
            for column, values in _figures(name, update, inputs).items():
                result[column] = values
        return result

    def merge_symbols(
        self, frames: Mapping[str, pd.DataFrame | BarColumns], *, forward_fill: bool = False
    ) -> pd.DataFrame:
        """All times of all frames, with columns (symbol, field); NaN where a symbol has no bar.

        Args:
            frames: by symbol.
            forward_fill: repeat a symbol's last values where it has no bar, with a volume of 0; never before its first.

        Raises:
            ContractError: there is no frame, or one has no time index or holds a time twice.
        """
        import pandas as pd

        if not frames:
            raise ContractError("there is no frame to merge; allowed: one or more")
        parts: dict[str, pd.DataFrame] = {}
        for symbol, frame in frames.items():
            part = (frame.to_frame() if isinstance(frame, BarColumns) else frame).copy()
            _times(part)
            part.index = _index(part)
            parts[symbol] = part
        merged = pd.concat(parts, axis=1, join="outer", sort=True, names=["symbol", "field"])
        return _filled(merged) if forward_fill else merged


def indicator_of(name: str) -> indicators.Indicator:
    """A fresh indicator by name and settings.

    >>> indicator_of("bollinger_20_2.5").settings
    ('bollinger', 20, 2.5)

    Raises:
        ContractError: there is none of that name, or its settings are wrong.
    """
    words = name.split("_")
    numbers: list[int | float] = []
    while words and (number := _number(words[-1])) is not None:
        numbers.insert(0, number)
        words.pop()
    kinds = _kinds()
    kind = kinds.get("".join(words).lower())
    if kind is None:
        raise ContractError(f"indicator is {name!r}; allowed: {', '.join(sorted(kinds))}, then settings, as in sma_20")
    try:
        made: indicators.Indicator = kind(*numbers)
    except (TypeError, ValueError) as error:
        raise ContractError(f"indicator is {name!r}: {error}") from None
    return made


def _number(word: str) -> int | float | None:
    try:
        return int(word) if word.isdecimal() else float(word)
    except ValueError:
        return None


def _kinds() -> dict[str, Callable[..., Any]]:
    """Classes by name, of the indicators that bars alone can feed."""
    found = {}
    for name in indicators.__all__:
        kind = getattr(indicators, name)
        update = getattr(kind, "update", None)
        if update is not None and set(list(inspect.signature(update).parameters)[1:]) <= set(_INPUTS):
            found[name.lower()] = kind
    return found


def _update_of(indicator: indicators.Indicator) -> Callable[..., Any]:
    update: Callable[..., Any] | None = getattr(indicator, "update", None)
    if update is None or not set(_parameters(update)) <= set(_INPUTS):
        raise ContractError(f"{type(indicator).__name__} cannot be fed with bars; allowed inputs: {', '.join(_INPUTS)}")
    return update


def _parameters(update: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(update).parameters)


def _input(frame: pd.DataFrame, labels: Mapping[str, Any], parameter: str, times: Ints) -> list[Any]:
    name = _INPUTS[parameter]
    if name != "ts_open" and name not in labels:
        raise ContractError(f"the frame has no column {name}; it has: {', '.join(labels)}")
    values: list[Any] = (times if name == "ts_open" else _values(frame, labels[name], name)).tolist()
    return values


def _figures(name: str, update: Callable[..., Any], inputs: list[list[Any]]) -> dict[str, Any]:
    """Columns of one indicator; a plain figure has its name, the fields of several have theirs behind it."""
    values = [update(*row) for row in zip(*inputs, strict=True)]
    fields = next((value._fields for value in values if hasattr(value, "_fields")), None)
    if fields is None:
        return {name: np.array(values, np.float64)}  # None becomes NaN
    rows = [(None,) * len(fields) if value is None else value for value in values]
    table = np.array(rows, np.float64)
    return {f"{name}_{field}": table[:, place] for place, field in enumerate(fields)}


def _index(frame: pd.DataFrame) -> pd.DatetimeIndex:
    import pandas as pd

    index = frame.index
    if not isinstance(index, pd.DatetimeIndex):
        raise ContractError(f"index of the frame is a {type(index).__name__}; allowed: a DatetimeIndex")
    return index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")


def _times(frame: pd.DataFrame) -> Ints:
    """Opening times, ns UTC, strictly rising."""
    times = np.asarray(_index(frame).as_unit("ns").asi8)
    if (back := np.flatnonzero(np.diff(times) <= 0)).size:
        raise ContractError(f"the frame's time does not rise at {iso(int(times[back[0] + 1]))}")
    return times


def _labels(frame: pd.DataFrame) -> dict[str, Any]:
    """Column labels by their name in small letters."""
    labels: dict[str, Any] = {}
    for label in frame.columns:
        if labels.setdefault(str(label).lower(), label) is not label:
            raise ContractError(f"column {label!r} is in the frame twice")
    return labels


def _values(frame: pd.DataFrame, label: object, name: str) -> Any:
    """A column's values; what a bar must have may not be missing."""
    values = frame[label].to_numpy()
    if name in (*PRICES, "volume"):
        values = values.astype(np.float64)
        if (bad := np.flatnonzero(~np.isfinite(values))).size:
            raise ContractError(f"{label} of the frame is {values[bad[0]]} at {frame.index[bad[0]]}; allowed: a number")
    return values


def _timeframe(times: Ints) -> str:
    if len(times) < 2:
        raise ContractError("one bar does not tell its timeframe; give it as `source`")
    seconds = int(np.diff(times).min()) // _NS
    unit, length = next(((unit, length) for unit, length in _UNITS if seconds and seconds % length == 0), ("s", 1))
    timeframe = f"{seconds // length}{unit}"
    timeframe_ns(timeframe)
    return timeframe


def _filled(merged: pd.DataFrame) -> pd.DataFrame:
    """What was last known repeats; nothing trades meanwhile."""
    filled = merged.ffill()
    for column in merged.columns:
        if str(column[1]).lower() in ("volume", "turnover", "trade_count"):
            began = filled[column].notna()
            filled[column] = merged[column].where(merged[column].notna() | ~began, 0)
    return filled
