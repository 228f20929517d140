"""njord_restore with the real processes: the server has lost its history, and afterwards everything goes on."""

from __future__ import annotations

import json
import shutil

import pytest

from backtest import parity
from core.embedded import EmbeddedServer
from tests.installation import SERVICES, Installation, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.redis]

ALL = tuple(f"{service}.main" for service in SERVICES)
INGEST = ("md_ingest", "--symbol", "BTC/USDT", "--synthetic", "--speed", "100")


@pytest.fixture
def place(tmp_path):
    server = EmbeddedServer(tmp_path / "redis")
    server.start()
    made = Installation(tmp_path / "home", server.url)
    made.extra = {"NJORD__STRATEGIES__SMA_CROSS_V1__PARAMS": '{"fast": 5, "slow": 15, "qty": 0.001}'}
    yield made, server
    made.close()
    server.stop()


def run_all(place):
    for service in SERVICES:
        place.start(service)
    wait_for(place.live(*ALL))
    place.start(*INGEST)


def trades(place):
    return len(place.lines("md.trades.BTCUSDT"))


def restore(place, *arguments):
    return place.run("scripts/njord_restore.py", "--config-root", str(place.folder), *arguments)


def status(place):
    return json.loads(place.run("scripts/njord_cell.py", "--config-root", str(place.folder), "status").stdout)


def in_order(place, trades_before):
    """Parity of the whole session, and every trade once and in order."""
    ids = [json.loads(line)["trade_id"] for line in place.lines("md.trades.BTCUSDT")]
    assert len(ids) > trades_before
    assert ids == sorted(set(ids), key=int)
    assert int(ids[-1]) - int(ids[0]) + 1 == len(ids)
    report = parity.check([place.journals])
    assert report.ok, parity.describe(report)
    assert report.outputs["fills.new"] >= 1


def test_a_whole_cell_is_left_alone(place):
    """Restoring what is not broken needs --force; --dry-run only tells."""
    home, _ = place
    process = home.start("risk_engine")
    wait_for(lambda: home.lines("control.state.risk_engine.main") != [])
    assert home.stop(process) == [0]
    refused = restore(home)
    assert (refused.returncode, "--force" in refused.stderr) == (1, True)
    told = restore(home, "--dry-run", "--json")
    assert (told.returncode, json.loads(told.stdout)["epoch"]) == (0, 1)
    forced = restore(home, "--force", "--json")
    assert (forced.returncode, json.loads(forced.stdout)["epoch"]) == (0, 2)
    assert json.loads(forced.stdout)["lines_cut"] == 0
    process = home.start("risk_engine")
    wait_for(home.live("risk_engine.main"))
    assert home.stop(process) == [0]


def test_an_older_server_stops_everybody_and_is_restored(place, tmp_path):
    """A copy from some seconds ago: every process ends with 1; restored, all of them go on behind the journals."""
    home, server = place
    run_all(home)
    wait_for(lambda: trades(home) > 100)
    copy = tmp_path / "copy"
    shutil.copytree(server.directory, copy)
    before = trades(home)
    wait_for(lambda: trades(home) > before + 300)
    server.kill()
    shutil.rmtree(server.directory)
    shutil.copytree(copy, server.directory)
    server.start()
    codes = [process.wait(20) for process in home.processes]
    assert codes == [1] * (len(SERVICES) + 1)
    assert all("HistoryForked" in home.stderr(process) for process in home.processes)
    assert status(home)["forked"]
    top = trades(home)
    refused = home.start("risk_engine")
    assert refused.wait(20) == 1

    done = restore(home, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["epoch"] == 2
    aside = [line for path in home.journals.glob("*.cut") for line in path.read_bytes().splitlines()]
    assert len(aside) == said["lines_moved_to_side_files"] == said["lines_cut"]  # what only some had journalled yet
    assert all(json.loads(line)["_seq"] > said["restored_to"] for line in aside)
    run_all(home)
    wait_for(lambda: trades(home) > top + 200)
    assert home.stop() == [0] * (len(SERVICES) + 1)
    in_order(home, top)


def test_an_empty_server_is_restored_from_the_journals(place):
    """All data of the server are gone, the journals are there: it goes on, and trades come once and in order."""
    home, server = place
    run_all(home)
    wait_for(lambda: trades(home) > 200 and home.lines("fills.BTCUSDT") != [])
    assert home.stop() == [0] * (len(SERVICES) + 1)
    top = trades(home)
    server.kill()
    shutil.rmtree(server.directory)
    server.start()
    assert home.start("paper_trader").wait(20) == 1
    done = restore(home, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["epoch"], said["lines_cut"], said["restored_to"]) == (1, 0, said["journals_reached"])
    run_all(home)
    wait_for(lambda: trades(home) > top + 200)
    assert home.stop() == [0] * (len(SERVICES) + 1)
    in_order(home, top)


def test_a_process_that_was_forgotten_cannot_publish_into_the_restored_cell(place):
    """The epoch is raised under a running service: it ends, and says that it must be started again."""
    home, _ = place
    process = home.start("risk_engine")
    wait_for(lambda: home.lines("control.state.risk_engine.main") != [])
    assert restore(home, "--force").returncode == 0
    assert process.wait(20) == 1
    assert any(name in home.stderr(process) for name in ("EpochChanged", "LeaseLost", "HistoryForked"))
    again = home.start("risk_engine")
    wait_for(home.live("risk_engine.main"))
    assert home.stop(again) == [0]
