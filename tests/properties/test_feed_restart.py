"""Wherever a publisher is killed, what it published and what it publishes afterwards are one undisturbed run."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from core.contracts import Event
from core.market.feed import Feed
from core.market.records import DepthRecord, QuoteRecord, TradeRecord
from core.market.source import Tails

T0 = 1_723_161_255_000_000_000
MS = 1_000_000


def publish(tape, published=()):
    """Everything a feed makes of a tape, behind what was published."""
    feed = Feed("BTC/USDT")
    feed.restore(Tails.of(published))
    return [event for record in tape for event in feed.on_record(record)]


def record(kind, number, at_ms, recv):
    """A record of any kind; a negative time is none."""
    ts_ns = T0 + at_ms * MS if at_ms >= 0 else 0
    if kind == "trade":
        return TradeRecord(number, 100.0 + number, 1.0, "buy", T0 + abs(at_ms) * MS, recv)
    if kind == "quote":
        return QuoteRecord(number, 99.0, 1.0, 101.0, 1.0, ts_ns, recv)
    return DepthRecord(kind, number, number, ((99.0, 1.0),), (), ts_ns, recv)


KINDS = st.sampled_from(["trade", "quote", "delta", "snapshot"])
SHORT = st.lists(st.tuples(KINDS, st.integers(0, 12), st.integers(-1, 4000), st.integers(0, 1)), max_size=40)


@given(SHORT, st.data())
@settings(max_examples=200, deadline=None)
def test_any_short_tape(rows, data):
    """Repeated, reordered, stale and timeless records of all kinds, received together or one by one."""
    recv, tape = 1, []
    for kind, number, at_ms, later in rows:
        recv += later
        tape.append(record(kind, number, at_ms, recv))
    whole = publish(tape)
    kill = data.draw(st.integers(0, len(whole)), label="events published before the kill")
    assert publish(tape, whole[:kill]) == whole[kill:]


def disordered(seed, length, spread):
    """A long tape: trades up to `spread` places from their order, some twice, and other streams between them."""
    dice = Random(seed)
    ids = sorted(range(1, length), key=lambda number: number + dice.random() * spread)
    tape = []
    for place, number in enumerate(ids):
        recv = T0 + place * 7
        tape.append(record("trade", number, number * 40, recv))
        if dice.random() < 0.2:
            tape.append(record("trade", dice.choice(ids[max(0, place - 600) : place + 1]), number * 40, recv))
        if dice.random() < 0.3:
            kind = dice.choice(["quote", "delta", "snapshot"])
            tape.append(record(kind, place - dice.randrange(5) + 5, number * 40 + dice.randrange(-1500, 1500), recv))
    return tape


@given(st.integers(0, 2**32), st.sampled_from([0, 2, 300, 511, 2000]), st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_tapes_longer_than_the_window(seed, spread, share):
    """Three windows of trades, some so far out of order that they are refused: the tails are long enough to know."""
    tape = disordered(seed, 1600, spread)
    whole = publish(tape)
    kill = round(share * len(whole))
    assert publish(tape, whole[:kill]) == whole[kill:]


@given(st.integers(0, 2**32), st.floats(0, 1), st.integers(0, 400))
@settings(max_examples=25, deadline=None)
def test_following_capture(seed, share, overlap):
    """A second tape that continues the first goes on where the first was left, overlapping or not."""
    tape = disordered(seed, 900, 0)
    cut = round(share * len(tape))
    whole = publish(tape)
    published = publish(tape[:cut])
    assert published + publish(tape[max(0, cut - overlap) :], published) == whole


@given(st.integers(0, 2**32), st.lists(st.floats(0, 1), max_size=5))
@settings(max_examples=10, deadline=None)
def test_killed_again_and_again(seed, shares):
    """Restarts add up: each folds what all those before it have published."""
    tape = disordered(seed, 1200, 40)
    whole = publish(tape)
    published: list[Event] = []
    for share in shares:
        rest = publish(tape, published)
        published += rest[: round(share * len(rest))]
    assert published + publish(tape, published) == whole
