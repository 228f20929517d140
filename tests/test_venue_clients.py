"""How the clients of venues read what these say: tables without a socket."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.adapters.binance_stream import hosts_of
from core.adapters.ccxt_stream import CcxtVenue
from core.adapters.venue import Ban, backoff_s, retry_after_s
from core.adapters.venues import live_feeds
from core.errors import CodecError, ConfigError
from core.market import binance_answers as answers
from core.market.feed import ID_WINDOW, Feed, TextWindow
from core.market.records import DepthRecord, Newest, QuoteRecord, TradeRecord
from core.market.source import Tails

ROOT = Path(__file__).resolve().parents[1]
MS = 1_000_000
ROW = {"id": "TX-9", "price": 8.5, "amount": 2.0, "side": "sell", "timestamp": 1_723_161_255_343, "info": {}}


# -- Binance's answers


def test_past_trades_are_read_from_both_requests():
    """The fields as Binance documents them; "isBuyerMaker" says that the taker sold."""
    body = b'[{"id":7,"price":"4.5","qty":"12","quoteQty":"54","time":1723161255343,"isBuyerMaker":true,"x":1}]'
    assert answers.trades(body, 5) == [TradeRecord(7, 4.5, 12.0, "sell", 1_723_161_255_343 * MS, 5)]
    assert answers.trades(body.replace(b"true", b"false"), 5)[0].side == "buy"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"code":-1000,"msg":"unknown"}',
        b'[{"id":7,"price":"NaN","qty":"1","time":1723161255343,"isBuyerMaker":true}]',
        b'[{"id":7,"price":"0","qty":"1","time":1723161255343,"isBuyerMaker":true}]',
        b'[{"id":7,"price":null,"qty":"1","time":1723161255343,"isBuyerMaker":true}]',
        b'[{"id":7,"price":"1","qty":"1","time":1723161255,"isBuyerMaker":true}]',
        b'[{"id":7,"price":"1","qty":"1","time":1723161255343,"isBuyer',
    ],
)
def test_an_answer_that_is_none_is_refused_as_a_whole(body):
    """Pages of a proxy, nothing, halves, nulls, NaN, zero and times in another unit."""
    with pytest.raises(CodecError, match="no Binance answer"):
        answers.trades(body, 0)


def test_the_newest_trade_is_the_last_of_an_aggregate():
    """ "l" is the last trade in it."""
    body = b'[{"a":1,"p":"1","q":"1","f":5,"l":9,"T":1723161255343,"m":true,"M":true}]'
    assert answers.newest(body) == Newest(9, 1_723_161_255_343 * MS)
    assert answers.newest(b"[]") is None


def test_time_book_and_error():
    """One answer of each kind."""
    assert answers.server_time_ns(b'{"serverTime":1723161255343}') == 1_723_161_255_343 * MS
    book = answers.book(b'{"lastUpdateId":8,"bids":[["4","1"]],"asks":[["5","2"]]}', 3)
    assert book == DepthRecord("snapshot", 0, 8, ((4.0, 1.0),), ((5.0, 2.0),), 0, 3)
    with pytest.raises(CodecError, match="lastUpdateId"):
        answers.book(b"{}", 0)
    assert answers.error_of(b'{"code":-1121,"msg":"Invalid symbol."}') == (-1121, "Invalid symbol.")
    assert answers.error_of(b"<html>") == (0, "")


# -- waiting


def test_the_first_retry_is_at_once_and_the_last_ones_half_a_minute_apart():
    """0.2 s doubled with every failure, 30 s at most; the same each time."""
    waits = [backoff_s(failures) for failures in range(12)]
    assert waits == [0.0, 0.0, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [(429, "7", 7), (418, "120", 120), (429, None, 10), (418, None, 120), (429, "soon", 10), (429, "-5", 10)],
)
def test_a_venue_says_how_long_it_wants_to_be_left_alone(status, header, seconds):
    """Where it does not, as long as such bans usually last."""
    assert retry_after_s(status, header) == seconds


def test_a_shorter_ban_does_not_end_a_longer_one():
    """Two symbols may hear of it at different times."""
    ban = Ban()
    assert ban.left_s == 0.0
    ban.impose(1000)
    ban.impose(1)
    assert ban.left_s > 900


# -- addresses and names


def test_an_endpoint_takes_the_place_of_both_hosts():
    """Requests and streams; a path would be lost, so it is refused."""
    assert hosts_of("binance", "https://sim:1/") == ("https://sim:1", "wss://sim:1")
    assert hosts_of("binanceus", "")[1] == "wss://stream.binance.us:9443"
    for wrong in ("sim:1", "http://", "http://sim/api", "ftp://sim"):
        with pytest.raises(ConfigError, match="--endpoint"):
            hosts_of("binance", wrong)


@pytest.mark.parametrize(
    ("venue", "feed", "endpoint", "words"),
    [
        ("krakn", "auto", "", "did you mean 'kraken'"),
        ("krakn", "lean", "", "did you mean 'kraken'"),
        ("kraken", "lean", "", "allowed with: binance, binanceus"),
        ("kraken", "ccxt", "http://127.0.0.1:1", "--endpoint"),
    ],
)
def test_what_no_client_can_do_is_refused_at_once(venue, feed, endpoint, words):
    """Before anything has been dialed."""
    with pytest.raises(ConfigError, match=words):
        live_feeds(venue, ["BTC/USDT"], feed=feed, endpoint=endpoint)


@pytest.mark.slow
def test_the_venues_that_are_allowed_are_those_that_ccxt_streams():
    """Their names are known before it is loaded, and loading it leaves the clients out that are not used."""
    code = """if True:
        import sys
        from core.adapters.ccxt_package import _modules
        from core.adapters.venues import feed_of, live_feeds
        known = _modules("pro")
        assert [feed_of(name, "auto") for name in ("binance", "kraken")] == ["lean", "ccxt"]
        assert "ccxt" not in sys.modules
        live_feeds("kraken", ["BTC/USDT"], feed="auto", endpoint="")
        import ccxt.pro
        assert known == sorted(ccxt.pro.exchanges)
        assert not hasattr(ccxt, "kraken")
        assert "ccxt.kraken" not in sys.modules
        import ccxt.kraken
        assert ccxt.kraken.kraken().id == ccxt.pro.kraken().id == "kraken"
    """
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=50)


# -- rows of ccxt


def test_ids_are_numbers_where_the_venue_counts_its_trades_and_texts_elsewhere():
    """A row as ccxt gives it for every venue; where there is no id, what can be seen of the trade is one."""
    kraken, binance = CcxtVenue("kraken"), CcxtVenue("binanceus")
    assert kraken._trade(ROW, 5) == TradeRecord("TX-9", 8.5, 2.0, "sell", 1_723_161_255_343 * MS, 5)
    assert binance._trade({**ROW, "id": "9"}, 5).trade_id == 9
    assert kraken._trade({**ROW, "id": None}, 5).trade_id == "1723161255343-sell-8.5-2.0"
    for change in ({"price": None}, {"price": float("nan")}, {"amount": 0.0}, {"timestamp": None}):
        with pytest.raises((TypeError, ValueError)):
            kraken._trade({**ROW, **change}, 5)


def test_a_book_of_ccxt_is_cut_and_keeps_the_venues_id():
    """Twenty levels a side, as a snapshot."""
    levels = [[8.0 - step / 100, 1.0] for step in range(50)]
    book = CcxtVenue("binanceus")._whole_book({"bids": levels, "asks": levels, "nonce": 77, "timestamp": None})
    assert (book.kind, book.last_update_id, len(book.bids), len(book.asks)) == ("snapshot", 77, 20, 20)


def test_a_ticker_of_ccxt_without_a_side_says_nothing():
    """Best prices as records; the venue's own id where it has one."""
    row = {"bid": 8.0, "ask": 8.1, "bidVolume": None, "askVolume": 2.0, "timestamp": None, "info": {"u": "5"}}
    quote = CcxtVenue("binanceus")._quote(row)
    assert isinstance(quote, QuoteRecord)
    assert (quote.update_id, quote.bid_qty, quote.ask_qty, quote.ts_ns) == (5, 0.0, 2.0, 0)
    assert CcxtVenue("kraken")._quote({**row, "ask": None}) is None


# -- ids that are texts


def test_texts_are_remembered_over_a_restart():
    """512 of them; the next process folds its own journal and refuses the same trades."""
    trades = [TradeRecord(f"t{number}", 8.0, 1.0, "buy", 10**18, 0) for number in range(ID_WINDOW + 1)]
    feed = Feed("BTC/USDT", ids=TextWindow())
    published = [event for trade in trades for event in feed.on_record(trade)]
    again = Feed("BTC/USDT", ids=TextWindow())
    again.restore(Tails.of(published))
    assert [bool(again.on_record(trade)) for trade in trades[1:]] == [False] * ID_WINDOW
    assert again.counts.duplicates == ID_WINDOW
