"""The comfortable base of a strategy: a hook per kind of event, typed parameters, ready-made intents and signals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from inspect import signature
from typing import Any, ClassVar, Self, Unpack

from core.contracts import (
    BookEvent,
    FillEvent,
    OHLCVBar,
    OrderIntent,
    OrderType,
    OrderUpdate,
    RiskDecision,
    Side,
    Signal,
    SignalIntention,
    SizingDecision,
    TickerEvent,
    TradeEvent,
    Watermark,
)
from strategies.base import StrategyBase, Wish
from strategies.context import StrategyContext
from strategies.hints import hint
from strategies.params import params_from
from strategies.signals import Terms, signal_of

Said = Iterable[Wish] | None
"""What a hook may return: nothing, a tuple, a list, or by `yield`."""

HOOKS: dict[type[Any], str] = {
    TradeEvent: "on_trade",
    OHLCVBar: "on_bar",
    BookEvent: "on_book",
    TickerEvent: "on_ticker",
    FillEvent: "on_fill",
    OrderUpdate: "on_order_update",
    RiskDecision: "on_decision",
    SizingDecision: "on_sizing",
    Watermark: "on_timer",
}
_NAMES = ("on_event", "on_start", "on_stop", "on_warmup", *HOOKS.values())


class Strategy(StrategyBase):
    """Dispatches to the hooks that a subclass defines: `on_trade(trade)`, `on_bar(bar)`, `on_book(book)`,
    `on_ticker(ticker)`, `on_fill(fill)`, `on_order_update(update)`, `on_decision(decision)`, `on_sizing(decision)` and
    `on_timer(watermark)`.

    One that defines `warmup()` and `on_warmup(bar)` sees bars from before its first event.

    A hook that takes a second argument gets the context. Fills, updates and decisions, the gate's and the sizer's, are
    its own only; timers are the market's seconds of its symbols. Indicators and other memory are made in `__init__`;
    what can be configured belongs in `Params`, never in an attribute, because attributes come back from the past after
    a restart.

    Attributes:
        Params: frozen dataclass of parameters; without one any `params` are allowed and only in `context.config`.
        params: the parameters of this instance.
    """

    Params: ClassVar[type[Any] | None] = None
    params: Any
    _hooks: ClassVar[dict[type[Any], Callable[[Any, Any], Said]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in vars(cls):
            if name.startswith("on_") and name not in _NAMES:
                raise TypeError(f"{cls.__name__}.{name} is no hook and would never be called; {hint(name, _NAMES)}")
        cls._hooks = {event: _hook(getattr(cls, name)) for event, name in HOOKS.items() if hasattr(cls, name)}

    def __init__(self, context: StrategyContext) -> None:
        """
        Raises:
            ConfigError: the context's `config` does not fit `Params`.
        """
        self.context = context
        self.strategy_id = context.strategy_id
        self.params = params_from(context.config, self.Params) if self.Params is not None else None

    @classmethod
    def create(cls, context: StrategyContext) -> Self:
        """Make one for a context; called by the host."""
        return cls(context)

    def on_event(self, event: Any) -> Iterable[Wish]:
        """Call the hook for this kind of event, if there is one."""
        hook = self._hooks.get(type(event))
        return (hook(self, event) or ()) if hook is not None else ()

    def on_start(self) -> Said:
        """Answer the first event of its life; not called again after a restart."""

    def on_stop(self) -> Said:
        """Have the last word when a change of configuration removes it."""

    def held(self, symbol: str) -> Decimal:
        """Own position, base units; negative is short."""
        position = self.context.positions.get(symbol)
        return Decimal(repr(position.qty)) if position is not None else Decimal(0)

    def buy(
        self,
        symbol: str,
        qty: Decimal,
        limit_price: Decimal | None = None,
        stop_price: Decimal | None = None,
        *,
        reduce_only: bool = False,
    ) -> OrderIntent:
        """An intent to buy: a limit, a stop, or a market order. It is nothing until returned or yielded.

        With `reduce_only` it can only buy back what was sold short; see `sell`.
        """
        return replace(self._intent(symbol, "buy", qty, limit_price, stop_price), reduce_only=reduce_only)

    def sell(
        self,
        symbol: str,
        qty: Decimal,
        limit_price: Decimal | None = None,
        stop_price: Decimal | None = None,
        *,
        reduce_only: bool = False,
    ) -> OrderIntent:
        """An intent to sell: a limit, a stop, or a market order. It is nothing until returned or yielded.

        An exit should say `reduce_only`: it can never open, and no cap on opening orders can stop it.
        """
        return replace(self._intent(symbol, "sell", qty, limit_price, stop_price), reduce_only=reduce_only)

    def open_long(self, symbol: str, **terms: Unpack[Terms]) -> Signal:
        """A signal to buy, sized by the sizer; `price`, `confidence`, `stop_loss`, `take_profit` are optional."""
        return signal_of(self.strategy_id, symbol, SignalIntention.OPEN_LONG, **terms)

    def close_long(self, symbol: str, **terms: Unpack[Terms]) -> Signal:
        """A signal to sell what is held."""
        return signal_of(self.strategy_id, symbol, SignalIntention.CLOSE_LONG, **terms)

    def open_short(self, symbol: str, **terms: Unpack[Terms]) -> Signal:
        """A signal to sell short, as `open_long`: `stop_loss` is above the price and `take_profit` below."""
        return signal_of(self.strategy_id, symbol, SignalIntention.OPEN_SHORT, **terms)

    def close_short(self, symbol: str, **terms: Unpack[Terms]) -> Signal:
        """A signal to buy back what was sold short."""
        return signal_of(self.strategy_id, symbol, SignalIntention.CLOSE_SHORT, **terms)

    def _intent(
        self, symbol: str, side: Side, qty: Decimal, limit_price: Decimal | None, stop_price: Decimal | None
    ) -> OrderIntent:
        kind: OrderType = "limit" if limit_price is not None else "stop" if stop_price is not None else "market"
        return OrderIntent(self.strategy_id, symbol, side, kind, qty, limit_price, stop_price=stop_price)


def _hook(method: Callable[..., Said]) -> Callable[[Any, Any], Said]:
    if len(signature(method).parameters) == 2:
        return method

    def with_context(strategy: Strategy, event: Any) -> Said:
        return method(strategy, event, strategy.context)

    return with_context
