"""What all indicators share: settings that name them, and a memory that can be written down."""

from __future__ import annotations

from typing import Any

from strategies.state import Stateful, encode


class Indicator(Stateful):
    """A running figure over a series; `update` takes the next value, in constant time on average.

    Values given to it are finite. What it gives is finite or None; None means that it has not seen enough yet. It is
    a function of what it was given, in that order, and of nothing else: the same updates give the same bits.

    Attributes:
        settings: what two indicators must have in common to share a memory, such as ("sma", 20).
    """

    settings: tuple[str | int | float, ...]

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `snapshot` described; one of other settings starts fresh instead."""
        if state.get("settings") == encode(self.settings):
            super().restore(state)


def length_of(length: int, *, least: int = 1) -> int:
    """Return a length after checking it.

    Raises:
        ValueError: not a whole number of at least `least`.
    """
    if type(length) is not int or length < least:
        raise ValueError(f"length is {length!r}; allowed: a whole number, {least} or more")
    return length


def typical_price(high: float, low: float, close: float) -> float:
    """The price that stands for a bar: the mean of its high, low and close."""
    return (high + low + close) / 3.0
