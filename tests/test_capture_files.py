"""Capture files as they come: gzipped or plain, with broken lines, broken off, or not there at all."""

import gzip
import zlib

import pytest

from core.capture import LINE_BYTES_MAX, BrokenLine, CaptureSource, Line, read_capture
from core.contracts import TradeEvent, Watermark
from core.errors import ConfigError
from core.market.source import PAUSE, Pace, Tails

T = 1_723_161_254_087_896_568
GOOD = b"%d {}\n" % T


def write(path, data):
    """A file with these bytes."""
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["capture.gz", "capture.log", "capture"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_gzip_is_told_by_content(tmp_path, name, pack):
    """A file's first bytes say whether it is compressed, not its name."""
    path = write(tmp_path / name, pack(b"%d {}\n%d [1 2]\n" % (T, T + 1)))
    assert list(read_capture(path)) == [Line(1, T, b"{}\n"), Line(2, T + 1, b"[1 2]\n")]


@pytest.mark.parametrize("bad", [b"{}\n", b"17231612540 {}\n", b"-723161254087896568 {}\n", b"%d\n" % T, b"\x00\xff\n"])
def test_broken_line(tmp_path, bad):
    """A line without a receive time or a message is reported with its number; reading goes on."""
    first, broken, last = read_capture(write(tmp_path / "c", GOOD + bad + GOOD))
    assert (first.number, last.number) == (1, 3)
    assert isinstance(broken, BrokenLine)
    assert (broken.number, broken.raw) == (2, bad)


def test_blank_lines_and_a_missing_last_newline(tmp_path):
    """Blank lines say nothing but count; the last line needs no newline."""
    path = write(tmp_path / "c", b"\n" + GOOD + b"\r\n" + GOOD.rstrip())
    assert list(read_capture(path)) == [Line(2, T, b"{}\n"), Line(4, T, b"{}")]


def test_endless_line(tmp_path):
    """A line that never ends does not fill the memory: it comes in pieces, and the rest is read."""
    path = write(tmp_path / "c", b"x" * (LINE_BYTES_MAX + 5) + b"\n" + GOOD)
    assert [type(line) for line in read_capture(path)] == [BrokenLine, BrokenLine, Line]


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_truncated_gzip(tmp_path, share):
    """All whole lines of a file that breaks off are read; then one report, and the end."""
    data = gzip.compress(b"".join(b'%d {"n":%d}\n' % (T + n, n * n) for n in range(5000)))
    data = data[: int(share * len(data))]
    whole = zlib.decompressobj(31).decompress(data).count(b"\n")
    *lines, end = read_capture(write(tmp_path / "c.gz", data))
    assert len(lines) == whole > 0
    assert isinstance(end, BrokenLine)
    assert (end.number, end.raw) == (whole + 1, b"")


def test_corrupt_gzip(tmp_path):
    """A damaged file is reported once and ends there, whether its data or only its checksum is wrong."""
    data = bytearray(gzip.compress(GOOD * 100))
    data[-8] ^= 255
    *lines, end = read_capture(write(tmp_path / "c.gz", bytes(data)))
    assert len(lines) == 100
    assert isinstance(end, BrokenLine)
    assert "CRC" in end.error


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
@pytest.mark.parametrize("opener", [read_capture, lambda path: CaptureSource(path, "BTC/USDT")])
def test_unreadable_file(tmp_path, make, opener):
    """A capture that is not there is refused before anything starts, and named."""
    path = tmp_path / "missing.gz"
    make(path)
    with pytest.raises(ConfigError, match=r"missing\.gz cannot be read"):
        opener(path)


def test_empty_file(tmp_path):
    """A capture without a line holds nothing and is no error."""
    assert list(read_capture(write(tmp_path / "c", b""))) == []


def test_skipping_gives_way(tmp_path):
    """A source that finds nothing new for a thousand lines says so, so that its shell can see to its connections."""
    path = write(tmp_path / "c", GOOD * 2500)
    assert list(CaptureSource(path, "BTC/USDT").records(Tails())) == [PAUSE, PAUSE]


@pytest.mark.parametrize(("symbol", "published"), [("ETH/USDT", ["BookEvent", "TradeEvent"]), ("BTC/USDT", [])])
def test_a_book_without_a_name_is_that_of_the_stream_around_it(tmp_path, symbol, published):
    """A snapshot in front of ETH trades is ETH's book; read as BTC the same capture has no price at all."""
    book = b'{"lastUpdateId":5,"bids":[["2500.0","1.0"]],"asks":[["2500.1","1.0"]]}'
    trade = b'{"stream":"ethusdt@trade","data":{"t":7,"p":"2500.1","q":"0.5","T":%d,"m":false}}' % (T // 10**6)
    path = write(tmp_path / "c", b"%d %b\n%d %b\n" % (T, book, T + 1, trade))
    events = [event for due in CaptureSource(path, symbol).records(Tails()) for event in due.events]
    assert [type(event).__name__ for event in events if not isinstance(event, Watermark)] == published


def test_a_venue_time_far_ahead_is_left_out(tmp_path):
    """The market's clock never falls: one broken time would make all later trades old news, so it is reported."""
    line = b'%d {"stream":"btcusdt@trade","data":{"t":%d,"p":"100","q":"1","T":%d,"m":true}}\n'
    day_ms, ms = 86_400_000, T // 1_000_000
    tape = [line % (T, 1, ms), line % (T, 2, ms + 8 * 10**12), line % (T, 3, ms + day_ms), line % (T, 4, ms + 2)]
    first, broken, ahead, last = CaptureSource(write(tmp_path / "c", b"".join(tape)), "BTC/USDT").records(Tails())
    assert broken.events == ()
    assert broken.dead_letter is not None
    assert "a day ahead" in broken.dead_letter.error
    trades = [event for due in (first, ahead, last) for event in due.events if isinstance(event, TradeEvent)]
    assert [trade.ts for trade in trades] == [n * 1_000_000 for n in (ms, ms + day_ms, ms + 2)]


@pytest.mark.parametrize(
    ("speed", "now", "due", "delay"),
    [
        (1, 1000, 5_000, 0),  # the first one is due at once
        (1, 1000, 8_000, 3_000),
        (10, 1000, 8_000, 300),
        (0.5, 1000, 8_000, 6_000),
        (10, 1250, 8_000, 50),  # 250 ns have gone by
        (10, 9999, 8_000, 0),  # overdue
        (10, 1000, 4_000, 0),  # received before the first: a clock that was set back
        (None, 1000, 8_000, 0),
    ],
)
def test_pace(speed, now, due, delay):
    """The first message, due at 5,000, goes out at wall time 1,000; the others follow it at the speed asked for."""
    pace = Pace(speed)
    pace.delay_ns(5_000, 1000)
    assert pace.delay_ns(due, now) == delay


def test_pace_does_not_drift():
    """A million waits that each overshoot end where one wait would."""
    pace, now = Pace(7), 0
    for due in range(0, 1_000_000, 10):
        now += pace.delay_ns(due, now) + 1
    assert now - 1 <= 999_990 // 7 + 1


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_speed_must_be_a_speed(speed):
    """No market runs at zero, backwards or at infinity."""
    with pytest.raises(ValueError, match="allowed: a number above 0"):
        Pace(speed)
