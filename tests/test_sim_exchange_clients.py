"""Unmodified clients of three authors drive the simulated exchange: ccxt.pro, python-binance and binance-connector."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from core import codec
from tests.sim_market import SYNTHETIC, Simulator, simulator, until

pytestmark = pytest.mark.slow

TRADES = "btcusdt@trade"
FAST = (*SYNTHETIC, "--speed", "20")
SYMBOL = "BTC/USDT"


@asynccontextmanager
async def client(sim: Simulator) -> AsyncIterator[Any]:
    """ccxt.pro's binanceus with nothing but its addresses changed, and the error classes that go with them."""
    import ccxt.pro

    api, sapi = sim.url + "/api", sim.url + "/sapi"
    made = ccxt.pro.binanceus(
        {
            "apiKey": "none",  # it asks for older trades only with a key
            "enableRateLimit": True,
            "urls": {
                "api": {
                    "public": api + "/v3", "private": api + "/v3", "v1": api + "/v1", "v3": api + "/v3",
                    "sapi": sapi + "/v1", "sapiV2": sapi + "/v2", "sapiV3": sapi + "/v3", "wapi": sim.url + "/wapi/v3",
                    "web": sim.url,
                    "ws": {"spot": sim.streams + "/stream/ws", "ws-api": {"spot": sim.streams + "/ws-api/v3"}},
                }
            },
            "streaming": {"keepAlive": 10_000, "maxPingPongMisses": 2},
            "rateLimiterAlgorithm": "rollingWindow",
            "options": {"tradesLimit": 20_000},
        }
    )  # fmt: skip
    made.exceptions["exact"].update(made.exceptions["spot"]["exact"])
    try:
        yield made
    finally:
        await made.close()


async def truth(sim: Simulator, first: int, limit: int) -> list[tuple[int, float, float, str]]:
    found = (await sim.get("/sim/trades", fromId=first, limit=limit))["trades"]
    return [(number, price, qty, side) for number, price, qty, side, _ in found]


async def test_ccxt_asks_for_everything():
    """Markets, time, ticker, candles, trades by id and book, as the truth has them."""
    async with simulator(*FAST) as sim, client(sim) as ccxt:
        market = (await ccxt.load_markets())[SYMBOL]
        assert (market["active"], market["spot"], market["precision"]["price"]) == (True, True, 0.01)
        assert (market["precision"]["amount"], market["limits"]["cost"]["min"]) == (1e-05, 5.0)
        await sim.listen(TRADES)
        await until(lambda: traded(sim, 40))
        assert abs(await ccxt.fetch_time() - (await sim.get("/sim/state"))["market_ns"] / 1e6) < 60_000
        ticker = await ccxt.fetch_ticker(SYMBOL)
        assert ticker["bid"] < ticker["ask"]
        assert ticker["low"] <= ticker["last"] <= ticker["high"]
        (candle,) = await ccxt.fetch_ohlcv(SYMBOL, "1m", limit=1)
        assert candle[0] % 60_000 == 0
        assert candle[3] <= candle[4] <= candle[2]
        by_id = {"fetchTradesMethod": "publicGetHistoricalTrades", "fromId": 3}
        trades = await ccxt.fetch_trades(SYMBOL, limit=25, params=by_id)
        assert [(int(each["id"]), each["price"], each["amount"], each["side"]) for each in trades] == await truth(
            sim, 3, 25
        )
        assert all(each["amount"] > 0 for each in await ccxt.fetch_trades(SYMBOL, limit=5))
        book = await ccxt.fetch_order_book(SYMBOL, 20)
        assert len(book["bids"]) == len(book["asks"]) == 20
        assert book["bids"][0][0] < book["asks"][0][0]


async def traded(sim: Simulator, count: int) -> bool:
    return bool((await sim.get("/sim/state"))["symbols"]["BTCUSDT"]["last_trade_id"] >= count)


async def test_ccxt_watches_everything():
    """Trades one by one as the truth has them; book, best prices, candle and ticker."""
    async with simulator(*FAST) as sim, client(sim) as ccxt:
        ccxt.newUpdates = True
        watched: list[Any] = []
        while len(watched) < 60:
            watched += await ccxt.watch_trades(SYMBOL)
        told = [(int(each["id"]), each["price"], each["amount"], each["side"]) for each in watched]
        assert told == await truth(sim, told[0][0], len(told))
        for _ in range(5):
            book = await ccxt.watch_order_book(SYMBOL)
            assert book["bids"][0][0] < book["asks"][0][0]
        quote = (await ccxt.watch_bids_asks([SYMBOL]))[SYMBOL]
        assert quote["bid"] < quote["ask"]
        assert (await ccxt.watch_ohlcv(SYMBOL, "1m"))[-1][5] > 0
        assert (await ccxt.watch_ticker(SYMBOL))["last"] > 0
        assert {each["path"].rpartition("/")[0] for each in (await sim.get("/sim/state"))["sockets"]} == {"/stream/ws"}


async def test_ccxt_meets_the_faults():
    """Each as the class of error that a caller has to know."""
    import ccxt.pro

    async with simulator(*FAST) as sim, client(sim) as made:
        await made.load_markets()
        for rule, error in (
            ({"kind": "status", "status": 429, "retry_after_s": 7, "code": -1003}, ccxt.pro.DDoSProtection),
            ({"kind": "status", "status": 418, "retry_after_s": 120, "code": -1003}, ccxt.pro.DDoSProtection),
            ({"kind": "status", "status": 503, "code": -1008}, ccxt.pro.OperationFailed),
            ({"kind": "status", "status": 502}, ccxt.pro.ExchangeNotAvailable),
        ):
            await sim.fault(where="GET /api/v3/depth", **rule)
            with pytest.raises(error):
                await made.fetch_order_book(SYMBOL)
            if "retry_after_s" in rule:
                assert made.last_response_headers["Retry-After"] == str(rule["retry_after_s"])
        await sim.fault(kind="garbage", where="GET /api/v3/depth", form="html")
        assert (await made.fetch_order_book(SYMBOL))["bids"] == []  # it takes a page of HTML for an empty book
        await made.watch_trades(SYMBOL)
        await sim.fault(kind="disconnect", where=TRADES)
        with pytest.raises(ccxt.pro.NetworkError):
            await forever(made.watch_trades)
        assert await made.watch_trades(SYMBOL)
        await made.watch_order_book(SYMBOL)
        await sim.fault(kind="drop", where="*@depth@100ms", times=3)
        with pytest.raises(ccxt.pro.ChecksumError):
            await forever(made.watch_order_book)
        assert (await made.watch_order_book(SYMBOL))["bids"]


async def forever(watch: Callable[[str], Awaitable[Any]]) -> None:
    while True:
        await watch(SYMBOL)


async def test_python_binance_asks_and_listens():
    """Another author's reading of the same documentation."""
    from binance import AsyncClient, BinanceSocketManager  # type: ignore[import-untyped]

    async with simulator(*FAST) as sim:
        made = AsyncClient()
        made.API_URL = sim.url + "/api"
        try:
            assert (await made.get_symbol_info("BTCUSDT"))["baseAsset"] == "BTC"
            await until(lambda: traded(sim, 40))
            assert (await made.get_server_time())["serverTime"] > 1_700_000_000_000
            assert len((await made.get_order_book(symbol="BTCUSDT", limit=5))["bids"]) == 5
            rows = await made.get_historical_trades(symbol="BTCUSDT", fromId=1, limit=10)
            assert [each["id"] for each in rows] == list(range(1, 11))
            assert len((await made.get_klines(symbol="BTCUSDT", interval="1m"))[0]) == 12
            assert (await made.get_aggregate_trades(symbol="BTCUSDT"))[0]["f"] == 1
            assert (await made.get_ticker(symbol="BTCUSDT"))["count"] >= 40
            assert (await made.get_orderbook_ticker(symbol="BTCUSDT"))["symbol"] == "BTCUSDT"
            assert [each["symbol"] for each in await made.get_all_tickers()] == ["BTCUSDT"]
            manager = BinanceSocketManager(made)
            manager.STREAM_URL = sim.streams + "/"
            async with manager.trade_socket("BTCUSDT") as socket:
                ids = [(await socket.recv())["t"] for _ in range(20)]
            assert ids == list(range(ids[0], ids[0] + 20))
            async with manager.multiplex_socket([TRADES, "btcusdt@kline_1m", "btcusdt@miniTicker"]) as socket:
                kinds: set[str] = set()
                while len(kinds) < 3:
                    kinds.add((await socket.recv())["data"]["e"])
        finally:
            await made.close_connection()


async def test_binance_connector_asks_and_listens():
    """The exchange's own client, which blocks and listens in threads."""
    from binance.error import ClientError  # type: ignore[import-untyped]
    from binance.spot import Spot  # type: ignore[import-untyped]
    from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient  # type: ignore[import-untyped]

    async with simulator(*FAST) as sim:
        await until(lambda: traded(sim, 40))

        def ask() -> None:
            spot = Spot(base_url=sim.url, show_limit_usage=True)
            assert spot.ping()["data"] == {}
            assert set(spot.depth("BTCUSDT", limit=5)["limit_usage"]) == {"x-mbx-used-weight", "x-mbx-used-weight-1m"}
            assert spot.exchange_info("BTCUSDT")["data"]["symbols"][0]["status"] == "TRADING"
            assert [row["id"] for row in spot.trades("BTCUSDT", limit=3)["data"]]
            assert spot.klines("BTCUSDT", "5m")["data"][0][0] % 300_000 == 0
            assert spot.ticker_24hr("BTCUSDT")["data"]["symbol"] == "BTCUSDT"
            with pytest.raises(ClientError) as refused:
                spot.depth("NOPE")
            assert (refused.value.status_code, refused.value.error_code) == (400, -1121)

        def listen() -> list[Any]:
            heard: list[Any] = []
            enough = threading.Event()

            def on_message(_: object, text: str) -> None:
                heard.append(codec.decode_json(text))
                if len(heard) > 20:
                    enough.set()

            stream = SpotWebsocketStreamClient(stream_url=sim.streams, on_message=on_message)
            stream.trade(symbol="btcusdt")
            assert enough.wait(20)
            stream.stop()
            return [each["t"] for each in heard if each.get("e") == "trade"]

        await asyncio.to_thread(ask)
        ids = await asyncio.to_thread(listen)
        assert ids == list(range(ids[0], ids[0] + len(ids)))
