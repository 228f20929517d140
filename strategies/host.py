"""All strategies of one process as a single deterministic handler.

A change of configuration builds a new host, which takes over the old one's memory: strategies of unchanged id and class
keep theirs as far as it fits (an indicator of another length starts fresh), new ones start, removed ones get their
`on_stop`. The book of positions belongs to the host and outlives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

from core import codec
from core.contracts import (
    Event,
    FillEvent,
    Malformed,
    OrderIntent,
    PositionSnapshot,
    Signal,
    TradeEvent,
    WarmUp,
    intent_id,
    signal_id,
)
from core.errors import ConfigError, ContractError
from core.handler import At, Content, Service, State
from core.ledger import PositionBook
from core.warm_up import Need
from strategies.hosted import HostedStrategy
from strategies.registry import StrategyRegistry, path_of
from strategies.settings import FILE, HostSettings, StrategyEntry, entry_from, settings_from

ROUTED_BY = ("symbol", "timeframe", "instance", "strategy_id")
"""Fields that decide who gets an event: what the names of topics are made of, and whose it is."""


class _Route(NamedTuple):
    priced: tuple[HostedStrategy, ...]
    """Whose last trade price this is."""
    seen: tuple[HostedStrategy, ...]
    """Who gets the event."""


class StrategyHost:
    """Runs the enabled strategies, in the order of the file."""

    def __init__(self, settings: HostSettings, registry: StrategyRegistry) -> None:
        """
        Raises:
            ConfigError: a class cannot be found, or a strategy does not take its parameters.
        """
        self._settings = settings
        self._registry = registry
        self._book = PositionBook()
        self._positions: dict[str, dict[str, PositionSnapshot]] = {}
        enabled = (entry for entry in settings.strategies if entry.enabled)
        self._hosted = {entry.id: self._host(entry) for entry in enabled}
        self._leaving: list[HostedStrategy] = []
        self._unsettled = self._cold = True
        self._routes: dict[Any, _Route] = {}

    def _host(self, entry: StrategyEntry) -> HostedStrategy:
        try:
            found = self._registry.get(entry.class_path)
        except ConfigError as error:
            raise ConfigError(f"{FILE}: strategy {entry.id!r}: class: {error}") from None
        positions = self._positions.setdefault(entry.id, {})
        return HostedStrategy(replace(entry, class_path=path_of(found)), found, positions, settings=self._settings)

    def warm_ups(self) -> Sequence[Need]:
        """What the strategies still want to see from before; of each series as much as who wants most."""
        most: dict[str, Need] = {}
        for hosted in self._hosted.values() if self._cold else ():
            for name, need in hosted.needs().items():
                if name not in most or most[name].bars < need.bars:
                    most[name] = need
        self._cold = bool(most)
        return tuple(most.values())

    def on_event(self, event: Event, at: At) -> Sequence[Event]:
        """Show an event to everyone concerned and collect their wishes."""
        said: list[Event] = self._settle() if self._unsettled else []
        if isinstance(event, WarmUp):
            said += [failure for hosted in self._hosted.values() for failure in hosted.warm_up(event)]
        else:
            said += self._show(event)
        return _numbered(said, at.seq) if said else ()

    def _show(self, event: Event) -> list[Event]:
        if isinstance(event, FillEvent):
            self._apply(event)
        route = self._route(event)
        if isinstance(event, TradeEvent):
            for hosted in route.priced:
                hosted.prices[event.symbol] = event.price
        return [wish for hosted in route.seen for wish in hosted.on_event(event)]

    def _settle(self) -> list[Event]:
        """The last words of those who leave and the first of those who are new."""
        said = [wish for hosted in self._leaving for wish in hosted.stop()]
        new = [hosted for hosted in self._hosted.values() if not hosted.started]
        said += [wish for hosted in new for wish in hosted.start()]
        self._leaving, self._unsettled = [], False
        return said

    def _apply(self, fill: FillEvent) -> None:
        self._book.apply(fill)
        held = self._book.snapshot_of(fill.strategy_id, fill.symbol, fill.ts_fill_ns)
        views = self._positions.setdefault(fill.strategy_id, {})
        views[fill.symbol] = held
        if (fill.strategy_id, fill.symbol) not in self._book.positions:  # flat, and one of too many
            del views[fill.symbol]
            if not views and fill.strategy_id not in self._hosted:  # who is hosted looks at this very dict
                del self._positions[fill.strategy_id]

    def _route(self, event: Event) -> _Route:
        kind: Any = type(event)
        key = (kind, _fields_of(kind)(event))
        route = self._routes.get(key)
        if route is None:
            route = self._routes[key] = self._find_route(event)
        return route

    def _find_route(self, event: Event) -> _Route:
        if isinstance(event, Malformed):  # has no topic: nobody can list it
            return _Route((), ())
        everyone = self._hosted.values()
        priced = (one for one in everyone if isinstance(event, TradeEvent) and event.symbol in one.entry.symbols)
        return _Route(tuple(priced), tuple(one for one in everyone if one.wants(event)))

    def snapshot(self) -> State:
        """Everything that a later answer depends on."""
        held = [position for views in self._positions.values() for position in views.values()]
        return {
            "book": self._book.snapshot(),
            "positions": [codec.to_dict(position) for position in held],
            "strategies": [hosted.snapshot() for hosted in self._hosted.values()],
            "leaving": [hosted.snapshot() for hosted in self._leaving],
        }

    def restore(self, state: State) -> None:
        """Become what `snapshot` described; under other content as the module's first lines say."""
        self._cold = True
        self._book.restore(state["book"])
        for views in self._positions.values():
            views.clear()
        for values in state["positions"]:
            held = codec.from_dict(PositionSnapshot, values)
            self._positions.setdefault(held.strategy_id, {})[held.symbol] = held
        for saved in state["strategies"]:
            hosted = self._hosted.get(saved["entry"]["id"])
            if hosted is not None and hosted.entry.class_path == saved["entry"]["class"]:
                hosted.restore(saved)
            else:
                self._leave(saved)
        for saved in state["leaving"]:
            self._leave(saved)
        self._unsettled = bool(self._leaving) or any(not hosted.started for hosted in self._hosted.values())

    def _leave(self, saved: State) -> None:
        """Bring a removed strategy back for its last word; one whose class is gone or broken leaves without."""
        if not saved["started"] or saved["quarantined"]:
            return
        try:
            hosted = self._host(entry_from(saved["entry"]))
            hosted.restore(saved)
        except (ConfigError, ContractError):
            return
        self._leaving.append(hosted)


def _numbered(said: list[Event], seq: int) -> list[Event]:
    """Give intents and signals their ids: of strategy, cause, and the place among its answers of this kind."""
    counts: dict[tuple[type[Event], str], int] = {}
    for index, event in enumerate(said):
        if not isinstance(event, (OrderIntent, Signal)):
            continue
        key = type(event), event.strategy_id
        ordinal = counts.get(key, 0)
        counts[key] = ordinal + 1
        if isinstance(event, OrderIntent):
            said[index] = replace(event, intent_id=intent_id(event.strategy_id, seq, ordinal))
        else:
            said[index] = replace(event, signal_id=signal_id(event.strategy_id, seq, ordinal))
    return said


@cache
def _fields_of(event: type[Any]) -> attrgetter[Any]:
    """Reads those of an event of this type."""
    known = event.__dataclass_fields__
    names = [name for name in ROUTED_BY if name in known]
    return attrgetter(*names) if names else attrgetter("__class__")


def _inputs(content: Content) -> Sequence[str]:
    return settings_from(content).inputs


def _build(content: Content) -> StrategyHost:
    registry = StrategyRegistry()
    registry.discover()
    return StrategyHost(settings_from(content), registry)


def plugin_modules(content: Content) -> list[str]:
    """The modules of the configured strategies: code that decides, wherever it lies."""
    return sorted({entry["class"].rpartition(".")[0] for entry in content["strategies"]})


SERVICE = Service(name="strategy_runner", inputs=_inputs, build=_build)
