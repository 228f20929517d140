"""Longer bars out of minutes: on the wall clock, without drift, equal to what others made of the same market."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from pathlib import Path

import pytest

from core import codec
from core.capture import CaptureSource
from core.contracts import Event, OHLCVBar, TradeEvent, Watermark, timeframe_ns
from core.kernel import Kernel
from core.market.bars import SERVICE
from core.market.bars_building import DerivedBars
from core.market.source import Tails
from tests.bar_desk import BTC, MINUTE, NOON, S, brief, clock, content, gap, new_bars, play, restarted, trade

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
RECORDED = pytest.mark.skipif(not DATA.exists(), reason="recorded market data (../shared/data) is not on this machine")

# The market of a day. In minute m of the day, six trades at seconds 5, 15 ... 55, around P = 1000 + m:
#
#   price   P     P+3   P-2   P+1   P+2   P+1
#   qty     0.01  0.02  0.03  0.04  0.05  0.06      together 0.21
#   P apart 0     0.06 -0.06  0.04  0.10  0.06      together 0.20
#
# So the minute opens at P, its high is P+3, its low P-2, its close P+1, and its turnover is 0.21 P + 0.20. Of a bar
# over n minutes from m on, P runs from 1000+m to 1000+m+n-1: open 1000+m, high 1000+m+n+2, low 998+m, close 1000+m+n,
# volume 0.21 n, turnover 0.21 (1000 n + m n + n (n-1) / 2) + 0.20 n, 6 n trades.
OFFSETS = (0, 3, -2, 1, 2, 1)
HUNDREDTHS = (1, 2, 3, 4, 5, 6)
MIDNIGHT = NOON - 12 * 60 * MINUTE


def day():
    """Trades and the clock of every second of 2024-08-08, and the second before it."""
    yield Watermark(BTC, MIDNIGHT - S)
    for second in range(86_400):
        now_ns = MIDNIGHT + second * S
        yield Watermark(BTC, now_ns)
        if second % 10 == 5:
            index, price = second % 60 // 10, 1000.0 + second // 60
            yield TradeEvent(BTC, price + OFFSETS[index], HUNDREDTHS[index] / 100, "buy", now_ns + 7, str(second))
    yield Watermark(BTC, MIDNIGHT + 86_400 * S)


def expected(m, n):
    """Prices, volume, turnover and number of trades of `n` minutes from minute `m` on, by the sums above."""
    p = 1000 + m
    cents = 21 * (1000 * n + m * n + n * (n - 1) // 2) + 20 * n
    return p, p + n + 2, p - 2, p + n, 21 * n / 100, cents / 100, 6 * n


def test_a_day_of_every_second_drifts_nowhere():
    """86,400 seconds: 1,440 minutes, 288 of five, 96 of fifteen, 24 hours, one day, each as the sums above say."""
    bars = defaultdict(list)
    for bar in play(new_bars("5m", "15m", "1h", "1d"), day()):
        bars[bar.timeframe].append(bar)
    assert {length: len(made) for length, made in bars.items()} == {
        "1m": 1440, "5m": 288, "15m": 96, "1h": 24, "1d": 1,
    }  # fmt: skip
    for length, made in bars.items():
        n = timeframe_ns(length) // MINUTE
        for number, bar in enumerate(made):
            assert (bar.ts_open, bar.ts_close) == (MIDNIGHT + number * n * MINUTE, MIDNIGHT + (number + 1) * n * MINUTE)
            found = bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover, bar.trade_count
            assert found == expected(number * n, n)
            assert bar.vwap == pytest.approx(bar.turnover / bar.volume, rel=1e-15)
            assert (bar.complete, bar.currency) == (True, "USDT")


def test_a_longer_bar_follows_the_minute_that_ends_it():
    """At one o'clock: the minute, then five, fifteen and sixty minutes, in this order."""
    handler = new_bars("1h", "15m", "5m")
    play(handler, [clock(-1), trade(1, 100.0), *(clock(60 * minute) for minute in range(1, 60))])
    assert [bar.timeframe for bar in play(handler, [clock(3600)])] == ["1m", "5m", "15m", "1h"]
    assert [bar.timeframe for bar in play(handler, [clock(3660)])] == ["1m"]


def test_the_lengths_do_not_disturb_each_other():
    """Every length alone gives the bars that all of them together give."""
    tape = [clock(-1), *(each for m in range(300) for each in (trade(60 * m + 1, 100.0 + m % 7), clock(60 * m + 60)))]
    together = play(new_bars("5m", "15m", "1h"), tape)
    for length in ("5m", "15m", "1h"):
        alone = [bar for bar in play(new_bars(length), tape) if bar.timeframe == length]
        assert alone == [bar for bar in together if bar.timeframe == length]


def test_a_length_that_began_in_the_middle_is_not_complete():
    """First trade at 12:07: the five minutes to 12:10 lack two, the next five are whole."""
    bars = play(new_bars("5m"), [clock(400), trade(430, 100.0), clock(600), clock(900)])
    assert [brief(bar)[1:] for bar in bars if bar.timeframe == "5m"] == [
        (300, 100.0, 100.0, 100.0, 100.0, 1.0, 1, False),
        (600, 100.0, 100.0, 100.0, 100.0, 0.0, 0, True),
    ]


def test_quiet_minutes_lend_no_price():
    """100 is the close of five minutes; the next trades are 103 and 102 in 12:06: open 103, low 102, not 100.

    A limit order at 100 must not look filled in minutes in which nothing was paid below 102.
    """
    tape = [clock(-1), trade(1, 100.0), clock(60), clock(300), trade(361, 103.0), trade(362, 102.0), clock(600)]
    bars = play(new_bars("5m"), tape)
    assert brief(bars[-1]) == ("5m", 300, 103.0, 103.0, 102.0, 102.0, 2.0, 2, True)


@pytest.mark.parametrize(
    ("after_s", "before_s", "incomplete"),
    [
        (130, 140, {("1m", 120), ("5m", 0), ("15m", 0)}),  # in a minute that is open
        (70, 80, {("5m", 0), ("15m", 0)}),  # in one that is closed: its longer bars are not
        (299, 301, {("1m", 240), ("1m", 300), ("5m", 0), ("5m", 300), ("15m", 0)}),
        (-60, 0, {("5m", 0), ("15m", 0)}),  # what is missing may have the time of the trade behind it
        (-60, -1, set()),
    ],
)
def test_a_gap_marks_every_bar_that_is_still_open(after_s, before_s, incomplete):
    """It comes at 12:02; minutes that it overlaps and all longer bars over them say that trades are missing."""
    tape = [clock(-1), trade(1, 100.0), clock(120), gap(after_s, before_s), *(clock(60 * m) for m in range(3, 31))]
    bars = play(new_bars("5m", "15m"), tape)
    assert {brief(bar)[:2] for bar in bars if not bar.complete} == incomplete


def test_a_restart_in_the_middle_of_all_lengths_loses_nothing():
    """Restored from its memory at 12:37:30 it ends every bar as one that never stopped."""
    lengths = ("5m", "15m", "1h")
    tape = [each for m in range(120) for each in (trade(60 * m + 20, 100.0 + m % 11, 0.1), clock(60 * m + 60))]
    steady, other = new_bars(*lengths), new_bars(*lengths)
    whole = play(steady, [clock(-1), *tape])
    before = play(other, [clock(-1), *tape[:75]])
    assert [*before, *play(restarted(other, *lengths), tape[75:])] == whole


def test_a_mean_price_that_is_not_known_stays_unknown():
    """Minutes from a file carry no turnover: one of them is enough, but a quiet one lacks nothing."""
    fives = {"known": DerivedBars("5m"), "unknown": DerivedBars("5m")}
    made = {}
    for number in range(5):
        times = NOON + number * MINUTE, NOON + (number + 1) * MINUTE
        priced = OHLCVBar(BTC, "1m", *times, 100.0, 100.0, 100.0, 100.0, 2.0, vwap=100.0, turnover=200.0)
        quiet = OHLCVBar(BTC, "1m", *times, 100.0, 100.0, 100.0, 100.0, 0.0)
        plain = OHLCVBar(BTC, "1m", *times, 100.0, 100.0, 100.0, 100.0, 2.0)
        made = {"known": fives["known"].add(quiet if number == 2 else priced)}
        made["unknown"] = fives["unknown"].add(plain if number == 2 else priced)
    assert {name: (bar.vwap, bar.volume) for name, bar in made.items() if bar} == {
        "known": (100.0, 8.0),
        "unknown": (None, 10.0),
    }


# -- what others made of the same market


@RECORDED
@pytest.mark.slow
def test_recorded_trades_give_binances_own_klines():
    """The two captures around midnight, through the feed and the kernel: ten whole minutes equal Binance's exactly."""
    kernel = Kernel([SERVICE])
    kernel.configure({SERVICE.name: content("5m")})
    published: list[Event] = []
    for name in ("btcusdt_20240808.gz", "btcusdt_20240809.gz"):
        source = CaptureSource(DATA / "captures" / "binance_spot" / name, BTC)
        events = [event for due in source.records(Tails.of(published)) for event in due.events]
        published += [event for event in events if isinstance(event, (TradeEvent, Watermark))]
    lines = kernel.feed("md_ingest.BTCUSDT", published)
    bars = [codec.decode(line, OHLCVBar) for topic, line in lines if topic.startswith("md.ohlcv.")]
    with (DATA / "reference" / "trades_to_klines_BTC" / "klines_1m.csv").open() as file:
        klines = [tuple(map(float, row.values())) for row in csv.DictReader(file)]
    ones = [bar for bar in bars if bar.timeframe == "1m"]
    first, *whole = ones[: len(klines) + 1]
    assert not first.complete
    assert all(bar.complete for bar in whole)
    assert [(bar.ts_open, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in whole] == klines
    trades = [each for each in published if isinstance(each, TradeEvent) and each.ts < ones[-1].ts_close]
    assert (sum(bar.trade_count for bar in ones), len(ones)) == (len(trades), 11)


def recorded(name, first_ns, end_ns):
    """The klines of a file in a span of time, as times and numbers."""
    with gzip.open(DATA / "ohlcv" / "raw" / name, "rt") as file:
        for row in csv.reader(file):
            if row[0].isdecimal() and first_ns <= int(row[0]) < end_ns:
                yield int(row[0]), *map(float, row[1:])


@RECORDED
@pytest.mark.slow
def test_recorded_minutes_give_the_recorded_five_minutes():
    """Three days of BTC/USDT: longer bars of one vendor's minutes equal the five minutes of two others."""
    first_ns = 1_748_736_000 * S  # 2025-06-01
    end_ns = first_ns + 3 * 1440 * MINUTE
    fives = DerivedBars("5m")
    made = []
    for ts_open, *numbers in recorded("BTCUSDT_spot_1m_20250520_20250818.csv.gz", first_ns, end_ns):
        bar = fives.add(OHLCVBar(BTC, "1m", ts_open, ts_open + MINUTE, *numbers))
        if bar is not None:
            assert (bar.complete, bar.vwap) == (True, None)
            made.append((bar.ts_open, bar.open, bar.high, bar.low, bar.close, bar.volume))
    assert len(made) == 864
    assert made == list(recorded("BTCUSDT_spot_5m_20250101_20250930.csv.gz", first_ns, end_ns))
