"""The public REST routes of a Binance spot exchange: a request in, status and JSON out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from core import codec
from core.errors import CodecError
from core.sim import wire
from core.sim.exchange import Exchange
from core.sim.klines import INTERVALS
from core.sim.market import Market
from core.sim.trades import aggregates

NS_PER_MS = wire.NS_PER_MS
AGGREGATED_MAX = 20
"""Trades per order that a page of aggregates reckons with; with more on average it is shorter than asked for."""
Params = Mapping[str, str]
_SYMBOL = re.compile(r"[A-Z0-9-_.]{1,20}", re.ASCII)
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)


class Refusal(Exception):
    """An answer that is an error of the venue's."""

    def __init__(self, code: int, msg: str) -> None:
        super().__init__(msg)
        self.body = {"code": code, "msg": msg}


class Answer(NamedTuple):
    """What a route says.

    Attributes:
        status: of HTTP.
        body: JSON values.
    """

    status: int
    body: Any


class Route(NamedTuple):
    """A route.

    Attributes:
        weight: what a request costs, by its parameters.
        answer: what it says.
    """

    weight: Callable[[Params], int]
    answer: Callable[[Rest, Params], Any]


class Rest:
    """Answers requests about the exchange as it is now."""

    def __init__(self, exchange: Exchange, weight_limit: int) -> None:
        """
        Args:
            exchange: what is asked about.
            weight_limit: what `exchangeInfo` says of it.
        """
        self.exchange = exchange
        self.weight_limit = weight_limit

    def knows(self, path: str) -> bool:
        """Whether there is such a route."""
        return path in ROUTES

    def weight(self, path: str, params: Params) -> int:
        """What a request costs; 1 for what does not exist."""
        route = ROUTES.get(path)
        return route.weight(params) if route else 1

    def answer(self, path: str, params: Params) -> Answer:
        """The answer to `GET /api/v3/<path>`; 404 with an empty body for what does not exist."""
        route = ROUTES.get(path)
        if route is None:
            return Answer(404, None)
        try:
            return Answer(200, route.answer(self, params))
        except Refusal as refusal:
            return Answer(400, refusal.body)

    @property
    def _now_ms(self) -> int:
        return self.exchange.venue_ns // NS_PER_MS

    def _market(self, params: Params) -> Market:
        symbol = params.get("symbol", "")
        if not symbol:
            raise missing("symbol")
        if not _SYMBOL.fullmatch(symbol):
            raise illegal("symbol", "^[A-Z0-9-_.]{1,20}$")
        market = self.exchange.markets.get(symbol)
        if market is None:
            raise Refusal(-1121, "Invalid symbol.")
        return market

    def _markets(self, params: Params) -> list[Market]:
        """Those that `symbols` names; all without it."""
        if "symbols" not in params:
            return list(self.exchange.markets.values())
        try:
            names = codec.decode_json(params["symbols"])
        except CodecError:
            names = None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise illegal("symbols", '["A","B"]')
        return [self._market({"symbol": name}) for name in names]

    def _each(self, params: Params, row: Callable[[Market], Any]) -> Any:
        """One row for `symbol`, a list without it."""
        if "symbol" in params:
            return row(self._market(params))
        return [found for found in map(row, self._markets(params)) if found]

    def ping(self, params: Params) -> Any:
        """Nothing."""
        return {}

    def time(self, params: Params) -> Any:
        """The venue's time."""
        return {"serverTime": self._now_ms}

    def info(self, params: Params) -> Any:
        """What is traded here."""
        chosen = [self._market(params)] if "symbol" in params else self._markets(params)
        limit = {
            "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.weight_limit,
        }  # fmt: skip
        return {
            "timezone": "UTC", "serverTime": self._now_ms, "rateLimits": [limit], "exchangeFilters": [],
            "symbols": [wire.symbol_row(market.instrument, market.name) for market in chosen],
        }  # fmt: skip

    def depth(self, params: Params) -> Any:
        """The book; at most 5,000 levels a side."""
        return wire.depth_row(self._market(params), whole(params, "limit", 100, most=5000))

    def klines(self, params: Params) -> Any:
        """Candles."""
        market = self._market(params)
        interval = params.get("interval", "")
        if not interval:
            raise missing("interval")
        if interval not in INTERVALS:
            raise Refusal(-1120, "Invalid interval.")
        start, end = _moment(params, "startTime"), _moment(params, "endTime")
        length = INTERVALS[interval]
        chosen = market.klines.select(length, start, end, whole(params, "limit", 500, most=1000))
        return [wire.kline_row(kline, length) for kline in chosen]

    def trades(self, params: Params) -> Any:
        """The newest trades."""
        newest = self._market(params).trades.latest(whole(params, "limit", 500, most=1000))
        return [wire.trade_row(trade) for trade in newest]

    def historical(self, params: Params) -> Any:
        """Trades from an id on; the newest without it."""
        if "fromId" not in params:
            return self.trades(params)
        market = self._market(params)
        found = market.trades_from(whole(params, "fromId", 0), whole(params, "limit", 500, most=1000))
        return [wire.trade_row(trade) for trade in found]

    def aggregated(self, params: Params) -> Any:
        """Trades by the orders that made them."""
        market = self._market(params)
        limit = whole(params, "limit", 500, most=1000)
        start, end = _moment(params, "startTime"), _moment(params, "endTime")
        room = AGGREGATED_MAX * limit
        if "fromId" in params:
            found = market.trades_from(whole(params, "fromId", 0), room)
        elif start is not None or end is not None:
            newest = self.exchange.venue_ns if end is None else end
            found = market.trades.between(start or 0, newest, room)
        else:
            return [wire.aggregate_row(each) for each in aggregates(market.trades.latest(room))][-limit:]
        return [wire.aggregate_row(each) for each in aggregates(found)][:limit]

    def day(self, params: Params) -> Any:
        """The last 24 hours."""
        venue_ns = self.exchange.venue_ns

        def row(market: Market) -> Any:
            day = market.day(venue_ns)
            return wire.day_row(market, day) if day else None

        return self._each(params, row)

    def best(self, params: Params) -> Any:
        """The best prices."""
        return self._each(params, wire.quote_row)

    def price(self, params: Params) -> Any:
        """The last prices."""

        def row(market: Market) -> Any:
            newest = market.trades.latest(1)
            return {"symbol": market.name, "price": wire.number(newest[0].price if newest else 0.0)}

        return self._each(params, row)


def missing(name: str) -> Refusal:
    """A parameter that must be there is not."""
    return Refusal(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, form: str) -> Refusal:
    """A parameter has another form."""
    return Refusal(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{form}'.")


def whole(params: Params, name: str, default: int, *, most: int | None = None) -> int:
    """A whole number; what is above `most` is taken for `most`, as the venue does.

    Raises:
        Refusal: it is none, or 0 where there is a most.
    """
    text = params.get(name, "")
    if not text:
        return default
    if not _WHOLE.fullmatch(text):
        raise illegal(name, "^[0-9]{1,20}$")
    if most is None:
        return int(text)
    if int(text) == 0:
        raise Refusal(-1130, f"Data sent for parameter '{name}' is not valid.")
    return min(int(text), most)


def _moment(params: Params, name: str) -> int | None:
    """A time, ns UTC; None if it is not there."""
    return whole(params, name, 0) * NS_PER_MS if params.get(name) else None


def _constant(weight: int) -> Callable[[Params], int]:
    return lambda params: weight


def _by_symbol(one: int, every: int) -> Callable[[Params], int]:
    return lambda params: one if "symbol" in params else every


def _depth_weight(params: Params) -> int:
    text = params.get("limit", "")
    limit = int(text) if _WHOLE.fullmatch(text) else 100
    steps: Iterable[tuple[int, int]] = ((100, 1), (500, 5), (1000, 10))
    return next((weight for most, weight in steps if limit <= most), 50)


ROUTES: dict[str, Route] = {
    "ping": Route(_constant(1), Rest.ping),
    "time": Route(_constant(1), Rest.time),
    "exchangeInfo": Route(_constant(10), Rest.info),
    "depth": Route(_depth_weight, Rest.depth),
    "klines": Route(_constant(1), Rest.klines),
    "trades": Route(_constant(1), Rest.trades),
    "historicalTrades": Route(_constant(5), Rest.historical),
    "aggTrades": Route(_constant(1), Rest.aggregated),
    "ticker/24hr": Route(_by_symbol(1, 40), Rest.day),
    "ticker/bookTicker": Route(_by_symbol(1, 2), Rest.best),
    "ticker/price": Route(_by_symbol(1, 2), Rest.price),
}
"""Weights are Binance.US's, 1,200 a minute."""
