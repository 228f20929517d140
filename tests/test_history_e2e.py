"""From made-up history to a strategy's intents through the real processes, twice, and proven by parity."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from core import codec
from core.contracts import OHLCVBar, WarmUp, moment
from tests.installation import Installation, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.redis]

BTC = "BTC/USDT"
SITE = """\
strategies:
  sma_cross_v1: {enabled: false}
  trendline_break_v1:
    symbols: ["BTC/USDT"]
    events: ["md.ohlcv.1m.*"]
    params: {lookback_periods: 19, breakout_threshold: 0.002, qty: 0.001}
"""
SOURCES = "sources: [{id: invented, type: datasets, datasets: [synthetic]}]\n"
SERVICES = ("strategy_runner", "risk_engine", "paper_trader", "portfolio_manager")
START, END = "2025-01-02T00:00:00Z", "2025-01-02T04:00:00Z"


@pytest.fixture(scope="module")
def place(tmp_path_factory, redis_server):
    """An installation with two days of made-up minutes in its history."""
    made = Installation(tmp_path_factory.mktemp("history"), redis_server.url)
    (made.folder / "config" / "site.yaml").write_text(SITE)
    (made.folder / "config" / "data_sources.yaml").write_text(SOURCES)
    asked = ["--symbol", BTC, "--timeframe", "1m", "--start", "2025-01-01", "--end", "2025-01-02", "--seed", "7"]
    done = made.run("-m", "backtest.data", "--config-root", str(made.folder), "generate", *asked)
    assert done.returncode == 0, done.stderr
    yield made
    made.close()


@pytest.fixture(scope="module")
def replayed(place):
    """The journals of two replays of the second day's first four hours, each in a cell of its own."""
    return [replay(place, cell) for cell in ("first", "second")]


def replay(place: Installation, cell: str) -> Path:
    """Replay into a cell in which all services run; where their journals are."""
    place.extra = {"REPLAY_CELL": cell}
    for service in SERVICES:
        place.start(service, "--profile", "replay")
    folder = place.folder / "var" / "run" / cell
    wait_for(lambda: all((folder / f"{service}.main.json").exists() for service in SERVICES))
    asked = ["--symbol", BTC, "--timeframe", "1m", "--start", START, "--end", END, "--speed", "max", "--cell", cell]
    done = place.run("-m", "apps.replay_engine", "--config-root", str(place.folder), *asked)
    assert done.returncode == 0, done.stderr
    assert place.stop() == [0] * len(SERVICES)
    return place.journals / cell


def lines(journals: Path, name: str) -> list[bytes]:
    """The whole lines of a journal."""
    return (journals / f"{name}.ndjson").read_bytes().split(b"\n")[:-1]


def minutes(place: Installation, day: str) -> list[bytes]:
    """The lines of a day as they stand in the history."""
    path = place.folder / "var" / "history" / "synthetic" / f"ohlcv.1m.BTCUSDT.{day}.ndjson.gz"
    return gzip.decompress(path.read_bytes()).splitlines()


def test_services_hear_the_bytes_of_history(place, replayed):
    """Four hours are 240 minutes, each line what stands in the dataset behind the sequencer's header."""
    for journals in replayed:
        bodies = [codec.body_of(line) for line in lines(journals, "ohlcv.1m.BTCUSDT")]
        assert bodies == minutes(place, "20250102")[:240]


def test_the_strategy_knew_the_day_before(place, replayed):
    """It wants 20 bars, and those are the last 20 minutes of the first of January."""
    for journals in replayed:
        (line,) = lines(journals, "control.warmup.strategy_runner.main")
        looked_up = codec.decode(line, WarmUp)
        assert [codec.encode(bar) for bar in looked_up.bars] == minutes(place, "20250101")[-20:]
        assert looked_up.bars[-1].ts_close == moment(START)
        first = codec.decode(lines(journals, "ohlcv.1m.BTCUSDT")[0], OHLCVBar)
        assert looked_up.bars[-1].ts_close == first.ts_open


def test_the_same_history_gives_the_same_intents(replayed):
    """This strategy asks nobody back, so it says the same in each run, but for the ids that name a place in the order.

    One that waits for the gate may hear it a bar earlier or later, as it would live.
    """
    first, second = ([codec.body_of(line) for line in lines(each, "strat.intent")] for each in replayed)
    assert first
    assert len(first) == len(second)
    for intent, again in zip(first, second, strict=True):
        assert _without_id(intent) == _without_id(again)
    assert all(len(lines(each, "risk.decisions")) == len(first) for each in replayed)


def _without_id(intent: bytes) -> dict[str, object]:
    return {name: value for name, value in codec.decode_json(intent).items() if name != "intent_id"}


def test_a_replayed_session_can_be_proven_like_any_other(place, replayed):
    """Parity over its journals finds no difference."""
    for cell in ("first", "second"):
        place.extra = {"REPLAY_CELL": cell}
        done = place.run("-m", "backtest.parity", "--config-root", str(place.folder), "--profile", "replay")
        assert done.returncode == 0, done.stdout + done.stderr
    assert len(replayed) == 2
