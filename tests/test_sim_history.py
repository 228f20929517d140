"""The simulated exchange's past: recorded minutes as candles of every length, with the holes that they have."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.sim_exchange.history import read_history
from core.codec import encode
from core.contracts import OHLCVBar
from core.errors import ConfigError
from core.sim.exchange import Exchange, Tape
from core.sim.history import MinuteHistory
from core.sim.klines import Klines
from core.sim.market import NoPast
from core.sim.rest import Rest
from tests.sim_market import BTC, NS_PER_S, simulator, trade

MINUTE_NS = 60 * NS_PER_S
LIVE_NS = trade(0, 1, 1, 0).ts_ns
"""Where the simulation begins, midnight of 2024."""


def history(*minutes: int) -> MinuteHistory:
    """Minutes before the simulation, by their distance to it: minute -5 opens at 995 and trades 5 units."""
    made = MinuteHistory()
    for minute in sorted(minutes):
        price = 1000.0 + minute
        assert made.add(
            LIVE_NS + minute * MINUTE_NS, (price, price + 2, price - 2, price + 1), float(-minute), price, 3
        )
    return made


def candles(*minutes: int, seconds: int = 150) -> Klines:
    """Those, and behind them a simulation with a trade every half minute."""
    made = Klines(history(*minutes))
    for number in range(seconds // 30):
        made.add(trade(number, 2000.0 + number, 1.0, 30 * number))
    return made


def starts(klines: Klines, length: int, start: int | None, end: int | None, limit: int) -> list[int]:
    """Where the chosen candles begin, in minutes from the simulation's beginning."""
    first, last = (None if each is None else LIVE_NS + each * MINUTE_NS for each in (start, end))
    return [(each.open_ns - LIVE_NS) // MINUTE_NS for each in klines.select(length * MINUTE_NS, first, last, limit)]


@given(
    st.sets(st.integers(-60, -1)),
    st.sampled_from([1, 5, 15]),
    st.tuples(st.integers(-70, 5), st.integers(0, 40)),
    st.integers(1, 20),
)
def test_pages_are_those_of_the_whole(minutes, length, span, limit):
    """Whatever is missing, a page is the first candles of its span, and without a start the last ones up to its end."""
    start, longer = span
    klines = candles(*minutes)
    there = sorted({minute // length * length for minute in [*minutes, 0, 1, 2]})
    end = start + longer
    assert starts(klines, length, start, end, limit) == [each for each in there if start <= each <= end][:limit]
    assert starts(klines, length, None, end, limit) == [each for each in there if each <= end][-limit:]


def test_a_candle_over_the_seam_holds_both():
    """Recorded minutes and those of the simulation make one: highest, lowest, first, last and all amounts."""
    (whole,) = candles(-3, -2, -1).select(1440 * MINUTE_NS, 0, LIVE_NS - MINUTE_NS, 9)
    assert (whole.open, whole.high, whole.low, whole.close) == (997.0, 1001.0, 995.0, 1000.0)
    assert (whole.volume, whole.trades) == (6 * 10**8, 9)  # 3 + 2 + 1 units, three trades each
    assert whole.quote == (997 + 998 + 999) * 10**16
    seam = Klines(history(-3, -2, -1))
    seam.add(trade(0, 2000.0, 4.0, -30))  # the simulation begins within the last recorded minute, which counts no more
    (both,) = seam.select(15 * MINUTE_NS, LIVE_NS - 15 * MINUTE_NS, None, 9)
    assert (both.open, both.high, both.low, both.close) == (997.0, 2000.0, 995.0, 2000.0)
    assert (both.volume, both.trades) == (9 * 10**8, 7)  # 3 + 2 recorded units and 4, two times three trades and one


def test_a_past_without_counts_keeps_its_prices():
    """Where neither trades nor amounts are known, a longer candle still has the prices of its minutes."""
    made = MinuteHistory()
    made.add(LIVE_NS - 2 * MINUTE_NS, (10.0, 12.0, 9.0, 11.0), 0.0)
    made.add(LIVE_NS - MINUTE_NS, (11.0, 15.0, 11.0, 14.0), 0.0)
    klines = Klines(made)
    klines.add(trade(0, 20.0, 1.0, 0))
    hour = klines.select(60 * MINUTE_NS, None, LIVE_NS - 1, 1)[0]
    assert (hour.open, hour.high, hour.low, hour.close, hour.trades) == (10.0, 15.0, 9.0, 14.0, 0)


def test_only_rising_minutes_are_taken():
    """One that is there, or older than the newest, is left out."""
    made = history(-3, -1)
    assert not made.add(LIVE_NS - MINUTE_NS, (1.0, 1.0, 1.0, 1.0), 1.0)
    assert not made.add(LIVE_NS - 2 * MINUTE_NS, (1.0, 1.0, 1.0, 1.0), 1.0)
    assert (len(made), made.last_ns, made.last_price) == (2, LIVE_NS - MINUTE_NS, 1000.0)


def test_amounts_are_served_to_the_last_digit():
    """A volume of a coin that trades by the billion goes out and comes back as the same number."""
    made = MinuteHistory()
    made.add(LIVE_NS - MINUTE_NS, (0.00001234, 0.00001235, 0.00001233, 0.00001234), 123456789012.25, 1523456.7890123, 7)
    exchange = Exchange([Tape(BTC, [trade(0, 20.0, 1.0, 0)], NoPast(), made)], set())
    list(exchange.advance(LIVE_NS))
    asked = {"symbol": "BTCUSDT", "interval": "1m", "startTime": "0", "limit": "1"}
    ((opens, first, _, _, _, volume, _, turnover, count, *_),) = Rest(exchange, 1200).answer("klines", asked).body
    assert (opens, float(first)) == ((LIVE_NS - MINUTE_NS) // 10**6, 0.00001234)
    assert (float(volume), turnover, count) == (123456789012.25, "1523456.78901230", 7)


def write_minutes(folder: Path, symbol: str, *minutes: int) -> None:
    """A journal of some minutes."""
    name = symbol.replace("/", "")
    with (folder / f"ohlcv.1m.{name}.20231231.ndjson").open("ab") as file:
        for minute in minutes:
            start = LIVE_NS + minute * MINUTE_NS
            file.write(encode(OHLCVBar(symbol, "1m", start, start + MINUTE_NS, 50.0, 52.0, 49.0, 51.0, 2.0)) + b"\n")


async def test_a_synthetic_market_begins_behind_its_past(tmp_path):
    """Its first minute follows the last recorded one, at the last recorded price; the hole before stays one."""
    write_minutes(tmp_path, "BTC/USDT", -9, -8, -5)
    async with simulator("--synthetic", "--history", str(tmp_path), "--speed", "60") as sim:
        rows: list[list[Any]] = []
        async with asyncio.timeout(20):
            while len(rows) < 4:  # the fourth is there with the first trade of its own
                status, rows = await sim.api("klines", symbol="BTCUSDT", interval="1m", startTime=0, limit=4)
                assert status == 200
        assert [(row[0] * 10**6 - LIVE_NS) // MINUTE_NS for row in rows] == [-9, -8, -5, -4]
        assert [row[4] for row in rows[:3]] == ["51.00000000"] * 3
        assert float(rows[3][1]) == pytest.approx(51.0, rel=0.01)
        _, rows = await sim.api("klines", symbol="BTCUSDT", interval="5m", startTime=0, limit=1)
        assert (rows[0][0] * 10**6 - LIVE_NS, rows[0][5]) == (-10 * MINUTE_NS, "4.00000000")


def test_a_folder_without_such_minutes_is_refused(tmp_path):
    """With what it holds instead; the symbol in the line decides, not the file's name."""
    with pytest.raises(ConfigError, match="allowed: a folder"):
        read_history(tmp_path / "none", [BTC])
    with pytest.raises(ConfigError, match=r"holds nothing; allowed: 1m bars of BTC/USDT"):
        read_history(tmp_path, [BTC])
    write_minutes(tmp_path, "BTCU/SDT", -3)
    with pytest.raises(ConfigError, match=r"holds BTCU/SDT 1m; allowed: 1m bars of BTC/USDT"):
        read_history(tmp_path, [BTC])
