"""The simulated exchange without sockets: candles, book, trades, faults, limits, and the shapes of what it says."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.sim_exchange.main import _recorded
from core import codec
from core.contracts.market import PriceLevel
from core.errors import ConfigError
from core.market.records import DepthRecord, QuoteRecord, Record
from core.market.synthetic_market import SyntheticMarket
from core.sim.clock import VirtualClock
from core.sim.exchange import Exchange, Tape
from core.sim.faults import Fault, FaultPlan, fault_of, faults_of, spoil
from core.sim.klines import Klines
from core.sim.limits import Weights
from core.sim.market import Market, NoPast
from core.sim.rest import Rest
from core.sim.tape import SyntheticPast, entered_at, snapshot_first
from core.sim.trades import Trades, aggregates
from tests.sim_market import BTC, DATA, NS_PER_S, capture, trade

MINUTE_NS = 60 * NS_PER_S
START_NS = trade(0, 1, 1, 0).ts_ns


def delta(first: int, last: int, bids: tuple[PriceLevel, ...], asks: tuple[PriceLevel, ...], second: float = 0):
    ts_ns = START_NS + int(second * NS_PER_S)
    return DepthRecord("delta", first, last, bids, asks, ts_ns, ts_ns)


def exchange(*records: Record, wanted: set[str] | None = None) -> Exchange:
    return Exchange([Tape(BTC, records, NoPast())], wanted or set())


def played(*records: Record) -> Rest:
    """The routes behind some records."""
    made = exchange(*records)
    for _ in made.advance(records[-1].recv_ns):
        pass
    return Rest(made, 1200)


def test_candles_add_up_exactly_and_fill_quiet_minutes():
    """Ten times 0.1 is 1; a minute without a trade keeps the last price; two minutes make one of twice the length."""
    klines = Klines()
    for number in range(10):
        klines.add(trade(number, 100.0 + number, 0.1, 6 * number, "buy" if number % 2 else "sell"))
    klines.add(trade(10, 90.0, 2.0, 130))
    first, quiet, last = klines.select(MINUTE_NS, None, None, 10)
    assert (first.open, first.high, first.low, first.close, first.trades) == (100.0, 109.0, 100.0, 109.0, 10)
    assert first.volume == 100_000_000
    assert first.buy_volume == 50_000_000
    assert first.quote == 1_045 * 10**15  # (100 + ... + 109) * 0.1 = 104.5
    assert (quiet.open, quiet.close, quiet.volume, quiet.first_id) == (109.0, 109.0, 0, -1)
    assert (last.open, last.volume, last.first_id) == (90.0, 200_000_000, 10)
    (whole,) = klines.select(3 * MINUTE_NS, None, None, 10)
    assert (whole.open, whole.high, whole.low, whole.close) == (100.0, 109.0, 90.0, 90.0)
    assert (whole.volume, whole.trades, whole.first_id, whole.last_id) == (300_000_000, 11, 0, 10)


@pytest.mark.parametrize(
    ("start", "end", "limit", "minutes"),
    [
        (None, None, 2, [3, 4]),
        (0, None, 2, [0, 1]),
        (1, 2, 9, [1, 2]),
        (0.5, 1.5, 9, [1]),
        (None, 1.5, 1, [1]),
        (9, None, 9, []),
    ],
)
def test_candles_are_chosen_by_where_they_begin(start, end, limit, minutes):
    """With a start the first ones from there, else the last ones up to the end."""
    klines = Klines()
    for minute in range(5):
        klines.add(trade(minute, 100.0, 1.0, 60 * minute))
    first, last = (None if edge is None else START_NS + int(edge * MINUTE_NS) for edge in (start, end))
    chosen = klines.select(MINUTE_NS, first, last, limit)
    assert [(each.open_ns - START_NS) // MINUTE_NS for each in chosen] == minutes


def test_a_late_trade_counts_in_its_own_minute():
    """As the exchange's own candles do, which go by the time of the trade."""
    klines = Klines()
    for each in (trade(1, 100.0, 1.0, 59), trade(2, 101.0, 1.0, 60), trade(3, 99.0, 1.0, 59.9)):
        klines.add(each)
    first, second = klines.select(MINUTE_NS, None, None, 2)
    assert (first.close, first.volume, second.open, second.volume) == (99.0, 200_000_000, 101.0, 100_000_000)


def test_recorded_trades_give_the_exchanges_own_candles():
    """Ten whole minutes of Binance, prices to the last digit, volumes to 1e-6."""
    files = [capture(f"btcusdt_2024080{day}.gz") for day in (8, 9)]
    reference = DATA / "reference" / "trades_to_klines_BTC" / "klines_1m.csv"
    rest = played(*_recorded(files, "BTC/USDT"))
    with reference.open() as file:
        rows = list(csv.DictReader(file))
    first, last = (int(rows[index]["ts_open"]) // 10**6 for index in (0, -1))
    span = {"symbol": "BTCUSDT", "interval": "1m", "startTime": str(first), "endTime": str(last)}
    served = rest.answer("klines", span).body
    assert len(served) == len(rows) == 10
    for ours, theirs in zip(served, rows, strict=True):
        assert ours[0] * 10**6 == int(theirs["ts_open"])
        assert [float(value) for value in ours[1:5]] == [float(theirs[key]) for key in ("open", "high", "low", "close")]
        assert float(ours[5]) == pytest.approx(float(theirs["volume"]), abs=1e-6)


def test_a_recorded_book_and_the_recorded_best_prices_agree():
    """The book that is answered chains to the changes that follow, and is never crossed."""
    tape = Tape(BTC, snapshot_first(_recorded([capture("btcusdt_20240808.gz")], "BTC/USDT")), NoPast())
    made = Exchange([tape], set())
    book = made.markets["BTCUSDT"].book
    for _ in made.step():
        pass
    assert book.last_id == 50093239218
    assert book.bids(1) == [(61837.63, 3.78826)]
    for _ in range(60):
        for _ in made.advance(made.market_ns + 5 * NS_PER_S):
            pass
        assert book.bids(1)[0][0] < book.asks(1)[0][0]
        assert book.last_id == made.markets["BTCUSDT"].depth_id


def test_the_book_takes_changes_in_order_and_levels_go_at_zero():
    """What is older than the book changes nothing."""
    rest = played(
        DepthRecord("snapshot", 0, 10, ((99.0, 1.0), (98.0, 2.0)), ((101.0, 3.0),), 0, START_NS),
        delta(8, 10, ((98.0, 7.0),), ()),
        delta(11, 12, ((99.0, 0.0), (97.0, 4.0)), ((100.5, 1.0),), 1),
    )
    assert rest.answer("depth", {"symbol": "BTCUSDT", "limit": "2"}).body == {
        "lastUpdateId": 12,
        "bids": [("98.00000000", "2.00000000"), ("97.00000000", "4.00000000")],
        "asks": [("100.50000000", "1.00000000"), ("101.00000000", "3.00000000")],
    }


def test_trades_of_one_order_are_aggregated():
    """Same price, side and millisecond; the ids of the first and the last are named."""
    rows = [
        trade(1, 100.0, 0.5, 1), trade(2, 100.0, 0.25, 1), trade(3, 100.5, 1.0, 1), trade(4, 100.5, 1.0, 1, "sell"),
        trade(5, 100.5, 1.0, 2, "sell"),
    ]  # fmt: skip
    made = [(each.first.trade_id, each.last_id, each.qty) for each in aggregates(rows)]
    assert made == [(1, 2, 0.75), (3, 3, 1.0), (4, 4, 1.0), (5, 5, 1.0)]


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(2, 12), st.integers(0, 45), st.integers(1, 20))
def test_trades_keep_the_newest_of_rising_ids(ids, kept, start, limit):
    """Whatever comes, the store holds a tail of the record highs, and pages them from any id on."""
    store, highs = Trades(kept), []
    for each in ids:
        if store.add(trade(each, 1.0, 1.0, 0)):
            highs.append(each)
    assert highs == [each for place, each in enumerate(ids) if all(each > before for before in ids[:place])]
    held = [each.trade_id for each in store.latest(1000)]
    assert held == highs[len(highs) - len(held) :]
    assert len(held) <= kept
    assert [each.trade_id for each in store.page(start, limit)] == [each for each in held if each >= start][:limit]


def test_time_is_the_same_before_and_behind_a_restart():
    """It depends on the wall clock, the start and the speed alone."""
    clock = VirtualClock(START_NS, 5_000, 2.5)
    assert [clock.market_ns(wall) - START_NS for wall in (0, 5_000, 5_004, 7_000)] == [0, 0, 10, 5_000]
    assert clock.wait_ns(START_NS + 10, 5_000) == 4


@pytest.mark.slow
def test_a_market_entered_late_is_the_one_that_has_run_all_along():
    """Trades, book and candles of two hours in, with only the last hour played; older trades are made again."""
    market = SyntheticMarket(BTC, 7)
    now_ns = market.start_ns + 61 * MINUTE_NS + 30 * NS_PER_S
    answers = []
    for entered_ns in (market.start_ns, now_ns):
        made = Exchange([Tape(BTC, entered_at(market, entered_ns), SyntheticPast(market))], set())
        for _ in made.advance(now_ns):
            pass
        rest = Rest(made, 1200)
        symbol = {"symbol": "BTCUSDT"}
        asked = [
            ("depth", symbol), ("trades", symbol), ("ticker/bookTicker", symbol), ("ticker/price", symbol),
            ("time", {}),             ("klines", {**symbol, "interval": "1m", "limit": "60"}), ("aggTrades", symbol),
            ("historicalTrades", {**symbol, "fromId": "1", "limit": "900"}),
            ("historicalTrades", {**symbol, "fromId": str(first_of(market, 1) - 5), "limit": "10"}),
        ]  # fmt: skip
        answers.append([rest.answer(*each) for each in asked])
    assert answers[0] == answers[1]
    assert [row["id"] for row in answers[1][-2].body] == list(range(1, 901))
    assert len(answers[1][-1].body) == 10


def first_of(market: SyntheticMarket, minute: int) -> int:
    return next(islice(market.minutes(), minute, None)).first_trade_id


RECORDS = (
    DepthRecord("snapshot", 0, 10, ((99.0, 1.0),), ((101.0, 3.0),), 0, START_NS),
    trade(1, 100.0, 0.5, 1.001, "sell"),
    trade(2, 100.0, 0.5, 1.001, "sell"),
    QuoteRecord(11, 99.0, 1.0, 100.5, 2.0, 0, START_NS + 1_500_000_000),
    delta(11, 11, (), ((100.5, 2.0),), 1.5),
    delta(12, 12, (), ((100.5, 3.0),), 1.6),
    trade(3, 101.0, 2.0, 61.5),
    delta(13, 13, (), (), 63.5),
)


def told(*streams: str) -> list[dict[str, Any]]:
    """Everything that goes out on some streams while the records are played, second by second."""
    made = exchange(*RECORDS, wanted={"btcusdt@" + stream for stream in streams})
    seconds = (made.advance(START_NS + second * NS_PER_S) for second in range(65))
    return [codec.decode_json(data) for second in seconds for _, data in second]


def test_each_stream_has_binances_shape():
    """Field by field as exchange.md and the venue's documentation have them."""
    ms = START_NS // 10**6
    assert told("trade")[0] == {
        "e": "trade", "E": ms + 1001, "s": "BTCUSDT", "t": 1, "p": "100.00000000", "q": "0.50000000", "T": ms + 1001,
        "m": True, "M": True,
    }  # fmt: skip
    assert told("aggTrade")[0] == {
        "e": "aggTrade", "E": ms + 1001, "s": "BTCUSDT", "a": 1, "p": "100.00000000", "q": "1.00000000", "f": 1, "l": 2,
        "T": ms + 1001, "m": True, "M": True,
    }  # fmt: skip
    assert told("bookTicker") == [
        {"u": 11, "s": "BTCUSDT", "b": "99.00000000", "B": "1.00000000", "a": "100.50000000", "A": "2.00000000"}
    ]
    assert told("depth@100ms")[0] == {
        "e": "depthUpdate", "E": ms + 1500, "s": "BTCUSDT", "U": 11, "u": 11, "b": [],
        "a": [["100.50000000", "2.00000000"]],
    }  # fmt: skip
    slow = told("depth")
    assert [(each["U"], each["u"], each["a"]) for each in slow] == [(11, 12, [["100.50000000", "3.00000000"]])]
    assert [set(each) for each in told("miniTicker")] == [set("eEscohlvq")] * 2
    assert {frozenset(each) for each in told("ticker")} == {frozenset("eEspPwxcQbBaAohlvqOCFLn")}


def test_a_candle_is_told_while_it_grows_and_once_when_it_is_closed():
    """Its last word comes before the first word of the next one."""
    candles = [each["k"] for each in told("kline_1m")]
    assert {frozenset(each) for each in candles} == {frozenset("tTsifLocHhlvnxqVQB".replace("H", ""))}
    start = START_NS // 10**6
    assert [(each["t"] - start, each["n"], each["v"], each["x"]) for each in candles] == [
        (0, 2, "1.00000000", False),
        (0, 2, "1.00000000", True),
        (60_000, 1, "2.00000000", False),
    ]


def test_a_quiet_minute_is_closed_without_a_trade():
    """A second after its end, because some trades come that late."""
    records = (trade(1, 100.0, 1.0, 30), delta(1, 1, (), (), 60.5), delta(2, 2, (), (), 61.5), delta(3, 3, (), (), 62))
    made = exchange(*records, wanted={"btcusdt@kline_1m"})
    closed = []
    for _ in records:
        for _, data in made.step():
            if codec.decode_json(data)["k"]["x"]:
                closed.append((made.venue_ns - START_NS) / NS_PER_S)
    assert closed == [61.5]


def test_nothing_is_written_that_nobody_wants():
    """No listener, no message."""
    assert told() == []


def test_a_day_of_trading_in_one_row():
    """Change, average and volumes from the arithmetic beside them."""
    rest = played(trade(1, 100.0, 1.0, 0), trade(2, 110.0, 3.0, 61, "sell"))
    (row,) = rest.answer("ticker/24hr", {}).body
    assert row["priceChange"] == "10.00000000"
    assert row["priceChangePercent"] == "10.000"
    assert row["weightedAvgPrice"] == "107.50000000"  # (100 + 330) / 4
    assert (row["volume"], row["quoteVolume"], row["count"]) == ("4.00000000", "430.00000000", 2)
    assert (row["openPrice"], row["highPrice"], row["lowPrice"], row["lastPrice"], row["lastQty"]) == (
        "100.00000000", "110.00000000", "100.00000000", "110.00000000", "3.00000000",
    )  # fmt: skip
    assert row["closeTime"] - row["openTime"] == 86_400_000


def test_what_happened_more_than_a_day_ago_is_not_in_the_day():
    """And its close is the previous one."""
    rest = played(trade(1, 90.0, 5.0, 0), trade(2, 100.0, 1.0, 86_400 + 120))
    day = rest.answer("ticker/24hr", {"symbol": "BTCUSDT"}).body
    assert (day["volume"], day["openPrice"], day["prevClosePrice"]) == ("1.00000000", "100.00000000", "90.00000000")


@pytest.mark.parametrize(
    ("route", "params", "status", "code"),
    [
        ("depth", {}, 400, -1102),
        ("depth", {"symbol": "NOPE"}, 400, -1121),
        ("depth", {"symbol": "btcusdt"}, 400, -1100),
        ("depth", {"symbol": "BTCUSDT", "limit": "x"}, 400, -1100),
        ("depth", {"symbol": "BTCUSDT", "limit": "0"}, 400, -1130),
        ("klines", {"symbol": "BTCUSDT"}, 400, -1102),
        ("klines", {"symbol": "BTCUSDT", "interval": "7m"}, 400, -1120),
        ("klines", {"symbol": "BTCUSDT", "interval": "1m", "startTime": "-5"}, 400, -1100),
        ("exchangeInfo", {"symbols": "BTCUSDT"}, 400, -1100),
        ("ticker/24hr", {"symbols": '["NOPE"]'}, 400, -1121),
        ("order", {}, 404, None),
    ],
)
def test_mistakes_are_answered_as_the_venue_does(route, params, status, code):
    """By its own codes."""
    answer = played(trade(1, 1.0, 1.0, 0)).answer(route, params)
    assert (answer.status, answer.body and answer.body["code"]) == (status, code)


def test_a_symbol_carries_its_filters():
    """Tick, lot and notional of the configuration, as strings."""
    (row,) = played(trade(1, 1.0, 1.0, 0)).answer("exchangeInfo", {"symbols": '["BTCUSDT"]'}).body["symbols"]
    filters = {each["filterType"]: each for each in row["filters"]}
    assert (row["symbol"], row["status"], row["baseAsset"], row["quoteAsset"]) == ("BTCUSDT", "TRADING", "BTC", "USDT")
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
    assert filters["NOTIONAL"]["minNotional"] == filters["MIN_NOTIONAL"]["minNotional"] == "5.00000000"


def test_a_time_of_another_century_is_left_out():
    """The venue's time never falls back, so one broken record would stop it for good."""
    good = trade(1, 1.0, 1.0, 0)
    broken = trade(2, 1.0, 1.0, 1)._replace(ts_ns=4_102_444_800_000_000_000)
    made = exchange(good, broken, trade(3, 1.0, 1.0, 2))
    for _ in made.advance(START_NS + 3 * NS_PER_S):
        pass
    assert (made.skipped, made.venue_ns, made.ended) == (1, START_NS + 2 * NS_PER_S, True)


def test_two_symbols_are_played_in_one_order():
    """Each record at the time of its own receipt."""
    eth = replace(BTC, symbol="ETH/USDT")
    tapes = [
        Tape(BTC, [trade(1, 1.0, 1.0, 0), trade(2, 1.0, 1.0, 4)], NoPast()),
        Tape(eth, [trade(7, 2.0, 1.0, 1), trade(8, 2.0, 1.0, 2)], NoPast()),
    ]
    made = Exchange(tapes, {"btcusdt@trade", "ethusdt@trade"})
    assert [codec.decode_json(data)["t"] for _, data in made.advance(START_NS + 9 * NS_PER_S)] == [1, 7, 8, 2]


def test_the_same_market_gives_the_same_messages():
    """Twice from the beginning, byte for byte."""
    market = SyntheticMarket(BTC, 11)
    wanted = {f"btcusdt@{stream}" for stream in ("trade", "depth", "depth@100ms", "bookTicker", "kline_1m", "ticker")}
    runs = [
        list(Exchange([Tape(BTC, market.records(), NoPast())], wanted).advance(market.start_ns + 70 * NS_PER_S))
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert {stream for stream, _ in runs[0]} == wanted


def test_the_book_of_a_client_that_follows_the_rules_is_the_exchanges_own():
    """Ask for the book, drop what it holds, chain the rest: equal at every second, with no gap in the ids."""
    market = SyntheticMarket(BTC, 5)
    stream = "btcusdt@depth@100ms"
    made = Exchange([Tape(BTC, market.records(), NoPast())], {stream})
    for _ in made.advance(market.start_ns + 10 * NS_PER_S):
        pass
    rest = Rest(made, 1200)
    asked = rest.answer("depth", {"symbol": "BTCUSDT", "limit": "5000"}).body
    sides, last = {"b": dict(asked["bids"]), "a": dict(asked["asks"])}, asked["lastUpdateId"]
    for second in range(11, 75):
        for _, data in made.advance(market.start_ns + second * NS_PER_S):
            change = codec.decode_json(data)
            assert change["U"] == last + 1
            last = change["u"]
            for side, levels in sides.items():
                levels.update((price, qty) for price, qty in change[side])
        now = rest.answer("depth", {"symbol": "BTCUSDT", "limit": "5000"}).body
        for side, key in (("b", "bids"), ("a", "asks")):
            ours = {price: qty for price, qty in sides[side].items() if float(qty)}
            assert ours == dict(now[key])


def test_a_recording_begins_with_its_book():
    """The first book comes to the front, at the time of the first message; nothing else moves."""
    records = [delta(5, 6, (), ()), trade(1, 1.0, 1.0, 1), RECORDS[0]._replace(recv_ns=START_NS + NS_PER_S), RECORDS[3]]
    moved = list(snapshot_first(records))
    assert moved == [RECORDS[0], records[0], records[1], records[3]]
    assert list(snapshot_first(records[:2])) == records[:2]
    assert list(snapshot_first([])) == []


# Faults


def test_a_fault_passes_some_happens_some_times_and_is_counted():
    """Two pass, two happen, the rest pass; other streams do not count."""
    plan = FaultPlan([Fault("drop", "*@trade", after=2, times=2)])
    streams = ["btcusdt@trade", "btcusdt@depth", "ethusdt@trade", *["btcusdt@trade"] * 4]
    assert [plan.on_message(stream, 0) is not None for stream in streams] == [False] * 3 + [True, True, False, False]
    (rule,) = plan.report()["rules"]
    assert (rule["matched"], rule["happened"]) == (6, 2)
    assert [each["where"] for each in plan.report()["happened"]] == ["btcusdt@trade"] * 2


def test_the_first_rule_that_is_due_wins():
    """The others count what they match, and leave it alone."""
    plan = FaultPlan([Fault("status", "GET /api/v3/*", status=429), Fault("hang", "GET */depth", after=1)])
    kinds = [fault and fault.kind for fault in (plan.on_request("GET /api/v3/depth", 0) for _ in range(3))]
    assert kinds == ["status", "hang", None]


def test_a_fault_ends_with_its_time():
    """Maintenance of five seconds: from its first request on, not from when it was planned."""
    plan = FaultPlan([Fault("status", "*", times=0, lasts_s=5)])
    seconds = (100, 102, 104.9, 105, 106)
    assert [plan.on_request("GET /x", int(at * NS_PER_S)) is not None for at in seconds] == [True] * 3 + [False] * 2


def test_probabilities_are_those_of_the_seed():
    """The same seed, the same victims; about one in four of a thousand."""

    def victims(seed: int) -> list[int]:
        plan = FaultPlan([Fault("drop", "*", times=0, probability=0.25)], seed)
        return [number for number in range(1000) if plan.on_message("x", 0)]

    assert victims(1) == victims(1) != victims(2)
    assert 200 < len(victims(1)) < 300


def test_messages_and_requests_have_their_own_faults():
    """A status is no fault of a message, a double none of a request."""
    plan = FaultPlan([Fault("status", "*"), Fault("double", "*")])
    assert plan.on_message("x", 0) == Fault("double", "*")
    assert plan.on_request("x", 0) == Fault("status", "*")
    plan.clear()
    assert plan.on_request("x", 0) is None


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"kind": "drip", "where": "*"}, "kind"),
        ({"kind": "drop"}, "where"),
        ({"kind": "drop", "where": ""}, "where is empty"),
        ({"kind": "drop", "where": "*", "nth": 3}, "'nth'"),
        ({"kind": "drop", "where": "*", "times": -1}, "times is -1"),
        ({"kind": "drop", "where": "*", "times": "3"}, "times"),
        ({"kind": "drop", "where": "*", "probability": 0}, "probability is 0"),
        ({"kind": "status", "where": "*", "status": 200}, "status is 200"),
        ({"kind": "disconnect", "where": "*", "code": 12}, "code is 12"),
        ({"kind": "garbage", "where": "*", "form": "cheese"}, "form"),
        (["drop"], "allowed"),
    ],
)
def test_a_wrong_rule_says_what_is_wrong(values, part):
    """The key, and in a file the number of the rule."""
    with pytest.raises(ConfigError, match=part):
        fault_of(values)
    with pytest.raises(ConfigError, match="rule 2: "):
        faults_of([{"kind": "drop", "where": "*"}, values])


def test_garbage_has_five_forms():
    """What a broken proxy, a cut connection and a broken venue send."""
    body = b'{"p":"61837.63000000","t":7}'
    assert spoil(body, "html").startswith(b"<html>")
    assert [spoil(body, form) for form in ("empty", "truncated", "null", "nan")] == [
        b"", b'{"p":"61837.63', b'{"p":null,"t":7}', b'{"p":"NaN","t":7}',
    ]  # fmt: skip


def test_who_asks_too_much_is_sent_away_and_then_banned():
    """429 until the minute is over, 418 for two minutes for one that goes on."""
    weights, minute = Weights(10), 60 * NS_PER_S
    start = 1000 * minute
    assert weights.charge(8, start) == (8, 200, 0)
    assert weights.charge(5, start + 50 * NS_PER_S) == (8, 429, 10)
    assert weights.charge(2, start + 51 * NS_PER_S) == (10, 200, 0)
    refused = [weights.charge(1, start + 52 * NS_PER_S).status for _ in range(11)]
    assert refused == [429] * 9 + [418, 418]
    assert weights.charge(1, start + minute) == (0, 418, 112)
    assert weights.charge(1, start + 3 * minute) == (1, 200, 0)


def test_a_market_without_a_trade_answers_all_the_same():
    """Empty lists and zeros, no error."""
    rest = Rest(exchange(RECORDS[0]), 1200)
    symbol = {"symbol": "BTCUSDT"}
    for route in ("trades", "historicalTrades", "aggTrades"):
        assert rest.answer(route, {**symbol, "fromId": "0"}).body == []
    assert rest.answer("klines", {**symbol, "interval": "1h"}).body == []
    assert rest.answer("ticker/24hr", {}).body == []
    assert rest.answer("ticker/price", symbol).body["price"] == "0.00000000"


def test_a_trade_that_comes_twice_is_left_out():
    """A recording that was resumed too early does not double the volume."""
    market = Market(BTC, NoPast())
    assert [market.apply(trade(number, 1.0, 1.0, 0)) for number in (1, 2, 2, 1, 3)] == [True, True, False, False, True]
    assert (market.doubled, market.trades.last_id) == (2, 3)
    assert [each.trade_id for each in market.trades_from(0, 10)] == [1, 2, 3]
