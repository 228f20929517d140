"""Commits per second against a bare PUBLISH of the same bodies by the same client, in interleaved rounds.

The same PUBLISH through redis-py, the usual client, stands beside it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from redis.asyncio import Redis

from bench.figures import Outcome, median, spread
from bench.lab import Lab, run, trade_items
from core.runtime.committer import Committer
from core.sequencer.wire import Wire, dial, parse_url

BATCH = 100
SPAN_S = 0.35
INSTANCE = "md_ingest.BTCUSDT"
BARE, BATCHED = "PUBLISH", f"PUBLISH, {BATCH} pipelined"
USUAL, USUAL_BATCHED = "PUBLISH by redis-py", f"PUBLISH by redis-py, {BATCH} pipelined"
ONE, MANY = "commit of 1", f"commit of {BATCH}"
COMPARED = (
    (BARE, "", ""),
    (USUAL, "", ""),
    (ONE, BARE, ">= 0.6"),
    (ONE, USUAL, ""),
    (ONE + " and 1 KB of state", BARE, ""),
    (ONE + " and 100 KB of state", BARE, ""),
    (BATCHED, "", ""),
    (USUAL_BATCHED, "", ""),
    (MANY, BATCHED, ">= 0.65"),
    (MANY, USUAL_BATCHED, ""),
)
"""What is shown: a rate, what it is divided by, and what is wanted of that."""

Work = Callable[[], Awaitable[object]]


def measure(folder: Path, rounds: int) -> Outcome:
    """Commits of one trade and of 100 over PUBLISH of one and of 100 pipelined; commits with state."""
    with Lab(folder) as lab:
        rates = run(_rates(lab, rounds))
    outcome = Outcome()
    for name, against, target in COMPARED:
        values = rates[name]
        if against:
            ratios = [mine / theirs for mine, theirs in zip(values, rates[against], strict=True)]
            outcome.add(
                name, median(values), "1/s", ratio=median(ratios), against=against, target=target, note=spread(ratios)
            )
        else:
            outcome.add(name, median(values), "1/s", note=spread(values))
    outcome.remarks.append("nobody subscribes; lines per second; ratios are medians of the rounds' own ratios")
    return outcome


async def _rates(lab: Lab, rounds: int) -> dict[str, list[float]]:
    """Lines per second of each kind of work, one value per round."""
    async with lab.cell() as cell:
        committer = await lab.committer(cell, INSTANCE)
        wire = await dial(parse_url(lab.server.url))
        usual = Redis.from_url(lab.server.url)
        works = {**_works(committer, wire), **_usual(usual)}
        rates: dict[str, list[float]] = {name: [] for name in works}
        for number in range(rounds + 1):
            for name, (work, lines) in works.items():
                rate = await _rate(work, lines)
                if number:  # the first round warms up
                    rates[name].append(rate)
        wire.close()
        await usual.aclose()
    return rates


def _works(committer: Committer, wire: Wire) -> dict[str, tuple[Work, int]]:
    items = trade_items(BATCH)
    one, topic = items[:1], items[0].topic
    commands: list[tuple[str | bytes | int, ...]] = [("PUBLISH", topic, item.body) for item in items]

    async def publish_all() -> None:
        for future in wire.send_all(commands):
            await future

    return {
        BARE: (lambda: wire.call(*commands[0]), 1),
        ONE: (lambda: committer.commit(one), 1),
        ONE + " and 1 KB of state": (lambda: committer.commit(one, b"s" * 1024), 1),
        ONE + " and 100 KB of state": (lambda: committer.commit(one, b"s" * 102_400), 1),
        BATCHED: (publish_all, BATCH),
        MANY: (lambda: committer.commit(items), BATCH),
    }


def _usual(client: Redis) -> dict[str, tuple[Work, int]]:
    items = trade_items(BATCH)

    async def publish_all() -> None:
        async with client.pipeline(transaction=False) as pipeline:
            for item in items:
                pipeline.publish(item.topic, item.body)
            await pipeline.execute()

    return {
        USUAL: (lambda: client.publish(items[0].topic, items[0].body), 1),
        USUAL_BATCHED: (publish_all, BATCH),
    }


async def _rate(work: Work, lines: int) -> float:
    done = 0
    start = now = time.perf_counter()
    while now < start + SPAN_S:
        await work()
        done += lines
        now = time.perf_counter()
    return done / (now - start)
