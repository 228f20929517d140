"""The commands that show, check and export market data, as they are typed."""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import replace
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow.csv as pc
import pytest

from backtest.data.cache import cache_info
from backtest.data.columns import PRICES, BarColumns
from backtest.data.lines import bar_lines, trade_lines
from backtest.data.main import COMMANDS, main
from backtest.data.manifest import Origin
from backtest.data.resample import resample
from backtest.data.store import Dataset
from backtest.data.trades import TradeColumns
from core import codec
from core.contracts import BookEvent, CorporateAction, FillEvent, TickerEvent
from core.contracts.moments import iso, moment
from tests.bar_series import MINUTE, START, calm, changed

ROOT = Path(__file__).resolve().parents[1]
DAY = 1440 * MINUTE


class Desk:
    """A folder with the shipped configuration and market data, and commands typed there."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        shutil.copytree(ROOT / "config", folder / "config")
        self.folder = folder
        self.journals = folder / "var/log/njord"
        self._capsys = capsys

    def dataset(self, name: str) -> Dataset:
        return Dataset(self.folder / "var/history" / name)

    def record(self, name: str, lines: bytes) -> None:
        """Put a journal of a running system there."""
        self.journals.mkdir(parents=True, exist_ok=True)
        (self.journals / name).write_bytes(lines)

    def type(self, *words: str) -> tuple[int, str, str]:
        """Exit code, output and errors of a command."""
        command, *options = words
        code = main([command, "--config-root", str(self.folder), *options])
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def json(self, *words: str):
        """What a command says to programs."""
        code, out, _ = self.type(*words, "--json")
        return code, json.loads(out)


@pytest.fixture
def desk(tmp_path, capsys):
    """Two days of BTC with a gap of 80 minutes, some ETH in 5m bars, and trades."""
    made = Desk(tmp_path, capsys)
    keep = np.ones(2880, np.bool_)
    keep[760:840] = False
    made.dataset("spot").add(calm(2880)[keep])
    made.dataset("spot").add_trades(trades(10))
    made.dataset("other").add(calm(100, 5 * MINUTE, "ETH/USDT", "5m"))
    made.dataset("spot").note_origin(
        Origin("bars.csv", "BTC/USDT", "1m", 2800, START, START + 2 * DAY - MINUTE, START + 3 * DAY, "csv"),
        venue="binanceus",
    )
    return made


def trades(count: int) -> TradeColumns:
    arrays = {
        "ts": START + np.arange(count) * 1_000_000_000,
        "price": 100.0 + np.arange(count),
        "qty": np.ones(count),
        "buy": np.arange(count) % 2 == 0,
        "trade_id": np.array([str(number) for number in range(count)], np.object_),
    }
    return TradeColumns.of("BTC/USDT", arrays)


def fits(out: str) -> bool:
    return max(map(len, out.splitlines())) <= 100


def test_list(desk):
    """The list has all series with span, rows, gaps and size, in lines that fit a terminal."""
    code, out, _ = desk.type("list")
    assert code == 0
    assert fits(out)
    head, *rows = [line.split() for line in out.splitlines()]
    assert head == ["dataset", "symbol", "data", "first", "last", "rows", "gaps", "missing", "size"]
    assert [row[:10] for row in rows] == [
        ["other", "ETH/USDT", "5m", "2025-01-01", "00:00", "2025-01-01", "08:15", "100", "0", "0"],  # 99 x 5 min
        ["spot", "BTC/USDT", "1m", "2025-01-01", "00:00", "2025-01-02", "23:59", "2,800", "1", "80"],
        ["spot", "BTC/USDT", "trades", "2025-01-01", "00:00", "2025-01-01", "00:00", "10", "0", "0"],
    ]
    code, listed = desk.json("list", "--symbol", "BTC/USDT", "--timeframe", "1m")
    assert [(each["dataset"], each["rows"], each["gaps"], each["missing"], each["files"]) for each in listed] == [
        ("spot", 2800, 1, 80, 2)
    ]
    assert listed[0]["size"] == sum(
        path.stat().st_size for path in desk.dataset("spot").folder.glob("ohlcv.1m.BTCUSDT.*")
    )


def test_list_shows_what_this_system_has_recorded(desk):
    """The journals of the running system are the dataset `recorded`."""
    desk.record("ohlcv.1m.ATOMUSDT.ndjson", bar_lines(calm(30, symbol="ATOM/USDT")))
    _, listed = desk.json("list", "--dataset", "recorded")
    assert [(each["dataset"], each["symbol"], each["rows"]) for each in listed] == [("recorded", "ATOM/USDT", 30)]


def test_recorded_books_and_tickers(desk):
    """They are listed with first, last and rows; info and raw show them, the venue's time counting before receipt."""
    books = [
        BookEvent("BTC/USDT", ((99.0, 1.0),), ((101.0, 2.0),), last_update_id=7, ts_exchange_ns=START),
        BookEvent("BTC/USDT", (), ((101.0, 0.0),), kind="delta", last_update_id=8, ts_recv_ns=START + MINUTE),
    ]
    ticker = TickerEvent("BTC/USDT", None, 99.0, 101.0, ts_exchange_ns=START + 5, ts_recv_ns=START + 2 * MINUTE)
    lines = [codec.encode(book) + b"\n" for book in books]
    desk.record("md.book.BTCUSDT.ndjson", b"".join(lines))
    desk.record("md.ticker.BTCUSDT.20260101.ndjson", codec.encode(ticker) + b"\n")
    _, listed = desk.json("list", "--dataset", "recorded")
    assert [(each["kind"], each["rows"], each["first_ns"] - START, each["last_ns"] - START) for each in listed] == [
        ("books", 2, 0, MINUTE), ("tickers", 1, 5, 5),
    ]  # fmt: skip
    assert desk.json("info", "--dataset", "recorded", "--kind", "books")[1]["rows"] == 2
    one = ("raw", "--dataset", "recorded", "--kind", "books", "--start", "2025-01-01T00:00:30Z")
    assert desk.type(*one)[1] == lines[1].decode()
    shown = desk.type("raw", "--dataset", "recorded", "--kind", "books", "--table")[1].splitlines()
    assert shown[1].split() == ["2025-01-01T00:00:00Z", "snapshot", "0", "7", "1", "levels", "1", "levels"]


def test_two_symbols_in_one_file_are_both_listed(desk):
    """A/BUSD and AB/USD share a file name: what was recorded of both stands in one journal."""
    both = bar_lines(calm(3, symbol="A/BUSD")) + bar_lines(calm(4, symbol="AB/USD"))
    desk.record("ohlcv.1m.ABUSD.ndjson", both)
    _, listed = desk.json("list", "--dataset", "recorded")
    assert [(each["symbol"], each["rows"]) for each in listed] == [("A/BUSD", 3), ("AB/USD", 4)]


def test_options_are_called_the_same_everywhere():
    """Helps begin with a verb; --on-conflict, --json and the way to a folder have one name in all commands."""
    for name in COMMANDS:
        module = import_module(f"backtest.data.commands.{name}")
        parser = argparse.ArgumentParser()
        module.add_options(parser)
        known = {option for action in parser._actions for option in action.option_strings}
        assert (module.__doc__ or "")[:1].isupper(), name
        assert not known & {"--conflict", "--from"}, name
        assert "--json" in known or name in ("raw", "actions"), name  # lines are JSON; list has it


def test_list_of_nothing(tmp_path, capsys):
    """Where nothing is, it says so and what would bring something."""
    desk = Desk(tmp_path, capsys)
    said = "no market data are here yet; `generate` makes some up, `download` and `import` bring real ones\n"
    assert desk.type("list") == (0, said, "")


def test_list_goes_on_behind_a_broken_dataset(desk):
    """A dataset that cannot be read is named, the others are shown, and the exit code is 1."""
    (desk.dataset("broken").folder).mkdir()
    (desk.dataset("broken").folder / "ohlcv.1m.BTCUSDT.20250101.ndjson").write_bytes(b"no bar\n")
    code, out, errors = desk.type("list")
    assert code == 1
    assert len(out.splitlines()) == 4
    assert errors.startswith("broken: ")
    assert "ohlcv.1m.BTCUSDT.20250101.ndjson, line 1" in errors


def test_info(desk):
    """Info has span, gaps, files, ranges, where the data came from, and the state of the cache."""
    code, known = desk.json("info", "--symbol", "BTC/USDT")
    assert code == 0
    assert (known["rows"], known["gaps"], known["missing"], known["files"], known["compressed"]) == (2800, 1, 80, 2, 2)
    assert known["ranges"] == {"price": [99.9 - 0.05, 100.1 + 0.05], "volume": [8.0, 12.0]}
    assert (known["venue"], [each["source"] for each in known["origins"]]) == ("binanceus", ["bars.csv"])
    assert [each["state"] for each in known["cache"]] == ["fresh"]
    code, out, _ = desk.type("info", "--symbol", "BTC/USDT")
    assert code == 0
    assert fits(out)
    assert "origin   bars.csv (csv), 2,800 rows, taken in on 2025-01-04" in out


def test_info_of_trades(desk):
    """Trades have a span and ranges too."""
    _, known = desk.json("info", "--symbol", "BTC/USDT", "--kind", "trades")
    assert (known["rows"], known["ranges"]) == (10, {"price": [100.0, 109.0], "qty": [1.0, 1.0]})
    assert iso(known["last_ns"]) == "2025-01-01T00:00:09Z"


def test_raw_is_what_stands_in_the_journal(desk):
    """Raw lines are byte for byte those of the journal, and the range is half open."""
    lines = bar_lines(calm(1440)).decode().splitlines(keepends=True)
    assert desk.type("raw", "--symbol", "BTC/USDT", "--head", "3")[1] == "".join(lines[:3])
    day = desk.type("raw", "--symbol", "BTC/USDT", "--end", "2025-01-01", "--tail", "2")[1]
    assert day == "".join(lines[1438:])
    part = ("--start", "2025-01-01T00:10:00Z", "--end", "2025-01-01T00:12:00Z")
    assert desk.type("raw", "--symbol", "BTC/USDT", *part)[1] == "".join(lines[10:12])


def test_raw_keeps_headers_and_names_what_it_leaves_out(desk):
    """Lines of a running system keep their header; a broken line and a torn one are named and left out."""
    header = codec.Header(7, 1, 0, "ohlcv_aggregator", 0, 7, 1, "OHLCVBar", 1, 1, 0)
    lines = [codec.line_of(header, line) + b"\n" for line in bar_lines(calm(3)).splitlines()]
    desk.record("ohlcv.1m.BTCUSDT.ndjson", lines[0] + b"broken\n" + lines[1] + lines[2][:-5])
    code, out, errors = desk.type("raw", "--dataset", "recorded")
    assert (code, out) == (0, (lines[0] + lines[1]).decode())
    assert "ohlcv.1m.BTCUSDT.ndjson, line 2: no OHLCVBar" in errors
    assert "ohlcv.1m.BTCUSDT.ndjson, line 4: torn, left out" in errors


def test_raw_as_a_table(desk):
    """A table for people has the time in UTC."""
    out = desk.type("raw", "--symbol", "BTC/USDT", "--kind", "trades", "--tail", "1", "--table")[1]
    assert [line.split() for line in out.splitlines()] == [
        ["time", "price", "qty", "side", "trade_id"],
        ["2025-01-01T00:00:09Z", "109.0", "1.0", "sell", "9"],
    ]


def test_check(desk):
    """A report begins with what was asked, found and missing, names the command, and ends with counts."""
    code, out, _ = desk.type("check", "--symbol", "BTC/USDT", "--start", "2025-01-01", "--end", "2025-01-02")
    assert code == 0  # a gap is a warning
    assert fits(out)
    assert out.splitlines()[:8] == [
        "BTC/USDT 1m in 'spot'",
        "  asked    2,880 bars, 2025-01-01T00:00:00Z -> 2025-01-03T00:00:00Z",
        "  found    2,800 bars, 2025-01-01T00:00:00Z -> 2025-01-03T00:00:00Z",
        "  missing  80 bars (2.78%) in 1 hole, the longest 80 bars from 2025-01-01T12:40:00Z",  # minute 760
        "  to fill it:",
        "    python -m backtest.data download --symbol BTC/USDT --timeframe 1m \\",
        "      --start 2025-01-01 --end 2025-01-01 --venue binanceus --dataset spot",
        "  2,800 bars, 0 bars without volume, 2,800 lines, 0 bars compared with trades",
    ]
    assert out.splitlines()[-1] == "0 errors, 1 warning"


def test_check_is_strict_on_request(desk):
    """Warnings count with --strict alone; what cannot be is an error in any case."""
    assert desk.type("check", "--dataset", "other", "--strict")[0] == 0
    assert desk.type("check", "--dataset", "spot", "--strict")[0] == 1
    lines = bar_lines(calm(300)).splitlines(keepends=True)
    twice = lines[7].replace(b'"volume":10.0', b'"volume":11.0')
    desk.record("ohlcv.1m.BTCUSDT.ndjson", b"".join([*lines, twice]))
    code, (report,) = desk.json("check", "--dataset", "recorded")
    assert code == 1
    assert report["counts"]["conflict"]["findings"] == 1
    assert (report["errors"], report["warnings"]) == (1, 1)  # and out of order


def test_check_of_all(desk):
    """Without a choice all bars of all datasets are checked."""
    _, reports = desk.json("check")
    assert [(each["source"], each["symbol"], each["found"], each["missing"]) for each in reports] == [
        ("other", "ETH/USDT", 100, 0),
        ("spot", "BTC/USDT", 2800, 80),
    ]


def test_a_known_split_is_no_spike(desk):
    """Four for one over night: the price falls to a quarter, which is a spike until the split is written down."""
    bars = calm(4 * 1440, symbol="AAPL/USD")
    quarter = {name: np.where(bars.ts_open < START + 2 * DAY, 1.0, 0.25) * getattr(bars, name) for name in PRICES}
    desk.dataset("us").add(replace(bars, **quarter))
    _, found = desk.json("check", "--dataset", "us")
    assert [kind["kind"] for kind in found[0]["findings"]] == ["spike"]
    effective_ns = START + 2 * DAY
    desk.dataset("us").add_actions([CorporateAction("AAPL/USD", "split", effective_ns, ratio=Decimal(4))])
    _, found = desk.json("check", "--dataset", "us")
    assert found[0]["findings"] == []


def test_a_dataset_without_bars_says_what_it_has(desk):
    """Trades are no bars, and the message names them."""
    desk.dataset("tape").add_trades(trades(10))
    code, _, error = desk.type("check", "--dataset", "tape")
    assert (code, "of other kinds: trades of BTC/USDT in 'tape'" in error) == (1, True)


def test_check_of_a_folder_anywhere(desk, tmp_path):
    """A folder of journals can be checked where it lies; a command to fill its holes puts nothing into it."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "ohlcv.1m.BTCUSDT.20250101.ndjson").write_bytes(bar_lines(changed(calm(300), volume={150: 90_000.0})))
    code, (report,) = desk.json("check", "--folder", str(folder), "--end", "2025-01-01")
    assert code == 0
    assert report["counts"]["volume"]["findings"] == 1
    assert report["missing"] == 1440 - 300
    assert report["fill_commands"] == [
        "python -m backtest.data download --symbol BTC/USDT --timeframe 1m --start 2025-01-01 --end 2025-01-01"
    ]
    assert [path.name for path in folder.iterdir()] == ["ohlcv.1m.BTCUSDT.20250101.ndjson"]


def test_check_holds_fills_against_bars(desk):
    """Fills in the journals are checked with recorded bars, and with other bars on request."""
    bars = calm(60)
    fills = [
        FillEvent(f"o{minute}", "BTC/USDT", "buy", "1", price, "0.1", START + minute * MINUTE)  # type: ignore[arg-type]
        for minute, price in ((10, "100"), (20, "101"), (70, "100"))
    ]
    desk.record("ohlcv.1m.BTCUSDT.ndjson", bar_lines(bars))
    desk.record("fills.BTCUSDT.ndjson", b"".join(codec.encode(fill) + b"\n" for fill in fills))
    _, (report,) = desk.json("check", "--dataset", "recorded")
    assert {kind: count["findings"] for kind, count in report["counts"].items()} == {"fill_price": 1, "fill_time": 1}
    details = {finding["kind"]: finding["detail"] for finding in report["findings"]}
    assert details["fill_price"] == "o20: 101, its bar has 99.85 to 100.05"
    _, (report,) = desk.json("check", "--dataset", "spot", "--fills")
    assert report["counts"]["fill_price"]["findings"] == 1
    assert "fill_time" not in report["counts"]
    assert "fills" not in desk.json("check", "--dataset", "spot")[1][0]["figures"]


def test_a_configured_source_can_be_checked_and_exported(desk, tmp_path):
    """What config/data_sources.yaml knows is read through it, here all datasets as one."""
    words = ("--source", "history", "--symbol", "BTC/USDT", "--timeframe", "1m", "--end", "2025-01-02")
    code, (report,) = desk.json("check", *words)
    assert code == 0
    assert (report["source"], report["found"], report["missing"]) == ("history", 2800, 80)
    assert desk.json("export", *words, "--out", str(tmp_path / "bars.csv"))[1]["rows"] == 2800
    code, _, errors = desk.type("check", "--source", "history")
    assert (code, "--source needs --symbol and --timeframe" in errors) == (2, True)
    code, _, errors = desk.type("check", *words[:4], "--timeframe", "1s")
    assert (code, "source 'history' has no 1s bars of BTC/USDT" in errors) == (1, True)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("check", "--window", "2"), 2, "Limits.window is 2; allowed: 8 or more"),
        (("check", "--start", "yesterday"), 2, "start is 'yesterday'; allowed: 2025-09-30"),
        (("check", "--dataset", "spto"), 2, "did you mean 'spot'? allowed: other, spot"),
        (("list", "--folder", "nowhere"), 2, "--folder is 'nowhere'; allowed: a folder that is there"),
        (("raw", "--dataset", "spot", "--head", "-1"), 2, "--head is -1; allowed: 0 or more"),
        (("raw",), 2, "2 series fit: 5m of ETH/USDT in 'other'; 1m of BTC/USDT in 'spot'; say --dataset and --symbol"),
        (("info", "--symbol", "BTC/USDT", "--timeframe", "15m"), 1, "nearest: 1m of BTC/USDT in 'spot'"),
        (("info", "--symbol", "BTC/USDT", "--timeframe", "15m"), 1, "var/history/spot/ohlcv.15m.BTCUSDT.*"),
        (("export", "--symbol", "ETH/USDT", "--timeframe", "3m"), 1, "nearest: 5m of ETH/USDT in 'other'"),
        (("info", "--symbol", "BTC/USD"), 1, "download --symbol BTC/USD --timeframe 1m"),
        (("info", "--symbol", "BTC/USD", "--timeframe", "7x"), 2, "timeframe is '7x'; allowed: 1s to 1d"),
        (("export", "--symbol", "BTC/USDT", "--out", "bars.xls"), 2, "has no ending that says its format"),
        (("export", "--symbol", "BTC/USDT", "--start", "2030-01-01"), 1, "BTC/USDT has nothing in the range"),
    ],
)
def test_what_is_wrong_is_named(desk, words, code, says):
    """A wrong option is exit code 2, data that are not there 1; what is nearest and what fetches it is said."""
    done, _, errors = desk.type(*words)
    assert done == code
    assert says in errors


def test_a_symbol_without_its_slash_is_understood(desk):
    """`btc-usdt` is taken for BTC/USDT, and that is said."""
    code, out, errors = desk.type("raw", "--symbol", "btc-usdt", "--head", "1")
    assert (code, errors) == (0, "symbol 'btc-usdt' is taken for 'BTC/USDT'\n")
    assert '"symbol":"BTC/USDT"' in out


def test_export(desk, tmp_path):
    """A range goes into a file whose name says what it is; a second time it is not replaced unasked."""
    path = tmp_path / "out.csv.gz"
    words = ("export", "--symbol", "BTC/USDT", "--start", "2025-01-02", "--end", "2025-01-02", "--out", str(path))
    code, said = desk.json(*words)
    assert (code, said) == (
        0, {"path": str(path), "rows": 1440, "size": path.stat().st_size, "symbol": "BTC/USDT"}
    )  # fmt: skip
    table = pc.read_csv(path)
    assert table["ts_open"].to_pylist() == [moment("2025-01-02") + minute * MINUTE for minute in range(1440)]
    assert table["close"].to_numpy().tolist() == calm(2880).close[1440:].tolist()
    code, _, errors = desk.type(*words)
    assert (code, "out.csv.gz is there already; --force replaces it" in errors) == (1, True)
    assert desk.type(*words, "--force")[0] == 0


def test_export_of_longer_bars(desk, tmp_path):
    """Bars of a timeframe that is not there are made of shorter ones, and that is said."""
    code, _, errors = desk.type(
        "export", "--symbol", "BTC/USDT", "--timeframe", "1h", "--format", "ndjson", "--out", str(tmp_path)
    )
    assert (code, errors) == (0, "1h bars are not there; made of 1m bars\n")
    made = Dataset(tmp_path).bars("BTC/USDT", "1h")
    assert made.equals(resample(desk.dataset("spot").bars("BTC/USDT", "1m"), "1h"))
    assert len(made) == 47  # of the 48 hours, 13 to 14 o'clock of the first day lies in the gap


def test_export_of_trades(desk, tmp_path):
    """Trades are exported likewise, as a journal that is read as one."""
    assert desk.type("export", "--symbol", "BTC/USDT", "--kind", "trades", "--out", str(tmp_path / "t.ndjson"))[0] == 0
    assert (tmp_path / "t.ndjson").read_bytes() == trade_lines(trades(10))


def test_cache_info(desk):
    """What is cached is shown as fresh or by how much is to be read, can be deleted and made again."""
    folder = desk.dataset("spot").folder
    assert desk.type("cache-info", "--dataset", "spot")[:2] == (0, "nothing is cached\n")
    desk.type("list")
    code, out, _ = desk.type("cache-info", "--dataset", "spot")
    assert code == 0
    assert [line.split()[:6] for line in out.splitlines()][1] == ["spot", "BTC/USDT", "1m", "fresh", "2,800", "2"]
    desk.dataset("spot").add(shifted(calm(10), 2 * DAY))
    assert [each["state"] for each in desk.json("cache-info", "--dataset", "spot")[1]] == ["1 file to read"]
    code, out, errors = desk.type("cache-info", "--dataset", "spot", "--rebuild")
    assert (code, "fresh" in out, errors) == (0, True, "1 file deleted\n")
    assert [(info.rows, info.stale) for info in cache_info(folder)] == [(2810, 0)]
    assert desk.type("cache-info", "--drop")[1] == "nothing is cached\n"


def shifted(bars: BarColumns, by_ns: int) -> BarColumns:
    arrays = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    return BarColumns.of(bars.symbol, bars.timeframe, {"ts_open": bars.ts_open + by_ns, **arrays})


@pytest.mark.parametrize("command", ["list", "info", "raw", "export", "check", "cache-info"])
def test_help(command, capsys):
    """Each command explains itself, and no option can be abbreviated."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "--dataset NAME" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main([command, "--datase", "spot"])
    assert ended.value.code == 2


def awkward(count: int = 300) -> BarColumns:
    """Bars of a stock in prices of 17 digits, from 1e-8 upwards, with all optional columns."""
    bars = calm(count)
    arrays = {name: getattr(bars, name) * (0.1 + 0.2) for name in ("open", "high", "low", "close", "volume")}
    arrays["low"][10] = 1e-8
    arrays["volume"][20] = 1e-8
    arrays["vwap"] = np.where(np.arange(count) % 3, (arrays["high"] + arrays["low"]) / 2, np.nan)
    arrays |= {"turnover": arrays["volume"] * 1e7 / 3, "trade_count": np.arange(count) * 10**9, "ts_open": bars.ts_open}
    arrays |= {"complete": np.arange(count) % 7 > 0, "split_factor": np.full(count, 0.1)}
    arrays["return_factor"] = np.linspace(0.1, 0.2, count)
    return BarColumns.of("AB/USD", "1m", arrays, asset_class="equity")


def lone() -> BarColumns:
    """One daily bar of 1990."""
    prices = dict.fromkeys(("open", "high", "low", "close"), np.array([7.5]))
    return BarColumns.of("AB/USD", "1d", {"ts_open": [moment("1990-01-02")], **prices})


def rare() -> BarColumns:
    """Three minutes, five apart."""
    prices = dict.fromkeys(("open", "high", "low", "close"), np.full(3, 7.5))
    return BarColumns.of("AB/USD", "1m", {"ts_open": START + np.arange(3) * 5 * MINUTE, **prices})


@pytest.mark.parametrize("file", ["b.csv", "b.parquet", "b.feather", "b.h5", "b.json", "b.ndjson"])
@pytest.mark.parametrize("columns", [lone(), rare()], ids=["one bar of 1990", "minutes with holes"])
def test_few_bars_come_back_too(desk, tmp_path, file, columns):
    """An exported file says how long its bars are and how its times count; nothing has to be guessed from them."""
    desk.dataset("odd").add(columns)
    assert desk.type("export", "--dataset", "odd", "--out", str(tmp_path / file))[0] == 0
    assert desk.type("import", str(tmp_path / file), "--dataset", "back")[::2] == (0, "")
    assert desk.dataset("back").bars("AB/USD", columns.timeframe).equals(columns)


FILES = (
    "b.csv",
    "b.csv.gz",
    "b.parquet",
    "b.feather",
    "b.arrow",
    "b.h5",
    "b.json",
    "b.json.gz",
    "b.ndjson",
    "b.ndjson.gz",
)


@pytest.mark.parametrize("file", FILES)
def test_what_was_exported_can_be_imported(desk, tmp_path, file):
    """An exported file, imported with no word, not even whose prices it holds, gives the same bars to the last bit."""
    desk.dataset("odd").add(awkward())
    path = tmp_path / file
    assert desk.type("export", "--dataset", "odd", "--out", str(path))[0] == 0
    assert desk.type("import", str(path), "--dataset", "back")[::2] == (0, "")
    assert desk.dataset("back").bars("AB/USD", "1m").equals(desk.dataset("odd").bars("AB/USD", "1m"))
    assert desk.dataset("back").bars("AB/USD", "1m").equals(awkward())
