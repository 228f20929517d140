"""The log of all processes: one JSON object per line, short, without secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from core.logging import LINE_MAX, setup_json_logging

ROOT = Path(__file__).resolve().parents[1]
NOON = datetime(2025, 9, 30, 12, 0, 0, 250, tzinfo=UTC)


@pytest.fixture
def log_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder that everything is logged into at noon."""
    setup_json_logging(str(tmp_path / "log"), service="risk_engine", clock=lambda: NOON)
    yield tmp_path / "log"
    structlog.reset_defaults()


def lines_of(log_dir: Path) -> list[bytes]:
    """The raw lines."""
    return (log_dir / "app.ndjson").read_bytes().splitlines(keepends=True)


def test_golden_lines(log_dir: Path) -> None:
    """The exact bytes: time, level, event, service, process, then the fields in the order given."""
    log = structlog.get_logger()
    log.info("connected", url="redis://njord:hunter2@127.0.0.1:6379/0", attempt=1)
    log.warning("late", seconds=1.5, symbols=("BTC/USDT", "ETH/USDT"), api_key="hunter2", none=None)
    log.debug("not written")
    log.bind(instance="risk_engine.main").error("größer", nested={"password": "hunter2", "ok": True})
    golden = (ROOT / "tests" / "golden" / "app.ndjson").read_text("utf-8").replace('"<pid>"', str(os.getpid()))
    assert b"".join(lines_of(log_dir)).decode() == golden


def test_an_exception_is_a_field_with_its_traceback(log_dir: Path) -> None:
    """What went wrong stays on the line of what was being done."""
    try:
        raise RuntimeError("at redis://u:hunter2@h")
    except RuntimeError:
        structlog.get_logger().exception("failed")
    (line,) = lines_of(log_dir)
    fields = json.loads(line)
    assert fields["level"] == "error"
    assert fields["exception"].endswith("RuntimeError: at redis://***@h")


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "x" * 100_000},
        {"text": "é" * 5000, "list": ["y" * 3000] * 3},
        {f"key{number}": "v" * 50 for number in range(300)},
        {"unpaired": "\ud800" * 3000},
    ],
    ids=["one long", "several", "many", "not utf-8"],
)
def test_lines_stay_short(log_dir: Path, fields: dict[str, object]) -> None:
    """Below 4,096 bytes a write of several processes never mixes; long values are cut, the line stays JSON."""
    structlog.get_logger().info("big", **fields)
    (line,) = lines_of(log_dir)
    assert len(line) <= LINE_MAX
    assert json.loads(line)["event"] == "big"
    assert (set(fields) <= set(json.loads(line))) == (
        len(fields) < 100
    )  # cut, and left out only where there are too many


def test_processes_share_the_file(tmp_path: Path) -> None:
    """Four processes log 200 lines each at once: 800 whole lines, each with its own process id."""
    script = (
        "import sys, structlog; from core.logging import setup_json_logging;"
        "setup_json_logging(sys.argv[1], service=sys.argv[2]); log = structlog.get_logger();"
        "[log.info('line', n=n, pad='p' * 3000) for n in range(200)]"
    )
    commands = [[sys.executable, "-c", script, str(tmp_path), f"s{number}"] for number in range(4)]
    running = [subprocess.Popen(command, cwd=ROOT) for command in commands]
    assert [process.wait(30) for process in running] == [0, 0, 0, 0]
    lines = [json.loads(line) for line in lines_of(tmp_path)]
    assert len(lines) == 800
    assert {line["pid"] for line in lines} == {process.pid for process in running}


def test_a_full_disk_does_not_stop_the_process(tmp_path: Path) -> None:
    """Logging is for people; trading goes on without it."""
    script = (
        "import resource, sys, structlog; from core.logging import setup_json_logging;"
        "setup_json_logging(sys.argv[1]); resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0));"
        "structlog.get_logger().info('lost'); print('alive')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (0, "alive\n")
