"""The warm-up of a running strategy: looked up once, recorded, and the same after every crash."""

from __future__ import annotations

import pytest

from backtest.journals import read_record
from backtest.reexecution import Reexecution
from core import codec
from core.contracts import OHLCVBar, OrderIntent, WarmUp
from core.runtime.observers import WarmUpWatch
from strategies.host import SERVICE
from tests.runtime_lab import BTC, Crash, Faults, Lab, Process, eventually
from tests.test_warm_up import ME, Past, bar, content, entry

BARS = f"md.ohlcv.1m.{BTC}"


@pytest.fixture
async def lab(tmp_path):
    made = Lab(tmp_path)
    yield made
    await made.close()


def process(lab: Lab, past) -> Process:
    """The strategies in their shell, with a history to look into."""
    holder: list[Process] = []
    watch = WarmUpWatch(lambda: holder[0].reactor.runner, past)
    holder.append(lab.process(SERVICE, content(entry()), watches=[watch]))
    return holder[0]


async def see(lab: Lab, *bars: OHLCVBar) -> None:
    """Publish bars."""
    for each in bars:
        await lab.bus.publish_json(BARS, codec.to_dict(each))


def intents(lab: Lab) -> list[float]:
    """What was to be bought, in order."""
    return [float(codec.decode(line, OrderIntent).qty) for line in lab.lines("strat.intent")]


def warm_ups(lab: Lab) -> list[WarmUp]:
    """What was looked up."""
    return [codec.decode(line, WarmUp) for line in lab.lines(f"control.warmup.{ME}")]


def differences(lab: Lab) -> tuple[bool, list[object]]:
    """Whether anything was compared, and what a second execution of the journals does differently."""
    (lab.journals / "ohlcv.1m.BTCUSDT.ndjson").write_bytes(b"".join(line + b"\n" for line in lab.lines(BARS)))
    record = read_record([lab.journals])
    run = Reexecution([SERVICE], record.lines)
    run.run()
    return run.compared >= 2, list(run.differences)


async def test_the_past_is_recorded_before_the_first_bar_is_handled(lab):
    """Closes 1, 2, 3 are history; the averages are (2 + 3 + 7) / 3 and (3 + 7 + 8) / 3; it can be executed again."""
    running = await process(lab, Past(*(bar(minute, float(minute)) for minute in (1, 2, 3)))).start()
    await see(lab, bar(4, 7.0), bar(5, 8.0))
    await eventually(lambda: len(intents(lab)) == 2)
    await running.stop()
    assert intents(lab) == [4.0, 6.0]
    (looked_up,) = warm_ups(lab)
    assert [each.close for each in looked_up.bars] == [1.0, 2.0, 3.0]
    assert looked_up.before_seq <= codec.header_of(lab.lines(BARS)[0]).seq
    assert differences(lab) == (True, [])


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(1, 8))
async def test_a_crash_around_the_warm_up_changes_nothing(lab, when, at):
    """Killed at its n-th commit, and started again: each bar counts once, those of the past too."""
    past = Past(*(bar(minute, float(minute)) for minute in (1, 2, 3)))
    running = process(lab, past)
    setattr(running.cell, when, Faults(at, Crash()))
    running.run()
    await eventually(lambda: running.status.state == "live" or running.task.done())
    if running.task.done():
        running = await process(lab, past).start()
    for step, each in enumerate((bar(4, 7.0), bar(5, 8.0), bar(6, 9.0)), 1):
        await see(lab, each)
        await eventually(lambda: len(intents(lab)) >= step or running.task.done())  # noqa: B023
        if running.task.done():
            running = await process(lab, past).start()
    await eventually(lambda: len(intents(lab)) == 3)
    await running.stop()
    assert intents(lab) == [4.0, 6.0, 8.0]
    assert len(warm_ups(lab)) == 1
    assert differences(lab) == (True, [])


async def test_a_history_that_cannot_be_read_keeps_nobody_from_trading(lab):
    """It is said in the log, recorded as an empty warm-up, and not tried again at every bar."""

    def broken(symbol: str, timeframe: str, before_ns: int, n: int) -> tuple[OHLCVBar, ...]:
        raise OSError("the disk is gone")

    running = await process(lab, broken).start()
    await see(lab, *(bar(minute, float(minute)) for minute in (1, 2, 3)))
    await eventually(lambda: len(intents(lab)) == 1)
    await running.stop()
    assert intents(lab) == [2.0]
    assert [(each.bars, each.asked) for each in warm_ups(lab)] == [((), 3)]
