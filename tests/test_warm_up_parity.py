"""Live and offline the same strategy gets the same past and says the same, wherever in a market's stream it begins."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core import codec
from core.contracts import Event, OHLCVBar, OrderIntent, TickerEvent, TradeEvent, WarmUp, Watermark
from core.kernel import Kernel
from core.runner import item_of
from core.runtime.observers import WarmUpWatch
from strategies.host import SERVICE
from tests.runtime_lab import BTC, Lab, Process, eventually
from tests.test_warm_up import ME, MINUTE, Past, content, entry

ETH = "ETH/USDT"
SECOND = 1_000_000_000
LENGTHS = {"1m": MINUTE, "5m": 5 * MINUTE}


def price_bar(symbol: str, timeframe: str, start_ns: int) -> OHLCVBar:
    """The one bar of a time: its price says which it is."""
    price = 1.0 + start_ns / MINUTE + (0.25 if timeframe == "5m" else 0.0)
    return OHLCVBar(symbol, timeframe, start_ns, start_ns + LENGTHS[timeframe], price, price, price, price, 1.0)


def market(rng: Random, minutes: int) -> list[Event]:
    """What two symbols publish in their order: best prices without a time, trades, seconds, bars behind the minute."""
    said: list[Event] = []
    for now_ns in range(SECOND, minutes * MINUTE + 1, SECOND * rng.choice([10, 20, 30])):
        for symbol in (BTC, ETH):
            said.append(TickerEvent(symbol, None, 1.0, 1.0))
            if rng.random() < 0.3 or now_ns % MINUTE < 10 * SECOND:
                minute_ns = now_ns - now_ns % MINUTE
                said.append(Watermark(symbol, minute_ns if now_ns % MINUTE < 10 * SECOND else now_ns - SECOND))
                ends = [
                    length for length in LENGTHS if now_ns % MINUTE < 10 * SECOND and minute_ns % LENGTHS[length] == 0
                ]
                said += [price_bar(symbol, length, minute_ns - LENGTHS[length]) for length in ends if minute_ns]
                said.append(TradeEvent(symbol, 1.0, 1.0, "buy", now_ns))
    return said


def past(rng: Random, minutes: int) -> Past:
    """A history with holes, which may know more than has happened yet."""
    known = [
        price_bar(symbol, timeframe, start_ns)
        for symbol in (BTC, ETH)
        for timeframe, length in LENGTHS.items()
        for start_ns in range(0, minutes * MINUTE, length)
        if rng.random() < 0.9
    ]
    return Past(*known)


def entries(rng: Random) -> list[dict[str, Any]]:
    """Two strategies that want different pasts."""
    events = ["md.ohlcv.1m.*", "md.ohlcv.5m.*", "md.ticker.*"]
    return [
        {**entry(events=events[: rng.choice([1, 2, 3])], length=length), "id": name, "symbols": [BTC, ETH]}
        for name, length in (("long", 7), ("short", 2))
    ]


def told(lines: Sequence[bytes]) -> list[tuple[str, str, str]]:
    """Who wanted how much of what, in order."""
    intents = [codec.decode(line, OrderIntent) for line in lines]
    return [(intent.strategy_id, intent.symbol, str(intent.qty)) for intent in intents]


def looked_up(lines: Sequence[bytes]) -> set[tuple[str, str, tuple[int, ...]]]:
    """The warm-ups."""
    events = [codec.decode(line, WarmUp) for line in lines]
    return {(event.symbol, event.timeframe, tuple(bar.ts_open for bar in event.bars)) for event in events}


async def live(settings: dict[str, Any], history: Past, events: Sequence[Event]) -> tuple[Any, Any]:
    """What the strategies say in their shell."""
    with tempfile.TemporaryDirectory() as folder:
        lab, holder = Lab(Path(folder)), list[Process]()
        watch = WarmUpWatch(lambda: holder[0].reactor.runner, history)
        holder.append(lab.process(SERVICE, settings, watches=[watch]))
        running = await holder[0].start()
        for event in events:
            await lab.bus.publish_json(item_of(event).topic, codec.to_dict(event))
        last = codec.seq_of(lab.lines(item_of(events[-1]).topic)[-1])  # a trade, which every strategy hears
        await eventually(lambda: running.committer.in_seq >= last or running.task.done())
        await running.stop()
        said = told(lab.lines("strat.intent")), looked_up(lab.lines(f"control.warmup.{ME}"))
        await lab.close()
        return said


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 60))
def test_live_and_offline_decide_alike(rng, skipped):
    """Wherever it joins the stream, whatever the history has: the same warm-ups, the same intents."""
    chosen, events = entries(rng), [*market(rng, 8)[skipped:], TradeEvent(BTC, 1.0, 1.0, "buy", 8 * MINUTE + SECOND)]
    history = past(rng, 40)
    kernel = Kernel([SERVICE], history=history)
    kernel.configure({"strategy_runner": content(*chosen)})
    lines = kernel.feed("md_ingest", events)
    offline = (
        told([line for topic, line in lines if topic == "strat.intent"]),
        looked_up([line for topic, line in lines if topic == f"control.warmup.{ME}"]),
    )
    assert offline[1]
    assert asyncio.run(live(content(*chosen), history, events)) == offline
