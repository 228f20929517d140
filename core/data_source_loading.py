"""The data sources that the configuration names, ready to be read."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from inspect import isclass, signature
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, cast

from core.config import Config
from core.config_errors import did_you_mean
from core.config_sections import DataSourceEntry
from core.data_source import DataSource, DataSourceBase
from core.data_source_files import DatasetsSource, JournalSource
from core.data_sources import DataSources
from core.errors import ConfigError

METHODS = tuple(name for name in vars(DataSourceBase) if not name.startswith("_"))
"""What a class must have."""


def load_sources(config: Config) -> DataSources:
    """All sources of `config/data_sources.yaml`, in its order; nothing is read yet.

    Raises:
        ConfigError: names every entry that cannot be used, one per line, with key, value and what is allowed.
    """
    made: dict[str, DataSource] = {}
    problems: list[str] = []
    for entry in config.data_sources:
        try:
            made[entry.id] = _made(entry, config)
        except ConfigError as error:
            problems += [f"data_sources.yaml: source {entry.id!r}: {line}" for line in str(error).splitlines()]
    if problems:
        raise ConfigError("\n".join(problems))
    return DataSources(made)


def _made(entry: DataSourceEntry, config: Config) -> DataSource:
    if entry.class_ is not None:
        return _of_class(entry.class_, entry.params)
    if entry.type == "journals":
        return JournalSource(config.root / (entry.path or config.paths.journal_dir))
    return DatasetsSource(config.root / (entry.path or config.paths.history_dir), entry.datasets)


def _of_class(path: str, params: Mapping[str, Any]) -> DataSource:
    """An instance of a class of somebody else's."""
    module_name, _, name = path.rpartition(".")
    module = _module(module_name, path)
    found = getattr(module, name, None)
    if found is None:
        classes = [known for known, value in vars(module).items() if isclass(value) and not _missing(value)]
        raise ConfigError(f"class is {path!r}, and {module_name} has no {name}; {did_you_mean(name, classes)}")
    if not isclass(found) or _missing(found):
        without = f", without {', '.join(_missing(found))}" if isclass(found) else ""
        raise ConfigError(f"class is {path!r}{without}; allowed: an heir of core.data_sources.DataSourceBase")
    _require_params(found, params)
    try:
        return cast("DataSource", found(**params))
    except Exception as error:  # a class of somebody else's may raise anything
        raise ConfigError(f"class {path} refuses its params: {type(error).__name__}: {error}") from error


def _module(name: str, path: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):  # it is there, and lacks another one
            raise ConfigError(f"class is {path!r}, and {name} cannot be imported: {error}") from None
        raise ConfigError(f"class is {path!r}, and there is no module {error.name}; {_near(error.name)}") from None
    except Exception as error:  # the same
        raise ConfigError(
            f"class is {path!r}, and {name} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def _near(name: str) -> str:
    """Modules beside one that is missing."""
    parent, _, last = name.rpartition(".")
    spec = find_spec(parent) if parent else None
    if spec is None or spec.submodule_search_locations is None:
        return "allowed: a module that can be imported from where the command is started"
    return did_you_mean(last, sorted(each.name for each in iter_modules(spec.submodule_search_locations)))


def _missing(found: object) -> list[str]:
    return [name for name in METHODS if not callable(getattr(found, name, None))]


def _require_params(found: type[Any], params: Mapping[str, Any]) -> None:
    """Name each parameter that the class does not take, and each that it needs.

    Raises:
        ConfigError: there is one.
    """
    takes = signature(found).parameters
    open_ended = any(each.kind is each.VAR_KEYWORD for each in takes.values())
    named = [name for name, each in takes.items() if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    problems = [
        f"params.{name}: unknown key; {did_you_mean(name, named)}"
        for name in params
        if name not in named and not open_ended
    ]
    needed = [name for name in named if takes[name].default is takes[name].empty]
    problems += [f"params.{name}: is missing" for name in needed if name not in params]
    if problems:
        raise ConfigError("\n".join(problems))
