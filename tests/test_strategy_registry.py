"""Finding strategy classes by name."""

from __future__ import annotations

import pytest

from core.errors import ConfigError
from strategies.registry import StrategyRegistry
from strategies.samples.sma_cross import SmaCross
from strategies.samples.trendline_break import TrendlineBreak
from strategies.strategy import Strategy
from tests.strategy_probes import Plain


@pytest.fixture
def registry():
    """A registry with the samples."""
    found = StrategyRegistry()
    found.discover()
    return found


def test_samples_are_discovered(registry):
    """The shipped samples are found by name, and nothing is wrong with any of them."""
    assert registry.get("sma_cross") is SmaCross
    assert registry.get("trendline_break") is TrendlineBreak
    assert registry.errors == {}


@pytest.mark.parametrize("known", [True, False])
def test_a_class_is_found_by_its_path(known):
    """The dotted path of strategies.yaml works with and without discovery."""
    found = StrategyRegistry()
    if known:
        found.discover()
    assert found.get("strategies.samples.sma_cross.SmaCross") is SmaCross
    assert found.get("tests.strategy_probes.Plain") is Plain


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sma_crosss", "no strategy 'sma_crosss'; did you mean 'sma_cross'?"),
        ("strategies.samples.sma_cross.SmaCros", "did you mean 'strategies.samples.sma_cross.SmaCross'?"),
        ("strategies.samples.sma_cros.SmaCross", "(ModuleNotFoundError: No module named"),
        ("strategies.samples.sma_cross.Sma", "no strategy 'strategies.samples.sma_cross.Sma'"),
        ("strategies.strategy.Strategy", "no strategy 'strategies.strategy.Strategy'"),
        (
            "nothing.like.it",
            "allowed: strategies.samples.buy_and_hold.BuyAndHold, strategies.samples.momentum.Momentum",
        ),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(registry, name, message):
    """A typo, a missing module, an imported class or a base class is refused, with what was meant and what exists."""
    with pytest.raises(ConfigError) as error:
        registry.get(name)
    assert message in str(error.value)


def test_a_broken_module_is_reported_and_skipped(tmp_path, monkeypatch):
    """A plugin that cannot be imported is warned about, and the one beside it is found."""
    package = tmp_path / "plugins_under_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "broken.py").write_text("import a_library_that_is_not_there\n")
    (package / "fine.py").write_text(
        "from tests.strategy_probes import Plain\nclass Fine(Plain):\n    strategy_id = 'fine'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = StrategyRegistry()
    with pytest.warns(UserWarning, match=r"plugins_under_test\.broken is left out: ModuleNotFoundError"):
        found.discover("plugins_under_test")
    assert found.get("fine").__name__ == "Fine"
    assert list(found.errors) == ["plugins_under_test.broken"]


def test_a_name_belongs_to_one_class():
    """Registering a class twice is fine; another class under the same name is not, nor one without a name."""
    found = StrategyRegistry()
    found.register(Plain)
    found.register(Plain)
    with pytest.raises(ConfigError, match="strategy_id 'plain' belongs to"):
        found.register(type("Other", (Plain,), {}))
    with pytest.raises(ConfigError, match="allowed: a text that is not empty"):
        found.register(type("Nameless", (Strategy,), {}))
