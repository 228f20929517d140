"""Strategy classes by name: the `strategy_id` of the class, or its dotted path."""

from __future__ import annotations

import warnings
from importlib import import_module
from inspect import isabstract
from pkgutil import iter_modules
from types import ModuleType

from core.errors import ConfigError
from strategies.base import StrategyBase
from strategies.hints import hint


class StrategyRegistry:
    """The strategies that can be named.

    Attributes:
        errors: modules that could not be imported, with the reason.
    """

    def __init__(self) -> None:
        self.errors: dict[str, str] = {}
        self._classes: dict[str, type[StrategyBase]] = {}

    def register(self, strategy_class: type[StrategyBase]) -> None:
        """Make a class known under its `strategy_id`.

        Raises:
            ConfigError: it has none, or another class has the same.
        """
        name = getattr(strategy_class, "strategy_id", "")
        if not isinstance(name, str) or not name:
            raise ConfigError(f"{path_of(strategy_class)}.strategy_id is {name!r}; allowed: a text that is not empty")
        known = self._classes.setdefault(name, strategy_class)
        if path_of(known) != path_of(strategy_class):
            raise ConfigError(f"strategy_id {name!r} belongs to {path_of(known)} and to {path_of(strategy_class)}")

    def get(self, strategy_id: str) -> type[StrategyBase]:
        """The class with this `strategy_id`, or at this dotted path, which need not be discovered before.

        Raises:
            ConfigError: there is none.
        """
        by_path = {path_of(known): known for known in self._classes.values()}
        found = self._classes.get(strategy_id) or by_path.get(strategy_id)
        if found is None and "." in strategy_id:
            module, _, name = strategy_id.rpartition(".")
            found = {known.__name__: known for known in self._load(module)}.get(name)
        if found is None:
            reason = self.errors.get(strategy_id.rpartition(".")[0])
            because = f" ({reason})" if reason else ""
            raise ConfigError(f"no strategy {strategy_id!r}{because}; {hint(strategy_id, [*by_path, *self._classes])}")
        return found

    def discover(self, package: str = "strategies.samples") -> None:
        """Import and register every strategy of a package; a module that cannot be imported is reported and skipped."""
        root = import_module(package)
        for module in iter_modules(root.__path__, package + "."):
            for found in self._load(module.name):
                self.register(found)
            if module.name in self.errors:
                warnings.warn(f"{module.name} is left out: {self.errors[module.name]}", stacklevel=2)

    def _load(self, name: str) -> list[type[StrategyBase]]:
        try:
            module: ModuleType = import_module(name)
        except Exception as error:  # noqa: BLE001  # a plugin may raise anything; it must not stop the others
            self.errors[name] = f"{type(error).__name__}: {error}"
            return []
        self.errors.pop(name, None)
        own = (item for item in vars(module).values() if isinstance(item, type) and item.__module__ == name)
        plugins = (item for item in own if issubclass(item, StrategyBase) and not isabstract(item))
        return [item for item in plugins if getattr(item, "strategy_id", "")]  # without a name it is a base of others


def path_of(strategy_class: type[StrategyBase]) -> str:
    """Its dotted path, as `class` in strategies.yaml has it."""
    return f"{strategy_class.__module__}.{strategy_class.__qualname__}"
