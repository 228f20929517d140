"""The life of an order, as tables."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from itertools import product

import pytest

from core.contracts import OrderStatus
from core.errors import ContractError, IllegalTransition
from core.execution.order_state import FILLABLE, TERMINAL, TRANSITIONS, Order, advance, apply_fill
from core.ledger import exact


def new_order(qty: str = "10") -> Order:
    """A limit buy that nobody has sent yet."""
    return Order("o-1", "sma", "BTC/USDT", "buy", "limit", Decimal(qty), limit_price=Decimal(100))


def live(order: Order, steps: str) -> Order:
    """Walk through steps; a number is a fill of so many, a word is a state."""
    for step in steps.split():
        order = apply_fill(order, Decimal(step)) if step[0].isdigit() else advance(order, OrderStatus(step))
        with exact():
            assert order.order_qty == order.cum_qty + order.leaves_qty
    return order


LIVES = """
steps                                          | status         | cum | leaves | fills
SUBMITTED                                      | SUBMITTED      | 0   | 10     | 0
SUBMITTED ACK                                  | ACK            | 0   | 10     | 0
SUBMITTED ACK 10                               | FILLED         | 10  | 0      | 1
SUBMITTED ACK 4                                | PARTIAL        | 4   | 6      | 1
SUBMITTED ACK 4 6                              | FILLED         | 10  | 0      | 2
SUBMITTED ACK 1 2 3 4                          | FILLED         | 10  | 0      | 4
SUBMITTED 10                                   | FILLED         | 10  | 0      | 1
SUBMITTED 4                                    | PARTIAL        | 4   | 6      | 1
SUBMITTED REJECTED                             | REJECTED       | 0   | 10     | 0
SUBMITTED EXPIRED                              | EXPIRED        | 0   | 10     | 0
SUBMITTED ACK REJECTED                         | REJECTED       | 0   | 10     | 0
SUBMITTED ACK CANCELED                         | CANCELED       | 0   | 10     | 0
SUBMITTED ACK 4 CANCELED                       | CANCELED       | 4   | 6      | 1
SUBMITTED ACK 4 EXPIRED                        | EXPIRED        | 4   | 6      | 1
SUBMITTED ACK PENDING_CANCEL CANCELED          | CANCELED       | 0   | 10     | 0
SUBMITTED ACK PENDING_CANCEL ACK 10            | FILLED         | 10  | 0      | 1
SUBMITTED ACK PENDING_CANCEL 4                 | PENDING_CANCEL | 4   | 6      | 1
SUBMITTED ACK PENDING_CANCEL 4 CANCELED        | CANCELED       | 4   | 6      | 1
SUBMITTED ACK PENDING_CANCEL 4 6               | FILLED         | 10  | 0      | 2
SUBMITTED ACK 4 PENDING_CANCEL PARTIAL 6       | FILLED         | 10  | 0      | 2
SUBMITTED PENDING_CANCEL REJECTED              | REJECTED       | 0   | 10     | 0
SUBMITTED UNKNOWN ACK                          | ACK            | 0   | 10     | 0
SUBMITTED UNKNOWN REJECTED                     | REJECTED       | 0   | 10     | 0
SUBMITTED UNKNOWN SUBMITTED ACK                | ACK            | 0   | 10     | 0
SUBMITTED UNKNOWN 4                            | PARTIAL        | 4   | 6      | 1
SUBMITTED ACK 4 UNKNOWN PARTIAL                | PARTIAL        | 4   | 6      | 1
SUBMITTED ACK 4 UNKNOWN PENDING_CANCEL CANCELED | CANCELED      | 4   | 6      | 1
CANCELED                                       | CANCELED       | 0   | 10     | 0
REJECTED                                       | REJECTED       | 0   | 10     | 0
EXPIRED                                        | EXPIRED        | 0   | 10     | 0
"""

ILLEGAL = """
steps                            | step           | why
                                 | ACK            | it was never sent
                                 | PARTIAL        | it was never sent
                                 | 1              | it was never sent
                                 | FILLED         | only a fill fills
                                 | PENDING_CANCEL | there is nothing to cancel at a venue
SUBMITTED                        | NEW            | no way back
SUBMITTED                        | SUBMITTED      | no step
SUBMITTED                        | PARTIAL        | nothing was filled
SUBMITTED ACK                    | SUBMITTED      | no way back
SUBMITTED ACK                    | ACK            | no step
SUBMITTED ACK                    | FILLED         | only a fill fills
SUBMITTED ACK                    | 11             | more than was ordered
SUBMITTED ACK                    | 0              | a fill of nothing
SUBMITTED ACK 4                  | 7              | more than was left
SUBMITTED ACK 4                  | ACK            | it is partly filled
SUBMITTED ACK 4                  | REJECTED       | it is partly filled
SUBMITTED ACK 4                  | PARTIAL        | no step
SUBMITTED ACK 4 PENDING_CANCEL   | ACK            | it is partly filled
SUBMITTED ACK 4 PENDING_CANCEL   | REJECTED       | it is partly filled
SUBMITTED ACK PENDING_CANCEL     | PARTIAL        | nothing was filled
SUBMITTED ACK PENDING_CANCEL     | PENDING_CANCEL | no step
SUBMITTED ACK 4 UNKNOWN          | SUBMITTED      | the venue had it
SUBMITTED ACK 10                 | CANCELED       | it has ended
SUBMITTED ACK 10                 | 1              | it has ended
SUBMITTED ACK CANCELED           | 1              | it has ended
SUBMITTED ACK CANCELED           | FILLED         | it has ended
REJECTED                         | SUBMITTED      | it has ended
EXPIRED                          | ACK            | it has ended
"""


def rows(table: str) -> list[list[str]]:
    """The cells of a text table, without its heading."""
    return [[cell.strip() for cell in line.split("|")] for line in table.strip("\n").splitlines()[1:]]


@pytest.mark.parametrize(("steps", "status", "cum", "leaves", "fills"), rows(LIVES))
def test_an_order_lives_as_the_table_says(steps, status, cum, leaves, fills):
    """An order ends each of these lives in the expected state and with the expected quantities."""
    order = live(new_order(), steps)
    assert (order.status, order.cum_qty, order.leaves_qty) == (status, Decimal(cum), Decimal(leaves))
    assert order.fills == int(fills)


@pytest.mark.parametrize(("steps", "step", "why"), rows(ILLEGAL))
def test_an_illegal_step_raises(steps, step, why):
    """A step that the state or the quantities do not allow raises and names the order."""
    order = live(new_order(), steps)
    with pytest.raises(IllegalTransition, match=r"order o-1: .*allowed: "):
        live(order, step)


def test_an_illegal_step_names_where_from_where_to_and_what_is_allowed():
    """The error tells the operator everything needed to understand it."""
    with pytest.raises(IllegalTransition) as caught:
        advance(new_order(), OrderStatus.ACK)
    assert str(caught.value) == (
        "order o-1: from NEW to ACK with 0 of 10 filled; allowed: CANCELED, EXPIRED, REJECTED, SUBMITTED"
    )


def test_nothing_follows_an_end():
    """The terminal states are exactly those that have no next step, and none of them can be filled."""
    assert {status for status, following in TRANSITIONS.items() if not following} == TERMINAL
    assert set(TRANSITIONS) == set(OrderStatus)
    assert not FILLABLE & TERMINAL


@pytest.mark.parametrize("status", sorted(FILLABLE))
@pytest.mark.parametrize("qty", ["1", "10"])
def test_every_fill_is_a_step_of_the_table(status, qty):
    """Whatever a fill leads to is a legal next state."""
    order = Order("o-1", "s", "BTC/USDT", "buy", "market", Decimal(10), status=status)
    assert apply_fill(order, Decimal(qty)).status in TRANSITIONS[status]


def test_every_pair_of_states_is_either_in_the_table_or_raises():
    """Of all pairs of states, only those in the table can be stepped, with nothing or with a part filled."""
    for before, after, cum in product(OrderStatus, OrderStatus, (0, 4)):
        order = Order("o-1", "s", "BTC/USDT", "buy", "market", Decimal(10), cum_qty=Decimal(cum), status=before)
        try:
            stepped = advance(order, after)
        except IllegalTransition:
            continue
        assert after in TRANSITIONS[before]
        assert (stepped.status, stepped.cum_qty) == (after, order.cum_qty)


def test_every_step_of_the_table_can_be_taken():
    """The table promises nothing that the quantities forbid: each of its steps is reached by a step or a fill."""
    unfilled = {OrderStatus.NEW, OrderStatus.SUBMITTED, OrderStatus.ACK}
    for before, following in TRANSITIONS.items():
        reached = set()
        for cum in [0] * (before != OrderStatus.PARTIAL) + [4] * (before not in unfilled):
            order = Order("o-1", "s", "BTC/USDT", "buy", "market", Decimal(10), cum_qty=Decimal(cum), status=before)
            for after in following:
                with suppress(IllegalTransition):
                    reached.add(advance(order, after).status)
            for qty in (Decimal(1), order.leaves_qty) if before in FILLABLE else ():
                reached.add(apply_fill(order, qty).status)
        assert reached == following, before


def test_thirty_digits_are_not_rounded():
    """What is left of an order is exact, also beyond the 28 digits of Python's default arithmetic."""
    order = live(new_order("1000000000000.000000000000000001"), "SUBMITTED 0.000000000000000000000000000001")
    assert str(order.leaves_qty) == "1000000000000.000000000000000000999999999999"


@pytest.mark.parametrize(
    ("kind", "qty", "limit_price", "field"),
    [
        ("market", "0", None, "order_qty"),
        ("market", "-1", None, "order_qty"),
        ("market", "NaN", None, "order_qty"),
        ("limit", "1", None, "limit_price"),
        ("limit", "1", "0", "limit_price"),
        ("market", "1", "-5", "limit_price"),
    ],
)
def test_an_order_that_makes_no_sense_cannot_be_built(kind, qty, limit_price, field):
    """Quantities and prices of nothing or less are refused with the field's name."""
    limit = None if limit_price is None else Decimal(limit_price)
    with pytest.raises(ContractError, match=f"Order.{field}"):
        Order("o-1", "s", "BTC/USDT", "buy", kind, Decimal(qty), limit_price=limit)


def test_an_update_tells_the_orders_state():
    """The event about an order carries its state, quantities, owner and time."""
    update = live(new_order(), "SUBMITTED ACK 4 CANCELED").update(7, "user")
    assert (update.order_id, update.status, update.strategy_id) == ("o-1", "CANCELED", "sma")
    assert (update.order_qty, update.cum_qty, update.leaves_qty) == (Decimal(10), Decimal(4), Decimal(6))
    assert (update.ts_ns, update.reason) == (7, "user")
