"""Files of a dataset: one per day of short bars, one per year of long ones, whatever an older version has left."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from backtest.data.bar_merge import merge_bars
from backtest.data.cache import cache_info
from backtest.data.columns import BarColumns
from backtest.data.day_files import write_compressed
from backtest.data.lines import bar_lines, trade_lines
from backtest.data.store import Added, Dataset
from backtest.data.trades import TradeColumns
from core import codec
from core.contracts import OHLCVBar, TradeEvent
from core.contracts.moments import day_of, moment
from core.errors import DataError, JournalError
from core.journal_reader import JournalReader
from tests.history_desk import DAY, MINUTE, bars, changed, contents

NEW_YEAR = moment("2024-01-01")
HOUR = 60 * MINUTE


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path / "desk")


def of_length(timeframe: str, step: int, count: int, start: int = NEW_YEAR) -> BarColumns:
    """Bars of a length: number n opens at 100 + n."""
    opens = 100.0 + np.arange(count)
    prices = {"open": opens, "high": opens + 2, "low": opens - 1, "close": opens + 1}
    return BarColumns.of("BTC/USDT", timeframe, {"ts_open": start + np.arange(count) * step, **prices})


def as_before(dataset: Dataset, columns: BarColumns) -> None:
    """Daily bars as they were written before there were years: a file per day."""
    dataset.folder.mkdir(parents=True, exist_ok=True)
    write_compressed(
        (dataset.folder / f"ohlcv.1d.BTCUSDT.{day_of(int(ts))}.ndjson.gz", bar_lines(columns[slice(row, row + 1)]))
        for row, ts in enumerate(columns.ts_open)
    )


FILES = [
    # length, ns, bars, first days of the files: 2024 has 366 days
    ("1d", DAY, 367, ["20240101", "20250101"]),
    ("1h", HOUR, 24 * 366 + 1, ["20240101", "20250101"]),
    ("4h", 4 * HOUR, 6 * 366, ["20240101"]),
    ("30m", HOUR // 2, 49, ["20240101", "20240102"]),
    ("1s", MINUTE // 60, 86_401, ["20240101", "20240102"]),
]


@pytest.mark.parametrize(("timeframe", "step", "count", "days"), FILES)
def test_long_bars_have_a_file_per_year(dataset, timeframe, step, count, days):
    """An hour and longer: the year, named by its first day; shorter: the day. The same bars come back."""
    columns = of_length(timeframe, step, count)
    assert dataset.add(columns) == Added(count, 0, 0, 0, len(days))
    assert list(contents(dataset.folder)) == [f"ohlcv.{timeframe}.BTCUSDT.{day}.ndjson.gz" for day in days]
    assert dataset.bars("BTC/USDT", timeframe).equals(columns)
    read = JournalReader(dataset.folder).read_bars("BTC/USDT", timeframe, NEW_YEAR + step, NEW_YEAR + 3 * step)
    assert [bar.open for bar in read] == [101.0, 102.0]


def test_files_of_days_are_read_and_taken_over(dataset):
    """Ten days as they were written before: read as they are, cached, and one file when an eleventh day is added."""
    ten = of_length("1d", DAY, 10)
    as_before(dataset, ten)
    assert dataset.bars("BTC/USDT", "1d").equals(ten)
    assert dataset.add(of_length("1d", DAY, 11), dry_run=True) == Added(1, 10, 0, 0, 1)
    assert len(contents(dataset.folder)) == 10
    assert dataset.add(of_length("1d", DAY, 11)) == Added(1, 10, 0, 0, 1)
    assert list(contents(dataset.folder)) == ["ohlcv.1d.BTCUSDT.20240101.ndjson.gz"]
    assert dataset.bars("BTC/USDT", "1d").equals(of_length("1d", DAY, 11))
    assert [(info.rows, info.sources, info.stale) for info in cache_info(dataset.folder)] == [(11, 1, 0)]


@pytest.mark.parametrize("conflict", ["keep", "replace"])
def test_files_of_days_count_for_conflicts(dataset, conflict):
    """A bar of such a file that differs is kept or replaced as asked; other years stay as they are."""
    as_before(dataset, of_length("1d", DAY, 370))
    other = changed(of_length("1d", DAY, 3), 1, close=100.5)
    with pytest.raises(DataError, match="2024-01-02"):
        dataset.add(other)
    expected, _ = merge_bars(of_length("1d", DAY, 370), other, conflict)
    dataset.add(other, conflict=conflict)
    assert dataset.bars("BTC/USDT", "1d").equals(expected)
    assert [name[17:25] for name in contents(dataset.folder)] == [
        "20240101", "20250101", "20250102", "20250103", "20250104",
    ]  # fmt: skip


def test_two_files_that_differ_are_not_merged(dataset):
    """A file of a day that says something else than the year's: nobody knows which is right."""
    dataset.add(of_length("1d", DAY, 3))
    as_before(dataset, changed(of_length("1d", DAY, 3), 2, close=100.5)[slice(2, 3)])
    with pytest.raises(JournalError, match="2024-01-03"):
        dataset.add(of_length("1d", DAY, 4))


def test_recorded_files_are_no_files_of_a_dataset(dataset):
    """Lines with a header are named by the day of the recording: adding by the market's day could double them."""
    dataset.folder.mkdir()
    recorded(dataset.folder / "ohlcv.1m.BTCUSDT.20260101.ndjson.gz", list(bars(3).bars()))
    with pytest.raises(DataError, match="no file of a dataset"):
        dataset.add(bars(3))
    assert len(dataset.bars("BTC/USDT", "1m")) == 3


def recorded(path: Path, events: list[OHLCVBar] | list[TradeEvent]) -> None:
    """Lines as the sequencer writes them."""
    lines = (
        codec.line_of(
            codec.Header(seq, 1, 0, "replay", 0, seq, 1, type(event).__name__, 1, seq, 0), codec.encode(event)
        )
        for seq, event in enumerate(events, 1)
    )
    path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines)))


def trades(count: int) -> TradeColumns:
    """Trades of the first minute of 2024, one per second."""
    ts = NEW_YEAR + np.arange(count) * 1_000_000_000
    amounts = {"price": np.full(count, 100.0), "qty": np.ones(count)}
    return TradeColumns.of("BTC/USDT", {"ts": ts, "buy": ts > 0, **amounts})


def test_trades_of_2024_recorded_in_2026(tmp_path):
    """A recorded journal is named by the day of the recording: a replay of the past is found in it all the same."""
    recorded(tmp_path / "md.trades.BTCUSDT.20260301.ndjson.gz", list(trades(5).trades()))
    recorded(tmp_path / "md.trades.BTCUSDT.ndjson.gz", [])
    found = Dataset(tmp_path).trades("BTC/USDT", NEW_YEAR + 1_000_000_000, NEW_YEAR + 3_000_000_000)
    assert found.ts.tolist() == [NEW_YEAR + 1_000_000_000, NEW_YEAR + 2_000_000_000]


def test_other_days_of_a_dataset_are_not_read(dataset):
    """A dataset's own files are named by the day of their trades: a broken one of another day does not matter."""
    dataset.add_trades(trades(5))
    other = dataset.folder / "md.trades.BTCUSDT.20240102.ndjson.gz"
    other.write_bytes(gzip.compress(trade_lines(trades(1))[:20] + b"\n"))
    assert len(dataset.trades("BTC/USDT", NEW_YEAR, NEW_YEAR + DAY)) == 5
    with pytest.raises(JournalError, match="20240102"):
        dataset.trades("BTC/USDT")


_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "fcntl.flock")
"""What of the system's calls Python tells to whoever listens."""


def killed_at(step: int, work: object) -> bool:
    """Do something in a child that dies, without a word, before its call number `step`; whether it came to that."""
    pid = os.fork()
    if not pid:
        count = 0

        def listen(event: str, _: object) -> None:
            nonlocal count
            if event in _EVENTS:
                count += 1
                if count > step:
                    os._exit(9)

        sys.addaudithook(listen)
        try:
            work()  # type: ignore[operator]
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9


def test_a_writer_that_dies_at_any_call_leaves_old_or_new(tmp_path):
    """Before every single call of a merge into two years, one of them still in files of days: nothing is lost.

    Ten bars are there, from 30 December on; one of them is replaced and five are new. Whatever the moment, each bar is
    there once, as it was or as it should be, and the cache knows; adding again completes it.
    """
    start = moment("2024-12-30")
    old = of_length("1d", DAY, 10, start)
    new = changed(of_length("1d", DAY, 15, start), 1, close=100.5)
    step, died = 0, True
    while died:
        dataset = Dataset(tmp_path / str(step))
        dataset.add(old[slice(0, 2)])
        as_before(dataset, old[slice(2, 10)])
        assert dataset.bars("BTC/USDT", "1d").equals(old)
        died = killed_at(step, lambda place=dataset: place.add(new, conflict="replace"))
        found = dataset.bars("BTC/USDT", "1d")
        assert len(found) in (10, 15)
        assert found.close[1] in (old.close[1], 100.5)
        assert np.delete(found.close, 1).tolist() == np.delete(new.close, 1).tolist()[: len(found) - 1]
        dataset.add(new, conflict="replace")
        assert dataset.bars("BTC/USDT", "1d").equals(new)
        assert [name[17:25] for name in contents(dataset.folder)] == ["20240101", "20250101"]
        step += 1
    assert step > 15
