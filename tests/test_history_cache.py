"""Columns from the cache beside the journals: never other than what the journals say."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from backtest.data.cache import CacheInfo, cache_info, cached_bars, drop_cache
from backtest.data.columns import BarColumns
from backtest.data.lines import bar_lines
from backtest.data.store import Dataset
from core import codec
from core.codec import Header
from core.errors import ContractError, JournalError
from tests.history_desk import DATA, DAY, MINUTE, START, bars, changed

NAME = "ohlcv.1m.BTCUSDT"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three days of ten minutes each, as a dataset has them."""
    for day in range(3):
        put(tmp_path / f"{NAME}.2025052{day}.ndjson.gz", ten(day))
    return tmp_path


def ten(day: int, base: float = 100.0) -> BarColumns:
    return bars(10, start=START + day * DAY, base=base + 10 * day)


def put(path: Path, *columns: BarColumns) -> None:
    data = b"".join(map(bar_lines, columns))
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def read(folder: Path, symbol: str = "BTC/USDT") -> BarColumns:
    return cached_bars(folder, symbol, "1m")


def info(folder: Path) -> CacheInfo:
    (only,) = cache_info(folder)
    return only


def test_the_cache_says_what_the_journals_say(folder):
    """Thirty bars, with a cache and without, and from the cache alone as often as it is asked."""
    first, second = read(folder), read(folder)
    assert first.equals(second)
    assert first.open.tolist() == [100.0 + number for number in range(30)]
    assert (info(folder).rows, info(folder).sources, info(folder).stale) == (30, 3, 0)
    assert (info(folder).first_ns, info(folder).last_ns) == (START, START + 2 * DAY + 9 * MINUTE)
    assert drop_cache(folder) == 1
    assert cache_info(folder) == []
    assert read(folder).equals(first)


def test_the_range_is_half_open(folder):
    """From the last minute of the first day up to, and without, the second of the second day."""
    found = cached_bars(folder, "BTC/USDT", "1m", START + 9 * MINUTE, START + DAY + MINUTE)
    assert found.open.tolist() == [109.0, 110.0]


def touch(path: Path) -> None:
    """Make its time of change another one, however coarse the clock of the disk is."""
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))


def test_only_what_changed_is_read_again(folder):
    """The second day changes; the first is taken over, which shows as it was spoiled behind everybody's back."""
    read(folder)
    first = folder / f"{NAME}.20250520.ndjson.gz"
    stat = first.stat()
    first.write_bytes(bytes(stat.st_size))
    os.utime(first, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    put(folder / f"{NAME}.20250521.ndjson.gz", ten(1, base=500.0))
    touch(folder / f"{NAME}.20250521.ndjson.gz")
    assert info(folder).stale == 2  # what was read, and what is there now
    found = read(folder).open.tolist()
    assert (found[0], found[10:20], found[20]) == (100.0, [510.0 + number for number in range(10)], 120.0)
    assert info(folder).stale == 0
    touch(first)
    with pytest.raises(JournalError, match="20250520"):
        read(folder)


def test_a_change_within_one_tick_of_the_clock_is_seen(tmp_path):
    """A file is written, read, and at once written over with as many bytes, on a disk whose clock ticks every 20 ms."""
    path = tmp_path / f"{NAME}.20250520.ndjson"
    put(path, ten(0, base=200.0))
    before = path.stat()
    assert read(tmp_path).open[0] == 200.0
    put(path, ten(0, base=201.0))
    if path.stat().st_mtime_ns - before.st_mtime_ns < 20_000_000:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert read(tmp_path).open[0] == 201.0


def test_another_file_of_the_same_size_and_time_is_seen(tmp_path):
    """As a copy that keeps times brings it."""
    path = tmp_path / f"{NAME}.20250520.ndjson"
    put(path, ten(0, base=200.0))
    assert read(tmp_path).open[0] == 200.0
    stat = path.stat()
    put(tmp_path / "new", ten(0, base=201.0))
    os.utime(tmp_path / "new", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (tmp_path / "new").replace(path)
    assert path.stat().st_size == stat.st_size
    assert read(tmp_path).open[0] == 201.0


def test_new_and_missing_files_count(folder):
    """A fourth day comes, the first goes."""
    read(folder)
    put(folder / f"{NAME}.20250523.ndjson.gz", ten(3))
    (folder / f"{NAME}.20250520.ndjson.gz").unlink()
    assert read(folder).open.tolist() == [110.0 + number for number in range(30)]
    for path in folder.glob("*.gz"):
        path.unlink()
    assert len(read(folder)) == 0


def test_the_file_that_is_written_is_read_live(folder):
    """Its bars follow those of the cache at once; a torn last line is left out until it is whole."""
    read(folder)
    active = folder / f"{NAME}.ndjson"
    lines = bar_lines(ten(3)).splitlines(keepends=True)
    active.write_bytes(b"".join(lines[:4]) + lines[4][:30])
    assert read(folder).open.tolist()[30:] == [130.0, 131.0, 132.0, 133.0]
    with active.open("ab") as file:
        file.write(lines[4][30:])
    assert read(folder).open.tolist()[30:] == [130.0, 131.0, 132.0, 133.0, 134.0]
    assert info(folder).rows == 30


def test_lines_with_and_without_a_header_are_the_same(tmp_path):
    """A running system's lines carry where they stand in the total order; the bar behind that counts."""
    header = Header(9, 1, 0, "ohlcv_aggregator.main", 8, 8, 1, "OHLCVBar", 1, 3, 0)
    body = [codec.encode(bar) for bar in ten(0).bars()]
    (tmp_path / f"{NAME}.20250520.ndjson").write_bytes(b"".join(codec.line_of(header, each) + b"\n" for each in body))
    put(tmp_path / f"{NAME}.20250521.ndjson.gz", ten(1))
    assert read(tmp_path).open.tolist() == [100.0 + number for number in range(20)]


DAMAGE = {
    "cut": lambda data: data[: len(data) // 2],
    "emptied": lambda data: b"",
    "of something else": lambda data: b"not Arrow at all" * 100,
    "with a broken end": lambda data: data[:-10] + bytes(10),
    "of an older format": lambda data: data.replace(b'"format":2', b'"format":1'),
    "of another series": lambda data: data.replace(b'"symbol":"BTC/USDT"', b'"symbol":"ETH/USDT"'),
    "with a first time that is not its first": lambda data: data.replace(b'"first_ns":17', b'"first_ns":16'),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_cache_is_made_anew(folder, damage):
    """Silently: whoever asked sees the bars, and the next one a good cache."""
    good = read(folder)
    (path,) = (folder / ".cache").glob("*.arrow")
    data = path.read_bytes()
    assert damage(data) != data
    path.with_suffix(".new").write_bytes(damage(data))
    path.with_suffix(".new").replace(path)
    assert read(folder).equals(good)
    assert (info(folder).stale, info(folder).rows) == (0, 30)


def test_without_the_right_to_write_there_is_no_cache(folder):
    """The bars come all the same; here a file is where the folder of the cache should be."""
    (folder / ".cache").write_bytes(b"")
    assert read(folder).open.tolist() == [100.0 + number for number in range(30)]
    assert (folder / ".cache").read_bytes() == b""


def test_a_file_name_is_not_a_symbol(tmp_path):
    """A/BUSD and AB/USD share a file: each gets its own bars, and its own cache."""
    one, other = bars(3, symbol="A/BUSD"), bars(3, symbol="AB/USD", base=500.0)
    put(tmp_path / "ohlcv.1m.ABUSD.20250520.ndjson.gz", one, other)
    for _ in range(2):
        assert read(tmp_path, "A/BUSD").equals(one)
        assert read(tmp_path, "AB/USD").equals(other)
    assert len(read(tmp_path, "ABU/SD")) == 0


def test_what_two_files_say_alike_is_there_once(folder):
    """A bar that was written before and behind a rotation; also when the later file holds the earlier bars."""
    put(folder / f"{NAME}.20250522.1.ndjson", ten(2))
    put(folder / f"{NAME}.ndjson", ten(1), ten(3))
    assert read(folder).open.tolist() == [100.0 + number for number in range(40)]
    assert read(folder).open.tolist() == [100.0 + number for number in range(40)]


@pytest.mark.parametrize("name", [f"{NAME}.20250522.1.ndjson", f"{NAME}.ndjson"])
def test_what_two_files_say_differently_is_refused(folder, name):
    """Neither is taken for the truth; the moment and both bars are named."""
    put(folder / name, changed(ten(2), 4, close=125.5))
    for _ in range(2):
        with pytest.raises(JournalError, match=r"2025-05-22T00:04:00Z.*close 125\.0.*close 125\.5"):
            read(folder)


LINE = (
    b'{"symbol":"BTC/USDT","timeframe":"1m","ts_open":%d,"ts_close":%d,' % (START, START + MINUTE)
    + b'"open":2.0,"high":3.0,"low":1.0,"close":2.5,"volume":4.0}\n'
)
BROKEN = [
    (b'"open":2.0', b'"open":9.0', r"open 9\.0, high 3\.0.*low <= open"),
    (b'"close":2.5', b'"close":0.5', r"close 0\.5.*close <= high"),
    (b'"low":1.0', b'"low":-1.0', r"low -1\.0.*above 0"),
    (b'"volume":4.0', b'"volume":-4.0', r"volume -4\.0.*0 or more"),
    (b'"volume":4.0', b'"volume":"4"', "Expected `float`"),
    (b'"open":2.0,', b"", "missing required field `open`"),
    (b'"ts_close":%d' % (START + MINUTE), b'"ts_close":%d' % (START + 2 * MINUTE), "ts_close is not 1m behind"),
    (b"{", b"[", "no OHLCVBar: Expected `object`"),
]


@pytest.mark.parametrize(("right", "wrong", "said"), BROKEN)
def test_a_broken_line_is_named(tmp_path, right, wrong, said):
    """File, line, and what is wrong with it; bars of other series in front of it do not move the number."""
    data = LINE.replace(b"BTC/USDT", b"ETH/USDT") + LINE.replace(right, wrong)
    assert wrong in data
    (tmp_path / f"{NAME}.20250520.ndjson").write_bytes(data)
    with pytest.raises(JournalError, match=rf"(?s){NAME}\.20250520\.ndjson, line 2.*{said}"):
        read(tmp_path)


def test_time_rises_within_a_file(tmp_path):
    """The second bar of a moment is named with its line, even when it is the same."""
    (tmp_path / f"{NAME}.20250520.ndjson").write_bytes(LINE + LINE)
    with pytest.raises(JournalError, match=r"line 2: bar of 2025-05-20T00:00:00Z.*not behind"):
        read(tmp_path)


def test_a_time_frame_must_be_one(tmp_path):
    """7m does not divide the day."""
    with pytest.raises(ContractError, match="7m"):
        cached_bars(tmp_path, "BTC/USDT", "7m")


def test_columns_of_the_cache_cannot_be_written_to(folder):
    """They are the file itself."""
    read(folder)
    with pytest.raises(ValueError, match="read-only"):
        read(folder).close[0] = 1.0


def test_every_column_comes_back(tmp_path):
    """Also those that are left out of the file because they are as they mostly are."""
    odd = BarColumns.of(
        "BTC/USDT",
        "1m",
        {
            "ts_open": [START, START + MINUTE], "open": [1, 2], "high": [3, 3], "low": [1, 1], "close": [2, 2],
            "vwap": [np.nan, 1.5], "turnover": [0, 3.25], "trade_count": [0, 9], "complete": [True, False],
            "split_factor": [0.25, 1], "return_factor": [1, 0.5],
        },
        asset_class="equity",
        currency="EUR",
    )  # fmt: skip
    Dataset(tmp_path).add(odd)
    assert read(tmp_path).equals(odd)
    assert read(tmp_path).equals(odd)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """The recorded months of BTC/USDT, without the right to make a cache beside them."""
    source = DATA / "ohlcv" / "spot_1m"
    if not source.is_dir():
        pytest.skip("recorded market data (../shared/data) is not on this machine")
    for path in source.glob("ohlcv.1m.BTCUSDT.*"):
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def test_three_recorded_months(recorded):
    """130,708 minutes without a gap: the last one opens 130,707 minutes behind the first, as the data's list says."""
    for _ in range(2):
        found = read(recorded)
        assert len(found) == 130_708
        assert int(found.ts_open[-1] - found.ts_open[0]) == 130_707 * MINUTE
        assert (found.open[0], found.close[-1], found.currency) == (105573.73, 116400.0, "USDT")
