"""A replay and the services that hear it, as real processes with the shipped configuration."""

from __future__ import annotations

import json
import random
import urllib.request
import uuid
from collections.abc import Iterator
from functools import partial

import pytest

from backtest import parity
from core import codec
from core.contracts import OHLCVBar
from core.contracts.moments import iso, moment
from tests.installation import Installation, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.redis]

BTC, ETH = "BTC/USDT", "ETH/USDT"
START = moment("2025-09-01")
MINUTE = 60_000_000_000
DIARY = """\
strategies:
  - id: diary
    class: tests.strategy_probes.BarDiary
    symbols: [BTC/USDT, ETH/USDT]
    events: ["md.ohlcv.*"]
"""
"""At every bar it asks for as many units as it has heard bars."""
SERVICES = ("strategy_runner", "risk_engine", "paper_trader", "portfolio_manager")


class Stage(Installation):
    """An installation with a home of recorded data, and replays into cells of their own."""

    def replay(self, *arguments: str, cell: str = "", wait: bool = True):
        place = ("--cell", self.cell(cell)) if cell else ()
        process = self.start("replay_engine", *place, *arguments)
        if wait:
            assert process.wait(60) == 0, self.stderr(process)
        return process

    def cell(self, name: str) -> str:
        return f"{self.extra['NJORD__REDIS__CELL']}-{name}"

    def services(self, cell: str, *names: str):
        """Start services of a cell and wait until they are live."""
        env = {"REPLAY_CELL": self.cell(cell), "NJORD__REDIS__CELL": self.cell(cell)}
        made = [self.start(name, "--profile", "replay", env=env) for name in names]
        notes = self.folder / "var" / "run" / self.cell(cell)
        wait_for(lambda: all(self.state_of(notes / f"{name}.main.json") == "live" for name in names))
        return made

    def state_of(self, note) -> str:
        try:
            url = json.loads(note.read_text())["health"]
        except (OSError, ValueError):
            return ""
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(json.load(answer)["state"])
        except OSError:
            return ""

    def journal(self, cell: str, name: str) -> list[bytes]:
        """Whole lines of a journal of a cell."""
        path = self.folder / "var" / "log" / "njord" / self.cell(cell) / f"{name}.ndjson"
        return path.read_bytes().split(b"\n")[:-1] if path.exists() else []

    def has_published(self, cell: str, count: int) -> bool:
        return len(self.sequence(cell)) > count

    def sequence(self, cell: str) -> list[tuple[str, bytes]]:
        """What a replay has published into a cell, in its order: journal and body."""
        folder = self.folder / "var" / "log" / "njord" / self.cell(cell)
        found = [
            (codec.seq_of(line), path.name, codec.body_of(line))
            for pattern in ("ohlcv.*", "md.*", "clock.*")
            for path in folder.glob(pattern)
            for line in path.read_bytes().splitlines()
            if codec.header_of(line).src.startswith("replay_engine.")
        ]
        return [row[1:] for row in sorted(found)]


@pytest.fixture
def stage(tmp_path, redis_server) -> Iterator[Stage]:
    made = Stage(tmp_path, redis_server.url)
    made.extra = {"NJORD__REDIS__CELL": f"t{uuid.uuid4().hex[:8]}"}
    (tmp_path / "config" / "portfolio.yaml").unlink()  # it gives the shipped strategies their capital
    (tmp_path / "config" / "strategies.yaml").write_text(DIARY)
    for symbol, price in ((BTC, 60_000.0), (ETH, 2_500.0)):
        folder = tmp_path / "var" / "history" / "walk"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"ohlcv.1m.{symbol.replace('/', '')}.20250901.ndjson"
        (folder / name).write_bytes(b"".join(codec.encode(bar) + b"\n" for bar in walk(symbol, price)))
    yield made
    made.close()


def walk(symbol: str, price: float, count: int = 600) -> Iterator[OHLCVBar]:
    """Ten hours of minutes, the same in every run."""
    rng = random.Random(symbol)
    for at in range(count):
        close = round(price * (1 + rng.gauss(0, 0.001)), 2)
        ts = START + at * MINUTE
        yield OHLCVBar(symbol, "1m", ts, ts + MINUTE, price, max(price, close), min(price, close), close, 1.5)
        price = close


RANGE = ("--start", "2025-09-01", "--end", "2025-09-01")
BOTH = ("--symbol", BTC, "--symbol", ETH, *RANGE)


def without_ids(lines: list[bytes]) -> list[dict[str, object]]:
    """Events without what hangs on the place of their cause in the order."""
    return [
        {key: value for key, value in codec.payload_of(line).items() if not key.endswith("_id") or key == "strategy_id"}
        for line in lines
    ]


def test_two_runs_give_services_the_same_and_can_be_executed_again(stage):
    """Two symbols, bars, at full speed: one sequence, the same intents, and parity of both sessions is 0."""
    intents: list[list[dict[str, object]]] = []
    for cell in ("one", "two"):
        running = stage.services(cell, *SERVICES)
        stage.replay(*BOTH, "--speed", "max", cell=cell)
        assert stage.stop(*running) == [0, 0, 0, 0]
        intents.append(without_ids(stage.journal(cell, "strat.intent")))
    assert len(intents[0]) == 1200  # two symbols of 600 bars
    assert [one["qty"] for one in intents[0][:4]] == ["1", "2", "3", "4"]
    assert intents[0] == intents[1]
    assert stage.sequence("one") == stage.sequence("two")
    bodies = [body for name, body in stage.sequence("one") if name == "ohlcv.1m.ETHUSDT.ndjson"]
    assert bodies == [codec.encode(bar) for bar in walk(ETH, 2_500.0)]
    for cell in ("one", "two"):
        report = parity.check([stage.folder / "var" / "log" / "njord" / stage.cell(cell)])
        assert (report.data, report.differences) == ([], 0)
        assert report.compared > len(intents[0])
    summary = (stage.folder / f"{stage.processes[4].args!s}.out").read_text()
    assert "md.ohlcv.1m.BTC/USDT" in summary
    assert "2,400 lines" in summary  # two symbols of 600 bars, each with its watermark


def test_killed_in_the_middle_it_goes_on_behind_what_it_published(stage):
    """kill -9 three times: the sequence is that of a run that nobody disturbed."""
    for at in (1, 2, 3):
        before = len(stage.sequence("killed"))
        process = stage.replay(*BOTH, "--speed", "6000x", cell="killed", wait=False)
        wait_for(partial(stage.has_published, "killed", before + 200 * at))
        process.kill()
        process.wait()
    assert len(stage.sequence("killed")) < 2400
    last = stage.replay(*BOTH, "--speed", "max", cell="killed")
    stage.replay(*BOTH, "--speed", "max", cell="whole")
    assert stage.sequence("killed") == stage.sequence("whole")
    assert len(stage.sequence("killed")) == 2400
    assert "had been published before" in (stage.folder / f"{last.args!s}.out").read_text()


def test_a_replay_keeps_away_from_a_live_session(stage):
    """While an ingest runs and after it has run: exit 1, who it is, and where else to go; there it works."""
    ingest = stage.start("md_ingest", "--symbol", BTC, "--synthetic", "--speed", "max")
    wait_for(lambda: len(stage.lines("md.trades.BTCUSDT")) > 10)
    busy = stage.start("replay_engine", *BOTH)
    assert busy.wait(20) == 1
    assert "md_ingest.BTCUSDT is already running here" in stage.stderr(busy)
    elsewhere = {"NJORD__PATHS__RUN_DIR": str(stage.folder / "other")}  # as on another host: no file lock says so
    far = stage.start("replay_engine", *BOTH, "--host", "h2", env=elsewhere)
    assert far.wait(20) == 1
    assert "md_ingest.BTCUSDT publishes live data there" in stage.stderr(far)
    assert stage.stop(ingest) == [0]
    later = stage.start("replay_engine", *BOTH)
    assert later.wait(20) == 1
    for part in ("CellInUse", "md_ingest.BTCUSDT has published live data there", "--cell NAME"):
        assert part in stage.stderr(later)
    assert not stage.lines("ohlcv.1m.BTCUSDT")
    stage.replay(*BOTH, "--speed", "max", cell="aside")
    assert len(stage.sequence("aside")) == 2400


def test_no_ingest_and_no_aggregator_joins_a_replay(stage):
    """Each is refused with the replay's process number as long as that runs; told to stop, it leaves with 0."""
    replay = stage.replay(*BOTH, "--speed", "1x", wait=False)
    wait_for(stage.live("replay_engine.main"))
    for late in (("md_ingest", "--symbol", "ATOM/USDT", "--synthetic"), ("ohlcv_aggregator",)):
        refused = stage.start(*late)
        assert refused.wait(20) == 1
        assert f"already running here as process {replay.pid}" in stage.stderr(refused)
    assert stage.stop(replay) == [0]
    assert "the same command goes on" in (stage.folder / f"{replay.args!s}.out").read_text()


def test_a_recorded_session_is_replayed_beside_it_and_makes_the_same_bars(stage):
    """Trades, book and best prices out of a session's own journals: the same bytes, and from them the same bars."""
    bars = stage.start("ohlcv_aggregator")
    wait_for(stage.live("ohlcv_aggregator.main"))
    ingest = stage.start("md_ingest", "--symbol", BTC, "--synthetic", "--speed", "max")
    wait_for(lambda: len(stage.lines("ohlcv.1m.BTCUSDT")) > 5, 60)
    assert stage.stop(ingest, bars) == [0, 0]
    first = codec.payload_of(stage.lines("md.trades.BTCUSDT")[0])["ts"]
    day = first - first % (1440 * MINUTE)
    span = ("--start", iso(day), "--end", iso(day + 1440 * MINUTE))
    aggregator = stage.services("again", "ohlcv_aggregator")
    stage.replay("--symbol", BTC, *span, "--topics", "trades,book,ticker", "--speed", "max", cell="again")
    assert stage.stop(*aggregator) == [0]
    for name in ("md.trades.BTCUSDT", "md.book.BTCUSDT", "md.ticker.BTCUSDT"):
        recorded = [codec.body_of(line) for line in stage.lines(name)]
        assert [codec.body_of(line) for line in stage.journal("again", name)] == recorded
        assert recorded
    recorded = [codec.body_of(line) for line in stage.lines("ohlcv.1m.BTCUSDT")]
    again = [codec.body_of(line) for line in stage.journal("again", "ohlcv.1m.BTCUSDT")]
    assert again[: len(recorded)] == recorded
    report = parity.check([stage.folder / "var" / "log" / "njord" / stage.cell("again")])
    assert (report.data, report.differences) == ([], 0)
