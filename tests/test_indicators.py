"""Indicators against TA-Lib, against published tables and against exact arithmetic; and over a restart."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import fsum, isfinite, nan, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.indicators import Bollinger, Crossover, Ema, Rsi, Sma, StdDev, Window

TABLES = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "reference" / "stockcharts_indicators"
REL = 1e-10


def walk(count, start=100.0, step=1.0, seed=7):
    """A random walk that stays above zero."""
    steps = np.random.default_rng(seed).normal(scale=step, size=count)
    return np.abs(start + np.cumsum(steps)) + 1.0


def ties(count, seed=3):
    """Prices on a coarse grid that mostly repeat."""
    moves = np.random.default_rng(seed).choice([-0.1, 0.0, 0.0, 0.0, 0.0, 0.1], size=count)
    return np.round(50.0 + np.cumsum(moves), 1)


SERIES = {
    "random walk": walk(3000),
    "small moves at a large price": walk(3000, start=61_837.63, step=0.5),
    "ties": ties(3000),
    "constant": np.full(300, 100.1),
    "moves, then stands still": np.concatenate([walk(200), np.full(300, 100.1)]),
    "long": walk(100_000, start=1000.0),
}
BATCH = {
    "sma": (Sma, lambda x, n: talib.SMA(x, n)),
    "ema": (Ema, lambda x, n: talib.EMA(x, n)),
    "rsi": (Rsi, lambda x, n: talib.RSI(x, n)),
    "stddev": (StdDev, lambda x, n: talib.STDDEV(x, n, 1)),
}


def values_of(indicator, series):
    """What it gives over a series, NaN where it gives None."""
    given_values = [indicator.update(float(x)) for x in series]
    assert all(value is None or isfinite(value) for value in given_values)
    return np.array([nan if value is None else value for value in given_values])


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("length", [5, 14, 100])
@pytest.mark.parametrize("name", BATCH)
def test_equal_to_talib(name, length, series):
    """Fed one by one it gives what TA-Lib gives for the whole series, warm-up included, to a relative 1e-10."""
    indicator, batch = BATCH[name]
    prices = SERIES[series]
    rounding = 1e-14 * prices.max()  # TA-Lib's deviation carries the rounding of the prices themselves
    np.testing.assert_allclose(
        values_of(indicator(length), prices), batch(prices, length), rtol=REL, atol=rounding, equal_nan=True
    )


@pytest.mark.parametrize("series", SERIES)
def test_bollinger_equal_to_talib(series):
    """All three bands are those of TA-Lib, to a relative 1e-10."""
    prices = SERIES[series]
    bands = Bollinger(20, 2.0)
    mine = np.array([band or (nan, nan, nan) for band in (bands.update(float(x)) for x in prices)])
    upper, middle, lower = talib.BBANDS(prices, 20, 2.0, 2.0)
    np.testing.assert_allclose(mine, np.column_stack([lower, middle, upper]), rtol=REL, equal_nan=True)


def test_no_drift_after_huge_values():
    """After prices of a trillion have left the window, mean and deviation are exact again by its next round."""
    sma, deviation = Sma(4), StdDev(4)
    for x in [1e12, 3e12, 2e12, 1e12, *[0.1, 0.2, 0.3, 0.5] * 2]:
        sma.update(x)
        deviation.update(x)
    # (0.1 + 0.2 + 0.3 + 0.5) / 4 = 0.275; squares (0.175^2 + 0.075^2 + 0.025^2 + 0.225^2) / 4 = 0.021875
    assert sma.value == pytest.approx(0.275, rel=1e-15)
    assert deviation.value == pytest.approx(sqrt(0.021875), rel=1e-14)


def test_exact_over_a_long_series():
    """After 100,000 values the mean of the last 20 is that of exact arithmetic, as after 20."""
    prices = SERIES["long"]
    last = [float(x) for x in prices[-20:]]
    centre = fsum(last) / 20
    exact = sqrt(fsum((x - centre) ** 2 for x in last) / 20)
    assert values_of(Sma(20), prices)[-1] == pytest.approx(centre, rel=1e-14)
    assert values_of(StdDev(20), prices)[-1] == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize(
    ("table", "indicator"),
    [("sma10", Sma(10)), ("ema10", Ema(10)), ("rsi14", Rsi(14)), ("sma15_ninjatrader", Sma(15))],
    ids=["sma10", "ema10", "rsi14", "sma15_ninjatrader"],
)
def test_published_tables(table, indicator):
    """The worked examples of StockCharts and NinjaTrader come out as printed."""
    path = TABLES / "expected.json"
    if not path.exists():
        pytest.skip("recorded market data (../shared/data) is not on this machine")
    rows = json.loads(path.read_text())[table]
    for mine, printed in zip(values_of(indicator, rows["input"]), rows["expected"], strict=True):
        if printed is not None:
            assert mine == pytest.approx(printed, abs=0.51 * 10.0 ** -rows["decimals"])


def test_rsi_by_hand():
    """Gains 1, 0, 3 and losses 0, 2, 0 over a length of 3: 4/3 against 2/3, that is 66.67; then Wilder's step."""
    rsi = Rsi(3)
    assert [rsi.update(x) for x in (10.0, 11.0, 9.0)] == [None, None, None]
    assert rsi.update(12.0) == pytest.approx(100 * 4 / 6)
    # averages (4/3 * 2 + 0) / 3 = 8/9 and (2/3 * 2 + 3) / 3 = 13/9
    assert rsi.update(9.0) == pytest.approx(100 * 8 / 21)


@pytest.mark.parametrize(("length", "price"), [(3, 0.1), (7, 61_837.63), (49, 100.1)])
def test_a_flat_window_has_no_width(length, price):
    """Once all prices of the window are equal the deviation is exactly 0, whatever was before."""
    deviation = StdDev(length)
    for x in [price * 1.7, price * 0.3, *[price] * length]:
        deviation.update(x)
    assert (deviation.value, deviation.mean) == (0.0, price)


def test_crosses():
    """Crosses are counted where a line really changes sides; ties and rounding in the last bits are not sides."""
    cross = Crossover()
    lines = [(1, 2), (2, 2), (1, 2), (3, 2), (2, 2), (3, 2), (2 * (1 - 1e-14), 2), (1, 2), (5, 2)]
    assert [cross.update(a, b) for a, b in lines] == [0, 0, 0, 1, 0, 0, 0, -1, 1]


def test_window_keeps_order():
    """A window holds the latest values, oldest first."""
    window = Window(3)
    assert not window.full
    for x in (1.0, 2.0, 3.0, 4.0):
        window.push(x)
    assert (window.full, window.values) == (True, [2.0, 3.0, 4.0])


MAKERS: dict[str, Callable[[int], Any]] = {
    "sma": Sma,
    "ema": Ema,
    "rsi": Rsi,
    "stddev": StdDev,
    "bollinger": lambda n: Bollinger(n, 1.5),
}


@pytest.mark.parametrize("name", MAKERS)
@settings(deadline=None)
@given(
    prices=st.lists(st.floats(0.01, 1e6) | st.sampled_from([1.0, 1.1]), max_size=40),
    length=st.integers(1, 6),
    at=st.integers(0, 40),
)
def test_restored_anywhere_it_gives_the_same_bits(name, prices, length, at):
    """Written down as JSON at any value and restored, it goes on with exactly the same numbers."""
    whole, cut = MAKERS[name](length), MAKERS[name](length)
    expected = [whole.update(x) for x in prices]
    got = [cut.update(x) for x in prices[:at]]
    again = MAKERS[name](length)
    again.restore(json.loads(json.dumps(cut.snapshot())))
    got += [again.update(x) for x in prices[at:]]
    assert got == expected
    assert again.snapshot() == whole.snapshot()


@pytest.mark.parametrize("name", MAKERS)
def test_another_length_starts_fresh(name):
    """A memory of length 3 is of no use to length 4: it starts fresh instead of mixing them."""
    old, new, fresh = MAKERS[name](3), MAKERS[name](4), MAKERS[name](4)
    for x in (1.0, 2.0, 3.0, 5.0):
        old.update(x)
    new.restore(old.snapshot())
    assert [new.update(x) for x in (2.0, 2.5, 3.0, 4.0, 3.0)] == [fresh.update(x) for x in (2.0, 2.5, 3.0, 4.0, 3.0)]


@pytest.mark.parametrize("length", [0, -1, 1.5, True, "3"])
def test_a_length_is_a_whole_number(length):
    """A length of zero, a fraction or a text is refused."""
    with pytest.raises(ValueError, match="whole number"):
        Sma(length)


def test_averages_rise_with_the_price():
    """On a straight rise both averages rise by the same step as the price."""
    sma, ema = Sma(5), Ema(5)
    for average in (sma, ema):
        values = values_of(average, range(100, 160))[5:]
        assert np.diff(values) == pytest.approx(1.0)
