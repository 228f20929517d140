"""One strategy under the host: its view of the world, its errors, its life from start to stop."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from core import topics
from core.contracts import (
    CancelIntent,
    Event,
    FillEvent,
    Instrument,
    OrderUpdate,
    PositionSnapshot,
    RiskDecision,
    StrategyFailed,
    Watermark,
)
from core.errors import ConfigError
from strategies.base import StrategyBase, Wish
from strategies.context import StrategyContext
from strategies.outbox import Outbox
from strategies.settings import FILE, HostSettings, StrategyEntry

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+")
_ERROR_MAX = 500
_OWN = (FillEvent, OrderUpdate, RiskDecision)


class HostedStrategy:
    """Calls one strategy and keeps what it raises from the others.

    Attributes:
        entry: its entry in strategies.yaml.
        started: whether `on_start` has been called.
        errors: how often it has raised since it was loaded.
        quarantined: True if it gets no more events.
        prices: last trade price by symbol, quote units per base unit.
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
        self._class = strategy_class
        self._settings = settings
        self._outbox = Outbox()
        prices, config = MappingProxyType(self.prices), MappingProxyType(entry.params)
        self._context = StrategyContext(entry.id, self._outbox, MappingProxyType(positions), prices, config)
        self._strategy = self._create()

    def _create(self) -> StrategyBase:
        try:
            strategy = self._class.create(self._context)
            strategy.snapshot()
        except ConfigError as error:
            raise ConfigError(f"{FILE}: strategy {self.entry.id!r}: {error}") from None
        except Exception as error:
            raise ConfigError(f"{FILE}: strategy {self.entry.id!r} cannot be made: {_text(error)}") from error
        return strategy

    def wants(self, event: Event) -> bool:
        """Whether it is to see an event: what it listed, of its symbols, and its own fills, updates, decisions."""
        owner = getattr(event, "strategy_id", "")
        if isinstance(event, _OWN) or owner:
            return owner == self.entry.id and (isinstance(event, _OWN) or self._listed(event))
        if isinstance(event, Watermark):
            return event.symbol in self.entry.symbols
        return self._listed(event) and getattr(event, "symbol", self.entry.symbols[0]) in self.entry.symbols

    def _listed(self, event: Event) -> bool:
        return topics.covered(self.entry.events, topics.topic_of(event))

    def on_event(self, event: Event) -> Sequence[Event]:
        """Show it an event."""
        if self.quarantined:
            return ()
        try:
            said = self._strategy.on_event(event)
            return self._wishes(said) if said else self._finished()
        except Exception as error:  # noqa: BLE001  # whatever a plugin raises, the others go on
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
        except Exception as error:  # noqa: BLE001  # as above
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
        """The wish under the strategy's own name and on the instrument's grid; the gate denies unknown symbols."""
        if isinstance(wish, CancelIntent):
            return replace(wish, strategy_id=self.entry.id)
        instrument: Instrument | None = self._settings.instruments.get(wish.symbol)
        qty, limit = wish.qty, wish.limit_price
        if instrument is not None:
            qty = instrument.quantize_qty(qty)
            limit = instrument.quantize_price(limit, wish.side) if limit is not None else None
        return replace(wish, strategy_id=self.entry.id, qty=qty, limit_price=limit)

    def _failed(self, error: Exception) -> Sequence[Event]:
        self._outbox.drain()
        self.errors += 1
        self.quarantined = self.errors >= self._settings.max_errors
        return [StrategyFailed(self.entry.id, _text(error), self.errors, self.quarantined)]

    def snapshot(self) -> dict[str, Any]:
        """Everything that its later answers depend on; one in quarantine answers nothing, so it remembers nothing.

        Raises:
            ContractError: it holds what cannot be written down; the message names the attribute.
        """
        return {
            "entry": self.entry.to_dict(),
            "started": self.started,
            "errors": self.errors,
            "quarantined": self.quarantined,
            "prices": dict(self.prices),
            "state": {} if self.quarantined else self._strategy.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `snapshot` described.

        With a changed entry the memory is taken over as far as it fits and errors count from zero; a strategy that was
        in quarantine, or whose memory does not fit at all, starts fresh.
        """
        self.prices.clear()
        self.prices.update({s: price for s, price in state["prices"].items() if s in self.entry.symbols})
        if state["entry"] == self.entry.to_dict():
            self.started, self.errors = state["started"], state["errors"]
            self.quarantined = state["quarantined"]
            if not self.quarantined:
                self._strategy.restore(state["state"])
        elif not state["quarantined"]:
            self.started = state["started"]
            try:
                self._strategy.restore(state["state"])
            except Exception:  # noqa: BLE001  # a memory of other parameters may break a plugin in any way
                self._strategy, self.started = self._create(), False


def _text(error: Exception) -> str:
    """Type and text without memory addresses, which differ from run to run."""
    return _ADDRESS.sub("0x...", f"{type(error).__name__}: {error}")[:_ERROR_MAX]
