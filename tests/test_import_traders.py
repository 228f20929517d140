"""Files as traders have them: numbers of other countries, clocks that are set back, days of exchanges."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from backtest.data.importing.importer import Imported, Options, import_file, import_frame
from backtest.data.importing.spelling import spelling_of
from backtest.data.store import Dataset
from core.contracts.moments import iso, moment
from core.errors import ConfigError, DataError
from tests.history_desk import MINUTE, START

OPTIONS = Options(symbol="BTC/USDT", now_ns=moment("2026-01-01"))
MS = START // 1_000_000
EXCHANGE = ZoneInfo("America/New_York")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path / "desk")


def take(dataset: Dataset, text: str, **options: object) -> Imported:
    """Takes a text file in."""
    path = dataset.folder.with_suffix(".csv")
    path.write_text(text, encoding="utf-8")
    (only,) = import_file(dataset, path, replace(OPTIONS, **options))  # type: ignore[arg-type]
    return only


def european(amount: float) -> str:
    """1234.5 as it is written in Berlin: 1.234,50."""
    return f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))


SPELLINGS = [
    # open, high, low, close as 1234.5, 1240.25, 1230.75, 1235.5, and what parts the cells
    (";", ("1.234,50", "1.240,25", "1.230,75", "1.235,50")),
    (";", ("1234,50", "1240,25", "1230,75", "1235,50")),
    (";", ("1,234.50", "1,240.25", "1,230.75", "1,235.50")),
    (",", ('"1,234.50"', '"1,240.25"', '"1,230.75"', '"1,235.50"')),
    (",", ('"1.234,5"', '"1.240,25"', '"1.230,75"', '"1.235,5"')),
    ("\t", ("1.2345e3", "1240.25", "1.23075E+03", "1235.5")),
]


@pytest.mark.parametrize(("delimiter", "cells"), SPELLINGS)
def test_numbers_of_any_country(dataset, delimiter, cells):
    """Decimal points and commas, thousands set apart or not: the same four prices."""
    lines = [delimiter.join((f"{MS + 60_000 * n}", *cells, "7")) for n in range(3)]
    header = delimiter.join(("time", "open", "high", "low", "close", "volume"))
    take(dataset, "\n".join([header, *lines]) + "\n")
    bars = dataset.bars("BTC/USDT", "1m")
    assert [bars.open[0], bars.high[0], bars.low[0], bars.close[0], bars.volume[0]] == [
        1234.5, 1240.25, 1230.75, 1235.5, 7.0,
    ]  # fmt: skip


def test_a_comma_that_can_be_both_is_not_guessed(dataset):
    """1,234 may be 1234 or 1.234: refused, until --decimal says which."""
    text = "time;open;high;low;close\n" + "".join(f"{MS + 60_000 * n};1,234;1,240;1,230;1,235\n" for n in range(3))
    with pytest.raises(DataError, match=r"'1,234' can be both; --decimal ,\|\. decides"):
        take(dataset, text)
    take(dataset, text, decimal=".", symbol="A/B")
    take(dataset, text, decimal=",", symbol="C/D")
    assert dataset.bars("A/B", "1m").open[0] == 1234.0
    assert dataset.bars("C/D", "1m").open[0] == 1.234
    with pytest.raises(ConfigError, match="decimal is 'x'"):
        take(dataset, text, decimal="x")


CELLS = [
    (("1.5", "2"), "."), (("1,5", "2"), ","), (("1,234", "0.5"), "."), (("1,234", "0,5"), ","),
    (("1,234", "1,234,567"), "."), (("1,234", "1.234,5"), ","), (("1,234", ",125"), ","), (("1.234",), "."),
]  # fmt: skip


@pytest.mark.parametrize(("cells", "decimal"), CELLS)
def test_one_sure_number_says_how_all_are_spelled(cells, decimal):
    """A fraction of other than three digits, a leading 0, or thousands twice."""
    assert spelling_of(cells, "auto", "x").decimal == decimal


def test_numbers_of_two_countries_are_refused():
    """1,5 and 1.5 in one file."""
    with pytest.raises(DataError, match=r"x: .*'1\.5' and '1,5' contradict"):
        spelling_of(["1,5", "1.5"], "auto", "x")


def test_a_late_comma_is_no_surprise(dataset):
    """Where the first rows have no comma, one that comes later is refused with its line."""
    rows = "".join(f"{MS + 60_000 * n};12;13;11;12\n" for n in range(300))
    with pytest.raises(DataError, match="line 302: column \"open\" is '1,234'"):
        take(dataset, f"time;open;high;low;close\n{rows}{MS + 18_000_000};1,234;1,3;1,1;1,2\n")


def local(first: str, count: int) -> list[str]:
    """Minutes of New York from a moment on, as a file has them that names no zone."""
    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    return [(start + timedelta(minutes=n)).astimezone(EXCHANGE).strftime("%Y-%m-%d %H:%M:%S") for n in range(count)]


def lines(times: list[str]) -> str:
    """A bar at each time."""
    return "time,open,high,low,close\n" + "".join(f"{each},{100 + n},900,1,200\n" for n, each in enumerate(times))


SUMMER, WINTER = "2025-03-09T06:00:00", "2025-11-02T04:00:00"


@pytest.mark.parametrize(("first", "count"), [(SUMMER, 120), (WINTER, 240)])
@pytest.mark.parametrize("newest_first", [False, True])
def test_clocks_are_set(dataset, first, count, newest_first):
    """The hour that is missing in March and the one that is there twice in November: every minute in its place."""
    times = local(first, count)
    take(dataset, lines(times[::-1] if newest_first else times), timezone="America/New_York")
    bars = dataset.bars("BTC/USDT", "1m")
    assert bars.ts_open.tolist() == [moment(f"{first}Z") + n * MINUTE for n in range(count)]
    assert bars.open[0] == (100 + count - 1 if newest_first else 100)


@pytest.mark.parametrize("times", [["2025-03-09 02:00:00", "2025-03-09 02:01:00"], local("2025-11-02T05:30:00", 20)])
def test_times_that_are_none_or_two_are_refused(dataset, times):
    """Half past two on the morning without that hour; half past one with nothing that says which of the two."""
    with pytest.raises(DataError, match="no time of America/New_York"):
        take(dataset, lines(times), timezone="America/New_York")


DAYS = ["2025-03-07", "2025-03-10", "2025-03-11"]
"""Friday, and Monday behind the change of clocks."""


@pytest.mark.parametrize(
    "times",
    [DAYS, [f"{day} 00:00:00{offset}" for day, offset in zip(DAYS, ("-05:00", "-04:00", "-04:00"), strict=True)]],
)
def test_days_of_an_exchange_are_called_by_their_date(dataset, times):
    """The daily bars of a share, at midnight in New York as yfinance writes them: the same days in UTC."""
    take(dataset, lines(times), timezone="America/New_York", asset_class="equity", symbol="AAPL/USD")
    assert [iso(int(ts))[:10] for ts in dataset.bars("AAPL/USD", "1d").ts_open] == DAYS
    with pytest.raises(DataError, match="no bar of 1d begins at"):
        take(dataset, lines(times), timezone="America/New_York")  # a market that never closes has no such days


def test_a_frame_of_days_of_an_exchange(dataset):
    """The same as a pandas frame with a zone."""
    index = pd.DatetimeIndex(DAYS, name="Date").tz_localize("America/New_York")
    frame = pd.DataFrame({"Open": 1.0, "High": 2.0, "Low": 1.0, "Close": 1.5, "Volume": 7}, index=index)
    import_frame(dataset, frame, "AAPL/USD", asset_class="equity")
    assert [iso(int(ts))[:10] for ts in dataset.bars("AAPL/USD", "1d").ts_open] == DAYS


def test_rare_trades(dataset):
    """Ten minutes with trades in twenty, no two of them in a row: their length is one minute if that is said."""
    times = [f"{MS + 60_000 * n}" for n in (0, 2, 4, 6, 8, 10, 12, 15, 17, 19)]
    with pytest.raises(DataError, match="--timeframe"):
        take(dataset, lines(times))
    assert take(dataset, lines(times), timeframe="1m").rows == 10


def test_wrong_rows_are_counted_not_cells(dataset):
    """Two empty rows at the end, as Yahoo has them, are two."""
    empty = "".join(f"{MS + 60_000 * (3 + n)},,,,\n" for n in range(2))
    with pytest.raises(DataError, match=": 2 rows are wrong"):
        take(dataset, lines([f"{MS + 60_000 * n}" for n in range(3)]) + empty)


def test_what_a_mac_puts_into_archives(tmp_path, dataset):
    """Is passed by."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", lines([f"{MS + 60_000 * n}" for n in range(3)]))
        archive.writestr("__MACOSX/._a.csv", b"\0\5\26\7")
    (only,) = import_file(dataset, tmp_path / "a.zip", OPTIONS)
    assert only.rows == 3
