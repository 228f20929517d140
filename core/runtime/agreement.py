"""One place in the total order at which all services of a cell change to a configuration that is on disk.

Each says what it makes of the files (`ConfigReady`). Once every one that runs is ready for the same, the one that owns
`control.reload` publishes it there, and each changes right behind that line. One that refuses holds back all.
"""

from __future__ import annotations

from typing import TypeVar

import structlog

from core import codec, topics
from core.contracts import ConfigApplied, ConfigReady
from core.errors import CodecError
from core.handler import Content
from core.runtime.observers import Settings
from core.sequencer.port import Cell
from core.topics import READY, RELOAD

CHECK_EVERY_S = 1.0

NOBODY_DECIDES = f"{RELOAD.owner} is not running, and nothing changes without it"

log = structlog.get_logger()

E = TypeVar("E", ConfigApplied, ConfigReady)


class Agreement:
    """One service's part in it.

    Attributes:
        decides: whether it is this one that publishes the decision.
        waits: why a valid configuration on disk is not in force, naming who holds it back; empty while it is.
    """

    def __init__(self, cell: Cell, instance: str, settings: Settings) -> None:
        """
        Args:
            cell: where the others say what they make of it.
            instance: who takes part.
            settings: what it has read.
        """
        self._cell, self._instance, self._settings = cell, instance, settings
        self.decides = topics.owns(instance, RELOAD.name)
        self._said: ConfigReady | None = None
        self._due = 0.0
        self.waits = ""

    def ring(self) -> None:
        """Look at what the others say, now."""
        self._due = 0.0

    def news(self, running: Content) -> ConfigReady | None:
        """What there is to say, None if it has been said.

        Args:
            running: this service's part of the configuration that it runs with.
        """
        settings = self._settings
        agrees = not settings.complaint
        ready = ConfigReady(
            self._instance, settings.config_hash if agrees else "", in_force=agrees and settings.content == running
        )
        return ready if ready != self._said else None

    def told(self, ready: ConfigReady) -> None:
        """It has been published."""
        self._said = ready
        self.ring()

    async def decision(self, now: float) -> ConfigApplied | None:
        """What is to be published on control.reload; None for all but its owner, and as long as somebody waits.

        Args:
            now: of a clock that never goes back, seconds.
        """
        said = self._said
        if said is None or not said.config_hash or (said.in_force and not self.decides):
            self.waits = ""
            return None
        if now < self._due:
            return None
        waits, wanted = await self._look(said.config_hash)
        waiting = "; ".join(waits) if wanted else ""
        self._due = now + CHECK_EVERY_S if waits or wanted else float("inf")  # the next word on it rings
        if waiting != self.waits:
            self.waits = waiting
            if waiting:
                log.info("config_waits", reason=waiting)
        if waits or not wanted or not self.decides:
            return None
        return ConfigApplied(self._settings.config_hash, self._settings.contents)

    async def _look(self, config_hash: str) -> tuple[list[str], bool]:
        """Who holds this configuration back, and whether there is anybody who does not run with it yet."""
        last = await self._cell.last_seqs()
        place = last.get(RELOAD.name, 0)
        applied = await self._line(RELOAD.name, place, ConfigApplied)
        held = await self._cell.held_positions()
        waits = [] if any(topics.owns(name, RELOAD.name) for name in held) else [NOBODY_DECIDES]
        wanted = False
        for name in sorted(held):
            topic = READY.name.format(instance=name)
            seq = last.get(topic, 0)
            if not seq:  # it reads its files only when it starts, or has yet to start
                continue
            ready = await self._line(topic, seq, ConfigReady)
            if ready is None:  # somebody else has written there
                waits.append(f"{name} cannot be understood")
                continue
            if ready.config_hash != config_hash:
                waits.append(f"{name} {'reads another configuration' if ready.config_hash else 'refuses it'}")
            on_its_way = applied is not None and seq < place and applied.config_hash == config_hash
            wanted = wanted or not (ready.in_force or on_its_way)
        return waits, wanted

    async def _line(self, topic: str, seq: int, event: type[E]) -> E | None:
        """What a line says; None where there is none, or none of this kind."""
        line = await self._cell.entry(topic, seq) if seq else None
        try:
            return None if line is None else codec.decode(line, event)
        except CodecError:
            return None
