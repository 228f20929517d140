"""Plays the market on the wall clock, for everybody who listens."""

from __future__ import annotations

import asyncio
import time

from apps.sim_exchange.sockets import Hub
from core.sim.clock import VirtualClock
from core.sim.exchange import Exchange

NS_PER_S = 1_000_000_000
TURN = 500
"""Records played before others have their turn; some milliseconds."""
TICK_NS = 50_000_000
"""The longest sleep: the venue's time moves on although nothing happens."""


def catch_up(exchange: Exchange, clock: VirtualClock | None) -> None:
    """Play what had happened by now, before anybody listens."""
    if clock is not None:
        for _ in exchange.advance(clock.market_ns(time.time_ns())):
            pass


async def play(exchange: Exchange, hub: Hub, clock: VirtualClock | None) -> None:
    """Until the market ends.

    Args:
        exchange: what is played.
        hub: who listens.
        clock: when what happens; None for as fast as the listeners read, and only while there are any.
    """
    if clock is None:
        await _play_at_full_speed(exchange, hub)
    while not exchange.ended and clock is not None:
        now_ns = clock.market_ns(time.time_ns())
        played = 0
        while (due_ns := exchange.next_ns) is not None and due_ns <= now_ns:
            _publish_next(exchange, hub)
            played += 1
            if played % TURN == 0:
                await asyncio.sleep(0)
        for message in exchange.advance(now_ns):
            hub.publish(message)
        if (due_ns := exchange.next_ns) is not None:
            wait_ns = min(TICK_NS, clock.wait_ns(due_ns, time.time_ns()))
            await asyncio.sleep(max(0, wait_ns) / NS_PER_S)


async def _play_at_full_speed(exchange: Exchange, hub: Hub) -> None:
    while not exchange.ended:
        await hub.ready()
        for _ in range(TURN):
            _publish_next(exchange, hub)
        await asyncio.sleep(0)


def _publish_next(exchange: Exchange, hub: Hub) -> None:
    for message in exchange.step():
        hub.publish(message)
