"""When to try again, and with how much, for wishes that may be refused."""

from __future__ import annotations

from decimal import Decimal

from strategies.state import Stateful


class Attempts(Stateful):
    """Paces one symbol's wishes: a pause after each failure, smaller pieces where one order may not be worth so much.

    >>> attempts = Attempts()
    >>> attempts.failed(now_ns=0, pause_s=60.0, split=True)
    >>> attempts.may(59_999_999_999), attempts.may(60_000_000_000), attempts.piece(Decimal(3))
    (False, True, Decimal('1.5'))
    """

    def __init__(self) -> None:
        self._after_ns = 0
        self._parts = 1

    def may(self, now_ns: int) -> bool:
        """Whether the pause after the last failure is over."""
        return now_ns >= self._after_ns

    def piece(self, qty: Decimal) -> Decimal:
        """How much of what is left to try at once, base units."""
        return qty / self._parts

    def failed(self, now_ns: int, pause_s: float, *, split: bool = False) -> None:
        """An attempt has come to nothing, or not to all; `split` halves the pieces."""
        self._after_ns = now_ns + int(pause_s * 1e9)
        if split:
            self._parts *= 2

    def worked(self) -> None:
        """A piece is done."""
        self._parts = max(self._parts - 1, 1)

    def start_over(self) -> None:
        """What comes next is another matter: in one piece, without a pause."""
        self._after_ns, self._parts = 0, 1
