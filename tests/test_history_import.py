"""Files of other tools become bars and trades: what is found out, what is told, and what is refused."""

from __future__ import annotations

import gzip
import json
import random
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import feather, parquet

from backtest.data.importing.importer import Imported, Options, import_file, import_frame
from backtest.data.importing.names import suggested
from backtest.data.lines import bar_lines, trade_lines
from backtest.data.main import main
from backtest.data.merging import Added
from backtest.data.series import SeriesName
from backtest.data.store import Dataset
from backtest.data.trades import TradeColumns
from core.contracts import TradeEvent
from core.contracts.moments import iso, moment
from core.errors import ConfigError, DataError
from tests.history_desk import DATA, DAY, MINUTE, START, bars, contents

NOW = moment("2026-01-01")
OPTIONS = Options(symbol="BTC/USDT", now_ns=NOW)
MS = START // 1_000_000


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path / "history" / "desk")


@pytest.fixture
def take(tmp_path: Path, dataset: Dataset) -> Callable[..., Imported]:
    """Writes a file and takes it in."""

    def taken(content: str | bytes, name: str = "any.csv", **options: object) -> Imported:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        (only,) = import_file(dataset, path, replace(OPTIONS, **options))  # type: ignore[arg-type]
        return only

    return taken


def rows_of(dataset: Dataset, timeframe: str = "1m", symbol: str = "BTC/USDT") -> list[tuple[Any, ...]]:
    found = dataset.bars(symbol, timeframe)
    columns = (found.ts_open, found.open, found.high, found.low, found.close, found.volume)
    return list(zip(*(column.tolist() for column in columns), strict=True))


THREE = [
    (START, 100.0, 102.0, 99.0, 101.0, 10.0),
    (START + MINUTE, 101.0, 103.0, 100.0, 102.0, 11.5),
    (START + 2 * MINUTE, 102.0, 104.0, 101.0, 103.0, 0.0),
]
"""Open, high, low, close, volume of three minutes; each file below says the same."""

PLAIN = "100,102,99,101,10", "101,103,100,102,11.5", "102,104,101,103,0"

VISION = "".join(
    f"{MS + minute * 60_000},{row},{MS + minute * 60_000 + 59_999},1010.5,7,5,505,0\n"
    for minute, row in enumerate(PLAIN)
)
VISION_US = "".join(
    f"{(MS + minute * 60_000) * 1000},{row},{(MS + minute * 60_000) * 1000 + 59_999_999},1010.5,7,5,505,0\n"
    for minute, row in enumerate(PLAIN)
)
VISION_NAMES = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore\n"
)
CDD = (
    "https://www.CryptoDataDownload.com\nunix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount\n"
    + "".join(
        f"{MS + minute * 60_000},2025-05-20 00:0{minute}:00,BTCUSDT,{PLAIN[minute]},1010.5,7\n" for minute in (2, 1, 0)
    )
)


def lined(*times: object, header: str = "time,open,high,low,close,volume", delimiter: str = ",") -> str:
    """The three bars under a header, with these times."""
    text = "\n".join([header, *(f"{each},{row}" for each, row in zip(times, PLAIN, strict=True))]) + "\n"
    return text.replace(",", delimiter)


MILLIS = lined(*(MS + 60_000 * n for n in range(3)))

FORMS = {
    "Binance Vision without a header": (VISION, "klines of Binance"),
    "Binance Vision with a header": (VISION_NAMES + VISION, 'turnover from "quote_volume"'),
    "Binance Vision from 2025 on, in microseconds": (VISION_US, "us since 1970"),
    "CryptoDataDownload, newest first below an address": (CDD, 'volume from "Volume BTC", turnover from "Volume USDT"'),
    "seconds": (lined(*(MS // 1000 + 60 * n for n in range(3))), "s since 1970"),
    "milliseconds": (MILLIS, "ms since 1970"),
    "nanoseconds": (lined(*(START + MINUTE * n for n in range(3)), header="ts_open,o,h,l,c,v"), "ns since 1970"),
    "seconds with a fraction of zero": (lined(*(f"{MS // 1000 + 60 * n}.0" for n in range(3))), "s since 1970"),
    "backtesting.py": (
        lined(*(f"2025-05-20 00:0{n}:00" for n in range(3)), header=",Open,High,Low,Close,Volume"), "ISO 8601, UTC",
    ),
    "ISO with offsets": (lined(*(f"2025-05-20T02:0{n}:00+02:00" for n in range(3))), "ISO 8601, with offsets"),
    "ISO with Z": (lined(*(f"2025-05-20T00:0{n}:00.000Z" for n in range(3))), "ISO 8601, with offsets"),
    "semicolons": (lined(*(MS + 60_000 * n for n in range(3)), delimiter=";"), "semicolons"),
    "semicolons and decimal commas": (
        lined(*(MS + 60_000 * n for n in range(3)), delimiter=";").replace(".", ","), "decimal commas",
    ),
    "tabs": (lined(*(MS + 60_000 * n for n in range(3)), delimiter="\t"), "tabs"),
    "a byte-order mark": ("\ufeff" + MILLIS, "ms since 1970"),
    "UTF-16": (("\ufeff" + MILLIS).encode("utf-16-le"), "ms since 1970"),
    "month first": (lined(*(f"5/20/2025 0:0{n}" for n in range(3))), "M/D/YYYY"),
    "day first": (lined(*(f"20/05/2025 00:0{n}:00" for n in range(3))), "D/M/YYYY"),
    "half days": (lined(*(f"5/20/2025 12:0{n}:00 AM" for n in range(3))), "M/D/YYYY"),
    "dots": (lined(*(f"20.05.2025 00:0{n}" for n in range(3))), "times like 20.05.2025"),
    "digits": (lined(*(f"202505200{n:03}00" for n in range(3))), "YYYYMMDDHHMMSS"),
    "the day and the clock in two columns": (
        lined(*(f"2025.05.20,00:0{n}" for n in range(3)), header="<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>"),
        "clock from",
    ),
    "blank lines and spaces": (lined(*(f" {MS + 60_000 * n} " for n in range(3))).replace("\n", "\n\n"), "ms since"),
    "quoted cells": (lined(*(f'"{MS + 60_000 * n}"' for n in range(3))), "ms since"),
    "Windows lines": (MILLIS.replace("\n", "\r\n"), "ms since"),
    "a count beside a date without a clock": (
        lined(*(f"2025-05-20,{MS + 60_000 * n}" for n in range(3)), header="datetime,time,open,high,low,close,volume"),
        'time from "time"',
    ),
    "JSON arrays of an exchange": (
        json.dumps([[MS + 60_000 * n, *row.split(","), 0, "9.5", 7, "5", "505", "0"] for n, row in enumerate(PLAIN)]),
        "klines of Binance",
    ),
    "JSON arrays of freqtrade": (
        json.dumps([[MS + 60_000 * n, *map(float, row.split(","))] for n, row in enumerate(PLAIN)]), "JSON",
    ),
    "JSON objects": (
        json.dumps([dict(zip("tohlcv", (MS + 60_000 * n, *map(float, row.split(","))), strict=True))
                    for n, row in enumerate(PLAIN)]), "by name",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "told"), FORMS.values(), ids=FORMS)
def test_every_form_gives_the_same_bars(take, dataset, content, told):
    """Three minutes of 20 May 2025, however they are written; what was found is told in one line."""
    made = take(content)
    assert rows_of(dataset) == THREE
    assert told in made.explained
    assert "\n" not in made.explained
    assert "time frame 1m (100.0% of the bars are 1m apart)" in made.explained
    assert (made.rows, made.first_ns, made.last_ns) == (3, START, START + 2 * MINUTE)
    assert made.added == Added(3, 0, 0, 0, 1)


def frame() -> pd.DataFrame:
    """The same as freqtrade keeps it: a column of dates and lower case."""
    dates = pd.to_datetime([row[0] for row in THREE], unit="ns", utc=True)
    names = ("open", "high", "low", "close", "volume")
    return pd.DataFrame(
        {"date": dates, **{name: [row[at] for row in THREE] for at, name in enumerate(names, 1)}}
    )  # fmt: skip


def indexed(unit: str) -> pd.DataFrame:
    """The same as backtesting.py wants it, with times that count in `unit` and name no zone."""
    made = frame().set_index("date").rename(columns=str.capitalize)
    made.index = pd.DatetimeIndex(np.array([row[0] for row in THREE], "datetime64[ns]").astype(f"datetime64[{unit}]"))
    return made


FRAMES = {
    "freqtrade": frame,
    "an index in seconds": lambda: indexed("s"),
    "an index in microseconds": lambda: indexed("us"),
    "an index in nanoseconds": lambda: indexed("ns"),
    "an Arrow table": lambda: pa.Table.from_pandas(frame()),
    "text times": lambda: frame().assign(date=lambda made: made["date"].astype(str)),
    "milliseconds as a float": lambda: frame().assign(date=[float(row[0] // 1_000_000) for row in THREE]),
}


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_frames_give_the_same_bars(dataset, make):
    """Whatever their times count in; the caller's frame stays as it is."""
    given_frame = make()
    before = given_frame.copy() if isinstance(given_frame, pd.DataFrame) else None
    made = import_frame(dataset, given_frame, "BTC/USDT", now_ns=NOW)
    assert rows_of(dataset) == THREE
    assert made.series == SeriesName("bars", "BTC/USDT", "1m")
    if before is not None:
        pd.testing.assert_frame_equal(given_frame, before)


def test_parquet_arrow_and_packed_files_give_the_same_bars(tmp_path, dataset):
    """What a file is its content says, not its name."""
    text = MILLIS
    frame().to_parquet(tmp_path / "a")
    feather.write_feather(frame(), str(tmp_path / "b"))
    feather.write_feather(frame(), str(tmp_path / "c"), compression="zstd")
    indexed("us").to_parquet(tmp_path / "d")
    (tmp_path / "e").write_bytes(gzip.compress(text.encode()))
    with zipfile.ZipFile(tmp_path / "f", "w") as archive:
        archive.writestr("inner.csv", text)
    for name in "abcdef":
        (made,) = import_file(dataset, tmp_path / name, OPTIONS)
        assert (made.rows, made.first_ns) == (3, START), name
    assert rows_of(dataset) == THREE


REFUSED = [
    ("not a time", lined("x", "y", "z"), {}, r'line 2, column "time" is \'x\''),
    ("numbers too small", lined(1000, 1060, 1120), {}, r"line 2.*is 1000.*--time-unit s\|ms\|us\|ns"),
    ("1000 times too large", lined(*(START * 1000 + n for n in range(3))), {}, "too large for a count since 1970"),
    ("after tomorrow", lined(*(f"2026-01-0{n}" for n in (3, 4, 5))), {}, "2026-01-03.*1970 to tomorrow"),
    ("the wrong unit", MILLIS, {"time_unit": "s"}, "1970 to tomorrow"),
    ("the wrong unit, plausible", lined(*(MS // 1000 + 60 * n for n in range(3))), {"time_unit": "ms"}, "0.06 s apart"),
    ("month or day", lined("1/2/2020", "1/3/2020", "1/4/2020"), {}, r"--date-order mdy\|dmy"),
    ("offsets here and none there", lined("2025-05-20T00:00Z", "2025-05-20T00:01", "2025-05-20T00:02"), {}, "offset"),
    ("an empty cell", MILLIS.replace("11.5", ""), {}, r'line 3: column "volume" is empty'),
    ("a word", MILLIS.replace("103,100", "null,100"), {}, r'line 3: column "high" is \'null\''),
    ("NaN", MILLIS.replace("103,100", "NaN,100"), {}, r'line 3: column "high" is empty'),
    ("a row too short", MILLIS.replace("101,103,100,", "101,"), {}, "line 3: 4 cells; allowed: 6"),
    ("a high below the close", MILLIS.replace("103,100", "101.5,100"), {}, "line 3: open 101.*close from low to high"),
    ("a price of 0", MILLIS.replace("103,100", "103,0"), {}, "line 3:.*prices above 0"),
    ("two bars of a minute", lined(MS, MS, MS + 60_000), {}, r"lines 2 and 3 are both 2025-05-20T00:00:00Z"),
    ("another time frame", MILLIS, {"timeframe": "5m"}, "1m apart, most often; --timeframe is 5m"),
    ("a length that is none", lined(*(MS + 420_000 * n for n in range(3))), {}, "7m apart"),
    ("off the grid", lined(*(MS + 1 + 60_000 * n for n in range(3))), {}, "no bar of 1m begins at .*00.001Z"),
    ("one bar", f"time,open,high,low,close\n{MS},1,1,1,1\n", {}, "--timeframe 1m"),
    ("another symbol", CDD, {"symbol": "ETH/USDT"}, "is of BTCUSDT; --symbol is ETH/USDT"),
    ("no prices", "time,open,high\n1,2,3\n", {}, "none is low or close of bars; --columns"),
    ("no names", f"{MS},1,2,3,4,5,6,7\n", {}, r"8 columns without names.*--columns time,open"),
    ("one column", "hello\nworld\n", {}, "no columns: its first line is 'hello'"),
    ("a header alone", "time,open,high,low,close\n", {}, "no rows behind its header"),
    ("nothing", "", {}, "is empty"),
    ("a picture", b"\x89PNG\r\n\x1a\n\0\0", {}, "no format that is read; allowed: CSV"),
    ("half a gzip file", gzip.compress(b"a" * 9000)[:30], {}, "is damaged"),
    ("half a Parquet file", b"PAR1 and no more", {}, "no Parquet file"),
    ("a JSON object of tables", "[1, 2]", {}, "no table"),
    ("trades without a side", f"time,price,qty\n{MS},1,2\n", {}, "none is side of trades"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "options", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_is_wrong_or_in_doubt_is_refused(take, dataset, content, options, said):
    """File, line, column and value are named, or the option that decides; nothing is written."""
    with pytest.raises(DataError, match=f"(?s)any.csv.*{said}"):
        take(content, **options)
    assert not dataset.folder.exists() or contents(dataset.folder) == {}


def test_bad_rows_can_be_left_out(take, dataset):
    """Each is told with its line; the others are taken."""
    good = "100,102,99,101,10"
    rows = [good, "1,2,x,1,1", good, good, "5,4,3,2,1", "", good]
    text = "time,open,high,low,close,volume\n" + "\n".join(f"{MS + 60_000 * n},{row}" for n, row in enumerate(rows))
    made = take(text + "\nTotal,1,1,1,1,1\n", skip_bad=True)
    assert [(row[0] - START) // MINUTE for row in rows_of(dataset)] == [0, 2, 3, 6]
    assert [told.split(":")[0] for told in made.skipped] == ["line 3", "line 6", "line 7", "line 9"]
    assert "column \"low\" is 'x'" in made.skipped[0]
    assert "2 cells" in made.skipped[2]


def test_what_decides_is_taken_at_its_word(take, dataset):
    """Times before 2000 with their unit, a local time zone, names of columns, and the order of a date."""
    take("1/2/2020,1,2,1,1\n2/2/2020,1,2,1,1\n", columns=("time", "open", "high", "low", "close"), date_order="dmy")
    assert [iso(row[0]) for row in rows_of(dataset, "1d")] == ["2020-02-01T00:00:00Z", "2020-02-02T00:00:00Z"]
    take(lined(900_000_000, 900_000_060, 900_000_120), "b.csv", time_unit="s", symbol="A/B")
    assert iso(rows_of(dataset, symbol="A/B")[0][0]) == "1998-07-09T16:00:00Z"
    take(lined(*(f"2025-05-20 02:0{n}" for n in range(3))), "c.csv", timezone="Europe/Berlin")
    assert rows_of(dataset)[0][0] == START  # Berlin is two hours ahead in May


def test_notes_say_what_was_done(take, dataset):
    """Rows out of order are sorted, doubles taken once, a bar that is not over is left out, other symbols as well."""
    shuffled = lined(*(MS + 60_000 * n for n in (2, 0, 1)))
    assert "not in order of time: sorted" in take(shuffled, symbol="X/Y").notes
    assert "newest first in the file: turned round" in take(CDD).notes
    assert rows_of(dataset) == THREE
    twice = MILLIS
    assert "3 rows are there twice, the same: taken once" in take(twice + twice.split("\n", 1)[1]).notes
    assert "1 bars are not over yet: left out" in take(twice, now_ns=START + 3 * MINUTE - 1, symbol="Z/Y").notes
    assert (
        take(CDD + CDD.splitlines()[-1].replace("BTCUSDT", "ETHUSDT")).notes[0]
        == "1 rows of other symbols were left out"
    )


def test_what_is_not_known_may_be_empty(take, dataset):
    """A mean price of a minute in which nothing traded; any other empty cell is wrong."""
    text = f"time,open,high,low,close,volume,vwap\n{MS},1,2,1,1,0,\n{MS + 60_000},1,2,1,1,5,1.5\n"
    assert take(text).rows == 2
    assert np.isnan(dataset.bars("BTC/USDT", "1m").vwap).tolist() == [True, False]


def test_units_may_change_within_a_file(take, dataset):
    """Binance went from ms to us at the turn of 2025: each row counts by its size, and that is told."""
    text = lined(MS, (MS + 60_000) * 1000, (MS + 120_000) * 1000)
    assert "several units" in take(text).explained
    assert rows_of(dataset) == THREE


def test_several_time_frames_in_one_file_are_refused(take):
    """Forty minutes and then thirty bars of five minutes: the line where the others begin is named."""
    times = [MS + 60_000 * n for n in range(40)] + [MS + 2_400_000 + 300_000 * n for n in range(30)]
    text = "time,open,high,low,close\n" + "".join(f"{at},1,2,1,1\n" for at in times)
    with pytest.raises(DataError, match=r"line 42.*29 bars are 5m apart, the rest mostly 1m.*split it"):
        take(text)


def test_the_adjusted_close_is_no_price(take, dataset):
    """Yahoo's column of that name is left out, and the line says why."""
    made = take("Date,Open,High,Low,Close,Adj Close,Volume\n2020-01-02,10,12,9,11,5.5,7\n2020-01-03,10,12,9,11,5.5,7\n")
    assert dataset.bars("BTC/USDT", "1d").close.tolist() == [11.0, 11.0]
    assert '"Adj Close" (adjusted afterwards for dividends, no price at which anything traded' in made.explained


def test_the_name_of_a_file_is_a_suggestion(take):
    """It helps where the symbol was not said, and is told where it says otherwise."""
    assert suggested("BTC_USDT-1m.feather") == ("BTC/USDT", "1m")
    assert suggested("BTCUSDT-1m-2023-08.csv") == ("BTC/USDT", "1m")
    assert suggested("AAPL_lean_daily_raw_1998_2021.csv") == suggested("prices.csv") == ("", "")
    with pytest.raises(ConfigError, match="suggests --symbol ETH/BTC"):
        take(VISION, "ETHBTC-1m-2023-08.csv", symbol="")
    assert take(VISION, "ETHUSDT-5m-2023-08.csv").notes == (
        "the file's name suggests ETH/USDT, it was taken as BTC/USDT", "the file's name suggests 5m, its bars are 1m",
    )  # fmt: skip


def test_what_is_there_already_is_counted(take, dataset):
    """The same file again; then one whose second bar differs; then a dry run."""
    take(VISION)
    assert take(VISION).added == Added(0, 3, 0, 0, 0)
    other = VISION.replace("11.5", "11.75")
    with pytest.raises(DataError, match=r"2025-05-20T00:01:00Z.*11\.5.*11\.75"):
        take(other)
    assert take(other, conflict="replace", dry_run=True).added == Added(0, 2, 1, 0, 1)
    assert rows_of(dataset) == THREE
    assert take(other, conflict="keep").added == Added(0, 2, 0, 1, 0)
    assert take(other, conflict="replace").added == Added(0, 2, 1, 0, 1)
    assert rows_of(dataset)[1][-1] == 11.75


def test_a_dataset_remembers_its_files(take, dataset):
    """Name, checksum, rows and how the times were read; a dry run leaves nothing."""
    take(VISION, dry_run=True)
    assert not dataset.folder.exists()
    take(VISION, "BTCUSDT-1m-2025-05.csv")
    (origin,) = dataset.manifest.origins
    assert (origin.source, origin.rows, origin.format, origin.times) == (
        "BTCUSDT-1m-2025-05.csv",
        3,
        "csv",
        "ms since 1970",
    )
    assert (origin.first_ns, origin.last_ns, origin.imported_ns) == (START, START + 2 * MINUTE, NOW)
    assert len(origin.sha256) == 64


BINANCE_TRADES = {
    "trades of Binance": f"7,100.5,2,201,{MS},True,True\n8,100.25,1,100.25,{MS + 1},False,True\n",
    "trades of Binance futures": f"7,100.5,2,201,{MS},true\n8,100.25,1,100.25,{MS + 1},false\n",
    "aggregated trades of Binance": f"7,100.5,2,70,71,{MS},True,True\n8,100.25,1,72,72,{MS + 1},False,True\n",
    "by name": f"id,price,amount,side,timestamp\n7,100.5,2,sell,{MS}\n8,100.25,1,buy,{MS + 1}\n",
}


@pytest.mark.parametrize(("told", "content"), BINANCE_TRADES.items(), ids=BINANCE_TRADES)
def test_every_form_gives_the_same_trades(take, dataset, told, content):
    """A sale (the buyer was there already), then a purchase."""
    assert told in take(content).explained
    assert list(dataset.trades("BTC/USDT").trades()) == [
        TradeEvent("BTC/USDT", 100.5, 2.0, "sell", START, "7"),
        TradeEvent("BTC/USDT", 100.25, 1.0, "buy", START + 1_000_000, "8"),
    ]


def test_trades_are_checked(take):
    """A price of 0, an unknown side, and one id with two contents."""
    head = "id,price,amount,side,timestamp\n"
    for rows, said in (
        (f"7,0,2,sell,{MS}\n", "line 2: price 0.0"),
        (f"7,1,2,short,{MS}\n", "line 2.*'short'; allowed: buy"),
        (f"7,1,2,buy,{MS}\n7,2,2,buy,{MS}\n", "trade 7 is there twice and differs"),
    ):
        with pytest.raises(DataError, match=said):
            take(head + rows)
    assert take(head + f"7,1,2,buy,{MS}\n" * 2).notes[-1] == "1 trades are there twice, the same: taken once"


def test_journals_are_taken_in_by_what_their_lines_say(tmp_path, dataset):
    """A folder with bars of two symbols, trades, and a log that is none of it; the symbol chooses."""
    folder = tmp_path / "journals"
    folder.mkdir()
    (folder / "ohlcv.1m.BTCUSDT.20250520.ndjson.gz").write_bytes(gzip.compress(bar_lines(bars(1440))))
    (folder / "ohlcv.1m.BTCUSDT.ndjson").write_bytes(bar_lines(bars(3, start=START + DAY)) + b'{"torn')
    (folder / "ohlcv.5m.ETHUSDT.ndjson").write_bytes(bar_lines(bars(2, symbol="ETH/USDT", step=5 * MINUTE)))
    trades = TradeColumns.from_trades("BTC/USDT", [TradeEvent("BTC/USDT", 1.0, 2.0, "buy", START, "1")])
    (folder / "md.trades.BTCUSDT.ndjson").write_bytes(trade_lines(trades))
    (folder / "app.ndjson").write_bytes(b"{}\n")
    made = list(import_file(dataset, folder, replace(OPTIONS, symbol="")))
    assert {(each.series, each.rows) for each in made} == {
        (SeriesName("bars", "BTC/USDT", "1m"), 1443), (SeriesName("bars", "ETH/USDT", "5m"), 2),
        (SeriesName("trades", "BTC/USDT"), 1),
    }  # fmt: skip
    assert len(dataset.bars("BTC/USDT", "1m")) == 1443
    other = Dataset(tmp_path / "other")
    assert [each.rows for each in import_file(other, folder, replace(OPTIONS, symbol="ETH/USDT"))] == [2]
    with pytest.raises(DataError, match=r"holds .*1m of BTC/USDT.*; --symbol is X/Y"):
        list(import_file(other, folder, replace(OPTIONS, symbol="X/Y")))


def day(text: str) -> int:
    return moment(text)


RAW = "ohlcv/raw/"
FILES = [
    # file, symbol, timeframe, rows, first and last time: from the list beside the data
    (RAW + "ATOMUSDT_bybitperp_1m_gappy_20240908_20250907.csv.gz", "ATOM/USDT:USDT", "1m", 105_076,
     "2024-09-08T09:11", "2025-09-07T19:50"),
    (RAW + "ATOMUSDT_perp_1h_20250101_20250930.csv", "ATOM/USDT:USDT", "1h", 6_552, "2025-01-01", "2025-09-30T23:00"),
    (RAW + "ATOMUSDT_spot_5m_20250101_20250618.csv.gz", "ATOM/USDT", "5m", 48_534, "2025-01-01", "2025-06-18T12:25"),
    (RAW + "ATOMUSDT_spot_5m_20250101_20250618.parquet", "ATOM/USDT", "5m", 48_534, "2025-01-01", "2025-06-18T12:25"),
    (RAW + "BTCUSDT_spot_1m_20250520_20250818.csv.gz", "BTC/USDT", "1m", 130_708, "2025-05-20", "2025-08-18T18:27"),
    (RAW + "BTCUSDT_spot_1m_20250520_20250818.parquet", "BTC/USDT", "1m", 130_708, "2025-05-20", "2025-08-18T18:27"),
    (RAW + "BTCUSDT_spot_5m_20250101_20250930.csv.gz", "BTC/USDT", "5m", 78_624, "2025-01-01", "2025-09-30T23:55"),
    (RAW + "BTCUSDT_spot_5m_20250101_20250930.parquet", "BTC/USDT", "5m", 78_624, "2025-01-01", "2025-09-30T23:55"),
    (RAW + "FILUSDT-1m-2023-08.csv.gz", "FIL/USDT:USDT", "1m", 44_640, "2023-08-01", "2023-08-31T23:59"),
    (RAW + "FILUSDT_perp_1m_202308_202311.parquet", "FIL/USDT:USDT", "1m", 175_680, "2023-08-01", "2023-11-30T23:59"),
    ("equities/AAPL_lean_daily_raw_1998_2021.csv", "AAPL/USD", "1d", 5_849, "1998-01-02", "2021-03-31"),
    ("equities/AAPL_qtrader_sample_2020_bom.csv", "AAPL/USD", "1d", 252, "2020-01-02", "2020-12-30"),
    ("equities/AAPL_yahoo_2020_adjclose.csv", "AAPL/USD", "1d", 252, "2020-01-02", "2020-12-30"),
    ("trades/md.trades.BTCUSDT.ndjson.gz", "BTC/USDT", "", 19_904, "2024-08-08T23:54:15.342", "2024-08-09T00:05:05.8"),
    ("trades/md.trades.ETHUSDT.ndjson.gz", "ETH/USDT", "", 6_106, "2024-08-08T23:54:15.611", "2024-08-09T00:00:00.982"),
    ("trades/mtgox_btcusd_20130101.csv", "BTC/USD", "", 2_331,
     "2013-01-01T00:04:19.486096", "2013-01-01T23:58:31.193969"),
]  # fmt: skip
FIRST_BARS = {
    # open, high, low, close, volume of the first line of the file
    "AAPL_lean_daily_raw_1998_2021.csv": (13.63, 16.25, 13.5, 16.25, 6_315_000.0),
    "AAPL_yahoo_2020_adjclose.csv": (
        74.05999755859375, 75.1500015258789, 73.79750061035156, 75.0875015258789, 135_480_400.0,
    ),
    "FILUSDT-1m-2023-08.csv.gz": (4.255, 4.256, 4.252, 4.252, 25_259.1),
    "BTCUSDT_spot_1m_20250520_20250818.csv.gz": (105_573.73, 105_597.1, 105_554.31, 105_554.32, 10.82647),
}  # fmt: skip


def recorded(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip("recorded market data (../shared/data) is not on this machine")
    return path


@pytest.mark.parametrize(
    ("name", "symbol", "timeframe", "rows", "first", "last"), FILES, ids=[case[0] for case in FILES]
)
def test_every_recorded_file_is_read(dataset, name, symbol, timeframe, rows, first, last):
    """Counts and spans as the list beside the data has them; a dry run, as the days of a file are not at stake here."""
    asset_class = "equity" if name.startswith("equities") else "crypto"
    options = replace(OPTIONS, symbol=symbol, asset_class=asset_class, dry_run=True)
    (made,) = import_file(dataset, recorded(name), options)
    assert (made.series.timeframe, made.rows, made.added.new) == (timeframe, rows, rows)
    assert (made.first_ns, made.last_ns, made.skipped) == (moment(first), moment(last), ())


def test_every_recorded_file_is_in_the_table():
    """None is passed over."""
    listed = {
        path.relative_to(DATA).as_posix()
        for kind in ("ohlcv/raw", "equities", "trades")
        for path in recorded(kind).iterdir()
    }
    assert listed == {case[0] for case in FILES} | {"equities/AAPL_lean_factors.csv"}


@pytest.mark.parametrize(("name", "first"), FIRST_BARS.items())
def test_the_first_bar_is_the_first_line(dataset, name, first):
    """To the last digit, which shows that no other column was taken, and no adjusted price."""
    folder = "equities/" if name.startswith("AAPL") else RAW
    path = recorded(folder + name)
    symbol = "AAPL/USD" if name.startswith("AAPL") else "X/USDT"
    (made,) = import_file(dataset, path, replace(OPTIONS, symbol=symbol, asset_class="equity"))
    assert rows_of(dataset, made.series.timeframe, symbol)[0][1:] == first
    assert dataset.bars(symbol, made.series.timeframe).asset_class == "equity"


def test_two_forms_of_the_same_recording_are_the_same(dataset):
    """The CSV and the Parquet file of three months: nothing new in the second."""
    (one,) = import_file(dataset, recorded(RAW + "ATOMUSDT_spot_5m_20250101_20250618.csv.gz"), OPTIONS)
    (other,) = import_file(dataset, recorded(RAW + "ATOMUSDT_spot_5m_20250101_20250618.parquet"), OPTIONS)
    assert (one.added.new, other.added) == (48_534, Added(0, 48_534, 0, 0, 0))
    assert one.notes == ("the file's name suggests ATOM/USDT, it was taken as BTC/USDT",)


def test_factors_are_no_prices(dataset):
    """The file of splits and dividends is known as such, and the command for it is named."""
    with pytest.raises(DataError, match=r"factor file of LEAN.*python -m backtest\.data actions"):
        list(import_file(dataset, recorded("equities/AAPL_lean_factors.csv"), OPTIONS))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["s", "ms", "us", "ns"]),
    st.sampled_from([(MINUTE, "1m"), (5 * MINUTE, "5m"), (60 * MINUTE, "1h"), (DAY, "1d")]),
    st.integers(0, 2**32),
    st.integers(2, 60),
    st.integers(0, 20 * 365),
)
def test_any_unit_and_order_give_the_same_bars(tmp_path_factory, unit, length, seed, count, days):
    """Times from 2005 to 2025 in any unit, in any order, with holes, some rows twice: the bars that were written."""
    step, timeframe = length
    rng = random.Random(seed)
    places = sorted(rng.sample(range(3 * count), count))
    places = [0, 1, *(place + 1 for place in places if place)]  # the first two tell the length
    start = day("2005-01-01") + days * DAY
    rows = [(start + place * step, round(rng.uniform(1, 9), 4), round(rng.uniform(0, 5), 3)) for place in places]
    told = [*rows, *rng.sample(rows, 1)]
    rng.shuffle(told)
    factor = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}[unit]
    text = "timestamp,open,high,low,close,volume\n"
    text += "".join(f"{ts // factor},{price},{price + 1!r},{price},{price},{volume}\n" for ts, price, volume in told)
    folder = tmp_path_factory.mktemp("any")
    (folder / "any.csv").write_text(text)
    dataset = Dataset(folder / "x")
    (made,) = import_file(dataset, folder / "any.csv", replace(OPTIONS, timeframe=timeframe))
    found = dataset.bars("BTC/USDT", timeframe)
    assert found.ts_open.tolist() == [ts for ts, _, _ in rows]
    assert found.open.tolist() == [price for _, price, _ in rows]
    assert found.volume.tolist() == [volume for _, _, volume in rows]
    assert f"{unit} since 1970" in made.explained


def command(tmp_path: Path, *words: str) -> int:
    """The shipped configuration, with another place for the history."""
    if not (tmp_path / "config").exists():
        shutil.copytree(Path(__file__).resolve().parents[1] / "config", tmp_path / "config")
        base = tmp_path / "config" / "base.yaml"
        text = base.read_text()
        assert "history_dir: var/history" in text
        base.write_text(text.replace("history_dir: var/history", f"history_dir: {tmp_path / 'history'}"))
    return main(["import", "--config-root", str(tmp_path), *words])


def test_the_command_tells_and_returns(tmp_path, capsys):
    """0 with a line of explanation, 1 for a file that is wrong, 2 for a missing symbol or file."""
    path = tmp_path / "BTCUSDT-1m-2025-05.csv"
    path.write_text(VISION)
    assert command(tmp_path, str(path), "--symbol", "BTC/USDT") == 0
    out = capsys.readouterr().out
    assert "klines of Binance" in out
    assert "3 1m bars of BTC/USDT, 2025-05-20T00:00:00Z to 2025-05-20T00:02:00Z: 3 new" in out
    assert command(tmp_path, str(path), "--symbol", "BTC/USDT", "--json", "--dry-run") == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["new"], told["same"], told["timeframe"]) == (0, 3, "1m")
    assert command(tmp_path, str(path)) == 2
    assert "suggests --symbol BTC/USDT" in capsys.readouterr().err
    assert command(tmp_path, str(tmp_path / "missing.csv"), "--symbol", "BTC/USDT") == 2
    assert "missing.csv is not there" in capsys.readouterr().err
    path.write_text(VISION.replace("11.5", "x"))
    assert command(tmp_path, str(path), "--symbol", "BTC/USDT") == 1
    assert "--skip-bad" in capsys.readouterr().err


def test_exact_numbers(take, dataset):
    """Decimal texts become the nearest float64, as Python reads them; pandas' own reader may miss the last bit."""
    values = ["0.1", "105573.73", "2.2250738585072014e-308", "123456789.123456789", "0.30000000000000004"]
    rows = "".join(f"{MS + 60_000 * n},{value},{value},{value},{value},{value}\n" for n, value in enumerate(values))
    take("time,open,high,low,close,volume\n" + rows)
    assert np.array_equal(dataset.bars("BTC/USDT", "1m").close, np.array([float(value) for value in values]))


def test_parquet_of_whole_numbers_and_text(tmp_path, dataset):
    """Prices as integers or as texts are numbers too."""
    table = pa.table(
        {"time": [MS, MS + 60_000], "open": [1, 2], "high": ["3", "4"], "low": [1, 2], "close": [2, 3],
         "volume": [5, 6]}
    )  # fmt: skip
    parquet.write_table(table, tmp_path / "x.parquet")
    list(import_file(dataset, tmp_path / "x.parquet", OPTIONS))
    assert [row[1:] for row in rows_of(dataset)] == [(1.0, 3.0, 1.0, 2.0, 5.0), (2.0, 4.0, 2.0, 3.0, 6.0)]
