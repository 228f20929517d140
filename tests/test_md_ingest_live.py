"""md_ingest on a venue that fails in every way: the journal holds the venue's trades, each once, in order."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
import uuid
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from core.embedded import EmbeddedServer, free_port
from tests.installation import Installation, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.redis, pytest.mark.venue]

BTC, ME = "BTC/USDT", "md_ingest.BTCUSDT"
CLIENTS = ("lean", "ccxt")
HEALTHY = 30
"""Trades that must have come before a fault and behind it; the market brings about fifty a second."""
SPEED = "5"


class Venue(Installation):
    """An installation with a simulated exchange, and what that knows to be true."""

    port = began = 0

    def exchange(self, *symbols: str, speed: str = SPEED):
        """Start the exchange; started again it stands where it would have come to."""
        self.port = self.port or free_port()
        self.began = self.began or time.time_ns()
        chosen = [option for symbol in symbols or (BTC,) for option in ("--symbol", symbol)]
        place = ("--port", str(self.port), "--started-at", str(self.began), "--weight-limit", "100000")
        process = self.start("sim_exchange", "--synthetic", *chosen, "--speed", speed, *place)
        wait_for(lambda: self.ask("/sim/state") is not None)
        return process

    def ingest(self, client: str, *symbols: str):
        chosen = [option for symbol in symbols or (BTC,) for option in ("--symbol", symbol)]
        endpoint = f"http://127.0.0.1:{self.port}"
        return self.start("md_ingest", *chosen, "--venue", "binanceus", "--feed", client, "--endpoint", endpoint)

    def ask(self, path: str, body: object = None):
        """What the exchange says; None while it does not answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return None

    def truth(self, symbol: str = BTC) -> dict[int, list[Any]]:
        """Every trade of the market by its id, and what it was."""
        rows: list[list[Any]] = []
        while page := self.ask(f"/sim/trades?symbol={symbol.replace('/', '')}&fromId={len(rows) + 1}")["trades"]:
            rows += page
        return {row[0]: row[1:] for row in rows}

    def journal(self, symbol: str = BTC) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines(f"md.trades.{symbol.replace('/', '')}")]

    def ids(self, symbol: str = BTC) -> list[int]:
        return [int(trade["trade_id"]) for trade in self.journal(symbol)]

    def counts(self, instance: str = ME) -> dict[str, int]:
        counts: dict[str, int] = self.health(instance)[1].get("counts", {})
        return counts

    def grows(self, symbol: str = BTC, by: int = HEALTHY, seconds: float = 30.0) -> None:
        """Wait until so many more trades have been published."""
        before = len(self.ids(symbol))
        wait_for(lambda: len(self.ids(symbol)) >= before + by, seconds)


@pytest.fixture
def place(tmp_path, redis_server):
    """An installation on a cell of its own."""
    made = Venue(tmp_path, redis_server.url)
    made.extra = {"NJORD__REDIS__CELL": f"t{uuid.uuid4().hex[:8]}"}
    yield made
    made.close()


def is_the_truth(place, symbol=BTC):
    """The journal is the venue's trades from the first published one on, and nothing says otherwise."""
    ids, truth = place.ids(symbol), place.truth(symbol)
    assert ids
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    for trade in place.journal(symbol):
        shown = [trade["price"], trade["qty"], trade["side"], trade["ts"]]
        assert shown == truth[int(trade["trade_id"])]
    assert place.lines(f"md.gaps.{symbol.replace('/', '')}") == []
    clock_is_kept(place, symbol)
    book_joins(place, symbol)


def clock_is_kept(place, symbol):
    """No trade was published behind a watermark that had passed it."""
    name = symbol.replace("/", "")
    lines = [json.loads(line) for kind in ("md.trades", "clock.market") for line in place.lines(f"{kind}.{name}")]
    reached = 0
    for line in sorted(lines, key=lambda line: line["_seq"]):
        if "market_ns" in line:
            assert line["market_ns"] > reached
            reached = line["market_ns"]
        else:
            assert line["ts"] >= reached


def book_joins(place, symbol):
    """Every delta continues what was published before it."""
    books = [json.loads(line) for line in place.lines(f"md.book.{symbol.replace('/', '')}")]
    assert books[0]["kind"] == "snapshot"
    for before, book in pairwise(books):
        if book["kind"] == "delta":
            assert book["first_update_id"] <= before["last_update_id"] + 1 <= book["last_update_id"]


FAULTS = {
    "disconnect": {"kind": "disconnect", "where": "btcusdt@trade", "times": 3, "after": 20},
    "closed in order": {"kind": "disconnect", "where": "btcusdt@trade", "code": 1001},
    "mute": {"kind": "mute", "where": "btcusdt@trade"},
    "hang": {"kind": "hang", "where": "btcusdt@trade"},
    "drop 40": {"kind": "drop", "where": "btcusdt@trade", "times": 40},
    "double": {"kind": "double", "where": "btcusdt@trade", "times": 40},
    "swap": {"kind": "swap", "where": "btcusdt@trade", "times": 20, "probability": 0.5},
    "swap all": {"kind": "swap", "where": "btcusdt@*", "times": 60, "probability": 0.3},
    "depth gap": {"kind": "drop", "where": "btcusdt@depth*", "times": 3},
    "burst": {"kind": "hold", "where": "btcusdt@*", "seconds": 1.5},
    "garbage": {"kind": "garbage", "where": "btcusdt@*", "times": 10, "form": "truncated"},
    "nulls": {"kind": "garbage", "where": "btcusdt@trade", "times": 5, "form": "null"},
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", FAULTS)
def test_what_a_stream_does_costs_no_trade(place, name, client):
    """Cut off, mute, hung, dropped, doubled, reordered, held back, garbled: the journal is the venue's tape."""
    place.exchange()
    ingest = place.ingest(client)
    wait_for(place.live(ME))
    place.grows()
    place.ask("/sim/fault", [FAULTS[name]])
    wait_for(lambda: len(place.ask("/sim/state")["faults"]["happened"]) > 0)
    place.grows(by=2 * HEALTHY)
    assert place.stop(ingest) == [0]
    is_the_truth(place)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("stream", ["trade", "depth@100ms", "bookTicker"])
def test_a_mute_stream_is_dialed_again_within_seconds(place, stream, client):
    """Its socket answers pings and says nothing; the venue's history, or the book, shows that it should have."""
    place.exchange()
    place.ingest(client)
    wait_for(place.live(ME))
    place.grows()
    place.ask("/sim/fault", [{"kind": "mute", "where": f"btcusdt@{stream}"}])
    wait_for(lambda: len(place.ask("/sim/state")["faults"]["happened"]) > 0)
    wait_for(lambda: place.counts()["reconnects"] == 1, 5.0)


REFUSALS = {
    "429": {"kind": "status", "status": 429, "code": -1003, "retry_after_s": 3},
    "418": {"kind": "status", "status": 418, "code": -1003, "retry_after_s": 3},
    "503": {"kind": "status", "status": 503, "times": 4},
    "502 of a proxy": {"kind": "status", "status": 502, "times": 2},
    "cut off": {"kind": "disconnect", "times": 3},
    "hang": {"kind": "hang", "seconds": 4},
    "html": {"kind": "garbage", "form": "html", "times": 3},
    "empty": {"kind": "garbage", "form": "empty", "times": 3},
    "truncated": {"kind": "garbage", "form": "truncated", "times": 3},
    "null": {"kind": "garbage", "form": "null", "times": 3},
    "nan": {"kind": "garbage", "form": "nan", "times": 3},
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", REFUSALS)
def test_what_happens_to_requests_costs_no_trade(place, name, client):
    """Forty trades are dropped, and the requests that should bring them fail for a while."""
    place.exchange()
    ingest = place.ingest(client)
    wait_for(place.live(ME))
    place.grows()
    drop = {"kind": "drop", "where": "btcusdt@trade", "times": 40}
    place.ask("/sim/fault", [{"where": "GET /api/v3/*", **REFUSALS[name]}, drop])
    wait_for(lambda: place.counts().get("troubles", 0) > 0)
    wait_for(lambda: place.counts().get("back_filled", 0) >= 40)
    place.grows()
    assert place.stop(ingest) == [0]
    is_the_truth(place)


NO_KEY = {"kind": "status", "status": 401, "code": -2014, "msg": "API-key format invalid.", "times": 0}


@pytest.mark.parametrize("client", CLIENTS)
def test_without_a_key_the_newest_trades_fill_a_hole(place, client):
    """A venue that gives past trades by id to its customers alone shows everybody the newest thousand."""
    place.exchange()
    ingest = place.ingest(client)
    wait_for(place.live(ME))
    place.grows()
    drop = {"kind": "drop", "where": "btcusdt@trade", "times": 40}
    place.ask("/sim/fault", [{**NO_KEY, "where": "GET /api/v3/historicalTrades"}, drop])
    wait_for(lambda: place.counts().get("back_filled", 0) >= 40)
    assert place.stop(ingest) == [0]
    is_the_truth(place)


@pytest.mark.parametrize("client", CLIENTS)
def test_what_a_venue_will_not_give_is_a_gap(place, client):
    """Forty trades are dropped and no request brings them: one gap of forty, and everything around it is there."""
    place.exchange()
    ingest = place.ingest(client)
    wait_for(place.live(ME))
    place.grows()
    place.ask("/sim/fault", [{**NO_KEY, "where": "GET /api/v3/*rades"}])
    place.ask("/sim/fault", [{"kind": "drop", "where": "btcusdt@trade", "times": 40}])
    wait_for(lambda: place.lines("md.gaps.BTCUSDT") != [])
    place.grows()
    assert place.stop(ingest) == [0]
    gaps = [json.loads(line) for line in place.lines("md.gaps.BTCUSDT")]
    holes = [behind - before - 1 for before, behind in pairwise(place.ids()) if behind != before + 1]
    assert [gap["missing"] for gap in gaps] == holes
    assert sum(holes) == 40
    by_id = {int(trade["trade_id"]): trade for trade in place.journal()}
    first = next(before for before, behind in pairwise(place.ids()) if behind != before + 1)
    assert gaps[0]["after_ns"] == by_id[first]["ts"]
    assert gaps[0]["before_ns"] == by_id[first + holes[0] + 1]["ts"]
    assert place.counts() == {} or place.counts()["gaps"] == len(gaps)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_server_that_goes_away_costs_no_trade(tmp_path, client):
    """Redis is away for two seconds of a running market: nothing is kept in memory, everything is asked for again."""
    server = EmbeddedServer(tmp_path / "redis")
    server.start()
    place = Venue(tmp_path / "home", server.url)
    try:
        place.exchange()
        ingest = place.ingest(client)
        wait_for(place.live(ME))
        place.grows()
        server.stop()
        traded = max(place.truth())
        wait_for(lambda: max(place.truth()) > traded + 100)
        server.start()
        place.grows(by=150)
        assert place.stop(ingest) == [0]
        is_the_truth(place)
    finally:
        place.close()
        server.stop()


@pytest.mark.parametrize("client", CLIENTS)
def test_its_health_says_why_nothing_comes(place, client):
    """Empty while data come; the reason while the venue answers with 503, or is gone; empty again behind that."""
    exchange = place.exchange()
    place.ingest(client)
    wait_for(place.live(ME))
    place.grows()
    assert place.counts()["trouble"] == ""
    down = [{"kind": "status", "where": "GET /api/v3/*", "status": 503, "times": 0}]
    place.ask("/sim/fault", [*down, {"kind": "drop", "where": "btcusdt@*", "times": 0}])
    wait_for(lambda: "503" in place.counts()["trouble"])
    exchange.kill()
    exchange.wait()
    wait_for(lambda: "onnect" in place.counts()["trouble"])
    assert place.counts()["trouble"].isprintable()
    place.exchange()
    place.grows()  # what was missed is asked for before the streams are dialed again
    wait_for(lambda: place.counts()["trouble"] == "")


STATES: dict[str, list[dict[str, Any]]] = {
    "it trades": [],
    "its streams hang": [{"kind": "hang", "where": "btcusdt@*", "times": 0}],
    "nothing is answered": [{"kind": "hang", "where": where, "times": 0} for where in ("btcusdt@*", "GET /api/v3/*")],
    "it cuts off whoever dials": [{"kind": "disconnect", "where": "btcusdt@*", "times": 0}],
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("state", STATES)
def test_it_leaves_without_a_word(place, state, client):
    """SIGTERM, whatever the venue does: in time, and no client complains of what was not let go of."""
    place.exchange()
    ingest = place.ingest(client)
    wait_for(place.live(ME))
    place.grows()
    if STATES[state]:
        place.ask("/sim/fault", STATES[state])
        wait_for(lambda: len(place.ask("/sim/state")["faults"]["happened"]) > 2)
    assert place.stop(ingest) == [0]
    assert [(place.folder / f"{ingest.args}.{end}").read_text() for end in ("out", "err")] == ["", ""]


@pytest.mark.parametrize("client", CLIENTS)
def test_it_leaves_a_venue_that_has_died_without_a_word(place, client):
    """SIGTERM while the exchange, killed before, is dialed in vain."""
    exchange = place.exchange()
    ingest = place.ingest(client)
    wait_for(place.live(ME))
    exchange.kill()
    wait_for(lambda: place.counts()["reconnects"] >= 2)
    assert place.stop(ingest) == [0]
    assert [(place.folder / f"{ingest.args}.{end}").read_text() for end in ("out", "err")] == ["", ""]


LIGHT = {"lean": 60, "ccxt": 140}


@pytest.mark.parametrize("client", CLIENTS)
def test_it_stays_light(place, client):
    """Megabytes (10^6 bytes) of a process that has heard some hundred trades."""
    place.exchange()
    ingest = place.ingest(client)
    wait_for(place.live(ME))
    place.grows(by=300)
    status = Path(f"/proc/{ingest.pid}/status")
    if not status.exists():
        pytest.skip("this system does not say in /proc what a process uses")
    kilobytes = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    assert kilobytes * 1024 / 1e6 <= LIGHT[client]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_ban_is_kept(place, client):
    """Behind a 429 with Retry-After 3 the venue hears nothing for three seconds."""
    place.exchange()
    place.ingest(client)
    wait_for(place.live(ME))
    place.grows()
    ban = {"kind": "status", "where": "GET /api/v3/*", "status": 429, "code": -1003, "retry_after_s": 3}
    place.ask("/sim/fault", [ban, {"kind": "mute", "where": "btcusdt@trade"}])
    wait_for(lambda: place.counts().get("troubles", 0) > 0)
    said = sum(place.ask("/sim/state")["requests"].values())
    begun = time.monotonic()
    wait_for(lambda: sum(place.ask("/sim/state")["requests"].values()) > said)
    assert time.monotonic() - begun > 2.0


@pytest.mark.parametrize("client", CLIENTS)
def test_killed_in_mid_stream_it_goes_on_behind_what_was_published(place, client):
    """kill -9 of md_ingest, three times: what happened meanwhile is asked for."""
    place.exchange()
    for _ in range(3):
        process = place.ingest(client)
        wait_for(place.live(ME))
        place.grows()
        process.send_signal(signal.SIGKILL)
        process.wait()
    ingest = place.ingest(client)
    place.grows()
    assert place.stop(ingest) == [0]
    is_the_truth(place)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_venue_that_goes_away_and_comes_back_is_followed(place, client):
    """kill -9 of the exchange: what it traded while nobody was connected is asked for."""
    exchange = place.exchange()
    ingest = place.ingest(client)
    wait_for(place.live(ME))
    for _ in range(2):
        place.grows()
        exchange.send_signal(signal.SIGKILL)
        exchange.wait()
        exchange = place.exchange()
    place.grows()
    assert place.counts()["reconnects"] >= 2
    assert place.stop(ingest) == [0]
    is_the_truth(place)


@pytest.mark.parametrize("client", CLIENTS)
def test_several_symbols_share_a_process(place, client):
    """Two symbols, one process: each is an instance of its own, with its own journal, health and counts."""
    atom, other = "ATOM/USDT", "md_ingest.ATOMUSDT"
    place.exchange(BTC, atom)
    process = place.ingest(client, BTC, atom)
    wait_for(place.live(ME, other))
    assert place.note(ME)["pid"] == place.note(other)["pid"] == process.pid
    assert place.note(ME)["health"] != place.note(other)["health"]
    place.grows(BTC)
    place.grows(atom)
    assert place.stop(process) == [0]
    is_the_truth(place, BTC)
    is_the_truth(place, atom)


def test_a_quiet_market_has_a_clock(place):
    """Nothing is traded for some seconds on an exchange that has ended its tape, and the market's time goes on."""
    place.exchange()
    ingest = place.ingest("lean")
    wait_for(place.live(ME))
    place.grows()
    place.ask("/sim/fault", [{"kind": "drop", "where": "btcusdt@*", "times": 0}])  # nothing is heard any more
    before = len(place.lines("clock.market.BTCUSDT"))
    wait_for(lambda: len(place.lines("clock.market.BTCUSDT")) > before + 4)
    assert place.stop(ingest) == [0]
    is_the_truth(place)


def test_another_market_is_refused_instead_of_not_heard(place):
    """The venue's newest trade lies before those that were published: the reason is said, and the exit code is 2."""
    exchange = place.exchange(speed="100")
    ingest = place.ingest("lean")
    wait_for(lambda: len(place.lines("clock.market.BTCUSDT")) > 70)
    place.stop(ingest, exchange)
    place.began = time.time_ns()  # the market begins anew
    place.exchange()
    process = place.ingest("lean")
    assert process.wait(20) == 2
    assert "they are another venue's" in place.stderr(process).splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--symbol", BTC, "--venue", "binancuss"), "did you mean 'binanceus'"),
        (("--symbol", BTC, "--venue", "kraken", "--feed", "lean"), "--feed is 'lean'"),
        (("--symbol", "DOGE/USDT", "--venue", "binanceus"), "--symbol is 'DOGE/USDT'"),
        (("--symbol", BTC, "--venue", "binanceus", "--endpoint", "localhost"), "--endpoint is 'localhost'"),
        (("--symbol", BTC, "--synthetic", "--feed", "lean"), "--feed is 'lean'"),
        (("--symbol", BTC, "--symbol", "ATOM/USDT", "--synthetic"), "one per process"),
    ],
)
def test_a_wrong_command_line_is_explained(place, options, words):
    """The last line on standard error says what was wrong, and the exit code is 2."""
    process = place.start("md_ingest", *options)
    assert process.wait(20) == 2
    assert words in place.stderr(process).splitlines()[-1]


def test_a_symbol_that_the_venue_does_not_trade_is_refused(place):
    """The venue says so, and the exit code is 2."""
    place.exchange("ATOM/USDT")
    for client in CLIENTS:
        process = place.ingest(client, BTC)
        assert process.wait(20) == 2
        assert "allowed: a" in place.stderr(process).splitlines()[-1]


def test_without_a_live_feed_neither_client_is_loaded(place):
    """One of them weighs more than everything else in this process."""
    code = "import sys, apps.md_ingest.main; print({'ccxt', 'aiohttp'} & set(sys.modules))"
    assert place.run("-c", code).stdout.strip() == "set()"
