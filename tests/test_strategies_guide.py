"""The strategy author's guide: its Python is put into the files that it names, and its tests are run."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

import strategies.indicators
from strategies.strategy import HOOKS

ROOT = Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "docs" / "STRATEGIES.md").read_text()
BLOCKS = re.findall(r"```python\n# (\w+)\.py\n(.*?)```", GUIDE, re.DOTALL)
TESTS = re.findall(r"^def (test_\w+)", GUIDE, re.MULTILINE)


@pytest.fixture(scope="module")
def guide(tmp_path_factory):
    """The guide's test module, imported from files made of its blocks."""
    folder = tmp_path_factory.mktemp("guide")
    for name, block in BLOCKS:
        with (folder / f"{name}.py").open("a") as file:
            file.write(block)
    sys.path.insert(0, str(folder))
    yield import_module("test_my_strategies")
    sys.path.remove(str(folder))
    for name, _ in BLOCKS:
        sys.modules.pop(name, None)


def test_every_block_is_run():
    """Each block of Python names the file that it belongs to, so none is left out."""
    assert len(BLOCKS) == GUIDE.count("```python")
    assert {name for name, _ in BLOCKS} == {"my_strategies", "test_my_strategies"}


@pytest.mark.slow
@pytest.mark.parametrize("name", TESTS)
def test_the_guide_s_tests_pass(guide, name, monkeypatch):
    """What the guide tells a trader to run runs, in the project's folder."""
    monkeypatch.chdir(ROOT)
    getattr(guide, name)()


def test_the_tables_are_complete():
    """Every hook and every indicator has its row; the rest of the library are the shapes of their results."""
    assert [hook for hook in (*HOOKS.values(), "on_start", "on_stop", "on_event") if f"| `{hook}` |" not in GUIDE] == []
    shapes = {"AdxLines", "AroonLines", "Bands", "Directions", "Indicator", "MacdLines", "StochasticLines"}
    named = set(strategies.indicators.__all__) - shapes
    assert [name for name in sorted(named) if f"`{name}(" not in GUIDE] == []
