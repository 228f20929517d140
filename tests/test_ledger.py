"""The ledger: cash, fees, invariants, exactness, memory."""

from __future__ import annotations

import doctest
import json
from collections import deque
from dataclasses import replace
from decimal import Decimal

import pytest

import core.execution.fees
import core.ledger.account
import core.ledger.holdings
import core.ledger.lots
from core import codec
from core.contracts import FillEvent
from core.errors import LedgerError
from core.execution.fees import FeeSchedule
from core.ledger import Ledger, Lot, PositionBook, check_invariants, exact
from core.ledger.exact import decimal_price
from core.ledger.holdings import Holdings
from core.ledger.positions import POSITIONS_MAX


def fill(side: str, qty: str, price: str, fee: str = "0", **more: str) -> FillEvent:
    """A fill in BTC/USDT."""
    values = {"order_id": "o-1", "symbol": "BTC/USDT", "side": side, "qty": qty, "price": price, "fee": fee, **more}
    return FillEvent(**values, ts_fill_ns=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("module", [core.ledger.lots, core.ledger.account, core.ledger.holdings, core.execution.fees])
def test_the_worked_examples_are_right(module):
    """The examples in the documentation give what they say."""
    failed, attempted = doctest.testmod(module)
    assert attempted > 0
    assert failed == 0


# Each line: a fill, and the account after it, from a start of 1,000.
# Buy 2 @ 100, fee 0.2:    cash 1000 - 200 - 0.2 = 799.8,      cost 200
# Buy 1 @ 110, fee 0.11:   cash 799.8 - 110 - 0.11 = 689.69,   cost 310
# Sell 2.5 @ 120, fee 0.3: cash 689.69 + 300 - 0.3 = 989.39,   realized 2 * 20 + 0.5 * 10 = 45, cost 0.5 * 110 = 55
# Sell 1 @ 90, fee 0.09:   cash 989.39 + 90 - 0.09 = 1079.3,   realized 45 + 0.5 * -20 = 35,    cost -0.5 * 90 = -45
# Buy 0.5 @ 80, fee -0.01: cash 1079.3 - 40 + 0.01 = 1039.31,  realized 35 + 0.5 * 10 = 40,     cost 0
ACCOUNT = """
fill                | cash    | fees | realized | cost
buy 2 100 0.2       | 799.8   | 0.2  | 0        | 200
buy 1 110 0.11      | 689.69  | 0.31 | 0        | 310
sell 2.5 120 0.3    | 989.39  | 0.61 | 45       | 55
sell 1 90 0.09      | 1079.3  | 0.7  | 35       | -45
buy 0.5 80 -0.01    | 1039.31 | 0.69 | 40       | 0
"""


def test_an_account_through_a_day_of_trading():
    """Cash, fees, realized profit and cost of what is held follow every fill as written arithmetic does."""
    ledger = Ledger({"USDT": Decimal(1000)})
    for line in ACCOUNT.strip().splitlines()[1:]:
        happens, *due = (cell.strip() for cell in line.split("|"))
        ledger.apply_fill(fill(*happens.split()))
        check_invariants(ledger)
        found = (
            ledger.cash["USDT"],
            ledger.fees["USDT"],
            ledger.realized_pnl("USDT"),
            ledger.positions["BTC/USDT"].book.cost,
        )
        assert found == tuple(Decimal(cell) for cell in due), happens


def test_equity_is_start_plus_profit_minus_fees():
    """1,000 start, 2 long from 100 and 1 short from 50: at 90 and 40 that is 1,000 - 20 + 10 - 0.3 fees."""
    ledger = Ledger({"USDT": Decimal(1000)})
    ledger.apply_fill(fill("buy", "2", "100", "0.2"))
    ledger.apply_fill(fill("sell", "1", "50", "0.1", symbol="ETH/USDT"))
    marks = {"BTC/USDT": Decimal(90), "ETH/USDT": Decimal(40)}
    assert ledger.unrealized_pnl("USDT", marks) == Decimal(-20 + 10)
    assert ledger.equity("USDT", marks) == Decimal("989.7")


def test_a_short_sale_earns_nothing_until_it_is_bought_back():
    """Selling 10 short at 100 brings 1,000 in cash and no profit; bought back at 95 it has earned 50."""
    ledger = Ledger({})
    assert ledger.apply_fill(fill("sell", "10", "100")) == 0
    assert (ledger.cash["USDT"], ledger.realized_pnl("USDT")) == (Decimal(1000), Decimal(0))
    assert ledger.equity("USDT", {"BTC/USDT": Decimal(100)}) == 0
    assert ledger.apply_fill(fill("buy", "10", "95")) == 50
    assert ledger.cash["USDT"] == 50


def test_each_asset_has_books_of_its_own():
    """Prices in BTC move the cash in BTC, and a fee in BNB the cash in BNB alone."""
    ledger = Ledger({"USDT": Decimal(1000), "BNB": Decimal(1)})
    ledger.apply_fill(fill("buy", "2", "0.05", "0.001", symbol="ETH/BTC", fee_asset="BNB"))
    check_invariants(ledger)
    assert ledger.cash == {"USDT": Decimal(1000), "BTC": Decimal("-0.10"), "BNB": Decimal("0.999")}
    assert ledger.positions["ETH/BTC"].fees == 0
    assert ledger.equity("USDT", {}) == 1000


def test_an_open_position_needs_a_mark():
    """Equity without a price for what is held is an error, never a guess; a flat symbol needs none."""
    ledger = Ledger({"USDT": Decimal(1000)})
    ledger.apply_fill(fill("buy", "2", "100"))
    with pytest.raises(LedgerError, match="BTC/USDT is open with 2 and has no mark"):
        ledger.equity("USDT", {})
    ledger.apply_fill(fill("sell", "2", "100"))
    assert ledger.equity("USDT", {}) == 1000


def broken(kind: str) -> Ledger:
    """A ledger of two lots that somebody has tampered with."""
    ledger = Ledger({"USDT": Decimal(1000)})
    ledger.apply_fill(fill("buy", "2", "100", "0.2"))
    ledger.apply_fill(fill("buy", "1", "110"))
    book = ledger.positions["BTC/USDT"].book
    first, second = book.lots
    lots = {
        "empty lot": [first, second, Lot(Decimal(0), Decimal(90))],
        "free lot": [first, second, Lot(Decimal(1), Decimal(0))],
        "mixed lots": [first, second, Lot(Decimal(-1), Decimal(90))],
        "lost lot": [first],
        "repriced lot": [first, Lot(second.qty, Decimal(111))],
    }
    book.lots = deque(lots.get(kind, book.lots))
    with exact():
        if kind == "cash":
            ledger.cash["USDT"] += Decimal("1e-30")
        elif kind == "fees":
            ledger.fees["USDT"] -= Decimal("1e-30")
        elif kind == "profit":
            book.realized_pnl += Decimal("1e-30")
    return ledger


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty lot", "a lot without quantity or price"),
        ("free lot", "a lot without quantity or price"),
        ("mixed lots", "lots bought and lots sold short at once"),
        ("lost lot", "quantity of BTC/USDT is 3; must be 2"),
        ("repriced lot", "cost of BTC/USDT is 310; must be 311"),
        ("cash", "cash .* of USDT"),
        ("fees", "cash .* of USDT"),
        ("profit", "cash .* of USDT"),
    ],
)
def test_invariants_notice(kind, message):
    """Each kind of damage to the books is found and named, down to the thirtieth digit."""
    with pytest.raises(LedgerError, match=message):
        check_invariants(broken(kind))


def test_books_survive_a_restart_to_the_last_digit():
    """A ledger restored from its saved text is the same and stays the same, trailing zeros included."""
    first, second = Ledger({"USDT": Decimal("1000.000")}), Ledger({})
    first.apply_fill(fill("buy", "2.50", "100.10", "0.0200"))
    first.apply_fill(fill("sell", "1.25", "99.9"))
    second.restore_from_snapshot(json.loads(json.dumps(first.get_snapshot())))
    for ledger in (first, second):
        ledger.apply_fill(fill("sell", "2", "98"))
    assert json.dumps(second.get_snapshot()) == json.dumps(first.get_snapshot())


def test_the_same_fills_give_the_same_bytes():
    """After three fills of the day above the saved books are these bytes: whoever computes them, whenever."""
    golden = (
        b'{"cash":{"USDT":"989.39"},"fees":{"USDT":"0.61"},"positions":{"BTC/USDT":{"cost":"55.0","fees":"0.61",'
        b'"lots":[["0.5","110"]],"qty":"0.5","realized_pnl":"45.0"}},"starting":{"USDT":"1000"}}'
    )
    for _ in range(2):
        ledger = Ledger({"USDT": Decimal(1000)})
        for line in ACCOUNT.strip().splitlines()[1:4]:
            ledger.apply_fill(fill(*line.split("|")[0].split()))
        assert codec.encode_state(ledger.get_snapshot()) == golden
        again = Ledger({})
        again.restore_from_snapshot(codec.decode_json(golden))
        assert codec.encode_state(again.get_snapshot()) == golden
        check_invariants(again)


def test_holdings_know_what_an_order_may_close():
    """Only the other side of what a strategy holds itself can be closed; what is flat takes no room."""
    held, again = Holdings(), Holdings()
    held.apply("a", "BTC/USDT", "buy", Decimal("2.50"))
    held.apply("b", "BTC/USDT", "sell", Decimal(1))
    again.restore(json.loads(json.dumps(held.snapshot())))
    for holdings in (held, again):
        assert holdings.snapshot() == [["a", "BTC/USDT", "2.50"], ["b", "BTC/USDT", "-1"]]
        assert [holdings.reducible("a", "BTC/USDT", side) for side in ("buy", "sell")] == [0, Decimal("2.5")]
        assert [holdings.reducible("b", "BTC/USDT", side) for side in ("buy", "sell")] == [1, 0]
        assert holdings.reducible("a", "ETH/USDT", "sell") == holdings.qty("c", "BTC/USDT") == 0
        holdings.apply("a", "BTC/USDT", "sell", Decimal(4))
        assert holdings.qty("a", "BTC/USDT") == Decimal("-1.5")
        holdings.apply("a", "BTC/USDT", "buy", Decimal("1.5"))
        assert len(holdings) == 1
        with pytest.raises(LedgerError, match="not exact"):
            holdings.apply("b", "BTC/USDT", "buy", Decimal("1e2000"))
        assert holdings.qty("b", "BTC/USDT") == -1


def test_positions_of_strategies_are_apart_and_survive_a_restart():
    """Two strategies on one symbol have lots, profits and fees of their own; an unknown one is flat."""
    book, again = PositionBook(), PositionBook()
    book.apply(fill("buy", "2", "100", "0.2", strategy_id="a"))
    book.apply(fill("sell", "1", "90", "0.1", strategy_id="b"))
    again.restore(json.loads(json.dumps(book.snapshot())))
    assert again.apply(fill("sell", "1", "110", strategy_id="a")) == 10
    a, b = again.snapshot_of("a", "BTC/USDT", 5), again.snapshot_of("b", "BTC/USDT", 5)
    assert (a.qty, a.avg_price, a.realized_pnl, a.fees, a.strategy_id, a.ts_ns) == (1.0, 100.0, 10.0, 0.2, "a", 5)
    assert (b.qty, b.avg_price, b.realized_pnl, b.fees) == (-1.0, 90.0, 0.0, 0.1)
    assert again.snapshot_of("c", "BTC/USDT", 5) == replace(b, qty=0.0, avg_price=0.0, fees=0.0, strategy_id="c")


def test_what_is_flat_is_forgotten_beyond_a_bound():
    """2,000 strategies were flat again: the next ones leave nothing behind, and what is open stays."""
    book = PositionBook()
    for number in range(POSITIONS_MAX + 5):
        book.apply(fill("buy", "1", "100", strategy_id=f"s{number}"))
        gained = book.apply(fill("sell", "1", "110", strategy_id=f"s{number}"))
        assert gained == 10
    book.apply(fill("buy", "1", "100", strategy_id="open"))
    assert len(book.positions) == POSITIONS_MAX + 1
    assert book.snapshot_of("open", "BTC/USDT", 1).qty == 1.0


def test_what_cannot_be_exact_is_refused():
    """Arithmetic on money raises where Python's default would silently round, and lets no rounding pass."""
    with pytest.raises(LedgerError, match="not exact"), exact():
        Decimal(1) / Decimal(3)
    with pytest.raises(LedgerError, match="not exact"):
        Ledger({"USDT": Decimal("1e999")}).apply_fill(fill("buy", "1", "1e-20"))


@pytest.mark.parametrize(("qty", "price"), [("0", "1"), ("1", "0"), ("-1", "1")])
def test_a_lot_of_nothing_cannot_be_booked(qty, price):
    """Quantities and prices of nothing or less are refused."""
    with pytest.raises(LedgerError, match="allowed: quantity and price above 0"):
        core.ledger.lots.LotBook().apply("buy", Decimal(qty), Decimal(price))


# 2 * 30,000 = 60,000 of notional: 10 bps are 60, -1 bp is -6, 0.1 bp is 0.6.
@pytest.mark.parametrize(
    ("maker", "taker", "liquidity", "fee"),
    [
        ("10", "20", "maker", "60"),
        ("10", "20", "taker", "120"),
        ("-1", "7.5", "maker", "-6"),
        ("0", "0.1", "taker", "0.6"),
    ],
)
def test_fees_are_basis_points_of_the_notional(maker, taker, liquidity, fee):
    """A fee is notional times basis points over 10,000, by liquidity; a negative one is a rebate."""
    schedule = FeeSchedule(Decimal(maker), Decimal(taker))
    assert schedule.fee(Decimal(2), Decimal(30_000), liquidity) == Decimal(fee)


@pytest.mark.parametrize("bps", ["10000", "-10000", "NaN", "many"])
def test_fees_that_eat_the_whole_trade_are_refused(bps):
    """Basis points must be a number within plus and minus 10,000."""
    with pytest.raises(ValueError, match=r"FeeSchedule\.maker_bps"):
        FeeSchedule(bps, Decimal(1))


@pytest.mark.parametrize(
    ("price", "money"), [(0.1, "0.1"), (57123.45, "57123.45"), (1e-8, "1E-8"), (1e22, "1E+22"), (98, "98.0")]
)
def test_a_market_price_becomes_the_money_that_was_printed(price, money):
    """The decimal of a float price is its shortest text, not its binary expansion."""
    assert str(decimal_price(price)) == money
