"""Whose prices a file holds, where nobody says it; and HDF5 files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from backtest.data.importing.importer import Imported, Options, import_file
from backtest.data.store import Dataset
from core.contracts.moments import moment
from core.errors import ConfigError, DataError
from tests.history_desk import START

NOW = moment("2026-01-01")
MS = START // 1_000_000


def take(path: Path, content: str = "", symbol: str = "", **options: object) -> Imported:
    """Takes a file in, after it was written."""
    if content:
        path.write_text(content)
    chosen = replace(Options(symbol=symbol, now_ns=NOW), **options)  # type: ignore[arg-type]
    (only,) = import_file(Dataset(path.parent / "desk"), path, chosen)
    return only


def named(*symbols: str) -> str:
    """A bar of each of some minutes, with its symbol."""
    rows = "".join(f"{MS + 60_000 * n},{symbol},1,2,1,1,5\n" for n, symbol in enumerate(symbols))
    return "time,symbol,open,high,low,close,volume\n" + rows


def test_a_column_that_names_one_symbol_in_full_says_it(tmp_path):
    """As our own exports have it; a symbol that was asked for still counts more."""
    assert take(tmp_path / "a.csv", named("ETH/EUR", "ETH/EUR")).series.symbol == "ETH/EUR"
    assert take(tmp_path / "a.csv", named("ETH/EUR", "X/Y", "X/Y"), "X/Y").rows == 2


def test_several_symbols_are_not_guessed_among(tmp_path):
    """Two symbols in one file: --symbol decides, and the other's rows are left out."""
    with pytest.raises(ConfigError, match=r"a.csv holds 2 symbols: ETH/EUR, X/Y; --symbol says which"):
        take(tmp_path / "a.csv", named("X/Y", "ETH/EUR"))
    with pytest.raises(ConfigError, match="suggests --symbol ETH/EUR"):
        take(tmp_path / "a.csv", named("ETHEUR", "ETHEUR"))


def columns(group: h5py.Group, count: int = 2) -> None:
    """Bars of two minutes."""
    values = {"time": START + np.arange(count) * 60_000_000_000, "volume": np.ones(count)}
    for name, array in (values | dict.fromkeys(("open", "high", "low", "close"), np.full(count, 7.5))).items():
        group[name] = array


def test_any_plain_hdf5_file(tmp_path):
    """One group with columns, wherever it is; texts among its attributes are the same for all rows."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        columns(file.create_group("deep/down"))
        file["deep/down"].attrs["symbol"] = "BTC/USD"
    made = take(tmp_path / "a.h5")
    assert (made.series.symbol, made.series.timeframe, made.rows, made.format) == ("BTC/USD", "1m", 2, "hdf5")


def test_hdf5_files_in_doubt_are_refused(tmp_path):
    """Two tables, columns of different lengths, no columns, or half a file: each says so."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        columns(file.create_group("one"))
        columns(file.create_group("two"))
    with pytest.raises(DataError, match="groups with columns are /one, /two; allowed: one"):
        take(path, symbol="A/B")
    with h5py.File(path, "w") as file:
        columns(file.create_group("one"))
        file["one/vwap"] = np.ones(3)
    with pytest.raises(DataError, match=r"a.h5 is no HDF5 file that is read: .*3"):
        take(path, symbol="A/B")
    with h5py.File(path, "w") as file:
        file["matrix"] = np.ones((2, 2))
    with pytest.raises(DataError, match="groups with columns are none"):
        take(path, symbol="A/B")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"a.h5 is no HDF5 file"):
        take(path, symbol="A/B")
