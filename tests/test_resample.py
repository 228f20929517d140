"""Longer bars out of history: one arithmetic for live and recorded, equal to what the exchange itself made."""

from __future__ import annotations

import csv
import gzip
import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Context, Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backtest.data.columns import BarColumns
from backtest.data.resample import resample
from backtest.data.sums import run_sums
from core import codec
from core.contracts import OHLCVBar, TradeEvent, moment, timeframe_ns
from core.errors import ContractError
from core.market.bars_building import DerivedBars, MinuteBuilding
from core.market.resample import bars_per, resampled

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
RECORDED = pytest.mark.skipif(not DATA.exists(), reason="recorded market data (../shared/data) is not on this machine")

MINUTE = 60_000_000_000
NOON = moment("2025-06-01T12:00Z")
BTC = "BTC/USDT"


def bar(minute, prices, volume, **rest):
    """A minute, counted from noon; `prices` is one price or open, high, low, close."""
    ts_open = NOON + minute * MINUTE
    first, high, low, last = map(float, prices if isinstance(prices, tuple) else (prices,) * 4)
    given = {"currency": "USDT", **rest}
    return OHLCVBar(BTC, "1m", ts_open, ts_open + MINUTE, first, high, low, last, volume, **given)


def both(minutes, timeframe, **how):
    """What the arrays and the stream make of the same bars, after it was seen that they agree to the last bit."""
    streamed = list(resampled(minutes, timeframe, **how))
    columns = resample(BarColumns.from_bars(minutes[0].symbol, minutes[0].timeframe, minutes), timeframe, **how)
    assert [codec.encode(made) for made in columns.bars()] == [codec.encode(made) for made in streamed]
    return streamed


# -- arithmetic


def test_five_minutes_make_one_bar():
    """Opens at 100, up to 109, down to 95, closes at 104; 0.1 five times is 0.5 exactly, and 51.5 / 0.5 is 103."""
    prices = [(100, 105, 99, 103), (103, 109, 102, 105), (105, 106, 95, 96), (96, 101, 96, 101), (101, 104, 101, 104)]
    minutes = [bar(m, p, 0.1, vwap=103.0, turnover=10.3, trade_count=m) for m, p in enumerate(prices)]
    (made,) = both(minutes, "5m")
    assert made == OHLCVBar(
        BTC, "5m", NOON, NOON + 5 * MINUTE, 100.0, 109.0, 95.0, 104.0, 0.5,
        vwap=103.0, turnover=51.5, trade_count=10, complete=True, currency="USDT",
    )  # fmt: skip


def test_bars_stand_on_the_wall_clock():
    """From 12:03 on, 15 minutes end at 12:15, 12:30 and 12:45, as the day divides, not at 12:18 and 12:33."""
    made = both([bar(m, 100 + m, 1.0) for m in range(3, 45)], "15m")
    assert [(each.ts_open - NOON) // MINUTE for each in made] == [0, 15, 30]
    assert [(each.open, each.close, each.volume) for each in made] == [(103, 114, 12), (115, 129, 15), (130, 144, 15)]


def test_a_bar_that_lacks_minutes_says_so_or_goes():
    """Minutes 3 to 22 without 12: of 0-5, 5-10, 10-15, 15-20 and 20-25 the second and the fourth are whole."""
    minutes = [bar(m, 100, 1.0) for m in range(3, 23) if m != 12]
    assert [(each.volume, each.complete) for each in both(minutes, "5m")] == [
        (2, False), (5, True), (4, False), (5, True), (3, False),
    ]  # fmt: skip
    assert [(each.ts_open - NOON) // MINUTE for each in both(minutes, "5m", incomplete="drop")] == [5, 15]


def test_a_bar_over_a_minute_that_lacks_trades_is_not_complete():
    """All five minutes are there, but trades of the third are known to be missing."""
    minutes = [bar(m, 100, 1.0, complete=m != 2) for m in range(10)]
    assert [each.complete for each in both(minutes, "5m")] == [False, True]


def test_a_hole_of_hours_stays_a_hole():
    """An hour is missing; nothing is made for it."""
    minutes = [bar(m, 100, 1.0) for m in (*range(15), *range(75, 90))]
    assert [(each.ts_open - NOON) // MINUTE for each in both(minutes, "15m")] == [0, 75]


def test_prices_of_quiet_minutes_are_left_out():
    """A quiet minute repeats 100 from before; trades went from 90 to 92, so that is the bar."""
    minutes = [bar(0, 100, 0.0), bar(1, (90, 91, 90, 91), 1.0), bar(2, 91, 0.0), bar(3, 92, 1.0), bar(4, 99, 0.0)]
    (made,) = both(minutes, "5m")
    assert (made.open, made.high, made.low, made.close, made.volume, made.complete) == (90, 92, 90, 92, 2, True)


def test_a_series_without_volumes_keeps_its_prices():
    """A rate or an index has no volume at all: all of its prices count."""
    minutes = [bar(m, (100 + m, 103 + m, 99 + m, 101 + m), 0.0) for m in range(5)]
    (made,) = both(minutes, "5m")
    assert (made.open, made.high, made.low, made.close, made.vwap) == (100, 107, 99, 105, None)


def test_the_mean_price_is_known_only_where_each_is():
    """(100 * 1 + 110 * 3) / 4 = 107.5; a minute without a mean price leaves none, a quiet one needs none."""
    known = [bar(0, 100, 1.0, vwap=100.0, turnover=100.0), bar(1, 110, 3.0, vwap=110.0, turnover=330.0)]
    assert both([*known, bar(2, 110, 0.0)], "5m")[0].vwap == 107.5
    assert both([*known, bar(2, 110, 1.0)], "5m")[0].vwap is None


def test_any_length_makes_any_longer_one():
    """Seconds make minutes and a day of 86,400; five minutes make an hour; the way round makes no difference."""
    assert [bars_per(*pair) for pair in (("1s", "1m"), ("1s", "1d"), ("5m", "1h"), ("1h", "1h"))] == [60, 86400, 12, 1]
    minutes = [bar(m, (100 + m % 7, 110, 90, 100 + m % 5), 0.1) for m in range(125)]
    fives = both(minutes, "5m")
    assert both(fives, "1h") == both(minutes, "1h")
    assert both(fives, "5m") == fives


@pytest.mark.parametrize(("source", "timeframe"), [("5m", "1m"), ("1h", "1m"), ("10m", "15m"), ("4h", "6h")])
def test_it_refuses_to_invent_shorter_bars_or_to_cut_them(source, timeframe):
    """No minutes out of five; no quarters of an hour out of ten minutes."""
    columns = BarColumns.of(BTC, source, {name: [1] for name in ("ts_open", "open", "high", "low", "close")})
    for make in (lambda: resample(columns, timeframe), lambda: list(resampled(columns.bars(), timeframe))):
        with pytest.raises(ContractError, match=f"bars of {source} make no bars of {timeframe}; allowed"):
            make()


def test_it_refuses_bars_that_lie_across_the_end():
    """Hours of a stock exchange begin at half past; no two of the clock's hours can be made of them."""
    ts_open = NOON + 90 * MINUTE
    hour = OHLCVBar(BTC, "1h", ts_open, ts_open + 60 * MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert [each.ts_open for each in both([hour], "4h")] == [NOON]
    assert both([hour], "1h") == [hour]
    late = replace(hour, ts_open=NOON + 210 * MINUTE, ts_close=NOON + 270 * MINUTE)
    for make in (
        lambda: resample(BarColumns.from_bars(BTC, "1h", [late]), "4h"),
        lambda: list(resampled([late], "4h")),
    ):
        with pytest.raises(ContractError, match=r"2025-06-01T15:30:00Z reaches over the end"):
            make()


def test_a_bar_keeps_the_factors_of_its_minutes_and_never_mixes_two():
    """A split at noon is no trouble; one within a bar would mix prices of two units."""
    before = [bar(m, 400, 1.0, split_factor=0.25, return_factor=0.2, asset_class="equity") for m in range(-5, 0)]
    after = [bar(m, 100, 4.0, return_factor=0.8, asset_class="equity") for m in range(5)]
    made = both(before + after, "5m")
    assert [(each.split_factor, each.return_factor, each.asset_class) for each in made] == [
        (0.25, 0.2, "equity"), (1.0, 0.8, "equity"),
    ]  # fmt: skip
    mixed = before + after
    columns = BarColumns.from_bars(BTC, "1m", mixed)
    for make in (lambda: resample(columns, "1d"), lambda: list(resampled(mixed, "1d"))):
        with pytest.raises(ContractError, match=r"T12:00:00Z has other factors .* adjust the prices first"):
            make()


def test_a_stream_is_one_series_in_its_order():
    """Another symbol or an earlier time in between is refused by name."""
    with pytest.raises(ContractError, match=r"bar of ETH/USDT 1m .* is in a series of BTC/USDT 1m"):
        list(resampled([bar(0, 1, 1.0), replace(bar(1, 1, 1.0), symbol="ETH/USDT")], "5m"))
    with pytest.raises(ContractError, match=r"12:01:00Z comes behind one at 2025-06-01T12:01:00Z"):
        list(resampled([bar(1, 1, 1.0), bar(1, 1, 1.0)], "5m"))


def test_nothing_makes_nothing():
    """No bars in, no bars out."""
    empty = BarColumns.of(BTC, "1m", {name: [] for name in ("ts_open", "open", "high", "low", "close")})
    assert len(resample(empty, "1h")) == 0
    assert list(resampled([], "1h")) == []


# -- the same as live, event by event

AMOUNTS = st.one_of(
    st.just(0.0),
    st.integers(0, 10**10).map(lambda n: n / 10**5),  # as venues write them
    st.integers(0, 10**16).map(lambda n: n / 10**8),  # more digits than fit a fast sum
    st.floats(1e-9, 1e15, allow_nan=False),  # all digits
    st.sampled_from([5e-324, 1e-300, 1e22, 1.7e308, 0.1, 0.3, 2.0**53]),
)


@st.composite
def series(draw):
    """Some of the minutes of three hours, with everything that a minute can hold."""
    places = sorted(draw(st.sets(st.integers(0, 180), min_size=1, max_size=60)))
    bars = []
    for place in places:
        prices = [draw(st.integers(1, 10**7)) / 100 for _ in range(4)]
        volume, turnover = draw(AMOUNTS), draw(AMOUNTS)
        vwap = draw(st.none() | st.just(prices[0]))
        four = (prices[0], max(prices), min(prices), prices[1])
        rest = {"vwap": vwap, "turnover": turnover, "trade_count": draw(st.integers(0, 9))}
        bars.append(bar(place, four, volume, complete=draw(st.integers(0, 9)) > 0, **rest))
    return bars


@settings(max_examples=300, deadline=None)
@given(minutes=series(), timeframe=st.sampled_from(["2m", "5m", "15m", "1h", "1d"]), drop=st.booleans())
def test_arrays_stream_and_the_live_handler_agree_to_the_last_bit(minutes, timeframe, drop):
    """Whatever the minutes hold, all three give the same bytes; only the live one says nothing of what it lacks."""
    streamed = both(minutes, timeframe, incomplete="drop" if drop else "keep")
    live = DerivedBars(timeframe)
    published = [made for made in map(live.add, minutes) if made is not None]
    by_time = {made.ts_open: made for made in streamed}
    assert [made for made in published if made.complete or not drop] == [
        by_time[made.ts_open] for made in published if made.ts_open in by_time
    ]
    published_times = {made.ts_open for made in published}
    assert not any(made.complete for made in streamed if made.ts_open not in published_times)


@settings(max_examples=200, deadline=None)
@given(
    places=st.integers(0, 12),
    whole=st.lists(st.integers(9 * 10**14, 10**15 - 1), min_size=1, max_size=120)
    | st.lists(st.integers(1, 10**15 - 1) | AMOUNTS, min_size=1, max_size=120),
    size=st.sampled_from([1, 5, 60, 120]),
)
@example(
    places=13, whole=[7621704731021021, 1], size=5
)  # is the same float as 762.170473102102, which is how it is written
def test_sums_are_those_of_the_decimals(places, whole, size):
    """Amounts of up to fifteen digits, and a few of more: each sum is the float nearest to what the texts add up to."""
    numbers = [number / 10**places if isinstance(number, int) else number for number in whole]
    sums = run_sums(np.array(numbers), np.arange(0, len(numbers), size))
    with localcontext(Context(prec=1000)):
        exact = [sum(Decimal(repr(n)) for n in numbers[i : i + size]) for i in range(0, len(numbers), size)]
        assert [sums.exact(run) for run in range(len(exact))] == exact
    assert sums.values.tolist() == [min(float(total), sys.float_info.max) for total in exact]


# -- what the exchange made


def rows_of(name):
    """A table of bars: times, and prices and volumes by name."""
    path = DATA / "ohlcv" / "raw" / name
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = list(csv.reader(text.decode().splitlines()))
    return {name: np.array([row[place] for row in rows[1:]], float) for place, name in enumerate(rows[0])}


def columns_of(name, symbol, timeframe):
    """The same as columns; their times are whole seconds, which a float holds exactly."""
    rows = rows_of(name)
    rows["ts_open"] = (rows["ts_open"] / 1e9).astype(np.int64) * 1_000_000_000
    return BarColumns.of(symbol, timeframe, rows)


def journal(folder, symbol, days):
    """Minutes of a folder of journals."""
    bars = []
    for day in days:
        lines = gzip.decompress((DATA / "ohlcv" / folder / f"ohlcv.1m.{symbol}.{day}.ndjson.gz").read_bytes())
        bars += [codec.decode(line, OHLCVBar) for line in lines.splitlines()]
    return bars


def same_prices(made, real):
    """Whether times and prices are those of the other, every one of them."""
    return np.array_equal(made.ts_open, real.ts_open) and all(
        np.array_equal(getattr(made, name), getattr(real, name)) for name in ("open", "high", "low", "close")
    )


@RECORDED
def test_minutes_of_the_exchange_give_its_own_five_minutes():
    """130,708 minutes of Bitcoin make 26,141 whole bars; every price is the exchange's, every volume to 1e-6."""
    made = resample(columns_of("BTCUSDT_spot_1m_20250520_20250818.csv.gz", BTC, "1m"), "5m", incomplete="drop")
    real = columns_of("BTCUSDT_spot_5m_20250101_20250930.csv.gz", BTC, "5m")
    real = real.between(int(made.ts_open[0]), int(made.ts_open[-1]) + 1)
    assert len(made) == 26_141
    assert same_prices(made, real)
    assert np.abs(made.volume - real.volume).max() <= 1e-6


@RECORDED
def test_invented_minutes_give_back_the_real_bars_they_were_made_in():
    """Of May, five minutes of the spot market; of August, hours of the perpetual one: prices and volumes exactly."""
    for month, last, name, timeframe, number in (
        ("202505", 31, "ATOMUSDT_spot_5m_20250101_20250618.csv.gz", "5m", 8928),
        ("202508", 31, "ATOMUSDT_perp_1h_20250101_20250930.csv", "1h", 744),
    ):
        minutes = journal("synthetic_1m_ATOMUSDT", "ATOMUSDT", [f"{month}{day:02d}" for day in range(1, last + 1)])
        made = resample(BarColumns.from_bars("ATOM/USDT", "1m", minutes), timeframe)
        real = columns_of(name, "ATOM/USDT", timeframe).between(minutes[0].ts_open, minutes[-1].ts_close)
        assert len(made) == number == made.complete.sum()
        assert same_prices(made, real)
        assert np.array_equal(made.volume, real.volume)


@RECORDED
def test_a_real_day_of_minutes_is_a_day():
    """1,440 minutes of 2025-05-20: the first's open, the last's close, the extremes, and the sum in decimals."""
    minutes = journal("spot_1m", "BTCUSDT", ["20250520"])
    (made,) = both(minutes, "1d")
    assert len(minutes) == 1440
    assert (made.open, made.close) == (minutes[0].open, minutes[-1].close)
    assert (made.high, made.low) == (max(each.high for each in minutes), min(each.low for each in minutes))
    assert made.volume == round(sum(round(each.volume * 100_000) for each in minutes)) / 100_000
    assert made.complete


@RECORDED
def test_the_outage_of_march_2023_leaves_incomplete_bars():
    """Minutes 12:40 to 13:59 of 2023-03-24 are missing: of the day's hours one is short, one is not there at all."""
    hours = both(journal("spot_1m", "ETHUSDT", ["20230324"]), "1h")
    assert [datetime.fromtimestamp(each.ts_open // 10**9, UTC).hour for each in hours] == [*range(13), *range(14, 24)]
    assert [datetime.fromtimestamp(each.ts_open // 10**9, UTC).hour for each in hours if not each.complete] == [12]


@RECORDED
def test_trades_become_minutes_become_the_exchange_s_five_minutes():
    """Captured trades make the minutes of Binance's own klines, and both make the same bar of 00:00 to 00:05."""
    with (DATA / "reference" / "trades_to_klines_BTC" / "klines_1m.csv").open() as lines:
        rows = {int(row["ts_open"]): row for row in csv.DictReader(lines)}
    names = ("open", "high", "low", "close", "volume")
    real = []
    for ts_open, row in sorted(rows.items()):
        first, high, low, last, volume = (float(row[name]) for name in names)
        real.append(OHLCVBar(BTC, "1m", ts_open, ts_open + MINUTE, first, high, low, last, volume, currency="USDT"))
    building: dict[int, MinuteBuilding] = {}
    for line in gzip.decompress((DATA / "trades" / "md.trades.BTCUSDT.ndjson.gz").read_bytes()).splitlines():
        trade = codec.decode(line, TradeEvent)
        start = trade.ts - trade.ts % MINUTE
        if start in building:
            building[start].add(trade)
        elif start in rows:
            building[start] = MinuteBuilding.of(trade)
    ours = [made.bar(BTC, "1m", start, complete=True, vwap=made.vwap()) for start, made in sorted(building.items())]
    assert len(ours) == len(real) == 10
    longer = [both(minutes, "5m", incomplete="drop") for minutes in (ours, real)]
    assert len(longer[0]) == len(longer[1]) > 0
    for made, expected in zip(*longer, strict=True):
        assert (made.ts_open, made.open, made.high, made.low, made.close) == (
            expected.ts_open, expected.open, expected.high, expected.low, expected.close,
        )  # fmt: skip
        assert made.volume == pytest.approx(expected.volume, abs=1e-6)
        assert made.ts_close - made.ts_open == timeframe_ns("5m")
