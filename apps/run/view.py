"""How a run shows itself: a screen that redraws on a terminal, plain lines everywhere else."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from typing import Protocol, TextIO

from apps.run.picture import Happening, Picture, utc

HEARTBEAT_S = 5.0


class View(Protocol):
    """What shows a picture.

    Attributes:
        keeps_lines: whether what it has shown can still be read after it.
    """

    keeps_lines: bool

    def refresh(self, picture: Picture) -> None:
        """Show how things are now; called several times a second."""

    def close(self) -> None:
        """Leave the screen as it was found."""


class PlainView:
    """One line per happening, and one every five seconds to say that all is well."""

    keeps_lines = True

    def __init__(self, out: TextIO) -> None:
        """
        Args:
            out: where to.
        """
        self._out = out
        self._told = 0
        self._due_s = time.monotonic()

    def refresh(self, picture: Picture) -> None:
        """Write what is new."""
        new = min(picture.counts["happenings"] - self._told, len(picture.recent))
        self._told = picture.counts["happenings"]
        for happening in list(picture.recent)[len(picture.recent) - new :]:
            self._write(line_of(happening))
        if time.monotonic() >= self._due_s and picture.price:
            self._due_s = time.monotonic() + HEARTBEAT_S
            self._write(heartbeat(picture))

    def _write(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()

    def close(self) -> None:
        """Nothing to leave."""


def line_of(happening: Happening) -> str:
    """ "23:54:13 intent   buy 0.003 BTC/USDT market by sma_cross_v1"."""
    return f"{utc(happening.market_ns, '%H:%M:%S'):8} {happening.kind:8} {happening.text}"


def heartbeat(picture: Picture) -> str:
    """Price, account and rates in one line."""
    parts = [
        f"{utc(picture.market_ns, '%H:%M:%S'):8} {'HALTED' if picture.halted else 'market':8}"
        f" {utc(picture.market_ns)} {picture.instrument.symbol} {picture.money(picture.price)}"
    ]
    if picture.portfolio is not None:
        parts.append(f"equity {picture.portfolio.total_equity:,.2f}")
    if picture.pnl_day is not None:
        parts.append(f"day {picture.pnl_day.pnl:+,.2f}")
    counts = picture.counts
    parts.append(f"{counts['intents']} intents, {counts['denied']} denied, {counts['fills']} fills")
    return "; ".join([*parts, f"{picture.events_per_s:,.0f} events/s at {picture.pace:.1f}x"])


def open_view(*, plain: bool) -> View:
    """The screen where standard output is a terminal and rich is installed (extra `view`), else plain lines."""
    if plain or not sys.stdout.isatty() or find_spec("rich") is None:
        return PlainView(sys.stdout)
    from apps.run.screen import ScreenView  # rich takes its time to load, and only this needs it

    return ScreenView()
