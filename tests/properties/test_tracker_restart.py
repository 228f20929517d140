"""A portfolio tracker restored from its memory at any event has the same future as one that never stopped."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from core import codec
from core.contracts import FillEvent, PnlDay, PortfolioSnapshot, TradeEvent, Watermark
from core.handler import At
from portfolio.manager import SERVICE

CONTENT = {"portfolio": {"id": "main", "starting_cash": "10000", "quote": "USDT"}}
SECOND = 1_000_000_000
EVENING_NS = 1_723_161_599 * SECOND  # 2024-08-08T23:59:59Z, one second before midnight

SYMBOL = st.sampled_from(["BTC/USDT", "ETH/USDT"])
PRICE = st.sampled_from([0.1 + 0.2, 99.97, 100.0, 61837.63]) | st.floats(1e-6, 1e9)
JUMP_NS = st.sampled_from([0, 0, 1, SECOND // 2, SECOND, 61 * SECOND, 86_400 * SECOND])


@st.composite
def steps(draw):
    """How far the market's clock has moved since the last event, and the next one."""
    symbol, price = draw(SYMBOL), draw(PRICE)
    kind = draw(st.sampled_from(["trade", "clock", "clock", "fill"]))
    if kind == "trade":
        return draw(JUMP_NS), TradeEvent(symbol, price, 1.0, "buy", EVENING_NS)
    if kind == "clock":
        return draw(JUMP_NS), Watermark(symbol, EVENING_NS)
    qty = Decimal(draw(st.integers(1, 10**6))).scaleb(-5)
    fee = draw(st.decimals("-1", "1", places=6))
    return draw(JUMP_NS), FillEvent("o-1", symbol, draw(st.sampled_from(["buy", "sell"])), qty, price, fee, EVENING_NS)


@settings(max_examples=150, deadline=None)
@given(
    history=st.lists(steps(), max_size=40),
    known=st.booleans(),
    restarts=st.sets(st.integers(0, 39), max_size=4),
)
def test_restarts_change_nothing(history, known, restarts):
    """Killed and restored at any events, over midnights and before any market time, it says the same bytes.

    And to the last digit the profit of a day is the distance of the equity from that at its opening.
    """
    first, second = SERVICE.build(CONTENT), SERVICE.build(CONTENT)
    market_ns = EVENING_NS if known else 0
    for seq, (jump_ns, event) in enumerate(history):
        if seq in restarts:
            saved = json.loads(json.dumps(second.snapshot()))
            second = SERVICE.build(CONTENT)
            second.restore(saved)
        market_ns += jump_ns if market_ns else 0
        at = At(seq, seq, market_ns, seq, seq)
        said = first.on_event(event, at)
        assert list(map(codec.encode, second.on_event(event, at))) == list(map(codec.encode, said))
        for word in said:
            assert isinstance(word, PortfolioSnapshot | PnlDay)
            if isinstance(word, PnlDay):
                assert Fraction(word.pnl) == Fraction(word.equity) - Fraction(word.equity_open)
    assert codec.encode_state(second.snapshot()) == codec.encode_state(first.snapshot())
