"""Trades per second that become bars: in the handler alone, and from line to line as in a service."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.figures import Outcome, median, spread
from core import codec, topics
from core.contracts import ConfigChanged, Event, TradeEvent, Watermark
from core.handler import At
from core.market.bars import SERVICE
from core.runner import Message, Runner, item_of

SYMBOL = "BTC/USDT"
SECONDS = 1_200
TRADES_PER_S = 50
NOON_NS = 1_723_118_400_000_000_000
CONTENT = {
    "aggregator": {"timeframes": ["5m", "15m", "1h"]},
    "instruments": [{"symbol": SYMBOL, "tick_size": "0.01", "lot_size": "0.00001"}],
}


def measure(folder: Path, rounds: int) -> Outcome:
    """Twenty minutes of fifty trades a second, beside decoding the same lines and doing nothing."""
    tape = list(_market())
    lines = [_line(seq, event) for seq, event in enumerate(tape, 1)]
    alone, served, ratios = [], [], []
    for _ in range(rounds):
        decoded = _seconds(lambda: [codec.decode_line(line, codec.header_of(line)) for _, line in lines])
        alone.append(len(tape) / _seconds(lambda: _handle(tape)))
        seconds = _seconds(lambda: _serve(lines))
        served.append(len(tape) / seconds)
        ratios.append(decoded / seconds)
    outcome = Outcome()
    outcome.add("trades to bars, the handler alone", median(alone), "1/s", note=spread(alone))
    outcome.add(
        "trades to bars, line to line", median(served), "1/s", ratio=median(ratios), against="decoding",
        note=spread(served),
    )  # fmt: skip
    return outcome


def _market() -> Iterator[Event]:
    for second in range(SECONDS):
        now_ns = NOON_NS + second * 1_000_000_000
        yield Watermark(SYMBOL, now_ns)
        for number in range(TRADES_PER_S):
            price, qty = 61_000 + (second * 7 + number) % 997 / 100, (number % 13 + 1) / 100_000
            yield TradeEvent(
                SYMBOL, price, qty, "buy", now_ns + number * 20_000_000, str(second * TRADES_PER_S + number)
            )


def _line(seq: int, event: Event) -> Message:
    item = item_of(event)
    header = codec.Header(
        seq=seq, ts=seq, prev=0, src="md_ingest.BTCUSDT", cause=0, root=seq, root_ts=seq, type=item.type, v=1, n=seq,
        more=0,
    )  # fmt: skip
    return item.topic, codec.line_of(header, item.body)


def _handle(tape: list[Event]) -> None:
    handler, at = SERVICE.build(CONTENT), At(1, 1, 1, 1, 1)
    for event in tape:
        handler.on_event(event, at)


def _serve(lines: list[Message]) -> None:
    runner = Runner(SERVICE, "ohlcv_aggregator.main")
    change = ConfigChanged(runner.instance, CONTENT, "", "", 1)
    for topic, line in [(topics.topic_of(change), _line(0, change)[1]), *lines]:
        runner.step(topic, line, codec.header_of(line))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
