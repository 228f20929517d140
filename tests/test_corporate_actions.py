"""Splits, dividends and new names: factors by the rule of the vendors, checked against two of them."""

from __future__ import annotations

import csv
import json
import shutil
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.data.action_imports import read_lean, read_table
from backtest.data.adjust import Spell, adjusted, factors, joined, spells, with_factors
from backtest.data.columns import ARRAYS, BarColumns
from backtest.data.main import main
from core.contracts import CorporateAction, iso, moment
from core.errors import ContractError, DataError

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
RECORDED = pytest.mark.skipif(not DATA.exists(), reason="recorded market data (../shared/data) is not on this machine")

AAPL = "AAPL/USD"
DAY = 86_400_000_000_000
START = moment("2020-01-01")


def days(closes, symbol=AAPL, volume=100.0, **rest):
    """Daily bars from 2020-01-01 on, a range of 2 around each close."""
    close = np.array(closes, float)
    arrays = {"open": close, "high": close + 1, "low": close - 1, "close": close, "vwap": close}
    arrays["ts_open"] = START + DAY * np.arange(len(close))
    arrays["volume"] = np.full(len(close), volume)
    return BarColumns.of(symbol, "1d", {**arrays, "turnover": close * volume}, asset_class="equity", **rest)


def split(day, ratio, symbol=AAPL):
    return CorporateAction(symbol, "split", START + day * DAY, ratio=Decimal(ratio))


def dividend(day, amount, symbol=AAPL, **rest):
    return CorporateAction(symbol, "dividend", START + day * DAY, amount=Decimal(amount), **rest)


def renamed(day, old, new):
    return CorporateAction(old, "symbol_change", START + day * DAY, new_symbol=new)


def factors_of(closes, actions, **how):
    columns = days(closes)
    return factors(columns.ts_open, columns.close, actions, **how)


# -- factors


def test_a_split_counts_for_the_bars_before_it():
    """4 for 1 on day 2: a price of 400 before is 100 of today's; the bar of the day itself is in new units."""
    split_factor, return_factor = factors_of([400, 404, 101, 102], [split(2, 4)])
    assert split_factor.tolist() == return_factor.tolist() == [0.25, 0.25, 1, 1]


def test_splits_multiply_and_may_go_the_other_way():
    """2 for 1, then 1 for 10: before both 10 / 2 = 5, between them 10; a third of three units is exact."""
    assert factors_of([1, 1, 1], [split(2, "0.1"), split(1, 2)])[0].tolist() == [5, 10, 1]
    assert factors_of([1, 1, 1], [split(1, 3), split(2, "1.5")])[0].tolist() == [1 / 4.5, 1 / 1.5, 1]


def test_a_dividend_takes_its_share_of_the_last_close_with_it():
    """5 of 200 are 2.5 %, before that 10 of 100 are 10 %: 0.9 * 0.975 = 0.8775, 0.975, 1."""
    split_factor, return_factor = factors_of([100, 200, 190], [dividend(2, 5), dividend(1, 10)])
    assert split_factor.tolist() == [1, 1, 1]
    assert return_factor == pytest.approx([0.8775, 0.975, 1], rel=1e-15)


def test_a_dividend_is_in_the_units_of_its_time():
    """8 of a close of 400 are 2 %, whatever the split of the day after makes of units: 0.98 / 4."""
    actions = [dividend(1, 8), split(2, 4)]
    assert factors_of([400, 392, 98], actions)[1] == pytest.approx([0.245, 0.25, 1], rel=1e-15)


def test_a_dividend_behind_a_hole_with_a_split_in_it():
    """The last bar closed at 400 before 4 for 1; then 2 per new unit are 2 of 100, not of 400: 0.98 / 4."""
    ts_open = START + DAY * np.array([0, 5])
    actions = [split(2, 4), dividend(5, 2)]
    assert factors(ts_open, np.array([400.0, 98.0]), actions)[1] == pytest.approx([0.245, 1], rel=1e-15)


def test_a_split_and_a_dividend_of_one_moment():
    """The dividend is per unit held before: 8 of 400 are 2 %, then 4 for 1."""
    actions = [split(1, 4), dividend(1, 8)]
    assert factors_of([400, 98], actions)[1] == pytest.approx([0.245, 1], rel=1e-15)


def test_nobody_knows_what_comes_later():
    """As of day 1 the split of day 2 is unknown, as of day 2 it is known, and what is before all bars has no effect."""
    closes = [400, 400, 100]
    actions = [split(-5, 7), dividend(-3, 1), split(2, 4)]
    assert factors_of(closes, actions, as_of_ns=START + 2 * DAY - 1)[0].tolist() == [1, 1, 1]
    assert factors_of(closes, actions, as_of_ns=START + 2 * DAY)[0].tolist() == [0.25, 0.25, 1]


def test_a_dividend_of_the_whole_price_is_refused():
    """Nothing of the price would be left."""
    with pytest.raises(ContractError, match=r"dividend of AAPL/USD at 2020-01-02T00:00:00Z is 100; the close is 100"):
        factors_of([100, 1], [dividend(1, 100)])


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_total_returns_do_not_depend_on_splits(data):
    """A holder of one unit who buys for each dividend at the close before gets rich just as the factors say."""
    number = data.draw(st.integers(2, 12))
    worth = [data.draw(st.integers(50, 150)) for _ in range(number)]  # of one unit as of the beginning
    ratios = {day: data.draw(st.sampled_from([2, 4, 5])) for day in data.draw(st.sets(st.integers(1, number - 1)))}
    paid = {day: data.draw(st.integers(1, 20)) for day in data.draw(st.sets(st.integers(1, number - 1)))}
    closes, units, held = [], 1, [1.0]
    actions = []
    for day in range(number):
        if day in paid:  # per unit as counted before the split of the same day
            amount = Decimal(paid[day]) / units
            actions.append(dividend(day, amount))
            held.append(held[-1] / (1 - paid[day] / worth[day - 1]))
        elif day:
            held.append(held[-1])
        if day in ratios:
            units *= ratios[day]
            actions.append(split(day, ratios[day]))
        closes.append(worth[day] / units)
    made = adjusted(days(closes), data.draw(st.permutations(actions)), mode="total_return")
    wealth = np.array(held) * worth
    assert made.close / made.close[0] == pytest.approx(wealth / wealth[0], rel=1e-9)


# -- bars in each kind of price


def test_each_mode_says_what_is_left_to_do():
    """400 with a dividend of 8 and 4 for 1: raw 400, split 100, total return 98; 100 units become 400."""
    columns, actions = days([400, 98]), [dividend(1, 8), split(1, 4)]
    seen = {mode: adjusted(columns, actions, mode=mode)[0:1] for mode in ("raw", "split", "total_return")}
    found = {
        mode: [float(getattr(bar, name)[0]) for name in ("close", "volume", "split_factor", "return_factor")]
        for mode, bar in seen.items()
    }
    assert found["raw"] == pytest.approx([400, 100, 0.25, 0.245])
    assert found["split"] == pytest.approx([100, 400, 1, 0.98])
    assert found["total_return"] == pytest.approx([98, 400, 1, 1])
    assert [bar.vwap[0] for bar in seen.values()] == pytest.approx([400, 100, 98])
    assert [bar.turnover[0] for bar in seen.values()] == [40_000] * 3


def test_adjusting_twice_is_adjusting_once():
    """What was taken out of a price is not in its factors any more; later steps need no actions."""
    columns, actions = days([400, 392, 98]), [dividend(1, 8), split(2, 4)]
    raw, once = adjusted(columns, actions, mode="raw"), adjusted(columns, actions, mode="split")
    assert adjusted(once, mode="split").equals(once)
    assert adjusted(raw, mode="split").equals(once)
    whole = adjusted(columns, actions, mode="total_return")
    assert adjusted(once, mode="total_return").close == pytest.approx(whole.close, rel=1e-15)
    assert adjusted(whole, mode="total_return").equals(whole)


def test_without_actions_nothing_changes():
    """Those of other symbols do not count; factors that a bar brought along stay."""
    columns = days([400, 98])
    assert with_factors(columns, [split(1, 4, "MSFT/USD")]) is columns
    assert adjusted(columns, [], mode="total_return").equals(columns)
    carried = with_factors(columns, [split(1, 4)])
    assert with_factors(carried, []).split_factor.tolist() == [0.25, 1]


def test_the_events_carry_the_factors():
    """A strategy sees what was paid, and the factors beside it."""
    first, second = with_factors(days([400, 98]), [dividend(1, 8), split(1, 4)]).bars()
    assert (first.close, first.split_factor) == (400, 0.25)
    assert first.return_factor == pytest.approx(0.245)
    assert (second.close, second.split_factor, second.return_factor) == (98, 1, 1)


def test_no_such_mode_and_no_such_money():
    """A dividend in euros needs a rate that nobody gave."""
    with pytest.raises(ContractError, match="mode is 'both'; allowed: raw, split, total_return"):
        adjusted(days([1]), mode="both")  # type: ignore[arg-type]  # that is the test
    with pytest.raises(ContractError, match="is paid in 'EUR'; allowed: the currency of its prices, 'USD'"):
        with_factors(days([100, 99]), [dividend(1, 1, currency="EUR")])
    assert with_factors(days([100, 99]), [dividend(1, 1, currency="USD")]).return_factor.tolist() == [0.99, 1]


# -- names


def test_a_symbol_has_had_other_names():
    """A became B on day 2 and C on day 4; that somebody else was called C before is no matter."""
    changes = [renamed(2, "A/USD", "B/USD"), renamed(4, "B/USD", "C/USD"), renamed(1, "C/USD", "D/USD")]
    at = [START + day * DAY for day in (2, 4)]
    assert spells("C/USD", changes) == (
        Spell("A/USD", 0, at[0]), Spell("B/USD", at[0], at[1]), Spell("C/USD", at[1], 2**63 - 1),
    )  # fmt: skip
    assert [spell.symbol for spell in spells("D/USD", changes)] == ["C/USD", "D/USD"]


def test_a_name_that_comes_back():
    """From A to B and back to A: three spells, and no endless circle."""
    changes = [renamed(2, "A/USD", "B/USD"), renamed(4, "B/USD", "A/USD")]
    assert [spell.symbol for spell in spells("A/USD", changes)] == ["A/USD", "B/USD", "A/USD"]
    both = {name: days([10 + n] * 6, name) for n, name in enumerate(("A/USD", "B/USD"))}
    whole = joined(both, changes)
    assert (whole.symbol, whole.close.tolist()) == ("A/USD", [10, 10, 11, 11, 10, 10])


def test_two_names_one_history():
    """FB became META on day 2: of each name the bars of its time, and the dividend of FB counts for both."""
    change = renamed(2, "FB/USD", "META/USD")
    series = {"META/USD": days([7, 7, 98, 99], "META/USD"), "FB/USD": days([100, 98, 9, 9], "FB/USD")}
    whole = joined(series, [change])
    assert (whole.symbol, whole.close.tolist(), whole.asset_class) == ("META/USD", [100, 98, 98, 99], "equity")
    actions = [change, dividend(1, 2, "FB/USD"), dividend(1, 50, "META/USD"), dividend(3, 50, "FB/USD")]
    assert with_factors(whole, actions).return_factor.tolist() == [0.98, 1, 1, 1]
    assert joined({"META/USD": series["META/USD"]}, [change]).close.tolist() == [98, 99]


def test_what_cannot_be_joined_is_refused():
    """Strangers, other lengths and other moneys make no history."""
    change, old = renamed(1, "FB/USD", "META/USD"), days([1, 1], "FB/USD")
    with pytest.raises(ContractError, match="no symbol change leads through all of FB/USD, MSFT/USD"):
        joined({"FB/USD": old, "MSFT/USD": old}, [change])
    with pytest.raises(ContractError, match="no symbol change leads through all of no series"):
        joined({}, [change])
    hours = BarColumns.of("META/USD", "1h", {name: getattr(old, name) for name in ARRAYS})
    with pytest.raises(ContractError, match="bars of FB/USD are 1d in 'USD', those of META/USD 1h in 'USD'"):
        joined({"FB/USD": old, "META/USD": hours}, [change])


# -- the reference: Apple in 2020, two vendors


@pytest.fixture(scope="module")
def apple():
    """Raw daily bars of 23 years, and the actions behind the factor file."""
    rows = table_of("AAPL_lean_daily_raw_1998_2021.csv")
    arrays = {name: [float(row[name]) for row in rows] for name in ("open", "high", "low", "close", "volume")}
    columns = BarColumns.of(
        AAPL, "1d", {**arrays, "ts_open": [moment(row["date"]) for row in rows]}, asset_class="equity"
    )
    return columns, read_lean(DATA / "equities" / "AAPL_lean_factors.csv", AAPL)


def table_of(name):
    with (DATA / "equities" / name).open() as lines:
        return list(csv.DictReader(lines))


def yahoo(columns):
    """Closes and adjusted closes of the other vendor, and where their days are in our columns."""
    rows = table_of("AAPL_yahoo_2020_adjclose.csv")
    times = [moment(row["Date"]) for row in rows]
    places = np.searchsorted(columns.ts_open, times)
    assert columns.ts_open[places].tolist() == times
    return places, *(np.array([float(row[name]) for row in rows]) for name in ("Close", "Adj Close"))


@RECORDED
def test_the_actions_of_2020_come_out_of_the_factors(apple):
    """Four dividends and the split, to the cent, each from the day behind the last one with it."""
    expected = json.loads((DATA / "reference" / "aapl_2020_corporate_actions" / "expected.json").read_text())
    found = [each for each in apple[1] if iso(each.ts_effective_ns).startswith("2020")]
    for action, row in zip(found, expected["actions_2020"], strict=True):
        assert action.ts_effective_ns == moment(row["last_day_before"]) + DAY
        if "split" in row:
            assert (action.kind, action.ratio) == ("split", Decimal(row["split"].partition(":")[0]))
        else:
            assert (action.kind, action.amount) == ("dividend", Decimal(str(row["dividend"])))


@RECORDED
def test_years_of_rounding_leave_the_amounts_that_were_paid(apple):
    """Two splits of 2 for 1, one of 7 and one of 4 (the files cut their factors off), and 35 dividends as announced."""
    splits = [(iso(each.ts_effective_ns)[:4], each.ratio) for each in apple[1] if each.kind == "split"]
    assert splits == [("2000", 2), ("2005", 2), ("2014", 7), ("2020", 4)]
    amounts = [str(each.amount) for each in apple[1] if each.kind == "dividend"]
    assert amounts == (
        ["2.65"] * 3 + ["3.05"] * 4 + ["3.29"] + ["0.47"] * 3 + ["0.52"] * 4 + ["0.57"] * 4 + ["0.63"] * 4
        + ["0.73"] * 4 + ["0.77"] * 4 + ["0.82"] * 2 + ["0.205"] * 2
    )  # fmt: skip


@RECORDED
def test_raw_prices_without_splits_are_the_other_vendor_s_closes(apple):
    """On 252 days: 3e-6 apart in the mean, 7.3e-4 on the one day for which the vendors have another close."""
    columns, actions = apple
    places, closes, _ = yahoo(columns)
    apart = np.abs(adjusted(columns, actions, mode="split").close[places] / closes - 1)
    assert len(apart) == 252
    assert apart.mean() == pytest.approx(3.25e-6, rel=0.01)
    assert apart.max() == pytest.approx(7.31e-4, rel=0.01)
    assert np.sort(apart)[-2] < 5e-5


@RECORDED
def test_total_returns_are_the_other_vendor_s(apple):
    """Daily returns within 8e-4, but for that one close within 5e-5; the level is 1.0257, for dividends since 2021."""
    columns, actions = apple
    places, _, adjusted_closes = yahoo(columns)
    ours = adjusted(columns, actions, mode="total_return").close[places]
    apart = np.sort(np.abs(ours[1:] / ours[:-1] - adjusted_closes[1:] / adjusted_closes[:-1]))
    assert apart[-1] < 8e-4
    assert apart[-3] < 5e-5
    level = np.sort(ours / adjusted_closes)
    assert level[1:] == pytest.approx(1.0257, abs=6e-5)
    assert level[0] == pytest.approx(1.0257 * (1 - 7.31e-4), abs=6e-5)


@RECORDED
def test_the_factors_are_the_vendor_s_own(apple):
    """Of all 5,849 days: our factors out of raw closes and dividends are those in the file, as far as its digits go."""
    columns, actions = apple
    with (DATA / "equities" / "AAPL_lean_factors.csv").open() as lines:
        rows = [(moment(day), float(price), float(ratio)) for day, price, ratio, _ in csv.reader(lines)]
    places = np.searchsorted([row[0] for row in rows], columns.ts_open)
    made = with_factors(columns, actions)
    assert made.split_factor == pytest.approx(np.array([row[2] for row in rows])[places], abs=1e-7)
    assert made.return_factor / made.split_factor == pytest.approx(np.array([row[1] for row in rows])[places], abs=1e-7)


# -- files


def write(folder, text):
    path = folder / "actions.csv"
    path.write_text(text)
    return path


def test_actions_out_of_a_table(tmp_path):
    """Columns in any order, a mark at its beginning, empty cells; a symbol per line or one for all."""
    path = write(
        tmp_path, "\ufeffts_effective,Kind,amount,ratio,new_symbol\n2020-01-02,dividend,0.5,,\n\n2020-01-03,split,,4,\n"
    )
    assert read_table(path, AAPL) == [dividend(1, "0.5"), split(2, 4)]
    path = write(tmp_path, "symbol,kind,ts_effective,new_symbol\nFB/USD,symbol_change,2020-01-03T00:00:00Z,META/USD\n")
    assert read_table(path, "") == [renamed(2, "FB/USD", "META/USD")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind,when\n", r"line 1: columns missing: \['ts_effective'\], unknown: \['when'\]; allowed: symbol, kind"),
        ("", r"line 1: columns missing: \['kind', 'ts_effective'\]"),
        ("kind,ts_effective\nsplit\n", "line 2: 1 cells; allowed: 2"),
        ("kind,ts_effective,ratio\nmerger,2020-01-01,2\n", "line 2: kind is 'merger'; allowed: split, dividend"),
        ("kind,ts_effective,ratio\nsplit,2020-01-01,\n", "line 2: ratio is missing; needed for a split"),
        ("kind,ts_effective,ratio\nsplit,01/02/20,2\n", "line 2: ts_effective is '01/02/20'; allowed: 2025-09-30"),
        ("kind,ts_effective,ratio\nsplit,2020-01-01,-2\n", r"line 2: .*ratio is .*-2.*; allowed: above 0"),
        ("kind,ts_effective,ratio\nsplit,2020-01-01,two\n", "line 2: "),
    ],
)
def test_a_wrong_table_is_refused_with_file_and_line(tmp_path, text, says):
    """So that whoever wrote it finds the place."""
    with pytest.raises(DataError, match=f"actions.csv, {says}"):
        read_table(write(tmp_path, text), AAPL)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("20200101,1,1,100\n20200102,1\n", "line 2: '20200102,1' is not date, price factor, split factor"),
        ("20200101,1,1,100\n20200102,0,1,100\n", "line 2: a factor is not above 0"),
        ("20200102,1,1,100\n20200101,1,1,100\n", "line 2: its date is not behind that of line 1"),
        ("20200101,1,1,100\n20200102,0.9,1,100\n", "line 1: no dividend makes its price factor and the next one"),
        ("20200101,0.9,1,0\n20200102,1,1,100\n", "line 1: no dividend makes its price factor and the next one"),
    ],
)
def test_a_wrong_factor_file_is_refused_with_file_and_line(tmp_path, text, says):
    """A factor that rises backwards in time is no dividend."""
    with pytest.raises(DataError, match=f"actions.csv, {says}"):
        read_lean(write(tmp_path, text), AAPL)


def test_a_file_that_is_not_there(tmp_path):
    """Is named."""
    with pytest.raises(DataError, match=r"none\.csv: it cannot be read"):
        read_lean(tmp_path / "none.csv", AAPL)


# -- the command


@pytest.fixture
def command(tmp_path, capsys):
    """Runs `actions` in a folder of its own; the exit code and what it said."""
    shutil.copytree(ROOT / "config", tmp_path / "config")

    def run(work, *options):
        code = main(["actions", work, "--config-root", str(tmp_path), "--dataset", "us", *options])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_actions_are_written_down_once(command):
    """Twice is the same; another ratio for the same day is refused until it is said to replace."""
    one = ("--symbol", AAPL, "--kind", "split", "--effective", "2020-08-31", "--ratio")
    assert command("add", *one, "4", "--dry-run") == (
        0, "would be: 1 new, 0 there already, 0 replaced, 0 kept as they were\n", "",
    )  # fmt: skip
    assert command("list") == (0, "dataset us holds no corporate actions\n", "")
    assert command("add", *one, "4")[:2] == (0, "1 new, 0 there already, 0 replaced, 0 kept as they were\n")
    assert command("add", *one, "4")[:2] == (0, "0 new, 1 there already, 0 replaced, 0 kept as they were\n")
    code, out, said = command("add", *one, "5")
    assert (code, out) == (1, "")
    assert "2020-08-31T00:00:00Z" in said
    assert command("add", *one, "5", "--on-conflict", "replace")[0] == 0
    code, out, _ = command("list", "--json")
    assert [(row["symbol"], row["ratio"], row["ts_effective_ns"]) for row in json.loads(out)] == [
        (AAPL, "5", moment("2020-08-31")),
    ]  # fmt: skip


def test_actions_of_every_kind_are_shown(command):
    """One line each, by symbol and time."""
    command(
        "add", "--symbol", "FB/USD", "--kind", "symbol_change", "--effective", "2022-06-09", "--new-symbol", "META/USD"
    )
    command("add", "--symbol", AAPL, "--kind", "dividend", "--effective", "2020-11-06", "--amount", "0.205")
    command("add", "--symbol", AAPL, "--kind", "split", "--effective", "2020-08-31T13:30Z", "--ratio", "4")
    lines = command("list")[1].splitlines()
    assert [line.split() for line in lines[1:]] == [
        [AAPL, "2020-08-31T13:30:00Z", "split", "4", "for", "1"],
        [AAPL, "2020-11-06T00:00:00Z", "dividend", "0.205"],
        ["FB/USD", "2022-06-09T00:00:00Z", "symbol_change", "now", "META/USD"],
    ]
    assert command("list", "--symbol", "META/USD")[1] == "dataset us holds no corporate actions of META/USD\n"


@RECORDED
def test_a_factor_file_is_imported(command):
    """39 actions of Apple; the second time nothing is new; without a symbol nobody knows whose they are."""
    file = str(DATA / "equities" / "AAPL_lean_factors.csv")
    assert command("import", file, "--format", "lean", "--symbol", AAPL)[1].startswith("39 new, 0 there")
    assert command("import", file, "--format", "lean", "--symbol", AAPL)[1].startswith("0 new, 39 there")
    assert len(json.loads(command("list", "--json")[1])) == 39
    code, _, said = command("import", file, "--format", "lean")
    assert (code, said) == (
        2,
        "backtest.data actions: --symbol is missing; a LEAN factor file does not say whose it is\n",
    )


def test_wrong_options_are_named(command, tmp_path):
    """A split without a ratio and a table that is empty."""
    code, _, said = command("add", "--symbol", AAPL, "--kind", "split", "--effective", "2020-08-31")
    assert (code, said) == (2, "backtest.data actions: ratio is missing; needed for a split\n")
    code, _, said = command("import", str(write(tmp_path, "kind,ts_effective\n")), "--format", "csv", "--symbol", AAPL)
    assert code == 1
    assert "it holds no action" in said
