"""Prove that a recorded session can be executed again: same intents, decisions, orders, fills and positions.

Reads the journals, checks that together they hold every line of the session once, executes all decisions again with the
code and the configuration that are here now, and compares byte for byte. Every difference is named with its class:
data, configuration, code or non-determinism. Exit code 0 without differences, 1 with, 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from backtest.journals import Record, read_record
from backtest.reexecution import Difference, Reexecution, recorded_configs
from backtest.services import SERVICES
from core import cli, codec
from core.config import content_for
from core.config_sections import Paths
from core.contracts import ConfigChanged
from core.handler import Content
from core.journal_files import journals_in
from core.journal_retention import journal_folders
from core.source_code import LoadedCode
from strategies import host

SHOWN = 10


@dataclass(slots=True)
class Report:
    """The outcome.

    Attributes:
        lines: lines of the record.
        files: files read.
        compared: outputs and memories compared.
        data: what is wrong with the record itself.
        differences: how many outputs and memories differ.
        first: the first of them.
        cause: class of the differences: "data", "configuration", "code", "non-determinism"; empty without any.
        explanation: the cause in words.
        changed_keys: configuration keys whose value is not the recorded one, with both values.
        code_changed: whether the code that decides is not the recorded one.
        outputs: recorded lines per topic.
        left_out: parts that the code here cannot run with the configuration recorded for them; behind each the
            recording service itself began a new segment.
    """

    lines: int = 0
    files: int = 0
    compared: int = 0
    data: list[str] = field(default_factory=list)
    differences: int = 0
    first: list[Difference] = field(default_factory=list)
    cause: str = ""
    explanation: str = ""
    changed_keys: list[str] = field(default_factory=list)
    code_changed: bool = False
    outputs: dict[str, int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the session is exactly reproduced, by what is here now."""
        return not self.data and not self.differences and not self.changed_keys


def check(directories: Iterable[Path], contents: Mapping[str, Content] | None = None) -> Report:
    """Execute a session again and compare.

    Args:
        directories: folders with its journals.
        contents: the configuration by service as it is now; None to compare with the recorded one only.

    Raises:
        ConfigError: the folders hold no journals.
    """
    record = read_record(directories)
    report = _report_on(record)
    configs = recorded_configs(record.lines)
    report.data += [
        f"{instance}: the recorded configuration does not have the recorded hash"
        for instance, changes in configs.items()
        for config in changes
        if codec.content_hash(config.content) != config.config_hash
    ]
    recorded = {name.partition(".")[0]: changes[-1].content for name, changes in configs.items()}
    now = {name: content for name, content in (contents or {}).items() if recorded.get(name, content) != content}
    for name, content in now.items():
        report.changed_keys += [f"{name}: {change}" for change in _changes(recorded[name], content)]
    run = Reexecution(SERVICES, record.lines)
    run.run()
    if not run.count and now:
        run = Reexecution(SERVICES, record.lines, now)
        run.run()
    report.code_changed = any(
        config.code_hash != _code_hash(name, config) for name, changes in configs.items() for config in changes
    )
    report.left_out = run.left_out
    report.compared, report.differences, report.first = run.compared, run.count, run.differences[:SHOWN]
    _explain(report)
    return report


def _code_hash(instance: str, config: ConfigChanged) -> str:
    """The hash that this instance's code has here."""
    strategies = instance.startswith(host.SERVICE.name + ".")
    return LoadedCode(host.plugin_modules(config.content) if strategies else ()).hash


def _report_on(record: Record) -> Report:
    report = Report(lines=len(record.lines), files=record.files)
    report.data = [f"{finding.file or 'journals'}: {finding.what}" for finding in record.findings]
    for line in record.lines:
        report.outputs[line.topic] = report.outputs.get(line.topic, 0) + 1
    return report


def _explain(report: Report) -> None:
    """Name the class of what was found, from the surest evidence to the one that remains."""
    if report.data:
        report.cause = "data"
        report.explanation = "the journals do not hold every line of the session once"
    elif report.changed_keys:
        report.cause = "configuration"
        report.explanation = "with the configuration that is here now the session would have gone another way"
        if not report.differences:
            report.explanation = "the configuration has changed; this session would have gone the same way"
    elif report.differences and report.code_changed:
        report.cause = "code"
        report.explanation = "the code that decides is not the one that was recorded"
    elif report.differences:
        report.cause = "non-determinism"
        report.explanation = "the same code and configuration gave something else: a clock, randomness or hidden state"


def _changes(recorded: Any, now: Any, path: str = "") -> list[str]:
    """Keys whose values differ, with both."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        keys = sorted(set(recorded) | set(now))
        return [
            change
            for key in keys
            for change in _changes(recorded.get(key), now.get(key), f"{path}.{key}" if path else str(key))
        ]
    if isinstance(recorded, list) and isinstance(now, list) and len(recorded) == len(now):
        pairs = enumerate(zip(recorded, now, strict=True))
        return [change for index, (a, b) in pairs for change in _changes(a, b, f"{path}[{index}]")]
    return [] if recorded == now else [f"{path} was {recorded!r}, is {now!r}"]


def _parser() -> argparse.ArgumentParser:
    made = cli.parser("python -m backtest.parity", __doc__)
    made.add_argument(
        "--journal-dir", type=Path, action="append", metavar="DIR",
        help="journals (default: those of the configuration); repeatable",
    )  # fmt: skip
    made.add_argument(
        "--recorded-config", action="store_true", help="do not compare with the configuration that is here now"
    )
    made.add_argument("--json", action="store_true", help="the report as one JSON object")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Check the session that the command line names; the exit code."""
    args = _parser().parse_args(argv)
    return cli.guarded("parity", lambda: _check(args))


def _check(args: argparse.Namespace) -> int:
    directories = args.journal_dir or _folders(cli.config_of(args).paths)
    size = _size(directories)
    report = check(directories, _contents(args))
    if report.data and _size(directories) != size:
        report.explanation += "; they are still being written: end the session first"
    out = codec.encode_state({"ok": report.ok, **asdict_of(report)}).decode() if args.json else describe(report)
    print(out)  # noqa: T201
    return 0 if report.ok else 1


def _folders(paths: Paths) -> list[Path]:
    return journal_folders(paths.archive_dir, paths.journal_dir)


def _size(directories: Iterable[Path]) -> int:
    """Bytes of the files that are being written, which change while a session runs."""
    journals = [files for directory in directories for files in journals_in(directory).values()]
    return sum(_bytes(file.path) for files in journals for file in files if file.active)


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _contents(args: argparse.Namespace) -> dict[str, Content] | None:
    if args.recorded_config:
        return None
    config = cli.config_of(args)
    return {service.name: content_for(service.name, config) for service in SERVICES}


def asdict_of(report: Report) -> dict[str, Any]:
    """The report as JSON values."""
    return {**asdict(report), "first": [difference._asdict() for difference in report.first]}


def describe(report: Report) -> str:
    """The report for people."""
    said = [f"{report.lines:,} lines in {report.files} files, {report.compared:,} outputs and states compared"]
    said += [f"  {topic:32} {count:>9,}" for topic, count in sorted(report.outputs.items())]
    said += [f"data: {finding}" for finding in report.data[:SHOWN]]
    said += [f"configuration: {change}" for change in report.changed_keys[:SHOWN]]
    said += [f"not executed {part}" for part in report.left_out[:SHOWN]]
    for difference in report.first[:1]:
        said.append(f"first difference at {difference.seq}: {difference.topic} of {difference.instance}")
        said.append(f"  recorded: {difference.recorded or '(nothing)'}")
        said.append(f"  executed: {difference.executed or '(nothing)'}")
    if report.ok:
        said.append("parity: 0 differences" + (" (the code has changed since)" if report.code_changed else ""))
    else:
        found = report.differences or len(report.data) or len(report.changed_keys)
        said.append(f"parity: {found} differences; class {report.cause}: {report.explanation}")
    return "\n".join(said)


if __name__ == "__main__":
    sys.exit(main())
