"""The synthetic market as a source: a restart enters it one minute before the last watermark."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from core.contracts import TradeEvent
from core.errors import ConfigError
from core.market.feed import Feed
from core.market.records import TradeRecord
from core.market.source import PAUSE, Counts, Due, Tails
from core.market.synthetic_market import NS_PER_MINUTE, RECORDS_PER_MINUTE_MAX, SyntheticMarket

RECORDS_PER_PAUSE = 1000
"""How many records are skipped in one go; some milliseconds."""


class SyntheticSource:
    """A seeded market without an end; pacing goes by its own time."""

    def __init__(self, market: SyntheticMarket) -> None:
        """
        Args:
            market: which one.
        """
        self._market = market
        self._feed = Feed(market.instrument.symbol)

    @property
    def counts(self) -> Counts:
        """What it has met so far."""
        return self._feed.counts

    def records(self, resume: Tails) -> Iterator[Due]:
        """What the market holds behind what was published; see `core.market.source.Source`.

        Raises:
            ConfigError: the tails are not those of this market.
            ContractError: the tails are those of another kind of source.
        """
        first = self._first_minute(resume)
        if resume.trades:
            self._require_own(resume.trades[-1], first)
        self._feed.restore(resume)
        skipped = 0
        for record in self._market.records(first):
            events = self._feed.on_record(record)
            if events:
                yield Due(record.recv_ns, events)
                continue
            skipped += 1
            if skipped % RECORDS_PER_PAUSE == 0:
                yield PAUSE

    def _first_minute(self, resume: Tails) -> int:
        """One before the minute of the last watermark.

        Everything before that minute was published, so also the delta that opens the one before it and that is
        left out when a market is entered there.
        """
        if not resume.watermarks:
            return 0
        elapsed_ns = resume.watermarks[-1].market_ns - self._market.start_ns
        return max(0, elapsed_ns // NS_PER_MINUTE - 1)

    def _require_own(self, newest: TradeEvent, first: int) -> None:
        """Refuse to go on behind another market: nothing or a mixture of both would come out."""
        for record in islice(self._market.records(first), 3 * RECORDS_PER_MINUTE_MAX):
            if isinstance(record, TradeRecord) and str(record.trade_id) == newest.trade_id:
                symbol = self._market.instrument.symbol
                if TradeEvent(symbol, *record[1:5], newest.trade_id, record.recv_ns) == newest:
                    return
                break
        raise ConfigError(
            f"trade {newest.trade_id} of {newest.symbol} was published by another source than the synthetic market of"
            f" seed {self._market.seed}; take another key prefix, or its own source"
        )
