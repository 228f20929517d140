"""Bars in their journals: one line per bar as soon as it is published, and nothing lost when the process is killed."""

from __future__ import annotations

import asyncio
import uuid
from functools import partial

import pytest

from core import codec
from core.bus import Bus
from core.contracts import BarCorrection, OHLCVBar
from tests.bar_desk import BTC, NOON, S, clock, new_bars, play, trade
from tests.installation import Installation, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.redis]

LENGTHS = ("5m", "15m", "1h")
MARKET = [
    clock(-1),
    *(each for m in range(61) for each in (trade(60 * m + 7, 100.0 + m % 9, 0.1, m), clock(60 * m + 60))),
]
"""61 minutes with one trade in each: 61 bars of a minute, 12 of five, 4 of fifteen, and an hour."""


@pytest.fixture
def place(tmp_path, redis_server):
    """An installation on a cell of its own."""
    made = Installation(tmp_path, redis_server.url)
    made.extra = {"NJORD__REDIS__CELL": f"t{uuid.uuid4().hex[:8]}"}
    yield made
    made.close()


async def publish(place, events):
    bus = Bus(place.url, place.extra["NJORD__REDIS__CELL"])
    for event in events:
        await bus.publish(event)
    await bus.close()


def bars(place, length):
    """The bars in a journal."""
    return [codec.decode(line, OHLCVBar) for line in place.lines(f"ohlcv.{length}.BTCUSDT")]


def _has(place: Installation, bars: int) -> bool:
    return len(place.lines("ohlcv.1m.BTCUSDT")) == bars


def test_each_bar_is_a_line_in_the_journal_of_its_symbol_and_length(place):
    """Read again they are the bars that were built, and each is there while the process still runs."""
    process = place.start("ohlcv_aggregator")
    wait_for(place.live("ohlcv_aggregator.main"))
    asyncio.run(publish(place, MARKET[:3]))
    wait_for(lambda: len(place.lines("ohlcv.1m.BTCUSDT")) == 1)  # no other bar had to push it out
    late = trade(8, 50.0, 0.1, 1000)
    asyncio.run(publish(place, [late, *MARKET[3:]]))
    wait_for(lambda: len(place.lines("ohlcv.1h.BTCUSDT")) == 1)
    wait_for(lambda: len(place.lines("ohlcv.1m.BTCUSDT")) == 61)
    built = play(new_bars(*LENGTHS), MARKET)
    for length in ("1m", *LENGTHS):
        assert bars(place, length) == [bar for bar in built if bar.timeframe == length]
    (correction,) = place.lines("md.corrections.BTCUSDT")
    assert codec.decode(correction, BarCorrection) == BarCorrection(BTC, "1m", NOON, "1000", 50.0, 0.1, NOON + 8 * S)
    assert place.stop(process) == [0]
    assert place.stderr(process) == ""


def test_killed_in_the_middle_of_bars_it_loses_nothing(place):
    """kill -9 in 12:37 and again in 12:44, with trades published while it is away: the same bars, each once."""
    for first, away, end in ((0, 0, 76), (76, 81, 90), (90, 95, None)):
        asyncio.run(publish(place, MARKET[first:away]))
        process = place.start("ohlcv_aggregator")
        wait_for(place.live("ohlcv_aggregator.main"))
        asyncio.run(publish(place, MARKET[away:end]))
        if end is not None:
            closed = sum(1 for event in MARKET[:end] if isinstance(event, type(clock(0)))) - 1
            wait_for(partial(_has, place, closed))
            process.kill()
            process.wait()
    wait_for(lambda: len(place.lines("ohlcv.1h.BTCUSDT")) == 1)
    wait_for(lambda: len(place.lines("ohlcv.1m.BTCUSDT")) == 61)
    built = play(new_bars(*LENGTHS), MARKET)
    for length in ("1m", *LENGTHS):
        assert bars(place, length) == [bar for bar in built if bar.timeframe == length]
