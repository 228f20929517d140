"""History played bar by bar: dates, order of symbols, warm-up, splits and dividends as a trader meets them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from backtest.data.columns import BarColumns
from backtest.data.service import DataService, When
from backtest.data.source_columns import source_columns
from backtest.data.store import Dataset
from core.codec import Header
from core.config import Config, load_config
from core.contracts import CorporateAction, Event, OHLCVBar, moment, timeframe_ns
from core.data_source_loading import load_sources
from core.errors import ConfigError, ContractError, DataError
from core.kernel import Kernel
from tests.test_config import written

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"
AAPL = "AAPL/USD"
DAY = timeframe_ns("1d")


def day(text: str) -> int:
    """The first moment of a date."""
    return moment(text)


def columns(symbol: str, first: str, closes: Sequence[float], timeframe: str = "1d") -> BarColumns:
    """Consecutive bars of one price each, volume 100."""
    opens = day(first) + np.arange(len(closes)) * timeframe_ns(timeframe)
    arrays = dict.fromkeys(("open", "high", "low", "close"), closes)
    return BarColumns.of(symbol, timeframe, {"ts_open": opens, **arrays, "volume": [100.0] * len(closes)})


def desk(tmp_path: Path, *series: BarColumns, actions: Sequence[CorporateAction] = ()) -> Config:
    """A configuration with one dataset in its history."""
    dataset = Dataset(tmp_path / "var" / "history" / "test")
    for each in series:
        dataset.add(each)
    dataset.add_actions(actions)
    return load_config(written(tmp_path), environ={})


def told(heard: Sequence[Event]) -> list[tuple[str, str, float]]:
    """What was published: symbol, kind or timeframe, close or ratio or amount."""
    return [
        (each.symbol, each.timeframe, each.close)
        if isinstance(each, OHLCVBar)
        else (each.symbol, each.kind, float(each.ratio if each.kind == "split" else each.amount))
        for each in heard
        if isinstance(each, (OHLCVBar, CorporateAction))
    ]


def test_one_day_at_a_time(tmp_path: Path) -> None:
    """A day's bar is published when its date is asked for, as text, date, time or nanoseconds."""
    heard: list[Event] = []
    service = DataService(heard.append, desk(tmp_path, columns("A/USD", "2020-01-01", [1.0, 2.0, 3.0])))
    service.load_data("A/USD", "2020-01-01")
    second: list[When] = ["2020-01-02", date(2020, 1, 2), datetime(2020, 1, 2, tzinfo=UTC), day("2020-01-02")]
    for when in (*second, datetime(2020, 1, 2)):  # noqa: DTZ001  # without a zone it is UTC
        assert service.stream_bar(when) == 1
    assert [each[2] for each in told(heard)] == [2.0] * 5
    assert service.stream_bar("2020-01-02T00:00:01") == 0
    assert service.stream_bar("2020-02-01") == 0
    with pytest.raises(ContractError, match="when is 'yesterday'"):
        service.stream_bar("yesterday")


def test_dates_include_their_days(tmp_path: Path) -> None:
    """From the second to the third, both of them; without an end all there is; an end with a time is exact."""
    service = DataService(print, desk(tmp_path, columns("A/USD", "2020-01-01", [1.0, 2.0, 3.0, 4.0])))

    def closes(start: When, end: When | None = None) -> list[float]:
        (loaded,) = service.load_data("A/USD", start, end)
        return [float(each) for each in loaded.bars.close]

    assert closes("2020-01-02", "2020-01-03") == closes(date(2020, 1, 2), date(2020, 1, 3)) == [2.0, 3.0]
    assert closes("2020-01-02") == [2.0, 3.0, 4.0]
    assert (
        closes("2020-01-02", datetime(2020, 1, 3, tzinfo=UTC)) == closes(day("2020-01-02"), day("2020-01-03")) == [2.0]
    )


def test_warm_up_is_given_apart(tmp_path: Path) -> None:
    """Two bars before the start, never published; fewer where history has no more."""
    heard: list[Event] = []
    service = DataService(heard.append, desk(tmp_path, columns("A/USD", "2020-01-01", [1.0, 2.0, 3.0, 4.0])))
    service.load_data("A/USD", "2020-01-04", warmup=2)
    assert [bar.close for bar in service.warmup_bars("A/USD")] == [2.0, 3.0]
    service.load_data("A/USD", "2020-01-02", "2020-01-02", warmup=5)
    assert [bar.close for bar in service.warmup_bars("A/USD")] == [1.0]
    assert service.stream() == 1
    assert told(heard) == [("A/USD", "1d", 2.0)]
    with pytest.raises(ConfigError, match="A/UDS 1d is not loaded; did you mean 'A/USD 1d'"):
        service.warmup_bars("A/UDS")


def test_bars_come_when_they_are_known(tmp_path: Path) -> None:
    """Hours of B and days of A: the day comes behind its last hour; of one end the order of loading counts."""
    a, b = (
        columns("A/USD", "2020-01-01", [1.0, 2.0]),
        columns("B/USD", "2020-01-01", [float(x) for x in range(1, 31)], "1h"),
    )
    heard: list[Event] = []
    service = DataService(heard.append, desk(tmp_path, a, b))
    service.load_data("A/USD", "2020-01-01")
    service.load_data("B/USD", "2020-01-01", timeframe="1h")
    assert service.stream() == 32
    order = [(symbol, close) for symbol, _, close in told(heard)]
    hours = [("B/USD", float(hour)) for hour in range(1, 31)]
    assert order == [*hours[:23], ("A/USD", 1.0), *hours[23:], ("A/USD", 2.0)]
    heard.clear()
    assert service.stream_bar("2020-01-02") == 2
    assert told(heard) == [("B/USD", "1h", 25.0), ("A/USD", "1d", 2.0)]


def test_several_symbols_in_the_order_asked_for(tmp_path: Path) -> None:
    """Whatever their names are; the same order on every run; a longer timeframe is made of what is there."""
    series = [columns(symbol, "2020-01-01", [1.0] * 48, "1h") for symbol in ("A/BUSD", "C/USD", "AB/USD")]
    heard: list[Event] = []
    service = DataService(heard.append, desk(tmp_path / "other", *series[1:]))
    service.load_data(["C/USD", "AB/USD"], "2020-01-01")
    assert service.stream() == 4
    assert [symbol for symbol, _, _ in told(heard)] == ["C/USD", "AB/USD"] * 2
    assert all(isinstance(bar, OHLCVBar) and bar.volume == 24 * 100.0 for bar in heard)


def test_nothing_to_play(tmp_path: Path) -> None:
    """What was searched, and the command that fetches it; wrong words are named."""
    service = DataService(print, desk(tmp_path, columns("A/USD", "2020-01-01", [1.0])))
    with pytest.raises(DataError) as error:
        service.load_data("A/USD", "2021-01-01", "2021-01-31", timeframe="1m")
    assert "searched history: none of this symbol" in str(error.value)
    assert str(error.value).endswith("download --symbol A/USD --timeframe 1m --start 2021-01-01 --end 2021-01-31")
    with pytest.raises(DataError, match=r"^1d bars of B/USD from 2021-01-01T00:00:00Z: .*(\n.*)*--start 2021-01-01$"):
        service.load_data("B/USD", "2021-01-01")
    with pytest.raises(ConfigError, match="adjust is 'splits'; did you mean 'split'"):
        service.load_data("A/USD", "2020-01-01", adjust="splits")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="warmup is -1; allowed: 0 or more"):
        service.load_data("A/USD", "2020-01-01", warmup=-1)


SPLIT = CorporateAction("A/USD", "split", day("2020-01-03"), Decimal(4))
EARLY = CorporateAction("A/USD", "dividend", day("2020-01-02"), amount=Decimal("0.8"))
LATE = CorporateAction("A/USD", "dividend", day("2020-01-04"), amount=Decimal("0.1"))
PAID = [80.0, 80.0, 20.0, 20.0]


@pytest.mark.parametrize(
    ("adjust", "expected"),
    [
        ("raw", [80.0, ("dividend", 0.8), 80.0, ("split", 4.0), 20.0, ("dividend", 0.1), 20.0]),
        ("split", [20.0, ("dividend", 0.2), 20.0, 20.0, ("dividend", 0.1), 20.0]),  # 80 / 4, 0.8 / 4
        ("total_return", [20 * 0.99 * 0.995, 20 * 0.995, 20 * 0.995, 20.0]),  # 1 - 0.8 / 80, 1 - 0.1 / 20
    ],
)
def test_splits_and_dividends(tmp_path: Path, adjust: str, expected: list[float | tuple[str, float]]) -> None:
    """What is in the prices is not published again, so that nobody's position is split twice."""
    heard: list[Event] = []
    config = desk(tmp_path, columns("A/USD", "2020-01-01", PAID), actions=[SPLIT, EARLY, LATE])
    service = DataService(heard.append, config)
    service.load_data("A/USD", "2020-01-01", adjust=adjust)  # type: ignore[arg-type]
    service.stream()
    flat = [close if kind == "1d" else (kind, close) for _, kind, close in told(heard)]
    assert [each if isinstance(each, tuple) else pytest.approx(each) for each in expected] == flat
    volumes = [bar.volume for bar in heard if isinstance(bar, OHLCVBar)]
    assert volumes == ([100.0] * 4 if adjust == "raw" else [400.0, 400.0, 100.0, 100.0])


def test_actions_before_the_start_are_past(tmp_path: Path) -> None:
    """Who begins behind a split hears nothing of it, but the warm-up bars are in the units of the rest."""
    heard: list[Event] = []
    config = desk(tmp_path, columns("A/USD", "2020-01-01", PAID), actions=[SPLIT, EARLY])
    service = DataService(heard.append, config)
    service.load_data("A/USD", "2020-01-04", warmup=3, adjust="split")
    assert service.stream() == 1
    assert [bar.close for bar in service.warmup_bars("A/USD")] == [20.0, 20.0, 20.0]
    service.load_data("A/USD", "2020-01-04", warmup=3)
    assert [(bar.close, bar.split_factor) for bar in service.warmup_bars("A/USD")] == [(80, 0.25), (80, 0.25), (20, 1)]


def test_an_action_is_told_once(tmp_path: Path) -> None:
    """Days and hours of one symbol: the split comes with the first hour behind it, not with both."""
    hours = columns("A/USD", "2020-01-02", [20.0] * 48, "1h")
    heard: list[Event] = []
    config = desk(tmp_path, columns("A/USD", "2020-01-01", PAID), hours, actions=[SPLIT])
    service = DataService(heard.append, config)
    service.load_data("A/USD", "2020-01-01")
    service.load_data("A/USD", "2020-01-02", timeframe="1h")
    service.stream()
    kinds = [kind for _, kind, _ in told(heard)]
    assert kinds.count("split") == 1
    assert heard[kinds.index("split") + 1] == next(hours.between(day("2020-01-03"), day("2020-01-03") + 1).bars())


def test_a_renamed_symbol_has_its_past(tmp_path: Path) -> None:
    """FB became META on the third: bars, warm-up and the dividend of before come under the new name."""
    actions = [
        CorporateAction("FB/USD", "symbol_change", day("2022-06-03"), new_symbol="META/USD"),
        CorporateAction("FB/USD", "dividend", day("2022-06-02"), amount=Decimal("0.25")),
    ]
    old, new = columns("FB/USD", "2022-06-01", [1.0, 2.0, 99.0]), columns("META/USD", "2022-06-03", [3.0, 4.0])
    heard: list[Event] = []
    service = DataService(heard.append, desk(tmp_path, old, new, actions=actions))
    service.load_data("META/USD", "2022-06-02")
    service.stream()
    assert told(heard) == [("META/USD", "dividend", 0.25), *(("META/USD", "1d", close) for close in (2.0, 3.0, 4.0))]
    service.load_data("META/USD", "2022-06-04", warmup=9)
    assert [bar.close for bar in service.warmup_bars("META/USD")] == [1.0, 2.0, 3.0]
    heard.clear()
    service = DataService(heard.append, load_config(tmp_path, environ={}))
    service.load_data("FB/USD", "2022-06-03")
    service.stream()
    assert [each.kind for each in heard if isinstance(each, CorporateAction)] == ["symbol_change"]


def test_columns_are_what_the_sources_give(tmp_path: Path) -> None:
    """Recorded over imported, a hole that shorter bars fill: the columns equal the events, bar by bar."""
    config = desk(tmp_path, columns("A/USD", "2020-01-01", [1.0, 2.0, 3.0, 4.0]))
    recorded = Dataset(config.paths.journal_dir)
    recorded.add(columns("A/USD", "2020-01-02", [20.0, 30.0]))
    recorded.add(columns("A/USD", "2020-01-04", [7.0] * 48, "1h"))
    sources = load_sources(config)
    for start, end, closes in (
        ("2020-01-01", "2020-01-05", [1.0, 20.0, 30.0, 4.0]),
        ("2020-01-01", "2020-01-07", [1.0, 20.0, 30.0, 4.0, 7.0]),
        ("2020-01-05", "2020-01-07", [7.0]),
        ("2020-01-06", "2020-01-07", []),
    ):
        made = source_columns(sources, "A/USD", "1d", day(start), day(end))
        assert list(made.close) == closes
        assert list(made.bars()) == list(sources.bars("A/USD", "1d", day(start), day(end)))


def test_into_a_kernel(tmp_path: Path) -> None:
    """A function in the kernel hears the bars on their topics, as it would hear live ones."""
    kernel, heard = Kernel([]), list[tuple[int, Event]]()

    def listener(event: Event, header: Header) -> Sequence[Event]:
        heard.append((header.seq, event))
        return ()

    kernel.subscribe("md.*", listener)
    config = desk(tmp_path, columns("A/USD", "2020-01-01", PAID), actions=[SPLIT])
    service = DataService(lambda event: kernel.feed("data", [event]), config)
    service.load_data("A/USD", "2020-01-01")
    assert service.stream() == 5
    assert [(seq, type(event).__name__) for seq, event in heard] == [
        (1, "OHLCVBar"),
        (2, "OHLCVBar"),
        (3, "CorporateAction"),
        (4, "OHLCVBar"),
        (5, "OHLCVBar"),
    ]


def _table(name: str) -> list[dict[str, str]]:
    if not SHARED.is_dir():
        pytest.skip("recorded market data (../shared/data) is not on this machine")
    with (SHARED / "equities" / name).open() as file:
        return list(csv.DictReader(file))


def test_apple_in_2020_against_another_vendor(tmp_path: Path) -> None:
    """Prices as they were paid, the 4:1 split of 2020-08-31 taken out, against Yahoo's closes of the 252 days."""
    rows = [row for row in _table("AAPL_lean_daily_raw_1998_2021.csv") if "2019-10" < row["date"] < "2021"]
    yahoo = _table("AAPL_yahoo_2020_adjclose.csv")
    prices = {name: [float(row[name]) for row in rows] for name in ("open", "high", "low", "close", "volume")}
    paid = BarColumns.of(AAPL, "1d", {"ts_open": [day(row["date"]) for row in rows], **prices}, asset_class="equity")
    split = CorporateAction(AAPL, "split", day("2020-08-31"), Decimal(4))
    heard: list[Event] = []
    service = DataService(heard.append, desk(tmp_path, paid, actions=[split]))
    (loaded,) = service.load_data(AAPL, "2020-01-02", "2020-12-30", warmup=50, adjust="split")
    assert (len(loaded.bars), len(loaded.warmup)) == (252, 50)
    assert service.stream() == 252
    closes = [bar.close for bar in heard if isinstance(bar, OHLCVBar)]
    theirs = [float(row["Close"]) for row in yahoo]
    apart = np.abs(np.array(closes) / np.array(theirs) - 1)
    assert apart.max() < 1e-3, "the vendors differ in one close by 7.3e-4"
    assert apart.mean() < 1e-5
