"""Raw Binance payloads beside what they mean."""

import pytest

from core.errors import CodecError
from core.market.binance import Decoder
from core.market.records import DepthRecord, QuoteRecord, TradeRecord

RECV = 1723161254087896568

SPOT_TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,'
    b'"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}'
)
FUTURES_TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256321,"s":"BTCUSDT",'
    b'"t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}}'
)
SPOT_QUOTE = (
    b'{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000",'
    b'"B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}'
)
FUTURES_QUOTE = (
    b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT","b":"61800.20",'
    b'"B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256314}}'
)
SPOT_DEPTH = (
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":50093239189,'
    b'"u":50093239202,"b":[["61737.63000000","0.00000000"]],"a":[["61837.64000000","1.54698000"]]}}'
)
FUTURES_DEPTH = (
    b'{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT",'
    b'"U":5123107832006,"u":5123107837557,"pu":5123107831937,"b":[["58710.20","0.014"]],"a":[]}}'
)
SPOT_SNAPSHOT = b'{"lastUpdateId":50093239218,"bids":[["61837.63000000","3.78826000"]],"asks":[]}'
FUTURES_SNAPSHOT = (
    b'{"lastUpdateId":5123107852948,"E":1723161256501,"T":1723161256493,"bids":[],"asks":[["61800.30","2.909"]]}'
)

MEANINGS = {
    SPOT_TRADE: TradeRecord(3735683259, 61837.63, 0.02, "sell", 1723161255342_000000, RECV),
    FUTURES_TRADE: TradeRecord(5266583935, 61800.3, 0.006, "buy", 1723161256321_000000, RECV),
    SPOT_QUOTE: QuoteRecord(50093239212, 61837.63, 3.78826, 61837.64, 1.54698, 0, RECV),
    FUTURES_QUOTE: QuoteRecord(5123107839020, 61800.2, 2.507, 61800.3, 2.51, 1723161256314_000000, RECV),
    SPOT_DEPTH: DepthRecord(
        "delta",
        50093239189,
        50093239202,
        ((61737.63, 0.0),),
        ((61837.64, 1.54698),),
        1723161255208_000000,
        RECV,
    ),
    FUTURES_DEPTH: DepthRecord(
        "delta", 5123107831938, 5123107837557, ((58710.2, 0.014),), (), 1723161256299_000000, RECV
    ),
    SPOT_SNAPSHOT: DepthRecord("snapshot", 0, 50093239218, ((61837.63, 3.78826),), (), 0, RECV),
    FUTURES_SNAPSHOT: DepthRecord("snapshot", 0, 5123107852948, (), ((61800.3, 2.909),), 1723161256501_000000, RECV),
}


@pytest.mark.parametrize("message", MEANINGS)
def test_meaning(message):
    """Every recorded message becomes the record it stands for; "m" true is a sale by the taker.

    A futures update begins behind its "pu", the last one of this market before it: 5123107831937 + 1.
    """
    assert Decoder("BTC/USDT").decode(message, RECV) == MEANINGS[message]


def test_futures_symbol():
    """A perpetual's unified symbol names the same venue symbol."""
    assert Decoder("BTC/USDT:USDT").decode(FUTURES_TRADE, RECV) == MEANINGS[FUTURES_TRADE]


@pytest.mark.parametrize(
    "message",
    [
        SPOT_TRADE.replace(b"btcusdt@", b"ethusdt@"),
        SPOT_TRADE.replace(b"@trade", b"@aggTrade"),
        SPOT_DEPTH.replace(b"depth@100ms", b"depth20@100ms"),
        b'{"stream":"btcusdt@kline_1m","data":{"k":{}}}',
        b'{"result":null,"id":1}',
        b"{}",
        FUTURES_TRADE.replace(b"MARKET", b"INSURANCE_FUND"),
        FUTURES_TRADE.replace(b"MARKET", b"NA").replace(b"61800.30", b"0").replace(b"0.006", b"0"),
        SPOT_QUOTE.replace(b"61837.63000000", b"0.00000000"),
        SPOT_QUOTE.replace(b"61837.64000000", b"0.00000000"),
    ],
)
def test_ignored(message):
    """Other symbols, other streams, trades outside the market and one-sided quotes say nothing here."""
    assert Decoder("BTC/USDT").decode(message, RECV) is None


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (SPOT_TRADE[:-9], "truncated"),
        (b"", "truncated"),
        (b"not json", "malformed"),
        (b"[1,2]", "Expected `object`, got `array`"),
        (b"\xff\xfe{}", "malformed"),
        (b'{"stream":"btcusdt@trade","data":null}', "Expected `object`, got `null`"),
        (b'{"stream":"btcusdt@trade"}', "truncated"),
        (SPOT_TRADE.replace(b'"p"', b'"x"'), "missing required field `p`"),
        (SPOT_TRADE.replace(b"61837.63000000", b"nan"), "at `$.p`"),
        (SPOT_TRADE.replace(b"61837.63000000", b"inf"), "at `$.p`"),
        (SPOT_TRADE.replace(b"61837.63000000", b"-1"), "at `$.p`"),
        (SPOT_TRADE.replace(b"61837.63000000", b"0.0"), "trade 3735683259 has price 0.0"),
        (SPOT_TRADE.replace(b"0.02000000", b"0"), "and qty 0.0"),
        (SPOT_TRADE.replace(b"0.02000000", b"much"), "at `$.q`"),
        (SPOT_TRADE.replace(b"3735683259", b"-1"), "at `$.t`"),
        (SPOT_TRADE.replace(b"1723161255342", b"1723161255"), "at `$.T`"),
        (SPOT_TRADE.replace(b"1723161255342", b"1723161255342000"), "at `$.T`"),
        (SPOT_QUOTE.replace(b"3.78826000", b"-3"), "at `$.B`"),
        (SPOT_DEPTH.replace(b"61837.64000000", b"0"), "at `$.a[0][0]`"),
        (SPOT_DEPTH.replace(b"1.54698000", b"-1.5"), "at `$.a[0][1]`"),
        (SPOT_DEPTH.replace(b"50093239202", b"50093239188"), "depth update ends at 50093239188"),
        (SPOT_SNAPSHOT.replace(b'"bids"', b'"bid"'), "missing required field `bids`"),
    ],
)
def test_broken(message, error):
    """What is damaged, of the wrong unit or impossible is refused, and the error says where."""
    with pytest.raises(CodecError) as caught:
        Decoder("BTC/USDT").decode(message, RECV)
    assert error in str(caught.value)
