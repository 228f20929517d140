"""How a file is to be taken in, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backtest.data.importing.spelling import DECIMALS
from backtest.data.merging import Added, Conflict
from backtest.data.series import SeriesName
from core.contracts import timeframe_ns
from core.errors import ConfigError, ContractError

FORMATS = ("auto", "csv", "parquet", "feather", "hdf5", "json", "ndjson")
KINDS = ("auto", "bars", "trades")
UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
TIME_UNITS = ("auto", *UNITS)
DATE_ORDERS = ("auto", "mdy", "dmy")


class Problem(NamedTuple):
    """What is wrong with one row.

    Attributes:
        line: of a text file its line, else its row; from 1.
        text: column, value, and what is allowed.
    """

    line: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the file does not say, or says in doubt.

    Attributes:
        symbol: ccxt unified symbol; empty where lines or a column say it.
        now_ns: the present, ns UTC: no row may be later than a day behind it.
        timeframe: of bars; empty: from the spacing of their times.
        kind: "bars", "trades", or "auto": from the columns.
        format: one of `FORMATS`.
        time_unit: of times that are numbers; "auto": from their size.
        timezone: of times that name none.
        date_order: of 1/2/2020: "mdy", "dmy", or "auto": as all rows allow.
        decimal: of numbers in texts, "." or ","; "auto": as the first rows say.
        columns: what the columns are, in their order, "-" for one to leave out; empty: from their names.
        asset_class: of the symbol.
        conflict: see `backtest.data.store.Dataset.add`.
        skip_bad: leave rows out that are wrong instead of refusing the file.
        dry_run: only count.
    """

    symbol: str
    now_ns: int
    timeframe: str = ""
    kind: str = "auto"
    format: str = "auto"
    time_unit: str = "auto"
    timezone: str = "UTC"
    date_order: str = "auto"
    decimal: str = "auto"
    columns: tuple[str, ...] = ()
    asset_class: str = "crypto"
    conflict: Conflict = "refuse"
    skip_bad: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        """Raises ConfigError: an option is none."""
        for name, allowed in (
            ("kind", KINDS),
            ("format", FORMATS),
            ("time_unit", TIME_UNITS),
            ("date_order", DATE_ORDERS),
            ("decimal", DECIMALS),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; allowed: {', '.join(allowed)}")
        try:
            ZoneInfo(self.timezone)
            if self.timeframe:
                timeframe_ns(self.timeframe)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            if isinstance(error, ContractError):
                raise ConfigError(str(error)) from None
            raise ConfigError(f"timezone is {self.timezone!r}; allowed: UTC, Europe/Berlin ...") from None


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of one file, or of one series of a journal.

    Attributes:
        source: the file.
        series: what it was taken in as.
        rows: how many were taken.
        first_ns: time of the first, ns UTC; 0 without rows.
        last_ns: time of the last, ns UTC; 0 without rows.
        format: what kind of file it is.
        times: how its times were read.
        explained: what was taken for what, and why, in one line.
        notes: what a trader should know about it.
        skipped: rows that were left out because they are wrong, each with its line; only where that was asked for.
        added: what that did to the dataset.
    """

    source: str
    series: SeriesName
    rows: int
    first_ns: int
    last_ns: int
    format: str
    times: str
    explained: str
    added: Added
    notes: tuple[str, ...] = field(default=())
    skipped: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "source": self.source, **self.series._asdict(), "rows": self.rows, "first_ns": self.first_ns,
            "last_ns": self.last_ns, "format": self.format, "times": self.times, "explained": self.explained,
            "notes": list(self.notes), "skipped": list(self.skipped), "new": self.added.new, "same": self.added.same,
            "replaced": self.added.replaced, "kept": self.added.kept, "files": self.added.files,
        }  # fmt: skip
