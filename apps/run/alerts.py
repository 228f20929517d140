"""What is wrong for as long as it is wrong: shown until it is over, and told once when it lasts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.run.picture import Picture

SILENT_S = 5.0

Report = Mapping[str, Any]


class Alerts:
    """Finds in the health of the processes what somebody has to do something about."""

    def __init__(self, picture: Picture, ingest: str, *, patience_s: float, log: str) -> None:
        """
        Args:
            picture: where to show and tell it.
            ingest: the instance that reads the market.
            patience_s: how long a changed configuration may take until all services agree on it, seconds.
            log: where the reasons are written, for the user.
        """
        self._picture, self._ingest, self._patience_s, self._log = picture, ingest, patience_s, log
        self._refusing: dict[str, float] = {}
        self._told = ""
        self._heard: tuple[int, int, float] | None = None
        self._silent = False

    def look(self, now: float, reports: Mapping[str, Report]) -> None:
        """Compare with the look before.

        Args:
            now: of a clock that never goes back, seconds.
            reports: the newest health of each process by instance, as far as it is known.
        """
        self._picture.alerts = [text for text in (self._market(now, reports), self._config(now, reports)) if text]

    def _config(self, now: float, reports: Mapping[str, Report]) -> str:
        """Why the configuration on disk is not in force: whoever complained first knows, the others wait for him."""
        for name, report in reports.items():
            if report.get("config_error"):
                self._refusing.setdefault(name, now)
            else:
                self._refusing.pop(name, None)
        if not self._refusing:
            if self._told:
                self._picture.tell("config", "the configuration on disk is in force again")
            self._told = ""
            return ""
        first = min(self._refusing, key=self._refusing.__getitem__)
        text = f"{reports[first]['config_error']}; the one before stays in force ({first})"
        if text != self._told and now - self._refusing[first] >= self._patience_s:
            self._picture.tell("config", text, good=False)
            self._told = text
        return text

    def _market(self, now: float, reports: Mapping[str, Report]) -> str:
        """Whether a venue cannot be reached; one that is only quiet is no reason to worry."""
        counts = reports.get(self._ingest, {}).get("counts")
        if counts is None:
            return ""
        failed = counts.get("reconnects", 0) + counts.get("troubles", 0)
        if self._heard is None or failed < self._heard[1]:  # a process that has just begun
            self._heard = counts["published"], 0, now
        elif counts["published"] != self._heard[0]:
            self._heard = counts["published"], failed, now
        _, before, since = self._heard
        if failed == before or now - since < SILENT_S:
            if self._silent and failed == before:
                self._silent = False
                self._picture.tell("market", "market data again")
            return ""
        why = f"cannot connect, still trying; see {self._log}"
        if not self._silent:
            self._silent = True
            self._picture.tell("market", f"no data: {why}", good=False)
        return f"no data for {now - since:,.0f} s: {why}"
