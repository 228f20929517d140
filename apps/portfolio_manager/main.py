"""The account: fills in, equity, positions and the profit of the UTC day out.

The profit of the day is also mirrored in a Redis key, `njord:pnl:day`, for people and other tools.
"""

from __future__ import annotations

from collections.abc import Sequence

from core import codec
from core.contracts import PnlDay
from core.runner import Item
from core.runtime.process import Extras, serve
from core.sequencer.port import Cell
from portfolio.manager import SERVICE


async def mirror_pnl(cell: Cell, keys: str, items: Sequence[Item]) -> None:
    """Write the newest profit of the day to its key, in quote units."""
    for item in reversed(items):
        if item.type == PnlDay.__name__:
            await cell.set(keys + "pnl:day", str(codec.decode(item.body, PnlDay).pnl))
            return


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop; the exit code."""
    return serve(SERVICE, argv, about=__doc__, extras=Extras(after_commit=mirror_pnl))
