"""What processes tell people: one JSON object per line in `app.ndjson`, written by all processes together.

Facts that anything depends on are events in the journals; nothing ever reads this file back. A line is one write
of less than 4,096 bytes to a descriptor in append mode, so lines of several processes never mix. Each day has a file of
its own; see `core/log_file.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from core.log_file import LogFile
from core.redact import redact

LINE_MAX = 4095
_to_json = structlog.processors.JSONRenderer(ensure_ascii=False)

Fields = MutableMapping[str, Any]

_ALWAYS = ("ts", "level", "event", "service", "pid")


def _now() -> datetime:
    return datetime.now(UTC)


def setup_json_logging(log_dir: str, service: str = "", clock: Callable[[], datetime] = _now) -> None:
    """Send everything logged through structlog to `{log_dir}/app.ndjson`.

    Args:
        log_dir: created where missing.
        service: the process's name on every line.
        clock: the time, in UTC.
    """
    folder = Path(log_dir)
    folder.mkdir(parents=True, exist_ok=True)
    file = LogFile(folder, clock)

    def stamp(_: object, level: str, fields: Fields) -> Fields:
        stamped = {"ts": clock().isoformat(timespec="microseconds"), "level": level, "event": fields.pop("event", "")}
        return {**stamped, "service": service, "pid": os.getpid(), **fields}

    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.format_exc_info, stamp, _render],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=lambda *_: file,
        cache_logger_on_first_use=False,
    )


def _render(_: object, __: str, fields: Fields) -> bytes:
    """The line; long values are cut, shorter each time, until it fits."""
    safe = {key: redact(value, key) for key, value in fields.items()}
    line, room = _line(safe), LINE_MAX // 2
    while len(line) > LINE_MAX and room > 8:
        line, room = _line({key: _cut(value, room) for key, value in safe.items()}), room // 2
    return line if len(line) <= LINE_MAX else _line({key: _cut(safe[key], 64) for key in _ALWAYS})


def _line(fields: Fields) -> bytes:
    return (str(_to_json(None, "", fields)) + "\n").encode(errors="backslashreplace")


def _cut(value: object, room: int) -> object:
    text = value if isinstance(value, str) else repr(value)
    return value if len(text) <= room else text[:room] + "..."
