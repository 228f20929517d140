"""What the system runs with: one frozen record from files and environment, or an error that names every mistake.

Later sources win: `config/base.yaml` < `config/portfolio.yaml` < `config/<profile>.yaml` < `config/site.yaml` <
`config/secrets.enc.yaml` < credentials of systemd < environment. Mappings are merged, everything else is replaced.
Nothing here reaches a handler directly: a service's shell publishes its slice, `content_for(service, config)`, as an
event.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr, ValidationError, field_validator

from core.config_errors import did_you_mean, numbers_from_booleans, problems_of
from core.config_files import POLICIES, Sources, read_sources
from core.config_rules import broken_rules
from core.config_sections import (
    SERVICE_NAMES,
    Account,
    App,
    DataSourceEntry,
    DataSourceFile,
    Fees,
    Paths,
    Portfolio,
    RedisSettings,
    Retention,
    Runtime,
    Section,
    StrategyEntry,
    StrategyOverride,
    StrategyRunner,
)
from core.contracts import Instrument
from core.errors import ConfigError
from core.execution.paper import PaperSettings
from core.market.bars import AggregatorSettings
from core.redact import safe_url as safe_url  # where readers of the configuration look for it
from core.risk.policy import RiskPolicy
from core.risk.settings import RiskSettings


class Config(Section):
    """Everything; each section is documented by its own class."""

    app: App
    instruments: tuple[Instrument, ...]
    paths: Paths = Field(default={}, validate_default=True)  # validated, because that is what puts it under the root
    redis: RedisSettings = RedisSettings()
    risk: RiskSettings = RiskSettings()
    portfolio: Portfolio = Portfolio()
    account: Account = Account()
    fees: Fees = Fees()
    policy: RiskPolicy = RiskPolicy()
    aggregator: AggregatorSettings = AggregatorSettings()
    strategy_runner: StrategyRunner = StrategyRunner()
    strategies: dict[str, StrategyOverride] = Field(default={})
    runtime: Runtime = Runtime()
    retention: Retention = Retention()

    _root: Path = PrivateAttr(default=Path())
    _folder: Path = PrivateAttr(default=Path("config"))
    _entries: tuple[StrategyEntry, ...] = PrivateAttr(default=())
    _data_sources: tuple[DataSourceEntry, ...] = PrivateAttr(default=tuple(DataSourceFile().sources))

    def model_post_init(self, context: Any) -> None:
        """Take over where the files lie and what `config/strategies.yaml` and `config/data_sources.yaml` say."""
        if context:
            self._root, self._folder = context["root"], context["folder"]
            self._entries = tuple(context["entries"])
            self._data_sources = tuple(context["data_sources"])

    @field_validator("instruments")
    @classmethod
    def _each_symbol_once(cls, value: tuple[Instrument, ...]) -> tuple[Instrument, ...]:
        symbols = [instrument.symbol for instrument in value]
        if not symbols:
            raise ValueError("at least one instrument")
        twice = sorted({symbol for symbol in symbols if symbols.count(symbol) > 1})
        if twice:
            raise ValueError(f"each symbol once, not {', '.join(twice)} twice")
        return value

    @property
    def root(self) -> Path:
        """The folder that relative paths are under."""
        return self._root

    @property
    def files(self) -> list[Path]:
        """Every file that is, or could become, a part of it."""
        return sorted((*self._folder.glob("*.yaml"), *(self._folder / POLICIES).glob("*.yaml")))

    @property
    def kill_switch_file(self) -> Path:
        """`risk.kill_switch_file` under the root."""
        return self.root / self.risk.kill_switch_file

    @property
    def data_sources(self) -> tuple[DataSourceEntry, ...]:
        """The entries of `config/data_sources.yaml` in their order; `core.data_source_loading` makes sources of them.

        No handler decides by them, so they are in no service's part.
        """
        return self._data_sources

    @property
    def paper(self) -> PaperSettings:
        """The paper venue: the account and what it charges."""
        fees = self.fees
        return PaperSettings(self.account.name, maker_fee_bps=fees.maker_bps, taker_fee_bps=fees.taker_bps)

    @property
    def strategy_entries(self) -> list[dict[str, Any]]:
        """The entries of `config/strategies.yaml`, overrides applied, as JSON values in the order of the file."""
        changed = (self.strategies.get(entry.id, StrategyOverride()).apply(entry) for entry in self._entries)
        return [entry.model_dump(by_alias=True) for entry in changed]


def load_config(
    path_or_root: str | Path, profile: str | None = None, *, environ: Mapping[str, str] | None = None
) -> Config:
    """Read the configuration.

    Args:
        path_or_root: the base file (`./config/base.yaml`), or the folder that holds `config/base.yaml` (`.`).
        profile: name of another file beside it, without ".yaml".
        environ: the environment; the process's own unless given.

    Raises:
        ConfigError: names every mistake, one per line, with file, line, key, value and what is allowed.
    """
    return load_with_sources(path_or_root, profile, environ=environ)[0]


def load_with_sources(
    path_or_root: str | Path, profile: str | None = None, *, environ: Mapping[str, str] | None = None
) -> tuple[Config, Sources]:
    """Read the configuration, with where each of its values was written; see `load_config`."""
    sources = read_sources(Path(path_or_root), profile, os.environ if environ is None else environ)
    layer, problems = sources.layer, sources.problems
    context = {
        "root": sources.root,
        "folder": sources.folder,
        "entries": sources.entries,
        "data_sources": sources.data_source_entries,
    }
    try:
        config = Config.model_validate(layer.values, context=context)
    except ValidationError as error:
        raise ConfigError("\n".join([*problems, *problems_of(error, Config, layer)])) from None
    problems += numbers_from_booleans(layer.values, config, layer)
    if not problems:  # a file that could not be read would break rules that it keeps
        problems += broken_rules(config, sources)
    if problems:
        raise ConfigError("\n".join(problems))
    return config, sources


def content_for(service: str, config: Config) -> dict[str, Any]:
    """A service's part of the configuration as JSON values; equal configurations give equal bytes.

    Raises:
        ConfigError: no part belongs to this service.
    """
    whole = _json_ready(config.model_dump(include={"risk", "aggregator", "policy", "instruments"}))
    instruments = whole["instruments"]
    parts: dict[str, dict[str, Any]] = {
        "md_ingest": {"instruments": instruments},
        "ohlcv_aggregator": {"aggregator": whole["aggregator"], "instruments": instruments},
        "strategy_runner": {
            "strategies": _json_ready(config.strategy_entries),
            "max_errors": config.strategy_runner.max_errors,
            "instruments": instruments,
        },
        "risk_engine": {
            "env": config.app.env,
            "venue": "paper",
            "risk": whole["risk"],
            "instruments": instruments,
        },
        "paper_trader": {"paper": _json_ready(asdict(config.paper)), "instruments": instruments},
        "portfolio_manager": {
            "portfolio": _json_ready(asdict(config.portfolio.contract())),
            "quote": config.account.quote,
            "policy": whole["policy"],
            "instruments": instruments,
        },
    }
    if service not in parts:
        raise ConfigError(f"no configuration belongs to service {service!r}; {did_you_mean(service, SERVICE_NAMES)}")
    return parts[service]


def _json_ready(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"  # 250 and 250.00 are equal
    if isinstance(value, dict):
        return {key: _json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_ready(item) for item in value]
    return value
