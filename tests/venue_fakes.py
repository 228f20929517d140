"""Venues that give bars and trades page by page: an honest one, and one for each way in which venues mislead."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from backtest.data.download.answers import Arrays
from core.adapters.venue import VenueTrouble

MINUTE_NS = 60_000_000_000
START_NS = 1_704_067_200_000_000_000  # 2024-01-01T00:00:00Z


def bars_of(times: np.ndarray[tuple[int], np.dtype[np.int64]], changed: float = 0.0) -> Arrays:
    """Bars of which each is told from all others: minute n after 2024 opens at 1,000 + n."""
    price = 1000.0 + (times - START_NS) / MINUTE_NS + changed
    return {
        "ts_open": times, "open": price, "high": price + 2, "low": price - 2, "close": price + 1, "volume": price / 7,
    }  # fmt: skip


def minutes(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Times of some minutes after 2024 began."""
    return START_NS + np.array(numbers, np.int64) * MINUTE_NS


@dataclass
class HonestBars:
    """Gives the first bars of the range, at most a page of them."""

    times: np.ndarray[tuple[int], np.dtype[np.int64]]
    page: int = 10
    skips_holes: bool = True
    asked: list[tuple[int, int]] = field(default_factory=list)

    def rows(self, start_ns: int, end_ns: int) -> Arrays:
        """A page."""
        self.asked.append(((start_ns - START_NS) // MINUTE_NS, (end_ns - START_NS) // MINUTE_NS))
        return bars_of(self.chosen(start_ns, end_ns))

    def chosen(self, start_ns: int, end_ns: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Which bars."""
        if not self.skips_holes:  # looks no further than a page of time
            end_ns = min(end_ns, start_ns + (self.page + 1) * MINUTE_NS)
        inside = self.times[(self.times >= start_ns) & (self.times < end_ns)]
        return inside[: self.page]


class BehindTheStart(HonestBars):
    """Gives no bar of the very moment that was asked for."""

    def chosen(self, start_ns, end_ns):
        return super().chosen(start_ns + 1, end_ns)


class PastTheEnd(HonestBars):
    """Knows no end: gives what comes behind it too, and the bar that is still being made."""

    def chosen(self, start_ns, end_ns):
        return self.times[self.times >= start_ns][: self.page]


class IgnoresTheStart(HonestBars):
    """Gives its newest bars, whatever is asked for."""

    def chosen(self, start_ns, end_ns):
        return self.times[-self.page :]


class NewestOfTheRange(HonestBars):
    """Of a range that is longer than a page it gives the end."""

    def chosen(self, start_ns, end_ns):
        return self.times[(self.times >= start_ns) & (self.times < end_ns)][-self.page :]


class SamePageAgain(HonestBars):
    """Gives its first page for ever."""

    def chosen(self, start_ns, end_ns):
        return self.times[: self.page]


class Shuffled(HonestBars):
    """Gives the newest first."""

    def chosen(self, start_ns, end_ns):
        return super().chosen(start_ns, end_ns)[::-1]


class Twice(HonestBars):
    """Gives each bar twice."""

    def chosen(self, start_ns, end_ns):
        return np.repeat(super().chosen(start_ns, end_ns), 2)


class BesideTheGrid(HonestBars):
    """Gives bars that begin a second late."""

    def chosen(self, start_ns, end_ns):
        return super().chosen(start_ns, end_ns) + 1_000_000_000


class ChangesItsMind(HonestBars):
    """Says other prices every time."""

    def rows(self, start_ns, end_ns):
        super().rows(start_ns, end_ns)
        return bars_of(self.chosen(start_ns, end_ns), changed=float(len(self.asked)))


class LeavesSomeOut(HonestBars):
    """Gives the second half of every page, but all of a short range."""

    def chosen(self, start_ns, end_ns):
        page = super().chosen(start_ns, end_ns)
        return page[len(page) // 2 :] if (end_ns - start_ns) > self.page * MINUTE_NS else page


@dataclass
class DiesAfter:
    """Another one, until it cannot be reached any more."""

    source: HonestBars
    answers: int

    @property
    def page(self) -> int:
        return self.source.page

    @property
    def skips_holes(self) -> bool:
        return self.source.skips_holes

    def rows(self, start_ns: int, end_ns: int) -> Arrays:
        """A page, or trouble."""
        if len(self.source.asked) >= self.answers:
            raise VenueTrouble("cannot be reached")
        return self.source.rows(start_ns, end_ns)


@dataclass
class NumberedFake:
    """Trades with numbers; trade n happens at a time of its own list."""

    numbers: np.ndarray[tuple[int], np.dtype[np.int64]]
    times: np.ndarray[tuple[int], np.dtype[np.int64]]
    limit: int = 5
    asked: list[int] = field(default_factory=list)

    def page(self, from_id: int) -> Arrays:
        """The first ones from a number on."""
        self.asked.append(from_id)
        chosen = np.flatnonzero(self.numbers >= from_id)[: self.limit]
        return self.rows(chosen)

    def rows(self, chosen: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Arrays:
        """Columns of some of them."""
        numbers = self.numbers[chosen]
        return {
            "number": numbers, "ts": self.times[chosen], "price": 100.0 + numbers, "qty": 1.0 + numbers,
            "buy": numbers % 2 == 0, "trade_id": np.array([str(number) for number in numbers], np.object_),
        }  # fmt: skip

    def first_at(self, moment_ns: int) -> int:
        """The first one at or behind a moment."""
        later = self.numbers[self.times >= moment_ns]
        return int(later[0]) if len(later) else int(self.numbers[-1]) + 1


@dataclass
class TimedFake:
    """The same trades by time."""

    trades: NumberedFake
    window_ns: int = 10 * MINUTE_NS

    def page(self, start_ns: int) -> Arrays:
        """The first ones from a moment on, no further than a window."""
        near = (self.trades.times >= start_ns) & (self.trades.times < start_ns + self.window_ns)
        return self.trades.rows(np.flatnonzero(near)[: self.trades.limit])
