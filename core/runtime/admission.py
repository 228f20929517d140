"""Who may publish market data into a cell: no replay among live data, no live data behind a replay."""

from __future__ import annotations

from core import topics
from core.errors import CellInUse
from core.sequencer.port import Cell

SIMULATED = frozenset({"ohlcv_aggregator", "strategy_runner", "risk_engine", "paper_trader", "portfolio_manager"})
"""The services that may hear a replay: none of them reaches a venue."""

HINT = "publish elsewhere with --cell NAME or --redis-url URL, and start the services that are to hear it there too"


async def admit_replay(cell: Cell, instance: str, place: str) -> None:
    """Look who is registered in a cell before a replay takes any lease there.

    Args:
        cell: the connection.
        instance: of the replay.
        place: what people call the cell.

    Raises:
        CellInUse: a session is there that a replay must not mix with; the message names it and says where else to go.
    """
    running = await cell.held_positions()
    for name, host in sorted((await cell.homes()).items()):
        why = _objection(instance, name, running=name in running)
        if why:
            raise CellInUse(f"{place} is not free for a replay: {name} {why}, from host {host or 'unknown'}; {HINT}")


async def admit_ingest(cell: Cell, place: str) -> None:
    """Look for a replay before an ingest takes its lease: journals hold one market, whose time does not jump.

    Args:
        cell: the connection.
        place: what people call the cell.

    Raises:
        CellInUse: a replay runs or has run there; the message says what can be done.
    """
    running = await cell.held_positions()
    for name, host in sorted((await cell.homes()).items()):
        if name.partition(".")[0] == topics.REPLAY:
            why = "runs there" if name in running else "has published there"
            raise CellInUse(
                f"{place} holds replayed data: {name} {why}, from host {host or 'unknown'}; start this in a cell "
                "of its own (redis.cell, paths), or, if both may share journals: "
                f"scripts/njord_cell.py deregister {name}"
            )


def _objection(instance: str, name: str, *, running: bool) -> str:
    """What a registered instance does there that a replay must not mix with; empty for nothing."""
    service = name.partition(".")[0]
    if name == instance:
        return ""
    if service == topics.INGEST:
        return "publishes live data there" if running else "has published live data there"
    if service == topics.MD_OHLCV.owner and instance == topics.REPLAY_BARS:
        return "makes the bars there (replay trades to it, or stop it and take it off with scripts/njord_cell.py)"
    if not running or service in SIMULATED:
        return ""
    return "is another replay that runs there" if service == topics.REPLAY else "runs there and may trade for real"


def places_taken(instance: str, symbols: tuple[str, ...]) -> list[str]:
    """The instances whose leases a replay holds while it runs, so that none of them starts meanwhile.

    Args:
        instance: of the replay.
        symbols: everything that may be traded, replayed or not: no live market may join a replayed one.
    """
    bars = [f"{topics.MD_OHLCV.owner}.main"] if instance == topics.REPLAY_BARS else []
    return [*map(topics.ingest_of, symbols), *bars]
