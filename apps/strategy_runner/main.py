"""Run the strategies of config/strategies.yaml: market data, fills and order updates in, order intents out.

Strategies are loaded again when their entries or their code change; SIGHUP looks for changes at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.runtime.process import Extras, serve
from strategies.host import SERVICE, plugin_modules


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop; the exit code."""
    return serve(SERVICE, argv, about=__doc__, extras=Extras(plugins=plugin_modules))
