"""Which files and other sources a configuration is made of, laid over each other in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from core.config_errors import did_you_mean, problems_of
from core.config_layers import Layer, dotted
from core.config_sections import DataSourceEntry, DataSourceFile, StrategyEntry, StrategyFile
from core.config_sources import credentials_layer, environment_layer, read_layer, read_secrets
from core.errors import ConfigError
from core.redact import HIDDEN

PORTFOLIO_KEYS = ("portfolio", "account", "fees", "policy")
"""The sections of `config/portfolio.yaml`."""

SECRETS = "secrets.enc.yaml"
POLICIES = "risk_policies"
SITE = "site.yaml"
_NOT_PROFILES = {"base", "data_sources", "portfolio", "secrets.enc", "site", "strategies"}

_File = TypeVar("_File", StrategyFile, DataSourceFile)
_Entry = TypeVar("_Entry", StrategyEntry, DataSourceEntry)


@dataclass(slots=True)
class Sources:
    """Everything that has been read.

    Attributes:
        root: the folder that relative paths are under.
        folder: where the files lie.
        profile: the name of the file laid over the base; None without one.
        layer: all sources in one, each value with its place.
        strategies: `config/strategies.yaml`.
        entries: the entries in it.
        data_sources: `config/data_sources.yaml`.
        data_source_entries: the entries in it; those that there are without the file.
        problems: what is wrong so far, one line each.
    """

    root: Path
    folder: Path
    profile: str | None
    layer: Layer = field(default_factory=Layer)
    strategies: Layer = field(default_factory=Layer)
    entries: list[StrategyEntry] = field(default_factory=list)
    data_sources: Layer = field(default_factory=Layer)
    data_source_entries: list[DataSourceEntry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def shown(self, path: Path) -> str:
        """What people call a file: its path under the root."""
        return str(path.relative_to(self.root))

    def merge(self, read: Callable[[], Layer]) -> None:
        """Lay the next source over those before; one that cannot be read is noted."""
        try:
            self.layer.merge(read())
        except ConfigError as error:
            self.problems += str(error).splitlines()


def read_sources(path_or_root: Path, profile: str | None, environ: Mapping[str, str]) -> Sources:
    """Read everything there is: base < portfolio < profile < site < secrets < credentials < environment.

    Raises:
        ConfigError: there is no base file or no such profile, or a source cannot be read. What is wrong with the
            policy, with `config/strategies.yaml` and with `config/data_sources.yaml` is in `problems`.
    """
    base, root = _locate(path_or_root)
    folder = base.parent
    sources = Sources(root, folder, profile)
    chosen = _profile(folder, profile) if profile else None
    portfolio, site, secrets = folder / "portfolio.yaml", folder / SITE, folder / SECRETS
    sources.merge(lambda: read_layer(base, sources.shown(base), environ))
    if portfolio.exists():
        sources.merge(lambda: _portfolio(portfolio, sources.shown(portfolio), environ))
    if chosen:
        sources.merge(lambda: read_layer(chosen, sources.shown(chosen), environ))
    if site.exists():
        sources.merge(lambda: read_layer(site, sources.shown(site), environ))
    if secrets.exists():
        sources.merge(lambda: read_secrets(secrets, sources.shown(secrets), environ))
    sources.merge(lambda: credentials_layer(environ))
    sources.merge(lambda: environment_layer(environ))
    incomplete = bool(sources.problems)
    _read_policy(sources, environ)
    sources.strategies, strategies = _read_list(sources, "strategies.yaml", StrategyFile, environ)
    sources.entries = _each_once(strategies.strategies, "strategies", sources.strategies, sources.problems)
    sources.data_sources, listed = _read_list(sources, "data_sources.yaml", DataSourceFile, environ)
    sources.data_source_entries = _each_once(listed.sources, "sources", sources.data_sources, sources.problems)
    if incomplete:  # to go on would mean to complain of what stands in the files that could not be read
        raise ConfigError("\n".join(sources.problems))
    return sources


def _locate(given: Path) -> tuple[Path, Path]:
    base = given / "config" / "base.yaml" if given.is_dir() else given
    if not base.is_file():
        raise ConfigError(
            f"{base}: there is no such file; give the base file or the folder that holds config/base.yaml"
        )
    base = base.resolve()
    return base, base.parent.parent if base.parent.name == "config" else base.parent


def _profile(folder: Path, profile: str) -> Path:
    known = {path.stem: path for path in sorted(folder.glob("*.yaml")) if path.stem not in _NOT_PROFILES}
    if profile not in known:
        raise ConfigError(f"profile {profile!r} does not exist in {folder.name}/; {did_you_mean(profile, known)}")
    return known[profile]


def _portfolio(path: Path, name: str, environ: Mapping[str, str]) -> Layer:
    layer = read_layer(path, name, environ)
    unknown = [
        f"{layer.origin((key,))}: {key}: unknown key; {did_you_mean(key, PORTFOLIO_KEYS)}"
        for key in map(str, layer.values)
        if key not in PORTFOLIO_KEYS
    ]
    if unknown:
        raise ConfigError("\n".join(unknown))
    return layer


def _read_policy(sources: Sources, environ: Mapping[str, str]) -> None:
    """Put the content of a policy's file in the place of its name."""
    layer, name = sources.layer, sources.layer.values.get("policy")
    if not isinstance(name, str):
        return
    known = {path.stem: path for path in sorted((sources.folder / POLICIES).glob("*.yaml"))}
    stated = layer.origin(("policy",))
    del layer.values["policy"]
    if name not in known:
        shown = HIDDEN if layer.is_secret(("policy",)) else repr(name)
        sources.problems.append(f"{stated}: policy is {shown}; {did_you_mean(name, known)}")
        return
    try:
        policy = read_layer(known[name], sources.shown(known[name]), environ)
    except ConfigError as error:
        sources.problems += str(error).splitlines()
        return
    layer.values["policy"] = policy.values
    layer.where |= {("policy", *path): at for path, at in policy.where.items() if path}
    layer.secret |= {("policy", *path) for path in policy.secret}


def _read_list(sources: Sources, name: str, model: type[_File], environ: Mapping[str, str]) -> tuple[Layer, _File]:
    """A file of entries with its places; what it holds without a word where it is missing or wrong."""
    path, layer = sources.folder / name, Layer()
    if not path.exists():
        return layer, model()
    try:
        layer = read_layer(path, sources.shown(path), environ)
        return layer, model.model_validate(layer.values)
    except ConfigError as error:
        sources.problems += str(error).splitlines()
    except ValidationError as error:
        sources.problems += problems_of(error, model, layer)
    return layer, model()


def _each_once(entries: list[_Entry], key: str, layer: Layer, problems: list[str]) -> list[_Entry]:
    """The entries; an id that is there twice is noted."""
    first: dict[str, int] = {}
    for index, entry in enumerate(entries):
        before = first.setdefault(entry.id, index)
        if before != index:
            place = (key, index, "id")
            shown = HIDDEN if layer.is_secret(place) else repr(entry.id)
            problems.append(
                f"{layer.origin(place)}: {dotted(place)} is {shown}, as that of {key}[{before}]; allowed: each id once"
            )
    return entries
