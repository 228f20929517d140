"""Every command that README.md documents, typed as it stands there, with the configuration that is shipped."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import uuid
from pathlib import Path

import pytest

from core.embedded import free_port
from tests.installation import ROOT, SERVICES, Installation, wait_for
from tests.sim_market import capture

pytestmark = [pytest.mark.processes, pytest.mark.redis]

README = (ROOT / "README.md").read_text()
COMMANDS = sorted(set(re.findall(r"^\| `python (-m [^`]+)`", README, re.MULTILINE)))
"""What stands in the table of commands, without `python`."""
MODULES = sorted({command.split()[1] for command in COMMANDS})
SOURCES = ("run", "md_ingest", "sim_exchange", "replay_engine")
STARTED_BELOW = {f"apps.{app}" for app in (*SOURCES, *SERVICES)}
BTC = "BTC/USDT"
FOLDERS = ("STATE", "JOURNAL", "LOG", "RUN", "ARCHIVE")


@pytest.fixture
def place(tmp_path, redis_server):
    """An installation on a cell of its own."""
    made = Installation(tmp_path, redis_server.url)
    made.extra = {"NJORD__REDIS__CELL": f"t{uuid.uuid4().hex[:8]}"}
    yield made
    made.close()


def make(place, target, *variables):
    """Run a target of the Makefile against the installation, to its end."""
    base = f"CONFIG={place.folder / 'config' / 'base.yaml'}"
    command = ["make", "-o", ".venv/.installed", target, base, *variables]
    return subprocess.run(
        command, cwd=ROOT, env=place.environment(), text=True, capture_output=True, timeout=60, check=False
    )


def test_the_table_names_every_app():
    """Each folder of apps/ has its line, and each daemon of the table is started by a test of this file."""
    apps = {f"apps.{path.parent.name}" for path in (ROOT / "apps").glob("*/__main__.py")}
    documented = {module for module in MODULES if module.startswith("apps.")}
    assert documented == apps == STARTED_BELOW


@pytest.mark.parametrize("module", MODULES)
def test_every_command_explains_itself_and_refuses_what_it_does_not_know(place, module):
    """--help ends with 0; an option that does not exist with 2, named on standard error, without a traceback."""
    shown = place.run("-m", module, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("usage: ")
    wrong = place.run("-m", module, "--nonsense")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Traceback" not in wrong.stderr
    assert "error: " in wrong.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_that_the_table_shows_exist(place, command):
    """Each option behind a command, in its line of the table, is in its --help or in that of its sub-command."""
    _, module, *rest = shlex.split(command)
    line = next(line for line in README.splitlines() if f"`python {command}`" in line)
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", line))
    sub = rest[:1] if rest and not rest[0].startswith("-") else []
    shown = place.run("-m", module, *sub, "--help").stdout
    assert {option for option in options if option not in shown} == set()


def test_all_daemons_by_hand_on_a_simulated_exchange(place):
    """As README says: exchange, services, market data; trades come through, SIGTERM ends each with 0 and in silence."""
    port = str(free_port())
    exchange = place.start("sim_exchange", "--synthetic", "--seed", "7", "--speed", "10", "--port", port)
    wait_for(place.live("sim_exchange.main"))
    services = [place.start(service) for service in SERVICES]
    endpoint = ("--endpoint", f"http://127.0.0.1:{port}")
    feed = place.start("md_ingest", "--symbol", BTC, "--venue", "binanceus", "--feed", "lean", *endpoint)
    wait_for(place.live(*(f"{service}.main" for service in SERVICES), "md_ingest.BTCUSDT"), 40.0)
    wait_for(lambda: len(place.lines("md.trades.BTCUSDT")) > 50)
    wait_for(lambda: len(place.lines("ohlcv.1m.BTCUSDT")) > 0)
    status = make(place, "status")
    assert status.returncode == 0, status.stderr
    assert {*(f"{service}.main" for service in SERVICES), "md_ingest.BTCUSDT"} <= set(
        json.loads(status.stdout)["instances"]
    )
    for process in (feed, *services, exchange):
        assert place.stop(process) == [0]
        assert place.stderr(process) == ("" if process is not exchange else f"sim_exchange: BTCUSDT on {endpoint[1]}\n")
    compared = place.run("-m", "backtest.parity", "--config-root", str(place.folder))
    assert compared.returncode == 0, compared.stdout


@pytest.mark.parametrize("source", ["--synthetic", "--capture"])
def test_the_exchange_starts_with_either_market(place, source):
    """A seeded one and a recorded one; SIGTERM ends it with 0, and it has said nothing but its address."""
    options = (source,) if source == "--synthetic" else (source, str(capture("btcusdt_20240808.gz")))
    process = place.start("sim_exchange", *options, "--symbol", BTC, "--port", "0")
    wait_for(place.live("sim_exchange.main"))
    assert place.stop(process) == [0]
    assert re.fullmatch(r"sim_exchange: BTCUSDT on http://127\.0\.0\.1:\d+\n", place.stderr(process))


def test_the_replay_of_the_table_plays_what_is_there(place):
    """Typed as it stands there, over a day of imported minutes; SIGTERM ends it with 0 and a summary."""
    rows = "".join(f"{1_756_684_800 + 60 * minute},4.5,4.6,4.4,4.5,10\n" for minute in range(1440))  # 2025-09-01
    (place.folder / "atom.csv").write_text("unix,open,high,low,close,volume\n" + rows)
    home = ("--config-root", str(place.folder))
    imported = place.run(
        "-m", "backtest.data", "import", *home, str(place.folder / "atom.csv"), "--symbol", "ATOM/USDT"
    )
    assert imported.returncode == 0, imported.stderr
    (command,) = (each for each in COMMANDS if each.split()[1] == "apps.replay_engine")
    process = place.start("replay_engine", *shlex.split(command)[2:])
    wait_for(lambda: len(place.lines("ohlcv.1m.ATOMUSDT")) >= 2)
    assert place.stop(process) == [0]
    assert "the same command goes on behind these" in (place.folder / f"{process.args!s}.out").read_text()


def test_the_operator_s_targets(place):
    """Check, trip, look, refuse to clear without a reason, clear: make ends with 0 for done and with 2 otherwise."""
    assert make(place, "check-config").stdout.startswith("ok: ")
    assert make(place, "run-kill-trip").returncode == 0
    tripped = make(place, "check-kill")
    assert (tripped.returncode, "TRIPPED" in tripped.stdout) == (2, True)
    refused = make(place, "run-kill-clear")
    assert (refused.returncode, "--reason" in refused.stderr) == (2, True)
    assert make(place, "run-kill-clear", "REASON=it was a drill").returncode == 0
    assert make(place, "check-kill").returncode == 0


@pytest.mark.parametrize("profile", sorted(path.stem for path in (ROOT / "config").glob("*.yaml")))
def test_every_profile_is_shown(place, profile):
    """njord_config shows, hashes and checks each profile that is shipped; into a closed pipe it ends in silence."""
    if profile in {"base", "data_sources", "portfolio", "strategies"}:
        profile = ""
    home = Path("/opt/njord")  # live trading refuses folders that a reboot empties, such as this test's
    folders = {f"NJORD__PATHS__{name}_DIR": str(home / name.lower()) for name in FOLDERS}
    environment = {**folders, "NJORD__RISK__KILL_SWITCH_FILE": str(home / "state" / "halt")}
    options = ("--config-root", str(place.folder), *(("--profile", profile) if profile else ()))
    for command in ("show", "hash", "check"):
        told = place.run("-m", "scripts.njord_config", command, *options, env=environment)
        assert (told.returncode, told.stderr) == (0, ""), told.stdout
    piped = subprocess.run(
        ["sh", "-c", f"{shlex.join(['.venv/bin/python', '-m', 'scripts.njord_config', 'show', *options])} | head -1"],
        cwd=ROOT, env=place.environment(environment), text=True, capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert (piped.stdout.count("\n"), piped.stderr) == (1, "")


def test_make_run_shows_trades_and_ends_with_a_summary(place):
    """The simulated exchange through ccxt for a few seconds: figures, no trouble, parity."""
    root = ("--config-root", str(place.folder))
    shown = place.run("-m", "apps.run", *root, "--speed", "30", "--for", "8")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert shown.stderr == ""
    assert "run: the time is over" in shown.stdout
    assert int(re.findall(r"published +([\d,]+) trades", shown.stdout)[0].replace(",", "")) > 0
    assert "0 dead letters, 0 restarts" in shown.stdout
    compared = place.run("-m", "backtest.parity", *root, "--profile", "demo")
    assert compared.returncode == 0, compared.stdout
