"""The guide to market history: its Python runs as it is printed, and does what the text says."""

from __future__ import annotations

import re
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from backtest.data.columns import BarColumns
from backtest.data.store import History
from core.config import load_config
from core.contracts import CorporateAction, OHLCVBar, moment
from core.data_source_loading import load_sources

ROOT = Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "docs" / "DATA.md").read_text()
FRAME, ADJUSTED, SOURCE = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
(ENTRY,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
DAY_NS = 86_400 * 10**9


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder that commands are typed in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def day(symbol, date, price):
    start = moment(date)
    return OHLCVBar(symbol, "1d", start, start + DAY_NS, price, price, price, price, volume=1.0)


def test_a_frame_becomes_a_dataset_and_comes_back(place):
    """Two minutes go in and are the same two minutes in var/history/mine."""
    names: dict[str, Any] = {}
    exec(FRAME, names)
    assert names["frame"]["Close"].tolist() == [10.0, 11.0]
    stored = History(place / "var" / "history").dataset("mine").bars("BTC/USDT", "1m")
    assert stored.volume.tolist() == [1.0, 2.5]


def test_prices_are_adjusted_as_printed(place):
    """A share at 400, then split 4 for 1: what it cost before is 400 / 4 = 100."""
    us = History(place / "var" / "history").dataset("us")
    bars = [day("AAPL/USD", "2020-08-28", 400.0), day("AAPL/USD", "2020-08-31", 100.0)]
    us.add(BarColumns.from_bars("AAPL/USD", "1d", bars))
    us.add_actions([CorporateAction("AAPL/USD", "split", moment("2020-08-31"), ratio=Decimal(4))])
    names: dict[str, Any] = {}
    exec(ADJUSTED, names)
    assert names["bars"].close.tolist() == [100.0, 100.0]


def test_a_source_of_one_s_own_is_found_where_it_is_configured(place, monkeypatch):
    """The class and the entry as printed, but for the path: what the file has is what the system is given."""
    (place / "my_feeds.py").write_text(SOURCE)
    (place / "btc.csv").write_text("1735689600,9,12,8,10,1\n1735776000,10,13,9,11,2\n")  # 2025-01-01 and 02
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.delitem(sys.modules, "my_feeds", raising=False)
    (place / "config").mkdir()
    for name in ("base.yaml", "portfolio.yaml", "strategies.yaml"):
        (place / "config" / name).write_text((ROOT / "config" / name).read_text())
    (place / "config" / "risk_policies").symlink_to(ROOT / "config" / "risk_policies")
    (place / "config" / "data_sources.yaml").write_text(ENTRY.replace("/data/feeds/btc.csv", str(place / "btc.csv")))
    sources = load_sources(load_config(place, environ={}))
    found = sources.bars("BTC/USDT", "1d", moment("2025-01-02"), moment("2025-01-03"))
    assert [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in found] == [(10.0, 13.0, 9.0, 11.0, 2.0)]
    assert [bar.close for bar in sources.last_bars("BTC/USDT", "1d", moment("2025-01-03"), 5)] == [10.0, 11.0]
