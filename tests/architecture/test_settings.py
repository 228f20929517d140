"""A setting that nothing reads is a promise that nothing keeps."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from pydantic import BaseModel

from core.config import Config, content_for, load_config
from core.config_sections import Portfolio
from core.contracts import Instrument, StrategyAllocation
from tests.architecture.code import modules, tree

READERS = [path for path in modules("apps", "backtest", "core", "portfolio", "scripts", "strategies")]
MODELS = set(READERS) & set(Path("core").glob("config*.py"))

IN_CONTENT = {
    "app": {"env": "env"},
    "strategy_runner": {"max_errors": "max_errors"},
    "portfolio": {"id": "portfolio_id", **{key: key for key in Portfolio.model_fields if key != "id"}},
    "account": {"name": "account", "quote": "quote"},
    "fees": {"maker_bps": "maker_fee_bps", "taker_bps": "taker_fee_bps"},
}
"""Settings that `content_for` hands on, and the name under which the handler reads each of them in its content."""

APPLIED_ON_LOADING = {"strategies"}
"""Merged into the entries of strategies.yaml by the loader; tests/test_config.py shows their effect."""


class _Reads(ast.NodeVisitor):
    """Collects what is read from what: `config.paths.log_dir` is ("paths", "log_dir")."""

    def __init__(self) -> None:
        self.found: set[tuple[str, str]] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Checking a value is not using it."""
        if node.name != "__post_init__":
            self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Remember the name and what it was read from."""
        if isinstance(node.ctx, ast.Load):
            inner = node.value
            of = inner.attr if isinstance(inner, ast.Attribute) else inner.id if isinstance(inner, ast.Name) else ""
            self.found.add((of, node.attr))
        self.generic_visit(node)


@cache
def reads() -> set[tuple[str, str]]:
    """Everything that is read outside the configuration's own modules."""
    visitor = _Reads()
    for path in READERS:
        if path not in MODELS:
            visitor.visit(tree(path))
    return visitor.found


def settings() -> Iterator[tuple[str, str, bool]]:
    """Section, key, and whether the section is a model of its own rather than a record that a handler takes."""
    for section, info in Config.model_fields.items():
        kind = info.annotation
        if section in APPLIED_ON_LOADING:
            continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            handed = IN_CONTENT.get(section, {})
            for key in kind.model_fields:
                yield section, handed.get(key, key), key not in handed
        else:
            yield from fields_of(section, kind if is_dataclass(kind) else Instrument)
    yield from fields_of("portfolio.allocations", StrategyAllocation)


def fields_of(section: str, record: Any) -> Iterator[tuple[str, str, bool]]:
    """The fields of a record, and of the records in it."""
    for name, kind in get_type_hints(record).items():
        yield section, name, False
        if is_dataclass(kind):
            yield from fields_of(f"{section}.{name}", kind)


@pytest.mark.parametrize(
    ("section", "key", "qualified"), [pytest.param(*each, id=".".join(each[:2])) for each in settings()]
)
def test_every_setting_is_read(section: str, key: str, qualified: bool) -> None:
    """By `config.<section>.<key>` in a shell, or as a field of the record that a handler takes."""
    found = reads()
    if qualified:
        assert (section, key) in found, f"nothing reads config.{section}.{key}"
    else:
        assert key in {name for _, name in found}, f"nothing reads {key} of {section}"


def test_every_section_reaches_somebody() -> None:
    """What belongs to handlers is in the part of one of them; the rest is read by shells and listed here."""
    config = load_config(Path(__file__).resolve().parents[2], environ={})
    handed = {
        key
        for service in ("risk_engine", "paper_trader", "portfolio_manager", "strategy_runner", "ohlcv_aggregator")
        for key in content_for(service, config)
    }
    shells = {"paths", "redis", "runtime", "retention"}
    inside = {"app": "env", "strategy_runner": "max_errors", "account": "quote", "fees": "paper"}
    assert {inside.get(section, section) for section in Config.model_fields} == (handed - {"venue"}) | shells
