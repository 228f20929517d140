"""The service's part of the configuration: which strategies run, on what, with which parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from core import codec, topics
from core.contracts import Instrument
from core.errors import CodecError, ConfigError
from strategies.hints import hint

FILE = "strategies.yaml"

_BARS = re.compile(re.escape(topics.MD_OHLCV.name.partition("{")[0]) + r"([^.*]+)\..+")
"""A pattern of bars that says how long they are."""

ALWAYS = (
    topics.CLOCK_MARKET.pattern,
    topics.FILLS_NEW.pattern,
    topics.ORDERS_UPDATES.pattern,
    topics.RISK_DECISIONS.pattern,
    topics.STRAT_SIZING.pattern,
)
"""What the host hears for its strategies whatever they list."""


@dataclass(frozen=True, slots=True)
class StrategyEntry:
    """One strategy of strategies.yaml.

    Attributes:
        id: unique; its orders, fills and positions carry it.
        class_path: dotted path or `strategy_id` of its class; `class` in the file.
        enabled: whether it runs.
        symbols: what it trades; it sees events, prices and timers of these.
        events: topics or patterns that it hears.
        params: its own parameters.
    """

    id: str
    class_path: str
    symbols: tuple[str, ...]
    events: tuple[str, ...]
    enabled: bool
    params: dict[str, Any]

    @property
    def series(self) -> dict[str, tuple[str, str]]:
        """The bars that it hears, whose length its `events` name: symbol and timeframe by channel."""
        named = (_BARS.fullmatch(event) for event in self.events)
        lengths = dict.fromkeys(found[1] for found in named if found)
        return {
            topics.MD_OHLCV.name.format(timeframe=timeframe, symbol=symbol): (symbol, timeframe)
            for symbol in self.symbols
            for timeframe in lengths
            if topics.covered(self.events, topics.MD_OHLCV.name.format(timeframe=timeframe, symbol=symbol))
        }

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, with the file's keys."""
        return {
            "id": self.id,
            "class": self.class_path,
            "enabled": self.enabled,
            "symbols": list(self.symbols),
            "events": list(self.events),
            "params": self.params,
        }


@dataclass(frozen=True, slots=True)
class HostSettings:
    """The settings of the host.

    Attributes:
        strategies: in the order of the file, disabled ones included.
        max_errors: a strategy that has raised so often gets no more events.
        instruments: the grids that quantities and prices are put on, by symbol.
    """

    strategies: tuple[StrategyEntry, ...]
    max_errors: int
    instruments: dict[str, Instrument]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The subscriptions that the enabled strategies need, sorted, none covered by another."""
        running = [entry for entry in self.strategies if entry.enabled]
        wanted = {pattern for entry in running for pattern in entry.events}
        wanted |= {topics.MD_TRADES.name.format(symbol=symbol) for entry in running for symbol in entry.symbols}
        wanted.update(ALWAYS)
        kept = sorted(wanted)
        for one in sorted(wanted):
            if topics.covered((other for other in kept if other != one), one):
                kept.remove(one)  # two subscriptions to one channel would deliver it twice
        return tuple(kept)


def settings_from(content: Mapping[str, Any]) -> HostSettings:
    """Check the service's content and build its settings.

    Raises:
        ConfigError: naming file, entry, key, value and what is allowed.
    """
    _refuse_unknown(content, ("strategies", "max_errors", "instruments"), "strategy_runner")
    listed = _list(content.get("strategies", []), "strategies", of="entries")
    entries = tuple(entry_from(values, index) for index, values in enumerate(listed))
    ids = [entry.id for entry in entries]
    for name in ids:
        if ids.count(name) > 1:
            raise ConfigError(f"{FILE}: id {name!r} is given {ids.count(name)} times; allowed: each id once")
    max_errors = content.get("max_errors", 10)
    if type(max_errors) is not int or max_errors < 1:
        raise ConfigError(f"strategy_runner: max_errors is {max_errors!r}; allowed: a whole number, 1 or more")
    try:
        instruments = codec.convert(content.get("instruments", []), tuple[Instrument, ...])
    except CodecError as error:
        raise ConfigError(f"strategy_runner: instruments: {error}") from None
    return HostSettings(entries, max_errors, {instrument.symbol: instrument for instrument in instruments})


def entry_from(values: object, index: int = 0) -> StrategyEntry:
    """Check one entry of the file and build it.

    Raises:
        ConfigError: naming file, entry, key, value and what is allowed.
    """
    place = f"strategies[{index}]"
    if not isinstance(values, Mapping):
        raise ConfigError(f"{FILE}: {place} is {values!r}; allowed: keys and values")
    known = ["class" if field.name == "class_path" else field.name for field in fields(StrategyEntry)]
    name = _text(values, "id", place)
    place = f"strategy {name!r}"
    _refuse_unknown(values, known, f"{FILE}: {place}")
    enabled, params = values.get("enabled", True), values.get("params", {})
    if not isinstance(enabled, bool):
        raise ConfigError(f"{FILE}: {place}: enabled is {enabled!r}; allowed: true, false")
    if not isinstance(params, Mapping):
        raise ConfigError(f"{FILE}: {place}: params is {params!r}; allowed: keys and values")
    symbols = _texts(values.get("symbols"), f"{place}: symbols")
    if not symbols:
        raise ConfigError(f"{FILE}: {place}: symbols is empty; allowed: at least one symbol")
    events = _texts(values.get("events"), f"{place}: events")
    for pattern in events:
        _require_topic(pattern, f"{place}: events")
    return StrategyEntry(name, _text(values, "class", place), symbols, events, enabled, dict(params))


def _refuse_unknown(values: Mapping[str, Any], known: list[str] | tuple[str, ...], place: str) -> None:
    for key in values:
        if key not in known:
            raise ConfigError(f"{place}: {key}: unknown key; {hint(str(key), known)}")


def _text(values: Mapping[str, Any], key: str, place: str) -> str:
    value = values.get(key)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{FILE}: {place}: {key} is {value!r}; allowed: a text that is not empty")
    return value


def _list(value: object, place: str, *, of: str) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{FILE}: {place} is {value!r}; allowed: a list of {of}")
    return value


def _texts(value: object, place: str) -> tuple[str, ...]:
    items = _list(value, place, of="texts")
    for item in items:
        if not isinstance(item, str) or not item:
            raise ConfigError(f"{FILE}: {place} holds {item!r}; allowed: texts that are not empty")
    return tuple(items)


def _require_topic(pattern: str, place: str) -> None:
    if not any(t.regex.fullmatch(pattern) or topics.matches(pattern, t.pattern) for t in topics.TOPICS):
        known = [topic.pattern for topic in topics.TOPICS]
        raise ConfigError(f"{FILE}: {place} holds {pattern!r}, which covers no topic; {hint(pattern, known)}")
