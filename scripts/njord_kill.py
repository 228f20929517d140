"""Trip, clear or check the kill switch.

Every change needs a reason and leaves a line in `<state_dir>/kill_switch.audit.ndjson`: a trip is recorded after it has
worked, a clear before it is tried, so that no trading resumes unrecorded. Exit codes: 0 done or, for `check`, not
tripped; 1 tripped, unreadable or failed; 2 wrong usage or configuration.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, from whatever directory

from core import codec, kill_switch, topics
from core.cli import BASE, add_places
from core.config import Config, load_config
from core.contracts import KillSwitchSet
from core.errors import ConfigError, NjordError

PROJECT = Path(__file__).resolve().parents[1]
AUDIT_NAME = "kill_switch.audit.ndjson"
ANNOUNCE_TIMEOUT_S = 3.0

_HELP = {
    "trip-file": "halt trading; works without Redis",
    "clear-file": "take the file away; trading goes on if the key is clear too",
    "trip-redis": "halt trading on every host that uses this Redis",
    "clear-redis": "take the key away; trading goes on if the file is clear too",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments; those of the process unless given.

    Returns:
        The exit code, as the module says. Wrong arguments leave through SystemExit(2), as argparse does.
    """
    args = _parser().parse_args(argv)
    try:
        config = load_config(args.config or args.config_root or _default_place(), args.profile)
    except ConfigError as error:
        _complain(str(error))
        return 2
    if args.command == "check":
        return asyncio.run(_check(config, as_json=args.json))
    change = KillSwitchSet(args.command, args.reason, kill_switch.whoami(), time.time_ns())
    return asyncio.run(_change(config, change))


def _parser() -> argparse.ArgumentParser:
    description, _, epilog = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="njord_kill.py", description=description, epilog=epilog, allow_abbrev=False)
    add_places(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in _HELP.items():
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        command.add_argument("--reason", required=True, type=_reason, metavar="TEXT", help="why; kept for the record")
        add_places(command, default=argparse.SUPPRESS)
    text = "say whether trading is halted, and why; changes nothing"
    check = commands.add_parser("check", help=text, description=text, allow_abbrev=False)
    check.add_argument("--json", action="store_true", help="one JSON object instead of text")
    add_places(check, default=argparse.SUPPRESS)
    return parser


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("say why")
    return text.strip()


def _default_place() -> Path:
    """The working directory's configuration; where it has none, that of the project this file belongs to."""
    return BASE if BASE.is_file() else PROJECT / BASE


async def _check(config: Config, *, as_json: bool) -> int:
    seen = {
        "file": kill_switch.read_file(config.kill_switch_file),
        "redis": await kill_switch.read_redis(config.redis.url, config.risk.kill_switch_key),
    }
    tripped = any(switch.tripped for switch in seen.values())
    if as_json:
        switches = {name: switch._asdict() for name, switch in seen.items()}
        print(json.dumps({"tripped": tripped, **switches}))
    else:
        for name, switch in seen.items():
            print(f"{name}: {_shown(switch)}")
    return int(tripped)


def _shown(switch: kill_switch.Observation) -> str:
    return f"TRIPPED ({switch.reason})" if switch.tripped else "clear"


async def _change(config: Config, change: KillSwitchSet) -> int:
    clears = change.action.startswith("clear-")
    try:
        if clears:
            _record(config, change)
        await _apply(config, change.action, change.reason)
    except OSError as error:
        _complain(f"{change.action} failed: {error}")
        return 1
    code = _report(config, change)
    if not clears:
        try:
            _record(config, change)
        except OSError as error:
            _complain(f"{change.action} is done but could not be recorded: {error}")
            code = 1
    await _announce(config, change)
    return code


async def _apply(config: Config, action: str, reason: str) -> None:
    url, key = config.redis.url, config.risk.kill_switch_key
    if action == "trip-file":
        kill_switch.trip_file(config.kill_switch_file, reason)
    elif action == "clear-file":
        kill_switch.clear_file(config.kill_switch_file)
    elif action == "trip-redis":
        await kill_switch.trip_redis(url, key)
    else:
        await kill_switch.clear_redis(url, key)


def _report(config: Config, change: KillSwitchSet) -> int:
    """Say what is so now; a file that still halts after it was cleared is a failure."""
    if change.action.endswith("-redis"):
        print(f"{change.action}: done, key {config.risk.kill_switch_key}")
        return 0
    seen = kill_switch.read_file(config.kill_switch_file)
    print(f"{change.action}: done, {_shown(seen)}")
    return int(seen.tripped and change.action == "clear-file")


def _record(config: Config, change: KillSwitchSet) -> None:
    """Append the change to the audit file, on disk before this returns.

    Raises:
        OSError: it cannot be written.
    """
    folder = config.paths.state_dir
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / AUDIT_NAME, "ab", buffering=0) as file:
        file.write(codec.encode(change) + b"\n")
        os.fsync(file.fileno())


async def _announce(config: Config, change: KillSwitchSet) -> None:
    """Publish the change, best effort: the switch itself has been set already."""
    from core.bus import Bus  # only here, so that nothing of the bus can keep a file from being tripped

    try:
        bus = Bus(config.redis.url, cell=config.redis.cell)
        async with asyncio.timeout(ANNOUNCE_TIMEOUT_S):
            try:
                await bus.publish_json(topics.KILL_SWITCH.name, codec.to_dict(change))
            finally:
                await bus.close()
    except (NjordError, OSError) as error:
        _complain(f"not announced on {topics.KILL_SWITCH.name}: {str(error) or 'no answer'}")


def _complain(text: str) -> None:
    print(f"njord_kill: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
