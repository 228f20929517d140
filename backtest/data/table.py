"""Plain tables for people: columns that line up, never wider than a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

WIDTH = 100
_APART = "  "


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, width: int = WIDTH) -> str:
    """Lines under a heading; whole numbers are grouped and stand right, the widest text gives way where it is too wide.

    >>> print(table(["symbol", "rows"], [["BTC/USDT", 130708]]))
    symbol       rows
    BTC/USDT  130,708
    """
    listed = [list(row) for row in rows]
    right = [bool(listed) and all(isinstance(row[at], int) for row in listed) for at in range(len(heads))]
    texts = [list(heads), *([_text(cell) for cell in row] for row in listed)]
    widths = [max(len(row[at]) for row in texts) for at in range(len(heads))]
    over = sum(widths) + len(_APART) * (len(widths) - 1) - width
    if over > 0:
        widest = max((at for at in range(len(heads)) if not right[at]), key=lambda at: widths[at], default=0)
        widths[widest] = max(len(heads[widest]), widths[widest] - over)
    return "\n".join(_line(row, widths, right) for row in texts)


def size_text(size: int) -> str:
    """Bytes as people read them.

    >>> size_text(999), size_text(3360000)
    ('999 B', '3.4 MB')
    """
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


def counted(count: int, word: str) -> str:
    """A number of things.

    >>> counted(1, "gap"), counted(2000, "gap")
    ('1 gap', '2,000 gaps')
    """
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def _text(cell: object) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cut = [text if len(text) <= width else text[: width - 1] + "…" for text, width in zip(row, widths, strict=True)]
    cells = [
        text.rjust(width) if to_right else text.ljust(width)
        for text, width, to_right in zip(cut, widths, right, strict=True)
    ]
    return _APART.join(cells).rstrip()
