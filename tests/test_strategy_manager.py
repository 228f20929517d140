"""Strategies under their host: who sees what, what is made of their wishes, errors, and the way over a bus."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from core import codec, topics
from core.bus import InMemoryBus
from core.contracts import (
    CancelIntent,
    ConfigChanged,
    Malformed,
    OHLCVBar,
    OrderIntent,
    OrderStatus,
    PositionSnapshot,
    RiskDecision,
    StrategyFailed,
    intent_id,
    timeframe_ns,
)
from core.errors import BusUnavailable, ConfigError
from core.ledger.positions import POSITIONS_MAX
from strategies.host import ROUTED_BY
from strategies.manager import SERVICE, StrategyManager
from strategies.registry import StrategyRegistry
from tests.strategy_desk import ATOM, BTC, START_NS, Desk, content, entry, fill, intents, second, trade, update
from tests.strategy_probes import Diary, Everything, Fragile, Greeter, Hoarder, Plain, Priced, Talker, Wrong


def seen_by(desk, name="diary"):
    """What a diary has written."""
    rows = {row["entry"]["id"]: row for row in desk.host.snapshot()["strategies"]}
    return rows[name]["state"]["seen"]


def test_inputs_cover_events_prices_and_own_affairs():
    """The service hears what enabled strategies list, prices of their symbols, and what is always needed."""
    listed = content(
        entry("a", Plain, events=["md.ohlcv.1m.*"], symbols=[BTC, ATOM]),
        entry("b", Plain, events=["md.book.*"], enabled=False),
    )
    assert SERVICE.inputs(listed) == (
        "clock.market.*",
        "fills.new",
        "md.ohlcv.1m.*",
        f"md.trades.{ATOM}",
        f"md.trades.{BTC}",
        "orders.updates",
        "risk.decisions",
        "strat.sizing",
    )
    assert SERVICE.name == "strategy_runner"


def test_no_channel_is_subscribed_twice():
    """A pattern swallows what it covers, because two subscriptions would deliver an event twice."""
    listed = content(entry("a", Plain, events=["md.trades.*", f"md.trades.{BTC}", "md.*", "fills.new"]))
    assert SERVICE.inputs(listed) == (
        "clock.market.*", "fills.new", "md.*", "orders.updates", "risk.decisions", "strat.sizing",
    )  # fmt: skip


def test_a_strategy_sees_its_symbols_and_events_only():
    """Trades of BTC reach it; trades of ATOM, bars and seconds of ATOM do not."""
    desk = Desk(content(entry("diary", Diary)))
    bar = OHLCVBar(BTC, "1m", 0, 60 * 10**9, 1.0, 1.0, 1.0, 1.0, 1.0)
    desk.see_all([trade(1), trade(1, ATOM), bar, second(1), second(1, ATOM), Malformed("md.trades.x", "broken")])
    assert seen_by(desk) == ["TradeEvent", "Watermark"]


def test_a_strategy_sees_its_own_affairs_whatever_it_lists():
    """Fills, updates and decisions reach their owner in any symbol, and nobody else."""
    desk = Desk(content(entry("mine", Diary, events=["md.book.*"]), entry("other", Diary, events=["md.book.*"])))
    intent = OrderIntent("mine", ATOM, "buy", "market", Decimal(1))
    desk.see(RiskDecision("i-1", True, strategy_id="mine", symbol=ATOM))
    desk.see(update(intent, OrderStatus.ACK, Decimal(0)))
    desk.see(fill("mine", "buy", "1", "10", ATOM))
    desk.see(fill("", "buy", "1", "10", ATOM))
    assert seen_by(desk, "mine") == ["RiskDecision", "OrderUpdate", "FillEvent"]
    assert seen_by(desk, "other") == []


def test_a_listed_view_of_the_account_is_no_private_matter():
    """Position snapshots of the whole account reach whoever lists them; those of another strategy do not."""
    desk = Desk(content(entry("diary", Diary, events=["positions.snapshot"])))
    for owner in ("", "diary", "another"):
        desk.see(PositionSnapshot(BTC, 1.0, 1.0, 0.0, 0, owner))
    assert seen_by(desk) == ["PositionSnapshot", "PositionSnapshot"]


def test_the_price_is_known_before_the_strategy_is_asked():
    """During a trade the context already holds its price; symbols that the strategy has not, it does not learn."""
    desk = Desk(content(entry("priced", Priced)))
    said = [*desk.see(trade(101.5)), *desk.see(trade(7, ATOM)), *desk.see(trade(99.25))]
    assert list(intents(said)) == [("priced", "buy", "101.5"), ("priced", "buy", "99.25")]
    assert desk.host.snapshot()["strategies"][0]["prices"] == {BTC: 99.25}


def test_prices_come_without_being_listed():
    """A strategy that listens to bars alone has trade prices too."""
    desk = Desk(content(entry("diary", Diary, events=["md.ohlcv.1m.*"])))
    desk.see(trade(101.5))
    assert seen_by(desk) == []
    assert desk.host.snapshot()["strategies"][0]["prices"] == {BTC: 101.5}


def test_positions_are_the_own_ones():
    """Two strategies in one symbol: each holds what its own fills say, bought 0.3 and sold 0.1 is 0.2."""
    desk = Desk(content(entry("a", Priced), entry("b", Priced)))
    for owner, side, qty in (("a", "buy", "0.3"), ("b", "sell", "4"), ("a", "sell", "0.1"), ("c", "buy", "9")):
        desk.see(fill(owner, side, qty, "100"))
    said = {wish.strategy_id: wish.limit_price for wish in desk.see(trade(100)) if isinstance(wish, OrderIntent)}
    assert said == {"a": Decimal("0.2"), "b": Decimal(-4)}


def test_wishes_are_put_on_the_grid_once():
    """Lot 0.001 and tick 0.01: quantities go down, a buyer's limit goes down; an unknown symbol passes as it is."""
    listed = content(entry("priced", Priced, symbols=[BTC, "XRP/USDT"]))
    desk = Desk(listed)
    desk.see(fill("priced", "buy", "10.129", "100"))
    desk.see(fill("priced", "buy", "10.129", "100", "XRP/USDT"))
    said = desk.see(trade(1.23456)) + desk.see(trade(1.23456, "XRP/USDT"))
    assert [(wish.qty, wish.limit_price) for wish in said if isinstance(wish, OrderIntent)] == [
        (Decimal("1.234"), Decimal("10.12")),
        (Decimal("1.23456"), Decimal("10.129")),
    ]


def test_everything_said_is_collected_under_the_own_name():
    """Bus, payload and yield count alike, in order; ids follow from strategy, cause and place; names are corrected."""
    desk = Desk(content(entry("talker_v1", Talker)))
    said = desk.see(trade(10))
    assert said == [
        OrderIntent("talker_v1", BTC, "buy", "market", Decimal(n), None, intent_id("talker_v1", 1, n - 1))
        for n in (1, 2, 3)
    ]
    assert desk.see(fill("talker_v1", "buy", "1", "10")) == [CancelIntent("talker_v1", "o-x", BTC)]


def test_ids_of_two_strategies_never_meet():
    """Two strategies of one class answer one trade with different ids, and so do two trades."""
    desk = Desk(content(entry("a", Plain), entry("b", Plain)))
    said = desk.see(trade(10)) + desk.see(trade(10))
    assert len({wish.intent_id for wish in said if isinstance(wish, OrderIntent)}) == 4


def test_a_raising_strategy_stops_nobody_else():
    """What it said before it raised is dropped, the failure is an event without addresses, the other goes on."""
    desk = Desk(content(entry("bad", Fragile), entry("good", Plain)))
    assert list(intents(desk.see(trade(100)))) == [("bad", "buy", "1"), ("good", "buy", "1")]
    said = desk.see(trade(101))
    error = "RuntimeError: too dear for <object object at 0x...>"
    assert said[0] == StrategyFailed("bad", error, 1, False)
    assert list(intents(said)) == [("good", "buy", "1")]
    assert list(intents(desk.see(trade(100)))) == [("bad", "buy", "1"), ("good", "buy", "1")]


def test_after_too_many_errors_a_strategy_is_quarantined():
    """With max_errors 3 the third error is its last event, also over a restart and a reload of the same entry."""
    desk = Desk(content(entry("bad", Fragile), entry("good", Plain)))
    flags = [said[0].quarantined for said in desk.see_all([trade(101)] * 3) if isinstance(said[0], StrategyFailed)]
    assert flags == [False, False, True]
    for again in (desk, desk.restarted(), desk.restarted(content(entry("good", Plain), entry("bad", Fragile)))):
        assert list(intents(again.see(trade(100)))) == [("good", "buy", "1")]


def test_a_changed_entry_ends_the_quarantine():
    """Once its entry is changed the strategy starts fresh, and its errors count from zero."""
    desk = Desk(content(entry("bad", Fragile)))
    desk.see_all([trade(101)] * 3)
    mended = desk.restarted(content(entry("bad", Fragile, params={"breaks_at": 200.0})))
    assert list(intents(mended.see(trade(101)))) == [("bad", "buy", "1")]
    [failed] = mended.see(trade(201))
    assert isinstance(failed, StrategyFailed)
    assert failed.errors == 1


@pytest.mark.parametrize(
    ("says", "error"),
    [
        ("text", "ContractError: a strategy said str; allowed: OrderIntent, CancelIntent, Signal"),
        ("event", "ContractError: a strategy said TradeEvent; allowed: OrderIntent, CancelIntent, Signal"),
        ("number", "TypeError: 'int' object is not iterable"),
        ("one", "TypeError: 'OrderIntent' object is not iterable"),
        ("nothing", "KeyError: 'nothing'"),
    ],
)
def test_a_wrong_answer_counts_as_an_error(says, error):
    """Texts, forged trades and bare numbers are no wishes; nothing of such an answer goes out."""
    desk = Desk(content(entry("wrong", Wrong, params={"says": says})))
    assert desk.see(trade(1)) == [StrategyFailed("wrong", error, 1, False)]


def test_start_and_stop_are_called_once():
    """`on_start` answers the first event of its life, not of each process; `on_stop` comes with its removal."""
    desk = Desk(content(entry("greeter", Greeter)))
    assert list(intents(desk.see(second(1)))) == [("greeter", "buy", "1")]
    assert desk.see(second(2)) == []
    again = desk.restarted()
    assert again.see(second(3)) == []
    removed = again.restarted(content())
    for host in (removed.restarted(), removed):  # also if the process dies between the reload and the next event
        assert list(intents(host.see(second(4)))) == [("greeter", "sell", "2")]
        assert host.see(second(5)) == []


def test_an_exchanged_class_stops_the_old_and_starts_the_new():
    """Under one id another class: the last word of the old one and the first of the new have different ids."""
    desk = Desk(content(entry("one", Greeter)))
    desk.see(second(1))
    changed = desk.restarted(content(entry("one", Everything)))
    back = changed.restarted(content(entry("one", Greeter)))
    said = back.see(second(2))
    assert list(intents(said)) == [("one", "sell", "2"), ("one", "buy", "1")]
    assert len({wish.intent_id for wish in said if isinstance(wish, OrderIntent)}) == 2


def test_a_reload_goes_on_receiving():
    """After a change of parameters a strategy keeps its memory and its position, and is shown every further event."""
    desk = Desk(content(entry("diary", Diary)))
    desk.see_all([trade(1), fill("diary", "buy", "2", "10"), trade(2)])
    changed = desk.restarted(content(entry("diary", Diary, params={"colour": "blue"}), entry("new", Diary)))
    changed.see_all([trade(3), second(1)])
    assert seen_by(changed) == ["TradeEvent", "FillEvent", "TradeEvent", "TradeEvent", "Watermark"]
    assert seen_by(changed, "new") == ["TradeEvent", "Watermark"]
    assert changed.host.snapshot()["positions"][0]["qty"] == 2.0


def test_a_reload_hears_new_symbols_and_forgets_old_prices():
    """Symbols of the new entry are heard; a price of a symbol that it no longer has is not kept."""
    desk = Desk(content(entry("priced", Priced)))
    desk.see(trade(5))
    moved = desk.restarted(content(entry("priced", Priced, symbols=[ATOM])))
    assert list(intents([*moved.see(trade(6)), *moved.see(trade(7, ATOM))])) == [("priced", "buy", "7")]
    assert moved.host.snapshot()["strategies"][0]["prices"] == {ATOM: 7.0}


def test_an_indicator_of_another_length_starts_fresh():
    """A reload from length 3 to length 2: counts are kept, averages need two prices again."""
    desk = Desk(content(entry("e", Everything, params={"length": 3})))
    desk.see_all([trade(price) for price in (10, 11, 12, 13, 14)])
    shorter = desk.restarted(content(entry("e", Everything, params={"length": 2})))
    assert [len(said) for said in shorter.see_all([trade(price) for price in (15, 16, 17)])] == [0, 0, 1]


def test_positions_outlive_their_strategy():
    """A strategy that is taken out and put back finds what it holds, fills of the meantime included."""
    desk = Desk(content(entry("priced", Priced)))
    desk.see(fill("priced", "buy", "2", "10"))
    without = desk.restarted(content())
    without.see(fill("priced", "buy", "3", "10"))
    again = without.restarted(content(entry("priced", Priced)))
    [wish] = again.see(trade(10))
    assert isinstance(wish, OrderIntent)
    assert wish.limit_price == 5


def test_what_cannot_be_remembered_stops_the_start():
    """A strategy whose memory could not survive a restart is refused before it trades."""
    with pytest.raises(ConfigError, match=r"strategy 'h' cannot be made: ContractError: Hoarder\.things"):
        Desk(content(entry("h", Hoarder)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"symbols": BTC}, "strategies.yaml: strategy 'x': symbols is 'BTC/USDT'; allowed: a list of texts"),
        ({"symbols": []}, "strategies.yaml: strategy 'x': symbols is empty; allowed: at least one symbol"),
        ({"symbols": [1]}, "strategies.yaml: strategy 'x': symbols holds 1; allowed: texts that are not empty"),
        ({"events": "md.trades.*"}, "strategies.yaml: strategy 'x': events is 'md.trades.*'; allowed: a list of texts"),
        ({"events": ["md.trade.*"]}, "events holds 'md.trade.*', which covers no topic; did you mean 'md.trades.*'?"),
        ({"enabled": "yes"}, "strategies.yaml: strategy 'x': enabled is 'yes'; allowed: true, false"),
        ({"params": [1]}, "strategies.yaml: strategy 'x': params is [1]; allowed: keys and values"),
        ({"param": {}}, "strategies.yaml: strategy 'x': param: unknown key; did you mean 'params'?"),
        ({"id": ""}, "strategies.yaml: strategies[0]: id is ''; allowed: a text that is not empty"),
        ({"class": 7}, "strategies.yaml: strategy 'x': class is 7; allowed: a text that is not empty"),
        (
            {"class": "strategies.samples.sma_cross.SmaCros"},
            "strategies.yaml: strategy 'x': class: no strategy 'strategies.samples.sma_cross.SmaCros'; "
            "did you mean 'strategies.samples.sma_cross.SmaCross'?",
        ),
        (
            {"class": "sma_cross", "params": {"fsat": 3}},
            "strategies.yaml: strategy 'x': params.fsat: unknown key; did you mean 'fast'?",
        ),
    ],
)
def test_mistakes_in_an_entry_are_named(values, message):
    """A wrong entry stops the start; the message names file, strategy, key, value and what is allowed."""
    with pytest.raises(ConfigError) as error:
        Desk(content({**entry("x", Plain), **values}))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_errors": 0}, "max_errors is 0; allowed: a whole number, 1 or more"),
        ({"max_error": 3}, "max_error: unknown key; did you mean 'max_errors'?"),
        ({"strategies": {}}, "strategies is {}; allowed: a list of entries"),
        ({"strategies": ["x"]}, "strategies[0] is 'x'; allowed: keys and values"),
        ({"instruments": [{"symbol": "BTC"}]}, "strategy_runner: instruments:"),
        ({"strategies": [entry("x", Plain)] * 2}, "id 'x' is given 2 times; allowed: each id once"),
    ],
)
def test_mistakes_around_the_entries_are_named(changes, message):
    """Doubled ids, wrong lists and wrong limits are refused the same way."""
    with pytest.raises(ConfigError) as error:
        Desk(content(**changes))
    assert message in str(error.value)


def test_a_disabled_strategy_does_nothing():
    """A disabled entry is checked but not run; its class need not exist yet."""
    desk = Desk(content(entry("later", "strategies.samples.not_written.Yet", enabled=False)))
    assert desk.see(trade(1)) == []


def test_routes_know_every_field_that_names_a_topic():
    """Who gets an event is remembered by the fields that its topic's name is made of; none is missing."""
    named = {field for topic in topics.TOPICS for field in topic.regex.groupindex}
    assert named <= set(ROUTED_BY)


def test_a_change_of_configuration_is_an_event_like_any_other():
    """The event that announces the configuration starts the strategies and is shown to nobody who did not list it."""
    desk = Desk(content(entry("greeter", Greeter), entry("diary", Diary)))
    said = desk.see(ConfigChanged("strategy_runner.main", {}, "", "", 1))
    assert list(intents(said)) == [("greeter", "buy", "1")]
    assert seen_by(desk) == []


async def listening(bus, count):
    """Give the other tasks their turns until so many subscriptions are open."""
    for _ in range(100):
        if len(bus.server.inboxes) == count:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{len(bus.server.inboxes)} of {count} subscriptions are open")


@pytest.fixture
def registry():
    """A registry with the samples."""
    found = StrategyRegistry()
    found.discover()
    return found


async def test_the_manager_answers_over_a_bus(registry):
    """Loaded from a configuration it hears trades by pattern and publishes intents on `strat.intent`."""
    bus = InMemoryBus()
    manager = StrategyManager(registry, bus)
    await manager.load(content(entry("plain_v1", Plain)))
    inbox = bus.subscribe("strat.intent")
    first, running = asyncio.ensure_future(anext(inbox)), asyncio.ensure_future(manager.run())
    await listening(bus, 2)
    for event in (trade(10), trade(11, ATOM), trade(12)):
        await bus.publish_json(topics.topic_of(event), codec.to_dict(event))
    wishes = [codec.from_dict(OrderIntent, payload) for payload in (await first, await anext(inbox))]
    assert wishes == [
        OrderIntent("plain_v1", BTC, "buy", "market", Decimal(1), None, intent_id("plain_v1", n, 0)) for n in (1, 3)
    ]
    bus.server.stop()
    with pytest.raises(BusUnavailable):
        await running


async def test_a_manager_reloads_what_it_reads(registry):
    """`reload` reads the configuration again: new strategies answer, old ones keep their memory, all go on."""
    listed = [content(entry("diary", Diary))]
    manager = StrategyManager(registry, InMemoryBus())
    await manager.load(lambda: listed[-1])
    await manager.dispatch(trade(1))
    listed.append(content(entry("diary", Diary, params={"colour": "red"}), entry("plain", Plain)))
    await manager.reload()
    assert list(intents([*await manager.dispatch(trade(2)), *await manager.dispatch(second(1))])) == [
        ("plain", "buy", "1"),
        ("diary", "buy", "3"),
    ]


async def test_a_wrong_reload_changes_nothing(registry):
    """A configuration with a mistake is refused, and what was loaded before goes on."""
    listed = [content(entry("plain", Plain))]
    manager = StrategyManager(registry, InMemoryBus())
    await manager.load(lambda: listed[-1])
    listed.append(content(entry("plain", "tests.strategy_probes.Plian")))
    with pytest.raises(ConfigError, match="Plian"):
        await manager.reload()
    assert list(intents([*await manager.dispatch(trade(1))])) == [("plain", "buy", "1")]


@pytest.mark.parametrize("act", ["reload", "run", "dispatch"])
async def test_a_manager_without_strategies_says_so(registry, act):
    """Using it before `load` is an error that names what is missing."""
    manager = StrategyManager(registry, InMemoryBus())
    calls = {"reload": manager.reload, "run": manager.run, "dispatch": lambda: manager.dispatch(trade(1))}
    with pytest.raises(ConfigError, match="call load"):
        await calls[act]()


def test_bars_reach_by_time_frame():
    """A pattern with a time frame in it lets only that one through."""
    desk = Desk(content(entry("diary", Diary, events=["md.ohlcv.5m.*"])))
    for frame in ("1m", "5m", "15m"):
        desk.see(OHLCVBar(BTC, frame, START_NS, START_NS + timeframe_ns(frame), 1.0, 1.0, 1.0, 1.0, 1.0))
    assert seen_by(desk) == ["OHLCVBar"]


def test_names_that_nobody_hosts_do_not_fill_the_memory():
    """Fills of ever new strategies that end flat: what is remembered of them stops growing, also over a restart."""
    desk = Desk(content(entry("diary", Diary)))
    for number in range(POSITIONS_MAX + 3):
        desk.see_all([fill(f"s{number}", side, "1", "10") for side in ("buy", "sell")])
    before = desk.host.snapshot()
    desk.see_all([fill(name, side, "1", "10") for name in ("late", "diary") for side in ("buy", "sell")])
    assert desk.host.snapshot()["positions"] == before["positions"]
    desk.see_all([fill("diary", "buy", "1", "10")])
    assert desk.host.snapshot()["positions"][0]["strategy_id"] == "diary"
