"""Where a warm-up could go wrong: lines that tell no time, lines of before a change, bars of several lengths."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from core import codec
from core.contracts import BookEvent, Event, OrderIntent, TickerEvent, TradeEvent, WarmUp, Watermark
from core.kernel import Kernel
from core.runner import Message, Runner, item_of
from core.runtime.observers import WarmUpWatch
from core.warm_up import Need, due
from strategies.host import SERVICE
from tests.runtime_lab import BTC
from tests.test_warm_up import ME, MINUTE, Mean, Past, bar, content, entry, quantities, run

SECOND = 1_000_000_000
ETH = "ETH/USDT"


class Wants:
    """A handler that waits for bars."""

    def __init__(self, *needs: Need) -> None:
        self.needs = needs

    def warm_ups(self) -> tuple[Need, ...]:
        return self.needs


def lines(*events: Event, first: int = 1) -> list[Message]:
    """Numbered lines of these events."""
    made = []
    for seq, event in enumerate(events, first):
        item = item_of(event)
        header = codec.Header(seq, seq, 0, "x", 0, seq, seq, item.type, 1, 1, 0)
        made.append((item.topic, codec.line_of(header, item.body)))
    return made


def trade(ts: int, *, late: bool = False) -> TradeEvent:
    return TradeEvent(BTC, 9.0, 1.0, "buy", ts, late=late)


def past_of(*events: Event, timeframe: str = "1m", from_seq: int = 1) -> list[int]:
    """Up to when bars are past for one who hears these first."""
    return [now_ns for _, now_ns in due(Wants(Need(BTC, timeframe, 3)), lines(*events), from_seq)]


NINE = 9 * MINUTE


@pytest.mark.parametrize(
    ("heard", "timeframe", "past_ns"),
    [
        ([trade(NINE + 5)], "1m", [NINE + 5]),
        ([Watermark(BTC, NINE)], "1m", [NINE - 1]),
        ([bar(8, 1.0)], "1m", [NINE - 1]),  # the bar itself closes at 9:00 and is none of the past
        ([bar(8, 1.0)], "5m", [NINE - 1]),
        ([bar(1, 1.0, timeframe="5m")], "1m", [10 * MINUTE]),  # minutes up to 10:00 were told before the five minutes
        ([bar(1, 1.0, timeframe="5m")], "5m", [10 * MINUTE - 1]),
        ([TickerEvent(BTC, 1.0, 1.0, 1.0), trade(NINE + 5)], "1m", [NINE + 5]),  # a ticker that tells no time
        ([BookEvent(BTC, (), (), ts_exchange_ns=NINE + SECOND // 2)], "1m", [NINE - SECOND // 2]),
        ([trade(3 * MINUTE, late=True), trade(NINE)], "1m", [NINE]),
        ([trade(3 * MINUTE, late=True)], "1m", []),
        ([replace(trade(NINE), symbol=ETH)], "1m", []),
    ],
)
def test_up_to_when_it_is_the_past(heard, timeframe, past_ns):
    """Books come up to a second before the clock; what tells no time, or an old one, is waited past."""
    assert past_of(*heard, timeframe=timeframe) == past_ns


def test_lines_that_have_been_handled_prove_nothing():
    """One who starts behind line 2 does not take the third minute for the present."""
    heard = [bar(3, 1.0), bar(4, 1.0), bar(5, 1.0)]
    assert past_of(*heard, from_seq=3) == [6 * MINUTE - 1]


def test_a_line_that_cannot_be_read_proves_nothing():
    """Neither its header nor its body."""
    torn: list[Message] = [(f"md.trades.{BTC}", b"\xff{"), (f"md.trades.{BTC}", b'{"_seq":7}')]
    assert [now for _, now in due(Wants(Need(BTC, "1m", 3)), [*torn, *lines(trade(NINE), first=9)], 1)] == [NINE]


def test_a_longer_bar_that_comes_first_leaves_no_hole_in_the_shorter_ones():
    """A strategy that joins between the minute and the five minutes of 5:00: minutes 2, 3, 4 are its past, then 5."""
    past = Past(*(bar(minute, float(minute)) for minute in range(1, 5)))
    both = entry(events=["md.ohlcv.1m.*", "md.ohlcv.5m.*"])
    published = run([both], past, [bar(0, 1.0, timeframe="5m"), bar(5, 7.0)])[1]
    looked_up = {event.timeframe: event.bars for event in published if isinstance(event, WarmUp)}
    assert [each.close for each in looked_up["1m"]] == [2.0, 3.0, 4.0]


def test_in_the_kernel_only_what_a_service_hears_tells_it_the_time():
    """The strategy lists minutes only; the book of minute 2 is not for it, and minutes 3 to 5 are its past as live."""
    past = Past(*(bar(minute, float(minute)) for minute in range(1, 9)))
    book = BookEvent(BTC, (), (), ts_exchange_ns=2 * MINUTE)
    published = run([entry()], past, [book, trade(6 * MINUTE), bar(6, 7.0)])[1]
    assert past.asked == [(BTC, "1m", 6 * MINUTE, 3)]
    assert quantities(published) == [(4 + 5 + 7) / 3]


class Lazy(Mean):
    """Wants a past only when told so."""

    strategy_id = "mean"
    eager = False

    def warmup(self) -> int:
        return super().warmup() if self.eager else 0


def test_bars_that_were_heard_do_not_come_again_as_the_past(monkeypatch):
    """The class learns to warm up while the strategy runs: its bars 1 and 2 count once."""
    kernel = Kernel([SERVICE], history=Past(*(bar(minute, float(minute)) for minute in range(1, 9))))
    kernel.configure({"strategy_runner": content(entry(Lazy))})
    kernel.feed("md_ingest.BTCUSDT", [bar(1, 1.0), bar(2, 2.0)])
    monkeypatch.setattr(Lazy, "eager", True)
    kernel.configure({"strategy_runner": content(entry(Lazy))})
    published = kernel.feed("md_ingest.BTCUSDT", [bar(3, 3.0)])
    assert [topic for topic, _ in published] == [f"md.ohlcv.1m.{BTC}", "strat.intent"]
    assert float(codec.decode(published[-1][1], OrderIntent).qty) == (1 + 2 + 3) / 3


async def watched(history, *, patience_s=60.0):
    """What is observed at the first second of the tenth minute, and what the log says of it."""
    runner = Runner(SERVICE, ME)
    runner.handler = SERVICE.build(content(entry()))
    watch = WarmUpWatch(lambda: runner, history, patience_s=patience_s)
    with capture_logs() as logs:
        event = await watch.observe(1, lines(Watermark(BTC, NINE)))
        assert isinstance(event, WarmUp)
        watch.told(event)
    return event, [said["event"] for said in logs]


async def test_a_history_that_hangs_keeps_nobody_from_trading():
    """The strategy goes on without, and the thread holds up nothing, not even the end of the process."""
    over = threading.Event()
    event, said = await watched(lambda *asked: (over.wait(), ())[1], patience_s=0.05)
    assert (event.bars, said) == ((), ["warm_up_failed", "warm_up_incomplete"])
    assert all(thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())
    over.set()


@pytest.mark.parametrize(("newest", "said"), [(7, "warmed_up"), (6, "warm_up_old")])
async def test_a_past_that_ends_long_ago_is_told(newest, said):
    """Minute 8 comes right behind the second 9:00; where minute 7 is missing too there is a hole before the session."""
    past = Past(*(bar(minute, float(minute)) for minute in range(1, newest + 1)))
    assert (await watched(past))[1] == [said]
