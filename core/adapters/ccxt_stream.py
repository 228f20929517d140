"""Any venue that ccxt.pro knows, through that client as it is; what it does not do by itself is done around it.

It dials again only when it is asked, fills nothing in, drops silently what a burst brings beyond its memory, may raise
anything, and stays wedged after some errors. So a connection here is one client: whatever goes wrong, it is thrown
away and another one is made.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import ccxt
import ccxt.pro
import structlog

from core.adapters.ccxt_package import NUMBERED_VENUES, must_be_at, urls_at
from core.adapters.venue import Ban, Ear, VenueRefused, VenueTrouble, retry_after_s
from core.contracts.enums import Side
from core.errors import ConfigError, NjordError
from core.market.binance import NS_PER_MS
from core.market.live_trades import Missing
from core.market.records import DepthRecord, Newest, QuoteRecord, Record, TradeRecord

LEVELS = 20
"""Levels a side of a published book: this client hands over the whole of it at every change."""
BOOK_EVERY_S = 0.1
PAGE = 1000
TRADES_MAX = 5_000
"""Trades that this client keeps between two looks; a burst beyond that is lost and has to be asked for."""
ANSWER_MS = 3_000
PING_MS = 2_000
CLOSE_S = 0.6
"""A client that has not closed within this is cut off; half of it is a pause of the client's own."""
NUMBERED = {"fetchTradesMethod": "publicGetHistoricalTrades"}
RECENT = {"fetchTradesMethod": "publicGetTrades"}
KEY = "public"
"""Sent to an endpoint of our own: this client does not ask for past trades without a key."""

Row = Mapping[str, Any]
Answer = TypeVar("Answer")

log = structlog.get_logger()

_UNREADABLE = (TypeError, ValueError, KeyError, IndexError, AttributeError)
"""What reading a broken answer raises; ContractError is a ValueError."""


class CcxtVenue:
    """The client of one venue; see `core.adapters.venue.Venue`."""

    keeps_book = True

    def __init__(self, name: str, endpoint: str = "") -> None:
        """
        Args:
            name: an id of ccxt's that streams, "kraken".
            endpoint: another host that speaks Binance's protocol; only for such venues.

        Raises:
            ConfigError: it has no such endpoint.
        """
        self.contiguous = name in NUMBERED_VENUES
        if endpoint and not self.contiguous:
            allowed = ", ".join(NUMBERED_VENUES)
            raise ConfigError(f"--endpoint is {endpoint!r} with --venue {name}; allowed with: {allowed}")
        self.ban = Ban()
        self._name, self._endpoint = name, endpoint.rstrip("/")
        self._past = NUMBERED
        self._users = 0
        self._requests: Any = None
        self._loading = asyncio.Lock()

    async def open(self) -> None:
        """One more user."""
        if self._users == 0:
            self._requests = self._made()
        self._users += 1

    async def close(self) -> None:
        """One user less."""
        self._users -= 1
        if self._users == 0:
            client, self._requests = self._requests, None
            await _closed(client)

    def _made(self) -> Any:
        settings: dict[str, Any] = {
            "enableRateLimit": True,
            "timeout": ANSWER_MS,
            "newUpdates": True,
            "rateLimiterAlgorithm": "rollingWindow",
            "streaming": {"keepAlive": PING_MS, "maxPingPongMisses": 2},
            "options": {"tradesLimit": TRADES_MAX, "defaultType": "spot", "fetchMarkets": {"types": ["spot"]}},
        }
        if self._endpoint:
            settings |= {"apiKey": KEY, "urls": {"api": urls_at(self._endpoint)}}
        client = getattr(ccxt.pro, self._name)(settings)
        if self._endpoint:
            client.exceptions["exact"].update(client.exceptions["spot"]["exact"])  # it knows them by the venue's host
            must_be_at(self._endpoint, client.urls["api"])
        if not client.has.get("watchTrades"):
            raise ConfigError(f"--venue is {self._name!r}; allowed: a venue whose trades ccxt.pro can stream")
        return client

    # -- streams

    async def listen(self, symbol: str, ear: Ear) -> None:
        """Dial, and hand over what comes; the first of its streams that fails ends them all."""
        await self._market(symbol)
        client = self._made()
        client.set_markets_from_exchange(self._requests)
        watches = [self._watch_trades(client, symbol, ear)]
        if client.has.get("watchOrderBook"):
            watches.append(self._watch_book(client, symbol, ear))
        if client.has.get("watchBidsAsks") or client.has.get("watchTicker"):
            watches.append(self._watch_quotes(client, symbol, ear))
        tasks = [asyncio.create_task(watch) for watch in watches]
        try:
            await asyncio.gather(*tasks)
        except NjordError:
            raise
        except Exception as error:  # noqa: BLE001 - not all that this client raises is an error of its own
            self._heed(client, error)
            raise VenueTrouble(f"{self._name}: {_words(error)}") from None
        finally:
            for task in tasks:
                task.cancel()
            try:
                await asyncio.gather(*tasks, return_exceptions=True)
            finally:  # another cancel must not leave the client behind
                await _closed(client)

    async def _watch_trades(self, client: Any, symbol: str, ear: Ear) -> None:
        while True:
            rows = await client.watch_trades(symbol)
            recv_ns = time.time_ns()
            for row in rows:
                self._hear(ear, self._trade, row, recv_ns)
            if ear.full:
                await ear.room()

    async def _watch_book(self, client: Any, symbol: str, ear: Ear) -> None:
        due = 0.0
        while True:
            book = await client.watch_order_book(symbol)
            # It changes meanwhile; what is published is its newest state.
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = time.monotonic() + BOOK_EVERY_S
            self._hear(ear, self._whole_book, book)
            if ear.full:
                await ear.room()

    async def _watch_quotes(self, client: Any, symbol: str, ear: Ear) -> None:
        while True:
            if client.has.get("watchBidsAsks"):
                row = (await client.watch_bids_asks([symbol])).get(symbol)
            else:
                row = await client.watch_ticker(symbol)
            if row:
                self._hear(ear, self._quote, row)
            if ear.full:
                await ear.room()

    def _hear(self, ear: Ear, read: Callable[..., Record | None], row: Row, *at: int) -> None:
        try:
            record = read(row, *at)
        except _UNREADABLE as error:
            ear.broken(self._name, f"no usable message: {_words(error)}", repr(row).encode()[:2000])
        else:
            ear.hear(record)

    # -- requests

    async def trades(self, symbol: str, missing: Missing) -> Sequence[TradeRecord]:
        """Past trades: by id where the venue numbers them, else by time."""
        if not self.contiguous:
            since = missing.since_ns // NS_PER_MS
            return self._trades(await self._asked(symbol, lambda c: c.fetch_trades(symbol, since, PAGE)))
        if self._past is NUMBERED:
            try:
                return await self._page(symbol, {**NUMBERED, "fromId": missing.from_id})
            except VenueRefused:
                self._past = RECENT
        rows = await self._page(symbol, RECENT)
        if int(rows[0].trade_id) > missing.to_id:
            raise VenueRefused(f"{self._name} shows only its newest {PAGE} trades without a key")
        return rows

    async def _page(self, symbol: str, params: Mapping[str, Any]) -> list[TradeRecord]:
        """One answer; it cannot be empty where a later trade is known, but an empty body looks like that here."""
        rows = self._trades(await self._asked(symbol, lambda c: c.fetch_trades(symbol, None, PAGE, dict(params))))
        if not rows:
            raise VenueTrouble(f"{self._name} answered with no trades")
        return rows

    async def newest(self, symbol: str) -> Newest | None:
        """The newest trade."""
        params = dict(RECENT) if self.contiguous else {}
        limit = 1 if self.contiguous else None  # what a limit keeps, the oldest or the newest, differs between venues
        rows = self._trades(await self._asked(symbol, lambda c: c.fetch_trades(symbol, None, limit, params)))
        last = max(rows, key=lambda row: row.ts_ns, default=None)
        return Newest(last.trade_id, last.ts_ns) if last else None

    async def book(self, symbol: str, levels: int) -> DepthRecord | None:
        """The book now; only its id is of use, and only where it can be compared with that of the stream."""
        if not self.contiguous:
            return None
        answer = await self._asked(symbol, lambda c: c.fetch_order_book(symbol, levels))
        return self._readable(self._whole_book, answer)

    async def time_ns(self) -> int | None:
        """The venue's time: by the date of its last answer where it has no request for that."""
        client = self._requests
        if client.has.get("fetchTime"):
            return self._readable(int, await self._asked("", lambda c: c.fetch_time())) * NS_PER_MS
        date = (client.last_response_headers or {}).get("Date")
        return None if date is None else int(parsedate_to_datetime(date).timestamp()) * 10**9

    async def _asked(self, symbol: str, ask: Callable[[Any], Awaitable[Any]]) -> Any:
        if symbol:
            await self._market(symbol)
        if self.ban.left_s:
            raise VenueTrouble(f"{self._name} wants no request for {self.ban.left_s:.1f} s more")
        try:
            return await ask(self._requests)
        except (
            ccxt.AuthenticationError, ccxt.NotSupported, ccxt.BadRequest, ccxt.ArgumentsRequired,
        ) as error:  # fmt: skip
            raise VenueRefused(f"{self._name}: {_words(error)}") from None
        except Exception as error:  # noqa: BLE001 - the same
            self._heed(self._requests, error)
            raise VenueTrouble(f"{self._name}: {_words(error)}") from None

    async def _market(self, symbol: str) -> None:
        """Know the venue's markets; one that it does not name is asked for twice, because an answer may be broken.

        Raises:
            ConfigError: this is none of them.
        """
        async with self._loading:
            for again in (False, True):
                if again or not self._requests.markets:
                    await self._asked("", lambda c: c.load_markets(reload=True))
                if symbol in self._requests.markets:
                    return
        if not self._requests.markets:
            raise VenueTrouble(f"{self._name} names no market at all")
        near = get_close_matches(symbol, list(self._requests.markets), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"--symbol is {symbol!r}; allowed: a market of {self._name}{hint}")

    def _heed(self, client: Any, error: Exception) -> None:
        if isinstance(error, (ccxt.DDoSProtection, ccxt.RateLimitExceeded)):
            headers = {name.lower(): value for name, value in (client.last_response_headers or {}).items()}
            status = 418 if "418" in str(error) else 429
            self.ban.impose(retry_after_s(status, headers.get("retry-after")))

    # -- rows

    def _trades(self, rows: Sequence[Row]) -> list[TradeRecord]:
        recv_ns = time.time_ns()
        return self._readable(lambda answer: [self._trade(row, recv_ns) for row in answer], rows)

    def _readable(self, read: Callable[[Any], Answer], answer: Any) -> Answer:
        """What an answer says; this client hands on whatever the venue has sent."""
        try:
            return read(answer)
        except _UNREADABLE as error:
            raise VenueTrouble(f"{self._name} answered with what cannot be read: {_words(error)}") from None

    def _trade(self, row: Row, recv_ns: int) -> TradeRecord:
        side: Side = "sell" if row["side"] == "sell" else "buy"
        price, qty, ts_ms = float(row["price"]), float(row["amount"]), int(row["timestamp"])
        if not (0 < price < math.inf and 0 < qty < math.inf):
            raise ValueError(f"price {price!r} and amount {qty!r}")
        # Where a venue gives no id, what can be seen of a trade tells it from others.
        own_id = row.get("id") or f"{ts_ms}-{side}-{row['price']}-{row['amount']}"
        number = int(own_id) if self.contiguous else str(own_id)
        return TradeRecord(number, price, qty, side, ts_ms * NS_PER_MS, recv_ns)

    def _whole_book(self, book: Row) -> DepthRecord:
        recv_ns = time.time_ns()
        bids, asks = (tuple((float(row[0]), float(row[1])) for row in book[side][:LEVELS]) for side in ("bids", "asks"))
        ts_ns = int(book.get("timestamp") or 0) * NS_PER_MS
        return DepthRecord("snapshot", 0, int(book.get("nonce") or recv_ns), bids, asks, ts_ns, recv_ns)

    def _quote(self, row: Row) -> QuoteRecord | None:
        recv_ns = time.time_ns()
        if not row.get("bid") or not row.get("ask"):
            return None
        update_id = int(row["info"]["u"]) if self.contiguous and "u" in row.get("info", ()) else recv_ns
        bid_qty, ask_qty = float(row.get("bidVolume") or 0), float(row.get("askVolume") or 0)
        ts_ns = int(row.get("timestamp") or 0) * NS_PER_MS
        return QuoteRecord(update_id, float(row["bid"]), bid_qty, float(row["ask"]), ask_qty, ts_ns, recv_ns)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__} {str(error)[:200]}".rstrip()


async def _closed(client: Any) -> None:
    """Let go of a client; a cancel that comes meanwhile waits, or its sockets and their tasks would be left behind."""
    letting_go = asyncio.create_task(_let_go(client))
    cut: asyncio.CancelledError | None = None
    while not letting_go.done():
        try:
            await asyncio.shield(letting_go)
        except asyncio.CancelledError as error:
            cut = error
    if cut is not None:
        raise cut


async def _let_go(client: Any) -> None:
    """Say goodbye; a venue that does not answer that in time is cut off."""
    for bound_s in (CLOSE_S, CLOSE_S):
        try:
            async with asyncio.timeout(bound_s):
                await client.close()
            return
        except Exception as error:  # noqa: BLE001 - the same; nothing may hold up the next connection
            log.warning("close_failed", venue=client.id, error=_words(error))
        client.clients.clear()  # without its sockets it closes the session under them, which waits for nobody
