"""The sections of the configuration: which keys there are, what they mean, and what each of them may hold.

Rules that look at several sections at once are in `core/config_rules.py`.
"""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
    model_validator,
)

from core.contracts import PortfolioConfig, StrategyAllocation
from core.execution.fees import FeeSchedule

ServiceName = Literal[
    "md_ingest", "ohlcv_aggregator", "strategy_runner", "risk_engine", "paper_trader", "portfolio_manager"
]

YEAR_DAYS = 365

SERVICE_NAMES: tuple[str, ...] = get_args(ServiceName)


def _finite(value: JsonValue) -> JsonValue:
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("a finite number")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _finite(item)
    return value


Params = dict[str, Annotated[JsonValue, AfterValidator(_finite)]]
ClassPath = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """Unknown keys are mistakes; what has been read never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class App(Section):
    """What kind of system this is.

    Attributes:
        env: "paper" and "dev" simulate; "live" stands for real money and switches on its stricter checks.
    """

    env: Literal["paper", "live", "dev"]


class Paths(Section):
    """Folders; relative ones are under the configuration's root.

    Attributes:
        state_dir: what must survive a reboot: the embedded server's data, the kill switch.
        journal_dir: journals of all topics.
        log_dir: `app.ndjson`.
        run_dir: locks and sockets.
        history_dir: imported and downloaded market data, one folder per dataset.
        archive_dir: old journals; see `retention`.
    """

    model_config = ConfigDict(validate_default=True)

    state_dir: Path = Path("var/state")
    journal_dir: Path = Path("var/log/njord")
    log_dir: Path = Path("var/log/njord")
    run_dir: Path = Path("var/run")
    history_dir: Path = Path("var/history")
    archive_dir: Path = Path("var/archive")

    @field_validator("*", mode="after")
    @classmethod
    def _under_root(cls, value: Path, info: ValidationInfo) -> Path:
        return info.context["root"] / value if info.context else value


class RedisSettings(Section):
    """The server that orders all events.

    Attributes:
        url: redis://, rediss:// or unix://; a password in it is never shown.
        cell: prefix of all keys and channels; another cell is another system on the same server.
    """

    url: Annotated[str, Field(pattern=r"^(redis|rediss|unix)://", repr=False)] = "redis://127.0.0.1:6379/0"
    cell: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]*$")] = ""


class StrategyRunner(Section):
    """How strategies are hosted.

    Attributes:
        max_errors: a strategy that has raised so often gets no more events.
    """

    max_errors: Annotated[int, Field(ge=1)] = 10


class StrategyEntry(Section):
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
    class_: Annotated[ClassPath, Field(alias="class")]
    enabled: bool = True
    symbols: Annotated[list[str], Field(min_length=1)]
    events: Annotated[list[str], Field(min_length=1)]
    params: Params = {}


class StrategyOverride(Section):
    """What a profile changes in an entry of `config/strategies.yaml`; what it leaves out stays, `params` are merged."""

    enabled: bool | None = None
    symbols: Annotated[list[str], Field(min_length=1)] | None = None
    events: Annotated[list[str], Field(min_length=1)] | None = None
    params: Params = {}

    def apply(self, entry: StrategyEntry) -> StrategyEntry:
        """The entry as this override leaves it."""
        said = self.model_dump(exclude_none=True, exclude={"params"})
        return entry.model_copy(update={**said, "params": {**entry.params, **self.params}})


class StrategyFile(Section):
    """The content of `config/strategies.yaml`."""

    strategies: list[StrategyEntry] = []


class DataSourceEntry(Section):
    """One source of past market data of `config/data_sources.yaml`; either `type` or `class` says what it is.

    Attributes:
        id: unique; what commands and errors call it.
        type: "journals" for one folder of them, "datasets" for a folder of such folders.
        class_: dotted path of a class of one's own, written `class`; see `core.data_sources.DataSourceBase`.
        path: folder of a `type`, relative ones under the root; `paths.journal_dir` or `paths.history_dir` if missing.
        datasets: which datasets count, the first one first; all of them, by name, if missing.
        params: what the class is built with, as keyword arguments.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    type: Literal["journals", "datasets"] | None = None
    class_: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")] | None = Field(
        default=None, alias="class"
    )
    path: Path | None = None
    datasets: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None
    params: Params = {}

    @model_validator(mode="after")
    def _says_what_it_is(self) -> Self:
        if (self.type is None) == (self.class_ is None):
            raise ValueError("exactly one of type and class")
        only = {"path": self.type is not None, "datasets": self.type == "datasets", "params": self.class_ is not None}
        owner = {"path": "type", "datasets": "type: datasets", "params": "class"}
        for key, fits in only.items():
            if getattr(self, key) and not fits:
                raise ValueError(f"DataSourceEntry.{key} is {getattr(self, key)}; allowed: only with {owner[key]}")
        return self


class DataSourceFile(Section):
    """The content of `config/data_sources.yaml`; without it, what this machine has recorded, then its datasets."""

    sources: Annotated[list[DataSourceEntry], Field(min_length=1)] = [
        DataSourceEntry(id="recorded", type="journals"),
        DataSourceEntry(id="history", type="datasets"),
    ]


class Runtime(Section):
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


class Retention(Section):
    """How long finished files stay where they are.

    Attributes:
        compress_after_hours: journals and logs that have not been written for so long become .gz.
        logs_days: days of `app.ndjson` that are kept.
        archive_after_days: journals of days that ended so long ago are moved to `paths.archive_dir`.
        delete_archived_after_days: archived journals of days that ended so long ago are deleted; 0 for never.
    """

    compress_after_hours: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 24.0
    logs_days: Annotated[int, Field(ge=1)] = 30
    archive_after_days: Annotated[int, Field(ge=1)] = 90
    delete_archived_after_days: Annotated[int, Field(ge=0)] = 0

    @field_validator("delete_archived_after_days")
    @classmethod
    def _a_year_at_least(cls, value: int) -> int:
        if 0 < value < YEAR_DAYS:
            raise ValueError(f"0 for never, or at least {YEAR_DAYS}: who trades must be able to show a year")
        return value


class Portfolio(Section):
    """The capital and who may use how much of it; see `core.contracts.PortfolioConfig`.

    Attributes:
        id: its name in snapshots.
        total_capital: quote units that the account is opened with, above 0; counts then, not for one with a history.
        rebalance_threshold: relative drift from a target weight at which a rebalance is due, above 0.
        rebalance_frequency_hours: longest time between two rebalances, hours, above 0.
        allocations: one per strategy, weights adding up to 1; none means that the whole capital is everybody's.
    """

    id: str = "main"
    total_capital: float = 10_000.0
    rebalance_threshold: float = 0.05
    rebalance_frequency_hours: int = 24
    allocations: tuple[StrategyAllocation, ...] = ()

    @model_validator(mode="after")
    def _fits_the_contract(self) -> Self:
        self.contract()
        return self

    def contract(self) -> PortfolioConfig:
        """The record that handlers take.

        Raises:
            ContractError: a value that it may not hold.
        """
        return PortfolioConfig(
            portfolio_id=self.id,
            total_capital=self.total_capital,
            allocations=self.allocations,
            rebalance_threshold=self.rebalance_threshold,
            rebalance_frequency_hours=self.rebalance_frequency_hours,
        )


class Account(Section):
    """The account that orders are executed on.

    Attributes:
        name: only one executor works on an account at a time, paper or live.
        quote: the asset that everything is priced, paid and reported in.
    """

    name: Annotated[str, Field(min_length=1)] = "main"
    quote: Annotated[str, Field(min_length=1)] = "USDT"


class Fees(Section):
    """What the paper venue charges, in basis points of the notional; negative is a rebate.

    Attributes:
        maker_bps: for a resting order.
        taker_bps: for an order filled on arrival.
    """

    maker_bps: Decimal = Decimal(10)
    taker_bps: Decimal = Decimal(10)

    @model_validator(mode="after")
    def _can_be_charged(self) -> Self:
        FeeSchedule(self.maker_bps, self.taker_bps)
        return self
