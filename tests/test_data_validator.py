"""Every defect of market data has its finding, and data without a defect have none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.data.bar_checks import Limits
from backtest.data.columns import BarColumns
from backtest.data.findings import KINDS
from backtest.data.line_checks import read_bar_lines
from backtest.data.lines import bar_lines
from backtest.data.quality import DataValidator
from backtest.data.store import FOREVER
from backtest.data.trades import TradeColumns
from core.codec import Header, line_of
from core.contracts.moments import iso, moment
from core.errors import ContractError
from tests.bar_series import MINUTE, START, calm, changed

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def counts(report):
    return {kind: (count.findings, count.bars) for kind, count in report.counts.items()}


def check(bars, **beside):
    return DataValidator().check(bars, **beside)


def times(kind, report):
    return [(finding.start_ns - START) // MINUTE for finding in report.findings if finding.kind == kind]


def stretch(first: int, count: int, value: float) -> dict[int, float]:
    return dict.fromkeys(range(first, first + count), value)


def test_clean_bars_have_no_finding():
    """A thousand calm minutes are what they seem."""
    report = check(calm())
    assert (report.counts, report.errors, report.warnings) == ({}, 0, 0)
    assert report.text().endswith("nothing found")


FLAT = {"open": stretch(500, 15, 100.0), "close": stretch(500, 15, 100.0)}
SILENT = {"volume": stretch(500, 15, 0.0)}

DEFECTS = [
    ("a high below the close", {"high": {500: 99.0}}, {"ohlc": (1, 1)}),
    ("a low above the open", {"low": {500: 100.2}}, {"ohlc": (1, 1)}),
    ("a vwap outside of its bar", {"vwap": {500: 101.0}}, {"ohlc": (1, 1)}),
    ("a volume below 0", {"volume": {500: -1.0}}, {"value": (1, 1)}),
    ("a volume that is no number", {"volume": {500: float("nan")}}, {"value": (1, 1)}),
    ("a vwap of 0", {"vwap": {500: 0.0}}, {"ohlc": (1, 1), "value": (1, 1)}),
    ("a low of 0", {"low": {500: 0.0}}, {"value": (1, 1)}),
    ("a bar 7 s beside its minute", {"ts_open": {500: START + 500 * MINUTE + 7_000_000_000}}, {"grid": (1, 1)}),
    ("a bar that says it is not complete", {"complete": {500: False}}, {"incomplete": (1, 1)}),
    ("a close 5 % up and back", {"close": {500: 105.0}, "high": {500: 105.0}}, {"spike": (1, 1)}),
    ("a wick 5 % down", {"low": {500: 95.0}}, {"spike": (1, 1)}),
    ("a known split", {"split_factor": stretch(0, 500, 1.0) | stretch(500, 500, 1.05)}, {"spike": (1, 1)}),
    ("a volume 10,000 times as large", {"volume": {500: 100_000.0}}, {"volume": (1, 1)}),
    ("the same close 15 times", FLAT, {"flat": (1, 15)}),
    ("no volume 15 times", SILENT, {"quiet": (1, 15)}),
    ("two stretches without volume", {"volume": stretch(300, 20, 0.0) | stretch(500, 16, 0.0)}, {"quiet": (2, 36)}),
]


@pytest.mark.parametrize(("defects", "found"), [row[1:] for row in DEFECTS], ids=[row[0] for row in DEFECTS])
def test_each_defect_is_found_and_nothing_else(defects, found):
    """One defect in a thousand calm minutes is one finding of its kind, at its minute."""
    report = check(changed(calm(), **defects))
    assert counts(report) == found
    assert all(times(kind, report)[-1] == 500 for kind in found)


HARMLESS = [
    ("the same close 14 times", {"open": stretch(500, 14, 100.03), "close": stretch(500, 14, 100.03)}),
    ("no volume 14 times", {"volume": stretch(500, 14, 0.0)}),
    ("a wick of 0.9 %", {"low": {500: 99.1}}),
    ("a volume five times as large", {"volume": {500: 50.0}}),
    ("a vwap within its bar", {"vwap": {500: 100.05}}),
    ("a spike where nobody knows yet what is usual", {"high": {30: 105.0}}),
]


@pytest.mark.parametrize("changes", [row[1] for row in HARMLESS], ids=[row[0] for row in HARMLESS])
def test_what_is_usual_is_no_finding(changes):
    """Below a limit nothing is said."""
    assert counts(check(changed(calm(), **changes))) == {}


def test_a_split_that_is_known_is_no_spike():
    """Prices are compared as they are after known splits: 4:1 with its factor is calm, without it a spike."""
    bars = calm()
    four = {name: dict(enumerate(getattr(bars, name)[:500] * 4)) for name in ("open", "high", "low", "close")}
    assert counts(check(changed(bars, **four, split_factor=stretch(0, 500, 0.25)))) == {}
    assert counts(check(changed(bars, **four))) == {"spike": (1, 1)}


def test_a_gap_separates_stretches_and_is_no_spike():
    """A price that moved while nothing was recorded is no spike, and a stretch does not go on behind a gap."""
    bars = changed(calm(), volume=stretch(490, 20, 0.0))
    keep = np.ones(len(bars), np.bool_)
    keep[500:505] = False
    moved = bars[keep]
    for name in ("open", "high", "low", "close"):
        getattr(moved, name)[500:] *= 1.1
    report = check(moved)
    assert counts(report) == {"gap": (1, 5)}  # 10 and 5 silent minutes beside it
    assert times("gap", report) == [500]


def test_z_is_what_its_formula_says():
    """The deviations of a spike, by hand: returns of the window against the move of the bar."""
    bars = changed(calm(), close={500: 105.0}, high={500: 105.0})
    detail = next(finding.detail for finding in check(bars).findings if finding.kind == "spike")
    moves = np.log(bars.close[1:] / bars.close[:-1])[259:499]  # 240 returns before bar 500
    z = (np.log(105.0 / bars.close[499]) - moves.mean()) / moves.std()
    assert detail == f"105 is {105.0 / bars.close[499] - 1:+.2%} from the close before, {z:.0f} deviations"


def test_a_volume_is_held_against_the_bars_before():
    """The deviations of a volume, by hand: 240 volumes of 8 to 12 have the median 10, their logarithms spread by less
    than 0.25, so z = ln(1000 / 10) / (1.4826 x 0.25) = 12.4; one volume does not change what is usual.
    """
    (finding,) = check(changed(calm(), volume={500: 1000.0})).findings
    assert finding.detail == "1000, usual are 10: 12.4 deviations"
    half = changed(calm(), volume={place: 1000.0 for place in range(500, 1000)})
    assert times("volume", DataValidator(shown=1000).check(half)) == list(range(500, 620))  # until half of 240 are


def test_a_spike_does_not_hide_behind_itself():
    """What is usual comes from the bars before: a spike of any height is found, its way back is not one more."""
    for height in (103.0, 1000.0, 1e9):
        report = check(changed(calm(), close={500: height}, high={500: height}))
        assert times("spike", report) == [500]


@pytest.mark.parametrize(
    "wrong", [{"window": 7}, {"spike_z": 0}, {"spike_move": -0.1}, {"volume_z": float("nan")}, {"flat_bars": 1}]
)
def test_limits_that_make_no_sense_are_refused(wrong):
    """A limit outside of what it may be is named."""
    with pytest.raises(ContractError, match=f"Limits.{next(iter(wrong))} is .*; allowed: "):
        Limits(**wrong)


def test_findings_are_capped_and_counted():
    """A report shows the first of each kind and says how many there are."""
    bars = changed(calm(), complete=stretch(100, 50, False))
    report = DataValidator(shown=3).check(bars)
    assert (report.warnings, len(report.findings)) == (50, 3)
    assert "  and 47 more" in report.text().splitlines()
    assert max(map(len, report.text().splitlines())) <= 100


@given(st.lists(st.integers(0, 199), max_size=30, unique=True))
def test_missing_bars_add_up(gone):
    """Whatever is taken out of a series is exactly what its gaps add up to."""
    keep = np.ones(200, np.bool_)
    keep[gone] = False
    report = DataValidator().check(calm(200)[keep], span=(START, START + 200 * MINUTE))
    assert sum(count.bars for kind, count in report.counts.items() if kind == "gap") == len(gone)
    assert report.coverage.missing == len(gone)


def write(folder: Path, *lines: bytes, name: str = "ohlcv.1m.BTCUSDT.20250101.ndjson") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"".join(lines))
    return folder


def by_lines(folder: Path, symbol: str = "BTC/USDT"):
    return DataValidator().check(read_bar_lines(folder, symbol, "1m", 0, FOREVER))


LINES = bar_lines(calm(300)).splitlines(keepends=True)
OTHER = LINES[100].replace(b'"volume":8.0', b'"volume":8.5')
LONGER = LINES[100].replace(b'"1m"', b'"5m"')
WIDER = LINES[100].replace(str(START + 101 * MINUTE).encode(), str(START + 105 * MINUTE).encode())

DEFECTIVE_LINES = [
    ("as they should be", LINES, {}),
    ("a line twice", [*LINES[:101], *LINES[100:]], {"duplicate": (1, 1)}),
    ("two bars for one time", [*LINES[:101], OTHER, *LINES[101:]], {"conflict": (1, 1)}),
    ("an older line later", [*LINES[:100], *LINES[101:], LINES[100]], {"order": (1, 1)}),
    ("a line of 5m", [*LINES[:101], LONGER, *LINES[101:]], {"timeframe": (1, 1)}),
    ("a line that ends too late", [*LINES[:100], WIDER, *LINES[101:]], {"timeframe": (1, 1), "gap": (1, 1)}),
    ("a line that is no bar", [*LINES[:100], b'{"price":1}\n', *LINES[100:]], {"line": (1, 1)}),
    ("a line that is no JSON", [*LINES[:100], b"\xff\xfe{\n", *LINES[100:]], {"line": (1, 1)}),
    ("an empty line", [*LINES[:100], b"\n", *LINES[100:]], {"line": (1, 1)}),
    ("a torn last line", [*LINES, LINES[0][:-20]], {}),
    ("lines of another symbol", [*LINES, *(line.replace(b"BTC/USDT", b"BT/CUSDT") for line in LINES)], {}),
]


@pytest.mark.parametrize(
    ("lines", "found"), [row[1:] for row in DEFECTIVE_LINES], ids=[row[0] for row in DEFECTIVE_LINES]
)
def test_defects_of_lines(tmp_path, lines, found):
    """What is wrong with lines is found although whoever reads bars would refuse or repair it."""
    report = by_lines(write(tmp_path / "data", *lines))
    assert counts(report) == found
    assert all(kind == "gap" or "ohlcv.1m.BTCUSDT.20250101.ndjson:" in report.findings[0].detail for kind in found)


def test_a_line_is_named_by_its_number(tmp_path):
    """Line 102 says the same as line 101."""
    report = by_lines(write(tmp_path / "data", *LINES[:101], *LINES[100:]))
    assert report.findings[0].detail == "ohlcv.1m.BTCUSDT.20250101.ndjson:102, close 100"


def test_lines_of_several_files(tmp_path):
    """A bar that stands in two files is doubled; that the second file begins earlier is no disorder within a file."""
    folder = write(tmp_path / "data", *LINES[:200])
    write(folder, *LINES[190:], name="ohlcv.1m.BTCUSDT.20250102.ndjson")
    assert counts(by_lines(folder)) == {"duplicate": (10, 10)}


def test_lines_with_a_header_are_the_same(tmp_path):
    """Journals of a running system, whose lines begin with a header, are read like imported ones."""
    header = Header(7, 1, 0, "ohlcv_aggregator", 0, 7, 1, "OHLCVBar", 1, 1, 0)
    lines = [line_of(header, line) for line in LINES]
    folder = write(tmp_path / "data", *lines, name="ohlcv.1m.BTCUSDT.ndjson")
    assert counts(by_lines(folder)) == {}


def trades_of(bars: BarColumns) -> TradeColumns:
    """Four trades per bar that make it up: open, high, low, close, with a quarter of the volume each."""
    prices = np.stack([bars.open, bars.high, bars.low, bars.close], axis=1).ravel()
    stamps = (bars.ts_open[:, None] + np.array([0, 1, 2, 3]) * 1_000_000_000).ravel()
    arrays = {"ts": stamps, "price": prices, "qty": np.repeat(bars.volume / 4, 4), "buy": np.ones(len(stamps), bool)}
    return TradeColumns.of(bars.symbol, arrays)


def test_bars_are_held_against_their_trades():
    """A bar with another close or volume than its trades is found; the first and last minute of trades are not held."""
    bars = calm(100)
    wrong = changed(bars, close={50: 100.02}, volume={60: 99.0}, high={0: 101.0})
    report = check(wrong, trades=trades_of(bars))
    assert counts(report)["trades"] == (2, 2)
    assert times("trades", report) == [50, 60]
    assert report.figures["bars compared with trades"] == 98
    assert [finding.detail for finding in report.findings if finding.kind == "trades"] == [
        "close 100.02, of its trades 100",
        "volume 99, of its trades 8",
    ]


def test_a_bar_that_says_it_is_not_complete_is_not_held_against_trades():
    """What a bar admits to lack is no disagreement."""
    bars = calm(100)
    report = check(changed(bars, volume={50: 1.0}, complete={50: False}), trades=trades_of(bars))
    assert "trades" not in report.counts


def fill(minute: float = 50, price: str = "100", qty: str = "1", fee: str | None = "0.1") -> dict[str, Any]:
    return {"fill_id": "f1", "ts_fill_ns": START + int(minute * MINUTE), "price": price, "qty": qty, "fee": fee}


FILLS = [
    ("as it should be", fill(), {}),
    ("above its bar", fill(price="100.2"), {"fill_price": (1, 1)}),
    ("below its bar", fill(price="99.8"), {"fill_price": (1, 1)}),
    ("without a price", fill(price="dear"), {"fill_price": (1, 1)}),
    ("of nothing", fill(qty="0"), {"fill_qty": (1, 1)}),
    ("of less than nothing", fill(qty="-1"), {"fill_qty": (1, 1)}),
    ("without a fee", fill(fee=None), {"fill_fee": (1, 1)}),
    ("for a fee of 0", fill(fee="0"), {"fill_fee": (1, 1)}),
    ("before the first bar", fill(minute=-1), {"fill_time": (1, 1)}),
    ("behind the last bar", fill(minute=100), {"fill_time": (1, 1)}),
]


@pytest.mark.parametrize(("one", "found"), [row[1:] for row in FILLS], ids=[row[0] for row in FILLS])
def test_suspicious_fills(one, found):
    """A fill must be of something, paid for, at a time and price that its minute had."""
    report = check(calm(100), fills=[one, fill(minute=60)])
    assert counts(report) == found
    assert report.figures["fills"] == 2


def test_a_venue_without_fees_is_not_suspicious():
    """A fee of 0 is strange only beside fills that paid one."""
    assert counts(check(calm(100), fills=[fill(fee="0"), fill(fee="0.0")])) == {}


def shared(path: str) -> Path:
    if not SHARED.is_dir():
        pytest.skip("recorded market data (../shared/data) is not on this machine")
    return SHARED / path


@pytest.mark.parametrize(
    ("folder", "symbol", "bars", "gaps", "silent"),
    [
        ("spot_1m", "ETH/USDT", 66_087, [("2023-03-24T12:40:00Z", 80)], 72),
        ("spot_1m", "SOL/USDT", 66_088, [("2023-03-24T12:40:00Z", 80)], 73),
        ("spot_1m", "LTC/USDT", 43_199, [], 0),
        ("spot_1m", "BTC/USDT", 130_708, [], 0),
    ],
)
def test_recorded_markets(folder, symbol, bars, gaps, silent):
    """The outage of Binance's spot market of 24 March 2023, 12:39 to 14:00, is found, and nothing that cannot be."""
    report = DataValidator().check(read_bar_lines(shared("ohlcv") / folder, symbol, "1m", 0, FOREVER))
    assert report.figures == {"bars": bars, "bars without volume": silent, "lines": bars}
    assert [(iso(f.start_ns), f.bars) for f in report.findings if f.kind == "gap"] == gaps
    assert report.errors == 0
    assert report.counts["quiet"].longest == 72 if silent else "quiet" not in report.counts


def frame(name: str, symbol: str) -> BarColumns:
    path = shared("ohlcv/raw") / name
    read = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    return BarColumns.of(symbol, "1m", {column: read[column].to_numpy() for column in read.columns})


def test_a_series_full_of_holes():
    """A year of which a fifth is there: 524 gaps with 419,724 bars, and 467 bars without volume."""
    bars = frame("ATOMUSDT_bybitperp_1m_gappy_20240908_20250907.csv.gz", "ATOM/USDT:USDT")
    report = check(bars)
    assert (report.counts["gap"].findings, report.counts["gap"].bars) == (524, 419_724)
    assert (report.coverage.found, report.coverage.missing, report.coverage.asked) == (105_076, 419_724, 524_800)
    assert report.figures["bars without volume"] == 467
    assert report.errors == 0


def test_four_months_of_a_future():
    """175,680 minutes of FIL without a gap, 79 of them without volume, 19 of those in a row."""
    report = check(frame("FILUSDT_perp_1m_202308_202311.parquet", "FIL/USDT:USDT"))
    assert report.figures == {"bars": 175_680, "bars without volume": 79}
    assert report.coverage.complete
    assert report.counts["quiet"].longest == 19


def test_an_outage_of_hours():
    """An outage as on 25 April 2021, 04:02 to 08:44 UTC, with silent bars before: one gap, one stretch."""
    first = moment("2021-04-25")
    bars = calm(1440)
    bars = replace(bars, ts_open=bars.ts_open - START + first, volume=bars.volume.copy())
    bars.volume[222:242] = 0.0  # 03:42 to 04:02
    keep = np.ones(1440, np.bool_)
    keep[242:524] = False  # 04:02 to 08:44 are 282 minutes
    report = check(bars[keep])
    assert counts(report) == {"gap": (1, 282), "quiet": (1, 20)}
    assert [iso(f.start_ns) for f in report.findings] == ["2021-04-25T04:02:00Z", "2021-04-25T03:42:00Z"]


def test_recorded_trades_make_the_recorded_bars():
    """The venue's own candles of ten minutes are what its trades add up to."""
    reference = pd.read_csv(shared("reference/trades_to_klines_BTC/klines_1m.csv"))
    trades = pd.read_json(shared("trades/md.trades.BTCUSDT.ndjson.gz"), lines=True, dtype={"trade_id": str})
    columns = {name: reference[name].to_numpy() for name in ("ts_open", "open", "high", "low", "close", "volume")}
    bars = BarColumns.of("BTC/USDT", "1m", columns)
    arrays = {name: trades[name].to_numpy() for name in ("ts", "price", "qty")} | {
        "buy": trades.side.to_numpy() == "buy"
    }
    report = check(bars, trades=TradeColumns.of("BTC/USDT", arrays))
    assert report.figures["bars compared with trades"] == 10
    assert "trades" not in report.counts


def test_every_kind_is_explained():
    """What can be found has a severity and a sentence."""
    assert all(severity in ("error", "warning") and about for severity, about in KINDS.values())
