"""What the system runs with: one frozen record from files and environment, or an error that names every mistake.

Later sources win: `config/base.yaml` < `config/<profile>.yaml` < `config/secrets.enc.yaml` < environment. Mappings are
merged, everything else is replaced. Nothing here reaches a handler directly: a service's shell publishes its slice,
`content_for(service, config)`, as an event.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from core.config_errors import did_you_mean, numbers_from_booleans, problems_of
from core.config_layers import Layer, environment_layer, read_layer, read_secrets
from core.contracts import Instrument
from core.errors import ConfigError
from core.execution.paper import PaperSettings
from core.ledger.settings import PortfolioSettings
from core.market.bars import AggregatorSettings
from core.redact import safe_url as safe_url  # where readers of the configuration look for it
from core.risk.settings import RiskSettings

ServiceName = Literal[
    "md_ingest", "ohlcv_aggregator", "strategy_runner", "risk_engine", "paper_trader", "portfolio_manager"
]

_NOT_PROFILES = {"base", "portfolio", "secrets.enc", "strategies"}


def _finite(value: JsonValue) -> JsonValue:
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("a finite number")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _finite(item)
    return value


Params = dict[str, Annotated[JsonValue, AfterValidator(_finite)]]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Section(BaseModel):
    """Unknown keys are mistakes; what has been read never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class App(_Section):
    """What kind of system this is.

    Attributes:
        env: "paper" and "dev" simulate; "live" stands for real money and switches on its stricter checks.
    """

    env: Literal["paper", "live", "dev"]


class Paths(_Section):
    """Folders; relative ones are under the configuration's root.

    Attributes:
        state_dir: what must survive a reboot: the embedded server's data, the kill switch.
        journal_dir: journals of all topics.
        log_dir: `app.ndjson`.
        run_dir: locks and sockets.
    """

    model_config = ConfigDict(validate_default=True)

    state_dir: Path = Path("var/state")
    journal_dir: Path = Path("var/log/njord")
    log_dir: Path = Path("var/log/njord")
    run_dir: Path = Path("var/run")

    @field_validator("*", mode="after")
    @classmethod
    def _under_root(cls, value: Path, info: ValidationInfo) -> Path:
        return info.context["root"] / value if info.context else value


class RedisSettings(_Section):
    """The server that orders all events.

    Attributes:
        url: redis://, rediss:// or unix://; a password in it is never shown.
        cell: prefix of all keys and channels; another cell is another system on the same server.
    """

    url: Annotated[str, Field(pattern=r"^(redis|rediss|unix)://", repr=False)] = "redis://127.0.0.1:6379/0"
    cell: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]*$")] = ""


class StrategyRunner(_Section):
    """How strategies are hosted.

    Attributes:
        max_errors: a strategy that has raised so often gets no more events.
    """

    max_errors: Annotated[int, Field(ge=1)] = 10


class StrategyEntry(_Section):
    """One strategy of `config/strategies.yaml`.

    Attributes:
        id: unique; its orders, fills and positions carry it.
        class_: dotted path of its class, written `class`.
        enabled: whether it runs.
        symbols: what it may trade.
        events: topics or patterns that it listens to.
        params: its own parameters; they reach it through its context.
    """

    id: Annotated[str, Field(min_length=1)]
    class_: Annotated[str, Field(alias="class", pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")]
    enabled: bool = True
    symbols: Annotated[list[str], Field(min_length=1)]
    events: Annotated[list[str], Field(min_length=1)]
    params: Params = {}


class StrategyOverride(_Section):
    """What a profile changes in an entry of `config/strategies.yaml`; what it leaves out stays, `params` are merged."""

    enabled: bool | None = None
    symbols: Annotated[list[str], Field(min_length=1)] | None = None
    events: Annotated[list[str], Field(min_length=1)] | None = None
    params: Params = {}

    def apply(self, entry: StrategyEntry) -> StrategyEntry:
        """The entry as this override leaves it."""
        said = self.model_dump(exclude_none=True, exclude={"params"})
        return entry.model_copy(update={**said, "params": {**entry.params, **self.params}})


class StrategyFile(_Section):
    """The content of `config/strategies.yaml`."""

    strategies: list[StrategyEntry] = []


class Runtime(_Section):
    """The shell around every service.

    Attributes:
        lease_ttl_ms: a process that has not renewed for so long may be replaced from another host.
        state_journal_every_s: how often each service's memory is journalled.
        fsync_every_ms: how often written journals are forced to disk.
        kill_switch_every_s: how often the kill switch is looked at without an intent.
        reload_every_s: how often the files are checked for changes.
        health_ports: loopback port of the health endpoint per service; 0 or missing takes any free one.
        catch_up_max_lag: a source at full speed waits while a service is so many events behind.
    """

    lease_ttl_ms: Annotated[int, Field(ge=100)] = 3000
    state_journal_every_s: Seconds = 60.0
    fsync_every_ms: Annotated[int, Field(ge=1)] = 100
    kill_switch_every_s: Annotated[Seconds, Field(le=1)] = 1.0
    reload_every_s: Seconds = 5.0
    health_ports: dict[ServiceName, Annotated[int, Field(ge=0, le=65535)]] = {}
    catch_up_max_lag: Annotated[int, Field(ge=1)] = 2000


class Config(_Section):
    """Everything; each section is documented by its own class."""

    app: App
    instruments: tuple[Instrument, ...]
    paths: Paths = Field(default={}, validate_default=True)  # validated, because that is what puts it under the root
    redis: RedisSettings = RedisSettings()
    risk: RiskSettings = RiskSettings()
    paper: PaperSettings = PaperSettings()
    portfolio: PortfolioSettings = PortfolioSettings()
    aggregator: AggregatorSettings = AggregatorSettings()
    strategy_runner: StrategyRunner = StrategyRunner()
    strategies: dict[str, StrategyOverride] = {}
    runtime: Runtime = Runtime()

    _root: Path = PrivateAttr(default=Path())
    _folder: Path = PrivateAttr(default=Path("config"))
    _entries: tuple[StrategyEntry, ...] = PrivateAttr(default=())

    def model_post_init(self, context: Any) -> None:
        """Take over where the files lie and what `config/strategies.yaml` says."""
        if context:
            self._root, self._folder = context["root"], context["folder"]
            self._entries = tuple(context["entries"])

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

    @model_validator(mode="after")
    def _one_quote_asset(self) -> Self:
        """The books are kept in one asset; a fill in another would need an exchange rate that nobody has."""
        quote = self.portfolio.quote
        others = [instrument.symbol for instrument in self.instruments if instrument.quote != quote]
        if others:
            raise ValueError(f"instruments priced in portfolio.quote, which is {quote}, not {', '.join(others)}")
        return self

    @property
    def root(self) -> Path:
        """The folder that relative paths are under."""
        return self._root

    @property
    def files(self) -> list[Path]:
        """Every file that is, or could become, a part of it."""
        return sorted(self._folder.glob("*.yaml"))

    @property
    def kill_switch_file(self) -> Path:
        """`risk.kill_switch_file` under the root."""
        return self.root / self.risk.kill_switch_file

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
    base, root = _locate(Path(path_or_root))
    folder = base.parent
    layer = Layer()
    layer.merge(read_layer(base, _shown(base, root)))
    if profile:
        chosen = _profile(folder, profile)
        layer.merge(read_layer(chosen, _shown(chosen, root)))
    secrets = folder / "secrets.enc.yaml"
    if secrets.exists():
        layer.merge(read_secrets(secrets, _shown(secrets, root)))
    layer.merge(environment_layer(os.environ if environ is None else environ))
    strategies = folder / "strategies.yaml"
    entries, problems = _entries(strategies, _shown(strategies, root))
    try:
        config = Config.model_validate(layer.values, context={"root": root, "folder": folder, "entries": entries})
    except ValidationError as error:
        raise ConfigError("\n".join([*problems, *problems_of(error, Config, layer)])) from None
    problems += numbers_from_booleans(layer.values, config, layer)
    problems += _unknown_strategies(config, layer, [entry.id for entry in entries])
    if problems:
        raise ConfigError("\n".join(problems))
    return config


def _locate(given: Path) -> tuple[Path, Path]:
    base = given / "config" / "base.yaml" if given.is_dir() else given
    if not base.is_file():
        raise ConfigError(
            f"{base}: there is no such file; give the base file or the folder that holds config/base.yaml"
        )
    base = base.resolve()
    return base, base.parent.parent if base.parent.name == "config" else base.parent


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root))


def _profile(folder: Path, profile: str) -> Path:
    known = {path.stem: path for path in sorted(folder.glob("*.yaml")) if path.stem not in _NOT_PROFILES}
    if profile not in known:
        raise ConfigError(f"profile {profile!r} does not exist in {folder.name}/; {did_you_mean(profile, known)}")
    return known[profile]


def _entries(path: Path, name: str) -> tuple[list[StrategyEntry], list[str]]:
    if not path.exists():
        return [], []
    layer = Layer()
    try:
        layer.merge(read_layer(path, name))
        entries = StrategyFile.model_validate(layer.values).strategies
    except ConfigError as error:
        return [], [str(error)]
    except ValidationError as error:
        return [], problems_of(error, StrategyFile, layer)
    first: dict[str, int] = {}
    problems = [
        f"{layer.origin(('strategies', index, 'id'))}: strategies[{index}].id is {entry.id!r}, as that of "
        f"strategies[{first[entry.id]}]; allowed: each id once"
        for index, entry in enumerate(entries)
        if first.setdefault(entry.id, index) != index
    ]
    return entries, problems


def _unknown_strategies(config: Config, layer: Layer, known: list[str]) -> list[str]:
    return [
        f"{layer.origin(('strategies', name))}: strategies.{name}: no such strategy; {did_you_mean(name, known)}"
        for name in config.strategies
        if name not in known
    ]


def content_for(service: str, config: Config) -> dict[str, Any]:
    """A service's part of the configuration as JSON values; equal configurations give equal bytes.

    Raises:
        ConfigError: no part belongs to this service.
    """
    whole = _json_ready(config.model_dump(include={"app", "risk", "paper", "portfolio", "aggregator", "instruments"}))
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
        "paper_trader": {"paper": whole["paper"], "instruments": instruments},
        "portfolio_manager": {"portfolio": whole["portfolio"]},
    }
    if service not in parts:
        raise ConfigError(
            f"no configuration belongs to service {service!r}; {did_you_mean(service, get_args(ServiceName))}"
        )
    return parts[service]


def _json_ready(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"  # 250 and 250.00 are equal
    if isinstance(value, dict):
        return {key: _json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_ready(item) for item in value]
    return value
