"""What the documents show is true: their examples run, their commands exist, their links lead somewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from core import codec
from core.contracts import OrderIntent, TradeEvent
from core.kernel import Kernel
from strategies.host import SERVICE

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])


def test_the_example_strategy_trades(tmp_path, monkeypatch):
    """The strategy of the author's guide buys once: 50 trades at 100, then one 0.2 % below the average of 99.996."""
    text = (ROOT / "docs" / "EXTENDING.md").read_text()
    blocks = re.findall(r" *```python\n(.*?) *```", text, re.DOTALL)
    example = dedent(blocks[0])
    (tmp_path / "my_strategies.py").write_text(example)
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = {
        "id": "mine", "class": "my_strategies.BuyBelowAverage", "enabled": True, "symbols": ["BTC/USDT"],
        "events": ["md.trades.*"], "params": {"discount": 0.001},
    }  # fmt: skip
    kernel = Kernel([SERVICE])
    kernel.configure({"strategy_runner": {"strategies": [entry], "max_errors": 1, "instruments": []}})
    prices = [100.0] * 50 + [99.8, 99.8, 100.0, 99.0]
    trades = [TradeEvent("BTC/USDT", price, 1.0, "buy", 10**18 + i, str(i)) for i, price in enumerate(prices)]
    lines = kernel.feed("md_ingest.BTCUSDT", trades)
    intents = [codec.decode(line, OrderIntent) for topic, line in lines if topic == "strat.intent"]
    assert [(intent.side, str(intent.qty)) for intent in intents] == [("buy", "0.001")]
    sys.modules.pop("my_strategies")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_files_exist(document):
    """Every relative link leads to a file, and every module that `python -m` runs is there."""
    text = document.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    missing = [link for link in links if not (document.parent / link).exists()]
    for module in set(re.findall(r"python -m ((?:apps|backtest|bench|tests|scripts)[\w.]*)", text)):
        path = ROOT.joinpath(*module.split("."))
        if not (path.with_suffix(".py").exists() or (path / "__main__.py").exists()):
            missing.append(module)
    for script in set(re.findall(r"scripts/\w+\.py", text)):
        if not (ROOT / script).exists():
            missing.append(script)
    assert missing == []


def test_every_make_target_in_the_documents_exists():
    """What a document tells to type after `make` is a target."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set()
    for document in DOCUMENTS:
        blocks = re.split(r"```\w*\n", document.read_text())
        typed = [line for block in blocks[1::2] for line in block.splitlines() if line.startswith("make ")]
        inline = re.findall(r"`([^`]+)`", " ".join(blocks[0::2]).replace("\n", " "))
        named |= {name for code in (*typed, *inline) for name in re.findall(r"^make ([a-z][a-z-]*)", code)}
    assert named - targets == set()
