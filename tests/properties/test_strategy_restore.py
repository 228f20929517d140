"""A host restored from its memory at any event has the same future as one that never stopped."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from core import codec
from core.contracts import Event, OrderIntent
from strategies.samples.sma_cross import SmaCross
from strategies.samples.trendline_break import TrendlineBreak
from tests.strategy_desk import ATOM, BTC, Desk, content, entry, fill, second, trade
from tests.strategy_probes import Diary, Everything, Fragile, Greeter

BOTH = [BTC, ATOM]
HOST = content(
    entry("sma", SmaCross, symbols=BOTH, params={"fast": 2, "slow": 3, "qty": "0.1", "retry_s": 2.0}),
    entry("line", TrendlineBreak, params={"lookback_periods": 3, "breakout_threshold": 0.01}),
    entry("everything", Everything, symbols=BOTH, params={"length": 2}),
    entry("fragile", Fragile, params={"breaks_at": 15.0}),
    entry("diary", Diary, symbols=BOTH),
    entry("greeter", Greeter),
)
PRICES = st.sampled_from([9.0, 10.0, 10.1, 11.0, 14.0, 16.0]) | st.floats(0.01, 1e5)
STEPS = st.one_of(
    st.tuples(st.just("trade"), PRICES, st.sampled_from(BOTH)),
    st.tuples(st.just("second"), st.just(0.0), st.sampled_from(BOTH)),
    st.tuples(st.just("fill"), st.integers(1, 50).map(float), st.sampled_from(["everything", "diary", "gone"])),
)
ANSWERS = st.sampled_from(["deny", "execute", "silence"])


def event_of(step, at_s) -> Event:
    """The event that a drawn step stands for."""
    kind, number, text = step
    if kind == "trade":
        return trade(number, text, at_s=at_s)
    if kind == "second":
        return second(at_s, text)
    return fill(text, "buy", str(number), "12.5")


def play(steps, answers, restarts):
    """Everything a host says over a session, and its memory at the end."""
    desk, said = Desk(HOST), []
    for index, step in enumerate(steps):
        if index in restarts:
            desk = desk.restarted()
        wishes = desk.see(event_of(step, index))
        said += wishes
        for wish in wishes:
            answer = answers[index % len(answers)]
            if isinstance(wish, OrderIntent) and wish.strategy_id == "sma" and answer != "silence":
                said += desk.deny(wish) if answer == "deny" else desk.allow(wish) + desk.execute(wish, 10.0)
    return said, desk.host.snapshot()


@settings(deadline=None)
@given(
    steps=st.lists(STEPS, max_size=40),
    answers=st.lists(ANSWERS, min_size=1, max_size=5),
    restarts=st.sets(st.integers(0, 39), max_size=4),
)
def test_restarts_change_nothing(steps, answers, restarts):
    """Killed and restored at any events, all strategies say what they would have said, and remember the same."""
    said, memory = play(steps, answers, restarts=())
    again, memory_again = play(steps, answers, restarts)
    assert again == said
    assert codec.encode_state(memory_again) == codec.encode_state(memory)
