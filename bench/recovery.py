"""Seconds from kill -9 to processing again, for each process and for the server.

Processing again means: it says that it is live, and it has committed something newer than all there was when it was
killed. A killed process is started again at once.
"""

from __future__ import annotations

import time
from pathlib import Path

from bench.figures import Outcome, median, spread
from bench.lab import INSTANCES, Lab, run
from bench.startup import INGEST, INGEST_ARGUMENTS

SPEED = "20"
SETTLE_S = 1.5
TRADES = "md.trades.BTC/USDT"


def measure(folder: Path, rounds: int) -> Outcome:
    """Kill one after the other while a synthetic market runs at 20x, then the server under all of them."""
    everybody = (*INSTANCES, INGEST)
    took: dict[str, list[float]] = {name: [] for name in (*everybody, "server")}
    with Lab(folder) as lab:
        lab.start_services()
        _start(lab, INGEST)
        for _ in range(max(2, rounds // 2)):
            for instance in everybody:
                time.sleep(SETTLE_S)
                took[instance].append(_kill(lab, instance))
            time.sleep(SETTLE_S)
            took["server"].append(_kill_server(lab, everybody))
        lab.terminate()
    outcome = Outcome()
    for name, seconds in took.items():
        outcome.add(f"kill -9 of {name}", median(seconds), "s", note=spread(seconds))
    outcome.remarks.append("most of a service's time is the start of its interpreter and libraries, see startup")
    return outcome


def _start(lab: Lab, instance: str) -> None:
    lab.start(instance, *((*INGEST_ARGUMENTS, "--speed", SPEED) if instance == INGEST else ()))


def _kill(lab: Lab, instance: str) -> float:
    begun = time.perf_counter()
    lab.processes[instance].kill()
    lab.processes[instance].wait()
    last = run(_places(lab, instance))[0]
    _start(lab, instance)
    lab.wait_until(lambda: run(_places(lab, instance))[1] > last and lab.is_live(instance), f"{instance} goes on")
    return time.perf_counter() - begun


def _kill_server(lab: Lab, instances: tuple[str, ...]) -> float:
    last = run(_places(lab, INGEST))[0]
    begun = time.perf_counter()
    lab.server.kill()
    lab.server.start()
    lab.wait_until(
        lambda: all(run(_places(lab, each))[1] > last and lab.is_live(each) for each in instances), "all go on"
    )
    return time.perf_counter() - begun


async def _places(lab: Lab, instance: str) -> tuple[int, int]:
    """The last number of the cell, and how far this instance has committed: its last input, a source's last trade."""
    async with lab.cell() as cell:
        if instance == INGEST:
            reached = (await cell.last_seqs()).get(TRADES, 0)
        else:
            reached = (await cell.positions()).get(instance, 0)
        return (await cell.meta()).seq, reached
