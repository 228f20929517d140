"""Whatever a stream drops, doubles, delays or cuts off: the published trades are the venue's, each once, in order."""

from collections.abc import Iterator
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from core.contracts import BookEvent, Event, TradeEvent, TradeGap, Watermark
from core.market.live import SETTLE_NS, LiveMarket
from core.market.records import DepthRecord, Newest, TradeRecord
from core.market.source import Counts, Tails

S = 1_000_000_000
T0 = 1_723_161_255 * S
SYMBOL = "ATOM/USDT"
PAGE = 7
TRADES = st.integers(1, 60)
SEEDS = st.integers(0, 2**32)


class World:
    """A venue with a tape of trades and a book, a stream that fails in every way, and requests that mostly work."""

    def __init__(self, dice: Random, length: int, *, contiguous: bool = True, forgets: float = 0.0) -> None:
        self.dice, self.contiguous = dice, contiguous
        ts_ns, self.tape = T0, []
        for number in range(1, length + 1):
            ts_ns += dice.choice([0, 1, S // 3, 2 * S, 9 * S])
            own_id = number if contiguous else f"t{dice.randrange(10**9)}-{number}"
            self.tape.append(TradeRecord(own_id, 8.0 + number, 1.0, "buy", ts_ns, ts_ns))
        self.forgotten = {trade.trade_id for trade in self.tape if dice.random() < forgets}
        self.done = 0
        self.way: list[TradeRecord] = []
        self.published: list[Event] = []
        self.start()

    def start(self) -> None:
        """Another process: it knows what was published, and nothing else."""
        tails = Tails.of(self.published)
        self.market = LiveMarket(SYMBOL, "md_ingest.X", tails, contiguous=self.contiguous, counts=Counts())

    @property
    def now_ns(self) -> int:
        return self.tape[max(0, self.done - 1)].ts_ns

    def history(self) -> list[TradeRecord]:
        return [trade for trade in self.tape[: self.done] if trade.trade_id not in self.forgotten]

    def trade(self) -> None:
        """One happens, and perhaps arrives."""
        if self.done < len(self.tape):
            self.way.append(self.tape[self.done])
            self.done += 1
        fate = self.dice.random()
        if fate < 0.2 and self.way and self.contiguous:
            self.way.pop(self.dice.randrange(len(self.way)))  # dropped
        if fate > 0.7 and self.contiguous:
            self.dice.shuffle(self.way)  # reordered
        while self.way and self.dice.random() < 0.6:
            arrived = self.way.pop(0)
            self.published += self.market.on_record(arrived)
            if self.dice.random() < 0.2:
                self.published += self.market.on_record(arrived)  # doubled

    def repair(self) -> None:
        """What the shell does: ask for what is wanted, and for the newest trade."""
        missing = self.market.missing_trades()
        if missing is not None:
            history = self.history()
            if self.contiguous:
                found = [trade for trade in history if int(trade.trade_id) >= missing.from_id][:PAGE]
            else:
                found = [trade for trade in history if trade.ts_ns >= missing.since_ns]
            self.published += self.market.on_trades(found)
        history = self.history()
        newest = Newest(history[-1].trade_id, history[-1].ts_ns) if history else None
        self.published += self.market.on_newest(newest, self.now_ns)

    def disconnect(self) -> None:
        """What is on its way is lost."""
        self.way.clear()
        self.market.on_disconnected()

    def kill(self) -> None:
        """The process ends, and so does its connection."""
        self.way.clear()
        self.start()

    def live(self) -> None:
        """The whole tape, with everything that may happen on the way, and then peace."""
        events = [self.trade] * 8 + [self.repair] * 3 + [self.disconnect, self.kill]
        while self.done < len(self.tape):
            self.dice.choice(events)()
        for _ in range(len(self.tape) * 8):
            self.repair()

    def trades(self) -> list[TradeEvent]:
        return [event for event in self.published if isinstance(event, TradeEvent)]

    def gaps(self) -> list[TradeGap]:
        return [event for event in self.published if isinstance(event, TradeGap)]


def ids(events: list[TradeEvent]) -> list[str]:
    return [event.trade_id for event in events]


def expected(world: World) -> list[str]:
    """The tape from the first published trade on."""
    every = [str(trade.trade_id) for trade in world.tape]
    published = ids(world.trades())
    return every[every.index(published[0]) :] if published else []


def marks(events: list[Event]) -> Iterator[tuple[int, list[TradeEvent]]]:
    """Every watermark with the trades that went out behind it."""
    for place, event in enumerate(events):
        if isinstance(event, Watermark):
            yield event.market_ns, [each for each in events[place:] if isinstance(each, TradeEvent)]


@given(SEEDS, TRADES)
@settings(max_examples=300)
def test_a_venue_that_remembers_loses_nothing(seed, length):
    """Dropped, doubled, reordered, cut off, killed: every trade is published once, in order, and there is no gap."""
    world = World(Random(seed), length)
    world.live()
    assert ids(world.trades()) == expected(world)
    assert world.gaps() == []


@given(SEEDS, TRADES)
@settings(max_examples=200)
def test_what_a_venue_has_forgotten_is_a_gap(seed, length):
    """Every trade is published once and in order, or is one of those that a gap counts, at the place of that gap."""
    world = World(Random(seed), length, forgets=0.3)
    world.live()
    last = None
    for event in world.published:
        if isinstance(event, TradeEvent):
            assert last is None or int(event.trade_id) == last + 1
            last = int(event.trade_id)
        elif isinstance(event, TradeGap):
            assert last is None or event.missing > 0
            last = None if last is None else last + event.missing


@given(SEEDS, TRADES)
@settings(max_examples=200)
def test_names_instead_of_numbers_lose_nothing_either(seed, length):
    """By time and by name: the same, doubled and cut off. What such a stream drops while it lasts, nobody can see."""
    world = World(Random(seed), length, contiguous=False)
    world.live()
    assert sorted(ids(world.trades())) == sorted(set(expected_set(world)))
    assert len(ids(world.trades())) == len(set(ids(world.trades())))


def expected_set(world: World) -> list[str]:
    """The tape from the earliest published trade on: a reordered stream may begin with a later one."""
    published = set(ids(world.trades()))
    every = [str(trade.trade_id) for trade in world.tape]
    return every[min((every.index(own_id) for own_id in published), default=len(every)) :]


@given(SEEDS, TRADES, st.sampled_from([0.0, 0.3]))
@settings(max_examples=200)
def test_no_trade_comes_behind_its_watermark(seed, length, forgets):
    """The market's clock never passes a trade that is still to be published."""
    world = World(Random(seed), length, forgets=forgets)
    world.live()
    for market_ns, later in marks(world.published):
        assert all(trade.ts >= market_ns for trade in later)


def test_a_quiet_market_has_a_clock():
    """Nothing trades for a minute: the venue's own time moves the clock, a second behind it."""
    world = World(Random(1), 1)
    world.trade()
    before = world.tape[0].ts_ns
    events = world.market.on_newest(Newest(1, before), before + 60 * S)
    assert events[-1] == Watermark(SYMBOL, (before + 60 * S - SETTLE_NS) // S * S)


def test_a_trade_without_a_price_does_not_take_the_place_of_the_real_one():
    """It is reported, its number is still missing, and the venue's history brings the real one."""
    market = LiveMarket(SYMBOL, "md_ingest.X", Tails(), contiguous=True, counts=Counts())
    real = [TradeRecord(number, 8.0, 1.0, "buy", T0, T0) for number in (1, 2, 3)]
    said = [*market.on_record(real[0]), *market.on_record(real[1]._replace(price=float("nan")))]
    said += [*market.on_record(real[2]), *market.on_trades(real)]
    assert [type(event).__name__ for event in said] == [
        "Watermark", "TradeEvent", "DeadLetter", "TradeEvent", "TradeEvent",
    ]  # fmt: skip


def test_the_time_of_a_book_proves_nothing_about_trades():
    """A lost trade shows only when a later one comes, so books do not move the clock of a live market."""
    market = LiveMarket(SYMBOL, "md_ingest.X", Tails(), contiguous=True, counts=Counts())
    events = market.on_snapshot(DepthRecord("snapshot", 0, 5, ((8.0, 1.0),), ((8.1, 1.0),), T0, T0))
    assert [type(event) for event in events] == [BookEvent]


@given(SEEDS, st.integers(1, 40))
@settings(max_examples=200)
def test_a_book_is_never_published_across_a_hole(seed, length):
    """Drops, doubles, reorders, reconnects and old snapshots: every delta joins what was published before it."""
    dice = Random(seed)
    market = LiveMarket(SYMBOL, "md_ingest.X", Tails(), contiguous=True, counts=Counts())
    way: list[DepthRecord] = []
    said: list[Event] = []
    last = 0
    for step in range(length * 4):
        first, last = last + 1, last + dice.randint(1, 3)
        way.append(DepthRecord("delta", first, last, ((8.0, 1.0),), (), T0, T0 + step))
        if dice.random() < 0.2:
            way.pop(dice.randrange(len(way)))
        if dice.random() < 0.2:
            dice.shuffle(way)
        while way and dice.random() < 0.7:
            said += market.on_record(way.pop(0))
        if dice.random() < 0.05:
            way.clear()
            market.on_disconnected()
        if market.book.wants() and dice.random() < 0.5:
            seen = max(0, last - dice.randint(0, 6))
            said += market.on_snapshot(DepthRecord("snapshot", 0, seen, ((8.0, 1.0),), ((8.1, 1.0),), T0, T0 + step))
    reached = None
    for event in said:
        assert isinstance(event, BookEvent)
        if event.kind == "delta":
            assert reached is not None
            assert event.first_update_id <= reached + 1 <= event.last_update_id
        reached = event.last_update_id
