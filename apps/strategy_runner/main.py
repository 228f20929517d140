"""Run the strategies of config/strategies.yaml: market data, fills and order updates in, order intents out.

Strategies are loaded again when their entries or their code change; SIGHUP looks for changes at once. One that asks for
a warm-up gets bars from the sources of config/data_sources.yaml before its first event.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.data_source_loading import load_sources
from core.runtime.process import Extras, serve
from strategies.host import SERVICE, plugin_modules


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop; the exit code."""
    extras = Extras(plugins=plugin_modules, history=lambda config: load_sources(config).last_bars)
    return serve(SERVICE, argv, about=__doc__, extras=extras)
