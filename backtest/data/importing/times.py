"""Times of all spellings as ns UTC: by their size, by their form, never by a guess that could be 1000 times off."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.data.columns import Flags, Ints
from backtest.data.importing.options import UNITS, Options
from core.contracts.moments import DAY_NS, iso, moment
from core.errors import DataError

_OLDEST_NS = moment("2000-01-01")
"""No count since 1970 is taken for an older time on its own account."""

_CLOCK = r"([ T]+(\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?))?"
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}" + _CLOCK + r" ?(Z|UTC|[+-]\d{2}:?\d{2})?", re.ASCII)
_FORMS = (
    (re.compile(r"\d{4}([/.])\d{1,2}\1\d{1,2}" + _CLOCK.replace("[ T]", " "), re.ASCII), "%Y{0}%m{0}%d"),
    (re.compile(r"\d{1,2}(\.)\d{1,2}\.\d{4}" + _CLOCK, re.ASCII), "%d.%m.%Y"),
    (re.compile(r"\d{8}( )\d{6}", re.ASCII), "%Y%m%d %H%M%S"),
    (re.compile(r"\d{4}-\d{2}-\d{2}( )\d{1,2}-[AP]M", re.ASCII), "%Y-%m-%d %I-%p"),
)
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/\d{4}" + _CLOCK + r"( ?[AP]M)?", re.ASCII)


class BadTime(DataError):
    """One cell that is no time.

    Attributes:
        row: which, from 0.
    """

    def __init__(self, row: int, text: str) -> None:
        super().__init__(text)
        self.row = row


Place = Callable[[int], str]
"""Names the row of a place, for errors: 'x.csv, line 7, column "date"'."""


@dataclass(frozen=True, slots=True)
class Times:
    """A column of times.

    Attributes:
        ns: ns UTC.
        said: how they were read.
    """

    ns: Ints
    said: str


def times_of(array: Any, options: Options, place: Place) -> Times:
    """A column as times.

    Args:
        array: an Arrow array of times, numbers or texts.
        options: what decides where the column does not.
        place: names a row.

    Raises:
        DataError: a cell is no time, is later than tomorrow, or could be several; says which option decides.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if array.null_count:
        row = int(np.argmax(pc.is_null(array).to_numpy(zero_copy_only=False)))
        raise BadTime(row, f"{place(row)} is empty; allowed: a time")
    kind = array.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        times = _typed(array, options, place)
    elif pa.types.is_integer(kind):
        times = _counted(array.to_numpy().astype(np.int64), options, place)
    elif pa.types.is_floating(kind):
        times = _counted_float(array.to_numpy(), options, place)
    else:
        times = _written(pc.utf8_trim_whitespace(pc.cast(array, pa.string())), options, place)
    late = times.ns > options.now_ns + DAY_NS
    if late.any() or (times.ns < 0).any():
        row = int(np.argmax(late | (times.ns < 0)))
        allowed = f"1970 to tomorrow; --time-unit and --timezone decide how times are read, here: {times.said}"
        raise BadTime(row, f"{place(row)} is {array[row].as_py()!r}, which is {_when(int(times.ns[row]))}; {allowed}")
    return times


def _typed(array: Any, options: Options, place: Place) -> Times:
    """Times that say themselves what they count; those without a zone are in the option's."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    stamps = pc.cast(array, pa.timestamp("ns", tz=getattr(kind, "tz", None)))
    if getattr(kind, "tz", None):
        local = pc.cast(pc.local_timestamp(stamps), pa.int64()).to_numpy()
        if _are_days(local.view("datetime64[ns]"), options):
            return Times(local, f"days of {kind.tz}")
    values = pc.cast(stamps, pa.int64()).to_numpy()
    said = f"{kind}, " + ("UTC" if getattr(kind, "tz", None) else options.timezone)
    if getattr(kind, "tz", None) or options.timezone == "UTC":
        return Times(values, said)
    return Times(_in_zone(values.view("datetime64[ns]"), options, place), said)


def _counted_float(values: NDArray[Any], options: Options, place: Place) -> Times:
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise BadTime(row, f"{place(row)} is empty; allowed: a time")
    if (values == np.floor(values)).all():
        return _counted(values.astype(np.int64), options, place)
    unit = _unit_of(np.floor(values).astype(np.int64), options, place)
    if len(unit) > 1 or abs(float(values[0])) * next(iter(unit.values())) > 2**53 * 1_000:
        raise DataError(f"{place(0)} is {values[0]!r}, a fraction of too fine a unit; allowed: whole numbers")
    name, factor = next(iter(unit.items()))
    micro = np.round(values * (factor / 1_000)).astype(np.int64)  # a float64 holds no finer time of today
    return Times(micro * 1_000, f"{name} since 1970, with fractions")


def _counted(values: Ints, options: Options, place: Place) -> Times:
    """Numbers: dates such as 20230801, or counts since 1970."""
    if options.time_unit == "auto" and _are_dates(values):
        import pyarrow as pa

        return _written(pa.array(values.astype(str)), options, place)
    units = _unit_of(values, options, place)
    if len(units) == 1:
        name, factor = next(iter(units.items()))
        if int(np.abs(values).max()) > (2**63 - 1) // factor:
            row = int(np.abs(values).argmax())
            raise BadTime(row, f"{place(row)} is {values[row]}, as {name} since 1970; allowed: 1970 to tomorrow")
        return Times(values * factor, f"{name} since 1970")
    ns = np.zeros(len(values), np.int64)
    for name, factor in units.items():
        rows = _window(values, factor, options)
        ns[rows] = values[rows] * UNITS[name]
    first = {name: int(np.argmax(_window(values, factor, options))) for name, factor in units.items()}
    said = ", ".join(f"{name} from {place(row)}" for name, row in sorted(first.items(), key=lambda item: item[1]))
    return Times(ns, f"several units, each row by its size: {said}")


def _unit_of(values: Ints, options: Options, place: Place) -> dict[str, int]:
    """The units that the numbers are in, with their ns; several only if every row is in exactly one.

    Raises:
        DataError: a row is in none.
    """
    if options.time_unit != "auto":
        return {options.time_unit: UNITS[options.time_unit]}
    rows = {name: _window(values, factor, options) for name, factor in UNITS.items()}
    one: Flags = np.logical_or.reduce(list(rows.values()))
    if not one.all():
        row = int(np.argmin(one))
        value = int(values[row])
        read = ", ".join(f"{_when(value * factor)} in {name}" for name, factor in UNITS.items())
        raise DataError(
            f"{place(row)} is {value}, as a count since 1970: {read}; none is between 2000 and tomorrow; "
            f"--time-unit {'|'.join(UNITS)} decides"
        )
    return {name: UNITS[name] for name, inside in rows.items() if inside.any()}


def _window(values: Ints, factor: int, options: Options) -> Flags:
    """Which numbers are times from 2000 to tomorrow in a unit; the windows of two units share none."""
    inside: Flags = (values >= _OLDEST_NS // factor) & (values <= (options.now_ns + DAY_NS) // factor)
    return inside


def _are_dates(values: Ints) -> bool:
    """Whether all are dates as 20230801 or as 20230801235900."""
    for unit in (1, 1_000_000):
        days = values // unit
        month, day = days // 100 % 100, days % 100
        if ((days >= 1970_00_00) & (days < 2200_00_00) & (month - 1 < 12) & (day - 1 < 31) & (month > 0)).all():
            return True
    return False


def _written(array: Any, options: Options, place: Place) -> Times:
    """Times as texts, all in the form of the first."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first = array[0].as_py()
    if re.fullmatch(r"\d+", first, re.ASCII) and len(first) not in (8, 14):
        try:
            return _counted(pc.cast(array, pa.int64()).to_numpy(), options, place)
        except pa.ArrowInvalid:
            digits = pc.match_substring_regex(array, r"^\d{1,18}$").to_numpy(zero_copy_only=False)
            row = int(np.argmin(digits))
            if re.fullmatch(r"\d+", array[row].as_py(), re.ASCII):
                raise DataError(f"{place(row)} is {array[row].as_py()}, too large for a count since 1970") from None
            said = f"{place(row)} is {array[row].as_py()!r}; allowed: a whole number, as in the rows before"
            raise BadTime(row, said) from None
    if _ISO.fullmatch(first):
        return _iso_times(array, options, place)
    form, said = _form_of(array, options, place)
    return Times(_parsed(array, form, options, place), f"{said}, {options.timezone}")


def _form_of(array: Any, options: Options, place: Place) -> tuple[str, str]:
    """The format of texts, and its name."""
    first = array[0].as_py()
    if re.fullmatch(r"\d{8}", first, re.ASCII):
        return "%Y%m%d", "dates YYYYMMDD"
    if re.fullmatch(r"\d{14}", first, re.ASCII):
        return "%Y%m%d%H%M%S", "times YYYYMMDDHHMMSS"
    if found := _SLASHED.fullmatch(first):
        order = _order_of(array, options, place)
        days = "%m/%d/%Y" if order == "mdy" else "%d/%m/%Y"
        return days + _clock_form(found[4], found[7] or ""), "M/D/YYYY" if order == "mdy" else "D/M/YYYY"
    for pattern, form in _FORMS:
        if found := pattern.fullmatch(first):
            clock = _clock_form(found[3], "") if found.re.groups > 1 else ""
            return form.format(found[1]) + clock, f"times like {first}"
    raise DataError(
        f"{place(0)} is {first!r}; allowed: a count since 1970, 2023-08-01T00:00:00Z, 2023-08-01, 8/1/2023, 01.08.2023"
    )


def _clock_form(clock: str | None, half: str) -> str:
    if not clock:
        return ""
    hours = "%I" if half else "%H"
    parts = clock.count(":")
    fraction = ".%f" if "." in clock else ""
    return (
        f" {hours}:%M"
        + (":%S" + fraction if parts > 1 else "")
        + (half and half.replace("AM", "%p").replace("PM", "%p"))
    )


def _order_of(array: Any, options: Options, place: Place) -> str:
    """Whether 1/2/2020 begins with the month: a number above 12 is a day."""
    if options.date_order != "auto":
        return options.date_order
    import pyarrow.compute as pc

    parts = pc.extract_regex(array, r"^(?P<a>\d{1,2})/(?P<b>\d{1,2})/")
    first, second = (
        max(int(part) for part in pc.unique(pc.struct_field(parts, name)).to_pylist() if part) for name in ("a", "b")
    )
    if (first > 12) == (second > 12):
        why = "no day is above 12" if first <= 12 else "numbers above 12 are in both places"
        raise DataError(f"{place(0)} is {array[0].as_py()!r}: month or day first? {why}; --date-order mdy|dmy decides")
    return "mdy" if second > 12 else "dmy"


def _iso_times(array: Any, options: Options, place: Place) -> Times:
    import pyarrow.compute as pc

    zoned = pc.match_substring_regex(array, r"(Z|UTC|:\d{2} ?[+-]\d{2}:?\d{2}|\d ?[+-]\d{2}:\d{2})$").to_numpy(
        zero_copy_only=False
    )
    if zoned.any() != zoned.all():
        row = int(np.argmin(zoned == zoned[0]))
        raise DataError(f"{place(row)} is {array[row].as_py()!r}: some times have an offset and some have none")
    if zoned[0] and options.asset_class != "crypto":
        days = pc.match_substring_regex(array, r"[ T]00:00(:00(\.0+)?)? ?[+-]\d{2}:?\d{2}$")
        if pc.all(days).as_py():
            dates = pc.utf8_slice_codeunits(array, 0, len("2025-05-20"))
            return Times(_parsed(dates, "ISO8601", replace(options, timezone="UTC"), place), "days, by their dates")
    return Times(
        _parsed(array, "ISO8601", options, place, zoned=bool(zoned[0])),
        "ISO 8601, " + ("with offsets" if zoned[0] else options.timezone),
    )


def _parsed(array: Any, form: str, options: Options, place: Place, *, zoned: bool = False) -> Ints:
    import pandas as pd

    texts = pd.Series(array.to_pandas())
    made = pd.to_datetime(texts, format=form, errors="coerce", utc=zoned)
    if made.isna().any():
        row = int(made.isna().to_numpy().argmax())
        like = f"a time in the form of {array[0].as_py()!r}"
        raise BadTime(row, f"{place(row)} is {array[row].as_py()!r}; allowed: {like}")
    if zoned or options.timezone == "UTC":
        values: Ints = (made.dt.tz_convert(None) if zoned else made).to_numpy().astype("datetime64[ns]").view(np.int64)
        return values
    return _in_zone(made.to_numpy().astype("datetime64[ns]"), options, place)


def _in_zone(stamps: NDArray[np.datetime64], options: Options, place: Place) -> Ints:
    """Times of the option's zone, in which an hour of autumn is there twice: their order tells which one is meant."""
    import pandas as pd

    if _are_days(stamps, options):
        return stamps.view(np.int64)
    if len(stamps) > 1 and stamps[0] > stamps[-1]:  # newest first
        return _in_zone(stamps[::-1], options, lambda row: place(len(stamps) - 1 - row))[::-1]
    local = pd.Series(stamps)
    try:
        utc = local.dt.tz_localize(options.timezone, ambiguous="infer").dt.tz_convert("UTC").dt.tz_localize(None)
    except ValueError as error:
        raise DataError(f"{place(0)} and behind: no time of {options.timezone}: {error}; export in UTC") from None
    values: Ints = utc.to_numpy().astype("datetime64[ns]").view(np.int64)
    return values


def _are_days(stamps: NDArray[np.datetime64], options: Options) -> bool:
    """Whether local times are days of an exchange, which are called by their date wherever it is."""
    return options.asset_class != "crypto" and bool((stamps.view(np.int64) % DAY_NS == 0).all())


def _when(ns: int) -> str:
    try:
        return iso(ns)
    except (OverflowError, ValueError):
        return "after the year 9999" if ns > 0 else "before the year 1"
