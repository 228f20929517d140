"""Minutes out of trades: what closes them, what fills them, what they admit to lack."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import codec, topics
from core.contracts import BarCorrection, OHLCVBar, TradeEvent, TradeGap, Watermark
from core.errors import ContractError
from core.market.bars import SERVICE, AggregatorSettings
from tests.bar_desk import (
    BTC,
    ETH,
    HERE,
    MINUTE,
    NOON,
    brief,
    clock,
    content,
    gap,
    new_bars,
    play,
    restarted,
    trade,
)
from tests.event_samples import any_of

DAY_S = 86_400
ALL = ("5m", "15m", "1h", "1d")


def minutes(events):
    """The minutes of a tape that begins a second before noon, without their lengths."""
    return [brief(bar)[1:] for bar in play(new_bars(), [clock(-1), *events])]


# -- one minute


def test_a_minute_is_published_with_the_clock_that_ends_it():
    """Trades at 100, 103, 98 and 101 of 1, 2, 0.5 and 0.25: 3.75 for 100 + 206 + 49 + 25.25 = 380.25."""
    handler = new_bars()
    tape = [clock(-1), trade(1, 100.0), trade(20, 103.0, 2.0), trade(30, 98.0, 0.5), trade(59.999, 101.0, 0.25)]
    assert play(handler, [*tape, clock(59)]) == []
    (bar,) = play(handler, [clock(60)])
    assert bar == OHLCVBar(
        BTC, "1m", NOON, NOON + MINUTE, 100.0, 103.0, 98.0, 101.0, 3.75,
        vwap=101.4, turnover=380.25, trade_count=4, complete=True, asset_class="crypto", currency="USDT",
    )  # fmt: skip
    assert topics.topic_of(bar) == "md.ohlcv.1m.BTC/USDT"
    assert play(handler, [clock(60), clock(59)]) == []  # the clock neither repeats nor goes back


def test_one_trade_makes_a_bar():
    """All four prices are its own."""
    assert minutes([trade(30, 100.5, 0.3), clock(60)]) == [(0, 100.5, 100.5, 100.5, 100.5, 0.3, 1, True)]


def test_an_end_belongs_to_the_next_minute():
    """A trade at 60 s sharp opens the second minute; one a millisecond earlier closes the first."""
    tape = [trade(59.999, 100.0), trade(60, 101.0), clock(60), clock(120)]
    assert minutes(tape) == [
        (0, 100.0, 100.0, 100.0, 100.0, 1.0, 1, True),
        (60, 101.0, 101.0, 101.0, 101.0, 1.0, 1, True),
    ]


def test_minutes_over_midnight():
    """The last of the day and the first of the next; the day's own bar ends with the former."""
    tape = [clock(DAY_S / 2 - 61), trade(DAY_S / 2 - 60, 100.0), trade(DAY_S / 2, 102.0)]
    bars = play(new_bars("1d"), [*tape, clock(DAY_S / 2), clock(DAY_S / 2 + 60)])
    assert [brief(bar) for bar in bars] == [
        ("1m", 43_140, 100.0, 100.0, 100.0, 100.0, 1.0, 1, True),
        ("1d", -43_200, 100.0, 100.0, 100.0, 100.0, 1.0, 1, False),
        ("1m", 43_200, 102.0, 102.0, 102.0, 102.0, 1.0, 1, True),
    ]


def test_a_minute_without_a_trade_repeats_the_close():
    """Two quiet minutes between trades: flat at 101, nothing traded, no mean price; and none before the first trade."""
    handler = new_bars()
    bars = play(handler, [clock(-1), clock(60), trade(70, 100.0), trade(71, 101.0), clock(240), clock(300)])
    assert [brief(bar)[1:] for bar in bars] == [
        (60, 100.0, 101.0, 100.0, 101.0, 2.0, 2, True),
        (120, 101.0, 101.0, 101.0, 101.0, 0.0, 0, True),
        (180, 101.0, 101.0, 101.0, 101.0, 0.0, 0, True),
        (240, 101.0, 101.0, 101.0, 101.0, 0.0, 0, True),
    ]
    assert [(bar.vwap, bar.turnover, bar.currency) for bar in bars[1:]] == [(None, 0.0, "USDT")] * 3


def test_prices_follow_the_venues_order_not_that_of_arrival():
    """Trades fetched afterwards, 7 before 8 before 9 in one millisecond, come in another order: open 7, close 9."""
    tape = [trade(5, 108.0, number=8), trade(5, 107.0, number=7), trade(5, 109.0, number=9), trade(5, 108.5, number=8)]
    assert minutes([*tape, clock(60)]) == [(0, 107.0, 109.0, 107.0, 109.0, 4.0, 4, True)]


def test_without_ids_the_order_of_arrival_counts():
    """First and last of a millisecond are those that came first and last; an id that is no number is none."""
    tape = [trade(5, 1.0, number="x-1"), trade(5, 2.0), trade(5, 3.0, number="9" * 5000), trade(4, 4.0)]
    assert minutes([*tape, clock(60)]) == [(0, 4.0, 4.0, 1.0, 3.0, 4.0, 4, True)]


def test_amounts_are_exact():
    """0.1 ten thousand times is 1,000, as a running float sum is not: it would be 1000.0000000001588."""
    handler = new_bars()
    play(handler, [clock(-1), *(trade(1 + number / 1000, 0.1, 0.1) for number in range(10_000))])
    (bar,) = play(handler, [clock(60)])
    assert (bar.volume, bar.turnover, bar.vwap) == (1000.0, 100.0, 0.1)


def test_symbols_do_not_mix_and_strangers_are_ignored():
    """Each has its own clock; one that is not configured leads to nothing and is not remembered."""
    handler = new_bars()
    tape = [clock(-1), clock(-1, ETH), trade(1, 100.0), trade(1, 10.0, symbol=ETH), clock(60, ETH)]
    assert [(bar.symbol, bar.close) for bar in play(handler, tape)] == [(ETH, 10.0)]
    before = handler.snapshot()
    strangers = [trade(1, 5.0, symbol="X/Y"), clock(500, "X/Y"), gap(1, 2, "X/Y")]
    assert play(handler, strangers) == []
    assert handler.snapshot() == before


# -- what comes too late, and what never came


def test_a_late_trade_changes_no_closed_bar():
    """It becomes a correction that names its bar; neither the next bar nor the repeated close know of it."""
    handler = new_bars()
    (first,) = play(handler, [clock(-1), trade(1, 100.0), clock(60)])
    late = trade(59.9, 500.0, 9.0, number=17)
    assert play(handler, [late]) == [BarCorrection(BTC, "1m", NOON, "17", 500.0, 9.0, late.ts)]
    second, third = play(handler, [trade(61, 101.0), clock(180)])
    assert (first.high, second.high, second.volume, third.close) == (100.0, 101.0, 1.0, 101.0)
    assert topics.topic_of(BarCorrection(BTC, "1m", 0, "", 1.0, 1.0, 1)) == "md.corrections.BTC/USDT"


def test_a_trade_behind_the_clock_counts_while_its_minute_is_open():
    """The clock is at 30 s when a trade of second 29 comes: it belongs to the minute."""
    tape = [trade(20, 100.0), clock(30), trade(29.9, 99.0), clock(60)]
    assert minutes(tape) == [(0, 100.0, 100.0, 99.0, 99.0, 2.0, 2, True)]


def test_trades_ahead_of_the_clock_wait_for_it():
    """Those of the next two minutes come before the first is closed; each lands in its own."""
    tape = [trade(150, 103.0), trade(70, 102.0), trade(10, 101.0), clock(180)]
    assert [bar[:2] for bar in minutes(tape)] == [(0, 101.0), (60, 102.0), (120, 103.0)]


@pytest.mark.parametrize(
    ("after_s", "before_s", "incomplete"),
    [
        (70, 80, {60}),  # within one minute
        (70, 130, {60, 120}),  # over an end
        (59, 60, {0, 60}),  # what is missing may have the time of either trade around it
        (60, 119.999, {60}),
        (-500, 61, {0, 60}),  # from before the open minutes
        (130, 500, {120, 180}),  # and beyond them
        (300, 400, set()),
    ],
)
def test_minutes_over_a_gap_are_not_complete(after_s, before_s, incomplete):
    """Four minutes with a trade in each; those that a gap overlaps say that trades are missing."""
    tape = [trade(second, 100.0) for second in (1, 61, 121, 181)]
    bars = minutes([*tape, gap(after_s, before_s), clock(60), clock(240)])
    assert {bar[0] for bar in bars if not bar[-1]} == incomplete


def test_several_gaps_mark_their_own_minutes_alone():
    """Between two gaps the minutes are complete, a gap in a closed minute changes nothing, and all are forgotten."""
    handler = new_bars()
    tape = [clock(-1), trade(1, 100.0), clock(60), gap(10, 20), gap(70, 80), gap(190, 200), clock(300)]
    assert [(brief(bar)[1], bar.complete) for bar in play(handler, tape)] == [
        (0, True), (60, False), (120, True), (180, False), (240, True),
    ]  # fmt: skip
    assert handler.snapshot()["symbols"][BTC]["missing"] == []


# -- where it begins


@pytest.mark.parametrize(
    ("start_s", "complete"),
    [(-1, [True, True]), (0, [False, True]), (20, [False, True]), (59, [False, True])],
)
def test_the_minute_in_which_it_began_to_listen_is_not_complete(start_s, complete):
    """Nobody must take half a minute for a whole one; that the first word came at 12:00:00 sharp is no proof."""
    bars = play(new_bars(), [clock(start_s), trade(59.5, 100.0), trade(61, 101.0), clock(120)])
    assert [bar.complete for bar in bars] == complete


def test_a_trade_may_be_the_first_that_it_hears():
    """It begins there; an earlier minute counts as closed, and an older clock moves nothing."""
    handler = new_bars()
    early = trade(-1, 99.0)
    answers = play(handler, [trade(10, 100.0), early, clock(0), trade(20, 101.0), clock(60)])
    assert answers[0] == BarCorrection(BTC, "1m", NOON - MINUTE, "", 99.0, 1.0, early.ts)
    assert [brief(bar)[1:] for bar in answers[1:]] == [(0, 100.0, 101.0, 100.0, 101.0, 2.0, 2, False)]


def test_trades_without_a_time_belong_to_no_bar():
    """A venue time of 0 or below is none."""
    handler = new_bars()
    assert play(handler, [TradeEvent(BTC, 1.0, 1.0, "buy", ts) for ts in (0, -1, -(2**63))]) == []
    assert handler.snapshot() == new_bars().snapshot()


# -- jumps of the clock


def test_a_clock_that_was_not_watched_makes_incomplete_minutes():
    """300 s without a word are told second by second, so 301 s in one step were not watched: 12:01 to 12:06."""
    watched = minutes([trade(90, 100.0), clock(91), clock(391), trade(392, 101.0), clock(480)])
    assert [bar[-1] for bar in watched] == [True] * 7
    jumped = minutes([trade(90, 100.0), clock(91), clock(392), trade(393, 101.0), clock(480)])
    assert [(bar[0], bar[-1]) for bar in jumped] == [
        (60, False), (120, False), (180, False), (240, False), (300, False), (360, False), (420, True),
    ]  # fmt: skip


def test_a_jump_within_a_day_is_filled():
    """23 hours in one step: 1,380 minutes and the longer bars in them, none of them complete but the first."""
    bars = play(new_bars("1h"), [clock(-1), trade(1, 100.0), clock(60), clock(23 * 3600)])
    assert [bar.timeframe for bar in bars].count("1m") == 1380
    assert [bar.timeframe for bar in bars].count("1h") == 23
    assert [bar.ts_open for bar in bars if bar.complete] == [NOON]


@pytest.mark.parametrize("jump_s", [2 * DAY_S, 400 * DAY_S, 200 * 365 * DAY_S])
def test_a_jump_of_more_than_a_day_ends_what_was_built_and_begins_anew(jump_s):
    """Every open bar is published, a day's bars at the most; the next begins with the next trade, not complete."""
    handler = new_bars(*ALL)
    play(handler, [clock(-1), trade(1, 100.0), trade(70, 101.0), clock(60)])
    bars = play(handler, [clock(jump_s + 30)])
    counts = {length: [bar.timeframe for bar in bars].count(length) for length in ("1m", *ALL)}
    assert counts == {"1m": 1440, "5m": 288, "15m": 96, "1h": 24, "1d": 1}
    assert brief(bars[0])[1:] == (60, 101.0, 101.0, 101.0, 101.0, 1.0, 1, False)
    assert play(handler, [clock(jump_s + 240)]) == []  # nothing is known of the price there
    tape = [trade(jump_s + 250, 90.0), clock(jump_s + 300)]
    assert [brief(bar) for bar in play(handler, tape)] == [
        ("1m", jump_s + 240, 90.0, 90.0, 90.0, 90.0, 1.0, 1, True),
        ("5m", jump_s, 90.0, 90.0, 90.0, 90.0, 1.0, 1, False),
    ]


def test_trades_of_another_day_than_the_clock_fill_no_memory():
    """A million times could be sent; what is a day or more ahead of the clock is in no bar."""
    handler = new_bars()
    far = [trade(DAY_S + 60 * number, 1.0) for number in range(3000)]
    play(handler, [clock(-1), *far])
    assert play(handler, [clock(60)]) == []
    near = [trade(60 * number, 1.0) for number in range(3000)]
    play(handler, [*near, gap(0, 2**33)])
    state = handler.snapshot()["symbols"][BTC]
    assert (len(state["open"]), len(state["missing"])) == (1440, 1440)


# -- properties

TRADES = st.lists(
    st.tuples(st.integers(1, 1500), st.floats(1e-8, 1e9), st.floats(1e-8, 1e9)), min_size=1, max_size=60
).map(lambda drawn: [trade(second, price, qty, number) for number, (second, price, qty) in enumerate(drawn)])


def naive(trades, start_ns, length_ns):
    """Prices and amounts of a bar, computed from all of its trades at once."""
    inside = sorted(
        (each for each in trades if start_ns <= each.ts < start_ns + length_ns),
        key=lambda each: (each.ts, int(each.trade_id)),
    )
    if not inside:
        return None
    prices = [each.price for each in inside]
    volume = float(sum(Decimal(repr(each.qty)) for each in inside))
    return prices[0], max(prices), min(prices), prices[-1], volume, len(inside)


@given(trades=TRADES, cuts=st.lists(st.integers(0, 1500), max_size=20))
def test_any_trades_and_any_cut_into_watermarks_give_the_naive_bars(trades, cuts):
    """In any order within the open minutes: first, highest, lowest, last, sum; quiet minutes repeat the close."""
    clocks = [clock(cut) for cut in sorted(cuts)]
    tape = sorted([*trades, *clocks], key=lambda event: event.ts if isinstance(event, TradeEvent) else event.market_ns)
    answers = play(new_bars("5m"), [clock(-1), *tape, clock(1800)])
    assert not [answer for answer in answers if isinstance(answer, BarCorrection)]
    ones = [bar for bar in answers if bar.timeframe == "1m"]
    first_ns = min(each.ts for each in trades) // MINUTE * MINUTE
    assert [bar.ts_open for bar in ones] == list(range(first_ns, NOON + 30 * MINUTE, MINUTE))
    close = None
    for bar in ones:
        expected = naive(trades, bar.ts_open, MINUTE) or (close, close, close, close, 0.0, 0)
        assert (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trade_count) == expected
        assert bar.vwap is None if not bar.trade_count else bar.low <= bar.vwap <= bar.high
        close = bar.close


EXACT = st.lists(
    st.tuples(st.integers(1, 7200), st.integers(1, 10**7), st.integers(1, 10**8)), min_size=1, max_size=60
).map(
    lambda drawn: [
        trade(second, cents / 100, lots / 100_000, number) for number, (second, cents, lots) in enumerate(sorted(drawn))
    ]
)


@given(trades=EXACT)
def test_longer_bars_equal_those_built_from_the_trades_directly(trades):
    """Prices of two digits and quantities of five: the sum of sums is the sum, to the last digit."""
    clocks = [clock(60 * minute) for minute in range(1, 121)]
    tape = sorted([*trades, *clocks], key=lambda event: event.ts if isinstance(event, TradeEvent) else event.market_ns)
    for bar in play(new_bars("5m", "15m", "1h", "2h"), [clock(-1), *tape]):
        expected = naive(trades, bar.ts_open, bar.ts_close - bar.ts_open)
        if expected is not None:
            first_ns = trades[0].ts // MINUTE * MINUTE
            assert (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trade_count) == expected
            turnover = sum(
                Decimal(repr(each.price)) * Decimal(repr(each.qty))
                for each in trades
                if bar.ts_open <= each.ts < bar.ts_close
            )
            assert bar.turnover == float(turnover)
            assert bar.complete is (bar.ts_open >= first_ns)


STEPS = st.one_of(
    st.builds(trade, st.integers(0, 900), st.floats(1.0, 1e6), st.floats(0.001, 10.0), st.integers(0, 99)),
    st.builds(clock, st.sampled_from([*range(0, 900, 30), 2000, 200_000])),
    st.builds(lambda first, more: gap(first, first + more), st.integers(0, 900), st.integers(0, 200)),
)


@settings(max_examples=60)
@given(history=st.lists(STEPS, max_size=25), tail=st.lists(STEPS, max_size=10))
def test_a_restart_at_any_moment_loses_nothing(history, tail):
    """Restored from its memory after every event, it says what one says that never stopped."""
    steady = new_bars(*ALL)
    often = new_bars(*ALL)
    for event in [*history, *tail]:
        assert play(often, [event]) == play(steady, [event])
        often = restarted(often, *ALL)
    assert often.snapshot() == steady.snapshot()


@settings(max_examples=200)
@given(
    events=st.lists(
        st.one_of(any_of(TradeEvent), any_of(Watermark), any_of(TradeGap)).map(
            lambda event: codec.from_dict(type(event), {**codec.to_dict(event), "symbol": BTC})
        ),
        max_size=8,
    )
)
def test_no_market_however_odd_stops_it(events):
    """Any times, prices and sizes: what it answers can be written down and read again, and so can its memory."""
    handler = new_bars(*ALL)
    for event in events:
        for answer in handler.on_event(event, HERE):
            assert codec.decode(codec.encode(answer), type(answer)) == answer
        handler = restarted(handler, *ALL)
    assert all(len(state["open"]) <= 1440 for state in handler.snapshot()["symbols"].values())


@pytest.mark.parametrize(("price", "qty"), [(1.7e308, 1.7e308), (5e-324, 5e-324), (1.7e308, 5e-324), (5e-324, 1.7e308)])
def test_the_largest_and_smallest_numbers_make_bars(price, qty):
    """A sum beyond all floats is told as the largest of them; the mean price stays between low and high."""
    *minute, longer = play(new_bars("5m"), [clock(-1), trade(1, price, qty), trade(2, price, qty), clock(300)])
    assert (minute[0].vwap, longer.vwap) == (price, price)
    assert minute[0].volume <= 1.7976931348623157e308


# -- configuration


@pytest.mark.parametrize(
    ("timeframes", "kept"),
    [
        ((), ("1m",)),
        (("1h", "5m"), ("1m", "5m", "1h")),
        (("1m", "5m", "15m", "1h"), ("1m", "5m", "15m", "1h")),
        (("2m", "90m", "4h", "12h", "1d"), ("1m", "2m", "90m", "4h", "12h", "1d")),
    ],
)
def test_lengths_are_sorted_and_minutes_are_always_built(timeframes, kept):
    """From short to long, whatever the order in the file."""
    assert AggregatorSettings(timeframes).timeframes == kept


@pytest.mark.parametrize(
    ("timeframes", "named"),
    [
        (("30s",), "'30s'"),
        (("90s",), "'90s'"),
        (("7m",), "'7m'"),
        (("2d",), "'2d'"),
        (("five",), "'five'"),
        (("60m", "1h"), "each length once"),
        (("60s",), "each length once"),
    ],
)
def test_lengths_that_cannot_be_built_are_refused(timeframes, named):
    """Parts of a minute, what does not divide the day, what is no length, and one length under two names."""
    with pytest.raises(ContractError, match=named):
        AggregatorSettings(timeframes)


def test_a_changed_configuration_keeps_what_is_being_built():
    """A new length begins incomplete, a length that stays goes on, a symbol that was left out begins anew."""
    handler = new_bars("5m", "15m")
    play(handler, [clock(-1), clock(-1, ETH), trade(1, 100.0), trade(1, 10.0, symbol=ETH), clock(120), clock(120, ETH)])
    changed = SERVICE.build(content("5m", "1h", symbols=[BTC]))
    changed.restore(handler.snapshot())
    bars = [brief(bar) for bar in play(changed, [clock(300), clock(600), clock(900), clock(1200), clock(3600)])]
    assert bars[3] == ("5m", 0, 100.0, 100.0, 100.0, 100.0, 1.0, 1, True)
    assert [bar for bar in bars if bar[0] == "1h"] == [("1h", 0, 100.0, 100.0, 100.0, 100.0, 0.0, 0, False)]
    again = SERVICE.build(content("5m", symbols=[BTC, ETH]))
    again.restore(changed.snapshot())
    (bar,) = play(again, [clock(3630, ETH), trade(3640, 11.0, symbol=ETH), clock(3660, ETH)])
    assert brief(bar) == ("1m", 3600, 11.0, 11.0, 11.0, 11.0, 1.0, 1, False)


def test_it_listens_to_trades_the_clock_and_gaps():
    """And to nothing else."""
    assert SERVICE.inputs(content()) == ("md.trades.*", "clock.market.*", "md.gaps.*")
