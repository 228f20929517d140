"""Several sources of past market data as one: which bar counts, what is made of shorter ones, what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.contracts import BookEvent, OHLCVBar, TickerEvent, TradeEvent, moment, timeframe_ns
from core.data_sources import DataSourceBase, DataSources, Series
from core.errors import ConfigError, ContractError, DataError

MINUTE = timeframe_ns("1m")
HOUR = timeframe_ns("1h")
DAY = timeframe_ns("1d")
BTC = "BTC/USDT"


class Shelf(DataSourceBase):
    """Bars in a list, as a user's first class would hold them.

    Attributes:
        given: how many bars it has handed out.
    """

    def __init__(self, bars: Iterable[OHLCVBar]) -> None:
        self._bars = list(bars)
        self.given = 0

    def series(self) -> Sequence[Series]:
        """From the first to the last bar of each symbol and timeframe."""
        groups: dict[tuple[str, str], list[int]] = {}
        for bar in self._bars:
            groups.setdefault((bar.symbol, bar.timeframe), []).append(bar.ts_open)
        return [Series("bars", *key, min(opens), max(opens)) for key, opens in groups.items()]

    def bars(self, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> Iterator[OHLCVBar]:
        """Those of the range."""
        for bar in self._bars:
            if (bar.symbol, bar.timeframe) == (symbol, timeframe) and start_ns <= bar.ts_open < end_ns:
                self.given += 1
                yield bar


def bar(ts_open: int, close: float = 1.0, timeframe: str = "1m", symbol: str = BTC) -> OHLCVBar:
    """A bar of one price and one unit."""
    return OHLCVBar(symbol, timeframe, ts_open, ts_open + timeframe_ns(timeframe), close, close, close, close, 1.0)


def minutes(first: int, count: int, close: float = 1.0) -> list[OHLCVBar]:
    """Bars of consecutive minutes, the first of them so many minutes after 1970."""
    return [bar((first + each) * MINUTE, close) for each in range(count)]


def seen(bars: Iterable[OHLCVBar]) -> list[tuple[int, float]]:
    """Minute and close of each."""
    return [(each.ts_open // MINUTE, each.close) for each in bars]


def test_names_and_sources() -> None:
    """In the order of the configuration; a typo is answered with the nearest."""
    history = Shelf([])
    sources = DataSources({"recorded": Shelf([]), "history": history})
    assert sources.names == ("recorded", "history")
    assert sources.source("history") is history
    with pytest.raises(ConfigError, match="no data source or dataset 'histroy'; did you mean 'history'"):
        sources.bars(BTC, "1m", 0, DAY, source="histroy")


def test_a_class_with_nothing_gives_nothing() -> None:
    """Every question to an empty source has an empty answer, so that a class overrides only what it has."""
    sources = DataSources({"empty": DataSourceBase()})
    assert list(sources.bars(BTC, "1h", 0, DAY)) == []
    assert list(sources.trades(BTC, 0, DAY)) == []
    assert list(sources.books(BTC, 0, DAY)) == []
    assert list(sources.tickers(BTC, 0, DAY)) == []
    assert sources.actions(BTC) == ()
    assert sources.last_bars(BTC, "1m", DAY, 5) == ()
    assert sources.find(BTC, "1m") == ()


def test_the_source_listed_first_counts() -> None:
    """Recorded minutes 2 to 3, imported 0 to 4: the recorded ones where there are two, else the imported ones."""
    recorded, imported = Shelf(minutes(2, 2, 7.0)), Shelf(minutes(0, 5, 9.0))
    both = DataSources({"recorded": recorded, "history": imported})
    assert seen(both.bars(BTC, "1m", 0, DAY)) == [(0, 9.0), (1, 9.0), (2, 7.0), (3, 7.0), (4, 9.0)]
    assert seen(both.bars(BTC, "1m", 0, DAY, source="recorded")) == [(2, 7.0), (3, 7.0)]
    other = DataSources({"history": imported, "recorded": recorded})
    assert seen(other.bars(BTC, "1m", 0, DAY)) == [(each, 9.0) for each in range(5)]


def test_ranges_are_half_open() -> None:
    """A bar that opens at the start belongs to it, one that opens at the end does not; to the nanosecond."""
    sources = DataSources({"one": Shelf(minutes(0, 5))})
    assert [each for each, _ in seen(sources.bars(BTC, "1m", MINUTE, 3 * MINUTE))] == [1, 2]
    assert [each for each, _ in seen(sources.bars(BTC, "1m", MINUTE + 1, 3 * MINUTE + 1))] == [2, 3]


def test_a_longer_timeframe_that_nobody_has() -> None:
    """Ten minutes as 5m bars: opened, closed and summed as the minutes say; the half one says that it is incomplete."""
    closes = [3.0, 5.0, 1.0, 2.0, 4.0, 6.0, 7.0]
    sources = DataSources({"one": Shelf(bar(each * MINUTE, close) for each, close in enumerate(closes))})
    whole, half = sources.bars(BTC, "5m", 0, DAY)
    assert (whole.open, whole.high, whole.low, whole.close, whole.volume, whole.complete) == (3, 5, 1, 4, 5, True)
    assert (half.ts_open, half.open, half.close, half.volume, half.complete) == (5 * MINUTE, 6, 7, 2, False)


def test_shorter_bars_fill_holes_of_longer_ones() -> None:
    """Hours 0 and 3 are there as such; hour 1 is made of minutes although 5m bars have it too, hour 2 of these."""
    five = [bar(HOUR + each * 5 * MINUTE, 5.0, "5m") for each in range(24)]
    hours = [bar(0, 60.0, "1h"), bar(3 * HOUR, 63.0, "1h")]
    sources = DataSources({"one": Shelf(hours + five), "two": Shelf(minutes(60, 60, 1.0))})
    found = list(sources.bars(BTC, "1h", 0, DAY))
    assert [(each.ts_open // HOUR, each.close, each.volume) for each in found] == [
        (0, 60.0, 1.0),
        (1, 1.0, 60.0),
        (2, 5.0, 12.0),
        (3, 63.0, 1.0),
    ]
    assert [each.ts_open // HOUR for each in sources.bars(BTC, "1h", HOUR, 3 * HOUR)] == [1, 2]
    assert [each.ts_open // HOUR for each in sources.bars(BTC, "1h", 1, 2 * HOUR)] == [1], "hour 0 opens before it"


def test_symbols_of_one_file_name_stay_apart() -> None:
    """A/BUSD is not AB/USD, although both are called ABUSD in file names."""
    sources = DataSources({"one": Shelf([bar(0, 1.0, symbol="A/BUSD"), bar(MINUTE, 2.0, symbol="AB/USD")])})
    assert seen(sources.bars("A/BUSD", "1m", 0, DAY)) == [(0, 1.0)]
    assert [each.symbol for _, each in sources.find("AB/USD", "1m")] == ["AB/USD"]


def test_warm_up_is_what_has_closed() -> None:
    """At 10:30 the newest two hours are 8 and 9: that of 10 is still open; a bar that ends right then counts."""
    hours = DataSources({"one": Shelf(bar(each * HOUR, each + 1.0, "1h") for each in range(12))})
    assert [each.close for each in hours.last_bars(BTC, "1h", 10 * HOUR + 30 * MINUTE, 2)] == [9.0, 10.0]
    assert [each.close for each in hours.last_bars(BTC, "1h", 10 * HOUR, 2)] == [9.0, 10.0]
    assert [each.close for each in hours.last_bars(BTC, "1h", 10 * HOUR - 1, 2)] == [8.0, 9.0]
    assert [each.close for each in hours.last_bars(BTC, "1h", 10 * HOUR, 99)] == [each + 1.0 for each in range(10)]
    assert hours.last_bars(BTC, "1h", 10 * HOUR, 0) == ()
    assert hours.last_bars(BTC, "1h", 0, 5) == ()
    made = DataSources({"one": Shelf(minutes(0, 10 * 60 + 30))}).last_bars(BTC, "1h", 10 * HOUR + 30 * MINUTE, 2)
    assert [(each.ts_open // HOUR, each.complete) for each in made] == [(8, True), (9, True)]


@settings(max_examples=60)
@given(st.sets(st.integers(0, 40_000), max_size=60), st.integers(0, 41_000), st.integers(1, 25))
def test_warm_up_over_holes_of_any_size(there: set[int], before: int, count: int) -> None:
    """Minutes scattered over four weeks: the same as the end of a list of all that had closed by then."""
    listed = [bar(each * MINUTE, each + 1.0) for each in sorted(there)]
    sources = DataSources({"odd": Shelf(listed[1::2]), "even": Shelf(listed[::2])})
    closed = [each for each in listed if each.ts_close <= before * MINUTE]
    assert list(sources.last_bars(BTC, "1m", before * MINUTE, count)) == closed[-count:]


def test_warm_up_reads_what_it_needs() -> None:
    """The last 100 minutes of sixty days; also when the newest is a year old, where some days are looked at once."""
    shelf = Shelf(minutes(0, 60 * 1440))
    sources = DataSources({"one": shelf})
    assert len(sources.last_bars(BTC, "1m", 60 * DAY, 100)) == 100
    assert shelf.given <= 1440, "the day that holds them"
    shelf.given = 0
    assert seen(sources.last_bars(BTC, "1m", 425 * DAY, 100))[-1] == (60 * 1440 - 1, 1.0)
    assert shelf.given <= 1440 + 9 * 8, "that day, and at most eight bars for each halving of 425 days"


class Tape(DataSourceBase):
    """Trades, books and best prices in lists."""

    def __init__(self, *events: TradeEvent | BookEvent | TickerEvent) -> None:
        self._events = events

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[TradeEvent]:
        """All of them."""
        return (each for each in self._events if isinstance(each, TradeEvent))

    def books(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[BookEvent]:
        """All of them."""
        return (each for each in self._events if isinstance(each, BookEvent))

    def tickers(self, symbol: str, start_ns: int, end_ns: int) -> Iterator[TickerEvent]:
        """All of them."""
        return (each for each in self._events if isinstance(each, TickerEvent))


def test_trades_are_united_and_books_are_not() -> None:
    """Trade 2 is in both and comes once; the books come from the first source that has any."""
    one, two, three = (TradeEvent(BTC, 1.0, 1.0, "buy", each, str(each)) for each in (1, 2, 3))
    book, other = (BookEvent(BTC, ((price, 1.0),), ()) for price in (1.0, 2.0))
    best = TickerEvent(BTC, None, 1.0, 2.0)
    sources = DataSources({"a": Tape(two, three), "b": Tape(one, two, book), "c": Tape(other, best)})
    assert list(sources.trades(BTC, 0, 9)) == [one, two, three]
    assert list(sources.trades(BTC, 0, 9, source="b")) == [one, two]
    assert list(sources.books(BTC, 0, 9)) == [book]
    assert list(sources.tickers(BTC, 0, 9)) == [best]


def test_a_source_that_goes_back_in_time_is_named() -> None:
    """Bars that fall would make a strategy see the past twice."""
    with pytest.raises(DataError, match="source 'bad', 1m bars of BTC/USDT goes back in time"):
        list(DataSources({"bad": Shelf([bar(MINUTE), bar(0)])}).bars(BTC, "1m", 0, DAY))


def test_a_timeframe_that_is_none() -> None:
    """It is refused at once, not when the first bar is taken."""
    with pytest.raises(ContractError, match="timeframe is '7m'"):
        DataSources({}).bars(BTC, "7m", 0, DAY)


def test_nothing_there_says_where_and_how() -> None:
    """What was searched, what is spelled alike, and the command that fetches it."""
    start, end = moment("2025-01-01"), moment("2025-02-01")
    btc, eth = bar(moment("2024-12-31"), 1.0), bar(start, 1.0, symbol="ETH/USDT")
    text = DataSources({"recorded": Shelf([btc]), "history": Shelf([eth])}).explain("BTC/USD", "1m", start, end)
    assert text.splitlines() == [
        "1m bars of BTC/USD from 2025-01-01T00:00:00Z to 2025-02-01T00:00:00Z: not all of them are there",
        "  searched recorded: none of this symbol",
        "    nearest: 1m bars of BTC/USDT from 2024-12-31T00:00:00Z to 2024-12-31T00:00:00Z",
        "  searched history: none of this symbol",
        "  to fetch them: python -m backtest.data download --symbol BTC/USD --timeframe 1m"
        " --start 2025-01-01 --end 2025-01-31",
    ]
    known = DataSources({"recorded": Shelf([btc])}).explain("BTC/USDT", "1h", start, end)
    assert "  searched recorded: 1m bars of BTC/USDT from 2024-12-31T00:00:00Z to" in known
