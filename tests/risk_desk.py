"""A desk in front of a risk gate: says what happened and when, in a sentence per event."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from core.contracts import (
    FillEvent,
    Halt,
    Malformed,
    OrderEvent,
    OrderIntent,
    PnlDay,
    Resume,
    RiskDecision,
    TradeEvent,
    Watermark,
)
from core.handler import At
from core.risk.gate import SERVICE

S = 1_000_000_000
MIDNIGHT_NS = 1_723_075_200 * S  # 2024-08-08T00:00:00Z: 19,943 days of 86,400 s after 1970-01-01
NOON_NS = MIDNIGHT_NS + 43_200 * S
SYMBOL = "BTC/USDT"
ME = "risk_engine.main"


def content(env="paper", venue="paper", instruments=None, **risk):
    """The risk engine's part of a configuration: a 250 USD order cap, a 300 USD loss cap, 30 orders a minute."""
    caps = {"per_order_usd_cap": "250", "daily_loss_usd_cap": "300", "orders_per_min_cap": 30, **risk}
    known = instruments or [grid(SYMBOL), grid("ETH/USDT")]
    return {"env": env, "venue": venue, "risk": caps, "instruments": known}


def grid(symbol):
    """Ticks of 0.01, lots of 0.001, orders from 5 USD."""
    return {"symbol": symbol, "tick_size": "0.01", "lot_size": "0.001", "min_notional": "5"}


class Desk:
    """One gate with its clocks; the sequencer's starts at the market's and both stand still until told."""

    def __init__(self, market_ns=NOON_NS, resumed=True, **settings):
        self.gate = SERVICE.build(content(**settings))
        self.seq = 0
        self.market_ns = market_ns
        self.ts_ns = NOON_NS
        if resumed:
            self.resume()

    def say(self, event, root_age_s=0.0):
        """Hand the gate one event; its cause may be older."""
        self.seq += 1
        at = At(self.seq, self.ts_ns, self.market_ns, self.seq, self.ts_ns - round(root_age_s * S))
        return list(self.gate.on_event(event, at))

    def passes(self, seconds):
        """Both clocks move on."""
        self.market_ns += round(seconds * S)
        self.ts_ns += round(seconds * S)
        self.say(Watermark(SYMBOL, self.market_ns))

    def resume(self):
        return self.say(Resume(ME, "clear", 0))

    def halt(self, reason="file: drill"):
        return self.say(Halt(ME, reason, 0))

    def trade(self, price=100.0, symbol=SYMBOL, age_s=0.0):
        """A public trade, some seconds of market time ago."""
        return self.say(TradeEvent(symbol, price, 1.0, "buy", self.market_ns - round(age_s * S)))

    def pnl(self, pnl, age_s=0.0):
        """The portfolio manager's profit of the day, some seconds of market time ago."""
        market_ns = self.market_ns - round(age_s * S)
        day = "2024-08-08" if market_ns >= MIDNIGHT_NS else "2024-08-07"
        return self.say(PnlDay(day, Decimal(pnl), Decimal(10000), Decimal(10000), market_ns))

    def malformed(self, intent_id="", topic="strat.intent", error="qty is 'nan'"):
        return self.say(Malformed(topic, error, intent_id))

    def fill(self, side="buy", qty="1", symbol=SYMBOL, strategy="sma_cross_v1", price="100"):
        """A fill of one of our orders."""
        return self.say(FillEvent("o-1", symbol, side, qty, price, Decimal(0), self.market_ns, strategy_id=strategy))

    def send(self, qty="1", price=None, side="buy", symbol=SYMBOL, intent_id="", kind=None, root_age_s=0.0, **more):
        """An intent: a limit order where a price is given, else a market order. Returns everything answered."""
        kind = kind or ("market" if price is None else "limit")
        wish = OrderIntent("sma_cross_v1", symbol, side, kind, Decimal(qty), price and Decimal(price), intent_id)
        return self.say(replace(wish, **more), root_age_s)

    def close(self, qty="1", side="sell", **more):
        """A market order that may only reduce. Returns everything answered."""
        return self.send(qty, side=side, reduce_only=True, **more)

    def keyed(self, key, side="buy"):
        """A market order under an idempotency key. Returns everything answered."""
        return self.send(side=side, idempotency_key=key)

    def fate_of_close(self, qty="1", side="sell", **more):
        """A close's fate in one word."""
        return self.ask(qty, side=side, reduce_only=True, **more)

    def ask(self, *args, **kwargs):
        """An intent's fate in one word: the reason of the denial, or "allowed" if an order followed."""
        decision, *orders = self.send(*args, **kwargs)
        assert isinstance(decision, RiskDecision)
        assert decision.allowed == bool(orders) == (decision.reason is None)
        assert all(isinstance(order, OrderEvent) for order in orders)
        assert len(orders) <= 1
        return "allowed" if decision.allowed else str(decision.reason)
