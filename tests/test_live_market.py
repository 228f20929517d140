"""A live market as events: what came late says so."""

from __future__ import annotations

from collections.abc import Sequence

from core.contracts import Event, TradeEvent
from core.market.live import LiveMarket
from core.market.records import TradeRecord
from core.market.source import Counts, Tails

S = 1_000_000_000
T0 = 1_723_161_255 * S
SYMBOL = "ATOM/USDT"


def market() -> LiveMarket:
    """One that has published trade 6."""
    before = TradeEvent(SYMBOL, 8.0, 1.0, "buy", T0 + 6 * S, "6")
    return LiveMarket(SYMBOL, "md_ingest.ATOMUSDT", Tails(trades=(before,)), contiguous=True, counts=Counts())


def trade(number: int, received_s: float) -> TradeRecord:
    """The trade of this number, and when it was received."""
    return TradeRecord(number, 8.0, 1.0, "buy", T0 + number * S, T0 + int(received_s * S))


def lates(events: Sequence[Event]) -> list[tuple[str, bool]]:
    """Ids of trades, and whether they came late."""
    return [(event.trade_id, event.late) for event in events if isinstance(event, TradeEvent)]


def test_what_the_stream_brings_is_news():
    """Also where two trades overtook each other on the way."""
    live = market()
    assert lates(live.on_record(trade(8, 8.0))) == []
    assert lates(live.on_record(trade(7, 8.1))) == [("7", False), ("8", False)]


def test_what_was_fetched_is_late_and_so_is_what_waited_long_for_it():
    """Trade 7 is fetched at second 12: 8 has waited four seconds for it, 12 only half a second."""
    live = market()
    assert lates([*live.on_record(trade(8, 8.0)), *live.on_record(trade(12, 11.5))]) == []
    fetched = [trade(number, 12.0) for number in (7, 9, 10, 11)]
    assert lates(live.on_trades(fetched)) == [
        ("7", True), ("8", True), ("9", True), ("10", True), ("11", True), ("12", False),
    ]  # fmt: skip
    assert lates(live.on_record(trade(13, 13.0))) == [("13", False)]
