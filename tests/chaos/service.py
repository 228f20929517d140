"""One service, with journals that begin a new file every few seconds and compress the old one at once.

`python -m tests.chaos.service BYTES MODULE ARGUMENTS...`: so that a minute of chaos sees as many rotations as a year.
"""

from __future__ import annotations

import runpy
import sys

from core.journal_rotation import RotatingJournal
from core.runtime.upkeep import Upkeep

LOOK_EVERY_S = 0.5


def main() -> None:
    """Change what nobody configures, then be the service."""
    max_bytes, module, *arguments = sys.argv[1:]
    RotatingJournal.__init__.__kwdefaults__ = {"max_bytes": int(max_bytes)}
    Upkeep.run.__defaults__ = (LOOK_EVERY_S,)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
