"""Every daemon as a real process: how it starts, what it refuses, how it waits, how it ends."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid

import pytest

from core.bus import Bus
from core.embedded import EmbeddedServer, free_port
from tests.installation import ROOT, SERVICES, Installation, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.redis]

SYNTHETIC = ("--symbol", "BTC/USDT", "--synthetic", "--speed", "max")
BTC = "BTC/USDT"


@pytest.fixture
def place(tmp_path, redis_server):
    """An installation on a cell of its own."""
    made = Installation(tmp_path, redis_server.url)
    made.extra = {"NJORD__REDIS__CELL": f"t{uuid.uuid4().hex[:8]}"}  # a number would be read as one
    yield made
    made.close()


@pytest.fixture
def server(tmp_path):
    """A server that a test may stop and start."""
    made = EmbeddedServer(tmp_path / "redis")
    yield made
    made.stop()


@pytest.fixture
def own(tmp_path, server):
    """An installation on that server, which does not run yet."""
    made = Installation(tmp_path / "home", server.url)
    yield made
    made.close()


def ended(place, process):
    """The exit code and the last line of standard error."""
    code = process.wait(20)
    return code, place.stderr(process).splitlines()[-1]


def publish(place, topic, payload):
    asyncio.run(_publish(place, topic, payload))


async def _publish(place, topic, payload):
    bus = Bus(place.url, place.extra.get("NJORD__REDIS__CELL", ""))
    await bus.publish_json(topic, payload)
    await bus.close()


def intent(number=1, **changes):
    wish = {"strategy_id": "s", "symbol": BTC, "side": "buy", "type": "market", "qty": "0.001"}
    return {**wish, "intent_id": f"i-{number}", **changes}


# -- command lines


COMMANDS = (
    *(("-m", f"apps.{name}") for name in ("md_ingest", *SERVICES)),
    ("-m", "backtest.parity"),
    ("scripts/njord_kill.py",),
    ("scripts/njord_restore.py",),
    ("scripts/njord_cell.py",),
    ("-m", "scripts.gen_schemas"),
)


def test_every_command_explains_itself_and_takes_no_abbreviations(place):
    """--help exits with 0; an abbreviated option is refused with 2 and named."""
    for command in COMMANDS:
        shown = place.run(*command, "--help")
        assert (shown.returncode, shown.stderr) == (0, ""), command
        assert "usage: " in shown.stdout
        short = place.run(*command, "--hel")
        assert short.returncode == 2, command
        assert short.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_with_the_shipped_configuration_and_leaves_when_asked(place, service):
    """Live under --config and under --config-root; SIGTERM ends it with 0 and nothing on standard error."""
    process = place.start(service)
    wait_for(place.live(f"{service}.main"))
    assert place.stop(process) == [0]
    assert place.stderr(process) == ""
    assert place.note(f"{service}.main") == {}
    base = str(place.folder / "config" / "base.yaml")
    again = place.start(service)
    again.kill()
    again.wait()
    command = [sys.executable, "-m", f"apps.{service}", "--config", base]
    other = subprocess.Popen(command, cwd=ROOT, env=place.environment(), text=True)
    place.processes.append(other)
    wait_for(place.live(f"{service}.main"))
    assert place.stop(other) == [0]
    assert place.lines(f"control.session.{service}.main")


def test_the_ingest_starts_with_a_synthetic_market(place):
    """It publishes trades into its journal, and leaves in the middle with 0."""
    process = place.start("md_ingest", *SYNTHETIC)
    wait_for(lambda: len(place.lines("md.trades.BTCUSDT")) > 50)
    assert place.stop(process) == [0]
    assert place.stderr(process) == ""


def test_a_base_file_in_any_folder_is_watched_for_changes(place):
    """SIGHUP: the new cap is in force and recorded; a wrong one is refused and the service goes on."""
    elsewhere = (place.folder / "config").rename(place.folder / "settings")
    base = elsewhere / "base.yaml"
    command = [sys.executable, "-m", "apps.risk_engine", "--config", str(base)]
    process = subprocess.Popen(command, cwd=ROOT, env=place.environment(), text=True)
    place.processes.append(process)
    place.folder = elsewhere  # a base file outside of config/ has its own folder for a root
    wait_for(place.live("risk_engine.main"))
    text = base.read_text()
    base.write_text(text.replace("per_order_usd_cap: 250", "per_order_usd_cap: none"))
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: b"config_refused" in (place.journals / "app.ndjson").read_bytes())
    wait_for(lambda: "per_order_usd_cap" in place.health("risk_engine.main")[1]["config_error"])
    base.write_text(text.replace("per_order_usd_cap: 250", "per_order_usd_cap: 111"))
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(place.lines("control.config.risk_engine.main")) == 2)
    told = [json.loads(line)["content"]["risk"] for line in place.lines("control.config.risk_engine.main")]
    assert [risk["per_order_usd_cap"] for risk in told] == ["250", "111"]
    assert place.stop(process) == [0]


# -- what is refused


@pytest.mark.parametrize(
    ("service", "arguments", "environment", "said"),
    [
        ("md_ingest", ("--symbol", "DOGE/USDT", "--synthetic"), {}, ["is 'DOGE/USDT'", "BTC/USDT", "ATOM/USDT"]),
        ("md_ingest", ("--symbol", BTC, "--capture", "/none/x.gz"), {}, ["/none/x.gz", "No such file"]),
        ("md_ingest", ("--symbol", BTC, "--synthetic", "--speed", "0"), {}, ["'0'", "above 0", "max"]),
        ("md_ingest", ("--symbol", BTC), {}, ["--capture", "--synthetic"]),
        ("risk_engine", (), {"NJORD__RISK__PER_ORDER_USD_CAP": "-1"}, ["risk.per_order_usd_cap is -1", "above 0"]),
        ("risk_engine", (), {"NJORD__RISK__PER_ORDR_USD_CAP": "1"}, ["unknown key", "per_order_usd_cap"]),
        ("risk_engine", (), {"REDIS_URL": "http://:s3cret@x"}, ["redis.url", "rediss"]),
        ("strategy_runner", (), {"NJORD__STRATEGIES__NONE__ENABLED": "true"}, ["strategies.none", "no such strategy"]),
        ("paper_trader", ("--profile", "dmo"), {}, ["'dmo'", "demo"]),
        ("portfolio_manager", ("--config", "/none/base.yaml"), {}, ["not allowed with argument"]),
    ],
)  # fmt: skip
def test_wrong_settings_end_with_2_and_say_what_is_allowed(place, service, arguments, environment, said):
    """The last line on standard error names key, value and what is allowed; no password."""
    process = place.start(service, *arguments, env=environment)
    code, last = ended(place, process)
    assert code == 2
    for part in said:
        assert part in last
    assert "s3cret" not in place.stderr(process)


def test_a_wrong_file_is_named_with_file_and_line(place):
    """A typing mistake in base.yaml: file, line, key, value, allowed."""
    base = place.folder / "config" / "base.yaml"
    base.write_text(base.read_text().replace("orders_per_min_cap: 30", "orders_per_min_cap: many"))
    line = next(number for number, text in enumerate(base.read_text().splitlines(), 1) if "many" in text)
    code, last = ended(place, place.start("risk_engine"))
    assert code == 2
    for part in (f"base.yaml:{line}", "risk.orders_per_min_cap", "'many'", "allowed"):
        assert part in last


def test_a_wrong_strategy_is_named(place):
    """A class that does not exist, and a parameter that its class does not know."""
    path = place.folder / "config" / "strategies.yaml"
    text = path.read_text()
    path.write_text(text.replace("samples.sma_cross.SmaCross", "samples.sma_cros.SmaCross"))
    code, last = ended(place, place.start("strategy_runner"))
    assert code == 2
    assert "sma_cros.SmaCross" in last
    path.write_text(text.replace("fast: 100", "quick: 100"))
    code, last = ended(place, place.start("strategy_runner"))
    assert code == 2
    assert "quick" in last
    assert "fast" in last


def test_a_folder_that_is_a_file_is_named(place):
    """The journals cannot be written: it ends before it has joined the cell, so nobody waits for it later."""
    blocked = place.folder / "blocked"
    blocked.write_text("")
    code, last = ended(place, place.start("risk_engine", env={"NJORD__PATHS__JOURNAL_DIR": str(blocked)}))
    assert (code, "paths.journal_dir" in last, str(blocked) in last) == (1, True, True)
    status = place.run("scripts/njord_cell.py", "status", "--config-root", str(place.folder))
    assert json.loads(status.stdout)["instances"] == {}


def test_a_taken_health_port_is_named(place, redis_server):
    """The key and the port."""
    ports = json.dumps({"risk_engine": redis_server.port})
    code, last = ended(place, place.start("risk_engine", env={"NJORD__RUNTIME__HEALTH_PORTS": ports}))
    assert code == 2
    assert f"runtime.health_ports.risk_engine is {redis_server.port}" in last


def test_a_second_instance_on_this_host_names_the_first(place):
    """Exit code 1 and the pid of the one that runs, which goes on."""
    first = place.start("risk_engine")
    wait_for(place.live("risk_engine.main"))
    code, last = ended(place, place.start("risk_engine"))
    assert (code, "already running" in last, str(first.pid) in last) == (1, True, True)
    assert place.health("risk_engine.main")[0] == 200


# -- Redis


def test_without_redis_it_waits_and_goes_live_when_it_comes(own, server):
    """Its health says 503 and why, the terminal once; a server that goes away and comes back is waited for again."""
    processes = [own.start(name) for name in ("risk_engine", "paper_trader")]
    wait_for(lambda: own.health("risk_engine.main")[0] == 503 and own.health("paper_trader.main")[0] == 503)
    wait_for(lambda: own.health("risk_engine.main")[1]["state"] == "waiting")
    assert "does not answer" in own.health("risk_engine.main")[1]["detail"]
    server.start()
    wait_for(own.live("risk_engine.main", "paper_trader.main"))

    server.kill()
    wait_for(lambda: own.health("risk_engine.main")[0] == 503)
    server.start()
    wait_for(own.live("risk_engine.main", "paper_trader.main"))
    assert own.health("risk_engine.main")[1]["reconnects"] >= 1
    assert own.stop() == [0, 0]
    said = [own.stderr(process).splitlines() for process in processes]
    assert [len(lines) for lines in said] == [1, 1]
    assert said[0][0].startswith(f"njord: risk_engine.main waits: Redis at 127.0.0.1:{server.port} does not answer")


def test_it_leaves_within_time_while_redis_is_away_or_frozen(own, server):
    """SIGTERM ends a process that waits for a server, one whose server is frozen, and one that was never live."""
    away = own.start("risk_engine")
    wait_for(lambda: own.health("risk_engine.main")[1].get("state") == "waiting")
    assert own.stop(away) == [0]
    server.start()
    frozen = own.start("risk_engine")
    wait_for(own.live("risk_engine.main"))
    os.kill(server.pid, 19)
    never = own.start("paper_trader")
    wait_for(lambda: own.note("paper_trader.main") != {})
    started = time.monotonic()
    assert own.stop(frozen, never) == [0, 0]
    assert time.monotonic() - started < 10
    os.kill(server.pid, 18)


def test_an_empty_server_beside_journals_stops_it(own, server):
    """The data of the server were lost: the operator is told what to run."""
    server.start()
    process = own.start("risk_engine")
    wait_for(lambda: own.lines("control.session.risk_engine.main") != [])
    assert own.stop(process) == [0]
    server.stop()
    for path in sorted(server.directory.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    server.start()
    code, last = ended(own, own.start("risk_engine"))
    assert (code, "CellMissing" in last, "scripts/njord_restore.py" in last) == (1, True, True)


# -- secrets


def test_a_password_appears_nowhere(tmp_path, place):
    """Neither a wrong nor a right password is in logs, journals, health or on the terminal."""
    place.extra["REDIS_URL"] = place.url.replace("redis://", "redis://:s3cret-wrong@")
    code, last = ended(place, place.start("risk_engine"))
    assert (code, "AUTH" in last) == (2, True)
    port = free_port()
    place.extra["REDIS_URL"] = f"redis://user:s3cret-right@127.0.0.1:{port}/0"
    process = place.start("risk_engine")
    wait_for(lambda: place.health("risk_engine.main")[1].get("state") == "waiting")
    assert "s3cret" not in json.dumps(place.health("risk_engine.main")[1])
    assert place.stop(process) == [0]
    kill = place.run("-m", "scripts.njord_kill", "check", "--config-root", str(place.folder))
    restore = place.run("scripts/njord_restore.py", "--config-root", str(place.folder))
    assert "s3cret" not in kill.stdout + kill.stderr + restore.stdout + restore.stderr
    found = [path for path in place.folder.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
    assert found == []


# -- bad input


def test_a_capture_with_broken_lines_loses_nothing_else(place):
    """Three bad lines become dead letters; all trades around them are published, once, and it ends with 0."""
    lines = [trade_line(number) for number in range(1, 31)]
    lines[5:5] = [b"hello", b'1723118400000000000 {"stream":', b"123 {}"]
    capture = place.folder / "capture.gz"
    capture.write_bytes(gzip.compress(b"\n".join(lines) + b"\n"))
    process = place.start("md_ingest", "--symbol", BTC, "--capture", str(capture), "--speed", "max")
    assert process.wait(20) == 0
    ids = [json.loads(line)["trade_id"] for line in place.lines("md.trades.BTCUSDT")]
    assert ids == [str(number) for number in range(1, 31)]
    letters = [json.loads(line) for line in place.lines("control.dead_letter.md_ingest.BTCUSDT")]
    assert [letter["topic"] for letter in letters] == ["capture.gz:6", "capture.gz:7", "capture.gz:8"]
    assert place.stderr(process) == ""


def trade_line(number):
    ms = 1_723_118_400_000 + number
    data = {
        "e": "trade",
        "E": ms,
        "s": "BTCUSDT",
        "t": number,
        "p": "100.0",
        "q": "1.0",
        "T": ms,
        "m": False,
        "M": True,
    }
    return b"%d %s" % (ms * 1_000_000, json.dumps({"stream": "btcusdt@trade", "data": data}).encode())


def test_what_people_publish_by_hand_stops_nobody(place, redis_server):
    """Bytes that are no line, on a channel that is no text: dead letters, and the next intent is decided."""
    place.start("risk_engine")
    wait_for(place.live("risk_engine.main"))
    channel = place.extra["NJORD__REDIS__CELL"].encode() + b"@"
    for name, message in ((b"strat.intent", b"hello"), (b"strat.intent", b"\xff"), (b"md.trades.\xff\xfe", b"{}")):
        raw_publish(redis_server.port, channel + name, message)
    publish(place, "strat.intent", intent())
    wait_for(lambda: len(place.lines("risk.decisions")) == 1)
    wait_for(lambda: len(place.lines("control.dead_letter.risk_engine.main")) == 3)
    report = place.health("risk_engine.main")[1]
    assert (report["dead_letters"], report["reconnects"]) == (3, 0)


def raw_publish(port, channel, message):
    parts = [b"PUBLISH", channel, message]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as wire:
        wire.sendall(b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        assert wire.recv(64) == b":1\r\n"


def test_a_file_size_limit_ends_it_with_the_journal_named_and_nothing_is_lost(place):
    """The journal of decisions reaches the limit; started again without one it is complete, byte for byte."""
    process = place.start("risk_engine", file_limit=20_000)
    wait_for(place.live("risk_engine.main"))
    asyncio.run(_many_intents(place, 60))
    code, last = ended(place, process)
    assert (code, "JournalError" in last, "cannot be written" in last) == (1, True, True)
    assert any(name in last for name in ("risk.decisions.ndjson", "control.state"))
    whole = place.lines("risk.decisions")
    assert all(line.endswith(b"}") for line in whole)
    assert len(whole) < 60
    process = place.start("risk_engine")
    wait_for(lambda: len(place.lines("risk.decisions")) == 60)
    assert place.stop(process) == [0]
    decided = [json.loads(line)["intent_id"] for line in place.lines("risk.decisions")]
    assert decided == [f"i-{number}" for number in range(60)]


async def _many_intents(place, count):
    bus = Bus(place.url, place.extra["NJORD__REDIS__CELL"])
    for number in range(count):
        await bus.publish_json("strat.intent", intent(number))
    await bus.close()


# -- the kill switch


def test_a_tripped_kill_switch_denies_with_halted(place):
    """The command trips the file; the next intent is denied "halted"; cleared, it is judged on its merits."""
    process = place.start("risk_engine")
    wait_for(place.live("risk_engine.main"))
    root = ("--config-root", str(place.folder))
    assert place.run("-m", "scripts.njord_kill", "trip-file", *root, "--reason", "drill").returncode == 0
    publish(place, "strat.intent", intent(1))
    wait_for(lambda: len(place.lines("risk.decisions")) == 1)
    assert place.run("-m", "scripts.njord_kill", "clear-file", *root, "--reason", "over").returncode == 0
    publish(place, "strat.intent", intent(2))
    wait_for(lambda: len(place.lines("risk.decisions")) == 2)
    reasons = [json.loads(line)["reason"] for line in place.lines("risk.decisions")]
    assert reasons == ["halted", "no_price"]
    assert place.stop(process) == [0]
    (halt,) = place.lines("control.halt.risk_engine.main")
    assert "drill" in json.loads(halt)["reason"]


def test_a_missing_folder_of_the_kill_switch_halts_an_installation_that_has_traded(place):
    """A new installation gets the folder; where there are journals, its absence may be a disk that is not mounted."""
    process = place.start("risk_engine")
    wait_for(place.live("risk_engine.main"))
    assert (place.folder / "var" / "state").is_dir()
    assert place.stop(process) == [0]
    (place.folder / "var" / "state").rmdir()
    place.start("risk_engine")
    wait_for(place.live("risk_engine.main"))
    publish(place, "strat.intent", intent(1))
    wait_for(lambda: len(place.lines("risk.decisions")) == 1)
    assert json.loads(place.lines("risk.decisions")[0])["reason"] == "halted"
    assert not (place.folder / "var" / "state").exists()


# -- systemd and health


def test_systemd_is_told_of_start_life_and_end(place):
    """READY when live, WATCHDOG again and again, STOPPING when told to leave."""
    path = str(place.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.settimeout(20)
        process = place.start("risk_engine", env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "300000"})
        heard = [listener.recv(100)]
        while b"READY=1" not in heard or heard.count(b"WATCHDOG=1") < 3:
            heard.append(listener.recv(100))
        assert place.health("risk_engine.main")[0] == 200
        assert place.stop(process) == [0]
        while heard[-1] != b"STOPPING=1":
            heard.append(listener.recv(100))


def test_the_health_endpoint_is_for_this_machine_only(place):
    """It listens on loopback, answers /health alone, and reports what operators look for."""
    place.start("portfolio_manager")
    wait_for(place.live("portfolio_manager.main"))
    note = place.note("portfolio_manager.main")
    port = int(note["health"].rsplit(":", 1)[1].split("/")[0])
    listening = subprocess.run(["cat", "/proc/net/tcp", "/proc/net/tcp6"], capture_output=True, text=True, check=True)
    bound = [line.split()[1] for line in listening.stdout.splitlines() if f":{port:04X} " in line.split(" 0A ")[0]]
    assert bound
    assert all(address.startswith("0100007F:") for address in bound)
    report = place.health("portfolio_manager.main")[1]
    assert report["instance"] == "portfolio_manager.main"
    assert {"state", "seq", "in_seq", "commits", "journalled", "dead_letters", "reconnects"} <= set(report)


# -- weight


HEAVY = ("pandas", "numpy", "ccxt", "aiohttp", "hypothesis", "redis", "pytest")


@pytest.mark.parametrize("service", ["md_ingest", *SERVICES])
def test_a_daemon_imports_nothing_heavy(place, service):
    """Start-up time and memory: none of these is imported by a daemon."""
    code = f"import sys; import apps.{service}.main; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    shown = place.run("-c", code)
    assert shown.returncode == 0, shown.stderr
    assert sorted(set(shown.stdout.split()) & set(HEAVY)) == []
