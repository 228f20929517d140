"""Datasets of market history: what is added, what is there already, and what is refused."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.data.columns import BarColumns
from backtest.data.store import Added, Dataset, History, Origin, Series
from backtest.data.trades import TradeColumns
from core import codec
from core.contracts import CorporateAction, TradeEvent
from core.contracts.moments import moment
from core.errors import ConfigError, ContractError, DataError, JournalError
from tests.history_desk import DAY, MINUTE, START, bars, changed, contents


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return History(tmp_path).dataset("desk")


def test_bars_come_back_as_they_were_added(dataset):
    """Three days of minutes become three files, named by day, and the same columns again."""
    added = dataset.add(bars(3 * 1440))
    assert added == Added(new=4320, same=0, replaced=0, kept=0, files=3)
    assert sorted(contents(dataset.folder)) == [f"ohlcv.1m.BTCUSDT.202505{day}.ndjson.gz" for day in (20, 21, 22)]
    assert dataset.bars("BTC/USDT", "1m").equals(bars(3 * 1440))
    assert dataset.series() == [Series("bars", "BTC/USDT", "1m", START, START + 4319 * MINUTE)]


def test_the_range_is_half_open(dataset):
    """From the second bar up to, and without, the fourth: bars two and three."""
    dataset.add(bars(10))
    found = dataset.bars("BTC/USDT", "1m", START + MINUTE, START + 3 * MINUTE)
    assert found.ts_open.tolist() == [START + MINUTE, START + 2 * MINUTE]
    assert len(dataset.bars("BTC/USDT", "5m")) == len(dataset.bars("ETH/USDT", "1m")) == 0


def test_a_file_holds_the_lines_that_the_events_are(dataset):
    """Byte for byte what the codec writes, and the same file for the same bars on every machine."""
    columns = replace(bars(2), vwap=np.array([np.nan, 101.25]), trade_count=np.array([0, 7]))
    dataset.add(columns)
    (path,) = dataset.folder.glob("*.gz")
    assert gzip.decompress(path.read_bytes()) == b"".join(codec.encode(bar) + b"\n" for bar in columns.bars())
    assert path.read_bytes()[4:8] == b"\0\0\0\0"  # no time of the compression


def test_what_is_there_already_changes_nothing(dataset):
    """Adding the same again, or a part of it, leaves every file untouched."""
    dataset.add(bars(2 * 1440))
    before = {path: path.stat().st_ino for path in dataset.folder.glob("*.gz")}
    assert dataset.add(bars(2 * 1440)) == Added(0, 2880, 0, 0, 0)
    assert dataset.add(bars(5, start=START + DAY, base=1540.0)) == Added(0, 5, 0, 0, 0)
    assert {path: path.stat().st_ino for path in dataset.folder.glob("*.gz")} == before


def test_only_days_that_change_are_written(dataset):
    """One more bar on the third day writes the third file alone."""
    dataset.add(bars(2 * 1440))
    before = {path: path.stat().st_ino for path in dataset.folder.glob("*.gz")}
    assert dataset.add(bars(2 * 1440 + 1)) == Added(1, 2880, 0, 0, 1)
    after = {path: path.stat().st_ino for path in dataset.folder.glob("*.gz")}
    assert {path: after[path] for path in before} == before


CONFLICTS = [
    # conflict, counts, close of bar 1 afterwards (there: 102, added: 102.5)
    ("keep", Added(1, 2, 0, 1, 1), 102.0),
    ("replace", Added(1, 2, 1, 0, 1), 102.5),
]


@pytest.mark.parametrize(("conflict", "counts", "close"), CONFLICTS)
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_bar_that_differs_is_kept_or_replaced_as_asked(dataset, conflict, counts, close, dry_run):
    """Three bars are there; of four that are added one differs and one is new. A dry run counts the same."""
    dataset.add(bars(3))
    before = contents(dataset.folder)
    assert dataset.add(changed(bars(4), 1, close=102.5), conflict=conflict, dry_run=dry_run) == counts
    if dry_run:
        assert contents(dataset.folder) == before
    else:
        assert dataset.bars("BTC/USDT", "1m").close.tolist() == [101.0, close, 103.0, 104.0]


def test_a_bar_that_differs_is_refused_by_default(dataset):
    """Time and both values are named, and nothing is written, not even the new bars of other days."""
    dataset.add(bars(3))
    before = contents(dataset.folder)
    with pytest.raises(DataError, match=r"(?s)1 of 1441 rows.*2025-05-20T00:01:00Z.*102\.0.*102\.5"):
        dataset.add(changed(bars(1441), 1, close=102.5))
    assert contents(dataset.folder) == before


def test_knowing_less_is_no_conflict(dataset):
    """A bar without turnover agrees with the same bar that has it; what is there stays, unless it is to be replaced."""
    rich = changed(bars(2), 0, turnover=1000.0)
    dataset.add(rich)
    assert dataset.add(bars(2)) == Added(0, 2, 0, 0, 0)
    assert dataset.bars("BTC/USDT", "1m").turnover.tolist() == [1000.0, 0.0]
    assert dataset.add(bars(2), conflict="replace") == Added(0, 1, 1, 0, 1)
    assert dataset.bars("BTC/USDT", "1m").turnover.tolist() == [0.0, 0.0]


def test_symbols_that_share_a_file_name_do_not_share_a_dataset(dataset):
    """A/BUSD and AB/USD would both be ABUSD: the second one is refused, on the same day and on another."""
    dataset.add(bars(3, symbol="A/BUSD"))
    for start in (START, START + 5 * DAY):
        with pytest.raises(DataError, match="A/BUSD"):
            dataset.add(bars(3, symbol="AB/USD", start=start))
    assert len(dataset.bars("AB/USD", "1m")) == 0


BAD = [
    ({"high": 100.5}, "close from low"),
    ({"low": 0.0}, "above 0"),
    ({"volume": -1.0}, "volume"),
    ({"close": float("nan")}, "nan"),
    ({"high": float("inf")}, "inf"),
]


@pytest.mark.parametrize(("values", "_named"), BAD)
def test_a_bar_that_cannot_be_is_refused(dataset, values, _named):
    """The bar is named by its time; nothing is written."""
    with pytest.raises(ContractError, match="2025-05-20T00:02:00Z"):
        dataset.add(changed(bars(4), 2, **values))
    assert not dataset.folder.exists() or contents(dataset.folder) == {}


def test_files_of_another_form_are_left_alone(dataset):
    """Adding to a folder with a running system's journal could double lines: refused, with what to do instead."""
    dataset.folder.mkdir(parents=True)
    (dataset.folder / "ohlcv.1m.BTCUSDT.ndjson").write_bytes(b"".join(codec.encode(b) + b"\n" for b in bars(2).bars()))
    with pytest.raises(DataError, match=r"backtest\.data import"):
        dataset.add(bars(3))
    assert len(dataset.bars("BTC/USDT", "1m")) == 2


def test_asset_classes_are_not_mixed(dataset):
    """The same symbol as a crypto coin and as a share is a mistake."""
    dataset.add(bars(2))
    with pytest.raises(DataError, match="asset_class 'crypto', not 'equity'"):
        dataset.add(replace(bars(3), asset_class="equity"))


def trade(number: int, price: float = 100.0, trade_id: str | None = None) -> TradeEvent:
    return TradeEvent("BTC/USDT", price, 0.5, "buy", START + number, str(number) if trade_id is None else trade_id)


def test_trades_are_told_apart_by_their_ids(dataset):
    """Two of three are there; the same id with another price is a conflict."""
    first = TradeColumns.from_trades("BTC/USDT", [trade(1), trade(2)])
    assert dataset.add_trades(first) == Added(2, 0, 0, 0, 1)
    assert dataset.add_trades(TradeColumns.from_trades("BTC/USDT", [trade(2), trade(3)])) == Added(1, 1, 0, 0, 1)
    other = TradeColumns.from_trades("BTC/USDT", [trade(2, price=99.0)])
    with pytest.raises(DataError, match="id 2"):
        dataset.add_trades(other)
    assert dataset.add_trades(other, conflict="replace") == Added(0, 0, 1, 0, 1)
    assert [(each.trade_id, each.price) for each in dataset.trades("BTC/USDT").trades()] == [
        ("1", 100.0), ("2", 99.0), ("3", 100.0),
    ]  # fmt: skip
    assert dataset.trades("BTC/USDT", START + 2, START + 3).trade_id.tolist() == ["2"]


def test_a_replaced_trade_may_move_to_another_day(dataset):
    """Its old day loses it; a day without trades has no file."""
    dataset.add_trades(TradeColumns.from_trades("BTC/USDT", [trade(1)]))
    moved = replace(trade(1), ts=START + DAY)
    dataset.add_trades(TradeColumns.from_trades("BTC/USDT", [trade(2), moved]), conflict="replace")
    assert [each.ts for each in dataset.trades("BTC/USDT").trades()] == [START + 2, START + DAY]


def test_trades_without_ids_are_told_apart_by_their_count(dataset):
    """Of three alike where two are there, one is new; adding the three again adds none."""
    alike = [trade(1, trade_id="") for _ in range(3)]
    dataset.add_trades(TradeColumns.from_trades("BTC/USDT", alike[:2]))
    assert dataset.add_trades(TradeColumns.from_trades("BTC/USDT", alike)) == Added(1, 2, 0, 0, 1)
    assert dataset.add_trades(TradeColumns.from_trades("BTC/USDT", alike)) == Added(0, 3, 0, 0, 0)
    assert len(dataset.trades("BTC/USDT")) == 3


def test_trades_of_one_moment_are_in_the_order_of_their_ids(dataset):
    """9 comes before 10, as numbers do, whichever was added first."""
    dataset.add_trades(TradeColumns.from_trades("BTC/USDT", [replace(trade(5), trade_id="10")]))
    dataset.add_trades(TradeColumns.from_trades("BTC/USDT", [replace(trade(5), trade_id="9")]))
    assert dataset.trades("BTC/USDT").trade_id.tolist() == ["9", "10"]


SPLIT = CorporateAction("AAPL/USD", "split", moment("2020-08-31"), ratio=Decimal(4))
DIVIDEND = CorporateAction("AAPL/USD", "dividend", moment("2020-02-07"), amount=Decimal("0.77"))


def test_corporate_actions_are_kept_in_one_plain_file(dataset):
    """Oldest first, each once."""
    assert dataset.add_actions([SPLIT, DIVIDEND]) == Added(2, 0, 0, 0, 1)
    assert dataset.add_actions([SPLIT]) == Added(0, 1, 0, 0, 0)
    assert dataset.actions("AAPL/USD") == [DIVIDEND, SPLIT]
    assert sorted(contents(dataset.folder)) == ["md.actions.AAPLUSD.ndjson"]


def test_two_dividends_of_one_day_belong_together(dataset):
    """A special one beside the regular one is kept; another amount later on is a conflict."""
    special = replace(DIVIDEND, amount=Decimal(3))
    dataset.add_actions([DIVIDEND, special])
    assert dataset.actions("AAPL/USD") == [DIVIDEND, special]
    with pytest.raises(DataError, match="2020-02-07"):
        dataset.add_actions([replace(DIVIDEND, amount=Decimal("0.78"))])
    assert dataset.add_actions([replace(DIVIDEND, amount=Decimal("0.78"))], conflict="replace").replaced == 1
    assert [each.amount for each in dataset.actions("AAPL/USD")] == [Decimal("0.78")]


ORIGIN = Origin("a.csv", "BTC/USDT", "1m", 3, START, START + 2 * MINUTE, 7, "csv", "ms since 1970", "ab" * 32)


def test_a_dataset_says_where_its_data_came_from(dataset):
    """The same file again takes the place of its older entry; another venue is refused."""
    dataset.note_origin(ORIGIN, venue="binance")
    dataset.note_origin(replace(ORIGIN, imported_ns=8))
    assert (dataset.manifest.venue, dataset.manifest.origins) == ("binance", (replace(ORIGIN, imported_ns=8),))
    with pytest.raises(DataError, match="'binance', not 'kraken'"):
        dataset.note_origin(ORIGIN, venue="kraken")
    (dataset.folder / "dataset.json").write_text("{")
    with pytest.raises(DataError, match=r"dataset\.json"):
        _ = dataset.manifest


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", ".cache", "x" * 65, "ä"])
def test_a_dataset_must_be_called_as_a_folder_can_be(tmp_path, name):
    """No name leads out of the folder of datasets."""
    with pytest.raises(ConfigError, match="dataset is"):
        History(tmp_path).dataset(name)


def test_datasets_are_listed(tmp_path):
    """By name; what is no dataset is left out."""
    history = History(tmp_path / "history")
    assert history.names() == []
    for name in ("b", "a"):
        history.dataset(name).add(bars(1))
    assert history.names() == ["a", "b"]


def test_two_writers_wait_for_each_other(dataset):
    """Bars of the same day, added by four at once in turns, are all there."""
    parts = [bars(400)[slice(row, row + 10)] for row in range(0, 400, 10)]
    threads = [
        threading.Thread(target=lambda mine=mine: [dataset.add(part) for part in mine])
        for mine in (parts[0::4], parts[1::4], parts[2::4], parts[3::4])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dataset.bars("BTC/USDT", "1m").equals(bars(400))


CHILD = """
import sys
from backtest.data.store import Dataset
from tests.history_desk import DAY, bars
Dataset(sys.argv[1]).add(bars(500, step=DAY, base=200.0), conflict="replace")
"""


@pytest.mark.parametrize("files", [1, 70])
def test_a_writer_that_is_killed_leaves_whole_days(dataset, files):
    """Each day is as it was or as it should be; adding again completes it."""
    old, new = bars(500, step=DAY, base=100.0), bars(500, step=DAY, base=200.0)
    dataset.add(old)
    before = {path: path.stat().st_ino for path in dataset.folder.glob("*.gz")}
    root = Path(__file__).resolve().parents[1]
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(dataset.folder)], cwd=root)
    while child.poll() is None and sum(path.stat().st_ino != node for path, node in before.items()) < files:
        time.sleep(0)
    child.send_signal(signal.SIGKILL)
    child.wait()
    found = dataset.bars("BTC/USDT", "1d")
    assert np.array_equal(found.ts_open, new.ts_open)
    assert ((found.open == old.open) ^ (found.open == new.open)).all()
    assert (found.open == new.open).sum() >= files
    dataset.add(new, conflict="replace")
    assert dataset.bars("BTC/USDT", "1d").equals(new)
    assert not list(dataset.folder.glob(".*.tmp"))


def test_a_broken_day_is_named_and_not_written_over(dataset):
    """File and line are told; what is there stays for whoever repairs it."""
    dataset.add(bars(3))
    (path,) = dataset.folder.glob("*.gz")
    path.write_bytes(gzip.compress(b"".join(codec.encode(bar) + b"\n" for bar in bars(2).bars()) + b"{}\n"))
    broken = path.read_bytes()
    with pytest.raises(JournalError, match=f"{path.name}, line 3"):
        dataset.add(bars(4))
    assert path.read_bytes() == broken


amounts = st.floats(0, 1e12, allow_nan=False)
prices = st.floats(1e-8, 1e9, allow_nan=False)


@st.composite
def series(draw: st.DrawFn) -> BarColumns:
    """Any bars that can be, over a few days, with holes."""
    minutes = sorted(draw(st.sets(st.integers(0, 4 * 1440), min_size=1, max_size=30)))
    rows = [
        (sorted((draw(prices), draw(prices), draw(prices), draw(prices))), draw(amounts), draw(amounts))
        for _ in minutes
    ]  # fmt: skip
    return BarColumns.of(
        draw(st.sampled_from(["BTC/USDT", "BTC/USDT:USDT", "A/B"])),
        "1m",
        {
            "ts_open": [START + minute * MINUTE for minute in minutes],
            "low": [four[0] for four, _, _ in rows], "open": [four[1] for four, _, _ in rows],
            "close": [four[2] for four, _, _ in rows], "high": [four[3] for four, _, _ in rows],
            "volume": [volume for _, volume, _ in rows], "turnover": [turnover for _, _, turnover in rows],
            "vwap": [draw(st.one_of(st.just(np.nan), prices)) for _ in rows],
            "trade_count": [draw(st.integers(0, 2**62)) for _ in rows],
            "complete": [draw(st.booleans()) for _ in rows],
            "split_factor": [draw(prices) for _ in rows], "return_factor": [draw(prices) for _ in rows],
        },
    )  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(series(), st.integers(0, 30))
def test_any_bars_come_back_however_they_were_parted(tmp_path_factory, columns, cut):
    """Added in two overlapping parts, the later one first: the same columns, to the last bit, twice."""
    dataset = Dataset(tmp_path_factory.mktemp("any") / "x")
    dataset.add(columns[slice(max(0, cut - 2), None)])
    dataset.add(columns[slice(0, cut)])
    assert dataset.bars(columns.symbol, "1m").equals(columns)
    assert dataset.bars(columns.symbol, "1m").equals(columns)
