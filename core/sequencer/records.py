"""What travels between a process and the sequencer: plain records, and the error for every refusal."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from typing import NamedTuple

from core.errors import (
    CellClosed,
    CellMissing,
    CommitConflict,
    CommitRefused,
    EpochChanged,
    HistoryForked,
    LeaseLost,
    NjordError,
)
from core.runner import Item


class Meta(NamedTuple):
    """A cell at one moment.

    Attributes:
        run_id: identity of this start of the server.
        epoch: raised by every restore; 0 where there is no cell.
        seq: last number given.
        open: whether every registered instance has attested this start.
        forked: who found another history, and how; empty while nobody has.
        cell_id: drawn when the cell was created, and kept by restores; empty where there is no cell.
    """

    run_id: str
    epoch: int
    seq: int
    open: bool
    forked: str
    cell_id: str = ""


class Lease(NamedTuple):
    """Where an instance stood when its lease was taken: last commit, last input and last observation."""

    n: int
    in_seq: int
    obs_seq: int


class SavedState(NamedTuple):
    """An instance's memory with the number of the commit that stored it."""

    state: bytes
    in_seq: int
    n: int


class CellContent(NamedTuple):
    """All that a restored cell holds.

    Attributes:
        seq: last number.
        ts_ns: its time.
        streams: per topic the newest lines, oldest first.
        last: per topic its last number, also where no line is loaded.
        instances: where each instance stood.
        states: what each instance remembers.
    """

    seq: int
    ts_ns: int
    streams: dict[str, list[bytes]]
    last: dict[str, int]
    instances: dict[str, Lease]
    states: dict[str, SavedState]


class Commit(NamedTuple):
    """One atomic step of an instance.

    Attributes:
        instance: who commits.
        token: proof of its lease.
        epoch: the epoch it knows.
        run_id: the server start it has attested.
        seen: highest `_seq` it has read; more than the server has means another history.
        n: number of this commit, one more than the last.
        in_seq: last input handled.
        obs_seq: last own observation handled.
        items: lines to publish, in order.
        state: its memory behind these items; None to keep the stored one.
        ttl_ms: for how long the lease is good from now.
    """

    instance: str
    token: str
    epoch: int
    run_id: str
    seen: int
    n: int
    in_seq: int
    obs_seq: int
    items: Sequence[Item]
    state: bytes | None
    ttl_ms: int

    @property
    def digest(self) -> str:
        """Tells a retry of the same content from another content under the same number."""
        digest = sha1(usedforsecurity=False)
        for item in self.items:
            digest.update(b"%b\0%d\0%b\0" % (item.topic.encode(), item.cause, item.body))
        return digest.hexdigest()


class Committed(NamedTuple):
    """The sequencer's answer.

    Attributes:
        first: `_seq` of the first line; of the next one where there was none.
        lines: how many were published.
        ts_ns: their time.
        again: True if this number had been committed before and this is the stored answer.
    """

    first: int
    lines: int
    ts_ns: int
    again: bool


def refusal(status: str, detail: list[str], commit: Commit) -> NjordError:
    """The error for a commit that the sequencer has refused."""
    said = detail[0] if detail else ""
    match status:
        case "forked":
            return HistoryForked(f"the cell is closed by a fork: {said}; run scripts/njord_restore.py")
        case "epoch" if said in ("", "0"):
            return CellMissing("the server holds no cell")
        case "epoch":
            return EpochChanged(f"the cell is in epoch {said}, this process started in {commit.epoch}; start it again")
        case "closed":
            return CellClosed("not every registered instance has attested this server start")
        case "lease":
            return LeaseLost(f"another process has taken over {commit.instance}")
        case "conflict" | "number":
            return CommitConflict(f"{commit.instance} commits number {commit.n}, the sequencer has {said}: {status}")
        case _:
            return CommitRefused(f"{commit.instance} may not publish on {' '.join(detail)!r}: {status}")
