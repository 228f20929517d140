"""The portfolio tracker: marks, snapshots, days, restarts."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from core import codec, topics
from core.contracts import (
    Event,
    FillEvent,
    Malformed,
    PnlDay,
    PortfolioSnapshot,
    TradeEvent,
    ValuationTrigger,
    Watermark,
)
from core.errors import ContractError, LedgerError
from core.handler import At
from core.ledger.settings import PortfolioSettings
from portfolio.manager import SERVICE

CONTENT = {"portfolio": {"id": "main", "starting_cash": "10000", "quote": "USDT"}}
SECOND = 1_000_000_000
NOON = 1_723_118_400 * SECOND  # 2024-08-08T12:00:00Z
MIDNIGHT = NOON + 12 * 3600 * SECOND


def new_tracker(content=CONTENT):
    """A tracker as its service builds it."""
    return SERVICE.build(content)


def at(market_ns: int) -> At:
    """A place in the order at a market time."""
    return At(seq=1, ts_ns=1, market_ns=market_ns, root=1, root_ts_ns=1)


def trade(price: float, symbol: str = "BTC/USDT") -> TradeEvent:
    """A public trade."""
    return TradeEvent(symbol, price, 1.0, "buy", NOON)


def fill(side: str, qty: str, price: str, fee: str = "0", **more: str) -> FillEvent:
    """A fill in BTC/USDT."""
    values = {"order_id": "o-1", "symbol": "BTC/USDT", "side": side, "qty": qty, "price": price, "fee": fee, **more}
    return FillEvent(**values, ts_fill_ns=NOON)  # type: ignore[arg-type]


def clock(symbol: str = "BTC/USDT") -> Watermark:
    """A tick of the market clock."""
    return Watermark(symbol, NOON)


def test_the_first_word_of_the_market_opens_the_day_with_the_starting_cash():
    """The gate hears a profit of 0 with the first event, and the account with the first tick of the clock."""
    tracker = new_tracker()
    opening = PnlDay("2024-08-08", Decimal(0), Decimal(10_000), Decimal(10_000), NOON)
    assert tracker.on_event(trade(100.0), at(NOON)) == (opening,)
    cash_only = PortfolioSnapshot("main", NOON, 10_000.0, cash=10_000.0)
    assert tracker.on_event(clock(), at(NOON)) == (cash_only, opening)


def test_a_fill_is_told_at_once():
    """2 bought at 100 with a fee of 0.2, when 101 was traded last: 10,000 - 200.2 in cash, worth 202, 1.8 gained."""
    tracker = new_tracker()
    tracker.on_event(trade(101.0), at(NOON))
    snapshot, today = tracker.on_event(fill("buy", "2", "100", "0.2"), at(NOON + 7))
    assert snapshot == PortfolioSnapshot(
        "main",
        NOON + 7,
        total_equity=10_001.8,
        cash=9_799.8,
        unrealized_pnl=2.0,
        fees=0.2,
        positions={"BTC/USDT": 2.0},
    )
    assert today == PnlDay("2024-08-08", Decimal("1.8"), Decimal("10001.8"), Decimal(10_000), NOON + 7)
    assert [topics.topic_of(event) for event in (snapshot, today)] == ["portfolio.snapshot", "portfolio.pnl_day"]


def test_realized_and_unrealized_profit_are_apart():
    """Of 2 from 100, 1 is sold at 130 (30 realized) and 1 is marked at 90 (10 lost); equity is 10,000 + 20 - 0.5."""
    tracker = new_tracker()
    tracker.on_event(trade(90.0), at(NOON))
    tracker.on_event(fill("buy", "2", "100", "0.3"), at(NOON))
    snapshot, today = tracker.on_event(fill("sell", "1", "130", "0.2"), at(NOON))
    assert (snapshot.realized_pnl, snapshot.unrealized_pnl, snapshot.fees) == (30.0, -10.0, 0.5)
    assert (snapshot.total_equity, today.pnl) == (10_019.5, Decimal("19.5"))
    flat, _ = tracker.on_event(fill("sell", "1", "90"), at(NOON))
    assert (flat.positions, flat.unrealized_pnl, flat.realized_pnl) == ({}, 0.0, 20.0)
    assert tracker.tracker.get_total_equity() == 10_019.5


def test_a_symbol_without_a_trade_is_marked_at_its_last_fill():
    """A short of 1 from 100, added to at 90, is worth the last fill's price until the first trade is heard."""
    tracker = new_tracker()
    tracker.on_event(fill("sell", "1", "100"), at(NOON))
    snapshot, _ = tracker.on_event(fill("sell", "1", "90"), at(NOON))
    assert snapshot.unrealized_pnl == 10.0
    tracker.on_event(trade(95.0), at(NOON))
    assert tracker.tracker.get_snapshot().unrealized_pnl == 0.0
    snapshot, _ = tracker.on_event(fill("buy", "1", "97"), at(NOON))
    assert snapshot.unrealized_pnl == 90.0 - 95.0


# Long 1 from 100 at 10,000 of starting cash; later another from 103, and both sold at 104: 4 + 1 realized.
CLOCK = """
what        | second | equity told
trade 101   | 1.1    | -
clock BTC   | 1.2    | 10001
trade 102   | 1.3    | -
clock ETH   | 1.4    | -
clock BTC   | 2.0    | 10002
clock ETH   | 2.0    | -
clock BTC   | 3.0    | -
trade 103   | 4.0    | -
trade 102   | 4.1    | -
clock BTC   | 5.0    | -
trade 103   | 5.5    | -
buy 1 103   | 5.6    | 10003
clock BTC   | 6.0    | -
sell 2 104  | 6.1    | 10005
clock BTC   | 6.5    | -
clock BTC   | 7.0    | -
"""


def told_of(tracker, line: str) -> str:
    """Let one line of the table happen and return the equity told, or "-"."""
    happens, second, _ = line.split("|")
    word, *rest = happens.split()
    event: Event
    if word == "trade":
        event = trade(float(rest[0]))
    elif word == "clock":
        event = clock(rest[0] + "/USDT")
    else:
        event = fill(word, *rest)
    outputs = tracker.on_event(event, at(NOON + int(float(second) * SECOND)))
    told = {output.total_equity for output in outputs if isinstance(output, PortfolioSnapshot)}
    told |= {float(output.equity) for output in outputs if isinstance(output, PnlDay)}
    return ", ".join(f"{equity:g}" for equity in told) or "-"


@pytest.mark.parametrize("restarting", [False, True], ids=["straight", "restarting"])
def test_the_clock_speaks_once_a_second_and_only_of_news(restarting):
    """Snapshot and profit of the day come together, at most once per market second, if the equity has changed."""
    tracker = new_tracker()
    tracker.on_event(fill("buy", "1", "100"), at(NOON))
    for line in CLOCK.strip().splitlines()[1:]:
        if restarting:
            saved = codec.encode_state(tracker.snapshot())
            tracker = new_tracker()
            tracker.restore(codec.decode_json(saved))
            assert codec.encode_state(tracker.snapshot()) == saved
        assert told_of(tracker, line) == line.split("|")[2].strip(), line


def test_a_quiet_market_still_tells_the_profit_of_the_day_once_a_minute():
    """With nothing to report, the profit of the day comes 60 seconds of market time after the last answer, alone."""
    tracker = new_tracker()
    tracker.on_event(fill("buy", "1", "100"), at(NOON))
    tracker.on_event(trade(101.0), at(NOON + SECOND))
    assert len(tracker.on_event(clock(), at(NOON + 2 * SECOND))) == 2
    told = {s: tracker.on_event(clock(), at(NOON + s * SECOND)) for s in (3, 61, 62, 63, 121, 122)}
    assert {s: [type(event) for event in events] for s, events in told.items() if events} == {
        62: [PnlDay],
        122: [PnlDay],
    }
    assert told[62][0].pnl == Decimal(1)


def test_the_day_ends_at_midnight_of_the_market():
    """A gain of 50 belongs to its day; the next one starts at 10,050 and at 0, before its first trade counts."""
    tracker = new_tracker()
    tracker.on_event(trade(100.0), at(NOON))
    tracker.on_event(fill("buy", "1", "100"), at(NOON))
    tracker.on_event(trade(150.0), at(MIDNIGHT - 1))
    today = tracker.on_event(clock(), at(MIDNIGHT - 1))[1]
    assert (today.day, today.pnl) == ("2024-08-08", Decimal(50))
    assert tracker.on_event(trade(140.0), at(MIDNIGHT)) == (
        PnlDay("2024-08-09", Decimal(0), Decimal(10_050), Decimal(10_050), MIDNIGHT),
    )
    snapshot, tomorrow = tracker.on_event(clock(), at(MIDNIGHT + 5))
    assert snapshot.total_equity == 10_040.0
    assert tomorrow == PnlDay("2024-08-09", Decimal(-10), Decimal(10_040), Decimal(10_050), MIDNIGHT + 5)


def test_a_fill_right_after_midnight_belongs_to_the_new_day():
    """The fee of the first fill of a day is a loss of that day, and the day is opened before it."""
    tracker = new_tracker()
    tracker.on_event(trade(100.0), at(MIDNIGHT - 1))
    opening, _, today = tracker.on_event(fill("buy", "1", "100", "0.1"), at(MIDNIGHT))
    assert (opening.day, opening.pnl, today.pnl) == ("2024-08-09", Decimal(0), Decimal("-0.1"))


def test_days_without_trades_are_skipped():
    """After a silence of days the current day opens with the equity of now."""
    tracker = new_tracker()
    tracker.on_event(fill("buy", "1", "100", "1"), at(NOON))
    (opening,) = tracker.on_event(trade(110.0), at(NOON + 21 * 24 * 3600 * SECOND))
    assert (opening.day, opening.pnl, opening.equity_open) == ("2024-08-29", Decimal(0), Decimal(9_999))


def test_a_fill_before_any_market_time_is_booked_without_a_day():
    """Before the market clock has started there is no day; the first one still opens with the starting cash."""
    tracker = new_tracker()
    (snapshot,) = tracker.on_event(fill("buy", "1", "100", "3"), at(0))
    assert snapshot.total_equity == 9_997.0
    (opening,) = tracker.on_event(trade(101.0), at(NOON))
    assert (opening.pnl, opening.equity_open) == (Decimal(-3), Decimal(10_000))


def test_a_restart_in_the_middle_changes_nothing():
    """From any moment on, a restored tracker says byte for byte what the first one says."""
    steps = [(trade(100.0), 0), (fill("buy", "0.30", "100.10", "0.0300"), 1), (clock(), 1), (trade(99.97), 2)]
    steps += [
        (clock(), 2),
        (fill("sell", "1.1", "99.5"), 3),
        (trade(0.1 + 0.2), 4),
        (clock(), 43_200),
        (clock(), 43_201),
    ]
    first = new_tracker()
    lines = []
    for event, second in steps:
        second_life = new_tracker()
        second_life.restore(json.loads(json.dumps(first.snapshot())))
        outputs = first.on_event(event, at(NOON + second * SECOND))
        assert second_life.on_event(event, at(NOON + second * SECOND)) == outputs
        assert json.dumps(second_life.snapshot()) == json.dumps(first.snapshot())
        lines += [codec.encode(output) for output in outputs]
    assert len(lines) == 1 + 2 + 0 + 2 + 2 + 3


def test_an_account_with_a_history_keeps_its_start_and_its_quote_asset():
    """A changed starting cash or quote asset opens no new account; only the name in the snapshots follows."""
    old = new_tracker()
    old.on_event(fill("buy", "1", "100", "1"), at(NOON))
    new = new_tracker({"portfolio": {"id": "other", "starting_cash": "5", "quote": "EUR"}})
    new.restore(old.snapshot())
    snapshot, today = new.on_event(fill("sell", "1", "100"), at(NOON))
    assert (snapshot.portfolio_id, snapshot.total_equity, today.equity_open) == ("other", 9_999.0, Decimal(10_000))


@pytest.mark.parametrize(
    ("foreign", "message"),
    [
        (fill("buy", "1", "0.05", symbol="ETH/BTC"), "ETH/BTC is priced in BTC; allowed: USDT"),
        (fill("buy", "1", "100", "0.1", fee_asset="BNB"), "BTC/USDT is charged in BNB; allowed: USDT"),
    ],
)
def test_another_currency_stops_the_tracker(foreign, message):
    """A price or a fee in another asset has no value here; it is refused and the books stay as they were."""
    tracker = new_tracker()
    tracker.on_event(trade(100.0), at(NOON))
    before = tracker.snapshot()
    with pytest.raises(LedgerError, match=message):
        tracker.on_event(foreign, at(NOON))
    assert tracker.snapshot() == before


def test_a_fee_of_nothing_needs_no_exchange_rate():
    """A fill without a fee is booked whatever asset it names for it."""
    tracker = new_tracker()
    _, snapshot, _ = tracker.on_event(fill("buy", "1", "100", "0", fee_asset="BNB"), at(NOON))
    assert snapshot.fees == 0.0


def test_damaged_books_are_not_restored():
    """A saved state whose cash does not match its lots stops the tracker."""
    tracker = new_tracker()
    tracker.on_event(fill("buy", "1", "100"), at(NOON))
    saved = tracker.snapshot()
    saved["ledger"]["cash"]["USDT"] = "10000"
    with pytest.raises(LedgerError, match="must be 10000"):
        new_tracker().restore(saved)


def test_books_are_audited_with_every_fill():
    """Money that appears from nowhere is noticed with the next fill, and nothing is reported from such books."""
    tracker = new_tracker()
    tracker._account.ledger.cash["USDT"] += 1
    with pytest.raises(LedgerError, match="of USDT is 10001; must be 10000"):
        tracker.on_event(fill("buy", "1", "100"), at(NOON))


def test_what_the_service_needs():
    """It hears the market, its fills and all that concerns signals; what it cannot read it leaves alone."""
    assert SERVICE.inputs(CONTENT) == (
        "fills.new",
        "md.trades.*",
        "clock.market.*",
        "strat.signal",
        "risk.decisions",
        "orders.updates",
        "md.ohlcv.1m.*",
        "control.valuation",
    )
    tracker = new_tracker()
    tracker.on_event(trade(100.0), at(NOON))
    assert tracker.on_event(Malformed("fills.new", "no FillEvent"), at(NOON)) == ()


@pytest.mark.parametrize(
    ("settings", "field"),
    [({"id": ""}, "id"), ({"quote": ""}, "quote"), ({"starting_cash": 0}, "starting_cash")]
    + [({"starting_cash": bad}, "starting_cash") for bad in ("-1", "NaN", "inf")],
)
def test_settings_that_make_no_sense_are_refused(settings, field):
    """A portfolio needs a name, a quote asset and a starting cash above 0."""
    with pytest.raises(ContractError, match=f"PortfolioSettings.{field}"):
        PortfolioSettings(**settings)
    with pytest.raises(ContractError, match=field):
        new_tracker({"portfolio": settings})


def test_a_report_does_not_tell_whether_there_was_a_restart():
    """ETH bought before BTC: the manager that remembers it and one restored from its memory say the same bytes."""
    first = new_tracker()
    for symbol in ("ETH/USDT", "BTC/USDT"):
        first.on_event(fill("buy", "1", "100", symbol=symbol), at(NOON))
    second = new_tracker()
    second.restore(json.loads(codec.encode_state(first.snapshot())))
    (told, *_), (again, *_) = (each.on_event(ValuationTrigger("asked"), at(NOON)) for each in (first, second))
    assert codec.encode(told) == codec.encode(again)
    assert list(told.positions) == ["BTC/USDT", "ETH/USDT"]
