"""Frames of bars: made longer, given indicators, put side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from backtest.data.aggregator import DataAggregator, indicator_of
from backtest.data.columns import BarColumns
from backtest.data.generate import Market, generate
from backtest.data.resample import resample
from core.contracts import moment
from core.errors import ContractError
from strategies import indicators
from strategies.indicators import Atr, Bollinger, Crossover, Rsi, SessionVwap, Sma

START = moment("2025-06-01T12:00Z")
MINUTE = 60_000_000_000
AGGREGATOR = DataAggregator()


def frame(closes, start="2025-06-01T12:00Z", **columns):
    """Minutes of equal prices and a volume of 1."""
    index = pd.date_range(start, periods=len(closes), freq="1min", name="time")
    prices = {name: np.array(closes, float) for name in ("open", "high", "low", "close")}
    return pd.DataFrame({**prices, "volume": 1.0, **columns}, index=index)


@pytest.fixture(scope="module")
def market():
    """Two days of minutes."""
    return generate(Market(symbol="ATOM/USDT", timeframe="1m", seed=3), START, START + 2880 * MINUTE)


# -- resample_ohlcv


def test_a_frame_gives_the_same_bars_as_columns(market):
    """By whatever name the columns go, and with none lost on the way there and back."""
    expected = resample(market, "1h").to_frame()
    pd.testing.assert_frame_equal(AGGREGATOR.resample_ohlcv(market, "1h"), expected)
    pd.testing.assert_frame_equal(AGGREGATOR.resample_ohlcv(market.to_frame(), "1h"), expected)
    small = AGGREGATOR.resample_ohlcv(market.to_frame().rename(columns=str.lower), "1h")
    assert list(small.columns) == ["open", "high", "low", "close", "volume"]
    assert small.to_numpy().tolist() == expected.to_numpy().tolist()


def test_a_frame_without_a_zone_is_utc_and_one_with_another_is_the_same_moment():
    """14:00 in Berlin is 12:00; so the fives begin at 12:00 for all three."""
    utc, berlin = frame(range(1, 11)), frame(range(1, 11), "2025-06-01T14:00+02:00")
    naive = frame(range(1, 11), "2025-06-01T12:00")
    for given in (utc, berlin, naive, naive.set_index(naive.index.as_unit("s"))):
        made = AGGREGATOR.resample_ohlcv(given, "5m")
        assert made.index.tolist() == [pd.Timestamp("2025-06-01T12:00Z"), pd.Timestamp("2025-06-01T12:05Z")]
        assert made[["open", "close", "volume"]].to_numpy().tolist() == [[1, 5, 5], [6, 10, 5]]


def test_a_frame_may_hold_more_than_prices():
    """Turnover and counts add up; what lacks minutes says so, or goes."""
    given = frame([100] * 8, vwap=100.0, turnover=100.0, trade_count=2, complete=True)
    made = AGGREGATOR.resample_ohlcv(given, "5m")
    assert made[["vwap", "turnover", "trade_count", "complete"]].to_numpy().tolist() == [
        [100, 500, 10, True], [100, 300, 6, False],
    ]  # fmt: skip
    assert len(AGGREGATOR.resample_ohlcv(given, "5m", incomplete="drop")) == 1


def test_the_timeframe_is_the_shortest_distance_unless_it_is_said():
    """Minutes with holes are minutes; one bar alone tells nothing."""
    holes = frame(range(1, 11)).iloc[[0, 2, 4, 5, 8]]
    assert AGGREGATOR.resample_ohlcv(holes, "5m")["close"].tolist() == [5, 9]
    with pytest.raises(ContractError, match="one bar does not tell its timeframe; give it as `source`"):
        AGGREGATOR.resample_ohlcv(holes.iloc[:1], "5m")
    assert len(AGGREGATOR.resample_ohlcv(holes.iloc[:1], "5m", source="1m")) == 1
    with pytest.raises(ContractError, match="bars of 1m make no bars of 30s"):
        AGGREGATOR.resample_ohlcv(holes, "30s")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (frame([1, 2]).assign(sma=1.0), r"columns of the frame that no longer bar can have: \['sma'\]; leave them out"),
        (frame([1, 2]).drop(columns="low"), r"missing: \['low'\]"),
        (frame([1, np.nan]), "open of the frame is nan at 2025-06-01 12:01:00"),
        (frame([1, 2]).assign(Close=1.0), "column 'Close' is in the frame twice"),
        (frame([1, 2]).iloc[::-1], "the frame's time does not rise at 2025-06-01T12:00:00Z"),
        (frame([1, 2]).reset_index(drop=True), "index of the frame is a RangeIndex; allowed: a DatetimeIndex"),
    ],
)
def test_what_is_no_frame_of_bars_is_refused(given, says):
    """With the column or the time that is wrong."""
    with pytest.raises(ContractError, match=says):
        AGGREGATOR.resample_ohlcv(given, "5m")


# -- add_indicators


def test_an_average_is_nothing_until_it_is_ready():
    """Of 1, 2, 3, 4: nothing, nothing, 2, 3; the frame given stays as it was."""
    given = frame([1, 2, 3, 4])
    made = AGGREGATOR.add_indicators(given, ["sma_3"])
    assert np.isnan(made["sma_3"].tolist()[:2]).all()
    assert made["sma_3"].tolist()[2:] == [2, 3]
    assert list(given.columns) == ["open", "high", "low", "close", "volume"]


def test_every_figure_is_the_one_that_a_strategy_sees(market):
    """Fed bar by bar, from the same classes, with the same settings."""
    made = AGGREGATOR.add_indicators(market, ["rsi_14", "atr_14", "bollinger_20_2.5", "session_vwap"])
    rsi, atr, bands, mean = Rsi(14), Atr(14), Bollinger(20, 2.5), SessionVwap()
    for row, bar in zip(made.itertuples(), market.bars(), strict=True):
        values = rsi.update(bar.close), atr.update(bar.high, bar.low, bar.close)
        lines = bands.update(bar.close) or (None, None, None)
        expected = [*values, *lines, mean.update(bar.high, bar.low, bar.close, bar.volume, bar.ts_open)]
        found = [None if value != value else value for value in row[6:]]
        assert found == expected
    assert list(made.columns[5:]) == [
        "rsi_14", "atr_14",
        "bollinger_20_2.5_lower", "bollinger_20_2.5_middle", "bollinger_20_2.5_upper",
        "session_vwap",
    ]  # fmt: skip


def test_no_row_knows_a_later_one(market):
    """Whatever comes behind a row, its figures are the same."""
    names = ["ema_10", "macd", "stochastic_14", "obv", "adx_14"]
    whole, half = AGGREGATOR.add_indicators(market, names), AGGREGATOR.add_indicators(market[:1000], names)
    pd.testing.assert_frame_equal(whole.iloc[:1000], half)


def test_indicators_may_be_one_s_own():
    """A name of one's own for an indicator that is there."""
    assert AGGREGATOR.add_indicators(frame([1, 3]), {"slow": Sma(2)})["slow"].tolist()[1] == 2


def test_every_indicator_that_bars_can_feed_has_a_name():
    """All but those that need two lines or all values at once."""
    with pytest.raises(ContractError) as refused:
        indicator_of("none")
    named = set(str(refused.value).partition("allowed: ")[2].partition(", then")[0].split(", "))
    classes = {name.lower() for name in indicators.__all__}
    assert classes - named == {
        "adxlines", "aroonlines", "bands", "crossover", "directions", "indicator", "macdlines",
        "stochasticlines", "window",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (["smaa_20"], "indicator is 'smaa_20'; allowed: ad, adx"),
        (["sma_0"], "indicator is 'sma_0': length is 0; allowed"),
        (["sma"], "indicator is 'sma': .*missing 1 required positional argument: 'length'"),
        (["sma_20_5"], "indicator is 'sma_20_5': .*positional arguments"),
        ({"cross": Crossover()}, "Crossover cannot be fed with bars; allowed inputs: x, high"),
    ],
)
def test_what_is_no_indicator_is_refused(wanted, says):
    """By name, with what is allowed."""
    with pytest.raises(ContractError, match=says):
        AGGREGATOR.add_indicators(frame([1, 2]), wanted)


def test_a_frame_that_lacks_a_column_is_refused():
    """On-balance volume without a volume."""
    with pytest.raises(ContractError, match="the frame has no column volume; it has: open, high, low, close"):
        AGGREGATOR.add_indicators(frame([1, 2]).drop(columns="volume"), ["obv"])


# -- merge_symbols


def test_symbols_stand_side_by_side_and_nothing_is_filled():
    """A has minutes 0 to 2, B has 1 to 3: four times, and no price where there was no bar."""
    merged = AGGREGATOR.merge_symbols({"B": frame([20, 21, 22], "2025-06-01T12:01Z"), "A": frame([10, 11, 12])})
    assert merged.columns.names == ["symbol", "field"]
    assert list(merged.columns.get_level_values("symbol").unique()) == ["B", "A"]
    closes = merged.xs("close", axis=1, level="field")
    assert [[None if x != x else x for x in row] for row in closes.to_numpy().tolist()] == [
        [None, 10], [20, 11], [21, 12], [22, None],
    ]  # fmt: skip


def test_filling_repeats_prices_and_trades_nothing():
    """The last close stays, the volume is 0, and before the first bar there is still nothing."""
    frames = {"A": frame([10, 11, 12]), "B": frame([20, 21, 22], "2025-06-01T12:01Z")}
    merged = AGGREGATOR.merge_symbols(frames, forward_fill=True)
    assert merged["A"]["close"].tolist() == [10, 11, 12, 12]
    assert merged["A"]["volume"].tolist() == [1, 1, 1, 0]
    assert merged["B"].iloc[0].isna().all()


def test_what_cannot_be_merged_is_refused(market):
    """Nothing at all, or a time twice; columns and frames go together."""
    with pytest.raises(ContractError, match="there is no frame to merge"):
        AGGREGATOR.merge_symbols({})
    twice = pd.concat([frame([1]), frame([1])])
    with pytest.raises(ContractError, match="does not rise"):
        AGGREGATOR.merge_symbols({"A": twice})
    both = AGGREGATOR.merge_symbols({"A": market, "B": market.to_frame()})
    assert both["A"].equals(both["B"])
    assert isinstance(market, BarColumns)
