"""Reading journals by symbol and time: whatever files they are in, exactly the lines of the range come out."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import codec, topics
from core.contracts import Event, OHLCVBar, TradeEvent, timeframe_ns
from core.contracts.moments import FOREVER, moment, period
from core.data_source import Series
from core.errors import JournalError
from core.journal_reader import JournalReader
from core.journal_spans import LATE_NS

BTC = "BTC/USDT"
MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = moment("2025-09-29")
SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def bar(number: int, symbol: str = BTC, timeframe: str = "1m") -> OHLCVBar:
    """The n-th bar from the start of 2025-09-29; its prices tell it apart from others."""
    length = timeframe_ns(timeframe)
    ts_open = START + number * length
    return OHLCVBar(symbol, timeframe, ts_open, ts_open + length, 10.5, 12.0 + number % 7, 9.25, 11.0, float(number))


def headed(event: Event, seq: int = 1, ts: int = START) -> bytes:
    """The event's line as the sequencer writes it."""
    kind = type(event).__name__
    return codec.line_of(codec.Header(seq, ts, 0, "test.main", 0, seq, ts, kind, 1, seq, 0), codec.encode(event))


def put(path: Path, events: Iterable[Event], tail: bytes = b"", header: bool = False) -> Path:
    """Write events to a file, compressed if its name says so."""
    lines = (headed(event, number) if header else codec.encode(event) for number, event in enumerate(events, 1))
    return write(path, b"".join(line + b"\n" for line in lines) + tail)


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, 6) if path.name.endswith(".gz") else content)
    return path


def numbers(found: Iterable[OHLCVBar]) -> list[int]:
    return [int(each.volume) for each in found]


# what is read, and in which order


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("header", [False, True])
def test_a_range_is_exact_to_the_nanosecond(tmp_path, packed, header):
    """Of ten minute bars `[3rd, 6th)` holds three; a nanosecond more or less at an end counts."""
    put(tmp_path / f"ohlcv.1m.BTCUSDT.ndjson{packed}", map(bar, range(10)), header=header)
    reader = JournalReader(tmp_path)
    third, sixth = bar(3).ts_open, bar(6).ts_open
    for start, end, expected in (
        (third, sixth, [3, 4, 5]),
        (third + 1, sixth, [4, 5]),
        (third, sixth + 1, [3, 4, 5, 6]),
        (third, third, []),
        (sixth, third, []),
        (0, FOREVER, list(range(10))),
        (bar(9).ts_open, FOREVER, [9]),
        (0, bar(1).ts_open, [0]),
        (bar(10).ts_open, FOREVER, []),
    ):
        assert numbers(reader.read_bars(BTC, "1m", start, end)) == expected
        assert numbers(reader.scan_bars(BTC, "1m", start, end)) == expected  # type: ignore[arg-type]  # rows
        assert [record.ts_ns for record in reader.records(topics.MD_OHLCV, start, end)] == [
            bar(number).ts_open for number in expected
        ]
    assert list(reader.read_bars(BTC, "1m")) == list(map(bar, range(10)))


def test_rows_have_the_fields_of_bars(tmp_path):
    """A light row says of every field what the bar says, whether its series has the file alone or not."""
    events = [bar(1), replace(bar(2), vwap=10.75, turnover=21.5, trade_count=3, complete=False, split_factor=0.25)]
    put(tmp_path / "ohlcv.1m.ABUSD.ndjson", [replace(each, symbol="A/BUSD", currency="BUSD") for each in events])
    names = [each.name for each in fields(OHLCVBar)]
    for shared in (False, True):
        if shared:
            with (tmp_path / "ohlcv.1m.ABUSD.ndjson").open("ab") as file:
                file.write(codec.encode(bar(3, "AB/USD")) + b"\n")
        reader = JournalReader(tmp_path)
        rows = list(reader.scan_bars("A/BUSD", "1m"))
        bars = list(reader.read_bars("A/BUSD", "1m"))
        assert len(bars) == 2
        assert [[getattr(row, name) for name in names] for row in rows] == [
            [getattr(each, name) for name in names] for each in bars
        ]


def test_lines_that_leave_out_what_has_a_default(tmp_path):
    """Imported lines have nine fields; some say more. Each bar has what its line says, and defaults for the rest."""
    prices = b'"open":1,"high":2,"low":1,"close":2,"volume":3'
    plain = b'{"symbol":"BTC/USDT","timeframe":"1m","ts_open":%d,"ts_close":%d,' + prices + b"}"
    lines = [plain % (START + number * MINUTE, START + (number + 1) * MINUTE) for number in range(500)]
    lines[400] = lines[400][:-1] + b',"vwap":1.5,"complete":false,"currency":"USDT"}'
    write(tmp_path / "ohlcv.1m.BTCUSDT.ndjson", b"\n".join(lines) + b"\n")
    found = list(JournalReader(tmp_path).read_bars(BTC, "1m"))
    assert len(found) == 500
    assert {(each.vwap, each.complete, each.currency) for each in found} == {(None, True, ""), (1.5, False, "USDT")}
    assert found[400] == replace(found[399], ts_open=found[400].ts_open, ts_close=found[400].ts_close, vwap=1.5,
                                 complete=False, currency="USDT")  # fmt: skip


def test_symbols_that_share_a_file_name_are_told_apart(tmp_path):
    """`A/BUSD` and `AB/USD` are both written to `ABUSD`; `AB/USDX` is another file that a prefix would match."""
    for name, symbols in (("ABUSD", ("A/BUSD", "AB/USD")), ("ABUSDX", ("AB/USDX",))):
        put(tmp_path / f"ohlcv.1m.{name}.ndjson", [bar(number, symbol) for number in range(400) for symbol in symbols])
    put(tmp_path / "ohlcv.5m.ABUSD.ndjson", [bar(7, "A/BUSD", "5m")])
    reader = JournalReader(tmp_path)
    for symbol in ("A/BUSD", "AB/USD", "AB/USDX"):
        for found in (list(reader.read_bars(symbol, "1m")), list(reader.scan_bars(symbol, "1m"))):
            assert numbers(found) == list(range(400))  # type: ignore[arg-type]  # rows
            assert {each.symbol for each in found} == {symbol}
    assert numbers(reader.read_bars("A/BUSD", "5m")) == [7]


def test_files_come_by_time_whatever_their_names_say(tmp_path):
    """What was imported later lies in files of earlier days, or of none: the order is that of the lines' times."""
    names = ["20250930", "20250101", "20251231", "20250601.1", "20250601"]
    for place, name in enumerate(names):  # hours 0-2, 5-7, 10-12 ...
        put(tmp_path / f"ohlcv.1m.BTCUSDT.{name}.ndjson.gz", map(bar, range(place * 300, place * 300 + 120)))
    put(tmp_path / "ohlcv.1m.BTCUSDT.ndjson", map(bar, range(180, 240)))
    expected = [
        *range(120),
        *range(180, 240),
        *(n for first in (300, 600, 900, 1200) for n in range(first, first + 120)),
    ]
    reader = JournalReader(tmp_path)
    assert numbers(reader.read_bars(BTC, "1m")) == expected
    assert numbers(reader.read_bars(BTC, "1m", bar(60).ts_open, bar(610).ts_open)) == [
        *range(60, 120),
        *range(180, 240),
        *range(300, 420),
        *range(600, 610),
    ]  # fmt: skip


def test_a_late_line_stays_where_it_stands(tmp_path):
    """A trade that came late is read late, also when it is the first of the next day's file, and found by its time."""
    order = [1432 + minute for minute in (0, 1, 3, 2, 4, 6, 7, 5, 8)]  # the last one is midnight's
    put(tmp_path / "ohlcv.1m.BTCUSDT.20250929.ndjson.gz", map(bar, order[:7]))
    put(tmp_path / "ohlcv.1m.BTCUSDT.20250930.ndjson", map(bar, order[7:]))
    reader = JournalReader(tmp_path)
    assert numbers(reader.read_bars(BTC, "1m")) == order
    assert numbers(reader.read_bars(BTC, "1m", bar(1437).ts_open, bar(1439).ts_open)) == [1438, 1437]
    assert numbers(reader.read_bars(BTC, "1m", bar(1439).ts_open)) == [1439, 1440]


def test_one_day_of_many_reads_only_the_files_around_it(tmp_path):
    """Files that cannot hold the day are not read: they are damaged, and nobody notices until they are asked for."""
    for day in range(30):
        path = put(
            tmp_path / f"ohlcv.1m.BTCUSDT.202509{day + 1:02}.ndjson.gz", map(bar, range(day * 1440, day * 1440 + 1440))
        )
        if day not in (14, 15, 16):
            path.write_bytes(path.read_bytes()[:-200] + b"\xff" * 200)
    reader = JournalReader(tmp_path)
    wanted = period("2025-10-14", "2025-10-14")  # the 16th from the 29th of September on
    assert numbers(reader.read_bars(BTC, "1m", *wanted)) == list(range(15 * 1440, 16 * 1440))
    with pytest.raises(JournalError, match="20250901"):
        list(reader.read_bars(BTC, "1m"))


def test_rotation_and_compression_while_it_is_read_change_nothing(tmp_path):
    """After the first bar the journal is rotated, compressed and goes on: the rest comes, each once."""
    active = put(tmp_path / "ohlcv.1m.BTCUSDT.ndjson", map(bar, range(2000, 4000)))
    yesterday = put(tmp_path / "ohlcv.1m.BTCUSDT.20250929.ndjson", map(bar, range(2000)))
    found = JournalReader(tmp_path).read_bars(BTC, "1m")
    first = next(found)
    active.rename(tmp_path / "ohlcv.1m.BTCUSDT.20250930.ndjson")
    put(tmp_path / "ohlcv.1m.BTCUSDT.ndjson", map(bar, range(4000, 4100)))
    for day in ("20250929", "20250930"):
        plain = tmp_path / f"ohlcv.1m.BTCUSDT.{day}.ndjson"
        write(tmp_path / f"{plain.name}.gz", plain.read_bytes())
        plain.unlink()
    assert not yesterday.exists()
    assert numbers([first, *found]) == list(range(4000))


def test_what_is_not_there_has_no_lines(tmp_path):
    """A missing folder, journal or file is an empty iterator, and nothing was skipped."""
    put(tmp_path / "ohlcv.1m.BTCUSDT.ndjson", [bar(0)])
    put(tmp_path / "ohlcv.1m.ETHUSDT.ndjson", [])
    for path in (tmp_path, tmp_path / "none", tmp_path / "none.ndjson", tmp_path / "ohlcv.1m.ETHUSDT.ndjson"):
        reader = JournalReader(str(path))
        assert list(reader.read_bars("ETH/USDT", "1m")) == []
        assert list(reader.read_trades(BTC)) == []
        assert reader.skipped == []


def test_one_file_is_read_whatever_its_name_is(tmp_path):
    """A file given by itself may have any name; a plain one that has been compressed since is found."""
    path = put(tmp_path / "my bars", [bar(0), bar(1, "ETH/USDT"), bar(2)])
    assert numbers(JournalReader(path).read_bars(BTC, "1m")) == [0, 2]
    put(tmp_path / "x.20250930.ndjson.gz", [bar(5)])
    assert numbers(JournalReader(tmp_path / "x.20250930.ndjson").read_bars(BTC, "1m")) == [5]


# what is wrong


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_a_torn_last_line_is_left_out_and_told(tmp_path, packed):
    """A crash in the middle of a line costs that line, in whatever file; once it is whole it is no longer told."""
    torn = put(
        tmp_path / f"ohlcv.1m.BTCUSDT.20250929.ndjson{packed}", map(bar, range(900)), codec.encode(bar(900))[:50]
    )
    put(tmp_path / "ohlcv.1m.BTCUSDT.ndjson", map(bar, range(901, 903)))
    reader = JournalReader(tmp_path)
    for _ in range(2):
        assert numbers(reader.read_bars(BTC, "1m")) == [*range(900), 901, 902]
        assert reader.skipped == [(torn, 901, codec.encode(bar(900))[:50])]
    put(torn, map(bar, range(901)))
    assert numbers(reader.scan_bars(BTC, "1m")) == list(range(903))  # type: ignore[arg-type]  # rows
    assert reader.skipped == []


def test_a_compressed_file_that_breaks_off_is_torn(tmp_path):
    """A copy of a compressed file that was cut short gives its whole lines, and says where it ends."""
    path = put(tmp_path / "ohlcv.1m.BTCUSDT.20250929.ndjson.gz", map(bar, range(900)))
    path.write_bytes(path.read_bytes()[:-2000])
    reader = JournalReader(tmp_path)
    found = numbers(reader.read_bars(BTC, "1m"))
    assert found == list(range(len(found)))
    assert 0 < len(found) < 900
    assert [(path, len(found) + 1)] == [(each.path, each.line) for each in reader.skipped]


BROKEN = {
    "no JSON": (b'{"symbol":"BTC/USDT","timeframe":"1m",,}', "no OHLCVBar: JSON is malformed"),
    "torn and written on": (b'{"symbol":"BTC/USDT","timefr{"symbol":"BTC/USDT"', "no OHLCVBar: "),
    "no number": (
        codec.encode(bar(5)).replace(b"10.5", b'"10.5"'),
        "no OHLCVBar: Expected `float`, got `str` - at `\\$.open`",
    ),
    "NaN": (codec.encode(bar(5)).replace(b"10.5", b"NaN"), "no OHLCVBar: JSON is malformed"),
    "a price below zero": (codec.encode(bar(5)).replace(b"9.25", b"-9.25"), "no OHLCVBar: "),
    "no price": (
        codec.encode(bar(5)).replace(b'"open":10.5,', b""),
        "no OHLCVBar: Object missing required field `open`",
    ),
    "two on one line": (codec.encode(bar(5)) * 2, "no OHLCVBar: 2 objects on 1 lines"),
    "another event's header": (
        headed(bar(5)).replace(b'"OHLCVBar"', b'"TradeEvent"'),
        "no OHLCVBar: Invalid enum value",
    ),
    "another event": (
        codec.encode(TradeEvent(BTC, 1.0, 1.0, "buy", bar(5).ts_open)),
        "no OHLCVBar: .*missing required",
    ),
    "no text": (b"\xff\xfe", "no OHLCVBar: "),
    "a list": (b"[1,2]", "no OHLCVBar: Expected `object`, got `array`"),
}


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_line_is_named_with_its_file_and_number(tmp_path, what, header):
    """Line 1207 of 2000 is wrong: all bars before it come, then an error says which line of which file, and why."""
    line, message = BROKEN[what]
    path = put(tmp_path / "ohlcv.1m.BTCUSDT.20250929.ndjson.gz", map(bar, range(1206)), line + b"\n", header)
    write(path, gzip.decompress(path.read_bytes()) + b"".join(codec.encode(bar(n)) + b"\n" for n in range(1206, 2000)))
    for read in (JournalReader(tmp_path).read_bars, JournalReader(tmp_path).scan_bars):
        found: list[float] = []
        with pytest.raises(JournalError, match=rf"^{path}, line 1207: {message}"):
            found.extend(each.volume for each in read(BTC, "1m"))
        assert found == list(range(1206))


def test_a_blank_line_holds_nothing(tmp_path):
    """An empty line between others is passed by, and the numbers of the lines behind it count it."""
    path = put(tmp_path / "ohlcv.1m.BTCUSDT.ndjson", [bar(0)], b"\n \r\n" + codec.encode(bar(1)) + b"\r\n")
    assert numbers(JournalReader(tmp_path).read_bars(BTC, "1m")) == [0, 1]
    path.write_bytes(path.read_bytes() + b"nothing\n")
    with pytest.raises(JournalError, match="line 5: no OHLCVBar"):
        list(JournalReader(tmp_path).read_bars(BTC, "1m"))


# whatever files


def split(draw: Callable[..., int], items: Sequence[OHLCVBar]) -> list[list[OHLCVBar]]:
    """Runs of items, some of them empty."""
    cuts = sorted(draw(st.integers(0, len(items))) for _ in range(draw(st.integers(0, 6))))
    return [list(items[start:end]) for start, end in zip([0, *cuts], [*cuts, len(items)], strict=True)]


@given(data=st.data())
def test_however_lines_are_split_into_files_exactly_those_in_range_come_out(tmp_path_factory, data):
    """Days, parts and the active file; plain, compressed, or both; with and without header; some ends torn."""
    folder = tmp_path_factory.mktemp("split")
    minutes = sorted(data.draw(st.sets(st.integers(0, 6000), max_size=40)))
    runs = split(data.draw, [bar(minute) for minute in minutes])
    torn = 0
    for place, run in enumerate(runs):
        part = f".{place % 3}" if place % 3 else ""
        day = "" if place == len(runs) - 1 else f".202509{10 + place // 3}{part}"
        tail = data.draw(st.sampled_from([b"", b"", b'{"symbol":"BTC/U', b"{"]))
        header = data.draw(st.booleans())
        forms = data.draw(st.sampled_from([[""], [".gz"], ["", ".gz"]])) if day else [""]
        for form in forms:
            put(folder / f"ohlcv.1m.BTCUSDT{day}.ndjson{form}", run, tail, header)
        torn += bool(tail)
    start, end = sorted(data.draw(st.tuples(*[st.integers(START - 1, START + 6001 * MINUTE)] * 2)))
    reader = JournalReader(folder)
    assert numbers(reader.read_bars(BTC, "1m", start, end)) == [
        minute for minute in minutes if start <= START + minute * MINUTE < end
    ]
    assert numbers(reader.scan_bars(BTC, "1m")) == minutes  # type: ignore[arg-type]  # rows
    assert len(reader.skipped) == torn


@given(owners=st.lists(st.integers(0, 4), max_size=40), data=st.data())
def test_files_that_overlap_are_merged_by_time(tmp_path_factory, owners, data):
    """Each bar, hours apart, is in any of five files with any names: they come out by time, also of a range."""
    folder = tmp_path_factory.mktemp("overlap")
    hours = [60 * (2 + LATE_NS // HOUR) * number for number in range(len(owners))]
    names = data.draw(st.permutations([".20250101", ".20250101.1", ".20240505", "", ".20261231"]))
    for owner, name in enumerate(names):
        mine = [bar(hour) for hour, each in zip(hours, owners, strict=True) if each == owner]
        put(folder / f"ohlcv.1m.BTCUSDT{name}.ndjson", mine)
    start, end = sorted(data.draw(st.tuples(*[st.integers(START, START + 130 * HOUR)] * 2)))
    reader = JournalReader(folder)
    assert numbers(reader.read_bars(BTC, "1m")) == hours
    assert numbers(reader.scan_bars(BTC, "1m", start, end)) == [  # type: ignore[arg-type]  # rows
        hour for hour in hours if start <= START + hour * MINUTE < end
    ]


def test_a_hand_made_compressed_file_may_cover_what_others_cover(tmp_path):
    """A file without a day in its name, compressed, holds two days; a file of the day between is merged into it."""
    put(tmp_path / "ohlcv.1h.BTCUSDT.ndjson.gz", [bar(number, BTC, "1h") for number in (*range(24), *range(48, 72))])
    put(tmp_path / "ohlcv.1h.BTCUSDT.20250930.ndjson.gz", [bar(number, BTC, "1h") for number in range(24, 48)])
    reader = JournalReader(tmp_path)
    assert numbers(reader.read_bars(BTC, "1h")) == list(range(72))
    assert numbers(reader.read_bars(BTC, "1h", START + 60 * HOUR)) == list(range(60, 72))


@pytest.mark.parametrize("form", ["", ".gz"])
def test_what_is_replayed_on_two_days_is_found_whatever_its_form(tmp_path, form):
    """20 hours of 2025-09-29 replayed on 2025-11-20, hours 5 to 7 on the day after: no file ends where the next begins.

    Nor do two parts of one day hide what is between them.
    """
    hours = [bar(hour, BTC, "1h") for hour in range(20)]
    put(tmp_path / f"ohlcv.1h.BTCUSDT.20251120.ndjson{form}", hours[:10])
    put(tmp_path / f"ohlcv.1h.BTCUSDT.20251120.1.ndjson{form}", hours[10:])
    put(tmp_path / f"ohlcv.1h.BTCUSDT.20251121.ndjson{form}", hours[5:8])
    reader = JournalReader(tmp_path)
    assert numbers(reader.read_bars(BTC, "1h", START + 12 * HOUR, START + 15 * HOUR)) == [12, 13, 14]
    assert numbers(reader.read_bars(BTC, "1h")) == sorted([*range(20), 5, 6, 7])


@pytest.mark.parametrize("form", ["", ".gz"])
def test_several_symbols_of_a_short_session_come_by_time(tmp_path, form):
    """Bitcoin's bars of minutes 0 to 29, ether's of 15 to 44: 0 to 14, then each minute twice, then 30 to 44."""
    put(tmp_path / f"ohlcv.1m.BTCUSDT.20250929.ndjson{form}", [bar(minute) for minute in range(30)])
    put(tmp_path / f"ohlcv.1m.ETHUSDT.20250929.ndjson{form}", [bar(minute, "ETH/USDT") for minute in range(15, 45)])
    minutes = [*range(15), *sorted([*range(15, 30)] * 2), *range(30, 45)]
    assert numbers(JournalReader(tmp_path).read(topics.MD_OHLCV, timeframe="1m")) == minutes


def test_memory_stays_the_same_however_long_a_file_is(tmp_path):
    """Ten and a hundred thousand bars of one compressed file need the same few blocks."""
    peaks = []
    for count in (10_000, 100_000):
        put(tmp_path / str(count) / "ohlcv.1m.BTCUSDT.ndjson.gz", map(bar, range(count)))
        tracemalloc.start()
        assert sum(1 for _ in JournalReader(tmp_path / str(count)).scan_bars(BTC, "1m")) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
    assert peaks[1] < 2_000_000


# recorded data


needs_data = pytest.mark.skipif(
    not SHARED.is_dir(), reason="recorded market data (../shared/data) is not on this machine"
)


@needs_data
@pytest.mark.parametrize(
    ("symbol", "count", "first", "last"),
    [
        ("BTC/USDT", 130_708, "2025-05-20T00:00:00Z", "2025-08-18T18:27:00Z"),
        ("ETH/USDT", 66_087, "2023-03-16T22:15:00Z", "2023-05-01T21:01:00Z"),
        ("SOL/USDT", 66_088, "2023-03-16T22:15:00Z", "2023-05-01T21:02:00Z"),
        ("LTC/USDT", 43_199, "2023-04-01T21:04:00Z", "2023-05-01T21:02:00Z"),
    ],
)
def test_recorded_bars_are_as_many_as_their_readme_says(symbol, count, first, last):
    """Counts and first and last minutes of the README; the columns' rows say the same as the bars."""
    reader = JournalReader(SHARED / "ohlcv" / "spot_1m")
    times = [row.ts_open for row in reader.scan_bars(symbol, "1m")]
    assert (len(times), times[0], times[-1]) == (count, moment(first), moment(last))
    assert times == sorted(set(times))
    assert Series("bars", symbol, "1m", times[0], times[-1]) in reader.series()
    day = moment(last) // DAY * DAY - DAY
    assert [each.ts_open for each in reader.read_bars(symbol, "1m", day, day + DAY)] == [
        time for time in times if day <= time < day + DAY
    ]


@needs_data
def test_recorded_outage_stays_a_hole():
    """Binance was away on 2023-03-24: behind 12:39 comes 14:00, and 80 minutes of ETH/USDT are missing."""
    found = JournalReader(SHARED / "ohlcv" / "spot_1m").read_bars("ETH/USDT", "1m", *period("2023-03-24", "2023-03-24"))
    times = [each.ts_open for each in found]
    assert len(times) == 1440 - 80
    assert times[times.index(moment("2023-03-24T12:39Z")) + 1] == moment("2023-03-24T14:00Z")


@needs_data
def test_recorded_trades_are_whole():
    """19,904 trades of BTC/USDT, ids 3735683259 to 3735703162 without a hole, and 6,106 of ETH/USDT."""
    reader = JournalReader(SHARED / "trades")
    ids = [int(each.trade_id) for each in reader.read_trades(BTC)]
    assert ids == list(range(3735683259, 3735703163))
    assert sum(1 for _ in reader.read_trades("ETH/USDT")) == 6_106
    minute = moment("2024-08-09T00:00:00Z")
    expected = [each for each in reader.read_trades(BTC) if minute <= each.ts < minute + MINUTE]
    assert list(reader.read_trades(BTC, minute, minute + MINUTE)) == expected
    assert len(expected) > 100
