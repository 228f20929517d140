"""The same system in another place: another cell or server, with folders of its own."""

from __future__ import annotations

from pydantic import ValidationError

from core.config import Config
from core.config_sections import RedisSettings
from core.errors import ConfigError

_FOLDERS = ("journal_dir", "log_dir", "run_dir")
_UNNAMED = "replay"


def elsewhere(config: Config, *, cell: str | None = None, url: str | None = None) -> Config:
    """The configuration of a process that works beside the system it describes.

    Its journals, log and locks are in folders of the cell's name below those of the system, where `config/replay.yaml`
    puts those of the services: two cells must never share journals. Where the configuration names that place already
    nothing changes.

    Args:
        config: of the system.
        cell: name of the cell; that of the configuration if None.
        url: of the server; that of the configuration if None. Its folders are called "replay" if its cell has no name.

    Raises:
        ConfigError: no cell can be called so, or it is no address.
    """
    if cell is not None and cell and not cell.strip("."):
        raise _bad_cell(cell)
    chosen = {"url": url or config.redis.url, "cell": config.redis.cell if cell is None else cell}
    try:
        redis = RedisSettings.model_validate(chosen)
    except ValidationError as error:
        if error.errors()[0]["loc"] == ("cell",):
            raise _bad_cell(chosen["cell"]) from None
        raise ConfigError("--redis-url; allowed: redis://host:port/0, rediss://... or unix:///path") from None
    if redis == config.redis:
        return config
    name = redis.cell or _UNNAMED
    folders = {key: getattr(config.paths, key) / name for key in _FOLDERS}
    return config.model_copy(update={"redis": redis, "paths": config.paths.model_copy(update=folders)})


def _bad_cell(cell: str) -> ConfigError:
    return ConfigError(f"--cell is {cell!r}; allowed: letters, digits and _ . : -, not only dots")
