"""Facts about the system itself: what a process saw, ran with, could not read, or remembers.

Four of these are *observations* (`Halt`, `Resume`, `ConfigChanged`, `WarmUp`): something outside the log that a
handler must know. Their own process commits them first and then hands them to its handler right before the input
`before_seq`; a replay does the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.contracts.base import Event, refuse, require_in, require_text, set_decimal
from core.contracts.enums import PROTECTIONS, Protection
from core.contracts.market import OHLCVBar
from core.contracts.timeframe import timeframe_ns


@dataclass(frozen=True, slots=True)
class Halt(Event):
    """The kill switch is tripped, or cannot be read.

    Attributes:
        instance: who observed it.
        reason: which switch, and what was written there.
        before_seq: `_seq` of the first input that its handler saw after this.
    """

    instance: str
    reason: str
    before_seq: int


@dataclass(frozen=True, slots=True)
class Resume(Event):
    """The kill switch is readable and clear.

    Attributes:
        instance: who observed it.
        reason: what was observed.
        before_seq: `_seq` of the first input that its handler saw after this.
    """

    instance: str
    reason: str
    before_seq: int


@dataclass(frozen=True, slots=True)
class ConfigChanged(Event):
    """The configuration that a service runs with from here on.

    Attributes:
        instance: who read it.
        content: the service's whole part of the configuration.
        config_hash: SHA-256 of the content.
        code_hash: SHA-256 of the code that decides.
        before_seq: `_seq` of the first input that its handler saw after this.
    """

    instance: str
    content: dict[str, Any]
    config_hash: str
    code_hash: str
    before_seq: int


@dataclass(frozen=True, slots=True)
class WarmUp(Event):
    """Bars from before the session, so that a strategy's indicators are ready for its first event.

    Attributes:
        instance: who read them.
        symbol: ccxt unified symbol.
        timeframe: of the bars.
        bars: the newest that had ended when its first event came, oldest first; fewer than were asked for where history
            has no more.
        asked: how many were asked for.
        before_seq: `_seq` of the first input that its handler saw after this.
    """

    instance: str
    symbol: str
    timeframe: str
    bars: tuple[OHLCVBar, ...]
    asked: int
    before_seq: int

    def __post_init__(self) -> None:
        require_text(self, "symbol", self.symbol)
        timeframe_ns(self.timeframe)
        last = None
        for bar in self.bars:
            if (bar.symbol, bar.timeframe) != (self.symbol, self.timeframe) or (last and bar.ts_open <= last.ts_open):
                raise refuse(
                    self, "bars", bar, f"bars of {self.symbol} {self.timeframe}, each later than the one before"
                )
            last = bar


@dataclass(frozen=True, slots=True)
class ConfigReady(Event):
    """What a service makes of the configuration as it is on disk now.

    Attributes:
        instance: who has read it.
        config_hash: SHA-256 over the parts of all services; empty while this one refuses what it has read.
        in_force: whether it runs with its own part of that already.
    """

    instance: str
    config_hash: str
    in_force: bool


@dataclass(frozen=True, slots=True)
class ConfigApplied(Event):
    """Every running service is ready for this configuration: it counts for all of them behind this line.

    Attributes:
        config_hash: SHA-256 over `contents`.
        contents: by service, the whole part of each.
    """

    config_hash: str
    contents: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SessionStarted(Event):
    """A process has recovered and goes live.

    Attributes:
        instance: which one.
        host: where.
        replayed: inputs executed again during recovery.
        new_segment: True where code or configuration changed and the outputs published before could not be
            reproduced; what follows is compared from the state recorded right behind this event.
    """

    instance: str
    host: str
    replayed: int
    new_segment: bool


@dataclass(frozen=True, slots=True)
class StateObserved(Event):
    """What a process remembers, recorded at start, at stop and every minute, so that an empty server can be rebuilt.

    Attributes:
        instance: whose memory.
        in_seq: `_seq` of the last input it reflects.
        obs_seq: `_seq` of the last observation it reflects.
        n: the number of the last commit it reflects.
        state: the memory itself.
    """

    instance: str
    in_seq: int
    obs_seq: int
    n: int
    state: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DeadLetter(Event):
    """A message that could not be read; it was left out and nothing else was.

    Attributes:
        instance: who could not read it.
        topic: where it came from.
        error: what is wrong with it.
        raw: its first 2,000 characters.
    """

    instance: str
    topic: str
    error: str
    raw: str


@dataclass(frozen=True, slots=True)
class Malformed(Event):
    """What a handler is told in place of an event that could not be read; never published.

    Attributes:
        topic: where it came from.
        error: what is wrong with it.
        intent_id: the id it carries, that of the signal where it was to be one; empty if none can be read.
    """

    topic: str
    error: str
    intent_id: str = ""


@dataclass(frozen=True, slots=True)
class StrategyFailed(Event):
    """A strategy raised; the others went on.

    Attributes:
        strategy_id: which one.
        error: type and text of what it raised.
        errors: how often it has raised since it was loaded.
        quarantined: True if it gets no more events.
    """

    strategy_id: str
    error: str
    errors: int
    quarantined: bool


@dataclass(frozen=True, slots=True)
class ProtectionFailed(Event):
    """An order that was to protect a position was denied, rejected or taken away; the position is open without it.

    Attributes:
        strategy_id: whose position.
        symbol: ccxt unified symbol.
        qty: base units held; negative is short.
        protection: "stop" or "take".
        price: where it was to close the position, quote units per base unit.
        reason: the gate's or the venue's, in its own word.
        attempts: how often it has failed since the position last grew.
        final: True if it is not tried again: somebody must look after the position.
    """

    strategy_id: str
    symbol: str
    qty: Decimal
    protection: Protection
    price: Decimal
    reason: str
    attempts: int
    final: bool

    def __post_init__(self) -> None:
        require_in(self, "protection", self.protection, PROTECTIONS)
        set_decimal(self, "qty")
        set_decimal(self, "price")


@dataclass(frozen=True, slots=True)
class ValuationTrigger(Event):
    """Somebody wants to know now what the portfolio is worth.

    Attributes:
        reason: why, in their words.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class KillSwitchSet(Event):
    """Somebody has tripped or cleared the kill switch by command.

    Attributes:
        action: "trip-file", "clear-file", "trip-redis" or "clear-redis".
        reason: why, in their words.
        by: user and host.
        at_ns: wall clock, ns UTC.
    """

    action: str
    reason: str
    by: str
    at_ns: int
