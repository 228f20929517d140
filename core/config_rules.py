"""What no section can know alone: rules across the sections, each of which keeps somebody from a loss.

A rule says which key is wrong and what is allowed; `broken_rules` says where that key was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from math import fsum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from core.config_errors import did_you_mean
from core.config_files import SECRETS, Sources
from core.config_layers import KeyPath, Layer, dotted
from core.config_sources import is_encrypted
from core.ledger.exact import decimal_price
from core.redact import HIDDEN, safe_url

if TYPE_CHECKING:
    from core.config import Config


class Broken(NamedTuple):
    """A key that breaks a rule.

    Attributes:
        path: the key to change.
        problem: what is wrong, as the sentence goes on behind the key, or behind its value where one is given.
        value: as people write it; hidden where it is secret.
        place: where to look if no key is wrong but a whole file.
    """

    path: KeyPath
    problem: str
    value: str | None = None
    place: str = ""


Found = Iterable[Broken]

MOUNTS = Path("/proc/self/mounts")
_EMPTIED = tuple(map(Path, ("/run", "/var/run", "/tmp")))
_IN_MEMORY = {"tmpfs", "ramfs"}
_CAPITAL = ("portfolio", "total_capital")
_DAY_CAP = ("risk", "daily_loss_usd_cap")


def broken_rules(config: Config, sources: Sources) -> list[str]:
    """One line per rule that the configuration breaks, with the place of the key to change."""
    rules = (*_RULES, *(_LIVE_RULES if config.app.env == "live" else ()))
    return [_line(broken, sources.layer) for rule in rules for broken in rule(config, sources)]


def _line(broken: Broken, layer: Layer) -> str:
    shown = HIDDEN if layer.is_secret(broken.path) else broken.value
    said = broken.problem if broken.value is None else f"is {shown}{broken.problem}"
    return f"{broken.place}: {said}" if broken.place else f"{layer.origin(broken.path)}: {dotted(broken.path)} {said}"


def _seen(sources: Sources, path: KeyPath, text: str) -> str:
    """The value of another key than the wrong one."""
    return HIDDEN if sources.layer.is_secret(path) else text


def _one_quote_asset(config: Config, sources: Sources) -> Found:
    """The books are kept in one asset; a fill in another would need an exchange rate that nobody has."""
    quote = config.account.quote
    for index, instrument in enumerate(config.instruments):
        if instrument.quote != quote:
            allowed = f"; allowed: priced in account.quote, which is {_seen(sources, ('account', 'quote'), quote)}"
            yield Broken(("instruments", index, "symbol"), allowed, repr(instrument.symbol))


def _known_strategies(config: Config, sources: Sources) -> Found:
    """A typo in an id would leave a strategy at its old parameters, or without its capital, in silence."""
    known = [entry.id for entry in sources.entries]
    for name in config.strategies:
        if name not in known:
            yield Broken(("strategies", name), f"is no such strategy; {did_you_mean(name, known)}")
    for index, allocation in enumerate(config.portfolio.allocations):
        name = allocation.strategy_id
        if name not in known:
            allowed = f", no such strategy; {did_you_mean(name, known)}"
            yield Broken(("portfolio", "allocations", index, "strategy_id"), allowed, repr(name))


def _one_order_within_the_day(config: Config, sources: Sources) -> Found:
    """One order that is lost as a whole must not lose more than a day may."""
    order, day = config.risk.per_order_usd_cap, config.risk.daily_loss_usd_cap
    if order > day:
        allowed = f"; allowed: at most risk.daily_loss_usd_cap, which is {_seen(sources, _DAY_CAP, f'{day:f}')}"
        yield Broken(("risk", "per_order_usd_cap"), allowed, f"{order:f}")


def _enough_capital(config: Config, sources: Sources) -> Found:
    """What the strategies need at least must be there."""
    needed = fsum(each.min_capital for each in config.portfolio.allocations)
    total = config.portfolio.total_capital
    if needed > total:
        allowed = f"; allowed: at least the min_capital of all allocations, which is {needed:.12g}"
        yield Broken(_CAPITAL, allowed, f"{total:.12g}")


def _ports_once(config: Config, sources: Sources) -> Found:
    """Two services at one port: the second does not start."""
    first: dict[int, str] = {}
    for service, port in config.runtime.health_ports.items():
        if port and first.setdefault(port, service) != service:
            allowed = f", as that of {first[port]}; allowed: each port once"
            yield Broken(("runtime", "health_ports", service), allowed, str(port))


def _profile_is_what_it_says(config: Config, sources: Sources) -> Found:
    """Who starts the profile `live` relies on the checks of live trading, whatever a variable says."""
    if sources.profile == "live" and config.app.env != "live":
        yield Broken(("app", "env"), "; allowed with the profile live: live", repr(config.app.env))


def _live_policy(config: Config, sources: Sources) -> Found:
    """How much a signal may buy is decided by somebody, not by a default."""
    if ("policy",) not in sources.layer.where:
        yield Broken(("policy",), "is missing; live trading needs an explicit policy")


def _live_allocations(config: Config, sources: Sources) -> Found:
    """With real money every strategy has a share that somebody has given it; 0 is one too."""
    known = {allocation.strategy_id for allocation in config.portfolio.allocations}
    for entry in config.strategy_entries:
        if entry["enabled"] and entry["id"] not in known:
            problem = f"has none for {entry['id']}, which is enabled; live trading needs one for every enabled strategy"
            yield Broken(("portfolio", "allocations"), problem)


def _archive_apart(config: Config, sources: Sources) -> Found:
    """What may be deleted from an archive after its time must not be the journals that are being written."""
    journals, archive = config.paths.journal_dir.resolve(), config.paths.archive_dir.resolve()
    if archive in (journals, journals.parent):
        key = ("paths", "journal_dir")
        seen = _seen(sources, key, repr(str(config.paths.journal_dir)))
        allowed = f"; allowed: neither paths.journal_dir, which is {seen}, nor the folder around it"
        yield Broken(("paths", "archive_dir"), allowed, repr(str(config.paths.archive_dir)))


def _live_loss_cap(config: Config, sources: Sources) -> Found:
    """A cap that only a total loss reaches stops nothing."""
    cap, total = config.risk.daily_loss_usd_cap, config.portfolio.total_capital
    if cap >= decimal_price(total):
        seen = _seen(sources, _CAPITAL, f"{total:.12g}")
        allowed = f"; allowed in live trading: below portfolio.total_capital, which is {seen}"
        yield Broken(_DAY_CAP, allowed, f"{cap:f}")


def _live_folders(config: Config, sources: Sources) -> Found:
    """A switch that was tripped, and the record of what was traded, must still be there after a reboot."""
    places = {
        ("risk", "kill_switch_file"): config.kill_switch_file,
        ("paths", "state_dir"): config.paths.state_dir,
        ("paths", "journal_dir"): config.paths.journal_dir,
        ("paths", "archive_dir"): config.paths.archive_dir,
    }
    for key, path in places.items():
        if _forgotten_at_reboot(path):
            yield Broken(key, "; allowed in live trading: a place that a reboot does not empty", repr(str(path)))


def _live_secrets(config: Config, sources: Sources) -> Found:
    """Secrets lie on the disk encrypted or not at all."""
    path = sources.folder / SECRETS
    if path.exists() and not is_encrypted(path):
        problem = "is not encrypted; live trading needs it encrypted with SOPS, or credentials of systemd instead"
        yield Broken((), problem, place=sources.shown(path))


def _live_server(config: Config, sources: Sources) -> Found:
    """Who can write to Redis can trade: nobody on the way may read its password."""
    url = config.redis.url
    if url.startswith("redis://") and not _is_loopback(urlsplit(url).hostname or "localhost"):
        yield Broken(("redis", "url"), "; allowed in live trading: rediss:// to another host", repr(safe_url(url)))


_Rule = Callable[["Config", Sources], Found]
_RULES: tuple[_Rule, ...] = (
    _one_quote_asset,
    _known_strategies,
    _one_order_within_the_day,
    _enough_capital,
    _ports_once,
    _profile_is_what_it_says,
    _archive_apart,
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
