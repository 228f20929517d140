"""Look at the configuration as the services see it, without starting anything.

  check   read every file, apply every rule, let each service build its handler from its part, load each data source
  show    every setting in force and where it was written; --service NAME: that service's part and its hash
  hash    SHA-256 of each service's part, as `control.config.*` records it
  schema  JSON Schema of the files, for editors

Values that are secret are shown as ***. Exit codes: 0 done; 1 `check` found the configuration wrong; 2 wrong usage, or
a configuration that is too wrong to be shown.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, from whatever directory

from pydantic import TypeAdapter

from backtest.services import SERVICES
from core import cli, codec
from core.config import Config, content_for, load_with_sources
from core.config_errors import did_you_mean
from core.config_files import Sources
from core.config_layers import KeyPath, Layer, dotted
from core.config_sections import SERVICE_NAMES, DataSourceFile, StrategyFile
from core.data_source_loading import load_sources
from core.errors import ConfigError, NjordError
from core.redact import HIDDEN, redact
from core.risk.policy import RiskPolicy

SCHEMAS = {"config": Config, "strategies": StrategyFile, "data_sources": DataSourceFile, "policy": RiskPolicy}
DEFAULT = "default"


class Setting(NamedTuple):
    """One value in force.

    Attributes:
        key: its path, as people write it.
        value: JSON value; *** where it is secret.
        origin: file and line, or the name of a variable or credential, or "default".
    """

    key: str
    value: object
    origin: str


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    args = _parser().parse_args(argv)
    return cli.guarded("njord_config", lambda: int(args.run(args)))


def _parser() -> argparse.ArgumentParser:
    made = cli.parser("njord_config.py", __doc__)
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, run, text in (
        ("check", _check, "say what is wrong, all of it"),
        ("show", _show, "settings in force and where each was written"),
        ("hash", _hash, "SHA-256 of each service's part"),
        ("schema", _schema, "JSON Schema of the files"),
    ):
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        command.set_defaults(run=run)
        if name == "schema":
            command.add_argument("file", nargs="?", choices=sorted(SCHEMAS), default="config", help="default: config")
            continue
        cli.add_places(command, default=argparse.SUPPRESS)
        command.add_argument("--json", action="store_true", help="JSON instead of text")
        if name == "show":
            command.add_argument("--service", metavar="NAME", help="the part of one service instead")
    return made


def _load(args: argparse.Namespace) -> tuple[Config, Sources]:
    return load_with_sources(cli.place_of(args), args.profile)


def _check(args: argparse.Namespace) -> int:
    problems, hashes = [], {}
    try:
        config, _ = _load(args)
        hashes = _hashes(config)
        problems = list(_refusals(config))
    except ConfigError as error:
        problems = str(error).splitlines()
    if args.json:
        print(json.dumps({"ok": not problems, "problems": problems, "hashes": hashes}, indent=2))
    else:
        print("\n".join(problems or ["ok: every file is read, every rule kept, every service takes its part"]))
    return int(bool(problems))


def _refusals(config: Config) -> Iterator[str]:
    """What the services say that cannot run with their parts, and which data sources cannot be used."""
    for service in SERVICES:
        try:
            service.build(content_for(service.name, config))
        except NjordError as error:
            yield from (f"{service.name}: {line}" for line in str(error).splitlines())
    try:
        load_sources(config)
    except NjordError as error:
        yield from str(error).splitlines()


def _show(args: argparse.Namespace) -> int:
    config, sources = _load(args)
    if args.service is not None:
        if args.service not in SERVICE_NAMES:
            raise ConfigError(f"--service is {args.service!r}; {did_you_mean(args.service, SERVICE_NAMES)}")
        content = content_for(args.service, config)
        print(json.dumps({"content": redact(content), "hash": codec.content_hash(content)}, indent=2))
        return 0
    settings = list(_settings(config, sources))
    if args.json:
        print(json.dumps([setting._asdict() for setting in settings], indent=2))
        return 0
    for setting in settings:
        print(f"{setting.key}: {json.dumps(setting.value)}  # {setting.origin}")
    return 0


def _settings(config: Config, sources: Sources) -> Iterator[Setting]:
    """Everything in force: the sections, each strategy with what a profile has changed of it, the data sources."""
    yield from _in_force(config.model_dump(mode="json", exclude={"strategies"}), sources.layer, "")
    for index, entry in enumerate(config.strategy_entries):
        written = sources.strategies.part(("strategies", index))
        written.merge(sources.layer.part(("strategies", entry["id"])))
        yield from _in_force(entry, written, f"strategies[{entry['id']}].")
    for index, source in enumerate(config.data_sources):
        values = source.model_dump(mode="json", by_alias=True, exclude_none=True)
        yield from _in_force(values, sources.data_sources.part(("sources", index)), f"data_sources[{source.id}].")


def _in_force(values: dict[str, Any], layer: Layer, before: str) -> Iterator[Setting]:
    for path, value in _leaves(values, ()):
        shown = HIDDEN if layer.is_secret(path) else redact(value, str(path[-1]))
        yield Setting(before + dotted(path), shown, layer.origin(path) if path in layer.where else DEFAULT)


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, object]]:
    """What holds no further keys, with its path; a list of plain values is one of them."""
    steps: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        steps = list(value.items())
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        steps = list(enumerate(value))
    if not steps:
        yield path, value
    for step, item in steps:
        yield from _leaves(item, (*path, step))


def _hash(args: argparse.Namespace) -> int:
    hashes = _hashes(_load(args)[0])
    if args.json:
        print(json.dumps(hashes, indent=2))
    else:
        print("\n".join(f"{value}  {name}" for name, value in hashes.items()))
    return 0


def _hashes(config: Config) -> dict[str, str]:
    return {service: codec.content_hash(content_for(service, config)) for service in SERVICE_NAMES}


def _schema(args: argparse.Namespace) -> int:
    schema = TypeAdapter(SCHEMAS[args.file]).json_schema()
    if args.file == "config":
        by_name = {"type": "string", "description": "a file of config/risk_policies/ without its .yaml"}
        schema["properties"]["policy"] = {"anyOf": [by_name, schema["properties"]["policy"]]}
    print(json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
