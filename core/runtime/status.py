"""What a process says of itself while it runs."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from core.market.source import Counts

STALE_AFTER_S = 5.0


@dataclass
class Status:
    """A process's own view; written by the shell, read by the health endpoint and the running view.

    Attributes:
        instance: which one.
        state: "starting", "waiting", "recovering", "live", "stopping" or "failed".
        detail: why it is in this state.
        seq: last line read or written.
        in_seq: last input handled.
        commits: commits answered since it started.
        journalled: lines written to its journals since it started.
        dead_letters: messages that it could not read since it started.
        reconnects: how often the connection was lost.
        config_error: why the configuration on disk is not in force, naming who holds it back; empty while it is.
        counts: what a source has met since it was started; None for a process that is none.
    """

    instance: str
    state: str = "starting"
    detail: str = ""
    seq: int = 0
    in_seq: int = 0
    commits: int = 0
    journalled: int = 0
    dead_letters: int = 0
    reconnects: int = 0
    config_error: str = ""
    counts: Counts | None = None
    beat: float = field(default_factory=time.monotonic)

    def enter(self, state: str, detail: str = "") -> None:
        """Change the state."""
        self.state, self.detail = state, detail

    @property
    def healthy(self) -> bool:
        """Live, and the event loop has turned lately."""
        return self.state == "live" and time.monotonic() - self.beat < STALE_AFTER_S

    def report(self) -> dict[str, Any]:
        """The status as JSON values."""
        report = asdict(self)
        if report["counts"] is None:
            del report["counts"]
        report["beat_age_s"] = round(time.monotonic() - report.pop("beat"), 3)
        return {"healthy": self.healthy, **report}
