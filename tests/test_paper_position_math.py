"""Positions, compared with arithmetic done by hand: longs, shorts, reversals."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from core.contracts import FillEvent
from core.ledger import Ledger, check_invariants

TABLES = {
    # Longs: the oldest lot is sold first.
    "long": """
        fill        | qty  | avg_price            | realized
        buy 10 100  | 10   | 100                  | 0
        buy 10 110  | 20   | (1000 + 1100) / 20   | 0
        sell 5 120  | 15   | (500 + 1100) / 15    | 5 * 20
        sell 10 115 | 5    | 110                  | 5 * 20 + 5 * 15 + 5 * 5
        sell 5 90   | 0    | 0                    | 200 - 5 * 20
        """,
    # Shorts: a sale opens, books no profit, and the oldest lot is bought back first.
    "short": """
        fill        | qty  | avg_price            | realized
        sell 10 100 | -10  | 100                  | 0
        sell 5 90   | -15  | (1000 + 450) / 15    | 0
        buy 4 95    | -11  | (600 + 450) / 11     | 4 * 5
        buy 8 105   | -3   | 90                   | 20 - 6 * 5 - 2 * 15
        buy 3 80    | 0    | 0                    | -40 + 3 * 10
        """,
    # Through zero: what closes is realized, the rest opens at the fill's price.
    "long to short": """
        fill        | qty  | avg_price            | realized
        buy 10 100  | 10   | 100                  | 0
        sell 15 110 | -5   | 110                  | 10 * 10
        buy 5 100   | 0    | 0                    | 100 + 5 * 10
        """,
    "short to long": """
        fill        | qty  | avg_price            | realized
        sell 10 100 | -10  | 100                  | 0
        buy 15 110  | 5    | 110                  | -10 * 10
        sell 5 120  | 0    | 0                    | -100 + 5 * 10
        """,
    "to and fro over several lots": """
        fill        | qty  | avg_price            | realized
        buy 1 100   | 1    | 100                  | 0
        buy 2 101   | 3    | (100 + 202) / 3      | 0
        buy 3 102   | 6    | (100 + 202 + 306) / 6 | 0
        sell 8 104  | -2   | 104                  | 1 * 4 + 2 * 3 + 3 * 2
        sell 1 105  | -3   | (208 + 105) / 3      | 16
        buy 7 103   | 4    | 103                  | 16 + 2 * 1 + 1 * 2
        sell 4 103  | 0    | 0                    | 20
        """,
    "small coins": """
        fill                | qty     | avg_price | realized
        buy 0.1 0.3         | 0.1     | 0.3       | 0
        buy 0.2 0.3         | 0.3     | 0.3       | 0
        sell 0.3 0.7        | 0       | 0         | 0.3 * 0.4
        buy 0.00001 57123.4 | 0.00001 | 57123.4   | 0.12
        """,
}


def arithmetic(text: str) -> Fraction:
    """The exact value of a sum of products, or of one in brackets over a number."""
    if text.startswith("("):
        inner, _, divisor = text[1:].partition(") / ")
        return arithmetic(inner) / Fraction(divisor)
    terms = text.replace(" - ", " + -").split(" + ")
    value = Fraction(0)
    for term in terms:
        sign, factors = (-1, term[1:]) if term.startswith("-") else (1, term)
        product = Fraction(1)
        for factor in factors.split(" * "):
            product *= Fraction(factor)
        value += sign * product
    return value


@pytest.mark.parametrize("name", TABLES)
def test_positions_are_what_arithmetic_says(name):
    """Quantity, average entry price and realized profit after every fill equal the written arithmetic."""
    ledger = Ledger({})
    for line in TABLES[name].strip().splitlines()[1:]:
        happens, qty, avg_price, realized = (cell.strip() for cell in line.split("|"))
        side, amount, price = happens.split()
        ledger.apply_fill(FillEvent("o-1", "BTC/USDT", side, amount, price, "0", ts_fill_ns=1))  # type: ignore[arg-type]
        check_invariants(ledger)
        view = ledger.positions["BTC/USDT"].view("BTC/USDT", 1)
        assert view.qty == float(qty), happens
        assert view.avg_price == pytest.approx(float(arithmetic(avg_price)), rel=1e-15), happens
        assert Fraction(ledger.realized_pnl("USDT")) == arithmetic(realized), happens
        assert view.realized_pnl == float(arithmetic(realized)), happens


def test_a_reversal_is_a_close_and_an_open():
    """Selling 15 out of 10 gives the same position as selling 10 and then 5, to the last digit."""
    once, twice = Ledger({"USDT": Decimal(0)}), Ledger({"USDT": Decimal(0)})
    for ledger, sales in ((once, ("15",)), (twice, ("10", "5"))):
        ledger.apply_fill(FillEvent("o-1", "BTC/USDT", "buy", Decimal(10), Decimal(100), Decimal(0), 1))
        for qty in sales:
            ledger.apply_fill(FillEvent("o-2", "BTC/USDT", "sell", Decimal(qty), Decimal(110), Decimal(0), 2))
    assert once.get_snapshot() == twice.get_snapshot()
