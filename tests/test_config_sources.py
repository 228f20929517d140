"""Where the configuration comes from: portfolio, site and policy files, variables in values, credentials of systemd."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from core.config import Config, load_config
from core.execution.paper import PaperSettings
from core.risk.policy import Sizing
from tests.test_config import BASE, STRATEGIES, refusal, written

PORTFOLIO = """\
portfolio:
  id: two
  total_capital: 1000
  allocations:
    - {strategy_id: sma, target_weight: 0.6, min_capital: 100, max_capital: 900}
    - {strategy_id: trend, target_weight: 0.4, min_capital: 50, max_capital: 500, risk_multiplier: 0.5}
account: {name: desk, quote: USDT}
fees: {maker_bps: -1, taker_bps: 7.5}
policy: small
"""


def with_policy(root: Path, text: str = "sizing: {method: fixed_equity, equity: 20}\n", name: str = "small") -> Path:
    """The same root with a policy."""
    folder = root / "config" / "risk_policies"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(text)
    return root


def desk(tmp_path: Path, **files: str) -> Path:
    """A root with two strategies, their capital and a policy."""
    return with_policy(written(tmp_path, **{"strategies": STRATEGIES, "portfolio": PORTFOLIO, **files}))


# -- portfolio.yaml and policies


def test_the_portfolio_file_gives_capital_account_fees_and_policy(tmp_path: Path) -> None:
    """Each of its sections is in force, and files that may be edited later are watched."""
    config = load_config(desk(tmp_path), environ={})
    assert [each.strategy_id for each in config.portfolio.allocations] == ["sma", "trend"]
    assert config.portfolio.contract().total_capital == 1000.0
    assert config.paper == PaperSettings("desk", Decimal(-1), Decimal("7.5"))
    assert config.policy.sizing == Sizing("fixed_equity", equity=Decimal(20))
    assert [path.name for path in config.files] == ["base.yaml", "portfolio.yaml", "small.yaml", "strategies.yaml"]


def test_a_profile_takes_another_policy_or_writes_its_own(tmp_path: Path) -> None:
    """A name stands for a file; sections in its place are a policy of their own, with defaults for the rest."""
    root = with_policy(desk(tmp_path, other="policy: large\n"), "sizing: {equity: 90}\n", "large")
    assert load_config(root, "other", environ={}).policy.sizing.equity == 90
    assert load_config(root, "other", environ={"NJORD__POLICY": "small"}).policy.sizing.equity == 20
    (root / "config" / "other.yaml").write_text("policy: {sizing: {equity: 7}}\n")
    sizing = load_config(root, "other", environ={}).policy.sizing
    assert sizing == type(sizing)(equity=Decimal(7))


PORTFOLIO_MISTAKES = [
    ("risk: {}", "config/portfolio.yaml:10: risk: unknown key; allowed: portfolio, account, fees, policy"),
    ("feess: {}", "config/portfolio.yaml:10: feess: unknown key; did you mean 'fees'? allowed: portfolio, account, "),
    ("policy: x", "config/portfolio.yaml:10: policy is given twice, first at config/portfolio.yaml:9"),
]


@pytest.mark.parametrize(("line", "expected"), PORTFOLIO_MISTAKES)
def test_the_portfolio_file_holds_nothing_else(tmp_path: Path, line: str, expected: str) -> None:
    """A cap in the wrong file is refused instead of being overlooked there."""
    (only,) = refusal(desk(tmp_path, portfolio=PORTFOLIO + line + "\n"))
    assert only.startswith(expected)


ALLOCATION_MISTAKES = [
    (
        "target_weight: 0.6",
        "target_weight: 0.5",
        "4: portfolio.allocations is 0.9; allowed: target weights that add up",
    ),
    ("target_weight: 0.6", "target_weight: 60", "5: portfolio.allocations[0].target_weight is 60; allowed: 0 to 1"),
    (
        "min_capital: 50",
        "min_capital: 500",
        "6: portfolio.allocations[1].min_capital is 500; allowed: 0 or more, below",
    ),
    ("strategy_id: trend", "strategy_id: sma", "4: portfolio.allocations is 'sma'; allowed: each strategy once"),
    (
        "max_capital: 900",
        "max_capitol: 9",
        "5: portfolio.allocations[0].max_capital: is missing",
    ),
    ("risk_multiplier: 0.5", "risk_multiplier: 0", "6: portfolio.allocations[1].risk_multiplier is 0; allowed: a fini"),
    (
        "max_capital: 900",
        "max_capital: 9999, x: 1",
        "5: portfolio.allocations[0].x: unknown key; allowed: strategy_id, ",
    ),
    (
        "strategy_id: trend",
        "strategy_id: trent",
        "6: portfolio.allocations[1].strategy_id is 'trent', no such strategy; "
        "did you mean 'trend'? allowed: sma, trend",
    ),
    ("policy: small", "policy: smal", "9: policy is 'smal'; did you mean 'small'? allowed: small"),
]


@pytest.mark.parametrize(("old", "new", "expected"), ALLOCATION_MISTAKES)
def test_a_mistake_in_the_division_of_capital_is_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    """Weights add up, each strategy exists and has one share, and the policy has a file."""
    lines = refusal(desk(tmp_path, portfolio=PORTFOLIO.replace(old, new, 1)))
    assert lines[0].startswith(f"config/portfolio.yaml:{expected}")


def test_a_mistake_in_a_policy_is_named_in_its_own_file(tmp_path: Path) -> None:
    """Whoever edits a policy is sent to the policy, not to the file that names it."""
    root = with_policy(desk(tmp_path), "sizing:\n  equity: -1\nlimit: {}\n")
    assert refusal(root) == [
        "config/risk_policies/small.yaml:2: policy.sizing.equity is -1; allowed: above 0",
        "config/risk_policies/small.yaml:3: policy.limit: unknown key; did you mean 'limits'? allowed: budgets, "
        "sizing, cash_management, limits, drawdown_controls, strategy_limits, execution_controls, rebalancing",
    ]
    assert refusal(with_policy(root, "sizing: ["))[0].startswith("config/risk_policies/small.yaml:2: not YAML: ")


def test_site_lies_over_every_profile(tmp_path: Path) -> None:
    """What is different on one machine is said once: site over profile, environment over site; it is no profile."""
    root = written(tmp_path, demo="redis: {cell: d}\npaths: {run_dir: a}\n", site="paths: {run_dir: /run/x}\n")
    config = load_config(root, "demo", environ={})
    assert (config.redis.cell, config.paths.run_dir) == ("d", Path("/run/x"))
    assert load_config(root, "demo", environ={"NJORD__PATHS__RUN_DIR": "/e"}).paths.run_dir == Path("/e")
    assert refusal(root, "site") == ["profile 'site' does not exist in config/; allowed: demo"]


def test_all_files_that_cannot_be_read_are_named_at_once(tmp_path: Path) -> None:
    """What stands in the others is not complained of before everything is read."""
    root = written(tmp_path, base=BASE + "paths: [", demo="- 1\n", strategies="a: {", portfolio="riks: 1\n")
    assert [line.split(": ")[0] for line in refusal(root, "demo")] == [
        "config/base.yaml:8",
        "config/portfolio.yaml:1",
        "config/demo.yaml",
        "config/strategies.yaml:2",
    ]


# -- ${NAME}


@pytest.mark.parametrize(
    ("text", "environ", "url"),
    [
        ("'redis://:${PASS}@h:1/0'", {"PASS": "s3: {x}"}, "redis://:s3: {x}@h:1/0"),
        ("redis://${HOST:-localhost}:${PORT:-6379}/0", {"PORT": "7"}, "redis://localhost:7/0"),
        ("redis://${HOST:-localhost}/0", {"HOST": ""}, "redis://localhost/0"),
        ("redis://h${EMPTY:-}/0", {}, "redis://h/0"),
        ("redis://h${EMPTY}/0", {"EMPTY": ""}, "redis://h/0"),
        ("redis://:$${A}$B@h/0", {"A": "x"}, "redis://:${A}$B@h/0"),
        ("redis://:${A}@h/0", {"A": "${B}", "B": "x"}, "redis://:${B}@h/0"),
    ],
)
def test_a_reference_stands_for_a_variable(tmp_path: Path, text: str, environ: dict[str, str], url: str) -> None:
    """Anywhere in a value, with a default as in a shell; what the variable holds is taken as it is."""
    assert load_config(written(tmp_path, demo=f"redis:\n  url: {text}\n"), "demo", environ=environ).redis.url == url


def test_a_reference_is_typed_like_the_text_that_it_stands_for(tmp_path: Path) -> None:
    """Without quotes 100 is a number; with quotes it is a text, for a cell that is named so."""
    text = "redis: {cell: '${N}'}\nrisk:\n  orders_per_min_cap: ${N}\nruntime:\n  fsync_every_ms: ${F:-50}\n"
    config = load_config(written(tmp_path, demo=text), "demo", environ={"N": "100"})
    assert (config.redis.cell, config.risk.orders_per_min_cap, config.runtime.fsync_every_ms) == ("100", 100, 50)


def test_references_work_in_every_file_and_through_aliases(tmp_path: Path) -> None:
    """Base, portfolio, profile, strategies, policy and secrets."""
    root = with_policy(
        written(
            tmp_path,
            base=BASE.replace("200", "&cap ${CAP}") + "  daily_loss_usd_cap: *cap\n",
            portfolio="portfolio: {total_capital: '${CAPITAL}'}\npolicy: ${POLICY}\n",
            demo="account: {name: '${NAME}'}\n",
            strategies=STRATEGIES.replace("{fast: 10, slow: 30}", "\n      fast: ${FAST}"),
            secrets_enc="redis: {url: 'redis://:${PASS}@h/0'}\n",
        ),
        "sizing:\n  equity: ${EQUITY}\n",
    )
    environ = {
        **{"CAP": "170", "CAPITAL": "9000", "POLICY": "small", "NAME": "desk"},
        **{"FAST": "3", "PASS": "p", "EQUITY": "11"},
    }
    config = load_config(root, "demo", environ=environ)
    assert config.risk.per_order_usd_cap == config.risk.daily_loss_usd_cap == 170
    assert [config.portfolio.total_capital, float(config.policy.sizing.equity)] == [9000.0, 11.0]
    assert (config.account.name, config.redis.url) == ("desk", "redis://:p@h/0")
    assert config.strategy_entries[0]["params"]["fast"] == 3


def test_an_alias_is_replaced_once(tmp_path: Path) -> None:
    """What a variable holds is taken as it is at both ends of an alias."""
    root = written(tmp_path, demo="account:\n  name: &name ${NAME}\nportfolio:\n  id: *name\n")
    config = load_config(root, "demo", environ={"NAME": "${OTHER}"})
    assert (config.account.name, config.portfolio.id) == ("${OTHER}", "${OTHER}")


REFERENCE_MISTAKES = [
    ("${NOPE}", "the variable NOPE is not set; set it, or write ${NOPE:-text} with what counts without it"),
    ("x${nope_2}y", "the variable nope_2 is not set; set it, or write ${nope_2:-text} with what counts without it"),
    ("'${1X}'", "holds a `${` that is no reference; allowed: ${NAME}, ${NAME:-text}, or $${ for the characters"),
    ("'a${B'", "holds a `${` that is no reference; allowed: ${NAME}, ${NAME:-text}, or $${ for the characters"),
]


@pytest.mark.parametrize(("text", "expected"), REFERENCE_MISTAKES)
def test_a_reference_that_leads_nowhere_is_named(tmp_path: Path, text: str, expected: str) -> None:
    """File, line, key and variable: it is never taken for an empty text."""
    root = written(tmp_path, base=BASE + f"redis:\n  cell: {text}\n", demo="account: {name: '${ALSO}'}\n")
    assert refusal(root) == [f"config/base.yaml:8: redis.cell: {expected}"]
    assert len(refusal(root, "demo")) == 2


def test_a_reference_inside_of_braces_needs_quotes(tmp_path: Path) -> None:
    """YAML ends the value at the first brace; the message says what to do."""
    assert refusal(written(tmp_path, demo="app: {env: paper}\nredis: {cell: ${A}}\n"), "demo") == [
        "config/demo.yaml:2: not YAML: did not find expected ',' or '}'; "
        "inside of {} or [] a value with ${...} needs quotes"
    ]


def test_what_a_variable_holds_is_never_shown(tmp_path: Path) -> None:
    """Neither alone nor as a part of a larger value, whichever kind of mistake it is."""
    secret = "hunter2"
    wrong = {
        "redis: {url: '${S}'}": "redis.url is ***; allowed: match pattern",
        "risk: {per_order_usd_cap: '${S}'}": "risk.per_order_usd_cap is ***; allowed: ",
        "redis: ['${S}']": "redis is ['***']; allowed: keys and values",
        "instruments: [{symbol: '${S}', tick_size: 1, lot_size: 1}]": "instruments[0].symbol is ***; allowed: ",
        "runtime: {at: '${S}'}": "runtime.at: unknown key; ",
        "policy: '${S}'": "policy is ***; allowed: none",
        "strategies: {'${S}': {}}": "strategies.${S} is no such strategy; allowed: none",
    }
    for text, expected in wrong.items():
        lines = refusal(written(tmp_path, demo=text + "\n"), "demo", S=secret)
        assert secret not in "".join(lines)
        assert lines[0].startswith(f"config/demo.yaml:1: {expected}"), lines


def test_a_date_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """YAML takes 2024-13-40 for a date; that is said, not thrown."""
    root = written(tmp_path, demo="account: {name: 2024-13-40}\n")
    assert refusal(root, "demo") == [
        "config/demo.yaml: not YAML: a number or date that cannot exist; put quotes around it where it is a text"
    ]
    assert refusal(root, NJORD__ACCOUNT__NAME="2024-13-40") == ["NJORD__ACCOUNT__NAME: is not YAML"]


# -- credentials and secrets


def credentials(tmp_path: Path, **texts: str) -> dict[str, str]:
    """An environment with credentials; two underscores stand for a dot."""
    folder = tmp_path / "credentials"
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text)
    return {"CREDENTIALS_DIRECTORY": str(folder)}


def test_credentials_of_systemd_are_a_source(tmp_path: Path) -> None:
    """Over the file of secrets, below the environment; those with another name belong to somebody else."""
    root = written(tmp_path, secrets_enc="redis: {url: 'redis://file/0'}\n")
    environ = credentials(tmp_path, njord__redis__url="redis://:p@credential/0\n", sops__age__key="AGE-SECRET")
    assert load_config(root, environ=environ).redis.url == "redis://:p@credential/0"
    assert load_config(root, environ={**environ, "REDIS_URL": "redis://env/0"}).redis.url == "redis://env/0"
    assert load_config(root, environ={"CREDENTIALS_DIRECTORY": str(tmp_path / "none")}).redis.url == "redis://file/0"


def test_a_wrong_credential_is_named_and_never_shown(tmp_path: Path) -> None:
    """A typo in its name is refused as in any other key."""
    root = written(tmp_path)
    environ = credentials(tmp_path, njord__redis__url="hunter2\n", njord__redis__urk="hunter2")
    assert refusal(root, **environ) == [
        "credential njord.redis.url: redis.url is ***; allowed: match pattern '^(redis|rediss|unix)://'",
        "credential njord.redis.urk: redis.urk: unknown key; did you mean 'url'? allowed: url, cell",
    ]
    (tmp_path / "credentials" / "njord.redis.url").write_bytes(b"\xff")
    assert refusal(root, **environ) == ["credential njord.redis.url: cannot be read: UnicodeDecodeError"]


def test_secrets_inside_a_larger_mistake_stay_hidden(tmp_path: Path) -> None:
    """A mistake around a secret shows what stands beside it, not the secret."""
    root = written(tmp_path, base=BASE + "redis: {cell: [1]}\n", secrets_enc="redis: {cell: {a: hunter2}}\n")
    (line,) = refusal(root)
    assert line == "config/secrets.enc.yaml:1: redis.cell is ***; allowed: a valid string"


def test_a_program_that_cannot_decrypt_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file named sops that is no program is an error of its own, not a crash."""
    root = written(tmp_path, secrets_enc="redis: {url: 'ENC[AES256_GCM,data:x]'}\nsops: {version: 3.9.0}\n")
    sops = tmp_path / "sops"
    sops.write_bytes(b"\x7fELF nothing")
    sops.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal(root) == [f"config/secrets.enc.yaml: `{sops}` cannot be run: Exec format error"]


def test_a_configuration_without_optional_files_is_whole(tmp_path: Path) -> None:
    """The base file alone is enough: one account, its whole capital for everybody."""
    config = load_config(written(tmp_path), environ={})
    assert isinstance(config, Config)
    assert (config.portfolio.contract().total_capital, config.portfolio.allocations) == (10_000.0, ())
