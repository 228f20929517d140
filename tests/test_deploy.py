"""A server: units that systemd accepts, command lines that start with what is installed, an installer to run twice."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from core.config import load_config
from core.config_sections import SERVICE_NAMES
from core.embedded import find_server
from tests.installation import wait_for
from tests.test_config import ROOT

DEPLOY = ROOT / "deploy"
UNITS = DEPLOY / "systemd"
DAEMONS = {name: f"njord-{name.replace('_', '-')}{'@' * (name == 'md_ingest')}.service" for name in SERVICE_NAMES}
EXPOSURE_MAX = 2.0
"""Of 10 by `systemd-analyze security`; a service without any hardening has 9.6."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")

Unit = dict[str, list[str]]


def unit(path: Path) -> Unit:
    """The settings of a unit file; keys are unique across sections."""
    settings: Unit = {}
    for line in path.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            settings.setdefault(key, []).append(value)
    return settings


def install(destdir: Path) -> subprocess.CompletedProcess[str]:
    """Install into another root."""
    return subprocess.run(
        [str(DEPLOY / "install.sh")],
        env={**os.environ, "DESTDIR": str(destdir)},
        text=True,
        capture_output=True,
        check=True,
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root that everything has been installed into."""
    folder = tmp_path_factory.mktemp("root")
    install(folder)
    return folder


# -- units


@pytest.mark.parametrize("service", SERVICE_NAMES)
def test_every_daemon_has_a_unit_that_lets_systemd_watch_it(service: str) -> None:
    """Ready when it says so, watched, started again after a failure, left alone after a wrong configuration."""
    settings = unit(UNITS / DAEMONS[service])
    expected = {
        "Type": "notify",
        "NotifyAccess": "main",
        "WatchdogSec": "30",
        "Restart": "on-failure",
        "RestartPreventExitStatus": "2",
        "StartLimitBurst": "10",
        "TimeoutStartSec": "infinity",
        "TimeoutStopSec": "10",
        "PartOf": "njord.target",
        "WantedBy": "njord.target",
        "WorkingDirectory": "/opt/njord",
        "ExecReload": "/bin/kill -HUP $MAINPID",
    }
    assert {key: settings[key] for key in expected} == {key: [value] for key, value in expected.items()}
    assert settings["LoadCredential"] == ["njord.redis.url", "sops.age.key"]
    (command,) = settings["ExecStart"]
    assert command.startswith(
        f"/opt/njord/.venv/bin/python -m apps.{service} --config-root /etc/njord --profile ${{NJORD_PROFILE}}"
    )
    assert ("IPAddressDeny" in settings) == (service != "md_ingest")  # market data come from outside


def test_the_target_enables_every_unit_but_the_template() -> None:
    """One command enables the system; symbols are chosen one by one."""
    also = set(unit(UNITS / "njord.target")["Also"][0].split())
    wanted = {path.name for path in UNITS.glob("*.*[er]") if "WantedBy" in unit(path)}
    assert also == {name for name in wanted if "@" not in name}
    assert wanted == {*DAEMONS.values(), "njord-redis.service", "njord-journals.timer"}


def test_journals_are_tidied_up_every_day() -> None:
    """Shortly after midnight UTC, later where the machine was off, behind everything else that wants the processor."""
    timer, service = unit(UNITS / "njord-journals.timer"), unit(UNITS / "njord-journals.service")
    assert (timer["OnCalendar"], timer["Persistent"]) == (["*-*-* 00:20:00 UTC"], ["yes"])
    assert (service["Type"], service["Nice"], service["IOSchedulingClass"]) == (["oneshot"], ["19"], ["idle"])
    (command,) = service["ExecStart"]
    program = command.split()[1].removeprefix("/opt/njord/")
    assert (ROOT / program).is_file()
    assert command.endswith(" --config-root /etc/njord --profile ${NJORD_PROFILE} --retention")


def test_every_service_has_the_hardening_and_writes_to_three_folders() -> None:
    """One drop-in for all; the folders that are made are those that may be written and those that are configured."""
    settings = unit(UNITS / "njord-.service.d" / "hardening.conf")
    for key in (
        "NoNewPrivileges",
        "ProtectHome",
        "PrivateTmp",
        "PrivateDevices",
        "RestrictNamespaces",
        "LockPersonality",
    ):
        assert settings[key] == ["yes"]
    assert (settings["User"], settings["ProtectSystem"], settings["CapabilityBoundingSet"]) == (
        ["njord"],
        ["strict"],
        [""],
    )
    assert settings["UnsetEnvironment"] == ["PYTHONDONTWRITEBYTECODE"]
    assert settings["SystemCallFilter"] == ["@system-service", "~@privileged"]
    writable = set(settings["ReadWritePaths"][0].split())
    made = {line.split()[1] for line in (DEPLOY / "tmpfiles.d" / "njord.conf").read_text().splitlines()}
    assert {path for path in made if str(Path(path).parent) not in made} == writable
    config = load_config(ROOT, "paper", environ={})
    site = DEPLOY / "etc" / "site.yaml"
    assert all(f"{key}: /" in site.read_text() for key in type(config.paths).model_fields)


@needs_systemd
def test_systemd_accepts_every_unit(root: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say of any of them, the template and the drop-in included."""
    copy = tmp_path / "root"
    shutil.copytree(root, copy)
    for program in ("opt/njord/.venv/bin/python", "usr/bin/redis-server", "bin/kill"):
        path = copy / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    system = copy / "usr" / "lib" / "systemd" / "system"
    system.mkdir(parents=True)
    for path in Path("/usr/lib/systemd/system").glob("*.target"):
        if path.is_file() and not path.is_symlink():
            shutil.copy(path, system)
    names = [f"/etc/systemd/system/{path.name}".replace("@.", "@BTC-USDT.") for path in sorted(UNITS.glob("njord*.*"))]
    names = [name for name in names if name.endswith((".service", ".target", ".timer"))]
    assert len(names) == len(DAEMONS) + 4
    said = subprocess.run(
        ["systemd-analyze", "verify", f"--root={copy}", *names], text=True, capture_output=True, check=False
    )
    assert (said.returncode, said.stdout + said.stderr) == (0, "")
    broken = copy / "etc/systemd/system/njord-.service.d/hardening.conf"
    broken.write_text(broken.read_text() + "NoSuchSetting=1\n")
    said = subprocess.run(
        ["systemd-analyze", "verify", f"--root={copy}", names[0]], text=True, capture_output=True, check=False
    )
    assert "Unknown key 'NoSuchSetting'" in said.stderr  # so the silence above means something


@needs_systemd
@pytest.mark.parametrize("name", sorted([*DAEMONS.values(), "njord-redis.service", "njord-journals.service"]))
def test_what_a_service_could_do_to_the_machine_is_little(root: Path, name: str) -> None:
    """By systemd's own measure."""
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--root={root}", f"/etc/systemd/system/{name}"],
        text=True, capture_output=True, check=True,
    )  # fmt: skip
    last = next(line for line in said.stdout.splitlines() if "Overall exposure level" in line)
    assert float(last.split(": ")[1].split()[0]) <= EXPOSURE_MAX


@needs_systemd
def test_an_instance_is_a_symbol() -> None:
    """`njord-md-ingest@BTC-USDT` is BTC/USDT to `%I`, for every shipped instrument."""
    for instrument in load_config(ROOT, environ={}).instruments:
        name = subprocess.run(["systemd-escape", instrument.symbol], text=True, capture_output=True, check=True)
        assert name.stdout.strip() == instrument.symbol.replace("/", "-")
        back = subprocess.run(["systemd-escape", "-u", name.stdout.strip()], text=True, capture_output=True, check=True)
        assert back.stdout.strip() == instrument.symbol


# -- the installer


def test_it_installs_and_changes_nothing_the_second_time(tmp_path: Path) -> None:
    """What an operator has edited stays, and is said; units are always those of this version."""
    first = install(tmp_path)
    assert "kept" not in first.stdout
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert install(tmp_path).stdout == first.stdout
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    edited, stale = tmp_path / "etc/njord/config/site.yaml", tmp_path / "etc/systemd/system/njord-redis.service"
    edited.write_text("redis: {cell: mine}\n")
    stale.write_text("[Service]\n")
    again = install(tmp_path)
    assert again.stdout.startswith(
        f"kept: {edited} (what is shipped now: diff {edited} {DEPLOY / 'etc' / 'site.yaml'})"
    )
    assert edited.read_text() == "redis: {cell: mine}\n"
    assert stale.read_text() == (UNITS / "njord-redis.service").read_text()
    assert stat.S_IMODE((tmp_path / "usr/local/bin/njord").stat().st_mode) == 0o755


def test_it_refuses_where_it_would_do_harm() -> None:
    """Without root, and from another folder than the units name."""
    done = subprocess.run([str(DEPLOY / "install.sh")], text=True, capture_output=True, check=False, env={})
    why = f"the units run /opt/njord, and this is {ROOT}: move it there" if os.geteuid() == 0 else "must be run as root"
    if Path("/opt/njord") == ROOT:
        pytest.skip("this is where it would be installed")
    assert done.returncode == 2
    assert done.stderr.startswith(f"install.sh: {why}")


@pytest.mark.parametrize("profile", ["paper", "live"])
def test_the_installed_configuration_is_right(root: Path, profile: str) -> None:
    """Every profile of a server loads there, with its absolute paths; only live is told of folders in memory."""
    config = load_config(root / "etc" / "njord", profile, environ={})
    assert config.paths.state_dir == Path("/var/lib/njord/state")
    assert config.kill_switch_file == Path("/var/lib/njord/state/njord.trading.halt")
    assert config.redis.url == "unix:///run/njord/redis.sock"


# -- what the command lines do


def command(service: str, root: Path, instance: str = "") -> list[str]:
    """The unit's command line as systemd would run it, but with this interpreter and the installed root."""
    environment = dict(line.split("=") for line in settings_of(root / "etc/njord/njord.env"))
    text = unit(root / "etc/systemd/system" / DAEMONS[service])["ExecStart"][0]
    for name, value in environment.items():
        text = text.replace(f"${{{name}}}", value)
    text = text.replace("%I", instance.replace("-", "/")).replace("/etc/njord", str(root / "etc/njord"))
    assert "${" not in text
    return [sys.executable if word == "/opt/njord/.venv/bin/python" else word for word in text.split()]


def settings_of(path: Path) -> list[str]:
    """The lines of an environment file that say something."""
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


class Server:
    """Paths and a Redis with the shipped settings, and a socket that stands for systemd."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.listener.bind(str(folder / "notify"))
        self.listener.settimeout(20)
        self.processes: list[subprocess.Popen[str]] = []
        text = (root / "etc/njord/redis.conf").read_text()
        for old, new in (
            ("/run/njord/redis.sock", str(self.socket)),
            ("/var/lib/njord/redis", str(folder)),
            ("supervised systemd", "supervised no"),  # not every build can
        ):
            assert old in text
            text = text.replace(old, new)
        (folder / "redis.conf").write_text(text)
        self.start([str(find_server()), str(folder / "redis.conf")], {})
        wait_for(self.socket.exists)

    @property
    def environment(self) -> dict[str, str]:
        """Where this test keeps what a server keeps under /var and /run."""
        places = {
            f"NJORD__PATHS__{key}_DIR": str(self.folder / key.lower()) for key in ("STATE", "JOURNAL", "LOG", "RUN")
        }
        ports = {f"NJORD__RUNTIME__HEALTH_PORTS__{name.upper()}": "0" for name in SERVICE_NAMES}
        return {
            **places,
            **ports,
            "NJORD__REDIS__URL": f"unix://{self.socket}",
            "NJORD__RISK__KILL_SWITCH_FILE": str(self.folder / "state" / "halt"),
            "NOTIFY_SOCKET": str(self.folder / "notify"),
            "PATH": os.environ["PATH"],
        }

    def start(self, words: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
        """Start a command as systemd would, in the project's folder and without any other environment."""
        process = subprocess.Popen(
            words, cwd=ROOT, env=environment, text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        self.processes.append(process)
        return process

    def heard(self, count: int) -> list[str]:
        """So many messages to systemd, in order."""
        return [self.listener.recv(256).decode() for _ in range(count)]

    def close(self) -> None:
        """End whatever still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.listener.close()


@pytest.fixture
def server(tmp_path: Path, root: Path) -> Iterator[Server]:
    """A server for one test."""
    made = Server(tmp_path, root)
    yield made
    made.close()


@pytest.mark.redis
@pytest.mark.processes
def test_every_unit_starts_with_what_is_installed(server: Server, root: Path) -> None:
    """All at once, as the target starts them: each says that it is ready, and leaves with 0 when it is stopped."""
    started = [
        server.start(command(service, root), server.environment) for service in SERVICE_NAMES if service != "md_ingest"
    ]
    assert server.heard(len(started)) == ["READY=1"] * len(started)
    for process in started:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(10) for process in started] == [0] * len(started)
    assert server.heard(len(started)) == ["STOPPING=1"] * len(started)


@pytest.mark.redis
@pytest.mark.processes
def test_market_data_of_a_symbol_that_is_not_configured_are_not_tried_again(server: Server, root: Path) -> None:
    """The command line is understood, the configuration is read, and 2 tells systemd to leave it."""
    process = server.start(command("md_ingest", root, "XYZ-USDT"), server.environment)
    assert process.wait(30) == 2
    assert process.stderr is not None
    assert "--symbol is 'XYZ/USDT'; allowed (config: instruments): BTC/USDT, " in process.stderr.read()


@pytest.mark.redis
def test_the_redis_of_the_server_keeps_what_it_is_told(server: Server) -> None:
    """A log flushed every second, no snapshots, nothing thrown away, no port."""
    client = redis.Redis(unix_socket_path=str(server.socket), decode_responses=True)
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory-policy": "noeviction", "port": "0"}
    assert {name: client.config_get(name)[name] for name in wanted} == wanted
    client.close()


def operator(root: Path, folder: Path) -> Path:
    """The command `njord` for this user and this root."""
    text = (root / "usr/local/bin/njord").read_text()
    for old, new in (
        ("/opt/njord/.venv/bin/python", sys.executable),
        ("/opt/njord", str(ROOT)),
        ("/etc/njord", str(root / "etc/njord")),
        ("!= njord ]", f"!= {getpass.getuser()} ]"),
    ):
        assert old in text
        text = text.replace(old, new)
    made = folder / "njord"
    made.write_text(text)
    made.chmod(0o755)
    return made


@pytest.mark.slow
@pytest.mark.redis
def test_the_operators_command_uses_the_configuration_of_the_server(server: Server, root: Path, tmp_path: Path) -> None:
    """Trip, look and clear reach the switch that the services look at; a wrong word ends with 2."""
    njord = str(operator(root, tmp_path))

    def run(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [njord, *words], text=True, capture_output=True, check=False, cwd="/", env=server.environment
        )
        return done.returncode, done.stdout + done.stderr

    assert run("config", "check") == (0, "ok: every file is read, every rule kept, every service takes its part\n")
    assert run("kill", "trip-file", "--reason", "test")[0] == 0
    assert (tmp_path / "state" / "halt").exists()
    code, text = run("kill", "check")
    assert (code, "file: TRIPPED" in text) == (1, True)
    assert run("kill", "clear-file", "--reason", "test")[0] == 0
    assert not (tmp_path / "state" / "halt").exists()
    assert run("cell", "status")[0] == 0  # the announcement of the switch was the first event of this cell
    assert run("start") == (
        2,
        "usage: njord kill|config|cell|restore|index|compress ... (--help behind each says more)\n",
    )
