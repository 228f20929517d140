"""So many orders per symbol and minute of market time, and not one more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ContractError
from core.rate_limiter import RateLimiter
from core.risk.bucket import MINUTE_NS, Bucket
from tests.risk_desk import SYMBOL, Desk


def fates(desk, count, **order):
    """What becomes of so many intents; the price is fresh for each."""
    desk.trade(100.0, symbol=order.get("symbol", SYMBOL))
    return [desk.ask(**order) for _ in range(count)]


def test_cap_is_the_number_of_orders_at_once():
    """With a cap of three, the fourth order of the same moment is denied."""
    assert fates(Desk(orders_per_min_cap=3), 5) == ["allowed"] * 3 + ["rate_limit"] * 2


def test_default_cap_is_thirty():
    """Thirty orders pass, the thirty-first does not."""
    assert fates(Desk(), 31) == ["allowed"] * 30 + ["rate_limit"]


def test_tokens_come_back_with_market_time():
    """With a cap of three a token comes back every 20 seconds of market time."""
    desk = Desk(orders_per_min_cap=3)
    fates(desk, 3)
    desk.passes(19.999)
    assert fates(desk, 1) == ["rate_limit"]
    desk.passes(0.001)
    assert fates(desk, 2) == ["allowed", "rate_limit"]
    desk.passes(3600)
    assert fates(desk, 4) == ["allowed"] * 3 + ["rate_limit"]  # never more than the cap


def test_our_own_clock_brings_no_tokens():
    """Time that passes only for us, as on a stalled feed, refills nothing."""
    desk = Desk(orders_per_min_cap=1)
    fates(desk, 1)
    desk.ts_ns += 10 * MINUTE_NS
    desk.trade(100.0)
    assert desk.ask() == "rate_limit"


def test_before_the_first_market_time_nothing_is_refilled():
    """Without a market clock the cap is all there is, and the clock's first word is no minute that has passed."""
    desk = Desk(orders_per_min_cap=2, market_ns=0)
    assert [desk.ask(price="100") for _ in range(3)] == ["allowed", "allowed", "rate_limit"]
    desk.market_ns = 1_723_118_400_000_000_000
    assert desk.ask(price="100") == "rate_limit"


def test_symbols_do_not_share_a_cap():
    """Orders in one symbol leave the cap of another alone."""
    desk = Desk(orders_per_min_cap=2)
    assert fates(desk, 3) == ["allowed", "allowed", "rate_limit"]
    assert fates(desk, 3, symbol="ETH/USDT") == ["allowed", "allowed", "rate_limit"]


@pytest.mark.parametrize("wrong", [{"qty": "0"}, {"qty": "3"}, {"root_age_s": 60}, {"price": "99.995"}])
def test_denied_orders_take_no_token(wrong):
    """Only what passes every other check counts."""
    desk = Desk(orders_per_min_cap=1)
    assert "allowed" not in fates(desk, 50, **wrong)
    assert fates(desk, 1) == ["allowed"]


def test_duplicates_take_no_token():
    """An intent that is answered from memory does not count again."""
    desk = Desk(orders_per_min_cap=2)
    desk.trade(100.0)
    for _ in range(10):
        desk.send(intent_id="i-1")
    assert desk.ask(intent_id="i-2") == "allowed"


def test_rate_cap_survives_a_restart():
    """A restart does not bring a fresh cap."""
    desk = Desk(orders_per_min_cap=2)
    fates(desk, 2)
    restored = Desk(orders_per_min_cap=2)
    restored.seq = desk.seq
    restored.gate.restore(desk.gate.snapshot())
    assert fates(restored, 1) == ["rate_limit"]


def test_intents_denied_for_the_rate_are_answered_so_again():
    """A rate denial is final for its id; the strategy's next intent has another one."""
    desk = Desk(orders_per_min_cap=1)
    fates(desk, 1)
    assert fates(desk, 1, intent_id="i-late") == ["rate_limit"]
    desk.passes(60)
    assert fates(desk, 1, intent_id="i-late") == ["rate_limit"]
    assert fates(desk, 1, intent_id="i-next") == ["allowed"]


@given(cap=st.integers(1, 1000), takes=st.integers(0, 5), cuts=st.lists(st.integers(0, 10**12), max_size=20))
def test_refill_does_not_depend_on_how_often_it_is_looked_at(cap, takes, cuts):
    """A bucket refilled at many moments holds exactly what one refilled once does."""
    often, once = Bucket.full(cap), Bucket.full(cap)
    for bucket in (often, once):
        bucket.refill(0)
        for _ in range(takes):
            bucket.take()
    for moment in cuts:
        often.refill(moment)
    once.refill(max(cuts, default=0))
    assert often == once
    assert 0 <= often.tokens <= cap


async def test_rate_limiter_gives_and_refuses():
    """The awaitable limiter lets two orders pass, refuses the third, and has one more after half a minute."""
    now = [0]
    limiter = RateLimiter(SYMBOL, 2, now_ns=lambda: now[0])
    assert [await limiter.acquire() for _ in range(3)] == [True, True, False]
    now[0] = 30_000_000_000 - 1
    assert await limiter.acquire() is False
    now[0] = 30_000_000_000
    assert [await limiter.acquire() for _ in range(2)] == [True, False]
    now[0] = 0  # a clock that runs backwards gives nothing away
    assert await limiter.acquire() is False


async def test_rate_limiter_has_a_clock_of_its_own():
    """Without a clock given it uses the machine's; the first order passes."""
    assert await RateLimiter("ATOM/USDT", 1).acquire() is True


@pytest.mark.parametrize(("symbol", "cap"), [("", 1), (SYMBOL, 0), (SYMBOL, -1)])
def test_rate_limiter_refuses_nonsense(symbol, cap):
    """A limiter without a name, or that would let nothing pass, is a mistake."""
    with pytest.raises(ContractError):
        RateLimiter(symbol, cap)
