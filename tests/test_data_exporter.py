"""Files that other programs read hold every number to the last bit, and are there whole or not at all."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backtest.data.columns import ARRAYS, BarColumns
from backtest.data.exporting import COMPRESSIONS, DataExporter, format_of
from backtest.data.lines import bar_lines
from backtest.data.parsing import file_bars, file_trades
from backtest.data.trades import TradeColumns
from core.errors import ConfigError, DataError
from tests.bar_series import MINUTE, START, calm, changed

ALL = [(name, compression) for name, allowed in COMPRESSIONS.items() for compression in allowed]
WORDS = ("symbol", "timeframe", "asset_class", "currency")

AWKWARD = [1e-8, 0.1 + 0.2, 61837.630000000005, 1.7976931348623157e308, 5e-324, 0.12345678901234568, 1e22, 3.0, 1e-7]
"""Numbers that come back wrong from many a file."""


def awkward() -> BarColumns:
    """Bars whose prices and amounts are awkward numbers, with all optional columns."""
    count = len(AWKWARD)
    numbers = np.array(AWKWARD)
    arrays = {
        "ts_open": START + np.arange(count) * MINUTE,
        **dict.fromkeys(("open", "high", "low", "close", "volume", "turnover"), numbers),
        "vwap": np.where(np.arange(count) % 2, numbers, np.nan),
        "trade_count": np.arange(count) * 10**17,
        "complete": np.arange(count) % 3 > 0,
        "split_factor": numbers[::-1],
        "return_factor": np.roll(numbers, 1),
    }
    return BarColumns.of("BTC/USDT", "1m", arrays, asset_class="equity", currency="USD")


def from_table(table: pa.Table) -> BarColumns:
    """Bars out of a table as other programs see it."""
    arrays = {name: table[name].to_numpy() for name in ARRAYS}
    words = {name: str(table[name][0].as_py()) for name in WORDS}
    return of_words(arrays, words)


def of_words(arrays: dict[str, np.ndarray], words: dict[str, str]) -> BarColumns:
    return BarColumns.of(
        words["symbol"], words["timeframe"], arrays, asset_class=words["asset_class"], currency=words["currency"]
    )


def text_of(path: Path, compression: str) -> bytes:
    if compression == "gzip":
        return gzip.decompress(path.read_bytes())
    if compression == "zstd":
        with pa.input_stream(str(path), "zstd") as stream:
            return bytes(stream.read())
    return path.read_bytes()


def from_objects(objects: list[dict[str, Any]]) -> BarColumns:
    arrays = {name: np.array([each[name] for each in objects]) for name in ARRAYS if name != "vwap"}
    arrays["vwap"] = np.array([np.nan if each["vwap"] is None else each["vwap"] for each in objects])
    return of_words(arrays, objects[0])


def read_back(path: Path, name: str, compression: str) -> BarColumns:
    """Bars out of a file, by the means that people have."""
    if name == "csv":
        return from_table(pc.read_csv(io.BytesIO(text_of(path, compression))))
    if name == "parquet":
        return from_table(pq.read_table(path))
    if name in ("arrow", "feather"):
        return from_table(pa.ipc.open_file(path).read_all())
    if name == "hdf5":
        with h5py.File(path) as file:
            group = file["bars"]
            return of_words({each: group[each][:] for each in ARRAYS}, dict(group.attrs))
    text = text_of(path, compression)
    return from_objects(json.loads(text) if name == "json" else [json.loads(line) for line in text.splitlines()])


@pytest.mark.parametrize(("name", "compression"), ALL)
def test_awkward_numbers_come_back(tmp_path, name, compression):
    """1e-8, 0.1 + 0.2, 17 digits, the largest and the smallest number survive every format and compression."""
    bars = awkward()
    done = DataExporter(name, compression).write(bars, tmp_path)
    assert (done.rows, done.size) == (len(bars), done.path.stat().st_size)
    assert read_back(done.path, name, compression).equals(bars)


NUMBERS = st.floats(min_value=5e-324, allow_infinity=False, allow_nan=False)
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, st.none() | NUMBERS, st.booleans(), st.integers(0, 2**62)), max_size=20)


@given(rows=ROWS, which=st.sampled_from(ALL))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_any_number_comes_back(tmp_path_factory, rows, which):
    """Whatever a price or an amount is, the file has the same to the last bit."""
    price, amount, vwap, complete, count = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    arrays = {
        "ts_open": START + np.arange(len(rows)) * MINUTE,
        **dict.fromkeys(("open", "high", "low", "close"), price),
        "volume": amount,
        "turnover": price[::-1],
        "vwap": np.array(vwap, np.float64),
        "complete": complete,
        "trade_count": count,
    }
    bars = BarColumns.of("AB/USD:USD", "1m", arrays)
    path = tmp_path_factory.mktemp("out") / "bars"
    DataExporter(*which).write(bars, path)
    if rows:
        assert read_back(path, *which).equals(bars)


def test_ndjson_is_a_journal(tmp_path):
    """What is exported as ndjson is, byte for byte, what a dataset holds, and is read as that."""
    bars = awkward()
    done = DataExporter("ndjson").write(bars, tmp_path)
    assert done.path.name == "ohlcv.1m.BTCUSDT.ndjson"
    assert done.path.read_bytes() == bar_lines(bars)
    read = file_bars(DataExporter("ndjson").write(calm(70_000), tmp_path / "many.ndjson").path, "BTC/USDT", "1m")
    assert all(np.array_equal(read.arrays[name], getattr(calm(70_000), name), equal_nan=True) for name in ARRAYS)


@pytest.mark.parametrize("name", ["csv", "json", "parquet", "feather"])
def test_pandas_reads_it(tmp_path, name):
    """pandas reads the files with its plain readers and gets the same numbers."""
    bars = changed(calm(100), vwap={5: 100.05})
    path = DataExporter(name).write(bars, tmp_path).path
    read = {
        "csv": lambda: pd.read_csv(path),
        "json": lambda: pd.read_json(path, precise_float=True),
        "parquet": lambda: pd.read_parquet(path),
        "feather": lambda: pd.read_feather(path),
    }[name]()
    assert from_table(pa.Table.from_pandas(read)).equals(bars)


def test_csv_has_a_time_that_people_read(tmp_path):
    """The first column of csv is the opening time in UTC; an unknown vwap is an empty field."""
    bars = changed(calm(2), vwap={1: 100.05})
    lines = DataExporter("csv").write(bars, tmp_path).path.read_text().splitlines()
    assert lines == [
        '"utc","ts_open","open","high","low","close","volume","vwap","turnover","trade_count","complete",'
        '"split_factor","return_factor","symbol","timeframe","asset_class","currency"',
        '"2025-01-01T00:00:00Z",1735689600000000000,100,100.05,99.95,100,8,,0,0,true,1,1,'
        '"BTC/USDT","1m","crypto","USDT"',
        '"2025-01-01T00:01:00Z",1735689660000000000,100,100.14999999999999,99.95,100.1,9,100.05,0,0,true,1,1,'
        '"BTC/USDT","1m","crypto","USDT"',
    ]


def trades() -> TradeColumns:
    arrays = {
        "ts": [START, START, START + 1, START + MINUTE],
        "price": AWKWARD[:4],
        "qty": AWKWARD[4:8],
        "buy": [True, False, True, True],
        "trade_id": np.array(["7", "", "a,b\"'", "00012"], np.object_),
    }
    return TradeColumns.of("BTC/USDT", arrays)


@pytest.mark.parametrize("name", ["csv", "parquet", "arrow"])
def test_trades_come_back(tmp_path, name):
    """Trades keep time to the ns, price, quantity, side and id, as text where it looks like a number."""
    path = DataExporter(name, "none").write(trades(), tmp_path).path
    assert path.name.startswith("md.trades.BTCUSDT.")
    text = pc.ConvertOptions(column_types={"trade_id": pa.string()}, strings_can_be_null=False)
    table = {
        "csv": lambda: pc.read_csv(path, convert_options=text),
        "parquet": lambda: pq.read_table(path),
        "arrow": lambda: pa.ipc.open_file(path).read_all(),
    }[name]()
    same_trades({each: table[each].to_pylist() for each in ("ts", "price", "qty", "side", "trade_id")})
    if name == "csv":
        assert path.read_text().splitlines()[3].startswith('"2025-01-01T00:00:00.000000001Z",1735689600000000001,')


def test_trades_come_back_from_hdf5_and_ndjson(tmp_path):
    """The same of formats that have no table."""
    with h5py.File(DataExporter("hdf5").write(trades(), tmp_path).path) as file:
        group = file["trades"]
        texts = {each: [one.decode() for one in group[each][:]] for each in ("side", "trade_id")}
        same_trades({each: group[each][:].tolist() for each in ("ts", "price", "qty")} | texts)
        assert group.attrs["symbol"] == "BTC/USDT"
    assert file_trades(DataExporter("ndjson", "gzip").write(trades(), tmp_path).path, "BTC/USDT")[0].equals(trades())


def same_trades(read: dict[str, list[Any]]) -> None:
    for name, values in read.items():
        assert values == getattr(trades(), name).tolist(), name


def test_a_file_is_not_replaced_unless_that_is_said(tmp_path):
    """A second export stops and names the file; with force it takes its place, and nothing else is left behind."""
    DataExporter("csv").write(calm(10), tmp_path)
    with pytest.raises(DataError, match=r"ohlcv\.1m.BTCUSDT\.csv is there already; --force replaces it"):
        DataExporter("csv").write(calm(20), tmp_path)
    DataExporter("csv", force=True).write(calm(20), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ohlcv.1m.BTCUSDT.csv"]
    assert len((tmp_path / "ohlcv.1m.BTCUSDT.csv").read_text().splitlines()) == 21


def test_what_fails_leaves_the_old_file(tmp_path):
    """A write that breaks off leaves the file that was there, and no half one."""
    path = tmp_path / "bars.ndjson"
    DataExporter("ndjson").write(calm(10), path)
    before = path.read_bytes()
    broken = trades()
    broken.trade_id[0] = object()  # nothing that a line can hold
    with pytest.raises(TypeError):
        DataExporter("ndjson", force=True).write(broken, path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["bars.ndjson"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    """A path that cannot be written is an error that names it."""
    with pytest.raises(DataError, match=r"no/such/bars\.csv cannot be written"):
        DataExporter("csv").write(calm(10), tmp_path / "no/such/bars.csv")


def test_equal_data_are_equal_files(tmp_path):
    """Two exports of the same bars have the same bytes, compressed or not."""
    for name, compression in ALL:
        one, two = (
            DataExporter(name, compression).write(calm(100), tmp_path / f"{name}{n}").path.read_bytes() for n in (1, 2)
        )
        assert one == two
        DataExporter(name, compression, force=True).write(calm(100), tmp_path / f"{name}1")
        for n in (1, 2):
            (tmp_path / f"{name}{n}").unlink()


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("bars.csv", ("csv", "none")),
        ("bars.csv.gz", ("csv", "gzip")),
        ("bars.json.zst", ("json", "zstd")),
        ("bars.2025.ndjson", ("ndjson", "none")),
        ("bars.parquet", ("parquet", None)),
        ("bars.h5", ("hdf5", None)),
        ("bars.feather", ("feather", None)),
    ],
)
def test_the_ending_says_the_format(path, meant):
    """The name of a file says what it is to be."""
    assert format_of(Path(path)) == meant


@pytest.mark.parametrize("path", ["bars", "bars.xlsx", "bars.gz", "bars.parquet.gz"])
def test_an_ending_that_says_nothing_is_refused(path):
    """A name that says no format is an error that lists those that do."""
    with pytest.raises(ConfigError, match=f"{path} has no ending that says its format; allowed: .*csv"):
        format_of(Path(path))


def test_wrong_choices_are_named():
    """A format that does not exist, and a compression that it does not have."""
    with pytest.raises(ConfigError, match="format is 'xlsx'; allowed: csv, "):
        DataExporter("xlsx")
    with pytest.raises(ConfigError, match="compression of hdf5 is 'zstd'; allowed: gzip, none"):
        DataExporter("hdf5", "zstd")
