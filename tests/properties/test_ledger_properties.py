"""What holds for every ledger, whatever is traded."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.contracts import FillEvent
from core.ledger import Ledger, LotBook, PositionBook, check_invariants

QTY = st.integers(1, 10**9).map(lambda units: Decimal(units).scaleb(-8))
FINE_QTY = st.integers(1, 10**24).map(lambda units: Decimal(units).scaleb(-18))
PRICE = st.floats(1e-9, 1e9, allow_nan=False).map(lambda price: Decimal(repr(price)))
SIDE = st.sampled_from(["buy", "sell"])


@st.composite
def fills(draw, qty=FINE_QTY, price=PRICE):
    """A fill of any side, size and price, with a fee or a rebate."""
    return FillEvent(
        order_id="o-1",
        symbol=draw(st.sampled_from(["BTC/USDT", "ETH/USDT", "ETH/BTC"])),
        side=draw(SIDE),
        qty=draw(qty),
        price=draw(price),
        fee=draw(st.decimals("-1", "10", places=12)),
        ts_fill_ns=1,
        strategy_id=draw(st.sampled_from(["a", "b"])),
        fee_asset=draw(st.sampled_from(["", "BNB"])),
    )


def ledger_of(history) -> Ledger:
    """A ledger with a starting cash and some fills."""
    ledger = Ledger({"USDT": Decimal(10_000), "BTC": Decimal(1)})
    for fill in history:
        ledger.apply_fill(fill)
    return ledger


def signed(fill) -> Fraction:
    """Base units, negative if sold."""
    return Fraction(fill.qty) * (1 if fill.side == "buy" else -1)


@given(st.lists(fills(), max_size=30))
def test_no_unit_appears_or_vanishes(history):
    """The invariants hold after every fill, to the last digit."""
    ledger = ledger_of([])
    for fill in history:
        ledger.apply_fill(fill)
        check_invariants(ledger)


@given(st.lists(fills(), max_size=20), st.fixed_dictionaries({s: PRICE for s in ("BTC/USDT", "ETH/USDT")}))
def test_equity_is_what_went_in_and_out(history, marks):
    """Start + realized + unrealized - fees equals cash paid and received plus what is held, as fractions."""
    ledger = ledger_of(history)
    in_usdt = [fill for fill in history if fill.symbol in marks]
    received = -sum(signed(fill) * Fraction(fill.price) for fill in in_usdt)
    fees = sum(Fraction(fill.fee) for fill in in_usdt if not fill.fee_asset)  # the others are paid in BNB
    held = sum(signed(fill) * Fraction(marks[fill.symbol]) for fill in in_usdt)
    gained = Fraction(ledger.realized_pnl("USDT")) + Fraction(ledger.unrealized_pnl("USDT", marks))
    assert Fraction(ledger.cash["USDT"]) == 10_000 + received - fees
    assert Fraction(ledger.equity("USDT", marks)) == 10_000 + received - fees + held == 10_000 + gained - fees


@given(st.lists(fills(price=st.just(Decimal("100.1"))), max_size=12), st.randoms(use_true_random=False))
def test_at_one_price_the_order_of_fills_does_not_matter(history, random):
    """Fills at one price leave the same cash, holdings, cost and profit in whatever order they come."""
    shuffled = list(history)
    random.shuffle(shuffled)
    first, second = ledger_of(history), ledger_of(shuffled)
    assert (first.cash, first.fees) == (second.cash, second.fees)
    for symbol, position in first.positions.items():
        other = second.positions[symbol]
        assert position.book.realized_pnl == other.book.realized_pnl == 0
        assert (position.book.qty, position.book.cost) == (other.book.qty, other.book.cost)


@given(st.lists(fills(), max_size=12), st.randoms(use_true_random=False), PRICE)
def test_realized_plus_unrealized_does_not_depend_on_the_order_of_fills(history, random, mark):
    """Which lot was closed moves profit between realized and unrealized, and never changes their sum."""
    shuffled = list(history)
    random.shuffle(shuffled)
    marks = dict.fromkeys(("BTC/USDT", "ETH/USDT"), mark)
    sums = {
        Fraction(ledger.realized_pnl("USDT")) + Fraction(ledger.unrealized_pnl("USDT", marks))
        for ledger in (ledger_of(history), ledger_of(shuffled))
    }
    assert len(sums) == 1


@given(st.lists(st.tuples(SIDE, QTY, PRICE), max_size=20), st.integers(0, 19), st.integers(1, 99))
def test_a_split_execution_books_the_same(history, at, percent):
    """An execution in two parts at its price leaves the same lots as one execution."""
    whole, split = LotBook(), LotBook()
    for index, (side, qty, price) in enumerate(history):
        whole.apply(side, qty, price)
        part = qty * percent / 100
        for piece in (part, qty - part) if index == at else (qty,):
            split.apply(side, piece, price)
    assert list(whole.lots) == list(split.lots)
    assert (whole.realized_pnl, whole.qty, whole.cost) == (split.realized_pnl, split.qty, split.cost)


@given(st.lists(st.tuples(SIDE, QTY, PRICE), max_size=30))
def test_profit_is_first_in_first_out(history):
    """Realized profit equals pairing every closing unit with the oldest open one, computed the slow way."""
    book, realized = LotBook(), Fraction(0)
    opened: list[tuple[Fraction, Fraction]] = []
    for side, qty, price in history:
        book.apply(side, qty, price)
        left = Fraction(qty) * (1 if side == "buy" else -1)
        while left and opened and opened[0][0] * left < 0:
            lot_qty, lot_price = opened[0]
            closed = lot_qty if abs(lot_qty) <= abs(left) else -left
            realized += closed * (Fraction(price) - lot_price)
            opened[0] = (lot_qty - closed, lot_price)
            left += closed
            if not opened[0][0]:
                opened.pop(0)
        if left:
            opened.append((left, Fraction(price)))
    assert Fraction(book.realized_pnl) == realized
    assert Fraction(book.qty) == sum(qty for qty, _ in opened)
    assert Fraction(book.cost) == sum(qty * price for qty, price in opened)
    assert all(older.price != newer.price for older, newer in pairwise(book.lots))


@given(st.lists(fills(), max_size=12), PRICE)
def test_strategies_add_up_to_the_account(history, mark):
    """Realized plus unrealized profit over all strategies is the account's, though their lots are apart."""
    ledger, book = ledger_of(history), PositionBook()
    for fill in history:
        book.apply(fill)
    marks = dict.fromkeys(("BTC/USDT", "ETH/USDT"), mark)
    of_strategies = sum(
        Fraction(position.book.realized_pnl) + Fraction(position.book.unrealized_pnl(mark))
        for (_, symbol), position in book.positions.items()
        if symbol in marks
    )
    of_account = Fraction(ledger.realized_pnl("USDT")) + Fraction(ledger.unrealized_pnl("USDT", marks))
    assert of_strategies == of_account


@given(st.lists(fills(), max_size=12), st.lists(fills(), max_size=6))
def test_a_restored_ledger_has_the_same_future(before, after):
    """Ledger and position book, restored from their saved text, go on byte for byte as if nothing had happened."""
    ledger, ledger_again, book, book_again = ledger_of(before), Ledger({}), PositionBook(), PositionBook()
    for fill in before:
        book.apply(fill)
    ledger_again.restore_from_snapshot(json.loads(json.dumps(ledger.get_snapshot())))
    book_again.restore(json.loads(json.dumps(book.snapshot())))
    for fill in after:
        assert str(ledger.apply_fill(fill)) == str(ledger_again.apply_fill(fill))
        assert str(book.apply(fill)) == str(book_again.apply(fill))
    assert json.dumps(ledger.get_snapshot()) == json.dumps(ledger_again.get_snapshot())
    assert json.dumps(book.snapshot()) == json.dumps(book_again.snapshot())
