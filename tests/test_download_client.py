"""Downloads from a venue that does not speak Binance's protocol: ccxt's own client, with its answers made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ccxt
import pytest

from backtest.data.download.bar_sources import Candles, bar_source
from backtest.data.download.client import VenueClient
from backtest.data.download.outcome import Outcome
from backtest.data.download.progress import Lines, Silence, Terminal, progress_for
from backtest.data.download.run import Downloads, Wish
from backtest.data.store import History
from core.adapters.venue import VenueRefused, VenueTrouble
from core.errors import ConfigError
from tests.venue_fakes import MINUTE_NS, START_NS

SYMBOL = "BTC/USD"
START_MS = START_NS // 1_000_000
PAGE = 40
KEPT = 100
"""The venue knows the minutes 0 to 99, and what is open of minute 100."""


class OtherVenue(ccxt.kraken):  # type: ignore[misc]
    """Kraken as ccxt knows it, without a network: a bar and a trade per minute, minute 50 to 59 excepted."""

    def fetch_markets(self, params: Any = None) -> Any:
        """One market."""
        precision = {"price": 0.1, "amount": 0.01}
        return [
            {"id": "XXBTZUSD", "symbol": SYMBOL, "base": "BTC", "quote": "USD", "spot": True, "type": "spot",
             "active": True, "precision": precision, "limits": {}, "info": {}}
        ]  # fmt: skip

    def fetch_currencies(self, params: Any = None) -> Any:
        """None."""
        return {}

    def fetch_time(self, params: Any = None) -> int:
        """Half a minute behind the last whole one."""
        return START_MS + KEPT * 60_000 + 30_000

    def fetch_ohlcv(
        self, symbol: str, timeframe: str = "1m", since: Any = None, limit: Any = None, params: Any = None
    ) -> Any:
        """At most a page, the open bar too."""
        rows = [
            [
                START_MS + each * 60_000,
                10.0 + each,
                12.0 + each,
                9.0 + each,
                11.0 + each,
                None if each % 7 == 0 else 2.0,
            ]
            for each in self._minutes(since, KEPT + 1)
        ]
        return rows[: min(PAGE, limit or PAGE)]

    def fetch_trades(self, symbol: str, since: Any = None, limit: Any = None, params: Any = None) -> Any:
        """At most a page."""
        rows = [
            {
                "id": f"T{each}",
                "timestamp": START_MS + each * 60_000,
                "side": "buy",
                "price": 10.0,
                "amount": 1.0 + each,
            }
            for each in self._minutes(since, KEPT)
        ]
        return rows[:PAGE]

    def _minutes(self, since: int, end: int) -> list[int]:
        return [each for each in range(end) if START_MS + each * 60_000 >= since and not 50 <= each < 60]


@pytest.fixture
def history(tmp_path, monkeypatch) -> History:
    """An empty history, and that venue in the place of kraken."""
    monkeypatch.setattr(ccxt, "kraken", OtherVenue)
    return History(tmp_path)


def wish(timeframe: str, first: int = 0) -> Wish:
    """Everything from a minute on."""
    return Wish("kraken", "kraken", "", SYMBOL, timeframe, START_NS + first * MINUTE_NS)


def test_bars_of_any_venue(history):
    """A hundred minutes less ten that it does not have; the open one is left out, a volume that is not known is 0."""
    done = Downloads(history, Silence()).fetch(wish("1m"))
    assert (done.new, done.missing) == (90, 10)
    bars = history.dataset("kraken").bars(SYMBOL, "1m")
    expected = [each for each in range(KEPT) if not 50 <= each < 60]
    assert ((bars.ts_open - START_NS) // MINUTE_NS).tolist() == expected
    assert bars.open.tolist() == [10.0 + each for each in expected]
    assert bars.volume.tolist() == [0.0 if each % 7 == 0 else 2.0 for each in expected]
    (origin,) = history.dataset("kraken").manifest.origins
    assert (origin.source, origin.rows, origin.format) == ("kraken", 90, "download")
    assert Downloads(history, Silence()).fetch(wish("1m")).new == 0


def test_trades_of_any_venue(history):
    """Ninety trades, each once, although pages overlap."""
    done = Downloads(history, Silence()).fetch(wish("", first=2))
    assert (done.new, done.timeframe) == (88, "")
    trades = history.dataset("kraken").trades(SYMBOL)
    assert trades.trade_id.tolist() == [f"T{each}" for each in range(2, KEPT) if not 50 <= each < 60]


def test_what_is_known_of_a_page_is_used(history):
    """ccxt knows that kraken gives 720 bars at once, and for another venue nothing."""
    client = VenueClient("kraken")
    source = bar_source(client, SYMBOL, "1m")
    assert isinstance(source, Candles)
    assert source.page == 720
    assert client.page_of("NONE/SUCH", "fetchOHLCV") is None


def test_an_answer_that_cannot_be_read_is_asked_for_again():
    """Three times, then it ends with what was wrong; before the venue has said anything, patience is short."""
    told: list[str] = []
    client = VenueClient("kraken", tell=told.append)
    with pytest.raises(VenueTrouble, match="answered with what cannot be read: invalid literal"):
        client.ask(lambda _: "no number", int)
    assert client.requests == 3
    assert len(told) == 2
    assert all("again in" in line for line in told)


@pytest.mark.parametrize(
    ("error", "raised", "words"),
    [
        (ccxt.AuthenticationError("no key"), VenueRefused, "set KRAKEN_API_KEY in the environment"),
        (ccxt.BadSymbol("none such"), VenueRefused, "BadSymbol none such"),
        (ccxt.NotSupported("never"), VenueRefused, "NotSupported never"),
    ],
)
def test_what_will_be_refused_again_is_not_asked_again(error, raised, words):
    """A missing key, a bad symbol and what a venue does not do end it at once."""

    def ask(_: Any) -> Any:
        raise error

    client = VenueClient("kraken")
    with pytest.raises(raised, match=words):
        client.ask(ask, int)
    assert client.requests == 1


def test_a_symbol_that_is_none_is_named_with_its_neighbors(history):
    """As is a timeframe, with those that the venue has and a journal can hold: no weeks."""
    downloads = Downloads(history, Silence())
    with pytest.raises(ConfigError, match="--symbol is 'BTC/USDD'; allowed: a market of kraken, such as BTC/USD"):
        downloads.fetch(Wish("kraken", "kraken", "", "BTC/USDD", "1m", START_NS))
    with pytest.raises(
        ConfigError, match=r"--timeframe is '2m'; allowed with --venue kraken: 1m, 5m, 15m, 30m, 1h, 4h, 1d$"
    ):
        downloads.fetch(wish("2m"))
    assert not Path(history.folder, "kraken").exists()


# -- what people see


def test_lines_tell_how_far_it_is(capsys):
    """Half of ten minutes with 300 rows: fifty percent, and as much time again."""
    lines = Lines(every_s=0)
    lines.begin("BTC/USD 1m", 10 * MINUTE_NS)
    lines.done((START_NS, START_NS + 5 * MINUTE_NS), 300)
    lines.say("why nothing moves")
    said = capsys.readouterr().err
    assert said == "BTC/USD 1m: 50.0%, 300 rows, up to 2024-01-01T00:05:00Z, 0:00 left\nwhy nothing moves\n"


def test_a_bar_is_shown_on_a_terminal(capsys):
    """With the rows and the time that has been reached; nothing at all where a program listens."""
    with Terminal() as shown:
        shown.begin("BTC/USD 1m", 10 * MINUTE_NS)
        shown.done((START_NS, START_NS + 5 * MINUTE_NS), 300)
        shown.say("[why] nothing moves")
    said = capsys.readouterr().err
    assert "[why] nothing moves" in said
    assert "300 rows 2024-01-01T00:05:00Z" in said
    assert isinstance(progress_for(quiet=True), Silence)
    assert type(progress_for(quiet=False)) is Lines  # standard error is no terminal here


def test_a_plan_and_a_result_are_told_apart():
    """One says would, the other says what is there; a hundred holes are not all named."""
    span = (START_NS, START_NS + 60 * MINUTE_NS)
    planned = Outcome(SYMBOL, "1m", "kraken", *span, had=60, planned=True)
    assert planned.text().endswith("60 rows are there\n  nothing to fetch")
    done = Outcome(SYMBOL, "", "kraken", *span, had=5, new=7, missing=2, requests=3)
    assert done.text().splitlines()[2:] == [
        "  there    5 before, 7 new",
        "  missing  2 numbers",
        "  requests 3",
    ]
