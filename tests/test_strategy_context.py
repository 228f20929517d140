"""What a strategy sees, and the bus as it sees it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from decimal import Decimal

import pytest

from core.contracts import CancelIntent, OrderIntent, PositionSnapshot
from core.errors import ContractError
from strategies.context import StrategyContext
from strategies.outbox import Outbox
from tests.strategy_desk import BTC, trade

BUY = OrderIntent("mine_v1", BTC, "buy", "market", Decimal(1))


def test_a_context_holds_what_it_is_given():
    """Id, bus, positions, prices and parameters are there under the names that strategies use."""
    held, bus = PositionSnapshot(BTC, 1.0, 100.0, 0.0, 0, "mine_v1"), Outbox()
    context = StrategyContext(
        strategy_id="mine_v1", bus=bus, positions={BTC: held}, prices={BTC: 101.0}, config={"fast": 3}
    )
    assert (context.strategy_id, context.bus, context.positions[BTC]) == ("mine_v1", bus, held)
    assert (context.prices[BTC], context.config["fast"]) == (101.0, 3)


def test_a_context_cannot_be_changed():
    """A strategy cannot put another bus or other prices in its context."""
    context = StrategyContext("mine_v1", Outbox(), {}, {}, {})
    with pytest.raises(FrozenInstanceError):
        context.prices = {}  # type: ignore[misc]


async def test_wishes_are_collected_in_order():
    """Intents and cancels, as events or as payloads, awaited or not, come out in the order they went in."""
    outbox = Outbox()
    outbox.publish(BUY)
    outbox.publish_json("orders.cancel", {"strategy_id": "mine_v1", "order_id": "o-1", "symbol": BTC})
    body = {"strategy_id": "mine_v1", "symbol": BTC, "side": "sell", "type": "limit", "qty": 2, "limit_price": "9.5"}
    await outbox.publish_json("strat.intent", body)
    assert outbox.filled
    assert outbox.drain() == [
        BUY,
        CancelIntent("mine_v1", "o-1", BTC),
        OrderIntent("mine_v1", BTC, "sell", "limit", Decimal(2), Decimal("9.5")),
    ]
    assert not outbox.filled


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda bus: bus.publish(trade(1)), "a strategy said TradeEvent; allowed: OrderIntent, CancelIntent, Signal"),
        (lambda bus: bus.publish_json("fills.new", {"qty": 1}), "published on 'fills.new'; allowed: strat.intent"),
        (lambda bus: bus.publish_json("strat.intent", {"qty": 1}), "OrderIntent"),
        (lambda bus: bus.subscribe("md.trades.*"), "cannot subscribe to 'md.trades.*'; list it under `events`"),
    ],
)
def test_what_a_strategy_may_not_do(act, message):
    """It can neither forge fills and trades nor open subscriptions of its own; it is told what to do instead."""
    outbox = Outbox()
    with pytest.raises(ContractError) as error:
        act(outbox)
    assert message in str(error.value)
    assert not outbox.filled
