"""Moments and days as people write them, in UTC whatever the machine's time zone is."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from core.errors import ContractError

DAY_NS = 86_400_000_000_000
FOREVER = 2**63 - 1
"""An end behind every time, ns UTC."""

_NS = 1_000_000_000
_DATE = re.compile(r"\d{4}-?\d{2}-?\d{2}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALLOWED = "2025-09-30 or 2025-09-30T23:59:59Z, UTC unless an offset is given"


def moment(text: str, name: str = "time") -> int:
    """A date or an ISO 8601 time as ns UTC; one without an offset is UTC, a date is its first moment.

    >>> moment("2025-09-30"), moment("2025-09-30T02:00:00.000000001+02:00")
    (1759190400000000000, 1759190400000000001)

    Raises:
        ContractError: it is neither, or before 1970.
    """
    whole, fraction = _split(text.strip())
    try:
        stamp = datetime.fromisoformat(whole)
        nanoseconds = int(fraction.ljust(9, "0")) if len(fraction) <= 9 else -1
    except ValueError:
        nanoseconds = -1
        stamp = _EPOCH
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=UTC)
    seconds = (stamp - _EPOCH) // timedelta(seconds=1)
    if nanoseconds < 0 or seconds < 0:
        raise ContractError(f"{name} is {text!r}; allowed: {_ALLOWED}")
    return seconds * _NS + nanoseconds


def _split(text: str) -> tuple[str, str]:
    """The text without the fraction of its second, and that fraction, which may have more digits than a datetime."""
    found = re.fullmatch(r"(.*\d)[.,](\d+)(.*)", text, re.ASCII)
    return (found[1] + found[3], found[2]) if found else (text, "0")


def period(start: str, end: str) -> tuple[int, int]:
    """The half-open range of ns UTC that two texts name; a date as its end belongs to it, as a whole day.

    >>> (period("2025-01-01", "2025-09-30")[1] - period("2025-01-01", "2025-09-30")[0]) // 86_400_000_000_000
    273

    Raises:
        ContractError: one of them is no time, or the end is not behind the start.
    """
    start_ns, end_ns = moment(start, "start"), moment(end, "end")
    if _DATE.fullmatch(end.strip()):
        end_ns += DAY_NS
    if end_ns <= start_ns:
        raise ContractError(f"end is {end!r}; allowed: a time behind the start, {start!r}")
    return start_ns, end_ns


def iso(ns: int) -> str:
    """A moment for people: to the second, or as exact as it is.

    >>> iso(1759190400000000000), iso(1759190400000000001)
    ('2025-09-30T00:00:00Z', '2025-09-30T00:00:00.000000001Z')
    """
    seconds, rest = divmod(ns, _NS)
    whole = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{rest:09d}".rstrip("0") + "Z" if rest else whole + "Z"


def day_of(ns: int) -> str:
    """The UTC day as file names carry it.

    >>> day_of(1759190400000000000)
    '20250930'
    """
    return (_EPOCH + timedelta(seconds=ns // _NS)).strftime("%Y%m%d")
