"""The configuration: what wins over what, and how each mistake is named."""

from __future__ import annotations

import stat
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.codec import content_hash, convert
from core.config import Config, content_for, load_config, safe_url
from core.contracts import PortfolioConfig
from core.errors import ConfigError
from core.risk.policy import RiskPolicy
from core.risk.settings import GateSettings

ROOT = Path(__file__).resolve().parents[1]
BTC = {"symbol": "BTC/USDT", "tick_size": "0.01", "lot_size": "0.00001", "min_notional": "5"}
MINIMAL = {"app": {"env": "paper"}, "instruments": [BTC]}
BASE = """\
app: {env: paper}
instruments:
  - {symbol: BTC/USDT, tick_size: "0.01", lot_size: "0.00001", min_notional: "5"}
risk:
  per_order_usd_cap: 200
  orders_per_min_cap: 20
"""
STRATEGIES = """\
strategies:
  - id: sma
    class: strategies.samples.sma_cross.SmaCross
    symbols: [BTC/USDT]
    events: ["md.trades.*"]
    params: {fast: 10, slow: 30}
  - id: trend
    class: strategies.samples.trendline_break.TrendlineBreak
    enabled: false
    symbols: [BTC/USDT]
    events: ["md.trades.*"]
"""


def written(tmp_path: Path, **files: str) -> Path:
    """A root with a config folder; `secrets_enc` stands for secrets.enc.yaml."""
    folder = tmp_path / "config"
    folder.mkdir(exist_ok=True)
    for name, text in {"base": BASE, **files}.items():
        (folder / f"{name.replace('_enc', '.enc')}.yaml").write_text(text)
    return tmp_path


def refusal(root: Path, profile: str | None = None, **environ: str) -> list[str]:
    """The lines of the error that loading ends with."""
    with pytest.raises(ConfigError) as caught:
        load_config(root, profile, environ=environ)
    return str(caught.value).splitlines()


def test_shipped_configuration_loads_by_file_and_by_root() -> None:
    """`--config ./config/base.yaml` and `--config-root .` mean the same."""
    by_file = load_config(ROOT / "config" / "base.yaml", environ={})
    by_root = load_config(str(ROOT), environ={})
    assert by_file == by_root
    assert by_file.root == by_root.root == ROOT


def test_shipped_base_lists_every_setting_at_its_default() -> None:
    """A reader of config/ sees everything there is, and removing a line changes only the capital."""
    shipped = load_config(ROOT, environ={})
    bare = Config.model_validate({"app": shipped.app, "instruments": shipped.instruments})
    assert shipped.portfolio.id == "multi_strategy_v1"  # the one section whose content is an example
    same = {"paths": None, "portfolio": None}
    assert {**shipped.model_dump(), **same} == {**bare.model_dump(), **same}
    portfolio = {"portfolio", "account", "fees", "policy"}
    for name, sections in (("base", set(Config.model_fields) - portfolio), ("portfolio", portfolio)):
        text = (ROOT / "config" / f"{name}.yaml").read_text()
        for section, values in shipped.model_dump(include=sections - {"instruments"}).items():
            for key in (section, *(values if section != "policy" else ())):
                assert f"{key}:" in text, f"{section}.{key} is not in config/{name}.yaml"


def test_model_validate_takes_plain_values() -> None:
    """A configuration can be built without files; money is exact."""
    config = Config.model_validate({**MINIMAL, "risk": {"per_order_usd_cap": 0.1}})
    assert config.risk.per_order_usd_cap == Decimal("0.1")
    assert config.instruments[0].lot_size == Decimal("0.00001")


def test_model_validate_refuses_unknown_keys() -> None:
    """A key that nothing reads is a mistake, in sections and in embedded records alike."""
    for wrong in ({"extra": 1}, {"risk": {"extra": 1}}, {"instruments": [{**BTC, "extra": 1}]}):
        with pytest.raises(ValidationError):
            Config.model_validate({**MINIMAL, **wrong})


def test_later_sources_win_and_mappings_are_merged(tmp_path: Path) -> None:
    """Base < portfolio < profile < secrets < environment, key by key."""
    root = written(
        tmp_path,
        portfolio="portfolio: {total_capital: 6, id: mine}\nfees: {maker_bps: 1, taker_bps: 2}\n",
        demo="risk: {per_order_usd_cap: 150, daily_loss_usd_cap: 190}\nportfolio: {total_capital: 7}\n"
        "fees: {maker_bps: 3}\n",
        secrets_enc="portfolio: {total_capital: 8}\nredis: {url: 'redis://:hidden@h:1/0'}\n",
    )
    config = load_config(root, "demo", environ={"NJORD__RISK__PER_ORDER_USD_CAP": "100"})
    assert config.risk.per_order_usd_cap == 100  # environment over profile over base
    assert config.risk.daily_loss_usd_cap == 190  # profile over default
    assert config.risk.orders_per_min_cap == 20  # base
    assert [config.fees.maker_bps, config.fees.taker_bps] == [3, 2]  # profile over portfolio, portfolio over default
    assert config.portfolio.id == "mine"
    assert config.portfolio.total_capital == 8  # secrets over profile
    assert config.redis.url == "redis://:hidden@h:1/0"


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "redis://127.0.0.1:6379/0"),
        ({"REDIS_URL": "redis://a:1/0"}, "redis://a:1/0"),
        ({"REDIS_URL": ""}, "redis://127.0.0.1:6379/0"),
        ({"REDIS_URL": "redis://a:1/0", "NJORD__REDIS__URL": "unix:///run/s"}, "unix:///run/s"),
    ],
)
def test_redis_url_from_the_environment(tmp_path: Path, environ: dict[str, str], url: str) -> None:
    """REDIS_URL is what every host sets; our own name is more specific and wins."""
    assert load_config(written(tmp_path), environ=environ).redis.url == url


def test_relative_paths_are_under_the_root(tmp_path: Path) -> None:
    """Where the process was started does not matter; absolute paths stay."""
    root = written(tmp_path, demo="paths: {log_dir: /var/log/njord}\n")
    config = load_config(root, "demo", environ={})
    assert config.paths.state_dir == root / "var" / "state"
    assert config.paths.log_dir == Path("/var/log/njord")
    assert config.kill_switch_file == root / config.risk.kill_switch_file


def test_a_list_in_a_profile_replaces_the_whole_list(tmp_path: Path) -> None:
    """Two instruments in base and one in the profile are one, and its mistakes are named at its place."""
    root = written(tmp_path, demo="instruments:\n  - {symbol: ETH/USDT, tick_size: 1}\n")
    assert refusal(root, "demo") == ["config/demo.yaml:2: instruments[0].lot_size: is missing"]


def test_a_section_without_content_says_nothing(tmp_path: Path) -> None:
    """Whose lines are all commented out is as if it were not there."""
    root = written(tmp_path, base=BASE + "account:\n", demo="risk: # per_order_usd_cap: 1\n")
    config = load_config(root, "demo", environ={})
    assert (config.risk.per_order_usd_cap, config.account.name) == (Decimal(200), "main")


def test_a_base_outside_a_config_folder_is_its_own_root(tmp_path: Path) -> None:
    """A file given by its full name keeps its data beside it, not one level up."""
    (tmp_path / "mine.yaml").write_text(BASE)
    config = load_config(tmp_path / "mine.yaml", environ={})
    assert config.paths.state_dir == tmp_path / "var" / "state"


def test_each_symbol_is_given_once(tmp_path: Path) -> None:
    """Two grids for one symbol would leave it to chance which one counts."""
    twice = BASE.replace("risk:", '  - {symbol: BTC/USDT, tick_size: "1", lot_size: "1"}\nrisk:')
    (line,) = refusal(written(tmp_path, base=twice))
    assert line.startswith("config/base.yaml:2: instruments is ")
    assert line.endswith("allowed: each symbol once, not BTC/USDT twice")


MISTAKES = [
    ("riks: {}", "config/base.yaml:7: riks: unknown key; did you mean 'risk'? allowed: app, instruments, "),
    ("account: {nam: x}", "config/base.yaml:7: account.nam: unknown key; did you mean 'name'? allowed: name, quote"),
    ("account: {name: ''}", "config/base.yaml:7: account.name is ''; allowed: "),
    ("fees: 7", "config/base.yaml:7: fees is 7; allowed: keys and values"),
    ("fees: {maker_bps: ten}", "config/base.yaml:7: fees.maker_bps is 'ten'; allowed: a valid decimal"),
    ("fees: {maker_bps: .nan}", "config/base.yaml:7: fees.maker_bps is nan; allowed: a finite number"),
    ("fees: {taker_bps: 10000}", "config/base.yaml:7: fees.taker_bps is 10000; allowed: between -10,000 and 10,000"),
    (
        "portfolio: {total_capital: -1}",
        "config/base.yaml:7: portfolio.total_capital is -1; allowed: a finite number",
    ),
    (
        "portfolio: {total_capital: .inf}",
        "config/base.yaml:7: portfolio.total_capital is inf; allowed: a finite",
    ),
    ("portfolio: {total_capital: yes}", "config/base.yaml:7: portfolio.total_capital is True; allowed: a number"),
    ("portfolio: {starting_cash: 1}", "config/base.yaml:7: portfolio.starting_cash: unknown key; allowed: id, total_"),
    ("portfolio: {rebalance_frequency_hours: 0}", "config/base.yaml:7: portfolio.rebalance_frequency_hours is 0; allo"),
    (
        "policy: {sizing: {fracton: 1}}",
        "config/base.yaml:7: policy.sizing.fracton: unknown key; did you mean 'fra",
    ),
    ("policy: {sizing: {fraction: 2}}", "config/base.yaml:7: policy.sizing.fraction is 2; allowed: above 0, at most 1"),
    ("policy: 7", "config/base.yaml:7: policy is 7; allowed: keys and values"),
    ("runtime: {fsync_every_ms: yes}", "config/base.yaml:7: runtime.fsync_every_ms is True; allowed: a number"),
    ("runtime: {kill_switch_every_s: 2}", "config/base.yaml:7: runtime.kill_switch_every_s is 2; allowed: less than"),
    ("runtime: {health_ports: {risk: 1}}", "config/base.yaml:7: runtime.health_ports.risk is 1; allowed: 'md_ingest',"),
    ("redis: {url: localhost}", "config/base.yaml:7: redis.url is 'localhost'; allowed: match pattern"),
    ("app: {env: live}", "config/base.yaml:7: app is given twice, first at config/base.yaml:1"),
    ("paths: [", "config/base.yaml:8: not YAML: "),
]


@pytest.mark.parametrize(("line", "expected"), MISTAKES)
def test_each_mistake_is_named(tmp_path: Path, line: str, expected: str) -> None:
    """File, line, key, value and what is allowed: enough to fix it without reading code."""
    lines = refusal(written(tmp_path, base=BASE + line + "\n"))
    assert len(lines) == 1
    assert lines[0].startswith(expected)


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    """One start shows every mistake of every source, each at its own place."""
    root = written(
        tmp_path,
        base=BASE + "account: {nam: x}\n",
        demo="risk: {orders_per_min_cap: 0}\n",
        strategies=STRATEGIES.replace("id: trend", "id: sma").replace("symbols: [BTC/USDT]", "symbols: BTC/USDT", 1),
    )
    lines = refusal(root, "demo", NJORD__PORTFOLIO__ID="''")
    assert [line.split(": ")[0] for line in lines] == [
        "config/strategies.yaml:4",
        "config/demo.yaml:1",
        "NJORD__PORTFOLIO__ID",
        "config/base.yaml:7",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [("demoo", "did you mean 'demo'? allowed: demo, night"), ("base", "allowed: demo, night"), ("../x", "allowed: ")],
)
def test_an_unknown_profile_lists_those_that_exist(tmp_path: Path, name: str, message: str) -> None:
    """A profile is a file of its own beside base.yaml, never base, secrets or strategies."""
    root = written(tmp_path, demo="{}", night="{}", strategies="{}", portfolio="{}", secrets_enc="{}")
    assert message in refusal(root, name)[0]


def test_a_missing_base_is_named_with_what_was_looked_for(tmp_path: Path) -> None:
    """Neither half of `config/base.yaml` is ever appended twice."""
    assert refusal(tmp_path)[0].startswith(str(tmp_path / "config" / "base.yaml") + ": there is no such file")
    assert refusal(tmp_path / "base.yaml")[0].startswith(str(tmp_path / "base.yaml") + ": there is no such file")


@pytest.mark.parametrize(
    ("text", "message"),
    [("- 1\n", "holds a list"), ("\xff", "instruments: is missing"), ("", "instruments: is missing")],
)
def test_a_base_that_holds_no_keys_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """An empty file, a list and a single word are no configuration."""
    root = written(tmp_path, base=text if text != "\xff" else "# only a comment\n")
    assert message in refusal(root)[-1]


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A binary file in the place of the base file is named, not thrown as a decoding error."""
    root = written(tmp_path)
    (root / "config" / "base.yaml").write_bytes(b"\xff\xfe\x00")
    assert refusal(root)[0].startswith("config/base.yaml: cannot be read")


def test_an_alias_to_its_own_anchor_is_no_endless_loop(tmp_path: Path) -> None:
    """A file that contains itself is refused like any other wrong value."""
    assert "paths.state_dir" in refusal(written(tmp_path, base=BASE + "paths: &a {state_dir: *a}\n"))[0]


def test_strategies_are_read_with_overrides_of_the_profile(tmp_path: Path) -> None:
    """Parameters are merged, the rest is replaced, and the order of the file stays."""
    root = written(
        tmp_path,
        strategies=STRATEGIES,
        demo="strategies:\n  sma: {params: {fast: 5}}\n  trend: {enabled: true, symbols: [ETH/USDT]}\n",
    )
    sma, trend = load_config(root, "demo", environ={}).strategy_entries
    assert sma == {
        "id": "sma",
        "class": "strategies.samples.sma_cross.SmaCross",
        "enabled": True,
        "symbols": ["BTC/USDT"],
        "events": ["md.trades.*"],
        "params": {"fast": 5, "slow": 30},
    }
    assert (trend["enabled"], trend["symbols"], trend["params"]) == (True, ["ETH/USDT"], {})
    assert load_config(root, environ={}).strategy_entries[0]["params"] == {"fast": 10, "slow": 30}


def test_an_override_of_an_unknown_strategy_is_refused(tmp_path: Path) -> None:
    """A typo in an id must not leave a strategy at its old parameters in silence."""
    root = written(tmp_path, strategies=STRATEGIES, demo="strategies: {smaa: {enabled: false}}\n")
    assert refusal(root, "demo") == [
        "config/demo.yaml:1: strategies.smaa is no such strategy; did you mean 'sma'? allowed: sma, trend"
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("id: trend", "id: sma", "config/strategies.yaml:7: strategies[1].id is 'sma', as that of strategies[0]"),
        (
            "[BTC/USDT]",
            "BTC/USDT",
            "config/strategies.yaml:4: strategies[0].symbols is 'BTC/USDT'; allowed: a valid list",
        ),
        ("class: ", "klass: ", "config/strategies.yaml:2: strategies[0].class: is missing"),
        ("slow: 30", "slow: .inf", "config/strategies.yaml:6: strategies[0].params.slow is inf; allowed: a finite"),
        ("slow: 30", "at: 2024-01-01", "config/strategies.yaml:6: strategies[0].params.at is '2024-01-01'; allowed: "),
        ("strategies:\n", "strategy:\n", "config/strategies.yaml:1: strategy: unknown key; did you mean 'strategies'?"),
    ],
)
def test_mistakes_in_strategies_are_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    """Lists are lists, ids are unique, parameters are JSON values."""
    assert refusal(written(tmp_path, strategies=STRATEGIES.replace(old, new, 1)))[0].startswith(expected)


def test_secrets_never_show(tmp_path: Path) -> None:
    """Neither the repr nor an error shows a password, and no value out of the file of secrets."""
    root = written(tmp_path, secrets_enc="redis: {url: 'redis://u:hunter2@h:1/0'}\n")
    assert "hunter2" not in repr(load_config(root, environ={}))
    wrong = written(tmp_path, secrets_enc="redis: {url: 'hunter2'}\n")
    assert refusal(wrong) == [
        "config/secrets.enc.yaml:1: redis.url is ***; allowed: match pattern '^(redis|rediss|unix)://'"
    ]
    (root / "config" / "secrets.enc.yaml").unlink()
    assert "hunter2" not in refusal(root, REDIS_URL="http://u:hunter2@h")[0]
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({**MINIMAL, "redis": {"url": "http://u:hunter2@h"}})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("rediss://:p@ss/w@h:6379/0", "rediss://***@h:6379/0"),
        ("unix://u:p@/run/redis.sock", "unix://***@/run/redis.sock"),
        ("://" * 30_000, "://" * 30_000),  # takes time in proportion to its length, not to its square
    ],
)
def test_safe_url(url: str, shown: str) -> None:
    """User and password are hidden, host and database stay readable."""
    assert safe_url(url) == shown


def test_encrypted_secrets_need_sops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the program the error says what is missing instead of reading ciphers as values."""
    root = written(tmp_path, secrets_enc="redis: {url: 'ENC[AES256_GCM,data:x]'}\nsops: {version: 3.9.0}\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal(root)[0].startswith("config/secrets.enc.yaml: is encrypted with SOPS, and there is no program")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("cat <<END\nredis: {url: 'redis://:clear@h:1/0'}\nEND", "redis://:clear@h:1/0"),
        (
            "echo 'no key found' >&2; exit 128",
            "config/secrets.enc.yaml: `sops -d` failed with exit code 128: no key found",
        ),
    ],
)
def test_encrypted_secrets_go_through_sops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: str
) -> None:
    """What the program prints is merged; what it complains about is passed on."""
    root = written(tmp_path, secrets_enc="redis: {url: 'ENC[AES256_GCM,data:x]'}\nsops: {version: 3.9.0}\n")
    sops = tmp_path / "sops"
    sops.write_text(f"#!/bin/sh\n{script}\n")
    sops.chmod(sops.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    if "failed" in expected:
        assert refusal(root) == [expected]
    else:
        assert load_config(root, environ={}).redis.url == expected


def test_each_service_gets_its_own_part() -> None:
    """The parts are JSON values with decimals as text, and the handlers' own records take them."""
    config = Config.model_validate({**MINIMAL, "risk": {"per_order_usd_cap": 250}})
    gate = convert(content_for("risk_engine", config), GateSettings)
    assert (gate.venue, gate.live, gate.risk.per_order_usd_cap) == ("paper", False, Decimal(250))
    manager = content_for("portfolio_manager", config)
    assert convert(manager["portfolio"], PortfolioConfig) == PortfolioConfig("main", 10_000.0)
    assert convert(manager["policy"], RiskPolicy) == RiskPolicy()
    assert (manager["quote"], manager["instruments"]) == ("USDT", [BTC])
    assert content_for("paper_trader", config)["paper"] == {
        "account": "main",
        "maker_fee_bps": "10",
        "taker_fee_bps": "10",
    }
    assert content_for("paper_trader", config)["instruments"] == [BTC]
    assert content_for("strategy_runner", config) == {"strategies": [], "max_errors": 10, "instruments": [BTC]}
    with pytest.raises(
        ConfigError, match=r"no configuration belongs to service 'risk_engin'; did you mean 'risk_engine'"
    ):
        content_for("risk_engin", config)


def test_equal_configurations_give_equal_bytes() -> None:
    """250, 250.0 and "250.00" are one amount, so they are one hash; another amount is another."""
    hashes = [
        content_hash(content_for("risk_engine", Config.model_validate({**MINIMAL, "risk": {"per_order_usd_cap": cap}})))
        for cap in (250, 250.0, "250.00", "2.5e2", 251)
    ]
    assert len(set(hashes[:4])) == 1
    assert hashes[4] != hashes[0]
