"""Keeps secrets out of what people read: logs, errors, reprs."""

from __future__ import annotations

import re
from collections.abc import Mapping

HIDDEN = "***"

_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|api_?key|private_?key|credential|authorization", re.IGNORECASE
)
_CREDENTIALS = re.compile(r"://[^\s'\"]{0,500}@")


def safe_url(text: str) -> str:
    """The text with the user and password of every URL in it hidden.

    >>> safe_url("redis://njord:s3cret@127.0.0.1:6379/0")
    'redis://***@127.0.0.1:6379/0'
    """
    return _CREDENTIALS.sub(f"://{HIDDEN}@", text)


def is_secret(key: str) -> bool:
    """Whether a field of this name holds what nobody may read."""
    return _SECRET_KEY.search(key) is not None


def redact(value: object, key: str = "") -> object:
    """The value as JSON values, however nested, with what is secret by its name or inside a URL hidden."""
    if key and is_secret(key):
        return HIDDEN
    if isinstance(value, str):
        return safe_url(value)
    if isinstance(value, Mapping):
        return {name: redact(item, str(name)) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return safe_url(repr(value) if isinstance(value, BaseException) else str(value))
