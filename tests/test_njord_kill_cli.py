"""`scripts/njord_kill.py`: what an operator types in an emergency, and what is left on record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import fakeredis
import pytest
import redis

from core import kill_switch
from scripts.njord_kill import main

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "njord_kill.py"
NOBODY = "redis://:s3cret@127.0.0.1:1/0"  # port 1: nobody listens there
BASE = """
app: {env: paper}
instruments: [{symbol: BTC/USDT, tick_size: "0.01", lot_size: "0.001"}]
risk: {kill_switch_file: var/state/halt, kill_switch_key: "njord:test:halt"}
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An installation whose Redis is away; its state directory is there."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(BASE)
    (tmp_path / "var" / "state").mkdir(parents=True)
    monkeypatch.setenv("NJORD__REDIS__URL", NOBODY)
    return tmp_path


@pytest.fixture
def server(monkeypatch):
    """A Redis inside this process for the key; the bus still finds nobody."""
    server = fakeredis.FakeServer()
    monkeypatch.setattr(kill_switch, "_client", lambda url: fakeredis.FakeAsyncRedis(server=server))
    return server


def run(root, *args):
    """The exit code of one command in an installation."""
    return main(["--config-root", str(root), *args])


def audit(root):
    """What the audit file holds."""
    lines = (root / "var" / "state" / "kill_switch.audit.ndjson").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_trip_file_works_without_redis(root, capsys):
    """With Redis away the file is tripped all the same; that nobody could be told goes to standard error."""
    assert run(root, "trip-file", "--reason", "exchange is down") == 0
    shown = capsys.readouterr()
    assert "TRIPPED" in shown.out
    assert "exchange is down" in shown.out
    assert "not announced" in shown.err
    assert kill_switch.read_file(root / "var/state/halt").reason.endswith("exchange is down")


def test_every_change_is_recorded(root):
    """Each change leaves one line with what, why, who and when; the first reason stays in the file."""
    run(root, "trip-file", "--reason", "first")
    run(root, "trip-file", "--reason", "second")
    run(root, "clear-file", "--reason", "over")
    lines = audit(root)
    assert [(line["action"], line["reason"]) for line in lines] == [
        ("trip-file", "first"),
        ("trip-file", "second"),
        ("clear-file", "over"),
    ]
    assert all(set(line) == {"action", "reason", "by", "at_ns"} for line in lines)
    assert lines[0]["by"] == kill_switch.whoami()
    assert lines[0]["at_ns"] <= lines[1]["at_ns"] <= lines[2]["at_ns"]


def test_trip_and_clear_the_key(root, server, capsys):
    """The key is written and taken away, each on record."""
    assert run(root, "trip-redis", "--reason", "drill") == 0
    assert fakeredis.FakeRedis(server=server).get("njord:test:halt") == b"1"
    assert run(root, "check") == 1
    assert "redis: TRIPPED (key njord:test:halt is set)" in capsys.readouterr().out
    assert run(root, "clear-redis", "--reason", "over") == 0
    assert run(root, "check") == 0
    assert [line["action"] for line in audit(root)] == ["trip-redis", "clear-redis"]


def test_key_that_cannot_be_tripped_is_a_failure(root, capsys):
    """With Redis away trip-redis fails, and does not show the password."""
    assert run(root, "trip-redis", "--reason", "drill") == 1
    shown = capsys.readouterr()
    assert "trip-redis failed" in shown.err
    assert "s3cret" not in shown.out + shown.err


@pytest.mark.parametrize(("tripped", "code"), [(False, 0), (True, 1)])
def test_check_says_whether_trading_is_halted(root, server, capsys, tripped, code):
    """0 means clear, 1 means halted; the JSON names each switch and its reason."""
    if tripped:
        kill_switch.trip_file(root / "var/state/halt", "drill")
    assert run(root, "check", "--json") == code
    seen = json.loads(capsys.readouterr().out)
    reason = f"file {root / 'var/state/halt'}: drill" if tripped else "clear"
    assert seen == {
        "tripped": tripped,
        "file": {"tripped": tripped, "reason": reason},
        "redis": {"tripped": False, "reason": "clear"},
    }


def test_check_fails_closed(root, capsys):
    """A Redis that cannot be asked counts as tripped."""
    assert run(root, "check") == 1
    shown = capsys.readouterr().out
    assert "file: clear" in shown
    assert "redis: TRIPPED" in shown
    assert "s3cret" not in shown


def test_check_changes_nothing(root):
    """Looking leaves no trace."""
    run(root, "check")
    assert list((root / "var" / "state").iterdir()) == []


def test_clear_that_cannot_be_recorded_is_not_done(root, capsys):
    """Trading must not resume unrecorded: where the audit file cannot be written, the switch stays tripped."""
    kill_switch.trip_file(root / "var/state/halt", "drill")
    (root / "var/state/kill_switch.audit.ndjson").mkdir()
    assert run(root, "clear-file", "--reason", "over") == 1
    assert kill_switch.file_tripped(root / "var/state/halt")
    assert "clear-file failed" in capsys.readouterr().err


def test_trip_that_cannot_be_recorded_is_done_all_the_same(root, capsys):
    """A halt does not wait for paperwork; that it is not on record is said, and the exit code is not 0."""
    (root / "var/state/kill_switch.audit.ndjson").mkdir()
    assert run(root, "trip-file", "--reason", "drill") == 1
    assert kill_switch.file_tripped(root / "var/state/halt")
    assert "is done but could not be recorded" in capsys.readouterr().err


def test_clear_file_that_leaves_it_tripped_is_a_failure(root, capsys):
    """A folder under the name of the file cannot be cleared by this command."""
    (root / "var/state/halt").mkdir()
    assert run(root, "clear-file", "--reason", "over") == 1
    assert "clear-file failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["trip"],
        ["trip-file"],
        ["clear-file"],
        ["trip-redis", "--reason", "  "],
        ["trip-file", "--reas", "abbreviated"],
        ["check", "--conf", "config/base.yaml"],
        ["check", "--reason", "looking needs none"],
        ["--config", "a", "--config-root", "b", "check"],
    ],
)
def test_wrong_usage_changes_nothing(root, monkeypatch, args):
    """A change without a reason, an unknown or an abbreviated option: exit code 2 and nothing done."""
    monkeypatch.chdir(root)
    with pytest.raises(SystemExit) as left:
        main(args)
    assert left.value.code == 2
    assert list((root / "var" / "state").iterdir()) == []


def test_wrong_configuration_is_wrong_usage(tmp_path, capsys):
    """A configuration that is not there is named."""
    assert main(["check", "--config", str(tmp_path / "nosuch.yaml")]) == 2
    assert "nosuch.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    "place",
    [
        ["--config", "config/base.yaml", "trip-file"],
        ["trip-file", "--config", "./config/base.yaml"],
        ["--config-root", ".", "trip-file"],
        ["trip-file", "--config-root", "."],
        ["trip-file"],
    ],
)
def test_configuration_may_be_named_either_way(root, monkeypatch, place):
    """Base file or folder, before or after the command, or that of the working directory: the same switch."""
    monkeypatch.chdir(root)
    assert main([*place, "--reason", "drill"]) == 0
    assert kill_switch.file_tripped(root / "var/state/halt")


def test_runs_from_any_directory(root, tmp_path_factory):
    """As a script it finds its own code, and the paths of the configuration are under its root."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "trip-file", "--config-root", str(root), "--reason", "drill"],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert "TRIPPED" in done.stdout
    assert kill_switch.file_tripped(root / "var/state/halt")
    assert list(elsewhere.iterdir()) == []


@pytest.mark.redis
def test_change_is_announced(root, redis_url, monkeypatch, capsys):
    """With Redis there, the change has its place in the total order, where the journals keep it."""
    monkeypatch.setenv("NJORD__REDIS__URL", redis_url)
    monkeypatch.setenv("NJORD__REDIS__CELL", "killtest")
    assert run(root, "trip-file", "--reason", "drill") == 0
    assert capsys.readouterr().err == ""
    with redis.Redis.from_url(redis_url) as client:
        (stream,) = client.keys("*killtest*stream:control.kill_switch")
        ((_, fields),) = client.xrange(stream)
    (line,) = [json.loads(value) for value in fields.values()]
    assert (line["_type"], line["action"], line["reason"]) == ("KillSwitchSet", "trip-file", "drill")
