"""How far a download has come: a bar on a terminal, a line every few seconds elsewhere, nothing for programs."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Protocol, Self

from backtest.data.download.spans import Span
from core.contracts.moments import iso

EVERY_S = 5.0
_NS_PER_S = 1_000_000_000


class Progress(Protocol):
    """Hears how far it is."""

    def begin(self, label: str, todo_ns: int) -> None:
        """A series begins.

        Args:
            label: what it is.
            todo_ns: how much time of it is to be fetched.
        """

    def done(self, span: Span, rows: int) -> None:
        """A stretch of time is settled, with so many rows."""

    def say(self, text: str) -> None:
        """Something that people should know, such as why nothing moves."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Silence:
    """Says nothing."""

    def begin(self, label: str, todo_ns: int) -> None:
        """Nothing."""

    def done(self, span: Span, rows: int) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Lines(Silence):
    """A line every few seconds on standard error."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        """
        Args:
            every_s: seconds between two lines.
        """
        self._every_s = every_s
        self._label, self._todo, self._settled, self._rows = "", 0, 0, 0
        self._began = self._told = time.monotonic()

    def begin(self, label: str, todo_ns: int) -> None:
        """A series begins."""
        self._label, self._todo, self._settled, self._rows = label, todo_ns, 0, 0
        self._began = self._told = time.monotonic()

    def done(self, span: Span, rows: int) -> None:
        """Count, and tell if it is time for that."""
        self._settled += span[1] - span[0]
        self._rows += rows
        now = time.monotonic()
        if now - self._told < self._every_s or not self._todo:
            return
        self._told = now
        part = min(1.0, self._settled / self._todo)
        left_s = (now - self._began) * (1 - part) / part if part else 0.0
        self.say(f"{self._label}: {part:.1%}, {self._rows:,} rows, up to {iso(span[1])}, {_duration(left_s)} left")

    def say(self, text: str) -> None:
        """One line."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


class Terminal(Silence):
    """A bar with the time that is left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._console = Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
            TextColumn("{task.fields[rows]:,} rows {task.fields[upto]}"), TimeRemainingColumn(), console=self._console,
        )  # fmt: skip
        self._task: Any = None
        self._rows = 0

    def begin(self, label: str, todo_ns: int) -> None:
        """A bar of its own."""
        self._rows = 0
        self._task = self._bars.add_task(label, total=todo_ns / _NS_PER_S, rows=0, upto="")

    def done(self, span: Span, rows: int) -> None:
        """Move it."""
        self._rows += rows
        step = (span[1] - span[0]) / _NS_PER_S
        self._bars.update(self._task, advance=step, rows=self._rows, upto=iso(span[1]))

    def say(self, text: str) -> None:
        """A line above it."""
        self._console.print(text, markup=False, highlight=False)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()


def progress_for(*, quiet: bool) -> Progress:
    """What suits whoever looks.

    Args:
        quiet: say nothing at all.
    """
    if quiet:
        return Silence()
    if sys.stderr.isatty() and find_spec("rich") is not None:
        return Terminal()
    return Lines()


def _duration(seconds: float) -> str:
    """A length of time for people.

    >>> _duration(7), _duration(3700)
    ('0:07', '1:01:40')
    """
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
