"""Which column is what: by its name, by its place where there are no names, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass

from backtest.data.importing.layouts import LAYOUTS, refused_layout
from backtest.data.importing.options import Options
from backtest.data.importing.sheet import Head
from core.errors import ConfigError, DataError

PRICES = ("open", "high", "low", "close")
BAR_NUMBERS = (*PRICES, "volume", "turnover", "trade_count", "vwap", "split_factor", "return_factor")
TRADE_NUMBERS = ("price", "qty")
TEXTS = ("symbol", "timeframe", "complete", "asset_class", "currency", "side", "maker", "trade_id", "clock")

_TIMES = (
    "ts_open", "open_time", "opentime", "kline_open_time", "time_open", "timestamp_open", "unix", "unix_timestamp",
    "timestamp", "ts", "transact_time", "trade_time", "datetime", "date_time", "date", "time", "gmt_time", "local_time",
    "index", "", "unnamed_0", "index_level_0", "t",
)  # fmt: skip
_NAMES: dict[str, tuple[str, ...]] = {
    "open": ("open", "o", "open_price", "first"),
    "high": ("high", "h", "high_price", "max"),
    "low": ("low", "l", "low_price", "min"),
    "close": ("close", "c", "close_price", "last"),
    "volume": ("volume", "vol", "v", "base_volume", "volume_base"),
    "turnover": ("turnover", "quote_volume", "quote_asset_volume", "volume_quote", "quote_vol", "volume_currency"),
    "trade_count": ("trade_count", "tradecount", "count", "number_of_trades", "num_trades", "trades", "n"),
    "vwap": ("vwap", "weighted_price", "weightedaverage", "vw"),
    "split_factor": ("split_factor",),
    "return_factor": ("return_factor",),
    "complete": ("complete",),
    "symbol": ("symbol", "ticker", "pair"),
    "timeframe": ("timeframe",),
    "asset_class": ("asset_class",),
    "currency": ("currency",),
}
_TRADE_NAMES: dict[str, tuple[str, ...]] = {
    "price": ("price", "p", "rate"),
    "qty": ("qty", "quantity", "amount", "size", "volume", "q", "vol"),
    "side": ("side", "taker_side", "type", "direction", "trade_type"),
    "maker": ("is_buyer_maker", "isbuyermaker", "buyer_maker", "m"),
    "trade_id": ("trade_id", "tradeid", "id", "tid", "agg_trade_id", "aggtradeid", "a"),
    "symbol": ("symbol", "ticker", "pair"),
}
_IGNORED = {
    "adj_close": "adjusted afterwards for dividends, no price at which anything traded; "
    "close is taken as it is, which Yahoo has already adjusted for splits",
    "adjclose": "adjusted afterwards for dividends, no price at which anything traded; close is taken as it is",
    "close_time": "follows from the opening time",
    "ts_close": "follows from the opening time",
}


@dataclass(frozen=True, slots=True)
class Roles:
    """What the columns of a table are.

    Attributes:
        kind: "bars" or "trades".
        columns: by what it is, the place of the column.
        explained: what was taken for what and why, without the times.
    """

    kind: str
    columns: dict[str, int]
    explained: str

    def numbers(self) -> list[int]:
        """Columns that hold amounts."""
        wanted = BAR_NUMBERS if self.kind == "bars" else TRADE_NUMBERS
        return [self.columns[role] for role in wanted if role in self.columns]

    def texts(self) -> list[int]:
        """Columns that hold words."""
        return sorted({self.columns[role] for role in TEXTS if role in self.columns} - set(self.numbers()))


def roles_of(head: Head, options: Options) -> Roles:
    """What the columns of a table are.

    Raises:
        DataError: a needed column cannot be told, or the file holds something else; says what decides.
        ConfigError: the named columns are none.
    """
    if options.columns:
        return _named_by_option(head, options)
    if not head.names:
        return _by_place(head, options)
    names = [_normal(name) for name in head.names]
    kind = options.kind if options.kind != "auto" else _kind_of(names)
    found = _find(names, _NAMES if kind == "bars" else _TRADE_NAMES)
    if kind == "bars":
        _volumes_of_assets(names, found, options.symbol)
    time = _time_column(head, names, set(found.values()))
    why = "by name"
    if time is None and kind == "trades" and "trade_id" in found:
        time, why = found["trade_id"], f"by name; the time from {head.label(found['trade_id'])}, as there is no other"
    if time is not None:
        found["time"] = time
        _clock(head, names, found)
    _require(head, kind, found)
    return Roles(kind, found, _explained(head, found, why, names))


def symbol_column(head: Head) -> int | None:
    """The place of the column that says whose prices these are."""
    names = [_normal(name) for name in head.names]
    return next((names.index(spelling) for spelling in _NAMES["symbol"] if spelling in names), None)


def _kind_of(names: list[str]) -> str:
    bars, trades = _find(names, _NAMES), _find(names, _TRADE_NAMES)
    return "trades" if "price" in trades and "close" not in bars else "bars"


def _find(names: list[str], known: dict[str, tuple[str, ...]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for role, spellings in known.items():
        place = next((names.index(spelling) for spelling in spellings if spelling in names), None)
        if place is not None and place not in found.values():
            found[role] = place
    return found


def _volumes_of_assets(names: list[str], found: dict[str, int], symbol: str) -> None:
    """Columns such as "Volume BTC" and "Volume USDT": in which asset they count."""
    base, _, quote = symbol.lower().partition(":")[0].partition("/")
    for role, asset in (("volume", base), ("turnover", quote)):
        for spelling in (f"volume_{asset}", f"{asset}_volume"):
            if asset and spelling in names:
                found[role] = names.index(spelling)


def _time_column(head: Head, names: list[str], taken: set[int]) -> int | None:
    """The first of the names of times; one that counts since 1970 before one that is written out."""
    places = [names.index(name) for name in _TIMES if name in names and names.index(name) not in taken]
    counted = [place for place in places if all(cell.isdecimal() and len(cell) > 8 for cell in head.cells(place))]
    return next(iter([place for place in counted if head.cells(place)] or places), None)


def _clock(head: Head, names: list[str], found: dict[str, int]) -> None:
    """A second column with the time of the day, where the first has only the day."""
    if "time" in names and names.index("time") != found["time"]:
        place = names.index("time")
        days = head.cells(found["time"])
        clocks = head.cells(place)
        if days and clocks and not any(":" in day for day in days) and all(":" in clock for clock in clocks):
            found["clock"] = place


def _by_place(head: Head, options: Options) -> Roles:
    if reason := refused_layout(head):
        raise DataError(f"{head.source} {reason}")
    for layout in LAYOUTS:
        if layout.fits(head, options.kind):
            columns = {role: place for place, role in enumerate(layout.roles) if role != "-"}
            return Roles(layout.kind, columns, f"columns by their places: {layout.name}")
    raise DataError(
        f"{head.source} has {head.width} columns without names, {', '.join(head.rows[0])}, which cannot be told apart; "
        "--columns names them in their order: --columns time,open,high,low,close,volume, a dash for one to leave out"
    )


def _named_by_option(head: Head, options: Options) -> Roles:
    allowed = {"-", "time", *BAR_NUMBERS, *TRADE_NUMBERS, *TEXTS}
    for role in options.columns:
        if role not in allowed:
            raise ConfigError(f"--columns has {role!r}; allowed: {', '.join(sorted(allowed))}")
    if len(options.columns) != head.width:
        raise ConfigError(f"--columns names {len(options.columns)} columns; {head.source} has {head.width}")
    columns = {role: place for place, role in enumerate(options.columns) if role != "-"}
    kind = options.kind if options.kind != "auto" else "trades" if "price" in columns else "bars"
    _require(head, kind, columns)
    return Roles(kind, columns, "columns as --columns says")


def _require(head: Head, kind: str, found: dict[str, int]) -> None:
    needed = ("time", *PRICES) if kind == "bars" else ("time", "price", "qty")
    missing = [role for role in needed if role not in found]
    if kind == "trades" and not {"side", "maker"} & set(found):
        missing.append("side")
    if missing:
        have = ", ".join(f'"{name}"' for name in head.names) or f"{head.width} columns without names"
        raise DataError(
            f"{head.source} has {have}; none is {' or '.join(missing)} of {kind}; "
            "--columns names them in their order, --kind says whether these are bars or trades"
        )


def _explained(head: Head, found: dict[str, int], why: str, names: list[str]) -> str:
    ordered = sorted((place, role) for role, place in found.items())
    taken = ", ".join(f"{role} from {head.label(place)}" for place, role in ordered)
    ignored = [
        head.label(place) + (f" ({_IGNORED[names[place]]})" if names[place] in _IGNORED else "")
        for place in range(head.width)
        if place not in found.values()
    ]
    return f"{taken} ({why})" + (f"; left out: {', '.join(ignored)}" if ignored else "")


def _normal(name: str) -> str:
    """A name in the form in which it is looked up.

    >>> _normal("<Adj Close>"), _normal("Volume_(BTC)")
    ('adj_close', 'volume_btc')
    """
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
