"""python -m apps.replay_engine"""

import sys

sys.modules["rich"] = None  # type: ignore[assignment]  # where it is installed, structlog loads it for nothing: 4 MB

from apps.replay_engine.main import main  # noqa: E402 - that is what loads structlog

sys.exit(main())
