"""Build bars: trades, the market clock and gaps in, bars of all configured lengths and corrections out.

Each bar is one line in its journal, ohlcv.1m.BTCUSDT.ndjson.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.market.bars import SERVICE
from core.runtime.process import serve


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop; the exit code."""
    return serve(SERVICE, argv, about=__doc__)
