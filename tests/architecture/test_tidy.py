"""The rules of form that a tool cannot be configured for; each exception is named with its reason."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from backtest.data.main import COMMANDS as DATA_COMMANDS
from tests.architecture.code import (
    COMMANDS,
    PRODUCT,
    ROOT,
    code_lines,
    functions,
    imported,
    length,
    module_name,
    modules,
    source,
    tree,
)

FUNCTION_MAX = 40
MODULE_MAX = 300
POSITIONAL_MAX = 5
BUDGETS = {
    "strategies/base.py": 50,
    "strategies/context.py": 60,
    "strategies/registry.py": 80,
    "strategies/manager.py": 120,
    "core/logging.py": 60,
    **{str(path): 100 for path in modules("strategies/samples")},
}
LEFTOVERS = re.compile(r"\b(TODO|FIXME|XXX|[Pp]laceholder|NotImplementedError)\b")
ALL = modules(*PRODUCT, *COMMANDS)

ENTRY_POINTS = {
    "backtest.data.aggregator": "frames made longer, given indicators, merged; for notebooks (docs/EXTENDING.md)",
    "backtest.data.service": "plays history to a kernel or any function, for scripts and notebooks",
    "core.kernel": "runs services offline; for authors of strategies (docs/EXTENDING.md) and for tests",
    "strategies.manager": "the asynchronous wrapper of the host, for scripts and notebooks",
}
"""Modules that nothing imports although they are needed, and why."""

SPEAKERS = {
    "backtest/parity.py": "a command; its answer goes to standard output",
    "core/runtime/process.py": "the last line of a daemon that ends says why, on standard error",
}
"""Product modules that print, and why."""


@pytest.mark.parametrize("path", ALL, ids=str)
def test_sizes(path: Path) -> None:
    """A module and a function fit into a head; the tighter limits for strategies hold."""
    assert len(code_lines(path)) <= BUDGETS.get(str(path), MODULE_MAX)
    too_long = {function.name: length(path, function) for function in functions(path)}
    assert {name: lines for name, lines in too_long.items() if lines > FUNCTION_MAX} == {}


@pytest.mark.parametrize("path", ALL, ids=str)
def test_calls_can_be_read(path: Path) -> None:
    """Beyond a few, arguments are passed by name."""
    positional = {
        function.name: len([arg for arg in function.args.args if arg.arg not in {"self", "cls"}])
        for function in functions(path)
        if not function.name.startswith("_") or function.name == "__init__"
    }
    assert {name: count for name, count in positional.items() if count > POSITIONAL_MAX} == {}


@pytest.mark.parametrize("path", ALL, ids=str)
def test_nothing_is_left_for_later(path: Path) -> None:
    """Finished code holds no notes to its writer."""
    assert LEFTOVERS.findall(source(path)) == []


@pytest.mark.parametrize("path", modules(*PRODUCT), ids=str)
def test_services_do_not_print(path: Path) -> None:
    """What a service has to say is an event or a line of the log."""
    printed = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert bool(printed) == (str(path) in SPEAKERS)


def test_every_module_is_used() -> None:
    """A module that only tests import is dead code that passes."""
    named = {name for path in ALL for name in imported(path)}
    named |= set(re.findall(r"class: *([\w.]+)\.\w+", "".join(path.read_text() for path in ROOT.glob("config/*.yaml"))))
    named |= {f"backtest.data.commands.{name}" for name in DATA_COMMANDS}
    unused = {
        module_name(path)
        for path in ALL
        if path.name not in {"__init__.py", "__main__.py"}
        and module_name(path) not in named
        and '__name__ == "__main__"' not in source(path)
    }
    assert unused - set(ENTRY_POINTS) == set()
    assert set(ENTRY_POINTS) <= unused, "it is imported now: take it off the list"


@pytest.mark.parametrize("app", sorted(path.parent.name for path in modules("apps") if path.name == "__main__.py"))
def test_every_app_has_the_same_two_files(app: str) -> None:
    """`__main__.py` starts `main.main`; who knows one app knows all."""
    assert (ROOT / "apps" / app / "main.py").is_file()
    assert f"from apps.{app}.main import main" in source(Path("apps", app, "__main__.py"))


def test_every_make_target_is_explained() -> None:
    """`make help` shows them all, and each is what it says even where a file has its name."""
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    explained = set(re.findall(r"^([a-z][a-z-]*):.*## \S", makefile, re.MULTILINE))
    phony = set(makefile.partition(".PHONY:")[2].replace("\\\n", " ").split("\n")[0].split())
    assert targets == explained == phony
