"""What the simulated exchange says, in Binance's JSON for spot markets: field names, strings where it has strings.

Times are milliseconds of the venue; prices and amounts have eight decimals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from core.contracts import Instrument
from core.contracts.market import PriceLevel
from core.market.records import DepthRecord, QuoteRecord, TradeRecord
from core.sim.klines import UNIT, Kline
from core.sim.market import Day, Market
from core.sim.trades import Aggregate

NS_PER_MS = 1_000_000
ORDER_TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
PRICE_MAX, QTY_MAX = "10000000.00000000", "100000.00000000"

encode = msgspec.json.Encoder().encode
"""JSON with the keys in the order in which they were written."""


def number(value: float) -> str:
    """A price or an amount.

    >>> number(61837.63)
    '61837.63000000'
    """
    return f"{value:.8f}"


def volume(value: int) -> str:
    """An amount in units of 1e-8.

    >>> volume(1_507_702_000)
    '15.07702000'
    """
    return f"{value // UNIT}.{value % UNIT:08d}"


def quote_volume(value: int) -> str:
    """An amount in units of 1e-16, rounded down."""
    return volume(value // UNIT)


def levels(side: Sequence[PriceLevel]) -> list[tuple[str, str]]:
    """One side of a book."""
    return [(number(price), number(qty)) for price, qty in side]


# Messages of streams


def trade_event(name: str, trade: TradeRecord) -> dict[str, Any]:
    """`@trade`."""
    ms = trade.ts_ns // NS_PER_MS
    return {
        "e": "trade", "E": ms, "s": name, "t": trade.trade_id, "p": number(trade.price), "q": number(trade.qty),
        "T": ms, "m": trade.side == "sell", "M": True,
    }  # fmt: skip


def aggregate_event(name: str, aggregate: Aggregate, venue_ns: int) -> dict[str, Any]:
    """`@aggTrade`."""
    head = {"e": "aggTrade", "E": venue_ns // NS_PER_MS, "s": name}
    return {**head, **aggregate_row(aggregate)}


def depth_event(name: str, delta: DepthRecord) -> dict[str, Any]:
    """`@depth`, `@depth@100ms`."""
    return {
        "e": "depthUpdate", "E": delta.ts_ns // NS_PER_MS, "s": name, "U": delta.first_update_id,
        "u": delta.last_update_id, "b": levels(delta.bids), "a": levels(delta.asks),
    }  # fmt: skip


def quote_event(name: str, quote: QuoteRecord) -> dict[str, Any]:
    """`@bookTicker`, the only one without a time."""
    return {
        "u": quote.update_id, "s": name, "b": number(quote.bid), "B": number(quote.bid_qty), "a": number(quote.ask),
        "A": number(quote.ask_qty),
    }  # fmt: skip


def kline_event(name: str, interval: str, kline: Kline, *, end_ms: int, venue_ns: int, closed: bool) -> dict[str, Any]:
    """`@kline_<interval>`; `end_ms` is its last millisecond."""
    body = {
        "t": kline.open_ns // NS_PER_MS, "T": end_ms, "s": name, "i": interval, "f": kline.first_id,
        "L": kline.last_id, "o": number(kline.open), "c": number(kline.close), "h": number(kline.high),
        "l": number(kline.low), "v": volume(kline.volume), "n": kline.trades, "x": closed,
        "q": quote_volume(kline.quote), "V": volume(kline.buy_volume), "Q": quote_volume(kline.buy_quote), "B": "0",
    }  # fmt: skip
    return {"e": "kline", "E": venue_ns // NS_PER_MS, "s": name, "k": body}


def mini_ticker_event(name: str, day: Day) -> dict[str, Any]:
    """`@miniTicker`."""
    sums = day.sums
    return {
        "e": "24hrMiniTicker", "E": day.close_ns // NS_PER_MS, "s": name, "c": number(sums.close),
        "o": number(sums.open), "h": number(sums.high), "l": number(sums.low), "v": volume(sums.volume),
        "q": quote_volume(sums.quote),
    }  # fmt: skip


def ticker_event(market: Market, day: Day) -> dict[str, Any]:
    """`@ticker`."""
    row = day_row(market, day)
    short = {
        "p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice", "x": "prevClosePrice", "c": "lastPrice",
        "Q": "lastQty", "b": "bidPrice", "B": "bidQty", "a": "askPrice", "A": "askQty", "o": "openPrice",
        "h": "highPrice", "l": "lowPrice", "v": "volume", "q": "quoteVolume", "O": "openTime", "C": "closeTime",
        "F": "firstId", "L": "lastId", "n": "count",
    }  # fmt: skip
    head = {"e": "24hrTicker", "E": day.close_ns // NS_PER_MS, "s": market.name}
    return {**head, **{key: row[name] for key, name in short.items()}}


# Answers to requests


def trade_row(trade: TradeRecord) -> dict[str, Any]:
    """A trade of `trades` and `historicalTrades`."""
    return {
        "id": trade.trade_id, "price": number(trade.price), "qty": number(trade.qty),
        "quoteQty": number(trade.price * trade.qty), "time": trade.ts_ns // NS_PER_MS,
        "isBuyerMaker": trade.side == "sell", "isBestMatch": True,
    }  # fmt: skip


def aggregate_row(aggregate: Aggregate) -> dict[str, Any]:
    """A row of `aggTrades`."""
    first = aggregate.first
    return {
        "a": first.trade_id, "p": number(first.price), "q": number(aggregate.qty), "f": first.trade_id,
        "l": aggregate.last_id, "T": first.ts_ns // NS_PER_MS, "m": first.side == "sell", "M": True,
    }  # fmt: skip


def kline_row(kline: Kline, interval_ns: int) -> list[Any]:
    """A row of `klines`, twelve elements."""
    return [
        kline.open_ns // NS_PER_MS, number(kline.open), number(kline.high), number(kline.low), number(kline.close),
        volume(kline.volume), (kline.open_ns + interval_ns) // NS_PER_MS - 1, quote_volume(kline.quote), kline.trades,
        volume(kline.buy_volume), quote_volume(kline.buy_quote), "0",
    ]  # fmt: skip


def depth_row(market: Market, limit: int) -> dict[str, Any]:
    """`depth`."""
    book = market.book
    return {"lastUpdateId": book.last_id, "bids": levels(book.bids(limit)), "asks": levels(book.asks(limit))}


def quote_row(market: Market) -> dict[str, Any]:
    """A row of `ticker/bookTicker`; zeros before the first best prices."""
    quote = market.quote
    bid, bid_qty, ask, ask_qty = quote[1:5] if quote else (0.0, 0.0, 0.0, 0.0)
    return {
        "symbol": market.name, "bidPrice": number(bid), "bidQty": number(bid_qty), "askPrice": number(ask),
        "askQty": number(ask_qty),
    }  # fmt: skip


def day_row(market: Market, day: Day) -> dict[str, Any]:
    """A row of `ticker/24hr`."""
    sums, newest = day.sums, market.trades.latest(1)
    change = sums.close - sums.open
    average = sums.quote / UNIT / sums.volume if sums.volume else sums.close
    quote = quote_row(market)
    return {
        "symbol": market.name, "priceChange": number(change), "priceChangePercent": f"{100 * change / sums.open:.3f}",
        "weightedAvgPrice": number(average), "prevClosePrice": number(day.previous_close),
        "lastPrice": number(sums.close), "lastQty": number(newest[0].qty if newest else 0.0),
        "bidPrice": quote["bidPrice"], "bidQty": quote["bidQty"], "askPrice": quote["askPrice"],
        "askQty": quote["askQty"], "openPrice": number(sums.open), "highPrice": number(sums.high),
        "lowPrice": number(sums.low), "volume": volume(sums.volume), "quoteVolume": quote_volume(sums.quote),
        "openTime": sums.open_ns // NS_PER_MS, "closeTime": day.close_ns // NS_PER_MS, "firstId": sums.first_id,
        "lastId": sums.last_id, "count": sums.trades,
    }  # fmt: skip


def symbol_row(instrument: Instrument, name: str) -> dict[str, Any]:
    """A symbol of `exchangeInfo`."""
    tick, lot, least = (
        f"{value:.8f}" for value in (instrument.tick_size, instrument.lot_size, instrument.min_notional)
    )
    return {
        "symbol": name, "status": "TRADING", "baseAsset": instrument.base, "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote, "quotePrecision": 8, "quoteAssetPrecision": 8, "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8, "orderTypes": ORDER_TYPES, "icebergAllowed": True, "ocoAllowed": False,
        "quoteOrderQtyMarketAllowed": False, "allowTrailingStop": False, "cancelReplaceAllowed": False,
        "isSpotTradingAllowed": True, "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": PRICE_MAX, "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": QTY_MAX, "stepSize": lot},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": QTY_MAX, "stepSize": "0.00000000"},
            {"filterType": "MIN_NOTIONAL", "minNotional": least, "applyToMarket": True, "avgPriceMins": 5},
            {"filterType": "NOTIONAL", "minNotional": least, "applyMinToMarket": True, "maxNotional": PRICE_MAX,
             "applyMaxToMarket": False, "avgPriceMins": 5},
        ],
        "permissions": ["SPOT"], "permissionSets": [["SPOT"]], "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }  # fmt: skip
