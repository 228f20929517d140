"""Trades of a live stream put in order: tables of what comes, what is asked for and what goes out."""

import pytest

from core.contracts import TradeEvent, TradeGap
from core.errors import ConfigError
from core.market.live_trades import (
    BACK_FILL_MAX,
    HELD_MAX,
    TRIES_MAX,
    IdSequence,
    Missing,
    TextSequence,
)
from core.market.records import Newest, TradeRecord
from core.market.source import Counts

S = 1_000_000_000
T0 = 1_723_161_255 * S
SYMBOL = "ATOM/USDT"


def trade(number):
    """The trade of this number, a second behind the one before."""
    return TradeRecord(number, 8.0, 1.0, "buy", T0 + int(str(number).strip("x")) * S, 0)


def published(*numbers):
    return [TradeEvent(SYMBOL, 8.0, 1.0, "buy", trade(number).ts_ns, str(number)) for number in numbers]


def said(steps):
    """Ids of trades; a gap as how many are missing."""
    return [("gap", step.missing) if isinstance(step, TradeGap) else step.trade_id for step in steps]


def numbered(*already):
    counts = Counts()
    return IdSequence(SYMBOL, counts, published(*already)), counts


@pytest.mark.parametrize(
    ("already", "stream", "out", "wanted"),
    [
        ((), [7, 8, 9], [7, 8, 9], None),  # the first trade heard of is the beginning
        ((6,), [7, 8], [7, 8], None),
        ((6,), [7, 7, 6, 8], [7, 8], None),  # each once
        ((6,), [8, 7, 9], [7, 8, 9], None),  # overtaken on the way
        ((6,), [8, 9, 12], [], (7, 7)),  # what is behind the first hole waits
        ((6,), [7, 9, 12], [7], (8, 8)),
        ((6,), [10], [], (7, 9)),
        ((), [7, 9], [7], (8, 8)),
    ],
)
def test_what_comes_goes_out_in_the_order_of_its_numbers(already, stream, out, wanted):
    """A trade behind a hole waits until the hole is filled, and the hole is known by its numbers."""
    sequence, _ = numbered(*already)
    went = [number for each in stream for number in said(sequence.on_trade(trade(each)))]
    missing = sequence.wants()
    assert went == out
    assert (missing and (missing.from_id, missing.to_id)) == wanted
    assert sequence.whole == (wanted is None)


def test_an_answer_fills_the_hole_and_frees_what_waited():
    """The venue gives three trades where one was missing: what is new of them goes out, in order."""
    sequence, counts = numbered(6)
    assert said(sequence.on_trade(trade(8))) == []
    assert said(sequence.on_fetched([trade(9), trade(7), trade(8)])) == [7, 8, 9]
    assert said(sequence.on_trade(trade(9))) == []
    assert (counts.back_filled, counts.duplicates, counts.gaps) == (2, 1, 0)


def test_a_venue_that_does_not_have_the_trade_is_believed_in_the_end():
    """Its history may lag: only after several answers without the trade is there a gap, with the times around it."""
    sequence, counts = numbered(6)
    sequence.on_trade(trade(9))
    for _ in range(TRIES_MAX - 1):
        assert said(sequence.on_fetched([trade(9)])) == []
    gap, behind = sequence.on_fetched([])
    assert (gap.missing, gap.after_ns, gap.before_ns) == (2, T0 + 6 * S, T0 + 9 * S)
    assert behind.trade_id == 9
    assert counts.gaps == 1
    assert sequence.wants() is None


def test_a_hole_inside_an_answer_is_a_gap_of_its_own():
    """The history goes 7, 9: number 7 goes out, 8 is asked for again, then it is a gap of one."""
    sequence, _ = numbered(6)
    sequence.on_newest(Newest(9, T0 + 9 * S))
    assert said(sequence.on_fetched([trade(7), trade(9)])) == [7]
    assert sequence.wants() == Missing(8, 8, T0 + 7 * S)
    assert said(sequence.on_refused("no")) == [("gap", 1), 9]


def test_a_refusal_is_a_gap_up_to_the_next_known_trade():
    """Without any trade behind the hole the gap reaches to the newest one that the venue admitted to, inclusive."""
    sequence, _ = numbered(6)
    sequence.on_newest(Newest(9, T0 + 9 * S))
    gap = sequence.on_refused("needs a key")[0]
    assert (gap.missing, gap.before_ns, gap.reason) == (3, T0 + 9 * S, "needs a key")
    assert said(sequence.on_trade(trade(10))) == [10]


def test_the_newest_trade_shows_what_a_silent_stream_left_out():
    """Nothing came, but the venue has 8: 7 and 8 are asked for."""
    sequence, _ = numbered(6)
    assert sequence.on_newest(Newest(6, trade(6).ts_ns)) == ()
    assert sequence.whole
    sequence.on_newest(Newest(8, trade(8).ts_ns))
    assert sequence.wants() == Missing(7, 8, trade(6).ts_ns)
    assert not sequence.whole


def test_a_first_start_begins_behind_the_newest_trade():
    """What was traded before is of no interest; the next one is."""
    sequence, _ = numbered()
    sequence.on_newest(Newest(6, trade(6).ts_ns))
    assert said(sequence.on_trade(trade(6))) == []
    assert said(sequence.on_trade(trade(8))) == []
    assert sequence.wants() == Missing(7, 7, trade(6).ts_ns)


def test_a_long_absence_is_filled_from_the_newest_hundred_thousand():
    """A million trades were missed: the last 100,000 are asked for, the others are one gap right before them."""
    sequence, _ = numbered(6)
    sequence.on_newest(Newest(1_000_006, trade(1_000_006).ts_ns))
    first = 1_000_006 - BACK_FILL_MAX + 1
    assert sequence.wants() == Missing(first, 1_000_006, trade(6).ts_ns)
    gap, behind = sequence.on_fetched([trade(first)])
    assert (gap.missing, behind.trade_id) == (first - 7, first)
    assert (gap.after_ns, gap.before_ns) == (trade(6).ts_ns, trade(first).ts_ns)


def test_one_absurd_number_on_the_stream_moves_nothing():
    """Only the venue's history can say that so much was missed."""
    sequence, counts = numbered(6)
    assert sequence.on_trade(trade(10**9)) == ()
    assert said(sequence.on_trade(trade(7))) == [7]
    assert counts.ignored == 1


@pytest.mark.parametrize("newest", [Newest(5, T0 + 1006 * S - 61 * S), Newest(6, T0 + 2000 * S)])
def test_a_venue_that_is_behind_what_was_published_is_another_one(newest):
    """Much lower numbers, or a much earlier time: to go on would publish nothing for days."""
    sequence, _ = numbered(1007)
    with pytest.raises(ConfigError, match=r"another venue's.*redis\.cell"):
        sequence.on_newest(newest)


def test_a_history_that_lags_a_little_is_no_other_venue():
    """A cache may be some seconds old."""
    sequence, _ = numbered(1007)
    assert sequence.on_newest(Newest(1000, T0 + 1000 * S)) == ()


def test_a_long_wait_holds_no_more_than_its_share():
    """While a hole stays open the newest trades are left to be asked for: memory is bounded, and nothing is lost."""
    sequence, _ = numbered(0)
    last = HELD_MAX + 500
    for number in range(2, last + 1):
        sequence.on_trade(trade(number))
    assert len(sequence.on_trade(trade(1))) == HELD_MAX + 1
    assert sequence.wants() == Missing(HELD_MAX + 2, last, trade(HELD_MAX + 1).ts_ns)


# -- venues whose ids say nothing


def named(*already):
    counts = Counts()
    return TextSequence(SYMBOL, counts, published(*already)), counts


def test_without_numbers_the_history_is_asked_for_after_every_connection():
    """What the stream brings meanwhile waits; it is asked again until nothing new comes."""
    sequence, counts = named("x6")
    assert sequence.wants() == Missing(0, 0, T0 + 6 * S)
    assert said(sequence.on_trade(trade("x9"))) == []
    assert said(sequence.on_fetched([trade("x6"), trade("x7"), trade("x8")])) == ["x7", "x8"]
    assert not sequence.whole
    assert said(sequence.on_fetched([trade("x8")])) == ["x9"]
    assert sequence.whole
    assert said(sequence.on_trade(trade("x9"))) == []
    assert said(sequence.on_trade(trade("x10"))) == ["x10"]
    assert (counts.back_filled, counts.duplicates, counts.gaps) == (2, 1, 0)
    sequence.on_disconnected()
    assert sequence.wants() == Missing(0, 0, T0 + 10 * S)


def test_a_history_that_does_not_reach_back_is_a_gap_of_unknown_size():
    """The last published trade is not in the answer: something may be missing in between."""
    sequence, _ = named("x6")
    steps = sequence.on_fetched([trade("x8"), trade("x9")])
    assert said(steps) == [("gap", 0), "x8", "x9"]
    assert (steps[0].after_ns, steps[0].before_ns) == (T0 + 6 * S, T0 + 8 * S)


def test_a_history_that_is_refused_is_a_gap_and_the_stream_goes_on():
    """What waited goes out behind the gap."""
    sequence, _ = named("x6")
    sequence.on_trade(trade("x9"))
    assert said(sequence.on_refused("not supported")) == [("gap", 0), "x9"]
    assert sequence.whole


def test_an_unheard_newest_trade_means_that_others_may_be_missing_too():
    """The stream has been silent, the history has not."""
    sequence, _ = named()
    sequence.on_newest(Newest("x6", T0 + 6 * S))
    assert sequence.whole
    sequence.on_newest(Newest("x6", T0 + 6 * S))
    assert sequence.whole
    sequence.on_newest(Newest("x8", T0 + 8 * S))
    assert sequence.wants() == Missing(0, 0, T0 + 6 * S)
