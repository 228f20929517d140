"""Commits per second against a bare PUBLISH of the same bodies by the same client, in interleaved rounds."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.figures import Outcome, median, spread
from bench.lab import Lab, run, trade_items
from core.codec import Header, line_of
from core.runtime.committer import Committer
from core.sequencer.wire import Wire, dial, parse_url

BATCH = 100
SPAN_S = 0.35
INSTANCE = "md_ingest.BTCUSDT"
HEADER = Header(
    seq=1_234_567, ts=1_723_161_255_000_000_000, prev=1_234_566, src=INSTANCE, cause=0, root=1_234_567,
    root_ts=1_723_161_255_000_000_000, type="TradeEvent", v=1, n=1_234_567, more=0,
)  # fmt: skip

Work = Callable[[], Awaitable[object]]


def measure(folder: Path, rounds: int) -> Outcome:
    """Commits of one trade and of 100 over PUBLISH of one and of 100 pipelined; commits with state."""
    with Lab(folder) as lab:
        rates = run(_rates(lab, rounds))
    outcome = Outcome()
    bare, batched = "PUBLISH of the body", f"PUBLISH of the body, {BATCH} pipelined"
    for name, against, target in (
        (bare, "", ""),
        ("PUBLISH of the whole line", bare, ""),
        ("commit of 1", bare, ">= 0.6"),
        ("commit of 1 and 1 KB of state", bare, ""),
        ("commit of 1 and 100 KB of state", bare, ""),
        (batched, "", ""),
        (f"PUBLISH of the whole line, {BATCH} pipelined", batched, ""),
        (f"commit of {BATCH}", batched, ">= 0.65"),
    ):
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
        works = _works(committer, wire)
        rates: dict[str, list[float]] = {name: [] for name in works}
        for number in range(rounds + 1):
            for name, (work, lines) in works.items():
                rate = await _rate(work, lines)
                if number:  # the first round warms up
                    rates[name].append(rate)
        wire.close()
    return rates


def _works(committer: Committer, wire: Wire) -> dict[str, tuple[Work, int]]:
    items = trade_items(BATCH)
    one, topic = items[:1], items[0].topic
    bodies = [item.body for item in items]
    lines = [line_of(HEADER, body) for body in bodies]

    def publish_all(messages: list[bytes]) -> Work:
        async def work() -> None:
            for future in wire.send_all([("PUBLISH", topic, message) for message in messages]):
                await future

        return work

    return {
        "PUBLISH of the body": (lambda: wire.call("PUBLISH", topic, bodies[0]), 1),
        "PUBLISH of the whole line": (lambda: wire.call("PUBLISH", topic, lines[0]), 1),
        "commit of 1": (lambda: committer.commit(one), 1),
        "commit of 1 and 1 KB of state": (lambda: committer.commit(one, b"s" * 1024), 1),
        "commit of 1 and 100 KB of state": (lambda: committer.commit(one, b"s" * 102_400), 1),
        f"PUBLISH of the body, {BATCH} pipelined": (publish_all(bodies), BATCH),
        f"PUBLISH of the whole line, {BATCH} pipelined": (publish_all(lines), BATCH),
        f"commit of {BATCH}": (lambda: committer.commit(items), BATCH),
    }


async def _rate(work: Work, lines: int) -> float:
    done = 0
    start = now = time.perf_counter()
    while now < start + SPAN_S:
        await work()
        done += lines
        now = time.perf_counter()
    return done / (now - start)
