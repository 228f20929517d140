"""One strategy under the host: its view of the world, its errors, its life from start to stop."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from core import topics
from core.contracts import (
    CancelIntent,
    Event,
    FillEvent,
    Instrument,
    OHLCVBar,
    OrderUpdate,
    PositionSnapshot,
    RiskDecision,
    Signal,
    SizingDecision,
    StrategyFailed,
    WarmUp,
    Watermark,
)
from core.errors import ConfigError, ContractError
from core.warm_up import Need
from strategies.base import StrategyBase, Wish
from strategies.context import StrategyContext
from strategies.outbox import Outbox
from strategies.settings import FILE, HostSettings, StrategyEntry

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+")
_ERROR_MAX = 500
WARMUP_MAX = 5000
"""Most bars that a strategy gets of a series; a warm-up is one line of the log."""
_OWN = (FillEvent, OrderUpdate, RiskDecision, SizingDecision)
_RAISED = (Exception, SystemExit)
"""Whatever a plugin raises, also one that calls `exit`: the others go on."""


class _Lost(StrategyBase):
    """Stands in for a strategy whose memory could not be written down, until the next market second says so."""

    def on_event(self, event: Any) -> Iterable[Wish]:
        return ()

    def snapshot(self) -> dict[str, Any]:
        raise ContractError("it held what cannot be remembered when its memory was written down")


class HostedStrategy:
    """Calls one strategy and keeps what it raises from the others.

    Attributes:
        entry: its entry in strategies.yaml.
        started: whether `on_start` has been called.
        errors: how often it has raised since it was loaded.
        quarantined: True if it gets no more events.
        prices: last trade price by symbol, quote units per base unit.
        warmed: by channel of bars, when the newest bar of its warm-up opened, ns UTC; -1 where it went on without.
    """

    def __init__(
        self,
        entry: StrategyEntry,
        strategy_class: type[StrategyBase],
        positions: Mapping[str, PositionSnapshot],
        *,
        settings: HostSettings,
    ) -> None:
        """
        Raises:
            ConfigError: the strategy does not take its parameters, or what it holds cannot be remembered.
        """
        self.entry = entry
        self.started = self.quarantined = False
        self.errors = 0
        self.prices: dict[str, float] = {}
        self.warmed: dict[str, int] = {}
        self._series = entry.series
        self._class = strategy_class
        self._settings = settings
        self._outbox = Outbox()
        prices, config = MappingProxyType(self.prices), MappingProxyType(deepcopy(entry.params))
        self._context = StrategyContext(entry.id, self._outbox, MappingProxyType(positions), prices, config)
        self._strategy = self._create()
        self._wanted = self._warmup()

    def _warmup(self) -> int:
        """How many bars it gets of each series.

        Raises:
            ConfigError: no number of bars, or it would not look at them.
        """
        try:
            wanted = self._strategy.warmup()
        except Exception as error:
            raise ConfigError(f"{FILE}: strategy {self.entry.id!r}: warmup() failed: {_text(error)}") from error
        if type(wanted) is not int or wanted < 0:
            raise ConfigError(f"{FILE}: strategy {self.entry.id!r}: warmup() is {wanted!r}; allowed: 0 or more bars")
        if wanted and self._class.on_warmup is StrategyBase.on_warmup:
            raise ConfigError(f"{FILE}: strategy {self.entry.id!r} asks for a warm-up; it must define on_warmup(bar)")
        return min(wanted, WARMUP_MAX)

    def _create(self) -> StrategyBase:
        try:
            strategy = self._class.create(self._context)
            strategy.snapshot()
            if self._outbox.drain():  # every restart would say it again
                raise ContractError("it wishes to trade before it is started; allowed: from on_start on")
        except ConfigError as error:
            raise ConfigError(f"{FILE}: strategy {self.entry.id!r}: {error}") from None
        except Exception as error:
            raise ConfigError(f"{FILE}: strategy {self.entry.id!r} cannot be made: {_text(error)}") from error
        return strategy

    def wants(self, event: Event) -> bool:
        """Whether it is to see an event: what it listed, of its symbols, and its own fills, updates, answers."""
        owner = getattr(event, "strategy_id", "")
        if isinstance(event, _OWN) or owner:
            return owner == self.entry.id and (isinstance(event, _OWN) or self._listed(event))
        if isinstance(event, Watermark):
            return event.symbol in self.entry.symbols
        return self._listed(event) and getattr(event, "symbol", self.entry.symbols[0]) in self.entry.symbols

    def _listed(self, event: Event) -> bool:
        return topics.covered(self.entry.events, topics.topic_of(event))

    def needs(self) -> dict[str, Need]:
        """The warm-ups that it still waits for, by channel."""
        if not self._wanted or self.quarantined:
            return {}
        return {name: Need(*which, self._wanted) for name, which in self._series.items() if name not in self.warmed}

    def warm_up(self, event: WarmUp) -> Sequence[Event]:
        """Show it the newest of these bars, as many as it wants, unless it has gone on already.

        What it wishes meanwhile is an error: nobody can trade on the past.
        """
        name = topics.MD_OHLCV.name.format(timeframe=event.timeframe, symbol=event.symbol)
        if name not in self.needs():
            return ()
        self.warmed[name] = event.bars[-1].ts_open if event.bars else -1
        try:
            for bar in event.bars[-self._wanted :]:
                if self._strategy.on_warmup(bar) is not None or self._outbox.filled:  # type: ignore[func-returns-value]
                    raise ContractError("it wishes to trade in its warm-up; allowed: from its first event on")
        except _RAISED as error:
            return self._failed(error)
        return ()

    def _is_old(self, event: Event) -> bool:
        """Whether a bar was part of its warm-up; one that comes before any warm-up ends the waiting for it.

        Also where it wants none: with other code it may, and what it has seen by then must not come again.
        """
        if not isinstance(event, OHLCVBar):
            return False
        return event.ts_open <= self.warmed.setdefault(topics.MD_OHLCV.of(event), -1)

    def on_event(self, event: Event) -> Sequence[Event]:
        """Show it an event; before each second of the market see whether its memory can be written down.

        One that assigns what cannot be remembered would otherwise take the others' memory with it, at every start anew.
        """
        if self.quarantined or self._is_old(event):
            return ()
        try:
            if isinstance(event, Watermark):
                self._strategy.snapshot()
        except _RAISED as error:
            return self._failed(error, final=True)
        try:
            said = self._strategy.on_event(event)
            return self._wishes(said) if said else self._finished()
        except _RAISED as error:
            return self._failed(error)

    def start(self) -> Sequence[Event]:
        """Call `on_start`, once in its life."""
        self.started = True
        return self._call("on_start")

    def stop(self) -> Sequence[Event]:
        """Call `on_stop`."""
        return self._call("on_stop")

    def _call(self, name: str) -> Sequence[Event]:
        hook: Callable[[], Iterable[Wish] | None] | None = getattr(self._strategy, name, None)
        if hook is None or self.quarantined:
            return ()
        try:
            return self._wishes(hook() or ())
        except _RAISED as error:
            return self._failed(error)

    def _wishes(self, said: Iterable[Wish]) -> Sequence[Event]:
        for wish in said:
            self._outbox.publish(wish)
        return self._finished()

    def _finished(self) -> Sequence[Event]:
        if not self._outbox.filled:
            return ()
        return [self._in_order(wish) for wish in self._outbox.drain()]

    def _in_order(self, wish: Wish) -> Event:
        """The wish under its own name, an intent on the instrument's grid; the gate denies unknown symbols."""
        if isinstance(wish, CancelIntent):
            return replace(wish, strategy_id=self.entry.id)
        if isinstance(wish, Signal):  # the sizer puts what it makes of it on the grid
            return replace(wish, strategy_id=self.entry.id, confidence=float(wish.confidence))
        instrument: Instrument | None = self._settings.instruments.get(wish.symbol)
        own = replace(wish, strategy_id=self.entry.id, signal_id="")
        if instrument is None:
            return own
        limit, stop = wish.limit_price, wish.stop_price
        return replace(
            own,
            qty=instrument.quantize_qty(wish.qty),
            limit_price=instrument.quantize_price(limit, wish.side) if limit is not None else None,
            stop_price=instrument.quantize_price(stop, wish.side) if stop is not None else None,
        )

    def _failed(self, error: BaseException, *, final: bool = False) -> Sequence[Event]:
        self._outbox.drain()
        self.errors += 1
        self.quarantined = final or self.errors >= self._settings.max_errors
        return [StrategyFailed(self.entry.id, _text(error), self.errors, self.quarantined)]

    def snapshot(self) -> dict[str, Any]:
        """Everything that its later answers depend on; one in quarantine answers nothing, so it remembers nothing.

        Its `state` is None while it holds what cannot be written down, which is until the next second of the market.
        """
        return {
            "entry": self.entry.to_dict(),
            "started": self.started,
            "errors": self.errors,
            "quarantined": self.quarantined,
            "warmed": dict(self.warmed),
            "prices": dict(self.prices),
            "state": {} if self.quarantined else self._memory(),
        }

    def _memory(self) -> dict[str, Any] | None:
        try:
            return self._strategy.snapshot()
        except _RAISED:
            return None

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `snapshot` described.

        With a changed entry the memory is taken over as far as it fits and errors count from zero; a strategy that was
        in quarantine starts fresh. So does one whose memory does not fit at all, also when only its code has changed.
        """
        self.prices.clear()
        self.prices.update({s: price for s, price in state["prices"].items() if s in self.entry.symbols})
        self.warmed = dict(state.get("warmed", dict.fromkeys(self._series, -1)))  # one from before had none
        if state["entry"] == self.entry.to_dict():
            self.started, self.errors = state["started"], state["errors"]
            self.quarantined = state["quarantined"]
            if state["state"] is None:
                self._strategy = _Lost()
            elif not self.quarantined:
                self._take_over(state["state"])
        elif not state["quarantined"]:
            self.started = state["started"]
            self._take_over(state["state"])
        else:
            self.warmed.clear()

    def _take_over(self, memory: Any) -> None:
        try:
            self._strategy.restore(memory)
        except _RAISED:  # that of other parameters or of other code may break a plugin in any way
            self._strategy, self.started = self._create(), False
            self.warmed.clear()


def _text(error: BaseException) -> str:
    """Type and text without memory addresses, which differ from run to run, and without what cannot be written."""
    try:
        text = str(error)
    except _RAISED:
        text = "its text cannot be made"
    written = f"{type(error).__name__}: {text}".encode(errors="replace").decode()
    return _ADDRESS.sub("0x...", written)[:_ERROR_MAX]
