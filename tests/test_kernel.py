"""The kernel: who hears first, functions that listen for a while, and what stands in front of the order."""

from __future__ import annotations

import dataclasses

import pytest

from core import codec, topics
from core.contracts import ConfigChanged, Event, TradeEvent, ValuationTrigger, Watermark
from core.handler import Service
from core.kernel import Kernel, Token
from core.runner import Item

S = 1_000_000_000
NOON = 1_723_118_400 * S
BTC = "BTC/USDT"
INGEST = "md_ingest.BTCUSDT"


class Echo:
    """Says its name and the second after noon for every tick of the clock."""

    def __init__(self, name):
        self.name = name

    def on_event(self, event, at):
        return (ValuationTrigger(f"{self.name} {seconds(event)}"),) if isinstance(event, Watermark) else ()

    def snapshot(self):
        return {}

    def restore(self, state):
        """It remembers nothing."""


def echo(name):
    return Service(name, lambda content: ("clock.market.*",), lambda content: Echo(name))


def note(heard: list[object], what: object) -> tuple[Event, ...]:
    """A listener that remembers and says nothing."""
    heard.append(what)
    return ()


def kernel_of(*names, **options):
    kernel = Kernel([echo(name) for name in names], **options)
    kernel.configure({name: {} for name in names})
    return kernel


def clock(second):
    return Watermark(BTC, NOON + second * S)


def trade(price, qty=1.0):
    return TradeEvent(BTC, price, qty, "buy", NOON + S, "1")


def seconds(event):
    return (event.market_ns - NOON) // S


def events(lines):
    """The events of lines, in order."""
    return [codec.decode_line(line, codec.header_of(line)) for _, line in lines]


def said(lines):
    """The reasons of all that was said, in order."""
    return [event.reason for event in events(lines) if isinstance(event, ValuationTrigger)]


# -- who hears first


@pytest.mark.parametrize(
    ("priorities", "order"),
    [
        ({}, ["a", "b", "c"]),
        ({"c": 1}, ["c", "a", "b"]),
        ({"a": -1}, ["b", "c", "a"]),
        ({"b": 2, "c": 2, "a": 1}, ["b", "c", "a"]),
    ],
)
def test_the_highest_priority_hears_and_answers_first(priorities, order):
    """Among equals, whoever was there first."""
    kernel = kernel_of("a", "b", "c", priorities=priorities)
    assert said(kernel.feed(INGEST, [clock(1)])) == [f"{name} 1" for name in order]


def test_a_function_has_its_place_among_the_services():
    """Before all with 5, between them with 1, behind those of its own rank."""
    kernel = kernel_of("high", "low", priorities={"high": 2})
    for name, priority in (("middle", 1), ("first", 5), ("last", 0)):
        kernel.subscribe("clock.*", lambda event, header, name=name: [ValuationTrigger(name)], priority=priority)
    assert said(kernel.feed(INGEST, [clock(1)])) == ["first", "high 1", "middle", "low 1", "last"]


# -- functions that listen


def test_a_listener_hears_its_topics_with_their_headers_until_it_is_ended():
    """A pattern's events alone; what it answers names it and the line that it answers."""
    kernel = kernel_of("a")
    heard: list[tuple[int, Event]] = []

    def listen(event, header):
        heard.append((header.seq, event))
        return [ValuationTrigger("mine")] if event == trade(101.0) else ()

    token = kernel.subscribe("md.trades.*", listen)
    lines = kernel.feed(INGEST, [trade(100.0), clock(1), trade(101.0)])
    assert [event for _, event in heard] == [trade(100.0), trade(101.0)]
    header = codec.header_of(lines[-1][1])
    assert (header.src, header.cause, header.root) == (f"listener.{token.number}", heard[1][0], heard[1][0])
    kernel.unsubscribe(token)
    kernel.unsubscribe(token)
    kernel.feed(INGEST, [trade(102.0)])
    assert len(heard) == 2


def test_a_line_that_is_no_event_is_not_handed_to_a_listener():
    """A free payload has no type that anybody could tell."""
    kernel = Kernel([])
    heard: list[object] = []
    kernel.subscribe("*", lambda event, header: note(heard, event))
    kernel.publish("bus.1", [Item("notes", "Json", 0, 0, 0, b'{"a":1}')])
    kernel.feed(INGEST, [trade(100.0)])
    assert heard == [trade(100.0)]


def test_subscriptions_change_between_lines_never_within_one():
    """Two listeners, of which the first ends the second and starts a third: the second still hears this line."""
    kernel = Kernel([])
    heard: list[object] = []

    def first(event, header):
        kernel.unsubscribe(second)
        if len(heard) < 2:
            kernel.subscribe("clock.*", lambda event, header: note(heard, ("third", seconds(event))))
        heard.append(("first", seconds(event)))
        return ()

    kernel.subscribe("clock.*", first)
    second = kernel.subscribe("clock.*", lambda event, header: note(heard, ("second", seconds(event))))
    kernel.feed(INGEST, [clock(1), clock(2)])
    assert heard == [("first", 1), ("second", 1), ("first", 2), ("third", 2)]


def test_a_service_can_be_taken_out_of_a_run():
    """From then on it neither hears nor is configured; the others go on."""
    kernel = kernel_of("a", "b")
    assert said(kernel.feed(INGEST, [clock(1)])) == ["a 1", "b 1"]
    kernel.unsubscribe(kernel.tokens["a.main"])
    assert said(kernel.feed(INGEST, [clock(2)])) == ["b 2"]
    assert list(kernel.runners) == list(kernel.tokens) == ["b.main"]
    assert [event.instance for event in events(kernel.configure({"b": {}}))] == ["b.main"]


def test_a_token_that_was_never_given_ends_nothing():
    """The services go on."""
    kernel = kernel_of("a")
    kernel.unsubscribe(Token(99))
    assert said(kernel.feed(INGEST, [clock(1)])) == ["a 1"]


# -- in front of the order


def test_a_middleware_sees_everything_before_it_is_numbered():
    """The configuration, what a source brings, what a service answers, each with who publishes it."""
    kernel = Kernel([echo("a")])
    seen: list[tuple[str, type[Event], int]] = []

    def watch(source, event):
        seen.append((source, type(event), kernel.seq))
        return event

    kernel.intercept(watch)
    kernel.configure({"a": {}})
    kernel.feed(INGEST, [clock(1)])
    assert seen == [("a.main", ConfigChanged, 0), (INGEST, Watermark, 1), ("a.main", ValuationTrigger, 2)]


def test_a_middleware_that_passes_everything_changes_no_byte():
    """The lines of a run with and without it are the same."""
    plain, watched = kernel_of("a", "b"), kernel_of("a", "b")
    watched.intercept(lambda source, event: event)
    tape = [clock(1), trade(100.0), clock(2)]
    assert plain.feed(INGEST, tape) == watched.feed(INGEST, tape)


def test_a_dropped_event_is_counted_and_has_no_number():
    """Neither it nor what would follow from it exists; the numbers have no hole, and `_more` none either."""
    kernel = kernel_of("a")
    kernel.intercept(lambda source, event: None if event == clock(2) else event)
    start = kernel.seq
    lines = kernel.feed(INGEST, [clock(1), clock(2), clock(3)])
    assert said(lines) == ["a 1", "a 3"]
    assert [codec.seq_of(line) for _, line in lines] == list(range(start + 1, start + 5))
    assert kernel.dropped == 1
    items = [Item(topics.topic_of(each), "Watermark", 0, 0, 0, codec.encode(each)) for each in (clock(2), clock(4))]
    ((_, line), _) = kernel.publish(INGEST, items)
    assert (codec.header_of(line).more, codec.header_of(line).n) == (0, 3)
    assert kernel.dropped == 2


def test_another_event_can_take_the_place_of_one():
    """Also on another topic; it keeps the cause, and everybody hears the new one alone."""
    kernel = kernel_of("a")
    heard: list[object] = []
    kernel.subscribe("*", lambda event, header: note(heard, event))

    def later(source: str, event: Event) -> Event:
        if isinstance(event, TradeEvent):
            return dataclasses.replace(event, price=event.price * 2)
        if isinstance(event, ValuationTrigger):
            return dataclasses.replace(event, reason=event.reason.upper())
        return event

    kernel.intercept(later)
    lines = kernel.feed(INGEST, [trade(100.0), clock(1)])
    assert events(lines) == heard == [trade(200.0), clock(1), ValuationTrigger("A 1")]
    tick, answer = (codec.header_of(line) for _, line in lines[1:])
    assert (answer.cause, answer.root) == (tick.seq, tick.seq)


def test_middleware_stands_in_a_row_and_can_be_taken_away():
    """Each sees what the one before it has left; what is dropped reaches no later one."""
    kernel = Kernel([])
    seen: list[float] = []

    def doubled(source: str, event: Event) -> Event:
        assert isinstance(event, TradeEvent)
        return dataclasses.replace(event, price=event.price * 2)

    def cheap(source: str, event: Event) -> Event | None:
        assert isinstance(event, TradeEvent)
        return None if event.price > 250 else event

    def noted(source: str, event: Event) -> Event:
        assert isinstance(event, TradeEvent)
        seen.append(event.price)
        return event

    double = kernel.intercept(doubled)
    kernel.intercept(cheap)
    kernel.intercept(noted)
    kernel.feed(INGEST, [trade(100.0), trade(200.0)])
    kernel.unsubscribe(double)
    kernel.feed(INGEST, [trade(200.0)])
    assert (seen, kernel.dropped) == ([200.0, 200.0], 1)


def test_two_runs_with_all_of_it_are_equal():
    """Priorities, listeners and middleware are as repeatable as handlers are."""

    def run():
        kernel = kernel_of("a", "b", "c", priorities={"c": 3, "a": 1})
        kernel.subscribe("clock.*", lambda event, header: [ValuationTrigger(f"x {header.seq}")], priority=2)
        kernel.intercept(lambda source, event: None if source == "b.main" and seconds_of(event) % 2 else event)
        return kernel.feed(INGEST, [clock(second) for second in range(20)])

    assert run() == run()


def seconds_of(event):
    """The second that an echo has named."""
    return int(event.reason.split()[1]) if isinstance(event, ValuationTrigger) else 0
