"""Invented markets: the same seed, the same bytes; and the habits of real ones, in numbers."""

from __future__ import annotations

import hashlib
import shutil
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.data.columns import ARRAYS
from backtest.data.generate import BARS_MAX, Market, generate
from backtest.data.main import main
from backtest.data.store import History
from core.contracts import moment, timeframe_ns
from core.errors import ContractError

ROOT = Path(__file__).resolve().parents[1]
START = moment("2025-01-01")
DAY = 86_400_000_000_000
MINUTES_OF_A_YEAR = 525_600


def market(**rest):
    return Market(**{"symbol": "ATOM/USDT", "timeframe": "1m", "seed": 7, **rest})


def a_year(**rest):
    return generate(market(**rest), START, START + 365 * DAY)


@pytest.fixture(scope="module")
def year():
    return a_year()


@pytest.fixture(scope="module")
def pulled():
    return a_year(model="ou")


def digest(columns):
    """Of all columns, with their bytes in one order on every machine."""
    whole = hashlib.sha256()
    for name in ARRAYS:
        array = getattr(columns, name)
        whole.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return whole.hexdigest()[:16]


def returns(columns, every=1):
    closes = columns.close[::every]
    return np.diff(closes) / closes[:-1]


def at_lag(values, lag):
    """Autocorrelation."""
    apart = values - values.mean()
    return float((apart[lag:] * apart[:-lag]).mean() / apart.var())


# -- the same everywhere


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "7f6ff8212b6f4e9b"),
        ({"model": "ou"}, "8a49030d321cd195"),
        ({"timeframe": "1h", "seed": -3, "tick": Decimal("0.25")}, "9344fdd5e29db38e"),
    ],
)
def test_a_seed_gives_these_bytes_on_every_machine(options, expected):
    """Written down once; a version of Python or numpy that changes one bit of them fails here."""
    assert digest(generate(market(**options), START, START + 30 * DAY)) == expected


def test_another_seed_or_symbol_is_another_market():
    """And the same one is the same, whatever was made before."""
    first, again = (digest(generate(market(), START, START + DAY)) for _ in range(2))
    others = {digest(generate(market(**other), START, START + DAY)) for other in ({"seed": 8}, {"symbol": "BTC/USDT"})}
    assert first == again
    assert len({first, *others}) == 3


def test_a_later_end_changes_no_bar():
    """So that a test may be made longer."""
    short, long = (generate(market(), START, START + number * DAY) for number in (2, 3))
    assert long[: len(short)].equals(short)
    assert len(long) == 3 * 1440


# -- bars


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(), timeframe=st.sampled_from(["1s", "1m", "5m", "1h", "1d"]), model=st.sampled_from(["gbm", "ou"]),
    volatility=st.floats(0, 30), price=st.floats(1, 1e5), tick=st.sampled_from(["0.00001", "0.01", "0.25", "1"]),
    trend=st.floats(0, 3), drift=st.floats(-5, 5), half_life_days=st.floats(1e-4, 1e4),
)  # fmt: skip
def test_whatever_is_asked_for_the_bars_are_bars(tick, timeframe, **options):
    """Prices on the grid and above 0, lows below, highs above, each open the close before, each event accepted."""
    made = generate(
        market(tick=Decimal(tick), timeframe=timeframe, **options), START, START + 500 * timeframe_ns(timeframe)
    )
    assert len(list(made.bars())) == len(made) == 500
    assert (made.open[1:] == made.close[:-1]).all()
    assert (np.diff(made.ts_open) == timeframe_ns(timeframe)).all()
    for name in ("open", "high", "low", "close"):
        assert all(Decimal(repr(price)) % Decimal(tick) == 0 for price in getattr(made, name).tolist())
    assert (made.volume > 0).all()
    assert all(Decimal(repr(volume)) % Decimal("0.001") == 0 for volume in made.volume.tolist())


def test_bars_stand_on_the_wall_clock():
    """Of 12:00:30 to 12:06:30 the bars that open at 12:01 to 12:06, and of 5m that of 12:05 alone."""
    noon = START + DAY // 2
    start, end = noon + 30_000_000_000, noon + 390_000_000_000
    assert ((generate(market(), start, end).ts_open - noon) // 60_000_000_000).tolist() == [1, 2, 3, 4, 5, 6]
    assert ((generate(market(timeframe="5m"), start, end).ts_open - noon) // 60_000_000_000).tolist() == [5]
    assert len(generate(market(), start, start)) == 0


def test_the_first_price_is_the_one_asked_for(year):
    """And the first bar opens with it."""
    assert year.open[0] == 100.0
    assert generate(market(price=6.1917, tick=Decimal("0.001")), START, START + DAY).open[0] == 6.192


# -- habits of real markets, over a year of minutes


def test_volatility_is_the_one_asked_for(year):
    """80 % a year: minutes of 0.8 / sqrt(525,600) = 0.11 %, within 2 % of that; twice as much where twice is asked."""
    assert len(year) == MINUTES_OF_A_YEAR
    assert returns(year).std() * MINUTES_OF_A_YEAR**0.5 == pytest.approx(0.8, rel=0.02)
    quarter = generate(market(volatility=1.6), START, START + 90 * DAY)
    assert returns(quarter).std() * MINUTES_OF_A_YEAR**0.5 == pytest.approx(1.6, rel=0.02)


def test_volatility_comes_in_clusters(year):
    """Large moves follow large ones for hours, in either direction: absolute returns remember, returns do not."""
    moves = returns(year)
    assert abs(at_lag(moves, 1)) < 0.01
    remembered = [at_lag(np.abs(moves), lag) for lag in (1, 10, 60)]
    assert remembered == sorted(remembered, reverse=True)
    assert remembered[0] > 0.14
    assert remembered[1] > 0.1
    assert remembered[2] > 0.03


def test_large_moves_are_more_frequent_than_normal(year):
    """Kurtosis above 3.5, where a normal distribution has 3; and four deviations ten times as often as 1 in 15,787."""
    moves = returns(year)
    apart = (moves - moves.mean()) / moves.std()
    assert (apart**4).mean() > 3.5
    assert (np.abs(apart) > 4).mean() > 10 / 15_787


def test_volume_remembers_and_follows_volatility(year):
    """A busy minute follows a busy one, and busy minutes move."""
    assert year.volume.mean() == pytest.approx(1000, rel=0.02)
    assert at_lag(year.volume, 1) > 0.4
    assert at_lag(year.volume, 60) > 0.1
    assert np.corrcoef(np.abs(returns(year)), year.volume[1:])[0, 1] > 0.15


def test_the_path_goes_on_inside_a_bar(year):
    """A range is wider than the move from open to close: 1.3 to 2 times in the mean, as on real markets."""
    ranges, moves = year.high - year.low, np.abs(year.close - year.open)
    assert 1.3 < ranges.mean() / moves.mean() < 2
    assert (year.high > np.maximum(year.open, year.close)).mean() > 0.3
    assert (year.low < np.minimum(year.open, year.close)).mean() > 0.3


def test_trends_last():
    """With strong trends an hour goes the way of the hour before; without them it does not."""
    strong, none = (a_year(trend=trend) for trend in (0.1, 0.0))
    assert at_lag(returns(strong, 60), 1) > 0.15
    assert abs(at_lag(returns(none, 60), 1)) < 0.04
    assert returns(none, 1440).std() * 365**0.5 == pytest.approx(0.8, rel=0.15)


def test_drift_is_per_year():
    """At 50 % a year and without noise, 100 becomes 100 * (1 + 0.5 / 8,760)^8,760, which is 100 * e^0.5 = 164.87."""
    assert a_year(timeframe="1h", drift=0.5, volatility=0.0).close[-1] == pytest.approx(164.87, abs=0.01)


def test_one_model_comes_back_and_the_other_does_not(pulled, year):
    """With a half-life of a day the pull takes half of any distance in a day; a random walk keeps it."""
    daily = pulled.close[::1440] - 100.0
    assert np.polyfit(daily[:-1], daily[1:], 1)[0] == pytest.approx(0.5, abs=0.1)
    wandering = year.close[::1440] - 100.0
    assert np.polyfit(wandering[:-1], wandering[1:], 1)[0] > 0.95
    assert 100 * 0.7 < pulled.close.min() < pulled.close.max() < 100 * 1.3


def test_a_drift_ends_where_the_pull_is_as_strong():
    """Without noise nothing leaves 100 and nothing comes back; a drift is held where the pull is as strong as it."""
    still = generate(market(model="ou", volatility=0.0, trend=0.0), START, START + DAY)
    assert set(still.close.tolist()) == {100.0}
    # Where the pull ln 2 / day x distance is the drift of 73 / 365 = 0.2 a day: a distance of 0.2 / 0.693 = 0.2885 of
    # the price, so 100 / (1 - 0.2885) = 140.55.
    held = a_year(timeframe="1h", model="ou", volatility=0.0, trend=0.0, drift=73.0)
    assert held.close[-1] == pytest.approx(140.55, abs=0.01)


# -- what is refused, and the command


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "arima"}, "model is 'arima'; allowed: gbm, ou"),
        ({"volatility": -0.1}, "volatility is -0.1; allowed: 0 or more"),
        ({"drift": float("nan")}, "drift is nan; allowed: a finite number"),
        ({"volume": 0.0}, "volume is 0.0; allowed: above 0"),
        ({"half_life_days": float("inf")}, "half_life_days is inf; allowed: above 0"),
        ({"price": 0.001}, "price is 0.001; allowed: the tick, 0.01, or more"),
        ({"timeframe": "7m"}, "timeframe is '7m'"),
    ],
)
def test_a_market_that_cannot_be_is_refused(options, says):
    """By name and value."""
    with pytest.raises(ContractError, match=says):
        market(**options)


def test_too_many_bars_are_refused():
    """A year of seconds is 31,536,000."""
    with pytest.raises(ContractError, match=f"31536000 bars of 1s are asked for; allowed: {BARS_MAX} at once"):
        generate(market(timeframe="1s"), START, START + 365 * DAY)


@pytest.fixture
def command(tmp_path, capsys):
    """Runs `generate` in a folder of its own; the exit code and what it said."""
    shutil.copytree(ROOT / "config", tmp_path / "config")

    def run(*options):
        code = main(["generate", "--config-root", str(tmp_path), *options])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


TWO_DAYS = ("--symbol", "ATOM/USDT", "--start", "2025-01-01", "--end", "2025-01-02", "--price", "6")


def test_the_command_fills_a_dataset(command, tmp_path):
    """Two days of minutes on the grid of the instrument, one file per day; again is the same, another seed is not."""
    said = "2880 bars of ATOM/USDT 1m, 2025-01-01T00:00:00Z to 2025-01-02T23:59:00Z, dataset synthetic: "
    counts = "{} new, {} there already, 0 replaced, 0 kept as they were\n"
    assert command(*TWO_DAYS, "--seed", "7", "--dry-run") == (0, "would be: " + said + counts.format(2880, 0), "")
    dataset = History(tmp_path / "var" / "history").dataset("synthetic")
    assert dataset.series() == []
    assert command(*TWO_DAYS, "--seed", "7") == (0, said + counts.format(2880, 0), "")
    made = dataset.bars("ATOM/USDT", "1m")
    own = market(price=6.0, tick=Decimal("0.001"), lot=Decimal("0.01"))
    assert made.equals(generate(own, START, START + 2 * DAY))
    assert [origin.format for origin in dataset.manifest.origins] == ["generate"]
    assert command(*TWO_DAYS, "--seed", "7") == (0, said + counts.format(0, 2880), "")
    code, out, error = command(*TWO_DAYS, "--seed", "8")
    assert (code, out) == (1, "")
    assert "differ from what is there" in error


def test_invented_bars_join_no_others(command, tmp_path):
    """Neither are they put among real ones, nor real ones among them."""
    real = tmp_path / "real.csv"
    real.write_text("date,open,high,low,close,volume\n2025-03-01,1,1,1,1,1\n2025-03-02,1,1,1,1,1\n")
    taken_in = ["import", str(real), "--config-root", str(tmp_path), "--symbol", "ATOM/USDT", "--dataset"]
    assert main([*taken_in, "real"]) == 0
    code, _, error = command(*TWO_DAYS, "--dataset", "real")
    assert (code, "dataset 'real' holds real data" in error) == (1, True)
    assert command(*TWO_DAYS)[0] == 0
    assert main([*taken_in, "synthetic"]) == 1
    assert History(tmp_path / "var" / "history").dataset("synthetic").manifest.venue == "synthetic"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--symbol", "NEW/USDT"), "NEW/USDT is not among `instruments`; give --tick and --lot"),
        (("--tick", "0"), "tick is 0; allowed: above 0"),
        (("--tick", "x"), "--tick is 'x'; allowed: a number"),
        (("--timeframe", "7m"), "timeframe is '7m'; allowed: 1s to 1d"),
        (("--end", "2024-01-01"), "end is '2024-01-01'; allowed: a time behind the start"),
        (("--timeframe", "1s", "--end", "2026-01-01"), "bars of 1s are asked for"),
    ],
)
def test_wrong_options_are_usage(command, options, says):
    """Exit code 2, and what is allowed."""
    code, _, error = command(*TWO_DAYS, *options)
    assert code == 2
    assert says in error
