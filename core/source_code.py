"""Which code decides: a hash over the packages that a replay must share with the recording."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DECIDING = ("core", "portfolio", "strategies")


def code_hash() -> str:
    """SHA-256 over every Python file of the deciding packages, by relative path and content."""
    digest = sha256()
    for path, stamp in sorted(_stamps().items()):
        digest.update(f"{path}\0{_file_hash(path, stamp)}\n".encode())
    return digest.hexdigest()


def _stamps() -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for package in DECIDING:
        for path in (ROOT / package).rglob("*.py"):
            info = path.stat()
            found[str(path.relative_to(ROOT))] = (info.st_mtime_ns, info.st_size)
    return found


@cache
def _file_hash(path: str, stamp: tuple[int, int]) -> str:
    """Content hash of a file; read again only when its stamp has changed."""
    return sha256((ROOT / path).read_bytes()).hexdigest()
