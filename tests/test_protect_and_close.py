"""A trader's story through gate and venue together: a position built under the caps can always be closed, once."""

from __future__ import annotations

from decimal import Decimal

from core import codec, topics
from core.contracts import Event, OrderIntent, PnlDay, Resume, TradeEvent, Watermark
from core.execution import paper
from core.kernel import Kernel
from core.risk import gate
from core.runner import item_of

BTC = "BTC/USDT"
NOON_NS = 1_723_118_400_000_000_000  # 2024-08-08T12:00:00Z
GRID = {"symbol": BTC, "tick_size": "0.01", "lot_size": "0.001", "min_notional": "5"}
CONTENTS = {
    "risk_engine": {
        "env": "paper",
        "venue": "paper",
        "risk": {"per_order_usd_cap": "250", "daily_loss_usd_cap": "300", "orders_per_min_cap": 6},
        "instruments": [GRID],
    },
    "paper_trader": {"paper": {"taker_fee_bps": "10", "maker_fee_bps": "2"}, "instruments": [GRID]},
}


class Day:
    """Gate and venue over one order of events, and what they said."""

    def __init__(self) -> None:
        self.kernel = Kernel([gate.SERVICE, paper.SERVICE])
        self.kernel.configure(CONTENTS)
        self.kernel.publish("risk_engine.main", [item_of(Resume("risk_engine.main", "clear", 0))])
        self.wishes = 0

    def say(self, event: Event) -> list[tuple[str, dict[str, object]]]:
        """Publish an event; what follows from it."""
        lines = self.kernel.feed("desk.main", [event])[1:]
        return [(topic, codec.payload_of(line)) for topic, line in lines]

    def trade(self, price: float) -> list[tuple[str, dict[str, object]]]:
        """A public trade."""
        self.say(Watermark(BTC, NOON_NS))
        return self.say(TradeEvent(BTC, price, 1.0, "buy", NOON_NS))

    def wish(self, side: str, qty: str, **more: object) -> list[tuple[str, dict[str, object]]]:
        """An intent, a market order unless said otherwise."""
        self.wishes += 1
        values = {"type": "market", "intent_id": f"i-{self.wishes}", **more}
        return self.say(OrderIntent("sma", BTC, side, qty=Decimal(qty), **values))  # type: ignore[arg-type]


def fate(said: list[tuple[str, dict[str, object]]]) -> str:
    """What the gate decided and what became of the order, in a few words."""
    words = [str(body["reason"]) for topic, body in said if topic == topics.RISK_DECISIONS.name and body["reason"]]
    words += [
        f"{body['side']} {body['qty']} @ {body['price']}" for topic, body in said if topic == topics.FILLS_NEW.name
    ]
    words += [
        f"{body['status']} {body['reason']}".strip()
        for topic, body in said
        if topic == topics.ORDERS_UPDATES.name and body["status"] != "ACK"
    ]
    return ", ".join(words)


def test_a_position_of_1000_is_closed_by_one_order_on_a_lost_day_and_only_once():
    """Five entries of 200 make 1,000 under a cap of 250; one close ends it after the loss cap, another does nothing."""
    day = Day()
    day.trade(100.0)
    for _ in range(5):
        assert fate(day.wish("buy", "2")) == "buy 2 @ 100.0, FILLED"
    assert fate(day.wish("buy", "10")) == "per_order_cap"
    assert fate(day.wish("sell", "10")) == "per_order_cap"  # it does not say that it may only reduce
    day.say(PnlDay("2024-08-08", Decimal(-350), Decimal(9650), Decimal(10000), NOON_NS))
    day.trade(65.0)
    assert fate(day.wish("buy", "2")) == "daily_loss_cap"
    assert fate(day.wish("sell", "2")) == "daily_loss_cap"
    assert fate(day.wish("sell", "10", reduce_only=True)) == "sell 10 @ 65.0, FILLED"
    assert fate(day.wish("sell", "10", reduce_only=True)) == "reduce_only"


def test_the_same_close_in_flight_twice_is_harmless():
    """Two closes that the gate lets pass before it has heard of the first one's fill sell the position once."""
    day = Day()
    day.trade(100.0)
    day.wish("buy", "2")
    closes = [
        OrderIntent("sma", BTC, "sell", "market", Decimal(2), intent_id=f"c-{number}", reduce_only=True)
        for number in range(2)
    ]
    lines = day.kernel.publish("desk.main", [item_of(close) for close in closes])
    said = [(topic, codec.payload_of(line)) for topic, line in lines]
    assert fate(said) == "sell 2 @ 100.0, FILLED, REJECTED reduce_only"


def test_the_same_key_twice_is_one_order():
    """A wish that is sent again under its key, with another id, gets the first decision and no order."""
    day = Day()
    day.trade(100.0)
    assert fate(day.wish("buy", "2", idempotency_key="enter-1")) == "buy 2 @ 100.0, FILLED"
    said = day.wish("buy", "2", idempotency_key="enter-1")
    assert [(topic, body["intent_id"]) for topic, body in said] == [("risk.decisions", "i-1")]


def test_a_stop_and_a_target_protect_the_position_and_leave_nothing_behind():
    """The stop sells where the market is after a gap, and the target goes with it."""
    day = Day()
    day.trade(100.0)
    day.wish("buy", "2")
    stop = {"type": "stop", "stop_price": Decimal(95), "reduce_only": True}
    target = {"type": "limit", "limit_price": Decimal(110), "reduce_only": True}
    assert fate(day.wish("sell", "2", **stop)) == fate(day.wish("sell", "2", **target)) == ""
    assert fate(day.trade(91.5)) == "sell 2 @ 91.5, FILLED, CANCELED reduce_only"
    assert fate(day.trade(120.0)) == ""
    assert fate(day.wish("sell", "2", **stop)) == "reduce_only"
