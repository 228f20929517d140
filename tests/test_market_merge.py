"""Several streams of market data as one: the order never depends on who is read first, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contracts import CorporateAction, OHLCVBar, TradeEvent
from core.contracts.enums import ActionKind
from core.errors import DataError
from core.market import merge
from core.market.merge import BLOCK, merged
from core.market.union import SAME_NS, first_of, united_actions, united_bars, united_trades

MINUTE = 60_000_000_000
Tick = tuple[int, str]

rising = st.lists(st.integers(0, 12), max_size=30).map(sorted)


def labeled(lists: list[list[int]]) -> list[list[Tick]]:
    """Events that say which stream and which place they come from."""
    return [[(time, f"{rank}.{at}") for at, time in enumerate(times)] for rank, times in enumerate(lists)]


@given(st.lists(rising, max_size=5), st.integers(1, 7))
def test_the_order_is_time_then_stream_then_place(lists: list[list[int]], block: int) -> None:
    """Whatever the streams hold and however much is read ahead, the result is that of one stable sort."""
    streams = labeled(lists)
    expected = sorted((event for stream in streams for event in stream), key=itemgetter(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "BLOCK", block)
        assert list(merged([iter(each) for each in streams], itemgetter(0))) == expected


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_blocks_end_anywhere(size: int) -> None:
    """Two streams of equal times, of every length around that of a block, come out as pairs."""
    streams = labeled([list(range(size)), list(range(size))])
    assert list(merged(streams, itemgetter(0))) == [each for pair in zip(*streams, strict=True) for each in pair]


def test_one_instant_longer_than_a_block() -> None:
    """A burst at one time keeps stream before stream, although neither fits a block."""
    streams = labeled([[7] * (2 * BLOCK + 3), [7] * (BLOCK + 1)])
    assert list(merged(streams, itemgetter(0))) == streams[0] + streams[1]


def test_it_reads_ahead_no_more_than_a_block() -> None:
    """Years of history are not held in memory to give the first bar."""
    read = 0

    def endless() -> Iterator[Tick]:
        nonlocal read
        while True:
            read += 1
            yield read, "endless"

    both = merged([endless(), iter([(5, "short")])], itemgetter(0))
    assert [next(both)[0] for _ in range(6)] == [1, 2, 3, 4, 5, 5]
    assert read <= 2 * BLOCK


@pytest.mark.parametrize(
    ("times", "names", "said"),
    [
        ([[1, 2], [3, 2]], ("recorded", "mine"), "mine goes back in time: 1970-01-01T00:00:00.000000002Z comes behind"),
        ([[1, 0]], (), "stream 0 goes back in time: 1970-01-01T00:00:00Z comes behind 1970-01-01T00:00:00.000000001Z"),
        ([[5] * BLOCK + [4]], ("long",), "long goes back in time"),
    ],
)
def test_a_stream_that_goes_back_is_named(times: list[list[int]], names: tuple[str, ...], said: str) -> None:
    """Alone or among others, within a block or where two of them meet."""
    with pytest.raises(DataError) as error:
        list(merged(labeled(times), itemgetter(0), names))
    assert str(error.value).startswith(said)


def bar(minute: int, close: float) -> OHLCVBar:
    """A bar of one price."""
    return OHLCVBar("BTC/USDT", "1m", minute * MINUTE, (minute + 1) * MINUTE, close, close, close, close, 1.0)


def trade(ts: int, trade_id: str = "", price: float = 1.0) -> TradeEvent:
    """A trade of one unit."""
    return TradeEvent("BTC/USDT", price, 1.0, "buy", ts, trade_id)


def test_of_two_bars_the_first_source_s_counts() -> None:
    """Source 1 has minutes 0 and 2, source 2 has 0, 1, 2: minute 1 is from the second, the others from the first."""
    one, two = [bar(0, 10.0), bar(2, 12.0)], [bar(0, 20.0), bar(1, 21.0), bar(2, 22.0)]
    assert [each.close for each in united_bars({"one": one, "two": two})] == [10.0, 21.0, 12.0]
    assert [each.close for each in united_bars({"two": two, "one": one})] == [20.0, 21.0, 22.0]


def test_a_trade_of_two_sources_is_one() -> None:
    """Same time and id, or without an id the same in everything; another id or price is another trade."""
    one = [trade(1, "a"), trade(2, "b"), trade(5), trade(5)]
    two = [trade(1, "a"), trade(2, "c"), trade(3, "d"), trade(5), trade(5, price=2.0)]
    given_out = [(each.ts, each.trade_id, each.price) for each in united_trades([one, two])]
    assert given_out == [(1, "a", 1), (2, "b", 1), (2, "c", 1), (3, "d", 1), (5, "", 1), (5, "", 1), (5, "", 2)]


def test_a_late_trade_keeps_its_place() -> None:
    """A recording in which the trade of 3 came behind that of 9; the other source has it in time: it is given once."""
    late = [trade(1, "a"), trade(9, "c"), trade(3, "b"), trade(10, "d")]
    assert [each.ts for each in united_trades([late, [trade(4, "x")]])] == [1, 4, 9, 3, 10]
    assert [each.ts for each in united_trades([late, [trade(3, "b")]])] == [1, 3, 9, 10]
    assert [each.ts for each in united_trades([[trade(3, "b")], [trade(4 + SAME_NS, "y"), trade(3, "b")]])] == [
        3,
        4 + SAME_NS,
        3,
    ]


def action(ts: int, kind: ActionKind, number: str) -> CorporateAction:
    """A split of a ratio or a dividend of an amount."""
    ratio, amount = (Decimal(number), Decimal(0)) if kind == "split" else (Decimal(1), Decimal(number))
    return CorporateAction("AAPL/USD", kind, ts, ratio, amount)


def test_actions_of_several_sources() -> None:
    """By time; a split that two sources know is the first one's, and so are two dividends of one day, both of them."""
    one = [action(20, "split", "4"), action(30, "dividend", "0.5"), action(30, "dividend", "0.1")]
    two = [action(10, "dividend", "0.4"), action(20, "split", "5"), action(20, "dividend", "1"), one[1]]
    assert united_actions([one, two]) == (two[0], two[2], *one)


def test_the_first_stream_that_has_anything() -> None:
    """Changes of two order books are never mixed."""
    assert list(first_of([iter([]), iter([1, 2]), iter([3])])) == [1, 2]
    assert list(first_of([iter(())])) == []
