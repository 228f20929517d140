"""Whether market data can be believed: what was asked, found and missing, and everything that looks wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from backtest.data.bar_checks import Limits, bar_findings
from backtest.data.columns import BarColumns
from backtest.data.coverage import coverage, span_of
from backtest.data.findings import Found, QualityReport
from backtest.data.line_checks import BarLines
from backtest.data.trade_checks import fill_findings, trade_findings
from backtest.data.trades import TradeColumns

SHOWN = 20


class DataValidator:
    """Checks series of bars, each for itself and against trades and fills of the same time.

    What it looks for is the table `KINDS` in `backtest.data.findings`; from where on something is found, and by
    which formula, stands in `backtest.data.bar_checks`.
    """

    def __init__(self, limits: Limits | None = None, shown: int = SHOWN) -> None:
        """
        Args:
            limits: from where on something is worth looking at.
            shown: findings of each kind that a report has one by one; all of them are counted.
        """
        self._limits = limits or Limits()
        self._shown = shown

    def check(
        self,
        data: BarColumns | BarLines,
        *,
        span: tuple[int, int] | None = None,
        trades: TradeColumns | None = None,
        fills: Iterable[dict[str, Any]] | None = None,
        source: str = "",
        into: tuple[str, ...] | None = (),
    ) -> QualityReport:
        """Everything there is to say about one series.

        Args:
            data: the bars, or the lines that they are read from, which tells more.
            span: the range that was asked for, half open, ns UTC; that of the bars unless given.
            trades: of the same symbol.
            fills: our own in the same symbol, as their lines say it.
            source: where the data are, for the report.
            into: see `Coverage`.
        """
        bars = data.bars if isinstance(data, BarLines) else data
        start_ns, end_ns = span or span_of(bars)
        cover = coverage(bars, bars.symbol, bars.timeframe, start_ns, end_ns, source=source, into=into)
        figures = {"bars": len(bars), "bars without volume": int((bars.volume == 0).sum())}
        found: list[Found] = []
        if isinstance(data, BarLines):
            figures["lines"] = data.lines
            found += data.found
        found += bar_findings(bars, self._limits, cover)
        for name, (more, count) in _beside(bars, trades, fills):
            figures[name] = count
            found += more
        report = QualityReport(cover, figures)
        report.add(found, self._shown)
        return report


def _beside(
    bars: BarColumns, trades: TradeColumns | None, fills: Iterable[dict[str, Any]] | None
) -> Sequence[tuple[str, tuple[list[Found], int]]]:
    checks = []
    if trades is not None:
        checks.append(("bars compared with trades", trade_findings(bars, trades)))
    if fills is not None:
        checks.append(("fills", fill_findings(bars, fills)))
    return checks
