"""History of a venue page by page: what is believed, what is refused, what is saved and never asked for again."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.data.columns import BarColumns
from backtest.data.download import answers
from backtest.data.download.bar_walk import BarWalk
from backtest.data.download.bars_job import BarsJob, BarsWanted
from backtest.data.download.ledger import Downloaded, Notes, Stretch, read_ledger
from backtest.data.download.outcome import Outcome
from backtest.data.download.progress import Silence
from backtest.data.download.run import NOW, Wish, plan
from backtest.data.download.spans import Span, merged, within, without
from backtest.data.download.trade_walk import by_number, by_time
from backtest.data.download.trades_job import TradesJob, TradesWanted
from backtest.data.store import Dataset, History
from backtest.data.trades import TradeColumns
from core.adapters.venue import VenueTrouble
from core.errors import DataError, UntrustedAnswer
from tests import venue_fakes as fakes
from tests.venue_fakes import MINUTE_NS, START_NS, HonestBars, NumberedFake, TimedFake, bars_of, minutes

SYMBOL = "BTC/USDT"
LATER_NS = START_NS + 10_000 * MINUTE_NS
SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6)


def span(first: int, end: int) -> Span:
    """From a minute to another one, after 2024 began."""
    return START_NS + first * MINUTE_NS, START_NS + end * MINUTE_NS


def walked(source: Any, first: int, end: int, before: BarColumns | None = None) -> tuple[list[int], list[Span]]:
    """The minutes that a walk brings, and the stretches that it calls empty, in minutes."""
    pieces = list(BarWalk(source, SYMBOL, "1m").over(span(first, end), before))
    assert [piece.reached for piece in pieces] == sorted(piece.reached for piece in pieces)
    assert pieces[-1].reached == span(first, end)[1]
    for piece in pieces:
        assert piece.bars.equals(BarColumns.of(SYMBOL, "1m", dict(bars_of(piece.bars.ts_open))))
    times = [(int(ts) - START_NS) // MINUTE_NS for piece in pieces for ts in piece.bars.ts_open]
    empty = merged([each for piece in pieces for each in piece.empty])
    return times, [((a - START_NS) // MINUTE_NS, (b - START_NS) // MINUTE_NS) for a, b in empty]


# -- stretches of time


def covered(spans: Any) -> set[int]:
    """Every whole number in some stretches."""
    return {number for start, end in spans for number in range(start, end)}


@given(SPANS, SPANS, st.tuples(st.integers(0, 30), st.integers(0, 30)))
def test_stretches_are_sets_of_moments(some, others, window):
    """Joining, taking off and cutting out do to stretches what they do to the sets of their moments."""
    assert covered(merged(some)) == covered(some)
    assert covered(without(some, others)) == covered(some) - covered(others)
    assert covered(within(some, window)) == covered(some) & covered([window])
    for made in (merged(some), without(some, others), within(some, window)):
        assert all(first[1] <= second[0] for first, second in pairwise(made))
    assert all(first[1] < second[0] for first, second in pairwise(merged(some)))


# -- answers


KLINE = [1591478520000, "0.02", "0.03", "0.01", "0.025", "8.0", 1591478579999, "0.2", 40, "10.9", "0.27", "0"]
TRADE = {"id": 7, "price": "4.5", "qty": "12.0", "quoteQty": "54", "time": 1499865549590, "isBuyerMaker": True}


def test_a_kline_gives_turnover_count_and_mean_price():
    """0.2 quote units over 8 base units are a mean of 0.025; a bar without volume has none."""
    quiet = [1591478580000, "0.025", "0.025", "0.025", "0.025", "0", 0, "0", 0, "0", "0", "0"]
    made = answers.klines([KLINE, quiet])
    assert made["ts_open"].tolist() == [1591478520000000000, 1591478580000000000]
    assert [made[name][0] for name in ("open", "high", "low", "close", "volume")] == [0.02, 0.03, 0.01, 0.025, 8.0]
    assert (made["turnover"].tolist(), made["trade_count"].tolist()) == ([0.2, 0.0], [40, 0])
    assert made["vwap"][0] == 0.025
    assert np.isnan(made["vwap"][1])


def test_an_empty_answer_is_one():
    """No bars and no trades are an answer, with every column."""
    assert {len(column) for column in answers.klines([]).values()} == {0}
    assert {len(column) for column in answers.candles([]).values()} == {0}
    assert {len(column) for column in answers.numbered_trades([]).values()} == {0}


@pytest.mark.parametrize(
    ("read", "answer"),
    [
        (answers.klines, "<html>"),
        (answers.klines, ""),
        (answers.klines, {"code": -1000}),
        (answers.klines, [KLINE[:6]]),
        (answers.klines, [[*KLINE[:4], None, *KLINE[5:]]]),
        (answers.klines, [[*KLINE[:4], "NaN", *KLINE[5:]]]),
        (answers.klines, [[*KLINE[:4], "0", *KLINE[5:]]]),
        (answers.klines, [[*KLINE[:2], "0.015", *KLINE[3:]]]),
        (answers.klines, [[*KLINE[:5], "-1", *KLINE[6:]]]),
        (answers.klines, [[*KLINE[:7], "Infinity", *KLINE[8:]]]),
        (answers.candles, [[None, 1.0, 1.0, 1.0, 1.0, 1.0]]),
        (answers.candles, [[1, 1.0, 1.0, 1.0, float("inf"), 1.0]]),
        (answers.numbered_trades, [{**TRADE, "price": None}]),
        (answers.numbered_trades, [{**TRADE, "isBuyerMaker": "yes"}]),
        (answers.numbered_trades, [{key: value for key, value in TRADE.items() if key != "id"}]),
        (answers.trades, [{"timestamp": 1, "price": 1.0, "amount": 0.0, "side": "buy"}]),
        (answers.trades, [{"timestamp": 1, "price": 1.0, "amount": 1.0, "side": None}]),
    ],
)
def test_a_broken_answer_is_not_read(read, answer):
    """Pages of HTML, missing, negative or infinite numbers, a high below the open: nothing of it is used."""
    with pytest.raises(answers.UNREADABLE):
        read(answer)


def test_trades_are_read_with_their_side():
    """Where the buyer was waiting, the taker sold; a trade without an id is named by what can be seen of it."""
    made = answers.numbered_trades([TRADE])
    assert (made["trade_id"].tolist(), made["buy"].tolist(), made["ts"].tolist()) == (
        ["7"],
        [False],
        [1499865549590000000],
    )
    row = {"timestamp": 5, "price": 2.0, "amount": 3.0, "side": "buy", "id": None}
    assert answers.trades([row])["trade_id"].tolist() == ["5-buy-2.0-3.0"]


# -- bars, page by page


@given(
    st.sets(st.integers(-3, 45), max_size=49),
    st.integers(2, 12),
    st.booleans(),
    st.tuples(st.integers(0, 40), st.integers(1, 20)),
)
def test_a_walk_brings_what_the_venue_has_and_names_the_rest(served, page, skips_holes, wanted):
    """Whatever holes a venue has and however it pages, each bar comes once, and the rest is called empty."""
    first, length = wanted
    source = HonestBars(minutes(*sorted(served)), page=page, skips_holes=skips_holes)
    times, empty = walked(source, first, first + length)
    inside = [number for number in sorted(served) if first <= number < first + length]
    assert times == inside
    assert covered(empty) == set(range(first, first + length)) - set(inside)


@pytest.mark.parametrize("kind", [fakes.BehindTheStart, fakes.PastTheEnd])
def test_ends_that_belong_to_a_range_or_not_do_not_matter(kind):
    """A venue that begins behind the moment asked for, or goes on behind the end, gives the same bars."""
    assert walked(kind(minutes(*range(100))), 20, 55) == (list(range(20, 55)), [])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (fakes.IgnoresTheStart(minutes(*range(100))), "ignores where a page is to begin"),
        (fakes.SamePageAgain(minutes(*range(19, 100))), "sent the same page again"),
        (fakes.Shuffled(minutes(*range(100))), "do not rise by time"),
        (fakes.Twice(minutes(*range(100))), "do not rise by time"),
        (fakes.BesideTheGrid(minutes(*range(100))), "where no 1m bar begins"),
        (fakes.ChangesItsMind(minutes(*range(100))), "known is"),
        (fakes.NewestOfTheRange(minutes(*range(100))), "left out"),
        (fakes.LeavesSomeOut(minutes(*range(100))), "left out"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, HonestBars) else "",
)
def test_a_venue_that_misleads_is_found_out(source, words):
    """Each way of answering something else than was asked ends the download with its name, and never loops."""
    with pytest.raises(UntrustedAnswer, match=words) as found:
        walked(source, 20, 55)
    assert "BTC/USDT 1m, asked for 2024-01-01T" in str(found.value)
    assert len(source.asked) < 10


def test_a_bar_that_is_known_must_be_the_same():
    """The bar before a hole is on the disk; a venue that says something else about it is not believed."""
    known = BarColumns.of(SYMBOL, "1m", dict(bars_of(minutes(*range(20)))))
    assert walked(HonestBars(minutes(*range(40))), 20, 30, known)[0] == list(range(20, 30))
    changed = BarColumns.of(SYMBOL, "1m", dict(bars_of(minutes(*range(20)), changed=0.5)))
    with pytest.raises(UntrustedAnswer, match=r"says open 1019\.0 now, known is 1019\.5; --force-reprime"):
        walked(HonestBars(minutes(*range(40))), 20, 30, changed)


def test_a_sample_that_is_not_the_same_any_more_is_told():
    """Bars that are asked for a second time must be there again, with the same prices."""
    walk = BarWalk(HonestBars(minutes(*range(40))), SYMBOL, "1m")
    there = BarColumns.of(SYMBOL, "1m", dict(bars_of(minutes(3, 4, 6))))
    with pytest.raises(UntrustedAnswer, match="sent 3 bars first and 4 when asked again"):
        walk.again(there)
    with pytest.raises(UntrustedAnswer, match="says open"):
        walk.again(BarColumns.of(SYMBOL, "1m", dict(bars_of(minutes(3, 4), changed=1.0))))


# -- a download of bars


def download(
    dataset: Dataset, source: Any, first: int, end: int, *, again: bool = False, now: int = LATER_NS
) -> Outcome:
    """One run over some minutes."""
    notes = Notes(dataset.folder, Downloaded(SYMBOL, "1m", "fake", "", span(first, end)[0]))
    return BarsJob(dataset, source, notes, Silence()).run(BarsWanted(SYMBOL, "1m", span(first, end), now, again))


def stored(dataset: Dataset) -> list[int]:
    """The minutes that are on the disk."""
    return [(ts - START_NS) // MINUTE_NS for ts in dataset.bars(SYMBOL, "1m").ts_open.tolist()]


def test_what_is_there_is_not_asked_for(tmp_path):
    """A second run asks nothing; one with a later end asks only for what is behind, and one bar before it."""
    dataset, source = Dataset(tmp_path / "fake"), HonestBars(minutes(*range(60)), page=1000)
    first = download(dataset, source, 0, 30)
    assert (first.had, first.new, first.missing, first.checked) == (0, 30, 0, 10)
    source.asked.clear()
    assert download(dataset, source, 0, 30).new == 0
    assert source.asked == []
    assert download(dataset, source, 0, 40).new == 10
    assert source.asked == [(29, 40), (29, 40)]  # the page, and the sample of all ten of it
    assert stored(dataset) == list(range(40))


def test_holes_of_ours_are_filled_and_those_of_the_venue_are_remembered(tmp_path):
    """A hole on our disk is asked for; one that the venue has is named as its own, and left alone from then on."""
    dataset = Dataset(tmp_path / "fake")
    there = [number for number in range(60) if not 20 <= number < 28]
    source = HonestBars(minutes(*there), page=10)
    dataset.add(BarColumns.of(SYMBOL, "1m", dict(bars_of(minutes(*range(10), *range(40, 60))))))
    done = download(dataset, source, 0, 60)
    assert (done.had, done.new, done.missing, done.own) == (30, 22, 8, 8)
    assert [((hole.start_ns, hole.end_ns), hole.missing) for hole in done.holes] == [(span(20, 28), 8)]
    assert "8 bars, which the venue itself does not have" in done.text()
    assert stored(dataset) == there
    source.asked.clear()
    assert download(dataset, source, 0, 60).missing == 8
    assert source.asked == []
    source.times = minutes(*range(60))  # the venue has found them
    assert download(dataset, source, 0, 60, again=True).new == 8
    assert stored(dataset) == list(range(60))
    assert read_ledger(dataset.folder).series[0].empty == ()


def test_what_a_venue_does_not_have_yet_is_asked_for_again(tmp_path):
    """Nothing at the very end may still come; nothing that is older than a day will not."""
    dataset, source = Dataset(tmp_path / "fake"), HonestBars(minutes(*range(30)))
    done = download(dataset, source, 0, 40, now=span(0, 40)[1])
    assert (done.new, done.missing, done.own) == (30, 10, 0)
    assert "10 bars:" in done.text()
    source.times = minutes(*range(35))
    assert download(dataset, source, 0, 40, now=span(0, 40)[1]).new == 5
    assert download(dataset, source, 0, 40, now=span(0, 40 + 1440)[1]).own == 5


@pytest.mark.parametrize("answered", [0, 1, 3, 6])
def test_what_was_fetched_before_the_end_is_kept(tmp_path, answered):
    """A venue that goes away leaves what it had said on the disk; the next run asks only for the rest."""
    dataset, source = Dataset(tmp_path / "fake"), HonestBars(minutes(*range(60)), page=10)
    with pytest.raises(VenueTrouble):
        download(dataset, fakes.DiesAfter(source, answered), 0, 60)
    kept = (
        min(10 * answered - (answered - 1), 60) if answered else 0
    )  # pages overlap by a bar, the first has no bar before
    assert stored(dataset) == list(range(kept))
    source.asked.clear()
    assert download(dataset, source, 0, 60).new == 60 - kept
    assert min(first for first, _ in source.asked) >= kept - 1
    assert stored(dataset) == list(range(60))


def test_fetching_again_replaces_what_differs(tmp_path):
    """A venue that has corrected its history is refused as it differs from the disk, and taken when that is asked."""
    dataset, source = Dataset(tmp_path / "fake"), HonestBars(minutes(*range(30)), page=1000)
    dataset.add(BarColumns.of(SYMBOL, "1m", dict(bars_of(minutes(*range(20)), changed=1.0))))
    with pytest.raises(UntrustedAnswer):
        download(dataset, source, 0, 30)
    done = download(dataset, source, 0, 30, again=True)
    assert (done.new, done.replaced) == (10, 20)
    assert dataset.bars(SYMBOL, "1m").equals(BarColumns.of(SYMBOL, "1m", dict(bars_of(minutes(*range(30))))))


def test_another_venue_needs_another_dataset(tmp_path):
    """Bars of two venues are never mixed in one series."""
    Notes(tmp_path, Downloaded(SYMBOL, "1m", "kraken", "", 0)).begin()
    with pytest.raises(DataError, match="come from 'kraken', not 'fake'"):
        Notes(tmp_path, Downloaded(SYMBOL, "1m", "fake", "", 0))


def test_a_broken_ledger_is_named(tmp_path):
    """What is no ledger is told with its file, and that it may go."""
    (tmp_path / "downloads.json").write_text('{"series":[{"symbol":1}]}')
    with pytest.raises(DataError, match=r"downloads\.json: .*can be deleted"):
        read_ledger(tmp_path)


# -- trades


def numbered(*missing: int, limit: int = 5) -> NumberedFake:
    """Trades 100 to 139, one every half minute, some of which the venue has lost."""
    numbers = np.array([number for number in range(100, 140) if number not in missing], np.int64)
    return NumberedFake(numbers, START_NS + (numbers - 100) * MINUTE_NS // 2, limit)


def expected(first: int, end: int, *missing: int) -> TradeColumns:
    """Those of some minutes."""
    fake = numbered(*missing)
    found = fake.rows(np.arange(len(fake.numbers)))
    del found["number"]
    return TradeColumns.of(SYMBOL, found).between(*span(first, end))


def trade_download(dataset: Dataset, source: NumberedFake, first: int, end: int, *, again: bool = False) -> Outcome:
    """One run over some minutes."""
    notes = Notes(dataset.folder, Downloaded(SYMBOL, "", "fake", "", span(first, end)[0]))
    job = TradesJob(dataset, lambda wanted, from_id: by_number(source, SYMBOL, wanted, from_id), notes, Silence())
    return job.run(TradesWanted(SYMBOL, span(first, end), again))


def test_numbered_trades_come_once_each_and_go_on_by_their_number(tmp_path):
    """Minutes 3 to 8 are trades 106 to 115; what follows them begins with number 116, and nothing is asked twice."""
    dataset, source = Dataset(tmp_path / "fake"), numbered()
    done = trade_download(dataset, source, 3, 8)
    assert (done.new, done.missing) == (10, 0)
    assert source.asked == [106, 111, 116]
    assert trade_download(dataset, source, 3, 12).new == 8
    assert source.asked[3:] == [116, 121]
    assert dataset.trades(SYMBOL).equals(expected(3, 12))
    assert trade_download(dataset, source, 3, 12).new == 0
    assert len(source.asked) == 5
    assert trade_download(dataset, source, 3, 12, again=True).replaced == 0
    assert read_ledger(tmp_path / "fake").series[0].done == (Stretch(*span(3, 12), 124),)


def test_numbers_that_a_venue_has_lost_are_counted(tmp_path):
    """Trades 110, 111 and 112 are missing among those of the first fifteen minutes."""
    done = trade_download(Dataset(tmp_path / "fake"), numbered(110, 111, 112), 0, 15)
    assert (done.new, done.missing) == (27, 3)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ([0, 2, 1, 3], "comes behind"),
        ([0, 0, 1, 2], "comes behind"),
        ([-1, 0, 1, 2], "the venue begins at"),
    ],
)
def test_numbers_that_fall_or_repeat_are_refused(order, words):
    """A page whose numbers do not rise, or that begins before the one asked for, is not believed."""

    class Odd(NumberedFake):
        def page(self, from_id):
            return self.rows(np.array(order) + 10)

    fake = numbered()
    with pytest.raises(UntrustedAnswer, match=words):
        list(by_number(Odd(fake.numbers, fake.times), SYMBOL, span(0, 9), 110))


@pytest.mark.parametrize("limit", [3, 7, 50])
def test_trades_by_time_come_once_each(limit):
    """Where pages overlap in a moment each trade is still taken once; quiet hours are walked through."""
    fake = numbered(*range(110, 130), limit=limit)  # ten minutes of nothing
    pieces = list(by_time(TimedFake(fake), SYMBOL, span(2, 18)))
    made = [trade for piece in pieces for trade in piece.trades.trade_id.tolist()]
    assert made == expected(2, 18, *range(110, 130)).trade_id.tolist()
    assert pieces[-1].reached == span(2, 18)[1]


def test_a_moment_with_more_trades_than_a_page_is_refused():
    """Trades that cannot be reached are not passed over in silence."""
    numbers = np.arange(20, dtype=np.int64)
    fake = NumberedFake(numbers, np.full(20, START_NS), limit=5)
    with pytest.raises(UntrustedAnswer, match="more trades than the 5 that an answer holds"):
        list(by_time(TimedFake(fake), SYMBOL, span(0, 5)))


# -- plans


def test_a_plan_says_what_is_missing(tmp_path):
    """Of an hour of which ten minutes are there and five are known to be nowhere, 45 bars are left to ask for."""
    history = History(tmp_path)
    dataset = history.dataset("fake")
    dataset.add(BarColumns.of(SYMBOL, "1m", dict(bars_of(minutes(*range(10))))))
    wish = Wish("fake", "fake", "", SYMBOL, "1m", *span(0, 60))
    Notes(dataset.folder, wish.entry).add_empty([span(20, 25)])
    (planned,) = plan(history, [wish])
    assert (planned.had, planned.new, planned.requests, planned.planned) == (10, 45, 2, True)
    assert [(hole.start_ns, hole.end_ns) for hole in planned.holes] == [span(10, 20), span(25, 60)]
    (whole,) = plan(history, [Wish("fake", "fake", "", SYMBOL, "1m", *span(0, 60), again=True)])
    assert whole.new == 60
    (late,) = plan(history, [Wish("fake", "fake", "", SYMBOL, "1m", span(0, 1)[0] + 1, NOW)])
    assert late.start_ns == span(1, 2)[0]
    assert late.end_ns % MINUTE_NS == 0
