"""What a shell runs: a reactor (handler) or a feeder (source) behind one interface."""

from __future__ import annotations

from typing import Protocol

from core.runner import Message
from core.sequencer.records import Lease


class Driver(Protocol):
    """The part of a process that the shell does not know."""

    @property
    def last_seen(self) -> Message | None:
        """The newest line received, for the comparison of histories."""
        ...

    async def recover(self, lease: Lease, seq: int) -> None:
        """With the lease held: become what the last process was, or start at `seq` if there was none.

        Called again from the beginning where the connection was lost before it returned.
        """

    async def live(self) -> None:
        """Per connection: catch up and go on until `stop` was called; returns with everything committed."""

    def stop(self) -> None:
        """Finish the event in hand, commit and return from `live`."""

    def reload(self) -> None:
        """Look for a changed configuration soon."""

    def nudge(self) -> None:
        """Look at the clock: called several times a second."""
