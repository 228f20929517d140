"""What of an asked range is there, what is missing, and the command that fetches it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backtest.data.columns import BarColumns
from backtest.data.coverage import coverage, holes_of, span_of
from backtest.data.store import Dataset
from core.contracts.moments import moment
from tests.bar_series import MINUTE, START, calm

DAY = 1440 * MINUTE


def without(bars: BarColumns, *places: int) -> BarColumns:
    keep = np.ones(len(bars), np.bool_)
    keep[list(places)] = False
    return bars[keep]


def test_a_whole_range_has_no_hole():
    """A day of minutes that is asked for and is there is complete."""
    cover = coverage(calm(1440), "BTC/USDT", "1m", START, START + DAY)
    assert (cover.asked, cover.found, cover.missing, cover.holes, cover.complete) == (1440, 1440, 0, (), True)
    assert cover.commands() == []
    assert cover.text().splitlines()[-1] == "  missing  nothing"


@pytest.mark.parametrize(
    ("missing", "asked", "holes"),
    [
        ((5,), (0, 60), [(5, 6, 1)]),
        ((5, 6, 7, 20), (0, 60), [(5, 8, 3), (20, 21, 1)]),
        ((0, 1), (0, 60), [(0, 2, 2)]),  # at the start
        ((59,), (0, 60), [(59, 60, 1)]),  # at the end
        ((), (-10, 60), [(-10, 0, 10)]),  # asked for more than there ever was
        ((), (0, 75), [(60, 75, 15)]),
        ((5,), (10, 20), []),  # a hole outside of the range
    ],
)
def test_holes(missing, asked, holes):
    """Holes are found between bars, before the first and behind the last, and only in the asked range."""
    bars = without(calm(60), *missing)
    start, end = (START + minute * MINUTE for minute in asked)
    cover = coverage(bars, "BTC/USDT", "1m", start, end)
    assert [
        ((hole.start_ns - START) // MINUTE, (hole.end_ns - START) // MINUTE, hole.missing) for hole in cover.holes
    ] == holes
    assert cover.missing == sum(count for _, _, count in holes)
    assert cover.asked == asked[1] - asked[0]


def test_a_range_that_begins_within_a_minute_asks_for_the_next_one():
    """A bar belongs to the range if it opens in it: half a minute more or less at either end changes nothing."""
    half = MINUTE // 2
    cover = coverage(calm(60), "BTC/USDT", "1m", START + half, START + 10 * MINUTE - half)
    assert (cover.asked, cover.found) == (9, 9)  # minutes 1 to 9


def test_no_bars_at_all():
    """Where nothing is there, all is one hole."""
    cover = coverage(calm(60), "BTC/USDT", "1m", START + DAY, START + 2 * DAY)
    assert (cover.found, cover.missing, cover.first_ns, cover.last_ns) == (0, 1440, 0, 0)
    assert span_of(calm(0)) == (0, 0)


def test_the_text_names_the_command():
    """The text says asked, found and missing, and what to type, in lines that fit a terminal."""
    bars = without(calm(2880), *range(700, 780))
    text = coverage(bars, "BTC/USDT", "1m", START, START + 2 * DAY, source="spot", into=("--dataset spot",)).text()
    assert text.splitlines() == [
        "BTC/USDT 1m in 'spot'",
        "  asked    2,880 bars, 2025-01-01T00:00:00Z -> 2025-01-03T00:00:00Z",
        "  found    2,800 bars, 2025-01-01T00:00:00Z -> 2025-01-03T00:00:00Z",
        "  missing  80 bars (2.78%) in 1 hole, the longest 80 bars from 2025-01-01T11:40:00Z",  # 700 = 11 h 40
        "  to fill it:",
        "    python -m backtest.data download --symbol BTC/USDT --timeframe 1m \\",
        "      --start 2025-01-01 --end 2025-01-01 --dataset spot",
    ]
    assert max(map(len, text.splitlines())) <= 100


def test_nobody_is_told_to_mix_two_markets():
    """Where it was never said whose market a dataset holds, no venue's bars are proposed as a repair."""
    bars = without(calm(1440), 700)
    cover = coverage(bars, "BTC/USDT", "1m", START, START + DAY, source="bybit", into=None)
    assert cover.commands() == []
    assert cover.text().splitlines()[-1] == "    import what is missing: whose market this is was never said"


def test_many_holes_are_one_command():
    """Up to three holes get a command each; more are one, from the first to the last."""
    bars = calm(5 * 1440)
    three = coverage(without(bars, 5, 1445, 2885), "BTC/USDT", "1m", *span_of(bars))
    four = coverage(without(bars, 5, 1445, 2885, 4325), "BTC/USDT", "1m", *span_of(bars))
    assert [command.split("--start ")[1] for command in three.commands()] == [
        "2025-01-01 --end 2025-01-01",
        "2025-01-02 --end 2025-01-02",
        "2025-01-03 --end 2025-01-03",
    ]
    assert [command.split("--start ")[1] for command in four.commands()] == ["2025-01-01 --end 2025-01-04"]


def test_a_weekend_is_no_hole_of_a_stock():
    """Of daily bars of a market that closes, Saturdays and Sundays are not missing, and a missing Wednesday is."""
    days = [moment(f"2025-01-{day:02}") for day in (2, 3, 6, 7, 9, 10)]  # 8 January 2025 was a Wednesday
    holes = holes_of(np.array(days), DAY, (days[0], days[-1] + DAY), always_open=False)
    assert [(hole.start_ns, hole.missing) for hole in holes] == [(moment("2025-01-08"), 1)]
    always = holes_of(np.array(days), DAY, (days[0], days[-1] + DAY))
    assert [hole.missing for hole in always] == [2, 1]  # the weekend too


def test_a_night_is_no_hole_of_a_stock():
    """Of shorter bars of a market that closes, only what is missing between two bars of one day is."""
    minutes = np.array([*range(870, 900), *range(905, 1260), *range(1440 + 870, 1440 + 1260)])  # 14:30 to 21:00
    bars = calm(2 * 1440)[minutes]
    cover = coverage(replace(bars, asset_class="equity"), "BTC/USDT", "1m", START, START + 2 * DAY)
    assert [((hole.start_ns - START) // MINUTE, hole.missing) for hole in cover.holes] == [(900, 5)]
    part = holes_of(bars.ts_open[:30], MINUTE, (START + 600 * MINUTE, START + 1380 * MINUTE), always_open=False)
    assert part == ()  # nobody traded at 10:00 or at 23:00 of the same day


def test_a_dataset_can_be_asked_itself(tmp_path: Path):
    """A dataset gives its bars and its name."""
    dataset = Dataset(tmp_path / "spot")
    dataset.add(without(calm(60), 30))
    cover = coverage(dataset, "BTC/USDT", "1m", START, START + 60 * MINUTE)
    assert (cover.source, cover.found, cover.missing) == ("spot", 59, 1)
