"""`make run` as a user meets it: the real command, its real processes, and what is left of them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from apps.run.leftovers import running
from core.config import load_config
from core.contracts import Instrument
from core.embedded import find_server
from core.errors import ConfigError
from core.market.records import DepthRecord, TradeRecord
from core.market.synthetic_market import SyntheticMarket
from tests.home import Home

pytestmark = [pytest.mark.processes, pytest.mark.redis]

SECONDS = 40


@pytest.fixture(autouse=True)
def _needs_a_server():
    """Skip where no server can be started."""
    try:
        find_server()
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A fresh installation."""
    made = Home(tmp_path / "home")
    yield made
    made.close()


def write_capture(path: Path, seconds: int) -> dict[str, int]:
    """Some seconds of the synthetic market as a recorded Binance stream; how many trades, books and tickers it has."""
    instrument = Instrument("BTC/USDT", "0.01", "0.00001")  # type: ignore[arg-type]  # it converts
    market = SyntheticMarket(instrument, 3)
    end_ns = market.start_ns + seconds * 1_000_000_000
    counts = {"trade": 0, "book": 0, "ticker": 0}
    with path.open("w") as file:
        for record in takewhile(lambda each: each.recv_ns < end_ns, market.records()):
            kind, message = message_of(record)
            counts[kind] += 1
            file.write(f"{record.recv_ns} {json.dumps(message)}\n")
    return counts


def message_of(record: object) -> tuple[str, dict[str, object]]:
    """A record as Binance would have sent it."""
    if isinstance(record, TradeRecord):
        data = {"t": record.trade_id, "p": str(record.price), "q": f"{record.qty:.8f}", "T": record.ts_ns // 1_000_000}
        return "trade", {"stream": "btcusdt@trade", "data": {**data, "m": record.side == "sell"}}
    if isinstance(record, DepthRecord):
        levels = {"bids": record.bids, "asks": record.asks}
        if record.kind == "snapshot":
            return "book", {"lastUpdateId": record.last_update_id, **levels}
        ids = {"E": record.ts_ns // 1_000_000, "U": record.first_update_id, "u": record.last_update_id}
        return "book", {"stream": "btcusdt@depth@100ms", "data": {**ids, "b": record.bids, "a": record.asks}}
    best = {"u": record.update_id, "b": record.bid, "B": record.bid_qty, "a": record.ask, "A": record.ask_qty}  # type: ignore[attr-defined]
    return "ticker", {"stream": "btcusdt@bookTicker", "data": best}


def test_a_capture_runs_to_its_end(home: Home, tmp_path: Path):
    """Exit code 0, a summary of what the journals hold, parity, and the next run puts all of it aside."""
    path = tmp_path / "market.txt"
    sent = write_capture(path, SECONDS)
    home.start("--capture", str(path), "--speed", "max")
    assert home.end() == 0, home.said
    assert "run: the capture has ended" in home.said
    assert home.figure(r"published +([\d,]+) trades, ([\d,]+) books, ([\d,]+) tickers") == tuple(sent.values())
    assert sent["trade"] == home.lines("md.trades.BTCUSDT")
    intents, allowed = home.figure(r"intents +([\d,]+): ([\d,]+) allowed, 0 denied")
    assert home.figure(r"orders +([\d,]+), fills ([\d,]+)") == (
        home.lines("orders.accepted"),
        home.lines("fills.BTCUSDT"),
    )
    assert intents == allowed == home.lines("strat.intent") == home.lines("risk.decisions") > 0
    assert home.parity().ok
    assert running(load_config(home.folder, environ={})) == {}

    written = {file.name: file.read_bytes() for file in home.journals.glob("*.ndjson") if file.name != "app.ndjson"}
    audit = home.folder / "var" / "state" / "kill_switch.audit.ndjson"
    audit.write_text("{}\n")
    home.start("--capture", str(path), "--speed", "max")
    assert home.end() == 0, home.said
    (aside,) = (home.folder / "var" / "runs").iterdir()
    assert f"the data of the run before are now in {aside}" in home.said
    assert {file.name: file.read_bytes() for file in (aside / "journals").iterdir()} == written
    assert audit.exists()
    assert home.figure(r"published +([\d,]+) trades, ([\d,]+) books, ([\d,]+) tickers") == tuple(sent.values())


def test_ctrl_c_ends_it_and_the_next_run_goes_on(home: Home):
    """An interrupt ends everything in order with exit code 0; started again it continues the same session."""
    for times in (1, 2):
        process = home.start("--speed", "30")
        before = home.lines("md.trades.BTCUSDT")
        home.until(lambda before=before: home.lines("md.trades.BTCUSDT") > before + 20)  # type: ignore[misc]
        process.send_signal(signal.SIGINT)
        assert home.end() == 0, home.said
        assert "run: stopped" in home.said
        assert ("going on where the last run stopped" in home.said) == (times == 2)
        assert "had to be killed" not in home.said
    assert home.parity().ok
    assert home.lines("control.session.md_ingest.BTCUSDT") == 2
    assert running(load_config(home.folder, environ={})) == {}


def test_what_is_killed_comes_back(home: Home):
    """A daemon and the server killed in the middle are started again, the view says so, and nothing is different."""
    process = home.start("--speed", "30")
    home.until(lambda: home.lines("fills.BTCUSDT") > 0)
    pids = home.note()["pids"]
    assert isinstance(pids, dict)
    os.kill(pids["paper_trader.main"], signal.SIGKILL)
    home.until(lambda: "paper_trader.main was killed (SIGKILL); starting it again" in home.said)
    home.until(lambda: home.lines("control.session.paper_trader.main") == 2)
    os.kill(int(str(home.note()["server_pid"])), signal.SIGKILL)
    home.until(lambda: "Redis was killed; starting it again on its data" in home.said)
    fills = home.lines("fills.BTCUSDT")
    home.until(lambda: home.lines("fills.BTCUSDT") > fills)
    process.send_signal(signal.SIGTERM)
    assert home.end() == 0, home.said
    assert home.figure(r"trouble +(\d+) dead letters, (\d+) restarts") == (0, 2)
    assert home.figure(r"fills ([\d,]+)") == (home.lines("fills.BTCUSDT"),)
    assert home.parity().ok


def test_a_run_that_was_killed_leaves_nothing_in_the_way(home: Home):
    """The next run ends the processes that its predecessor could not end, and goes on with its session."""
    process = home.start("--speed", "30")
    home.until(lambda: home.lines("md.trades.BTCUSDT") > 20)
    process.kill()
    process.wait()
    assert set(running(load_config(home.folder, environ={}))) >= {"md_ingest.BTCUSDT", "risk_engine.main"}
    home.start("--speed", "30", "--for", "0.5")
    assert home.end() == 0, home.said
    assert "ended what a killed run had left: md_ingest.BTCUSDT" in home.said
    assert "going on where the last run stopped" in home.said
    assert home.parity().ok


def test_a_process_that_gives_up_is_named(home: Home):
    """Its last error is shown, everything ends, and the exit code is that of a wrong configuration."""
    strategies = home.folder / "config" / "strategies.yaml"
    strategies.write_text(strategies.read_text().replace("SmaCross", "SmaCruss"))
    home.start()
    assert home.end() == 2
    assert "run: strategy_runner.main has stopped (exit 2): ConfigError: strategies.yaml" in home.said
    assert "SmaCruss" in home.said
    assert running(load_config(home.folder, environ={})) == {}


def test_a_wrong_configuration_starts_nothing(home: Home):
    """File, key and what is allowed are named, with exit code 2, before any process is started."""
    (home.folder / "config" / "demo.yaml").write_text("risk: {per_order_cap: 1}\n")
    home.start()
    assert home.end() == 2
    assert "config/demo.yaml:1: risk.per_order_cap" in home.said
    assert not (home.folder / "var").exists()


def test_a_venue_that_is_none_puts_nothing_aside(home: Home):
    """A wrong name is answered with the right one and exit code 2; what an earlier run has left stays where it is."""
    home.journals.mkdir(parents=True)
    (home.journals / "md.trades.BTCUSDT.ndjson").write_bytes(b"the run before\n")
    home.start("--venue", "binanceuss")
    assert home.end() == 2
    assert home.said.startswith("run: --venue is 'binanceuss'; allowed: ")
    assert home.said.endswith("did you mean 'binanceus'?\n")
    left = [str(path.relative_to(home.folder)) for path in (home.folder / "var").rglob("*") if path.is_file()]
    assert left == ["var/log/njord/md.trades.BTCUSDT.ndjson"]
