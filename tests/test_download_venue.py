"""The download command against the simulated exchange as a process, with everything that goes wrong on the way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backtest.data.columns import BarColumns
from backtest.data.main import main
from backtest.data.store import Dataset
from core.contracts.moments import period
from core.journal_reader import JournalReader
from tests.installation import ROOT, Installation, wait_for
from tests.sim_market import DATA

pytestmark = [pytest.mark.processes, pytest.mark.venue]

SYMBOL = "ETH/USDT"
RECORDED = DATA / "ohlcv" / "spot_1m"
KLINES = "GET /api/v3/klines"


class Venue:
    """A running simulated exchange that serves the recorded minutes of March and April 2023."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> Any:
        """The JSON of an answer."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def fault(self, **rule: Any) -> None:
        """Something that is to go wrong."""
        body = json.dumps({"where": KLINES, **rule}).encode()
        urllib.request.urlopen(urllib.request.Request(self.url + "/sim/fault", body), timeout=10).close()

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        urllib.request.urlopen(urllib.request.Request(self.url + "/sim/fault", method="DELETE"), timeout=10).close()

    @property
    def pages(self) -> int:
        """How often bars were asked for."""
        return int(self.get("/sim/state")["requests"].get("klines", 0))

    def trades(self, until_ns: int) -> list[list[Any]]:
        """The truth: every trade before a moment, as id, price, quantity, side and time."""
        found: list[list[Any]] = []
        while not found or found[-1][4] < until_ns:
            first = found[-1][0] + 1 if found else 0
            found += self.get(f"/sim/trades?symbol=ETHUSDT&fromId={first}")["trades"]
        return [row for row in found if row[4] < until_ns]

    @property
    def happened(self) -> list[dict[str, Any]]:
        """What has gone wrong so far."""
        found: list[dict[str, Any]] = self.get("/sim/state")["faults"]["happened"]
        return found


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Venue]:
    """One for all tests."""
    if not RECORDED.is_dir():
        pytest.skip("recorded market data (../shared/data) is not on this machine")
    installed = Installation(tmp_path_factory.mktemp("venue"), "redis://127.0.0.1:1/0")
    options = ("--synthetic", "--speed", "120", "--symbol", SYMBOL, "--history", str(RECORDED), "--port", "0")
    process = installed.start("sim_exchange", *options)
    try:
        wait_for(lambda: process.poll() is not None or installed.health("sim_exchange.main")[0] == 200)
        assert process.poll() is None, installed.stderr(process)
        yield Venue(installed.note("sim_exchange.main")["url"])
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def venue(running) -> Iterator[Venue]:
    """It, without what another test has made go wrong."""
    running.mend()
    yield running
    running.mend()


class Desk:
    """Somebody who downloads."""

    def __init__(self, folder: Path, venue: Venue, capsys: pytest.CaptureFixture[str]) -> None:
        self.venue, self._capsys = venue, capsys
        self.installed = Installation(folder, "redis://127.0.0.1:1/0")
        self.dataset = Dataset(folder / "var" / "history" / "binanceus")
        self.said = ""

    def arguments(self, *more: str) -> list[str]:
        """A command line for the symbol at the venue."""
        place = ["--endpoint", self.venue.url, "--config-root", str(self.installed.folder)]
        return ["download", "--symbol", SYMBOL, *place, *more]

    def run(self, *arguments: str) -> int:
        """The exit code of a command; what it said is kept."""
        code = main(arguments)
        told = self._capsys.readouterr()
        self.said = told.err
        self.out = told.out
        return code

    def download(self, start: str, end: str, *more: str) -> dict[str, Any]:
        """What one download of bars says of itself."""
        assert self.run(*self.arguments("--start", start, "--end", end, "--json", *more)) == 0, self.said
        (outcome,) = json.loads(self.out)
        assert isinstance(outcome, dict)
        return outcome

    def has_all(self, start: str, end: str) -> bool:
        """Whether the bars on the disk are those that were recorded, to the last bit."""
        span = period(start, end)
        truth = BarColumns.from_bars(SYMBOL, "1m", JournalReader(RECORDED).read_bars(SYMBOL, "1m", *span))
        return len(truth) > 0 and self.dataset.bars(SYMBOL, "1m", *span).equals(replace(truth, currency="USDT"))


@pytest.fixture
def desk(tmp_path, venue, capsys) -> Desk:
    """With an empty history."""
    return Desk(tmp_path, venue, capsys)


def test_whatever_goes_wrong_the_history_is_that_of_the_venue(desk, venue):
    """Limits, a ban, lost connections, silence and garbage of every form: ten days come to the last bit, holes none."""
    venue.fault(kind="status", status=429, code=-1003, msg="Too much", retry_after_s=2, after=1)
    venue.fault(kind="disconnect", after=2)
    venue.fault(kind="status", status=418, code=-1003, msg="Banned", retry_after_s=1, after=4)
    for number, form in enumerate(("html", "empty", "truncated", "null", "nan")):
        venue.fault(kind="garbage", form=form, after=6 + 2 * number)
    venue.fault(kind="status", status=503, after=16)
    venue.fault(kind="hang", after=18)
    begun = len(venue.happened)
    done = desk.download("2023-04-01", "2023-04-10")
    assert (done["new"], done["missing"]) == (14_400, 0)
    assert done["checked"] == 50
    assert desk.has_all("2023-04-01", "2023-04-10")
    happened = venue.happened[begun:]
    kinds = ["status", "disconnect", "status", *["garbage"] * 5, "status", "hang"]
    assert [each["kind"] for each in happened] == kinds
    limited, after_it = happened[:2]
    assert after_it["wall_ns"] - limited["wall_ns"] >= 2_000_000_000  # Retry-After
    assert desk.said == ""  # programs are told nothing but the result


def test_killed_in_the_middle_it_goes_on_where_it_was(desk, venue, tmp_path):
    """Killed at the 16th request, it has kept most of what 15 pages brought, and asks for no more than the rest."""
    venue.fault(kind="hang", after=15)
    span = ("--start", "2023-03-17", "--end", "2023-04-05")
    process = subprocess.Popen(
        [sys.executable, "-m", "backtest.data", *desk.arguments(*span)], cwd=ROOT,
        env=desk.installed.environment(), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    begun = len(venue.happened)
    wait_for(lambda: len(venue.happened) > begun or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    venue.mend()
    asked = venue.pages
    done = desk.download("2023-03-17", "2023-04-05")
    assert done["had"] >= 10_000 - 1440  # it saves so many at a time, cut to whole days
    assert done["had"] + done["new"] + done["missing"] == 20 * 1440
    assert venue.pages - asked <= (20 * 1440 - done["had"]) / 999 + 8  # the rest, and some samples
    assert done["missing"] == done["own"] == 80
    assert desk.has_all("2023-03-17", "2023-04-05")


def test_an_outage_of_the_venue_stays_a_hole(desk, venue):
    """On 2023-03-24 it stood still from 12:40 to 14:00: 80 minutes are named, not filled, and asked for no more."""
    done = desk.download("2023-03-24", "2023-03-24")
    start, end = period("2023-03-24T12:40:00Z", "2023-03-24T14:00:00Z")
    assert (done["new"], done["missing"], done["own"]) == (1360, 80, 80)
    assert done["holes"] == [{"start_ns": start, "end_ns": end, "missing": 80}]
    asked = venue.pages
    assert desk.download("2023-03-24", "2023-03-24")["new"] == 0
    assert venue.pages == asked
    assert desk.download("2023-03-24", "2023-03-24", "--force-reprime")["replaced"] == 0
    assert venue.pages > asked
    assert desk.run(*desk.arguments("--start", "2023-03-24", "--end", "2023-03-24")) == 0
    assert (
        "missing  80 bars, which the venue itself does not have:\n    2023-03-24T12:40:00Z -> 2023-03-24T14" in desk.out
    )
    assert desk.has_all("2023-03-24", "2023-03-24")


def test_longer_bars_are_served_and_downloaded(desk):
    """Of the day of the outage there are 24 hours less one that is wholly missing: the one from 13:00."""
    done = desk.download("2023-03-24", "2023-03-24", "--timeframe", "1h")
    assert (done["new"], done["missing"]) == (23, 1)
    hours = desk.dataset.bars(SYMBOL, "1h")
    minutes = list(JournalReader(RECORDED).read_bars(SYMBOL, "1m", *period("2023-03-24", "2023-03-24")))
    first = minutes[:60]
    assert hours.open[0] == first[0].open
    assert hours.high[0] == max(bar.high for bar in first)
    assert hours.volume[0] == pytest.approx(sum(bar.volume for bar in first), abs=1e-6)


def test_trades_are_those_of_the_venue(desk, venue):
    """Every trade of some minutes by its id, price, quantity, side and time; update goes on with the next one."""
    start, first_end, end = (f"2023-05-01T21:{minute:02d}:00Z" for minute in (2, 4, 6))
    wait_for(lambda: venue.get("/sim/state")["market_ns"] > period(start, end)[1])
    assert desk.run(*desk.arguments("--trades", "--start", start, "--end", first_end)) == 0, desk.said
    assert desk.run(*desk.arguments("--trades", "--start", start, "--end", end)) == 0, desk.said
    low, high = period(start, end)
    expected = [(str(row[0]), *row[1:]) for row in venue.trades(high) if row[4] >= low]
    stored = [
        (each.trade_id, each.price, each.qty, each.side, each.ts) for each in desk.dataset.trades(SYMBOL).trades()
    ]
    assert stored == expected
    assert len(stored) > 100
    assert [each.timeframe for each in desk.dataset.series()] == [""]


def test_update_fetches_what_has_come_since(desk, venue):
    """Nobody names a series again: it goes on from its last bar to the venue's last closed one."""
    assert desk.run("update", "--config-root", str(desk.installed.folder)) == 2
    assert "`download` comes first" in desk.said
    desk.download("2023-05-01T20:30:00Z", "2023-05-01T21:00:00Z")
    asked = venue.pages
    assert desk.run("update", "--json", "--config-root", str(desk.installed.folder)) == 0
    (done,) = json.loads(desk.out)
    assert done["had"] == 30
    assert done["new"] >= 1
    assert done["missing"] == 0
    assert done["end_ns"] <= venue.get("/api/v3/time")["serverTime"] * 1_000_000
    assert venue.pages - asked <= 4


def test_a_dry_run_asks_nobody(desk, venue):
    """It says what it would fetch, writes nothing, and no request reaches the venue."""
    asked = venue.get("/sim/state")["requests"]
    done = desk.download("2023-04-01", "2023-04-02", "--dry-run")
    assert (done["new"], done["requests"], done["planned"]) == (2880, 3, True)
    assert venue.get("/sim/state")["requests"] == asked
    assert not desk.dataset.folder.exists()


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"status": 451, "times": 0, "code": 0}, "serves nobody in the region that this machine is in (HTTP 451)"),
        ({"status": 403, "times": 0}, "does not let this machine in (HTTP 403)"),
        ({"status": 429, "times": 0, "retry_after_s": 90_000}, "wants no request for 90000 s"),
    ],
)
def test_a_venue_that_refuses_is_left_alone(desk, venue, rule, words):
    """A region that is shut out and a ban of a day end it at the first word, with exit code 1."""
    venue.fault(kind="status", **rule)
    asked = venue.pages
    assert desk.run(*desk.arguments("--start", "2023-04-01", "--end", "2023-04-01")) == 1
    assert words in desk.said
    assert venue.pages == asked + 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("--symbol", "ETH/USTD"), "--symbol is 'ETH/USTD'; allowed: a market of binanceus, such as ETH/USDT"),
        (("--timeframe", "7m"), "allowed with --venue binanceus: 1s, 1m, 3m"),
        (("--venue", "binancus"), "did you mean 'binanceus'?"),
        (("--venue", "kraken"), "--endpoint is 'http://127.0.0.1"),
        (("--start", "2093-01-01"), "allowed: before now"),
        (("--start", "yesterday"), "--start is 'yesterday'"),
        (("--endpoint", "localhost"), "allowed: such as http://127.0.0.1:8090"),
    ],
)
def test_what_nobody_has_is_named(desk, change, words):
    """A symbol, timeframe, venue, time or address that is none ends it with exit code 2, and what there is."""
    arguments = desk.arguments("--start", "2023-04-01", *change)
    if change[0] == "--symbol":
        del arguments[1:3]
    assert desk.run(*arguments) == 2
    assert words in desk.said


def test_a_venue_that_is_not_there_is_given_up_soon(desk):
    """Three attempts, a clear word, exit code 1."""
    assert desk.run(*desk.arguments("--start", "2023-04-01", "--endpoint", "http://127.0.0.1:1")) == 1
    assert desk.said.count("again in") == 2
    assert "ETH/USDT 1m: VenueTrouble: binanceus cannot be reached" in desk.said


def test_a_venue_that_fails_is_not_asked_for_the_next_series(desk):
    """Who asks on is banned for longer; the series that were left out are named."""
    arguments = desk.arguments("--start", "2023-04-01", "--trades", "--timeframe", "1m")
    assert desk.run(*arguments, "--endpoint", "http://127.0.0.1:1") == 1
    assert desk.said.count("again in") == 2
    assert "ETH/USDT trades: not asked for, binanceus has failed before" in desk.said
