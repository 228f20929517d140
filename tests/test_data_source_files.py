"""Folders of journals as data sources: recorded and imported side by side, and how little of them a warm-up reads."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

import pytest

from core import codec
from core.contracts import BookEvent, CorporateAction, OHLCVBar, TickerEvent, TradeEvent, iso, moment, timeframe_ns
from core.contracts.base import Event
from core.contracts.instrument import file_symbol
from core.contracts.moments import day_of
from core.data_source_files import DatasetsSource, JournalSource
from core.data_sources import DataSources, Series
from core.errors import ConfigError, JournalError

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "ohlcv"
MINUTE = timeframe_ns("1m")
DAY = timeframe_ns("1d")
START = moment("2025-03-01")
BTC = "BTC/USDT"


def bar(minute: int, close: float = 1.0, symbol: str = BTC) -> OHLCVBar:
    """A bar so many minutes behind the first of March."""
    opens = START + minute * MINUTE
    return OHLCVBar(symbol, "1m", opens, opens + MINUTE, close, close, close, close, 1.0)


def lines(events: Iterable[Event]) -> bytes:
    """As journals of imported data hold them."""
    return b"".join(codec.encode(event) + b"\n" for event in events)


def write_days(folder: Path, bars: Iterable[OHLCVBar]) -> None:
    """One compressed file per day and file name."""
    folder.mkdir(parents=True, exist_ok=True)
    days: dict[str, list[OHLCVBar]] = {}
    for each in bars:
        name = f"ohlcv.1m.{file_symbol(each.symbol)}.{day_of(each.ts_open)}.ndjson.gz"
        days.setdefault(name, []).append(each)
    for name, held in days.items():
        (folder / name).write_bytes(gzip.compress(lines(held)))


def minutes(source: DataSources | JournalSource | DatasetsSource, symbol: str = BTC) -> list[tuple[int, float]]:
    """Minute and close of all its bars."""
    return [((each.ts_open - START) // MINUTE, each.close) for each in source.bars(symbol, "1m", 0, 1 << 62)]


def test_a_folder_that_is_missing_has_nothing(tmp_path: Path) -> None:
    """A new machine has neither recorded nor imported anything, and that is no error."""
    for source in (JournalSource(tmp_path / "none"), DatasetsSource(tmp_path / "none")):
        assert list(source.series()) == []
        assert minutes(source) == []
        assert list(source.trades(BTC, 0, DAY)) == []
        assert list(source.actions(BTC)) == []


def test_everything_that_journals_hold(tmp_path: Path) -> None:
    """Bars, trades, books, best prices and corporate actions, each from its own journal."""
    trade = TradeEvent(BTC, 1.0, 2.0, "buy", START + 1, "7")
    book = BookEvent(BTC, ((1.0, 1.0),), ((2.0, 1.0),), ts_exchange_ns=START + 2)
    best = TickerEvent(BTC, None, 1.0, 2.0, ts_exchange_ns=START + 3)
    late, early = (CorporateAction(BTC, "symbol_change", START + at, new_symbol="X/USDT") for at in (9, 5))
    write_days(tmp_path, [bar(0), bar(1)])
    for topic, events in (("trades", [trade]), ("book", [book]), ("ticker", [best]), ("actions", [late, early])):
        (tmp_path / f"md.{topic}.BTCUSDT.ndjson").write_bytes(lines(events))
    source = JournalSource(tmp_path)
    assert minutes(source) == [(0, 1.0), (1, 1.0)]
    assert list(source.trades(BTC, START, START + DAY)) == [trade]
    assert list(source.trades(BTC, START + 2, START + DAY)) == []
    assert list(source.books(BTC, START, START + DAY)) == [book]
    assert list(source.tickers(BTC, START, START + DAY)) == [best]
    assert list(source.actions(BTC)) == [early, late]
    assert Series("bars", BTC, "1m", START, START + MINUTE) in list(source.series())
    assert Series("trades", BTC, "", START + 1, START + 1) in list(source.series())


def test_two_symbols_of_one_file(tmp_path: Path) -> None:
    """A/BUSD and AB/USD share the file ABUSD; the symbol in each line decides."""
    write_days(tmp_path, [bar(0, 1.0, "A/BUSD"), bar(0, 2.0, "AB/USD"), bar(1, 3.0, "A/BUSD")])
    source = DataSources({"recorded": JournalSource(tmp_path)})
    assert minutes(source, "A/BUSD") == [(0, 1.0), (1, 3.0)]
    assert minutes(source, "AB/USD") == [(0, 2.0)]
    assert [each.close for each in source.last_bars("A/BUSD", "1m", START + DAY, 5)] == [1.0, 3.0]


def test_datasets_in_their_order(tmp_path: Path) -> None:
    """As they are listed: where two have a minute the first one counts."""
    write_days(tmp_path / "b", [bar(0, 20.0), bar(1, 21.0)])
    write_days(tmp_path / "a", [bar(1, 11.0), bar(2, 12.0)])
    (tmp_path / ".cache").mkdir()
    (tmp_path / "notes.txt").write_text("no dataset")
    every, listed, one = (DatasetsSource(tmp_path, names) for names in (None, ["b", "a"], ["b"]))
    assert list(every.datasets) == ["a", "b"]
    assert minutes(listed) == [(0, 20.0), (1, 21.0), (2, 12.0)]
    assert minutes(one) == [(0, 20.0), (1, 21.0)]
    with pytest.raises(ConfigError, match=r"datasets has 'bb', which is not in .*; did you mean 'b'\? allowed: a, b"):
        DatasetsSource(tmp_path, ["bb"])


def test_two_markets_make_no_history(tmp_path: Path) -> None:
    """Spot and futures under one symbol: nobody may fill the holes of the one from the other by accident."""
    every = DatasetsSource(tmp_path)
    write_days(tmp_path / "spot", [bar(0, 20.0)])
    write_days(tmp_path / "spot", [bar(0, 5.0, "ETH/USDT")])
    assert minutes(every) == [(0, 20.0)]
    write_days(tmp_path / "futures", [bar(1, 11.0)])
    assert minutes(every, "ETH/USDT") == [(0, 5.0)]
    with pytest.raises(
        ConfigError, match=r"bars of BTC/USDT are in several datasets \(futures, spot\).*--source futures"
    ):
        minutes(every)
    sources = DataSources({"history": every})
    assert [each.close for each in sources.bars(BTC, "1m", START, START + DAY, source="spot")] == [20.0]
    assert [each.close for each in sources.source("futures").bars(BTC, "1m", START, START + DAY)] == [11.0]
    with pytest.raises(ConfigError, match=r"no data source or dataset 'sopt'; did you mean 'spot'\?"):
        sources.source("sopt")


def test_a_market_that_was_made_up_counts_only_by_its_name(tmp_path: Path) -> None:
    """No warm-up of a real strategy may come from invented bars because somebody tried a command."""
    write_days(tmp_path / "invented", [bar(0, 1.0)])
    (tmp_path / "invented" / "dataset.json").write_text('{"name": "invented", "venue": "synthetic", "origins": []}')
    sources = DataSources({"history": DatasetsSource(tmp_path)})
    assert sources.last_bars(BTC, "1m", START + DAY, 5) == ()
    assert [each.close for each in sources.last_bars(BTC, "1m", START + DAY, 5, source="invented")] == [1.0]
    assert minutes(DatasetsSource(tmp_path, ["invented"])) == [(0, 1.0)]


def test_warm_up_reads_only_its_days(tmp_path: Path) -> None:
    """Sixty days: who wants one of them does not notice that all but it and the day before are broken inside."""
    write_days(tmp_path, (bar(day * 1440 + each) for day in range(60) for each in range(0, 1440, 10)))
    sources = DataSources({"recorded": JournalSource(tmp_path)})
    end = START + 60 * DAY
    newest = sources.last_bars(BTC, "1m", end, 144)
    assert [(each.ts_open - START) // MINUTE for each in newest] == list(range(59 * 1440, 60 * 1440, 10))
    assert sources.last_bars(BTC, "1m", end + 400 * DAY, 144) == newest, "however old they are"
    for path in sorted(tmp_path.iterdir())[:58]:
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).split(b"\n")[0] + b"\nbroken\n" * 10))
    assert sources.last_bars(BTC, "1m", end, 144) == newest
    with pytest.raises(JournalError, match="line 2"):
        sources.last_bars(BTC, "1m", end, 300)


def _recorded(folder: str) -> JournalSource:
    if not SHARED.is_dir():
        pytest.skip("recorded market data (../shared/data) is not on this machine")
    return JournalSource(SHARED / folder)


def test_warm_up_over_a_real_outage() -> None:
    """Binance was down on 2023-03-24 from 12:40 to 14:00: ten minutes at 14:05 are five from each side of it."""
    sources = DataSources({"spot": _recorded("spot_1m")})
    found = sources.last_bars("ETH/USDT", "1m", moment("2023-03-24T14:05:00Z"), 10)
    assert [iso(each.ts_open)[11:16] for each in found] == [
        *(f"12:{minute}" for minute in range(35, 40)),
        *(f"14:0{minute}" for minute in range(5)),
    ]
    hours = sources.last_bars("ETH/USDT", "1h", moment("2023-03-24T15:00:00Z"), 3)
    assert [(iso(each.ts_open)[11:13], each.complete) for each in hours] == [("11", True), ("12", False), ("14", True)]


def test_two_markets_of_one_symbol() -> None:
    """Spot and perpetual SOL/USDT were recorded in different years; each source keeps its own, the union has both."""
    sources = DataSources({"spot": _recorded("spot_1m"), "perp": _recorded("perp_1m")})
    begin, end = moment("2025-05-04T15:33:00Z"), moment("2025-05-04T15:36:00Z")
    assert [series.first_ns for _, series in sources.find("SOL/USDT", "1m")] == [moment("2023-03-16T22:15:00Z"), begin]
    assert list(sources.bars("SOL/USDT", "1m", begin, end, source="spot")) == []
    assert len(list(sources.bars("SOL/USDT", "1m", begin, end, source="perp"))) == 3
    last = sources.last_bars("SOL/USDT", "1m", begin + MINUTE, 2)
    assert [iso(each.ts_open) for each in last] == ["2023-05-01T21:02:00Z", "2025-05-04T15:33:00Z"]
