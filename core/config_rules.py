"""What no section can know alone: rules across the sections, each of which keeps somebody from a loss.

A rule says which key is wrong and what is allowed; `broken_rules` says where that key was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from core.config_errors import did_you_mean
from core.config_files import SECRETS, Sources
from core.config_layers import KeyPath, dotted
from core.config_sources import is_encrypted
from core.redact import HIDDEN, safe_url

if TYPE_CHECKING:
    from core.config import Config

Found = Iterable[tuple[KeyPath, str]]
"""The path of each wrong key, and what is wrong with it, as a sentence goes on behind the key."""

MOUNTS = Path("/proc/self/mounts")
_EMPTIED = tuple(map(Path, ("/run", "/var/run", "/tmp", "/dev/shm")))
_IN_MEMORY = {"tmpfs", "ramfs"}


def broken_rules(config: Config, sources: Sources) -> list[str]:
    """One line per rule that the configuration breaks, with the place of the key to change."""
    rules = (*_RULES, *(_LIVE_RULES if config.app.env == "live" else ()))
    return [
        f"{sources.layer.origin(path)}: {dotted(path)} {problem}"
        for rule in rules
        for path, problem in rule(config, sources)
    ]


def _one_quote_asset(config: Config, sources: Sources) -> Found:
    """The books are kept in one asset; a fill in another would need an exchange rate that nobody has."""
    quote = config.account.quote
    for index, instrument in enumerate(config.instruments):
        if instrument.quote != quote:
            yield (
                ("instruments", index, "symbol"),
                f"is {instrument.symbol!r}; allowed: priced in account.quote, which is {quote}",
            )


def _known_strategies(config: Config, sources: Sources) -> Found:
    """A typo in an id would leave a strategy at its old parameters, or without its capital, in silence."""
    known = [entry.id for entry in sources.entries]
    for name in config.strategies:
        if name not in known:
            yield ("strategies", name), f"is no strategy of strategies.yaml; {did_you_mean(name, known)}"
    for index, allocation in enumerate(config.portfolio.allocations):
        name = allocation.strategy_id
        if name not in known:
            yield (
                ("portfolio", "allocations", index, "strategy_id"),
                f"is {name!r}, which is no strategy of strategies.yaml; {did_you_mean(name, known)}",
            )


def _one_order_within_the_day(config: Config, sources: Sources) -> Found:
    """One order that is lost as a whole must not lose more than a day may."""
    order, day = config.risk.per_order_usd_cap, config.risk.daily_loss_usd_cap
    if order > day:
        yield ("risk", "per_order_usd_cap"), f"is {order:f}; allowed: at most risk.daily_loss_usd_cap, which is {day:f}"


def _enough_capital(config: Config, sources: Sources) -> Found:
    """What the strategies need at least must be there."""
    needed = sum((Decimal(str(each.min_capital)) for each in config.portfolio.allocations), Decimal(0))
    total = Decimal(str(config.portfolio.total_capital))
    if needed > total:
        yield (
            ("portfolio", "total_capital"),
            f"is {total.normalize():f}; allowed: at least the min_capital of all allocations, "
            f"which is {needed.normalize():f}",
        )


def _ports_once(config: Config, sources: Sources) -> Found:
    """Two services at one port: the second does not start."""
    first: dict[int, str] = {}
    for service, port in config.runtime.health_ports.items():
        if port and first.setdefault(port, service) != service:
            yield ("runtime", "health_ports", service), f"is {port}, as that of {first[port]}; allowed: each port once"


def _profile_is_what_it_says(config: Config, sources: Sources) -> Found:
    """Who starts the profile `live` relies on the checks of live trading, whatever a variable says."""
    if sources.profile == "live" and config.app.env != "live":
        yield ("app", "env"), f"is {config.app.env!r}; allowed with the profile live: live"


def _live_policy(config: Config, sources: Sources) -> Found:
    """How much a signal may buy is decided by somebody, not by a default."""
    if ("policy",) not in sources.layer.where:
        yield ("policy",), "is missing; live trading needs an explicit policy"


def _live_allocations(config: Config, sources: Sources) -> Found:
    """With real money every strategy has a share that somebody has given it; 0 is one too."""
    known = {allocation.strategy_id for allocation in config.portfolio.allocations}
    for entry in config.strategy_entries:
        if entry["enabled"] and entry["id"] not in known:
            yield (
                ("portfolio", "allocations"),
                f"has none for {entry['id']}, which is enabled; live trading needs one for every enabled strategy",
            )


def _live_loss_cap(config: Config, sources: Sources) -> Found:
    """A cap that only a total loss reaches stops nothing."""
    cap, total = config.risk.daily_loss_usd_cap, Decimal(str(config.portfolio.total_capital))
    if cap >= total:
        yield (
            ("risk", "daily_loss_usd_cap"),
            f"is {cap:f}; allowed in live trading: below portfolio.total_capital, which is {total.normalize():f}",
        )


def _live_folders(config: Config, sources: Sources) -> Found:
    """A switch that was tripped, and the record of what was traded, must still be there after a reboot."""
    places = {
        ("risk", "kill_switch_file"): config.kill_switch_file,
        ("paths", "state_dir"): config.paths.state_dir,
        ("paths", "journal_dir"): config.paths.journal_dir,
    }
    for key, path in places.items():
        if _forgotten_at_reboot(path):
            yield key, f"is {str(path)!r}; allowed in live trading: a place that a reboot does not empty"


def _live_secrets(config: Config, sources: Sources) -> Found:
    """Secrets lie on the disk encrypted or not at all."""
    path = sources.folder / SECRETS
    if path.exists() and not is_encrypted(path):
        yield (), f"{sources.shown(path)} is not encrypted; live trading needs it encrypted with SOPS, or credentials"


def _live_server(config: Config, sources: Sources) -> Found:
    """Who can write to Redis can trade: nobody on the way may read its password."""
    url = config.redis.url
    if url.startswith("redis://") and not _is_loopback(urlsplit(url).hostname or "localhost"):
        shown = HIDDEN if sources.layer.is_secret(("redis", "url")) else safe_url(url)
        yield ("redis", "url"), f"is {shown!r}; allowed in live trading: rediss:// to another host"


_Rule = Callable[["Config", Sources], Found]
_RULES: tuple[_Rule, ...] = (
    _one_quote_asset,
    _known_strategies,
    _one_order_within_the_day,
    _enough_capital,
    _ports_once,
    _profile_is_what_it_says,
)
_LIVE_RULES: tuple[_Rule, ...] = (
    _live_policy,
    _live_allocations,
    _live_loss_cap,
    _live_folders,
    _live_secrets,
    _live_server,
)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _forgotten_at_reboot(path: Path) -> bool:
    """Whether a path lies in a folder that systems empty when they start, or on a file system in memory."""
    real = path.resolve()
    if any(each.is_relative_to(folder) for folder in _EMPTIED for each in (path, real)):
        return True
    holding = max(
        ((folder, kind) for folder, kind in _mounts() if real.is_relative_to(folder)),
        key=lambda mount: len(mount[0].parts),
        default=(Path("/"), ""),
    )
    return holding[1] in _IN_MEMORY


def _mounts() -> Iterator[tuple[Path, str]]:
    try:
        lines = MOUNTS.read_text().splitlines()
    except OSError:
        return  # no such list here, as on macOS
    for line in lines:
        _, folder, kind, *_ = line.split(" ")
        yield Path(folder), kind
