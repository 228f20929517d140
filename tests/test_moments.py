"""Times as people write them."""

import pytest

from core.contracts import day_of, iso, moment, period
from core.errors import ContractError

DAY_NS = 86_400_000_000_000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01", 0),
        ("2025-09-30", 1_759_190_400_000_000_000),  # 20,361 days of 86,400 seconds
        ("20250930", 1_759_190_400_000_000_000),
        ("2025-09-30T23:59:59Z", 1_759_276_799_000_000_000),
        ("2025-09-30 23:59:59", 1_759_276_799_000_000_000),
        ("2025-09-30T02:00:00+02:00", 1_759_190_400_000_000_000),
        ("2025-09-30T00:00:00.000000001Z", 1_759_190_400_000_000_001),
        ("20250930T000000.5", 1_759_190_400_500_000_000),
        ("2025-09-30T00:00:00,25", 1_759_190_400_250_000_000),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(text, ns):
    """To the nanosecond, in whatever zone the machine is."""
    assert moment(text) == ns


@pytest.mark.parametrize("text", ["", "yesterday", "2025-13-01", "1969-12-31", "2025-09-30T00:00:00.0000000001", "1.5"])
def test_what_is_no_time_is_refused_with_what_is_allowed(text):
    """The message names the option, the value and the form."""
    with pytest.raises(ContractError, match=r"start is .*allowed: 2025-09-30 or"):
        moment(text, "start")


def test_a_date_as_the_end_is_a_whole_day():
    """From the first of January to the thirtieth of September are 273 days."""
    start_ns, end_ns = period("2025-01-01", "2025-09-30")
    assert (end_ns - start_ns) // DAY_NS == 273
    assert period("2025-09-30", "2025-09-30") == (1_759_190_400_000_000_000, 1_759_276_800_000_000_000)


def test_a_time_as_the_end_is_not_in_the_range():
    """Half open: what begins at the end is left out."""
    assert period("2025-09-30T00:00:00Z", "2025-09-30T00:01:00Z")[1] == 1_759_190_460_000_000_000


@pytest.mark.parametrize(("start", "end"), [("2025-09-30", "2025-09-29"), ("2025-09-30T01:00", "2025-09-30T01:00")])
def test_an_empty_range_is_refused(start, end):
    """The end must lie behind the start."""
    with pytest.raises(ContractError, match="end is "):
        period(start, end)


def test_times_are_written_as_exactly_as_they_are():
    """Seconds where that is all, else all digits that are not zero."""
    assert iso(1_759_190_400_000_000_000) == "2025-09-30T00:00:00Z"
    assert iso(1_759_190_400_120_000_000) == "2025-09-30T00:00:00.12Z"
    assert moment(iso(1_759_190_400_120_000_001)) == 1_759_190_400_120_000_001
    assert day_of(1_759_190_399_999_999_999) == "20250929"
