"""The command that shows the configuration: what it says, what it hides, how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from core.codec import content_hash
from core.config import content_for, load_config
from core.config_sections import SERVICE_NAMES
from scripts.njord_config import main
from tests.test_config import BASE, ROOT, STRATEGIES, written


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's environment is part of the configuration."""
    monkeypatch.delenv("REDIS_URL", raising=False)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run the command; its exit code and what it printed."""
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out or captured.err


def test_check_of_the_shipped_configuration_is_ok(capsys: pytest.CaptureFixture[str]) -> None:
    """By root and by file; as JSON with the hash of each service's part."""
    ok = "ok: every file is read, every rule kept, every service takes its part\n"
    assert said(capsys, "check", "--config-root", str(ROOT)) == (0, ok)
    assert said(capsys, "--config", str(ROOT / "config" / "base.yaml"), "check") == (0, ok)
    code, text = said(capsys, "check", "--json", "--config-root", str(ROOT), "--profile", "paper")
    config = load_config(ROOT, "paper", environ={})
    hashes = {name: content_hash(content_for(name, config)) for name in SERVICE_NAMES}
    assert (code, json.loads(text)) == (0, {"ok": True, "problems": [], "hashes": hashes})


def test_check_names_every_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1: wrong keys of the files, and what only a service can know, such as the class of a strategy."""
    root = str(written(tmp_path, base=BASE + "riks: {}\nfees: {maker_bps: x}\n"))
    code, text = said(capsys, "check", "--config-root", root)
    assert code == 1
    assert [line.split(": ")[1] for line in text.splitlines()] == ["fees.maker_bps is 'x'; allowed", "riks"]
    written(tmp_path, strategies=STRATEGIES.replace("SmaCross", "SmaCros").replace("slow", "slw"))
    code, text = said(capsys, "check", "--json", "--config-root", root)
    (problem,) = json.loads(text)["problems"]
    assert code == 1
    assert problem.startswith(
        "strategy_runner: strategies.yaml: strategy 'sma': class: no strategy 'strategies.samples."
    )


def test_show_gives_every_value_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Base, portfolio, policy, profile, strategies and their overrides, environment, default."""
    root = written(
        tmp_path,
        strategies=STRATEGIES,
        portfolio="portfolio:\n  total_capital: 70\n",
        demo="risk:\n  per_order_usd_cap: 9\nstrategies:\n  sma: {params: {fast: 5}}\npolicy: {sizing: {equity: 7}}\n",
    )
    command = [sys.executable, str(ROOT / "scripts" / "njord_config.py"), "show"]
    place = ["--config-root", str(root), "--profile", "demo"]
    done = subprocess.run(
        [*command, *place], text=True, capture_output=True, check=True, env={"NJORD__RUNTIME__FSYNC_EVERY_MS": "40"}
    )
    lines = done.stdout.splitlines()
    for expected in (
        'app.env: "paper"  # config/base.yaml:1',
        'instruments[0].tick_size: "0.01"  # config/base.yaml:3',
        'risk.per_order_usd_cap: "9"  # config/demo.yaml:2',
        "risk.orders_per_min_cap: 20  # config/base.yaml:6",
        "portfolio.total_capital: 70.0  # config/portfolio.yaml:2",
        'policy.sizing.equity: "7"  # config/demo.yaml:5',
        'policy.sizing.method: "fixed_equity"  # default',
        "runtime.fsync_every_ms: 40  # NJORD__RUNTIME__FSYNC_EVERY_MS",
        'aggregator.timeframes: ["1m", "5m", "15m", "1h"]  # default',
        f'paths.state_dir: "{root}/var/state"  # default',
        "strategies[sma].params.fast: 5  # config/demo.yaml:4",
        "strategies[sma].params.slow: 30  # config/strategies.yaml:6",
        "strategies[trend].enabled: false  # config/strategies.yaml:9",
        "strategies[trend].params: {}  # default",
    ):
        assert expected in lines, expected
    capsys.readouterr()
    as_json = json.loads(said(capsys, "show", "--json", *place)[1])
    assert {"key": "app.env", "value": "paper", "origin": "config/base.yaml:1"} in as_json
    assert len(as_json) == len(lines)


def test_show_hides_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of secrets, passwords in URLs, variables, and parameters that are called like secrets."""
    monkeypatch.setenv("CAPITAL", "4711")
    monkeypatch.setenv("REDIS_URL", "redis://u:hunter2@h/0")
    root = written(
        tmp_path,
        strategies=STRATEGIES.replace("slow: 30", "api_key: hunter2"),
        secrets_enc="account: {name: hunter2}\n",
        demo="portfolio: {total_capital: '${CAPITAL}'}\n",
    )
    for arguments in (("show",), ("show", "--json"), ("show", "--service", "strategy_runner")):
        code, text = said(capsys, *arguments, "--config-root", str(root), "--profile", "demo")
        assert code == 0
        assert "hunter2" not in text
        assert "4711" not in text
    text = said(capsys, "show", "--config-root", str(root), "--profile", "demo")[1]
    assert 'portfolio.total_capital: "***"  # config/demo.yaml:1\n' in text
    assert 'account.name: "***"  # config/secrets.enc.yaml:1\n' in text
    assert 'redis.url: "redis://***@h/0"  # REDIS_URL\n' in text


def test_show_of_a_service_is_what_it_records(capsys: pytest.CaptureFixture[str]) -> None:
    """The content and the hash that `control.config.*` holds; a typo in the name is answered with the nearest."""
    code, text = said(capsys, "show", "--service", "paper_trader", "--config-root", str(ROOT))
    content = content_for("paper_trader", load_config(ROOT, environ={}))
    assert (code, json.loads(text)) == (0, {"content": content, "hash": content_hash(content)})
    code, text = said(capsys, "show", "--service", "paper_tradr", "--config-root", str(ROOT))
    assert code == 2
    assert text.startswith(
        "njord_config: --service is 'paper_tradr'; did you mean 'paper_trader'? allowed: md_ingest, "
    )


def test_hash_changes_with_the_part_and_with_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another fee is another hash of the paper trader alone; another folder is none at all."""
    root = ["--config-root", str(written(tmp_path, fee="fees: {maker_bps: 3}\n", folder="paths: {run_dir: x}\n"))]
    before = json.loads(said(capsys, "hash", "--json", *root)[1])
    assert json.loads(said(capsys, "hash", "--json", *root, "--profile", "folder")[1]) == before
    after = json.loads(said(capsys, "hash", "--json", *root, "--profile", "fee")[1])
    assert {name for name in before if before[name] != after[name]} == {"paper_trader"}
    text = said(capsys, "hash", *root)[1]
    assert text.splitlines() == [f"{value}  {name}" for name, value in before.items()]


def test_a_configuration_that_cannot_be_read_cannot_be_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 with the reason, as from every service."""
    for command in ("show", "hash"):
        code, text = said(capsys, command, "--config-root", str(tmp_path))
        assert (code, text.split(": ")[0]) == (2, "njord_config")
        assert "there is no such file" in text


@pytest.mark.parametrize("file", ["config", "strategies", "policy"])
def test_the_schema_describes_the_files(capsys: pytest.CaptureFixture[str], file: str) -> None:
    """It is a JSON Schema that names every key, and an editor may complete with it."""
    code, text = said(capsys, "schema", file)
    schema = json.loads(text)
    Draft202012Validator.check_schema(schema)
    assert code == 0
    key = {"config": "fees", "strategies": "strategies", "policy": "sizing"}[file]
    assert key in schema["properties"]


@pytest.mark.parametrize("arguments", [(), ("sho",), ("show", "--jso"), ("schema", "base"), ("check", "x")])
def test_wrong_usage_ends_with_two(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    """Nothing is abbreviated and nothing is guessed."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2
    assert "usage: njord_config.py" in capsys.readouterr().err
