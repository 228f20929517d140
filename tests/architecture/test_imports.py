"""What a daemon loads: a server installs the core alone, and every megabyte counts once per process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.code import ROOT, module_name, modules

pytestmark = pytest.mark.slow

HEAVY = ("ccxt", "fakeredis", "hypothesis", "matplotlib", "numba", "numpy", "pandas", "plotly", "scipy", "talib")

# structlog and pydantic load rich and numpy for themselves where they are installed, so rich is hidden here: what
# starts without it needs it nowhere.
SCRIPT = """
import importlib, sys
sys.modules["rich"] = None
for name in sys.argv[1].split(): importlib.import_module(name)
print(" ".join(sorted(set(sys.argv[2].split()) & set(sys.modules))))
"""

CCXT = "core.adapters.ccxt_stream"
"""The one module that loads ccxt; md_ingest imports it when that client is asked for, and nobody else does."""

PACKAGES = {
    package: [name for path in modules(package) if (name := module_name(path)) != CCXT]
    for package in ("core", "portfolio", "strategies")
}
NETWORK = ("aiohttp", "ccxt")
"""What speaks to venues: only the simulated exchange loads any of it before it is asked to."""

APPS = {f"apps.{path.parent.name}": [module_name(path)] for path in modules("apps") if path.name == "main.py"}


@pytest.mark.parametrize("names", [pytest.param(names, id=name) for name, names in {**PACKAGES, **APPS}.items()])
def test_nothing_heavy_is_loaded(names: list[str]) -> None:
    """A fresh interpreter imports it with none of the libraries of research and reports."""
    command = [sys.executable, "-c", SCRIPT, " ".join(names), " ".join(HEAVY)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_research_reaches_no_venue_until_it_is_asked_to() -> None:
    """Importing all of it loads no client of a venue; the one module that has one is imported by a download."""
    client = "backtest.data.download.client"
    names = [
        name for path in modules("backtest") if not (name := module_name(path)).startswith("backtest.data.download")
    ]
    names += ["backtest.data.download.run", "backtest.data.download.progress"]
    command = [sys.executable, "-c", SCRIPT, " ".join(names), f"aiohttp ccxt redis socket {client}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= {"socket"}  # pandas loads that


@pytest.mark.parametrize("app", sorted(set(APPS) - {"apps.sim_exchange"}))
def test_no_client_of_a_venue_is_loaded(app: str) -> None:
    """A daemon that reaches no venue does not carry the means to."""
    command = [sys.executable, "-c", SCRIPT, " ".join(APPS[app]), " ".join(NETWORK)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
