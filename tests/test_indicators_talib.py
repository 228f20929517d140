"""The indicator library against TA-Lib, value by value, warm-up included; where it rounds badly, against arithmetic."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from math import fsum, isfinite, nan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.indicators import (
    Ad,
    Adx,
    Aroon,
    Atr,
    Bollinger,
    Cci,
    Cmf,
    Dema,
    Dmi,
    Highest,
    Hma,
    Lowest,
    Macd,
    Obv,
    Roc,
    RollingVwap,
    SessionVwap,
    Sma,
    Smma,
    Stochastic,
    Tema,
    Total,
    TrueRange,
    WilliamsR,
    WindowSum,
    Wma,
)

TABLES = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "reference" / "stockcharts_indicators"
DAY_NS = 86_400 * 10**9
REL = 1e-9
SMA = talib.MA_Type.SMA  # type: ignore[attr-defined]  # the stubs lag behind


class Bars(NamedTuple):
    """A market: an array per column."""

    high: Any
    low: Any
    close: Any
    volume: Any


def bars(count, start=100.0, step=1.0, seed=7):
    """A random walk with ranges around it and some bars without volume or range."""
    random = np.random.default_rng(seed)
    close = np.abs(start + np.cumsum(random.normal(scale=step, size=count))) + 1.0
    above, below = random.uniform(0, step, count), random.uniform(0, step / 2, count)
    still = random.random(count) < 0.1
    volume = np.where(random.random(count) < 0.2, 0.0, random.uniform(0.1, 9.0, count))
    return Bars(close + np.where(still, 0, above), close - np.where(still, 0, below), close, volume)


def flat(count, price):
    """A market that stands still."""
    column = np.full(count, price)
    return Bars(column, column, column, np.zeros(count))


def ties(count):
    """A market on a coarse grid, whose extremes are mostly reached more than once."""
    random = np.random.default_rng(3)
    close = 50.0 + np.cumsum(random.choice([-0.5, 0.0, 0.0, 0.0, 0.5], size=count))
    high, low = close + random.choice([0.0, 0.5], count), close - random.choice([0.0, 0.5], count)
    return Bars(high, low, close, random.integers(0, 4, count).astype(float))


def joined(*markets):
    """One market after the other."""
    return Bars(*(np.concatenate(columns) for columns in zip(*markets, strict=True)))


MARKETS = {
    "random walk": bars(600),
    "small moves at a large price": bars(600, start=61_837.63, step=0.5),
    "ties": ties(600),
    "flat": flat(200, 100.5),
    "moves, stands still, moves": joined(bars(150), flat(200, 100.5), bars(150, seed=8)),
}


def rows(*columns):
    """The columns as one array with a row per bar."""
    return np.column_stack(columns)


def cmf_of(market, length):
    """TA-Lib's, but 0 where nothing traded: there it divides what its running sums have left over."""
    expected = talib.CMF(*market, length)  # type: ignore[call-arg]  # the stubs lag behind
    for end in range(length, len(expected) + 1):
        if not market.volume[end - length : end].any():
            expected[end - 1] = 0.0
    return expected


# What is compared: (our indicator for a length, the columns it takes, TA-Lib's call). Outputs in our order.
CASES: dict[str, tuple[Callable[[int], Any], Sequence[str], Callable[[Bars, int], Any]]] = {
    "wma": (Wma, ["close"], lambda m, n: talib.WMA(m.close, n)),
    "dema": (Dema, ["close"], lambda m, n: talib.DEMA(m.close, n)),
    "tema": (Tema, ["close"], lambda m, n: talib.TEMA(m.close, n)),
    "hma": (Hma, ["close"], lambda m, n: talib.HMA(m.close, n)),
    "smma": (Smma, ["close"], lambda m, n: talib.RMA(m.close, n)),
    "macd": (lambda n: Macd(n, 2 * n, 4), ["close"], lambda m, n: rows(*talib.MACD(m.close, n, 2 * n, 4))),
    "roc": (Roc, ["close"], lambda m, n: talib.ROC(m.close, n)),
    "highest": (Highest, ["high"], lambda m, n: talib.MAX(m.high, n)),
    "lowest": (Lowest, ["low"], lambda m, n: talib.MIN(m.low, n)),
    "sum": (WindowSum, ["volume"], lambda m, n: talib.SUM(m.volume, n)),
    "stochastic fast": (
        lambda n: Stochastic(n, 1, 3),
        ["high", "low", "close"],
        lambda m, n: rows(*talib.STOCHF(m.high, m.low, m.close, n, 3, SMA)),
    ),
    "stochastic slow": (
        lambda n: Stochastic(n, 3, 4),
        ["high", "low", "close"],
        lambda m, n: rows(*talib.STOCH(m.high, m.low, m.close, n, 3, SMA, 4, SMA)),
    ),
    "williams r": (WilliamsR, ["high", "low", "close"], lambda m, n: talib.WILLR(m.high, m.low, m.close, n)),
    "cci": (Cci, ["high", "low", "close"], lambda m, n: talib.CCI(m.high, m.low, m.close, n)),
    "true range": (lambda n: TrueRange(), ["high", "low", "close"], lambda m, n: talib.TRANGE(m.high, m.low, m.close)),
    "atr": (Atr, ["high", "low", "close"], lambda m, n: talib.ATR(m.high, m.low, m.close, n)),
    "dmi": (
        Dmi,
        ["high", "low", "close"],
        lambda m, n: rows(talib.PLUS_DI(m.high, m.low, m.close, n), talib.MINUS_DI(m.high, m.low, m.close, n)),
    ),
    "aroon": (Aroon, ["high", "low"], lambda m, n: rows(*talib.AROON(m.high, m.low, n))),
    "obv": (lambda n: Obv(), ["close", "volume"], lambda m, n: talib.OBV(m.close, m.volume)),
    "ad": (lambda n: Ad(), ["high", "low", "close", "volume"], lambda m, n: talib.AD(*m)),
    "cmf": (Cmf, ["high", "low", "close", "volume"], cmf_of),
}


def outputs(indicator, columns):
    """What it gives bar by bar, NaN where it gives None; every number finite, and its `value` the same."""
    got, width = [], 1
    for bar in zip(*columns, strict=True):
        said = indicator.update(*(float(x) for x in bar))
        assert said == getattr(indicator, "value", said)
        numbers = said if isinstance(said, tuple) else (said,)
        assert said is None or all(map(isfinite, numbers))
        width = max(width, len(numbers))
        got.append(numbers if said is not None else None)
    table = np.array([numbers or (nan,) * width for numbers in got], dtype=float)
    return table[:, 0] if width == 1 else table


def compare(name, market, length):
    """Both over one market: equal to a relative 1e-9; figures that pass through 0 to 1e-9 of what they are made of."""
    ours, columns, theirs = CASES[name]
    got = outputs(ours(length), [getattr(market, column) for column in columns])
    expected = theirs(market, length)
    scale = {"macd": float(market.close.max()), "dema": 0.0, "tema": 0.0, "hma": 0.0}
    with np.errstate(invalid="ignore"):
        largest = float(np.nanmax(np.abs(expected))) if np.isfinite(expected).any() else 0.0
    if got.ndim < expected.ndim:  # never anything but None
        got = np.tile(got[:, None], expected.shape[1])
    np.testing.assert_allclose(got, expected, rtol=REL, atol=1e-9 * scale.get(name, largest), equal_nan=True)


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("length", [2, 14, 100])
@pytest.mark.parametrize("name", CASES)
def test_equal_to_talib(name, length, market):
    """Fed one by one it gives what TA-Lib gives for the whole market, from the same bar on."""
    compare(name, MARKETS[market], length)


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("length", [2, 14])
def test_adx_equal_to_talib(length, market):
    """The average and both directions are TA-Lib's from the bar on at which it gives the average."""
    m = MARKETS[market]
    lines = outputs(Adx(length), (m.high, m.low, m.close))
    plus, minus = talib.PLUS_DI(m.high, m.low, m.close, length), talib.MINUS_DI(m.high, m.low, m.close, length)
    expected = rows(talib.ADX(m.high, m.low, m.close, length), plus, minus)
    expected[np.isnan(expected[:, 0])] = nan
    np.testing.assert_allclose(lines, expected, rtol=REL, atol=1e-9, equal_nan=True)


GRID = st.integers(2, 400).map(lambda n: n / 2.0)


@st.composite
def markets(draw):
    """Up to fifty bars on a grid of halves, so that ties, flat stretches and bars without volume are frequent."""
    count = draw(st.integers(1, 50))
    triples = draw(st.lists(st.tuples(GRID, GRID, GRID), min_size=count, max_size=count))
    if draw(st.booleans()):
        stop = draw(st.integers(0, count - 1))
        triples[stop:] = [triples[stop]] * (count - stop)
    volumes = draw(st.lists(st.integers(0, 5).map(float), min_size=count, max_size=count))
    ordered = np.array([sorted(triple) for triple in triples])
    return Bars(ordered[:, 2].copy(), ordered[:, 0].copy(), ordered[:, 1].copy(), np.array(volumes))


@pytest.mark.parametrize("name", [name for name in CASES if name != "cci"])
@settings(deadline=None, max_examples=20)
@given(market=markets(), length=st.integers(2, 9))
def test_equal_to_talib_on_any_market(name, market, length):
    """Whatever the market does, it is TA-Lib's figure."""
    compare(name, market, length)


@settings(deadline=None, max_examples=80)
@given(market=markets(), length=st.integers(2, 9))
def test_cci_equal_to_talib_but_where_nothing_moves(market, length):
    """CCI is TA-Lib's, and exactly 0 in a flat window, where TA-Lib divides rounding by rounding."""
    typical = (market.high + market.low + market.close) / 3.0
    got = outputs(Cci(length), (market.high, market.low, market.close))
    expected = talib.CCI(market.high, market.low, market.close, length)
    for index in range(length - 1, len(typical)):
        window = typical[index - length + 1 : index + 1]
        if (window == window[0]).all():
            expected[index] = 0.0
    np.testing.assert_allclose(got, expected, rtol=REL, atol=1e-7, equal_nan=True)


@settings(deadline=None, max_examples=60)
@given(market=markets(), length=st.integers(1, 9))
def test_rolling_vwap_by_its_definition(market, length):
    """Turnover over volume of the last bars; nothing where none of them traded."""
    got = outputs(RollingVwap(length), market)
    for index in range(len(got)):
        part = Bars(*(column[max(0, index - length + 1) : index + 1] for column in market))
        typical = (part.high + part.low + part.close) / 3.0
        if index < length - 1 or part.volume.sum() == 0.0:
            assert np.isnan(got[index])
        else:
            assert got[index] == pytest.approx(fsum(typical * part.volume) / fsum(part.volume), rel=REL)


def test_session_vwap_is_talib_s_from_midnight():
    """Each UTC day starts anew: within a day it is TA-Lib's, which anchors at the first bar."""
    day, vwap = bars(1440), SessionVwap()
    for start in (0, DAY_NS, 7 * DAY_NS):
        times = start + np.arange(1440) * 60 * 10**9
        got = [
            vwap.update(float(high), float(low), float(close), float(volume), int(ts))
            for high, low, close, volume, ts in zip(*day, times, strict=True)
        ]
        expected = talib.VWAP(*day)
        traded = np.cumsum(day.volume) > 0
        np.testing.assert_allclose(np.array(got, dtype=float)[traded], expected[traded], rtol=REL)


def test_a_day_without_volume_has_no_vwap():
    """Before the first trade of a day there is none; a latecomer of the day before counts to the new one."""
    vwap = SessionVwap()
    assert vwap.update(10.0, 10.0, 10.0, 2.0, DAY_NS - 1) == 10.0
    assert vwap.update(20.0, 20.0, 20.0, 0.0, DAY_NS) is None
    assert vwap.update(20.0, 20.0, 20.0, 1.0, DAY_NS - 1) == 20.0
    # (20 * 1 + 32 * 3) / 4 = 29
    assert vwap.update(32.0, 32.0, 32.0, 3.0, DAY_NS + 1) == 29.0


def test_tema_is_the_average_of_averages():
    """Of squares 0, 1, 4, 9 ... a triple average of length 2 (weights 2/3) is worked out by hand."""
    # E1 from the mean (0+1)/2: 1/2, 17/6, 125/18; E2 from (1/2 + 17/6)/2 = 5/3: 2/3 * 125/18 + 1/3 * 5/3 = 140/27;
    # E3 from (5/3 + 140/27)/2 = 185/54; TEMA = 3 * 125/18 - 3 * 140/27 + 185/54 = (1125 - 840 + 185) / 54 = 470/54
    tema = Tema(2)
    assert [tema.update(x) for x in (0.0, 1.0, 4.0)] == [None, None, None]
    assert tema.update(9.0) == pytest.approx(470 / 54, rel=1e-14)


def table(name):
    """A published table."""
    path = TABLES / "expected.json"
    if not path.exists():
        pytest.skip("recorded market data (../shared/data) is not on this machine")
    return json.loads(path.read_text())[name]


def test_stockcharts_atr():
    """The worked example of StockCharts; its first range is high less low: a bar that closed inside it goes before."""
    rows_ = table("atr14")
    atr = Atr(14)
    atr.update(rows_["high"][0], rows_["low"][0], rows_["low"][0])
    got = [atr.update(*bar) for bar in zip(rows_["high"], rows_["low"], rows_["close"], strict=True)]
    for mine, printed in zip(got, rows_["expected"], strict=True):
        assert (mine is None) == (printed is None)
        assert mine is None or mine == pytest.approx(printed, abs=0.0051)


def test_stockcharts_bollinger():
    """The worked example of StockCharts: all three bands as printed."""
    rows_ = table("bollinger_20_2")
    bands = Bollinger(20, 2.0)
    got = [bands.update(x) for x in rows_["input"]][rows_["first_value_at"] :]
    for mine, *printed in zip(got, rows_["lower"], rows_["middle"], rows_["upper"], strict=True):
        assert mine == pytest.approx(printed, abs=0.011)


def test_published_macd():
    """The worked MACD of 5, 13 and 6: line, signal and histogram as printed, and from the same value on."""
    rows_ = table("macd_5_13_6")
    macd = Macd(5, 13, 6)
    for x, *printed in zip(rows_["input"], rows_["macd"], rows_["signal"], rows_["histogram"], strict=True):
        assert (macd.update(x) or (None,) * 3) == pytest.approx(printed, abs=0.51e-4)


def test_flat_windows_give_no_numbers_out_of_nothing():
    """After wild prices a market at 0.1 stands still: 0 is 0 and the average is the price."""
    cci, williams, stochastic, cmf, roc = Cci(5), WilliamsR(5), Stochastic(5, 1, 1), Cmf(5), Roc(5)
    wma = Wma(5)
    for price in [1e9, 3e5, 77.7, 0.3, *[0.1] * 10]:
        cci.update(price, price, price)
        williams.update(price, price, price)
        stochastic.update(price, price, price)
        cmf.update(price, price, price, 0.0)
        roc.update(price)
        wma.update(price)
    assert (cci.value, williams.value, stochastic.value, cmf.value, roc.value) == (0.0, 0.0, (0.0, 0.0), 0.0, 0.0)
    assert wma.value == pytest.approx(0.1, rel=1e-15)


@pytest.mark.slow
def test_no_drift_over_a_million_updates():
    """After a million prices the figures are those of exact arithmetic over the last values, and the totals exact."""
    prices = np.abs(np.random.default_rng(11).normal(scale=50.0, size=1_000_000)) + 61_837.63
    wma, hma, total, window = Wma(50), Hma(16), Total(), WindowSum(50)
    volume = [0.1, 1e9, 0.1]
    for index, x in enumerate(prices.tolist()):
        wma.update(x)
        hma.update(x)
        window.update(x)
        total.update(volume[index % 3])
    last = prices[-50:].tolist()
    assert wma.value == pytest.approx(fsum(w * x for w, x in enumerate(last, 1)) / 1275, rel=1e-14)
    assert hma.value == pytest.approx(talib.HMA(prices[-40:], 16)[-1], rel=1e-12)
    assert window.value == pytest.approx(fsum(last), rel=1e-14)
    assert total.value == fsum(volume[index % 3] for index in range(len(prices)))


def test_huge_values_leave_no_trace():
    """What has left the window is gone, however large it was: sums of the rest are exact at once."""
    window = WindowSum(3)
    assert [window.update(x) for x in (1e18, 0.1, 0.2, 0.3, 0.0, 0.0, 0.0)][3:] == pytest.approx([0.6, 0.5, 0.3, 0.0])
    assert window.value == 0.0


BAR_MAKERS: dict[str, tuple[Callable[[int], Any], int]] = {
    **{name: (make, len(columns)) for name, (make, columns, _) in CASES.items()},
    "adx": (Adx, 3),
    "rolling vwap": (RollingVwap, 4),
    "session vwap": (lambda n: SessionVwap(), 5),
    "total": (lambda n: Total(), 1),
}


@pytest.mark.parametrize("name", BAR_MAKERS)
@settings(deadline=None, max_examples=20)
@given(market=markets(), length=st.integers(2, 6), at=st.integers(0, 50))
def test_restored_anywhere_it_gives_the_same_bits(name, market, length, at):
    """Written down as JSON at any bar and restored, it goes on with exactly the same numbers."""
    make, width = BAR_MAKERS[name]
    times = [index * DAY_NS // 4 for index in range(len(market.close))]
    bars_ = [(*map(float, bar), ts)[:width] if width == 5 else tuple(map(float, bar))[:width]
             for *bar, ts in zip(*market, times, strict=True)]  # fmt: skip
    whole, cut, again = make(length), make(length), make(length)
    expected = [whole.update(*bar) for bar in bars_]
    got = [cut.update(*bar) for bar in bars_[:at]]
    again.restore(json.loads(json.dumps(cut.snapshot())))
    got += [again.update(*bar) for bar in bars_[at:]]
    assert got == expected
    assert again.snapshot() == whole.snapshot()


@pytest.mark.parametrize("name", sorted(set(BAR_MAKERS) - {"true range", "obv", "ad", "session vwap", "total"}))
def test_another_length_starts_fresh(name):
    """A memory of length 3 is of no use to length 4: it starts fresh instead of mixing them."""
    make, width = BAR_MAKERS[name]
    old, new, fresh = make(3), make(4), make(4)
    bars_ = [tuple(map(float, bar))[:width] for bar in zip(*bars(40), strict=True)]
    for bar in bars_:
        old.update(*bar)
    new.restore(old.snapshot())
    assert [new.update(*bar) for bar in bars_] == [fresh.update(*bar) for bar in bars_]


@pytest.mark.parametrize(
    "make",
    [lambda: Hma(1), lambda: Macd(5, 5, 3), lambda: Macd(0, 5, 3), lambda: Aroon(1), lambda: Adx(1), lambda: Wma(0)],
    ids=["hma", "macd", "macd fast", "aroon", "adx", "wma"],
)
def test_lengths_that_make_no_sense_are_refused(make):
    """A length below what the definition needs stops the start, not the trading."""
    with pytest.raises(ValueError, match="allowed: a whole number"):
        make()


def test_roc_and_sma_agree():
    """On a straight rise of 1 from 100, ten steps are 10 % of the old price, and the mean of five lags by two."""
    roc, sma = Roc(10), Sma(5)
    for x in range(100, 111):
        roc.update(float(x))
        sma.update(float(x))
    assert roc.value == pytest.approx(10.0, rel=1e-14)
    assert sma.value == 108.0
