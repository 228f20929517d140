"""Strategies that know the past before their first event, live and offline by the same call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from core import codec
from core.contracts import OHLCVBar, OrderIntent, StrategyFailed, TradeEvent, WarmUp, Watermark
from core.errors import ConfigError
from core.kernel import Kernel
from core.warm_up import due
from strategies.base import Wish
from strategies.context import StrategyContext
from strategies.host import SERVICE
from strategies.indicators import Sma
from strategies.outbox import Outbox
from strategies.samples.momentum import Momentum
from strategies.samples.rsi_tema_bb import RsiTemaBb
from strategies.samples.sma_cross import SmaCross
from strategies.samples.trendline_break import TrendlineBreak
from strategies.strategy import Strategy

BTC = "BTC/USDT"
MINUTE = 60_000_000_000
ME = "strategy_runner.main"


def bar(minute: int, close: float, symbol: str = BTC, timeframe: str = "1m") -> OHLCVBar:
    """A bar of one price; `minute` counts bars of a minute."""
    length = {"1m": MINUTE, "5m": 5 * MINUTE}[timeframe]
    start = minute * length
    return OHLCVBar(symbol, timeframe, start, start + length, close, close, close, close, 1.0)


@dataclass(frozen=True)
class MeanParams:
    """Of how many closes."""

    length: int = 3


class Mean(Strategy):
    """Buys each time, for as many units as its average of the last three closes is high."""

    strategy_id = "mean"

    Params = MeanParams

    def __init__(self, context: StrategyContext) -> None:
        super().__init__(context)
        self.average = Sma(self.params.length)

    def warmup(self) -> int:
        return self.params.length  # type: ignore[no-any-return]

    def on_warmup(self, bar: OHLCVBar) -> None:
        self.average.update(bar.close)

    def on_bar(self, bar: OHLCVBar) -> list[Wish]:
        average = self.average.update(bar.close)
        return [] if average is None else [self.buy(bar.symbol, Decimal(repr(average)))]


class Trader(Mean):
    """Tries to trade in its warm-up."""

    strategy_id = "trader"

    def on_warmup(self, bar: OHLCVBar) -> None:
        self.context.bus.publish(self.buy(bar.symbol, self.held(BTC) + 1))


class Yielder(Mean):
    """Tries it by `yield`."""

    strategy_id = "yielder"

    def on_warmup(self, bar):
        yield self.buy(bar.symbol, self.held(BTC) + 1)


class Deaf(Strategy):
    """Asks for bars that it would not look at."""

    strategy_id = "deaf"

    def warmup(self) -> int:
        return 3


class Odd(Mean):
    """Asks for no number of bars."""

    strategy_id = "odd"

    def warmup(self) -> int:
        return -1


def entry(kind: type[Strategy] = Mean, events: Sequence[str] = ("md.ohlcv.1m.*",), **params: Any) -> dict[str, Any]:
    """An entry of strategies.yaml."""
    path = f"{kind.__module__}.{kind.__qualname__}"
    return {
        "id": kind.strategy_id, "class": path, "enabled": True, "symbols": [BTC], "events": list(events),
        "params": params,
    }  # fmt: skip


def content(*entries: dict[str, Any]) -> dict[str, Any]:
    """The runner's configuration."""
    return {"strategies": list(entries), "max_errors": 1, "instruments": []}


class Past:
    """A history that remembers what it was asked."""

    def __init__(self, *bars: OHLCVBar) -> None:
        self.bars = bars
        self.asked: list[tuple[str, str, int, int]] = []

    def __call__(self, symbol: str, timeframe: str, before_ns: int, n: int) -> tuple[OHLCVBar, ...]:
        self.asked.append((symbol, timeframe, before_ns, n))
        found = [each for each in self.bars if (each.symbol, each.timeframe) == (symbol, timeframe)]
        return tuple([each for each in found if each.ts_close <= before_ns][-n:])


def run(entries: Sequence[dict[str, Any]], past: Past | None, events: Sequence[Any]) -> tuple[Kernel, list[Any]]:
    """The kernel after these events, and everything that was published as events."""
    kernel = Kernel([SERVICE], history=past)
    kernel.configure({"strategy_runner": content(*entries)})
    lines = kernel.feed("md_ingest.BTCUSDT", events)
    return kernel, [codec.decode_line(line, codec.header_of(line)) for _, line in lines]


def quantities(published: Sequence[Any]) -> list[float]:
    """What was to be bought, in order."""
    return [float(event.qty) for event in published if isinstance(event, OrderIntent)]


def test_the_first_bar_finds_an_average_of_the_past():
    """Closes 1, 2, 3 are the past; the first live close of 7 makes (2 + 3 + 7) / 3 = 4."""
    past = Past(*(bar(minute, float(minute)) for minute in (1, 2, 3)))
    _, published = run([entry()], past, [bar(4, 7.0)])
    assert quantities(published) == [4.0]
    assert past.asked == [(BTC, "1m", 5 * MINUTE - 1, 3)]  # what had ended before that bar did


def test_without_a_past_the_average_begins_with_the_session():
    """Three closes have to come first: (7 + 8 + 9) / 3 = 8."""
    closes = [bar(4, 7.0), bar(5, 8.0), bar(6, 9.0)]
    assert quantities(run([entry()], None, closes)[1]) == [8.0]
    assert quantities(run([entry()], Past(), closes)[1]) == [8.0]


def test_a_short_past_counts_as_far_as_it_goes():
    """Only one bar is known: 3, then 7 and 8 make 6."""
    assert quantities(run([entry()], Past(bar(3, 3.0)), [bar(4, 7.0), bar(5, 8.0)])[1]) == [6.0]


def test_history_is_asked_once_when_the_market_first_shows_its_time():
    """Here by a trade in the fifth minute: the four minutes that have ended are past, and nothing is asked again."""
    past = Past(*(bar(minute, float(minute)) for minute in range(1, 9)))
    now_ns = 5 * MINUTE + 17
    trades = [TradeEvent(BTC, 9.0, 1.0, "buy", now_ns + step, str(step)) for step in range(3)]
    _, published = run([entry(events=["md.ohlcv.1m.*", "md.trades.*"])], past, [*trades, bar(5, 7.0)])
    assert past.asked == [(BTC, "1m", now_ns, 3)]
    assert quantities(published) == [(3 + 4 + 7) / 3]
    assert [type(event) for event in published][:2] == [TradeEvent, WarmUp]


def test_a_bar_that_the_past_held_already_does_not_come_twice():
    """The journal was quicker than the bus: minute 4 is in the warm-up and comes once more."""
    past = Past(*(bar(minute, float(minute)) for minute in (2, 3, 4)))
    second = Watermark(BTC, 5 * MINUTE + 1)
    assert quantities(run([entry()], past, [second, bar(4, 4.0), bar(5, 7.0)])[1]) == [(3 + 4 + 7) / 3]


def test_the_bar_that_ends_with_the_first_second_is_no_past():
    """The clock reaches the end of minute 4, and that minute follows right behind: it is the first to be traded on."""
    past = Past(*(bar(minute, float(minute)) for minute in (1, 2, 3, 4)))
    published = run([entry()], past, [Watermark(BTC, 5 * MINUTE), bar(4, 7.0)])[1]
    assert quantities(published) == [(2 + 3 + 7) / 3]


def test_each_series_that_is_listed_is_asked_for():
    """Minutes and five minutes; a pattern that leaves the length open asks for nothing."""
    past = Past()
    run([entry(events=["md.ohlcv.1m.*", "md.ohlcv.5m.BTC/USDT"])], past, [Watermark(BTC, 9 * MINUTE)])
    assert past.asked == [(BTC, "1m", 9 * MINUTE - 1, 3), (BTC, "5m", 9 * MINUTE - 1, 3)]
    for events in (["md.ohlcv.*"], ["md.trades.*"], ["md.ohlcv.1m.ETH/USDT"]):
        open_past = Past()
        run([entry(events=events)], open_past, [Watermark(BTC, 9 * MINUTE)])
        assert open_past.asked == []


def test_two_strategies_share_what_one_of_them_wants_most():
    """One asks for three bars, one for five: five are read, and each sees the newest of its own number."""
    past = Past(*(bar(minute, float(minute)) for minute in range(1, 6)))
    long = {**entry(Mean, length=5), "id": "long"}
    _, published = run([entry(), long], past, [bar(6, 6.0)])
    assert past.asked == [(BTC, "1m", 7 * MINUTE - 1, 5)]
    assert quantities(published) == [(4 + 5 + 6) / 3, (2 + 3 + 4 + 5 + 6) / 5]


@pytest.mark.parametrize("kind", [Trader, Yielder])
def test_nobody_can_trade_in_a_warm_up(kind):
    """The strategy has failed, and no intent of the past gets out."""
    _, published = run([entry(kind)], Past(bar(1, 1.0)), [bar(2, 2.0)])
    failed = [event for event in published if isinstance(event, StrategyFailed)]
    assert len(failed) == 1
    assert "wishes to trade in its warm-up" in failed[0].error
    assert quantities(published) == []


@pytest.mark.parametrize(("kind", "says"), [(Deaf, "must define on_warmup"), (Odd, "warmup\\(\\) is -1; allowed: 0")])
def test_a_wish_for_a_past_that_makes_no_sense_is_refused_at_the_start(kind, says):
    """Naming the strategy and what is wrong."""
    with pytest.raises(ConfigError, match=f"strategy '{kind.strategy_id}'.*{says}"):
        SERVICE.build(content(entry(kind)))


def test_a_restart_does_not_warm_up_again():
    """What has been heard is part of the memory, also that a bar of the past must not come twice."""
    past = Past(*(bar(minute, float(minute)) for minute in (1, 2, 3)))
    kernel, _ = run([entry()], past, [bar(4, 7.0)])
    first = kernel.runners[ME].handler
    assert first is not None
    again = SERVICE.build(content(entry()))
    again.restore(codec.decode_json(codec.encode_state(first.snapshot())))
    line = codec.line_of(codec.Header(9, 9, 0, "x", 0, 9, 9, "OHLCVBar", 1, 1, 0), codec.encode(bar(5, 5.0)))
    assert list(due(again, [("md.ohlcv.1m.BTC/USDT", line)], 1)) == []
    assert again.snapshot() == first.snapshot()


def test_a_strategy_from_before_there_were_warm_ups_goes_on_without():
    """Its memory does not say that it has had one, but its indicators are as they are."""
    handler = SERVICE.build(content(entry()))
    state = codec.decode_json(codec.encode_state(handler.snapshot()))
    del state["strategies"][0]["warmed"]
    handler.restore(state)
    assert handler.warm_ups() == ()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        (SmaCross, {"fast": 3, "slow": 7}),
        (Momentum, {"lookback_periods": 5}),
        (TrendlineBreak, {"lookback_periods": 6}),
    ],
)
def test_a_warmed_sample_is_as_ready_as_one_that_has_run(kind, params):
    """After its warm-up its indicators are to the bit those of one that saw the same bars live."""
    closes = [100.0, 101.5, 99.0, 102.0, 98.5, 103.0, 97.0, 104.0, 96.0, 105.0, 95.5, 106.0, 94.0]
    bars = [bar(minute, close) for minute, close in enumerate(closes, 1)]
    needed = kind(context := _context(kind, params)).warmup()
    live, warmed = kind(context), kind(context)
    for each in bars[-needed:]:
        list(live.on_event(each))
        assert warmed.on_warmup(each) is None
    assert _indicators(warmed) == _indicators(live)
    assert needed <= len(bars)


def test_rsi_forgets_where_it_began():
    """With ten of its lengths as warm-up, RSI differs by less than a hundredth from one that has run for ever."""
    closes = [100.0 + 7.0 * ((step * 37) % 11) / 11 - 0.02 * step for step in range(900)]
    params = {"rsi_period": 14, "tema_period": 9, "bb_period": 20}
    context = _context(RsiTemaBb, params)
    forever, warmed = RsiTemaBb(context), RsiTemaBb(context)
    for minute, close in enumerate(closes, 1):
        forever.on_warmup(bar(minute, close))
        if minute > len(closes) - warmed.warmup():
            warmed.on_warmup(bar(minute, close))
    assert warmed.warmup() == 140
    assert warmed.lanes[BTC].rsi.value == pytest.approx(forever.lanes[BTC].rsi.value, abs=0.01)


def _context(kind: type[Strategy], params: dict[str, Any]) -> StrategyContext:
    return StrategyContext(kind.strategy_id, Outbox(), positions={}, prices={}, config=params)


def _indicators(strategy: Any) -> dict[str, Any]:
    lane = strategy.lanes[BTC].snapshot()
    return {name: lane[name] for name in ("fast", "slow", "cross", "roc", "window", "side") if name in lane}
