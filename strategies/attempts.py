"""When to try again, for wishes that may be refused."""

from __future__ import annotations

from strategies.state import Stateful


class Attempts(Stateful):
    """Paces one symbol's wishes: a pause after each failure.

    >>> attempts = Attempts()
    >>> attempts.failed(now_ns=0, pause_s=60.0)
    >>> attempts.may(59_999_999_999), attempts.may(60_000_000_000)
    (False, True)
    """

    def __init__(self) -> None:
        self._after_ns = 0

    def may(self, now_ns: int) -> bool:
        """Whether the pause after the last failure is over."""
        return now_ns >= self._after_ns

    def failed(self, now_ns: int, pause_s: float) -> None:
        """An attempt has come to nothing, or not to all."""
        self._after_ns = now_ns + int(pause_s * 1e9)

    def start_over(self) -> None:
        """What comes next is another matter: without a pause."""
        self._after_ns = 0
