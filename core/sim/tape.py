"""What the simulated exchange plays: a recording as it is, or a synthetic market from shortly before a moment on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from core.market.records import DepthRecord, Record, TradeRecord
from core.market.synthetic_market import NS_PER_MINUTE, SyntheticMarket

LOOK_AHEAD = 1000
KEPT_MINUTES = 60
"""How much of its past a synthetic market plays when it is entered late: what candles and the day's figures know."""


def snapshot_first(records: Iterable[Record]) -> Iterator[Record]:
    """A recording with its first book in front, received when the recording begins.

    Whoever records asks for the book when the changes already flow, so it comes some messages later. Its id says
    which changes it holds already, so it may go before them. A recording without one stays as it is.
    """
    rest = iter(records)
    head = list(islice(rest, LOOK_AHEAD))
    for index, record in enumerate(head):
        if isinstance(record, DepthRecord) and record.kind == "snapshot":
            del head[index]
            head.insert(0, record._replace(recv_ns=min(record.recv_ns, head[0].recv_ns) if head else record.recv_ns))
            break
    return chain(head, rest)


def entered_at(market: SyntheticMarket, venue_ns: int) -> Iterator[Record]:
    """A synthetic market's records from an hour before a moment on, or from its beginning."""
    minute = (venue_ns - market.start_ns) // NS_PER_MINUTE
    return market.records(max(0, minute - KEPT_MINUTES))


class SyntheticPast:
    """The trades of a synthetic market, made again: some 20 ms per minute of the market."""

    def __init__(self, market: SyntheticMarket) -> None:
        """
        Args:
            market: which one.
        """
        self._market = market

    def trades(self, from_id: int, limit: int) -> list[TradeRecord]:
        """At most `limit` trades, oldest first, from an id on."""
        whole = (minute for minute in self._market.minutes() if minute.first_trade_id + minute.trades > from_id)
        records = self._market.records(next(whole).number)
        trades = (each for each in records if isinstance(each, TradeRecord) and int(each.trade_id) >= from_id)
        return list(islice(trades, limit))
