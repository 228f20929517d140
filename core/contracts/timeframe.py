"""The lengths of bars: a whole number of seconds, minutes or hours that divides the UTC day, up to the day itself."""

from __future__ import annotations

import re
from functools import cache

from core.errors import ContractError

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_FORM = re.compile(r"([1-9]\d{0,4})([smhd])", re.ASCII)
_DAY_S = 86_400
_NS = 1_000_000_000

KNOWN_LENGTHS: dict[str, int] = {}
"""What `timeframe_ns` has said; a look in here takes less than half of the time of a call."""


@cache
def timeframe_ns(timeframe: str) -> int:
    """Length of a bar, ns.

    >>> timeframe_ns("5m")
    300000000000

    Raises:
        ContractError: it is no length of a bar.
    """
    form = _FORM.fullmatch(timeframe)
    seconds = int(form[1]) * _SECONDS[form[2]] if form else 0
    if not seconds or _DAY_S % seconds:
        raise ContractError(f"timeframe is {timeframe!r}; allowed: 1s to 1d, dividing the day: 1m, 5m, 15m, 1h, 4h, 1d")
    return KNOWN_LENGTHS.setdefault(timeframe, seconds * _NS)
