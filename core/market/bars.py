"""Bars out of trades."""

from __future__ import annotations

from dataclasses import dataclass

from core.contracts import timeframe_ns
from core.contracts.base import refuse

BASE = "1m"
BASE_NS = timeframe_ns(BASE)


@dataclass(frozen=True, slots=True)
class AggregatorSettings:
    """Which bars are built.

    Attributes:
        timeframes: lengths of bars, whole minutes that divide the UTC day, each length once; kept from short to
            long, and "1m" is always among them, because the others are made of it.
    """

    timeframes: tuple[str, ...] = (BASE, "5m", "15m", "1h")

    def __post_init__(self) -> None:
        lengths = {timeframe_ns(timeframe): timeframe for timeframe in (BASE, *self.timeframes)}
        for length_ns, timeframe in lengths.items():
            if length_ns % BASE_NS:
                raise refuse(self, "timeframes", timeframe, "whole minutes: 1m, 5m, 15m, 1h, 4h, 1d")
        if len(lengths) < len({BASE, *self.timeframes}):
            raise refuse(self, "timeframes", self.timeframes, "each length once")
        object.__setattr__(self, "timeframes", tuple(lengths[length_ns] for length_ns in sorted(lengths)))
