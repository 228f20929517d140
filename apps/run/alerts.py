"""What is wrong for as long as it is wrong: shown until it is over, and told once when it lasts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.run.picture import Picture

SILENT_S = 5.0

Report = Mapping[str, Any]


class Alerts:
    """Finds in the health of the processes what somebody has to do something about."""

    def __init__(self, picture: Picture, ingest: str, *, patience_s: float) -> None:
        """
        Args:
            picture: where to show and tell it.
            ingest: the instance that reads the market.
            patience_s: how long a changed configuration may take until all services agree on it, seconds.
        """
        self._picture, self._ingest, self._patience_s = picture, ingest, patience_s
        self._refusing: dict[str, float] = {}
        self._told = ""
        self._published = 0
        self._since: float | None = None
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
        came, self._published = counts["published"] > self._published, counts["published"]
        if came and self._silent:
            self._silent = False
            self._picture.tell("market", "market data again")
        if came or self._since is None or not counts["trouble"]:
            self._since = now
        if now - self._since < SILENT_S:
            return ""
        why = f"{counts['trouble']}; still trying"
        if not self._silent:
            self._silent = True
            self._picture.tell("market", f"no data: {why}", good=False)
        return f"no data for {now - self._since:,.0f} s: {why}"
