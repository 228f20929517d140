"""Longer bars out of shorter recorded ones, one after the other, by the same arithmetic as the live ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from core.contracts import OHLCVBar, iso, timeframe_ns
from core.errors import ContractError
from core.market.bars_building import DerivedBars

Incomplete = Literal["keep", "drop"]
"""What becomes of a bar that lacks some of its source bars, or that has some which lack trades themselves."""


def bars_per(source: str, timeframe: str) -> int:
    """How many bars of one length make one of another.

    >>> bars_per("1m", "1h")
    60

    Raises:
        ContractError: the other is shorter, or no whole number of them.
    """
    number, rest = divmod(timeframe_ns(timeframe), timeframe_ns(source))
    if rest or not number:
        raise ContractError(f"bars of {source} make no bars of {timeframe}; allowed: a whole number of {source}")
    return number


def resampled(bars: Iterable[OHLCVBar], timeframe: str, *, incomplete: Incomplete = "keep") -> Iterator[OHLCVBar]:
    """Bars of a longer timeframe, aligned to the UTC day; see `core.market.bars_building.DerivedBars`.

    A bar is given as soon as its last source bar has come, or one behind it, or nothing more comes. It is complete only
    if all of its source bars were there and complete; so a market that closes at night has no complete days. Words and
    factors are those of its source bars. Bars that have the timeframe already are given as they are.

    Args:
        bars: of one symbol and timeframe, rising by time.
        timeframe: of the result.
        incomplete: "keep" or "drop" those that are not complete.

    Raises:
        ContractError: the timeframe is shorter or no whole number of source bars; they do not rise, are of different
            series, reach over the end of a bar, or have different factors within one.
    """
    making: _Making | None = None
    for bar in bars:
        if making is None:
            making = _Making.of(bar, timeframe)
        yield from _wanted(making.add(bar), incomplete)
    if making is not None:
        yield from _wanted([making.end()], incomplete)


def _wanted(made: Iterable[OHLCVBar | None], incomplete: Incomplete) -> Iterator[OHLCVBar]:
    return (bar for bar in made if bar is not None and (bar.complete or incomplete == "keep"))


@dataclass(slots=True)
class _Making:
    """A series while it is made longer.

    Attributes:
        derived: does it.
        length_ns: of a bar of the result.
        number: of source bars in one of the result.
        last: source bar that came last.
    """

    derived: DerivedBars
    length_ns: int
    number: int
    last: OHLCVBar

    @classmethod
    def of(cls, first: OHLCVBar, timeframe: str) -> _Making:
        number = bars_per(first.timeframe, timeframe)
        return cls(DerivedBars(timeframe, first.timeframe), timeframe_ns(timeframe), number, first)

    def add(self, bar: OHLCVBar) -> Iterator[OHLCVBar | None]:
        """Take the next source bar; what it ends."""
        last, start_ns = self.last, bar.ts_open - bar.ts_open % self.length_ns
        self._check(last, bar, start_ns)
        if last.ts_open < start_ns:
            yield self.end()
        self.last = bar
        yield bar if self.number == 1 else self._as(bar, self.derived.add(bar))

    def end(self) -> OHLCVBar | None:
        """What is being made, as far as it has come."""
        return self._as(self.last, self.derived.end(self.last.symbol))

    def _check(self, last: OHLCVBar, bar: OHLCVBar, start_ns: int) -> None:
        where = f"bar of {bar.symbol} {bar.timeframe} at {iso(bar.ts_open)}"
        if (bar.symbol, bar.timeframe) != (last.symbol, last.timeframe):
            raise ContractError(f"{where} is in a series of {last.symbol} {last.timeframe}; allowed: one series")
        if bar is not last and bar.ts_open <= last.ts_open:
            raise ContractError(f"{where} comes behind one at {iso(last.ts_open)}; allowed: rising times")
        if self.number == 1:
            return
        if bar.ts_close > start_ns + self.length_ns:
            raise ContractError(f"{where} reaches over the end of a bar of {self.derived.timeframe}")
        factors = bar.split_factor, bar.return_factor
        if start_ns <= last.ts_open and factors != (last.split_factor, last.return_factor):
            raise ContractError(f"{where} has other factors than those before it in one bar; adjust the prices first")

    @staticmethod
    def _as(source: OHLCVBar, made: OHLCVBar | None) -> OHLCVBar | None:
        """With the words and factors of its source bars."""
        if made is None:
            return None
        return replace(
            made,
            asset_class=source.asset_class,
            currency=source.currency,
            split_factor=source.split_factor,
            return_factor=source.return_factor,
        )
