"""Rules across the sections of the configuration: what each refuses, how it is said, and what it leaves alone."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from backtest.services import SERVICES
from core.config import content_for, load_config
from core.config_sections import SERVICE_NAMES
from tests.test_config import BASE, ROOT, STRATEGIES, refusal, written

PROFILES = ("dev", "demo", "paper", "live")
LIVE = """\
app: {env: live}
policy: {sizing: {equity: 9}}
risk: {daily_loss_usd_cap: 210}
paths: {state_dir: /var/lib/njord, journal_dir: /var/log/njord, archive_dir: /srv/njord}
"""
LIVE_SWITCH = LIVE.replace("{daily", "{kill_switch_file: /var/lib/njord/halt, daily")
LASTING = {
    "NJORD__PATHS__STATE_DIR": "/var/lib/njord",
    "NJORD__PATHS__JOURNAL_DIR": "/var/log/njord",
    "NJORD__PATHS__ARCHIVE_DIR": "/srv/njord",
    "NJORD__RISK__KILL_SWITCH_FILE": "/var/lib/njord/halt",
}
"""What live trading needs even where this project itself lies in a folder that a reboot empties."""
ALLOCATION = "{strategy_id: sma, target_weight: 1, min_capital: 1000, max_capital: 9000}"
ALLOCATIONS = f"portfolio:\n  total_capital: 5000\n  allocations:\n    - {ALLOCATION}\n"


def live_root(tmp_path: Path, **files: str) -> Path:
    """A root that live trading accepts, but for what is changed."""
    return written(tmp_path, **{"strategies": STRATEGIES, "portfolio": ALLOCATIONS, "live": LIVE_SWITCH, **files})


# -- rules for everybody


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "account: {quote: EUR}",
            "base.yaml:3: instruments[0].symbol is 'BTC/USDT'; allowed: priced in account.quote, ",
        ),
        (
            "risk: {per_order_usd_cap: 301}",
            "demo.yaml:1: risk.per_order_usd_cap is 301; allowed: at most risk.daily_lo",
        ),
        (
            "risk: {daily_loss_usd_cap: 99.5}",
            "base.yaml:5: risk.per_order_usd_cap is 200; allowed: at most risk.daily_",
        ),
        (
            "runtime: {health_ports: {risk_engine: 8103, paper_trader: 8103, md_ingest: 0, strategy_runner: 0}}",
            "demo.yaml:1: runtime.health_ports.paper_trader is 8103, as that of risk_engine; allowed: each port once",
        ),
        (
            f"portfolio: {{total_capital: 999.5, allocations: [{ALLOCATION}]}}",
            "demo.yaml:1: portfolio.total_capital is 999.5; allowed: at least the min_capital of all allocations, "
            "which is 1000",
        ),
        (
            "paths: {journal_dir: var/log/njord, archive_dir: var/log/../log/njord}",
            "demo.yaml:1: paths.archive_dir is 'ROOT/var/log/../log/njord'; allowed: neither paths.journal_dir, which",
        ),
        (
            "paths: {journal_dir: var/log/njord, archive_dir: var/log}",
            "demo.yaml:1: paths.archive_dir is 'ROOT/var/log'; allowed: neither paths.journal_dir, which",
        ),
        (
            "strategies: {smma: {enabled: false}}",
            "demo.yaml:1: strategies.smma is no such strategy; did you mean 'sma'",
        ),
    ],
)
def test_a_contradiction_between_sections_is_named(tmp_path: Path, text: str, expected: str) -> None:
    """Each at the key to change, with the value that it contradicts."""
    found = refusal(written(tmp_path, strategies=STRATEGIES, demo=text + "\n"), "demo")
    lines = [line.replace(str(tmp_path), "ROOT") for line in found]
    assert [line.startswith(f"config/{expected}") for line in lines] == [True], lines


def test_what_is_just_allowed_is_allowed(tmp_path: Path) -> None:
    """A cap as high as the other, a capital that just covers what is needed, ports that are free to choose."""
    text = (
        "risk: {per_order_usd_cap: 90, daily_loss_usd_cap: 90}\n"
        f"portfolio: {{total_capital: 1000, allocations: [{ALLOCATION}]}}\n"
        "runtime: {health_ports: {risk_engine: 0, paper_trader: 0, strategy_runner: 8102}}\n"
    )
    assert (
        load_config(written(tmp_path, strategies=STRATEGIES, demo=text), "demo", environ={}).risk.per_order_usd_cap
        == 90
    )


def test_a_rule_shows_no_value_of_a_variable(tmp_path: Path) -> None:
    """Neither that of the wrong key nor that of the other one."""
    root = written(tmp_path, demo="risk: {per_order_usd_cap: '${A}', daily_loss_usd_cap: '${B}'}\n")
    assert refusal(root, "demo", A="778", B="777") == [
        "config/demo.yaml:1: risk.per_order_usd_cap is ***; allowed: at most risk.daily_loss_usd_cap, which is ***"
    ]


def test_all_broken_rules_are_named_at_once(tmp_path: Path) -> None:
    """One start is enough to find them all."""
    root = written(tmp_path, demo="account: {quote: EUR}\nrisk: {per_order_usd_cap: 500}\n")
    assert len(refusal(root, "demo")) == 2


# -- live


def test_a_live_configuration_that_keeps_every_rule_is_accepted(tmp_path: Path) -> None:
    """Policy, capital, caps and folders as live trading wants them."""
    assert load_config(live_root(tmp_path), "live", environ={}).app.env == "live"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "policy: {sizing: {equity: 9}}\n",
            "",
            "config/base.yaml: policy is missing; live trading needs an explicit policy",
        ),
        (
            "{env: live}",
            "{env: paper}",
            "config/live.yaml:1: app.env is 'paper'; allowed with the profile live: live",
        ),
        (
            "daily_loss_usd_cap: 210",
            "daily_loss_usd_cap: 5000",
            "config/live.yaml:3: risk.daily_loss_usd_cap is 5000; allowed in live trading: below portfolio."
            "total_capital, which is 5000",
        ),
        (
            "kill_switch_file: /var/lib/njord/halt",
            "kill_switch_file: /var/run/njord/halt",
            "config/live.yaml:3: risk.kill_switch_file is '/var/run/njord/halt'; allowed in live trading: a place "
            "that a reboot does not empty",
        ),
        (
            "state_dir: /var/lib/njord",
            "state_dir: /tmp/njord",
            "config/live.yaml:4: paths.state_dir is '/tmp/njord'; allowed in live trading: a place that a reboot does "
            "not empty",
        ),
        (
            "journal_dir: /var/log/njord",
            "journal_dir: /run/njord",
            "config/live.yaml:4: paths.journal_dir is '/run/njord'; allowed in live trading: a place that a "
            "reboot does not empty",
        ),
        (
            "archive_dir: /srv/njord",
            "archive_dir: /tmp/njord",
            "config/live.yaml:4: paths.archive_dir is '/tmp/njord'; allowed in live trading: a place that a "
            "reboot does not empty",
        ),
    ],
)
def test_live_trading_refuses(tmp_path: Path, old: str, new: str, expected: str) -> None:
    """What would cost real money is refused before anything starts."""
    assert refusal(live_root(tmp_path, live=LIVE_SWITCH.replace(old, new)), "live") == [expected]


def test_a_profile_of_another_name_may_be_live_and_paper_need_not_be(tmp_path: Path) -> None:
    """The rules go by app.env: they hold wherever it says live, and only there."""
    root = live_root(tmp_path, night="app: {env: live}\n", demo="paths: {state_dir: /run/x}\n")
    assert any("policy is missing" in line for line in refusal(root, "night"))
    assert load_config(root, "demo", environ={}).app.env == "paper"
    assert refusal(root, "live", NJORD__APP__ENV="dev") == [
        "NJORD__APP__ENV: app.env is 'dev'; allowed with the profile live: live"
    ]


def test_live_trading_wants_capital_for_every_enabled_strategy(tmp_path: Path) -> None:
    """One that is enabled without a share is named; one that is not enabled needs none."""
    root = live_root(tmp_path, strategies=STRATEGIES.replace("enabled: false", "enabled: true"))
    assert refusal(root, "live") == [
        "config/portfolio.yaml:3: portfolio.allocations has none for trend, which is enabled; live trading needs one "
        "for every enabled strategy"
    ]


def test_live_trading_keeps_nothing_in_memory(tmp_path: Path) -> None:
    """A file system in memory is found by what is mounted, whatever its folder is called."""
    memory = Path("/dev/shm")
    if not memory.is_mount():
        pytest.skip("no file system in memory here")
    (line,) = refusal(live_root(tmp_path, live=LIVE_SWITCH.replace("/var/lib/njord/halt", f"{memory}/a/halt")), "live")
    assert line == (
        "config/live.yaml:3: risk.kill_switch_file is '/dev/shm/a/halt'; allowed in live trading: a place that a "
        "reboot does not empty"
    )


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("redis://127.0.0.1:6379/0", True),
        ("redis://localhost/0", True),
        ("redis://[::1]:6379/0", True),
        ("unix:///run/redis.sock", True),
        ("rediss://:p@redis.example:6379/0", True),
        ("redis://redis.example:6379/0", False),
        ("redis://:p@10.0.0.7:6379/0", False),
    ],
)
def test_live_trading_reaches_another_host_encrypted(tmp_path: Path, url: str, accepted: bool) -> None:
    """Who can read the password on the way can trade."""
    root = live_root(tmp_path)
    if accepted:
        assert load_config(root, "live", environ={"REDIS_URL": url}).redis.url == url
        return
    shown = url.replace(":p@", "***@")
    assert refusal(root, "live", REDIS_URL=url) == [
        f"REDIS_URL: redis.url is '{shown}'; allowed in live trading: rediss:// to another host"
    ]


def test_live_trading_wants_secrets_encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same file is fine on paper, and fine encrypted."""
    root = live_root(tmp_path, secrets_enc="redis: {cell: x}\n")
    assert load_config(root, environ={}).redis.cell == "x"
    assert refusal(root, "live") == [
        "config/secrets.enc.yaml: is not encrypted; live trading needs it encrypted with SOPS, or credentials of "
        "systemd instead"
    ]
    sops = tmp_path / "sops"
    sops.write_text("#!/bin/sh\necho 'redis: {cell: y}'\n")
    sops.chmod(sops.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    live_root(tmp_path, secrets_enc="redis: {cell: 'ENC[x]'}\nsops: {version: 3}\n")
    assert load_config(root, "live", environ={}).redis.cell == "y"


# -- what is shipped


@pytest.mark.parametrize("profile", PROFILES)
def test_every_shipped_profile_loads_and_every_service_takes_its_part(profile: str) -> None:
    """No documented `--profile` ends in an error."""
    config = load_config(ROOT, profile, environ=LASTING)
    for service in SERVICES:
        service.build(content_for(service.name, config))
    assert config.app.env == {"demo": "paper"}.get(profile, profile)


def test_the_profiles_keep_out_of_each_others_way(tmp_path: Path) -> None:
    """dev and live have cells and journals of their own; only dev has another kill switch."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "config" / "live.yaml").rename(tmp_path / "config" / "copy.yaml")  # may say that it is not live:
    names = {"dev": {}, "paper": {}, "copy": {"NJORD__APP__ENV": "paper"}}  # live refuses folders such as this one
    dev, paper, live = (load_config(tmp_path, name, environ=environ) for name, environ in names.items())
    assert len({config.redis.cell for config in (dev, paper, live)}) == 3
    for key in ("journal_dir", "log_dir", "run_dir"):
        assert len({getattr(config.paths, key) for config in (dev, paper, live)}) == 3
    assert paper.kill_switch_file == live.kill_switch_file == load_config(tmp_path, environ={}).kill_switch_file
    assert paper.risk.kill_switch_key == live.risk.kill_switch_key
    assert dev.kill_switch_file != paper.kill_switch_file
    assert dev.risk.kill_switch_key != paper.risk.kill_switch_key
    assert live.account.name != paper.account.name


def test_live_is_smaller_than_paper() -> None:
    """Each cap and each age is tighter, and a full position passes the gate whichever strategy opens it."""
    paper, live = (load_config(ROOT, profile, environ=LASTING) for profile in ("paper", "live"))
    for key in ("per_order_usd_cap", "daily_loss_usd_cap", "orders_per_min_cap", "max_price_age_s", "max_intent_age_s"):
        assert getattr(live.risk, key) < getattr(paper.risk, key)
    for config in (paper, live):
        largest = max(allocation.risk_multiplier for allocation in config.portfolio.allocations)
        assert float(config.policy.sizing.equity) * largest < config.risk.per_order_usd_cap


def test_the_shipped_portfolio_is_the_documented_example() -> None:
    """multi_strategy_v1: 50,000, 5 % drift, 24 hours, three strategies with 40, 35 and 25 %."""
    portfolio = load_config(ROOT, environ={}).portfolio
    assert (portfolio.id, portfolio.total_capital) == ("multi_strategy_v1", 50_000.0)
    assert (portfolio.rebalance_threshold, portfolio.rebalance_frequency_hours) == (0.05, 24)
    rows = [
        (each.strategy_id, each.target_weight, each.min_capital, each.max_capital, each.risk_multiplier)
        for each in portfolio.allocations
    ]
    assert rows == [
        ("trendline_break_v1", 0.40, 10_000.0, 30_000.0, 1.0),
        ("rsi_tema_bb_v1", 0.35, 10_000.0, 25_000.0, 0.8),
        ("momentum_v1", 0.25, 5_000.0, 20_000.0, 1.2),
    ]


@pytest.mark.parametrize("policy", sorted(path.stem for path in (ROOT / "config" / "risk_policies").glob("*.yaml")))
def test_every_shipped_policy_can_be_named(tmp_path: Path, policy: str) -> None:
    """By `policy:` in any file, here in the environment."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    config = load_config(tmp_path, environ={"NJORD__POLICY": policy})
    assert content_for("portfolio_manager", config)["policy"]["sizing"]["method"]


def test_every_service_has_a_part(tmp_path: Path) -> None:
    """Whatever can be configured by name has one, and it is JSON."""
    config = load_config(written(tmp_path, base=BASE), environ={})
    handlers = {service.name for service in SERVICES}
    assert handlers < set(SERVICE_NAMES)
    wanted: Callable[[str], bool] = lambda name: bool(content_for(name, config))  # noqa: E731
    assert all(map(wanted, SERVICE_NAMES))
