"""Small strategies that tests of the host plug in."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.contracts import CancelIntent, FillEvent, OrderIntent, SignalIntention, TradeEvent
from strategies.base import StrategyBase
from strategies.indicators import Bollinger, Ema, Rsi, Sma
from strategies.state import PerSymbol, Stateful
from strategies.strategy import Strategy


class Plain(StrategyBase):
    """The bare interface: buys 1 at every trade."""

    strategy_id = "plain"

    def on_event(self, event):
        if isinstance(event, TradeEvent):
            yield OrderIntent(self.strategy_id, event.symbol, "buy", "market", Decimal(1))


class Diary(Strategy):
    """Says how many things of each kind it has seen, as a quantity, at every watermark; trades nothing itself."""

    strategy_id = "diary"

    def __init__(self, context):
        super().__init__(context)
        self.seen: list[str] = []

    def on_event(self, event):
        self.seen.append(type(event).__name__)
        return super().on_event(event)

    def on_timer(self, watermark):
        return [self.buy(watermark.symbol, Decimal(len(self.seen)))]


class BarDiary(Strategy):
    """Asks for as many units as it has heard bars, at every bar."""

    strategy_id = "bar_diary"

    def __init__(self, context):
        super().__init__(context)
        self.bars = 0

    def on_bar(self, bar):
        self.bars += 1
        return [self.buy(bar.symbol, Decimal(self.bars))]


class Greeter(Strategy):
    """Buys 1 when it starts, sells 2 when it is taken away."""

    strategy_id = "greeter"

    def on_start(self):
        return (self.buy("BTC/USDT", Decimal(1)),)

    def on_stop(self):
        yield self.sell("BTC/USDT", Decimal(2))


class Fragile(Strategy):
    """Raises at prices above `breaks_at`, after saying something; otherwise buys 1."""

    strategy_id = "fragile"

    @dataclass(frozen=True)
    class Params:
        """What can be set."""

        breaks_at: float = 100.0

    params: Params

    def on_trade(self, trade):
        yield self.buy(trade.symbol, Decimal(1))
        if trade.price > self.params.breaks_at:
            raise RuntimeError(f"too dear for {object()!r}")


class Wrong(Strategy):
    """Answers with what is no wish: what it is configured to."""

    strategy_id = "wrong"

    def on_trade(self, trade):
        return {"text": "buy!", "event": [trade], "number": 7, "one": self.buy(trade.symbol, Decimal(1))}[
            self.context.config["says"]
        ]


class Priced(Strategy):
    """Answers a trade with its view of the world: quantity = last price it knows, limit = what it holds."""

    strategy_id = "priced"

    def on_trade(self, trade, context):
        price, held = context.prices[trade.symbol], self.held(trade.symbol)
        return [self.buy(trade.symbol, Decimal(repr(price)), held or None)]


class Talker(Strategy):
    """Says one thing through the bus, one as a payload and one by yield; takes its orders back at fills."""

    strategy_id = "talker"

    def on_trade(self, trade):
        self.context.bus.publish(self.buy(trade.symbol, Decimal(1)))
        body = {"strategy_id": "x", "symbol": trade.symbol, "side": "buy", "type": "market", "qty": "2"}
        self.context.bus.publish_json("strat.intent", body)
        yield self.buy(trade.symbol, Decimal(3))

    def on_fill(self, fill: FillEvent):
        return [CancelIntent("somebody_else", fill.order_id, fill.symbol)]


class _Notes(Stateful):
    def __init__(self, length: int) -> None:
        self.sma, self.ema, self.rsi, self.bands = Sma(length), Ema(length), Rsi(length), Bollinger(length)
        self.paid = Decimal(0)
        self.last: TradeEvent | None = None
        self.pair: tuple[int, ...] = ()


class Everything(Strategy):
    """Keeps memory of every kind; its intents depend on all of it."""

    strategy_id = "everything"

    @dataclass(frozen=True)
    class Params:
        """What can be set."""

        length: int = 3

    params: Params

    def __init__(self, context):
        super().__init__(context)
        self.notes = PerSymbol(lambda: _Notes(self.params.length))

    def on_trade(self, trade):
        notes = self.notes[trade.symbol]
        for indicator in (notes.sma, notes.ema, notes.rsi, notes.bands):
            indicator.update(trade.price)
        before, notes.last = notes.last, trade
        notes.pair = (*notes.pair[-1:], trade.ts)
        sma, ema, rsi, bands = notes.sma.value, notes.ema.value, notes.rsi.value, notes.bands.value
        if before is None or sma is None or ema is None or rsi is None or bands is None:
            return ()
        limit = sma + ema + rsi + bands.lower + before.price
        return (self.buy(trade.symbol, 1 + notes.paid + sum(notes.pair) % 7, Decimal(repr(limit))),)

    def on_fill(self, fill):
        self.notes[fill.symbol].paid += fill.qty * fill.price


class Hoarder(Strategy):
    """Holds from the start what cannot be written down."""

    strategy_id = "hoarder"

    def __init__(self, context):
        super().__init__(context)
        self.things = {object()}


class Pundit(Strategy):
    """Has an opinion of every trade, said in every way there is; notes what the sizer makes of it."""

    strategy_id = "pundit"

    def __init__(self, context):
        super().__init__(context)
        self.answers: list[str] = []

    def on_trade(self, trade, context):
        context.emit_signal(
            symbol=trade.symbol,
            intention=SignalIntention.OPEN_LONG,
            price=trade.price,
            confidence=0.85,
            stop_loss=Decimal("140.00"),
            take_profit="160.00",
        )
        context.bus.publish_json(
            "strat.signal", {"strategy_id": "x", "symbol": trade.symbol, "intention": "CLOSE_SHORT"}
        )
        yield self.buy(trade.symbol, Decimal(1))
        yield self.close_long(trade.symbol, price=trade.price)

    def on_sizing(self, decision):
        self.answers.append(decision.reason or "accepted")


class Oracle(StrategyBase):
    """Emits the one signal that it is configured to."""

    strategy_id = "oracle"

    def on_event(self, event):
        if isinstance(event, TradeEvent):
            self.context.emit_signal(**{"symbol": event.symbol, "intention": "OPEN_LONG", **self.context.config})
        return ()
